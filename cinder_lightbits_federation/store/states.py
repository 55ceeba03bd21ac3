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

"""Administrative states set at run time, and which clusters were lost.

A state is about a cluster of a cloud, by the name of its section, and holds
for every backend that has the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from cinder_lightbits_federation.store.engine import Store
from cinder_lightbits_federation.store.tables import LOST
from cinder_lightbits_federation.store.tables import STATES
from cinder_lightbits_federation.store.versioned import Versioned
from cinder_lightbits_federation.views import AdminState


@dataclasses.dataclass(frozen=True, slots=True)
class SetState:
    """A state that somebody has set at run time.

    :param host: where that was done.
    :param since: seconds since the epoch.
    :param version: of this entry; whoever changes it has to name it.
    """

    cluster: str
    state: AdminState
    reason: str
    host: str
    since: float
    version: int


class States:
    """The states of one cloud.

    :param federation: its id.
    """

    def __init__(self, store: Store, federation: str) -> None:
        self._store = store
        self._federation = federation
        self._rows = Versioned(store, STATES, 'cluster', federation)

    def all(self) -> Mapping[str, SetState]:
        """:returns: what is set, by the clusters' names."""
        _now, rows = self._rows.read()
        return {row.cluster: SetState(
            row.cluster, AdminState(row.state), row.reason, row.host,
            row.since, row.version) for row in rows}

    def put(self, cluster: str, state: AdminState, reason: str, host: str,
            before: SetState | None) -> bool:
        """Set a state.

        :param before: the entry as it was read; None if there was none.
        :returns: False if it was changed meanwhile; nothing was done.
        """
        return self._rows.put(
            cluster, {'state': state.value, 'reason': reason, 'host': host},
            None if before is None else before.version)

    def reset(self, before: SetState) -> bool:
        """Forget a state: the configuration counts again.

        :returns: False if it was changed meanwhile; nothing was done.
        """
        return self._rows.drop(before.cluster, before.version)

    def lost(self) -> frozenset[str]:
        """:returns: names of the clusters that are or were lost.

        A cluster stays in it until it has been audited.
        """
        with self._store.transaction() as connection:
            found = connection.execute(sa.select(LOST.c.cluster).where(
                LOST.c.federation == self._federation)).scalars().all()
        return frozenset(found)

    def remember_lost(self, cluster: str) -> None:
        """Note that a cluster is lost. Idempotent."""
        if cluster in self.lost():
            return
        try:
            with self._store.transaction() as connection:
                connection.execute(sa.insert(LOST).values(
                    federation=self._federation, cluster=cluster,
                    since=self._store.now(connection)))
        except sa_exc.IntegrityError:
            # Another service has noted it.
            return

    def forget_lost(self, cluster: str) -> None:
        """Note that a cluster has been audited. Idempotent."""
        with self._store.transaction() as connection:
            connection.execute(sa.delete(LOST).where(
                LOST.c.federation == self._federation,
                LOST.c.cluster == cluster))
