# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Which services live, and which clusters each of them knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses
import json
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from cinder_lightbits_federation.store.engine import Store
from cinder_lightbits_federation.store.tables import SERVICES

# A service that was silent for so many seconds is not live any more, and
# after so many its entry is removed.
ALIVE = 60.0
KEPT = 86400.0


class Known(NamedTuple):
    """What a service knows of a cluster.

    :param uuid: empty while the cluster was not reached yet.
    :param state: the administrative state that the service goes by.
    """

    uuid: str
    state: str


@dataclasses.dataclass(frozen=True, slots=True)
class Knowledge:
    """What one service has told.

    :param host: ``host@backend``.
    :param clusters: what it knows, by their names.
    :param age: seconds since it was told.
    """

    host: str
    clusters: Mapping[str, Known]
    age: float

    @property
    def alive(self) -> bool:
        """Whether the service counts as running."""
        return self.age <= ALIVE


class Services:
    """The services of one backend.

    :param backend: ``cluster@backend`` of a clustered service, else
        ``host@backend``.
    """

    def __init__(self, store: Store, backend: str) -> None:
        self._store = store
        self._backend = backend

    def tell(self, host: str, clusters: Mapping[str, Known]) -> None:
        """Say that a service lives and what it knows. Idempotent."""
        text = json.dumps(dict(sorted(clusters.items())))
        with self._store.transaction() as connection:
            now = self._store.now(connection)
            done = connection.execute(sa.update(SERVICES).where(
                *self._key(host)).values(clusters=text, heartbeat=now))
        if done.rowcount != 1:
            self._insert(host, text, now)
        self._forget()

    def _forget(self) -> None:
        """Remove the services that have been silent for long.

        Found by reading, which locks nothing, and removed by their keys:
        services that tell at the same time lock each other's rows in
        turn when they all remove by age (a deadlock in MariaDB).
        """
        with self._store.transaction() as connection:
            oldest = self._store.now(connection) - KEPT
            silent = connection.execute(sa.select(SERVICES.c.host).where(
                SERVICES.c.backend == self._backend,
                SERVICES.c.heartbeat < oldest)).scalars().all()
        for host in silent:
            with self._store.transaction() as connection:
                connection.execute(sa.delete(SERVICES).where(
                    *self._key(host), SERVICES.c.heartbeat < oldest))

    def leave(self, host: str) -> None:
        """Say that a service has ended. Idempotent."""
        with self._store.transaction() as connection:
            connection.execute(sa.delete(SERVICES).where(*self._key(host)))

    def all(self) -> tuple[Knowledge, ...]:
        """:returns: the services, live or not, by name."""
        with self._store.transaction() as connection:
            now = self._store.now(connection)
            rows = connection.execute(sa.select(SERVICES).where(
                SERVICES.c.backend == self._backend).order_by(
                    SERVICES.c.host)).all()
        return tuple(Knowledge(
            row.host, {name: Known(*known) for name, known
                       in json.loads(row.clusters).items()},
            max(0.0, now - row.heartbeat)) for row in rows)

    def _insert(self, host: str, text: str, now: float) -> None:
        try:
            with self._store.transaction() as connection:
                connection.execute(sa.insert(SERVICES).values(
                    backend=self._backend, host=host, clusters=text,
                    started=now, heartbeat=now))
        except sa_exc.IntegrityError:
            # Another process of the same name was faster.
            return

    def _key(self, host: str) -> tuple[sa.ColumnElement[bool], ...]:
        return SERVICES.c.backend == self._backend, SERVICES.c.host == host


def unknown_to(services: Iterable[Knowledge], name: str, uuid: str
               ) -> list[str]:
    """:returns: live services that do not know a cluster.

    A service that knows the name and has not reached the cluster yet, or
    knows another cluster by that name, does not know it.
    """
    return [item.host for item in services if item.alive and (
        name not in item.clusters or item.clusters[name].uuid != uuid)]
