# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""How a new, empty cluster fills up, by ``lightbits_max_create_share``.

``python -m tests.bench.ramp FILE`` runs the placement itself, without any
service, prints a table and writes a plot (``tox -e plots`` for the one of the
documentation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import itertools
import pathlib
import random
import sys

from cinder_lightbits_federation import capacity
from cinder_lightbits_federation import placement
from cinder_lightbits_federation import placer
from cinder_lightbits_federation import reservations
from cinder_lightbits_federation import sizes
from tests.bench import drawing
from tests.bench import report

SHARES = (50, 60, 70, 80, 90, 100)
SHOWN = (50, 70, 100)
COUNTS = (2, 3, 8)
EFFECTIVE = 100_000 * sizes.GIB
# Of the clusters that were there before, and of a new volume.
FILL = 0.6
SIZE, REPLICAS = 100 * sizes.GIB, 2
# Seconds between two creates, and creates after which nobody waits longer.
PACE = 1.0
MOST = 4000
SEED = 1

_NEW = 'new'


def fill(share: int, count: int) -> list[float]:
    """Create volumes until the new cluster is as full as the others.

    :param share: percent of recent creates that one cluster may take.
    :param count: clusters, the new one included.
    :returns: fullness of the new cluster after each create, from 0 to 1.
    """
    promised = {f'old{number}': int(FILL * EFFECTIVE)
                for number in range(count - 1)} | {_NEW: 0}
    policy = placement.PlacementPolicy(max_create_share=share / 100)
    ledger = reservations.Reservations(placer.RECENT_WINDOW,
                                       placer.RESERVATION_HISTORY)
    wanted = placement.PlacementRequest(SIZE, REPLICAS, 'default')
    rng = random.Random(SEED)
    steps: list[float] = []
    while len(steps) < MOST and promised[_NEW] < min(
            size for name, size in promised.items() if name != _NEW):
        now = len(steps) * PACE
        recent = ledger.tallies([(name, None) for name in promised], now)
        ranked = placement.choose(
            wanted, [_view(name, size, tally.recent)
                     for (name, size), tally in zip(promised.items(), recent,
                                                    strict=True)],
            policy, rng).ranked
        promised[ranked[0].uuid] += wanted.needed
        ledger.reserve(ranked[0].uuid, wanted.needed, now)
        steps.append(promised[_NEW] / EFFECTIVE)
    return steps


def _view(name: str, promised: int, recent: int) -> placement.ClusterView:
    return placement.ClusterView(
        uuid=name, name=name, recent_creates=recent,
        capacity=capacity.Capacity(
            provisioned=promised, effective=EFFECTIVE,
            free_physical=EFFECTIVE, source=capacity.Source.CLUSTER))


def simulate() -> dict[tuple[int, int], list[float]]:
    """:returns: what `fill` returns, by share and number of clusters."""
    return {(share, count): fill(share, count)
            for share, count in itertools.product(SHARES, COUNTS)}


def times(found: Mapping[tuple[int, int], Sequence[float]], count: int
          ) -> list[float | None]:
    """Compare with no cap: how many times as long catching up takes.

    :returns: for each share; None where it never catches up.
    """
    shortest = len(found[100, count])
    steps = [len(found[share, count]) for share in SHARES]
    return [number / shortest if number < MOST else None
            for number in steps]


def table(found: Mapping[tuple[int, int], Sequence[float]]) -> str:
    """:returns: how many times as long catching up takes."""
    columns = [times(found, count) for count in COUNTS]
    return report.table(
        ('share', *(f'{count} clusters' for count in COUNTS)),
        [(share, *('never' if value is None else f'{value:.1f}'
                   for value in row))
         for share, *row in zip(SHARES, *columns, strict=True)])


def plot(found: Mapping[tuple[int, int], Sequence[float]],
         path: str) -> None:
    """Write the plot as SVG."""
    with drawing.drawn(pathlib.Path(path), 'ramp') as page:
        filling, waiting = page.subplots(1, 2)
        for share in SHOWN:
            steps = found[share, COUNTS[-1]][::20]
            filling.plot([20 * number for number in range(len(steps))],
                         [100 * value for value in steps],
                         label=f'{share} %')
        filling.set(xlabel='volumes created since it was attached',
                    ylabel='fullness of the new cluster, %',
                    title=f'One new cluster among {COUNTS[-1]}')
        filling.legend(title='share')
        for count in COUNTS:
            waiting.plot(SHARES, [float('nan') if value is None else value
                                  for value in times(found, count)],
                         marker='o', label=f'{count} clusters')
        waiting.set(xlabel='share, %', ylim=(0, 8),
                    ylabel='times as many volumes as without a cap',
                    title='Until it is as full as the others')
        waiting.legend()


def main() -> None:
    """Print the table and write the plot."""
    found = simulate()
    print(table(found))
    plot(found, sys.argv[1])


if __name__ == '__main__':
    main()
