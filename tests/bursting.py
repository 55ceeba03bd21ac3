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

"""A burst of creates by several services, without any service.

The placement, the reservations and how long a reading counts are the real
ones; clusters, time and what services read are modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import random

from cinder_lightbits_federation import capacity
from cinder_lightbits_federation import placement
from cinder_lightbits_federation import placer
from cinder_lightbits_federation import reservations
from cinder_lightbits_federation import sizes

EFFECTIVE = 100 * 10**12
REPLICAS = 2
# One create in 50 ms: twenty a second.
PACE = 0.05
VOLUMES, SMALLEST, LARGEST = 400, 1, 200
CLUSTERS, FILL = 8, (0.28, 0.32)


class Cluster:
    """What the array holds.

    :ivar provisioned: bytes, replicas counted.
    :ivar created: volumes of the burst.
    """

    def __init__(self, number: int, provisioned: int) -> None:
        self.uuid = f'00000000-0000-4000-8000-{number:012}'
        self.name = f'cluster{number}'
        self.provisioned = provisioned
        self.created = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What a service read of a cluster, and when."""

    at: float
    provisioned: int


class Service:
    """A volume service: its own ledger, its own readings of the clusters.

    :param ledger: None for one that keeps none.
    :param refresh: whether it reads leaders again as `placer.Placer` does.
    """

    def __init__(self, clusters: Sequence[Cluster],
                 policy: placement.PlacementPolicy, seed: int,
                 ledger: reservations.Reservations | None,
                 refresh: bool = True) -> None:
        self.clusters = {one.uuid: one for one in clusters}
        self.policy = policy
        self.seed = seed
        self.ledger = ledger
        self.refresh = refresh
        self.readings = {one.uuid: Reading(0.0, one.provisioned)
                         for one in clusters}

    def choose(self, size: int, now: float) -> Cluster:
        """:returns: where a new volume of so many bytes goes."""
        wanted = placement.PlacementRequest(size=size, replicas=REPLICAS,
                                            project='default')
        ranked = self._ranked(wanted, now)
        if self.refresh and self._refresh_leaders(ranked, now):
            ranked = self._ranked(wanted, now)
        chosen = self.clusters[ranked[0].uuid]
        if self.ledger:
            token = self.ledger.reserve(chosen.uuid, wanted.needed, now)
            self.ledger.commit(token, now + PACE / 2)
        return chosen

    def _ranked(self, wanted: placement.PlacementRequest, now: float
                ) -> Sequence[placement.Candidate]:
        lots = random.Random(f'{self.seed} {int(now / placer.LOT)}')
        return placement.choose(wanted, self._views(now), self.policy,
                                lots).ranked

    def _refresh_leaders(self, ranked: Sequence[placement.Candidate],
                         now: float) -> bool:
        """Read the leaders' statistics where they are old."""
        old = [one.uuid for one in ranked[:placer.LEADERS]
               if now - self.readings[one.uuid].at > placer.FRESH]
        for uuid in old:
            self.readings[uuid] = Reading(
                now, self.clusters[uuid].provisioned)
        return bool(old)

    def _views(self, now: float) -> list[placement.ClusterView]:
        asked = [(uuid, self.readings[uuid].at) for uuid in self.clusters]
        tallies = (self.ledger.tallies(asked, now) if self.ledger
                   else [reservations.NOTHING] * len(asked))
        return [self._view(one, tally) for one, tally
                in zip(self.clusters.values(), tallies, strict=True)]

    def _view(self, cluster: Cluster, tally: reservations.Tally
              ) -> placement.ClusterView:
        reading = self.readings[cluster.uuid]
        return placement.ClusterView(
            uuid=cluster.uuid, name=cluster.name,
            capacity=capacity.Capacity(
                provisioned=reading.provisioned, effective=EFFECTIVE,
                free_physical=EFFECTIVE, source=capacity.Source.CLUSTER),
            reserved=tally.reserved, recent_creates=tally.recent,
            observed_at=reading.at)


# Tells where a volume of so many bytes goes that is asked for at some time.
Chooses = Callable[[int, float], Cluster]


def fleet(rng: random.Random, count: int = CLUSTERS) -> list[Cluster]:
    """:returns: clusters that are about as full as each other."""
    return [Cluster(number, int(EFFECTIVE * rng.uniform(*FILL)))
            for number in range(count)]


def burst(services: Sequence[Chooses], rng: random.Random,
          volumes: int = VOLUMES) -> list[str]:
    """Have services create volumes in turn, twenty a second between them.

    :returns: UUIDs of clusters in the order of the creates.
    """
    order = []
    for count in range(volumes):
        size = rng.randint(SMALLEST, LARGEST) * sizes.GIB
        chosen = services[count % len(services)](size, (count + 1) * PACE)
        chosen.provisioned += size * REPLICAS
        chosen.created += 1
        order.append(chosen.uuid)
    return order


def spread(clusters: Sequence[Cluster]) -> float:
    """:returns: between the fullest and the emptiest, of 1."""
    ratios = [one.provisioned / EFFECTIVE for one in clusters]
    return max(ratios) - min(ratios)
