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
for every backend that has the cluster. Which cluster had the name is noted
beside it, as a mark: the release before reads the table of states, and what it
does not know it leaves alone.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from cinder_lightbits_federation.store.engine import Store
from cinder_lightbits_federation.store.marks import Mark
from cinder_lightbits_federation.store.marks import Marks
from cinder_lightbits_federation.store.tables import LOST
from cinder_lightbits_federation.store.tables import STATES
from cinder_lightbits_federation.store.versioned import Versioned
from cinder_lightbits_federation.views import AdminState

# Which cluster a state is about; followed by a digest of its name.
ABOUT = 'state-of:'


@dataclasses.dataclass(frozen=True, slots=True)
class SetState:
    """A state that somebody has set at run time.

    :param host: where that was done.
    :param since: seconds since the epoch.
    :param version: of this entry; whoever changes it has to name it.
    :param uuid: of the cluster that had the name; empty if nobody knew, or
        if the release before has set the state.
    """

    cluster: str
    state: AdminState
    reason: str
    host: str
    since: float
    version: int
    uuid: str = ''

    def about(self, uuid: str | None) -> bool:
        """Whether a cluster is meant that has the name now.

        :param uuid: of the cluster, None if it is not known: by its name
            alone, it is.
        """
        return not self.uuid or not uuid or self.uuid == uuid


class States:
    """The states of one cloud.

    :param federation: its id.
    """

    def __init__(self, store: Store, federation: str) -> None:
        self._store = store
        self._federation = federation
        self._rows = Versioned(store, STATES, 'cluster', federation)
        self._marks = Marks(store, federation)

    def all(self) -> Mapping[str, SetState]:
        """:returns: what is set, by the clusters' names."""
        _now, rows = self._rows.read()
        marks = self._marks.all(ABOUT) if rows else {}
        return {row.cluster: SetState(
            row.cluster, AdminState(row.state), row.reason, row.host,
            row.since, row.version, _uuid(marks.get(_mark(row.cluster)), row))
            for row in rows}

    def put(self, cluster: str, state: AdminState, reason: str, host: str,
            before: SetState | None, uuid: str = '') -> bool:
        """Set a state.

        Whoever reads before the UUID is noted takes the state for one of
        whatever cluster has the name.

        :param before: the entry as it was read; None if there was none.
        :param uuid: of the cluster; empty if it is not known.
        :returns: False if it was changed meanwhile; nothing was done.
        """
        done = self._rows.put(
            cluster, {'state': state.value, 'reason': reason, 'host': host},
            None if before is None else before.version)
        if done and uuid:
            self._note(cluster, uuid)
        return done

    def reset(self, before: SetState) -> bool:
        """Forget a state: the configuration counts again.

        :returns: False if it was changed meanwhile; nothing was done.
        """
        done = self._rows.drop(before.cluster, before.version)
        mark = self._marks.get(_mark(before.cluster)) if done else None
        if mark is not None:
            self._marks.drop(mark)
        return done

    def _note(self, cluster: str, uuid: str) -> None:
        """Note which cluster the state is about that was set just now."""
        _now, rows = self._rows.read(STATES.c.cluster == cluster)
        name = _mark(cluster)
        for row in rows:
            self._marks.put(name, _about(uuid, row), cluster,
                            self._marks.get(name))

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


def _mark(cluster: str) -> str:
    """:returns: what it is noted under which cluster had a name."""
    return ABOUT + hashlib.sha256(cluster.encode()).hexdigest()[:32]


def _about(uuid: str, row: Any) -> str:
    """:returns: what says that one entry, and no later one, is about it.

    The release before changes an entry and leaves the mark.
    """
    return f'{uuid} {row.version} {row.since!r}'


def _uuid(mark: Mark | None, row: Any) -> str:
    """:returns: UUID of the cluster that an entry is about; may be empty."""
    uuid = '' if mark is None else mark.value.partition(' ')[0]
    return uuid if mark is not None and mark.value == _about(uuid, row) else ''
