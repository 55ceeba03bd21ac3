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

"""Choosing a cluster with data fresh enough to see other hosts' creates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import random
import threading
import time

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import fitness
from cinder_lightbits_federation.pictures import Pictures
from cinder_lightbits_federation import placement
from cinder_lightbits_federation.placement import Decision
from cinder_lightbits_federation.placement import PlacementRequest
from cinder_lightbits_federation.recollection import Recollection
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.reservations import Reservation
from cinder_lightbits_federation.reservations import Reservations
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.views import ClusterView

# The statistics of this many leading candidates are read again when they
# are older than FRESH seconds, waiting at most REFRESH_LIMIT for them.
LEADERS = 3
REFRESH_LIMIT = 1.0
# So late services see each other's creates: with three of them that make
# twenty volumes a second, clusters stay level within one percent of their
# capacity (tests/unit/test_burst.py), which a second is too long for.
FRESH = 0.3

# Lots are drawn anew every so many seconds.
LOT = 1.0

# Projects, policies and failure domains are read again for a volume that no
# cluster fits for lack of them, if that is not younger than these seconds:
# such volumes may be many, and most of them wrong.
FACTS_FRESH = 3.0

SUSPECT = 'did not answer in time just now'

RECENT_WINDOW = 300.0
RESERVATION_HISTORY = 900.0

# One ledger for the process: it is about clusters, and one cluster may serve
# several backends.
PROMISED = Reservations(RECENT_WINDOW, RESERVATION_HISTORY)


class Placer:
    """Chooses; keeps the reservations of this host.

    Lots among near-ties are drawn anew every second, not for every volume:
    the statistics of the same few leaders then serve all volumes of that
    second, and hosts still draw differently.

    :param seed: of the lots.
    """

    def __init__(self, registry: Registry, seed: int) -> None:
        self._registry = registry
        self._seed = seed
        # Of all below: between looking and reserving nobody else may look.
        self._lock = threading.Lock()
        self._pictures = Pictures()
        self._chooser = placement.Chooser()
        self._drawn_for: tuple[int, tuple[str, ...]] = (0, ())
        self._drawn: Mapping[str, float] = {}
        self.reservations = PROMISED
        self.recollection = Recollection()

    def views(self) -> tuple[ClusterView, ...]:
        """:returns: pictures of all clusters, reservations counted."""
        with self._lock:
            return self._views()

    def view(self, cluster: Cluster) -> ClusterView:
        """:returns: a picture of one cluster, reservations counted."""
        bare = cluster.view(0, 0)
        return dataclasses.replace(bare, reserved=(
            self.reservations.outstanding(bare.uuid, bare.observed_at,
                                          time.monotonic())))

    def place(self, request: PlacementRequest, deadline: Deadline
              ) -> tuple[Decision, Reservation | None]:
        """Rank the clusters for a new volume and reserve room on the best.

        Costs no call while the leaders' statistics are younger than FRESH;
        else one per leader, in parallel, shared by all creates that
        are waiting for it. A cluster that does not answer that in time is
        passed over while there is another. Where nothing but a project, a
        QoS policy or a failure domain is missing, the clusters are asked for
        those first.

        :returns: the decision, and the reservation if any cluster fits.
        """
        decision, held = self._place(request, deadline)
        if not decision.ranked:
            lacking = self._lacking(request)
            if lacking:
                self._registry.relearn(lacking, FACTS_FRESH,
                                       deadline.capped(REFRESH_LIMIT))
                return self._place(request, deadline)
        return decision, held

    def _place(self, request: PlacementRequest, deadline: Deadline
               ) -> tuple[Decision, Reservation | None]:
        """Do what `place` does with the facts that are known."""
        decision, held = self._try(request, FRESH)
        if decision.ranked and held is None:
            self._registry.refresh(self._leaders(decision), FRESH,
                                   deadline.capped(REFRESH_LIMIT))
            decision, held = self._try(request, None)
        return decision, held

    def remember(self, volume: str, size: int, decision: Decision) -> None:
        """Note a decision, for people who ask later.

        :param size: bytes, replicas not counted.
        """
        self.recollection.add(time.time(), volume, size, decision.explain)

    def _lacking(self, request: PlacementRequest) -> Sequence[Cluster]:
        """:returns: clusters that lack a fact and nothing else."""
        policy = self._registry.settings.policy
        unfit = {view.uuid for view in self.views()
                 if fitness.lacks(view, request, policy)}
        return [cluster for cluster in self._registry.clusters
                if cluster.uuid in unfit]

    def _try(self, request: PlacementRequest, max_age: float | None
             ) -> tuple[Decision, Reservation | None]:
        """Rank, and reserve unless a leader's statistics are too old.

        :param max_age: seconds; None takes them at any age.
        """
        with self._lock:
            request = self._with_siblings(request)
            decision = self._decide(request)
            if not decision.ranked or (max_age is not None and any(
                    cluster.stale(max_age)
                    for cluster in self._leaders(decision))):
                return decision, None
            return decision, self.reservations.reserve(
                decision.ranked[0].uuid, request.needed, time.monotonic(),
                request.member)

    def _with_siblings(self, request: PlacementRequest) -> PlacementRequest:
        """Count those of the spread group that are made meanwhile.

        The lock is held: nobody reserves for another one until this one is
        reserved.
        """
        if request.member is None:
            return request
        counts = self.reservations.siblings(request.member)
        counts.update(request.spread_counts)
        return dataclasses.replace(request, spread_counts=counts)

    def _decide(self, request: PlacementRequest) -> Decision:
        """Rank; the lock is held."""
        suspects = {cluster.uuid: SUSPECT
                    for cluster in self._registry.clusters
                    if cluster.suspect and cluster.uuid is not None}
        if suspects:
            decision = self._choose(dataclasses.replace(
                request, exclude={**suspects, **request.exclude}))
            if decision.ranked:
                return decision
        return self._choose(request)

    def _choose(self, request: PlacementRequest) -> Decision:
        views = self._views()
        return self._chooser.choose(
            request, views, self._registry.settings.policy, self._lots())

    def _views(self) -> tuple[ClusterView, ...]:
        return self._pictures.take(
            self._registry.clusters, self._registry.strangers,
            self.reservations, time.monotonic())

    def _lots(self) -> Mapping[str, float]:
        """Lots of this second, for the clusters just seen."""
        drawn_for = int(time.monotonic() / LOT), self._pictures.uuids
        if drawn_for != self._drawn_for:
            self._drawn_for = drawn_for
            rng = random.Random(  # noqa: S311
                f'{self._seed} {drawn_for[0]}')
            self._drawn = placement.draw(drawn_for[1], rng)
        return self._drawn

    def _leaders(self, decision: Decision) -> Sequence[Cluster]:
        return [self._registry.by_uuid(candidate.uuid)
                for candidate in decision.ranked[:LEADERS]]
