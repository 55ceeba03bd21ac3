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

"""The jobs that move volumes, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import random

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.drain import balance
from cinder_lightbits_federation.drain.balance import Balance
from cinder_lightbits_federation.drain.mover import Cloud
from cinder_lightbits_federation.drain.mover import Item
from cinder_lightbits_federation.drain.mover import Mover
from cinder_lightbits_federation.drain.mover import Round
from cinder_lightbits_federation.drain.plan import obstacles
from cinder_lightbits_federation.drain.plan import plan
from cinder_lightbits_federation.drain.plan import Plan
from cinder_lightbits_federation.drain.plan import Resident
from cinder_lightbits_federation.drain.stock import Stock
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.jobs.book import Book
from cinder_lightbits_federation.jobs.runner import Handler
from cinder_lightbits_federation.jobs.runner import Task
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.views import Connection
from cinder_lightbits_federation.views import Use

DRAIN = 'drain'
REBALANCE = 'rebalance'
# The subject of the one rebalance that a backend has at a time.
ALL = 'all clusters'

# Seconds to wait for a cluster to list its snapshots.
PATIENCE = 120.0
# Age of statistics in seconds that a plan may rest on.
FRESH = 1.0


class Works:
    """Plans of moves, and the jobs that carry them out.

    :param registry: the clusters, looked at by somebody.
    """

    def __init__(self, registry: Registry, stock: Stock, book: Book) -> None:
        self._registry = registry
        self._stock = stock
        self._book = book

    def handlers(self, cloud: Cloud) -> Mapping[str, Handler]:
        """:returns: what does the jobs, by kind."""
        return {DRAIN: lambda task: self._drain(task, cloud),
                REBALANCE: lambda task: self._rebalance(task, cloud)}

    def plan(self, cluster: Cluster) -> Plan:
        """Work out what can leave a cluster now."""
        views = [item.view(0, 0) for item in self._looked_at()]
        return plan(self._residents(cluster), cluster.uuid or '', views,
                    self._registry.settings.policy,
                    random.Random())  # noqa: S311

    def balance(self, tolerance: float) -> Balance:
        """Work out what to move so that clusters are evenly full.

        :param tolerance: how far above the mean a ratio may stay.
        """
        clusters = [item for item in self._looked_at()
                    if item.allows(Use.ASK) and item.uuid is not None
                    and item.status.connection is Connection.CONNECTED]
        residents = {item.uuid or '': [
            found for found in self._residents(item)
            if not found.migrating and not obstacles(found)]
            for item in clusters}
        return balance.rebalance(_fills(clusters), residents, tolerance)

    def _looked_at(self) -> Sequence[Cluster]:
        """:returns: all clusters, just looked at."""
        clusters = self._registry.clusters
        self._registry.refresh(
            [item for item in clusters if item.allows(Use.ASK)], FRESH,
            Deadline.after(PATIENCE))
        return clusters

    def _residents(self, cluster: Cluster) -> list[Resident]:
        return self._stock.on(cluster, Deadline.after(PATIENCE))

    def _drain(self, task: Task, cloud: Cloud) -> None:
        name = task.job.subject
        cluster = next((item for item in self._registry.clusters
                        if item.name == name), None)
        if cluster is None or cluster.uuid is None:
            raise errors.UnknownCluster(
                f'cluster {name} is not known here or was not reached yet')
        source = cluster.uuid

        def look() -> Round:
            found = self.plan(cluster)
            return Round(
                [_item(move.resident, source) for move in found.moves],
                [_item(item, source) for item in found.under_way],
                {item.resident.id: '; '.join(item.reasons)
                 for item in found.blocked})

        self._mover(task, cloud, look).run(task)

    def _rebalance(self, task: Task, cloud: Cloud) -> None:
        found = self.balance(float(task.job.parameters['tolerance']))
        # One round: until clusters have freed what has left, their figures
        # would have more moved than is needed.
        rounds = iter([Round([_item(shift.resident, shift.source)
                              for shift in found.shifts])])
        self._mover(task, cloud,
                    lambda: next(rounds, Round(()))).run(task)

    def _mover(self, task: Task, cloud: Cloud,
               look: Callable[[], Round]) -> Mover:
        given = task.job.parameters
        return Mover(cloud, self._book, look, self._stock.place_of,
                     int(given['at_once']), given.get('rate'))


def _item(resident: Resident, source: str) -> Item:
    return Item(resident.id, source, resident.size,
                resident.attached or resident.copied)


def _fills(clusters: Iterable[Cluster]) -> list[balance.Fill]:
    fills = []
    for cluster in clusters:
        view = cluster.view(0, 0)
        if view.capacity is not None and view.capacity.effective:
            fills.append(balance.Fill(
                view.uuid, view.capacity.effective, view.load,
                view.accepts_volumes))
    return fills
