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

"""What the services of a backend know of each other, and their jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
import contextlib
import dataclasses
import logging
import socket

import sqlalchemy as sa

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.formats import Formats
from cinder_lightbits_federation.freezing import Freezing
from cinder_lightbits_federation.jobs.book import Book
from cinder_lightbits_federation.jobs.claims import Desk
from cinder_lightbits_federation.settings import ClusterSettings
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.store.engine import Store
from cinder_lightbits_federation.store.marks import Marks
from cinder_lightbits_federation.store.reports import Report
from cinder_lightbits_federation.store.reports import Reports
from cinder_lightbits_federation.store.services import Knowledge
from cinder_lightbits_federation.store.services import Known
from cinder_lightbits_federation.store.services import Services
from cinder_lightbits_federation.store.services import unknown_to
from cinder_lightbits_federation.store.states import SetState
from cinder_lightbits_federation.store.states import States
from cinder_lightbits_federation.views import AdminState

LOG = logging.getLogger(__name__)

Strangers = Mapping[str, tuple[str, ...]]
"""Live services that do not know a cluster, by the cluster's name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """What the store said at one moment.

    :param states: those set at run time, by the clusters' names.
    :param lost: clusters that are or were lost and have not been audited.
    :param services: what services of the backend have told.
    """

    states: Mapping[str, SetState] = dataclasses.field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    services: tuple[Knowledge, ...] = ()

    @property
    def stamp(self) -> tuple[tuple[str, int, float, str], ...]:
        """Differs when a state has been set or reset."""
        return tuple(sorted((name, item.version, item.since, item.uuid)
                            for name, item in self.states.items()))


class Shared:
    """The store, for one service or one command.

    :param federation: id of the cloud.
    :param backend: ``cluster@backend`` of a clustered service, else `host`.
    :param host: ``host@backend`` of this service.
    """

    def __init__(self, url: sa.URL, federation: str, backend: str, host: str
                 ) -> None:
        self._store = Store(url)
        self._host = host
        self.states = States(self._store, federation)
        self.services = Services(self._store, backend)
        self.reports = Reports(self._store, backend)
        marks = Marks(self._store, federation)
        self.formats = Formats(marks)
        self.freezing = Freezing(marks, backend)
        self.book = Book(self._store, backend)
        self.desk = Desk(self.book, host)
        self._seen = Sight()
        self._reported: Report | None = None
        self._failing = False

    @property
    def place(self) -> str:
        """Where the store is, without its password."""
        return str(self._store)

    @property
    def missing(self) -> bool:
        """Whether nothing was ever shared, so that there is nothing to read.

        Reading makes the tables, and nobody should make a file to read it.
        """
        return self._store.missing

    @property
    def seen(self) -> Sight:
        """What was seen last."""
        return self._seen

    def look(self) -> Sight:
        """Read what is shared.

        :raises StoreUnavailable: it cannot be read.
        """
        self._seen = Sight(self.states.all(), self.states.lost(),
                           self.services.all())
        return self._seen

    def exchange(self, clusters: Iterable[Cluster], report: Report
                 ) -> Sight:
        """Tell what this service knows, and read what others have told.

        What was seen last is gone by while the store is away, which is told
        once.
        """
        with self._bearing():
            self.formats.take_part(self._host)
            self.freezing.look()
            self.services.tell(self._host, knowledge(clusters))
            if report != self._reported:
                self.reports.tell(self._host, report)
                self._reported = report
            self.look()
        return self._seen

    def listen(self) -> Sight:
        """Read what others have told, and tell nothing.

        What was seen last is gone by while the store is away, as in
        `exchange`.
        """
        with self._bearing():
            if not self.missing:
                self.look()
        return self._seen

    @contextlib.contextmanager
    def _bearing(self) -> Iterator[None]:
        """Go by what was seen last while the store is away; tell it once."""
        try:
            yield
        except errors.StoreUnavailable as exc:
            if not self._failing:
                LOG.error('What services share cannot be read or written; '
                          'the states that were seen last stay: %s', exc)
            self._failing = True
            return
        if self._failing:
            LOG.info('What services share can be read again.')
        self._failing = False

    def strangers(self, clusters: Iterable[Cluster]) -> Strangers:
        """:returns: the clusters that some other live service is without."""
        others = [item for item in self._seen.services
                  if item.host != self._host]
        return strangers(others, clusters)

    def leave(self) -> None:
        """Say that this service ends, and close everything. Idempotent."""
        self.desk.close()
        try:
            self.services.leave(self._host)
            self.reports.leave(self._host)
            self.formats.leave(self._host)
        except errors.StoreUnavailable as exc:
            LOG.warning('Other services count this one as live for a while: '
                        '%s', exc)
        self.close()

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._store.close()


def here() -> str:
    """:returns: what to call this host where no service is meant."""
    return socket.gethostname()


def knowledge(clusters: Iterable[Cluster]) -> dict[str, Known]:
    """:returns: what a service knows of its clusters, by name."""
    return {cluster.name: Known(cluster.uuid or '',
                                cluster.admin_state.value)
            for cluster in clusters}


def strangers(services: Iterable[Knowledge], clusters: Iterable[Cluster]
              ) -> dict[str, tuple[str, ...]]:
    """:returns: the clusters that some of the live services are without."""
    kept = list(services)
    found = {cluster.name: tuple(unknown_to(kept, cluster.name,
                                            cluster.uuid))
             for cluster in clusters if cluster.uuid is not None}
    return {name: hosts for name, hosts in found.items() if hosts}


def applied(settings: FederationSettings, states: Mapping[str, SetState]
            ) -> FederationSettings:
    """:returns: the settings with the states that were set at run time.

    One that was set for another cluster of that name is left out.
    """
    return dataclasses.replace(settings, clusters=tuple(
        _with_state(item, states.get(item.name))
        for item in settings.clusters))


def _with_state(item: ClusterSettings, found: SetState | None
                ) -> ClusterSettings:
    if (found is None or found.state is item.admin_state
            or not found.about(item.client.expected_uuid)):
        return item
    return dataclasses.replace(
        item, admin_state=found.state,
        signature=f'{item.signature}-{found.state.value}')


def lost_now(settings: FederationSettings) -> frozenset[str]:
    """:returns: names of the clusters that are declared lost."""
    return frozenset(item.name for item in settings.clusters
                     if item.admin_state is AdminState.LOST)
