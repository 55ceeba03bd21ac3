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
"""What services report of themselves, for people and for the exporter."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from cinder_lightbits_federation.recollection import Decided
from cinder_lightbits_federation.store.engine import Store
from cinder_lightbits_federation.store.tables import REPORTS


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """Of one service.

    :param reserved: bytes, replicas counted, that it has promised on a
        cluster and the cluster's statistics do not show yet; by name.
    :param decisions: the last ones, the oldest first.
    """

    reserved: Mapping[str, int]
    decisions: tuple[Decided, ...]


class Reports:
    """The reports of the services of one backend.

    :param backend: ``cluster@backend`` of a clustered service, else
        ``host@backend``.
    """

    def __init__(self, store: Store, backend: str) -> None:
        self._store = store
        self._backend = backend

    def tell(self, host: str, report: Report) -> None:
        """Replace the report of a service. Idempotent."""
        text = json.dumps({
            'reserved': dict(report.reserved),
            'decisions': [dataclasses.astuple(one)
                          for one in report.decisions]})
        with self._store.transaction() as connection:
            done = connection.execute(sa.update(REPORTS).where(
                *self._key(host)).values(report=text))
        if done.rowcount != 1:
            self._insert(host, text)

    def leave(self, host: str) -> None:
        """Remove the report of a service. Idempotent."""
        with self._store.transaction() as connection:
            connection.execute(sa.delete(REPORTS).where(*self._key(host)))

    def all(self) -> dict[str, Report]:
        """:returns: the reports by service."""
        with self._store.transaction() as connection:
            rows = connection.execute(sa.select(REPORTS).where(
                REPORTS.c.backend == self._backend).order_by(
                    REPORTS.c.host)).all()
        return {row.host: _parsed(json.loads(row.report)) for row in rows}

    def _insert(self, host: str, text: str) -> None:
        try:
            with self._store.transaction() as connection:
                connection.execute(sa.insert(REPORTS).values(
                    backend=self._backend, host=host, report=text))
        except sa_exc.IntegrityError:
            # MySQL does not count rows that are as they were.
            return

    def _key(self, host: str) -> tuple[sa.ColumnElement[bool], ...]:
        return REPORTS.c.backend == self._backend, REPORTS.c.host == host


def _parsed(found: Mapping[str, Any]) -> Report:
    return Report(found['reserved'], tuple(
        Decided(*one) for one in found['decisions']))
