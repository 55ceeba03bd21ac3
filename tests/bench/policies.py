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

"""How well policies place a burst of creates from several hosts.

No service runs and no time passes: clusters and what hosts read of them are
modelled (`tests.bursting`), the placement is the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import math
import random
import statistics
from typing import Any

from cinder_lightbits_federation import placement
from cinder_lightbits_federation import reservations
from tests.bench import names
from tests.bench import report
from tests import bursting
from tests.bursting import Chooses
from tests.bursting import Cluster

HOSTS = (1, 3, 10)
SEEDS, QUICK_SEEDS = 20, 5

#: Seconds between two polls of statistics, as Cinder polls drivers.
POLL = 60.0

POLLED = 'least full, polled'
CHOICES = 'two choices, polled'
RANDOM = 'random'
PERFECT = 'perfect knowledge'


class _Polled:
    """What a host knows that looks at the clusters now and then.

    :param first: seconds until its first poll; hosts do not poll together.
    """

    def __init__(self, clusters: Sequence[Cluster], first: float) -> None:
        self._clusters = clusters
        self._next = first
        self._known: dict[str, int] = {}
        self._look()

    def _look(self) -> None:
        self._known = {one.uuid: one.provisioned for one in self._clusters}

    def least(self, among: Sequence[Cluster], now: float) -> Cluster:
        """:returns: which of some clusters was the least full."""
        if now >= self._next:
            self._look()
            self._next += POLL
        return min(among, key=lambda one: self._known[one.uuid])


def _ours(clusters: Sequence[Cluster], rng: random.Random) -> Chooses:
    return bursting.Service(
        clusters, placement.PlacementPolicy(), rng.getrandbits(32),
        reservations.Reservations(60, 600)).choose


def _polled(clusters: Sequence[Cluster], rng: random.Random) -> Chooses:
    polled = _Polled(clusters, rng.uniform(0, POLL))
    return lambda _size, now: polled.least(clusters, now)


def _choices(clusters: Sequence[Cluster], rng: random.Random) -> Chooses:
    polled = _Polled(clusters, rng.uniform(0, POLL))
    return lambda _size, now: polled.least(rng.sample(list(clusters), 2), now)


def _random(clusters: Sequence[Cluster], rng: random.Random) -> Chooses:
    return lambda _size, _now: rng.choice(clusters)


def _perfect(clusters: Sequence[Cluster], _rng: random.Random) -> Chooses:
    return lambda _size, _now: min(clusters, key=lambda one: one.provisioned)


#: What hosts choose by.
POLICIES: Mapping[str, Callable[[Sequence[Cluster], random.Random],
                                Chooses]] = {
    names.OURS: _ours, POLLED: _polled, CHOICES: _choices, RANDOM: _random,
    PERFECT: _perfect}


def simulate(policy: str, hosts: int, seed: int) -> tuple[float, int]:
    """One burst, the same clusters and sizes for each policy.

    :returns: the spread afterwards, in percentage points, and how many
        volumes the cluster got that got the most.
    """
    clusters = bursting.fleet(random.Random(seed))
    choosers = [POLICIES[policy](clusters, random.Random(f'{seed} {number}'))
                for number in range(hosts)]
    bursting.burst(choosers, random.Random(-seed))
    return (100 * bursting.spread(clusters),
            max(one.created for one in clusters))


def run(_bench: object, quick: bool) -> dict[str, Any]:
    """:returns: spreads and most volumes by policy and number of hosts."""
    seeds = range(1, 1 + (QUICK_SEEDS if quick else SEEDS))
    found = {}
    for policy in POLICIES:
        for hosts in HOSTS:
            spreads, most = zip(*(simulate(policy, hosts, seed)
                                  for seed in seeds), strict=True)
            found[f'{policy} | {hosts} hosts'] = {
                'policy': policy, 'hosts': hosts, 'spread': list(spreads),
                'most': list(most)}
    return found


def show(figures: Mapping[str, Any]) -> str:
    """A row for each policy and number of hosts."""
    ideal = math.ceil(bursting.VOLUMES / bursting.CLUSTERS)
    return report.table(
        ('policy', 'hosts', 'spread, points',
         f'most volumes on one ({ideal} each)'),
        [(one['policy'], one['hosts'],
          f'{statistics.median(one["spread"]):.2f} '
          f'({min(one["spread"]):.2f} to {max(one["spread"]):.2f})',
          f'{statistics.median(one["most"]):.0f} '
          f'({min(one["most"])} to {max(one["most"])})')
         for one in figures.values()])
