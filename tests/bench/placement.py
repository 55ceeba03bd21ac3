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
"""How evenly three services fill eight clusters while nobody polls."""

from __future__ import annotations

from collections.abc import Mapping
import random
from typing import Any

from tests.bench import bursts
from tests.bench import environment as env
from tests.bench import report
from tests.simulator import control
from tests.stack import bed

CLUSTERS = 8
CAPACITY = 100 * 10 ** 12
FILL, FILL_BAND = 0.30, 0.02
CREATES = 400
QUICK_CREATES = 40
SMALLEST, LARGEST = 1, 200
REPLICAS = 2
SEED = 20

_FILLERS = 20
_NO_POLLING = '600'
_DRIVERS = {
    'as shipped': 'cinder_lightbits_federation.driver.'
                  'LightbitsFederationDriver',
    'without reservations': 'tests.bench.blind.WithoutReservations',
    'without refresh': 'tests.bench.blind.WithoutRefresh',
    'without both': 'tests.bench.blind.WithoutBoth'}
CASES = (('as shipped', 'etcd'), ('as shipped', 'redis'),
         ('without reservations', 'etcd'), ('without refresh', 'etcd'),
         ('without both', 'etcd'))


def run(_bench: env.Environment, quick: bool = False) -> dict[str, Any]:
    """:returns: what `measure` returns, by case."""
    creates = QUICK_CREATES if quick else CREATES
    return {f'{variant}, {coordination}': measure(variant, coordination,
                                                  creates=creates)
            for variant, coordination in CASES[:1 if quick else None]}


def show(figures: Mapping[str, Any]) -> str:
    """How far the fullest cluster is from the emptiest, in points."""
    return report.table(
        ('case', 'before', 'after', 'volumes by cluster', 'seconds'),
        [(case, _points(one['before']), _points(one['after']),
          ' '.join(map(str, one['volumes'].values())),
          f'{one["seconds"]:.0f}') for case, one in figures.items()])


def _points(fullness: Mapping[str, float]) -> str:
    values = [100 * share for share in fullness.values()]
    return f'{max(values) - min(values):.2f}'


def measure(variant: str, coordination: str, seed: int = SEED,
            creates: int = CREATES) -> dict[str, Any]:
    """Fill new clusters through new services.

    :returns: ``before`` and ``after`` (fullness by cluster, from 0 to 1),
        ``volumes`` (number by cluster) and ``seconds``.
    """
    rng = random.Random(seed)
    sizes = [rng.randint(SMALLEST, LARGEST) for _number in range(creates)]
    with _bed(variant, coordination) as running:
        for cluster in running.clusters.values():
            _fill(cluster, rng.uniform(FILL - FILL_BAND, FILL + FILL_BAND))
        before = _fullness(running)
        running.stack.start()
        burst = bursts.create(running.stack, sizes)
        volumes = {cluster.name: len([item for item in cluster.volumes
                                      if item.label('cinder_id')])
                   for cluster in running.contents()}
        found = {'before': before, 'after': _fullness(running),
                 'volumes': volumes, 'seconds': burst.all_made}
        running.stack.stop()
    return found


def _bed(variant: str, coordination: str) -> bed.Bed:
    names = [f'c{number}' for number in range(CLUSTERS)]
    return bursts.Bed(
        coordination=coordination,
        clusters={name: {'capacity': CAPACITY} for name in names},
        backend={'volume_driver': _DRIVERS[variant],
                 'lightbits_poll_interval': _NO_POLLING,
                 'lightbits_default_num_replicas': str(REPLICAS)})


def _fill(cluster: control.SimCluster, share: float) -> None:
    cluster.populate(_FILLERS, replicas=REPLICAS, size=int(
        CAPACITY * share / _FILLERS / REPLICAS) // 4096 * 4096)


def _fullness(running: bed.Bed) -> dict[str, float]:
    return {name: sum(int(item['size']) * item['replicaCount']
                      for item in cluster.state()['volumes']) / CAPACITY
            for name, cluster in running.clusters.items()}
