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
"""Parallel creates through three services, beside the in-tree driver."""

from __future__ import annotations

from collections.abc import Mapping
import statistics
from typing import Any

from tests.bench import bursts
from tests.bench import environment as env
from tests.bench import report
from tests.embedded import federation
from tests.embedded import waiting
from tests.simulator import control
from tests.stack import bed
from tests.stack import settings

CREATES = 64
QUICK_CREATES = 16
REPETITIONS = 5
REPLICAS = 3
OURS, THEIRS = 'this driver', 'in-tree driver'

_CLUSTER = 'east'
_THEIRS = 'lightos'
_BACKENDS = {OURS: federation.BACKEND, THEIRS: _THEIRS}
# It can be told one port, so it talks to one node; it verifies certificates
# by their host name, which those of an array do not have. This one does not
# ask the host for an NQN at its start.
_CONFIG = f"""
[DEFAULT]
enabled_backends = {federation.BACKEND},{_THEIRS}

[{_THEIRS}]
volume_driver = tests.functional.in_tree.InTreeDriver
volume_backend_name = {_THEIRS}
lightos_api_address = {{address}}
lightos_api_port = {{port}}
lightos_jwt = {{token}}
lightos_default_num_replicas = {REPLICAS}
driver_ssl_cert_verify = False
"""


class _Bed(bursts.Bed):
    """The same cluster behind two drivers."""

    def __init__(self) -> None:
        super().__init__(
            clusters={_CLUSTER: {}},
            backend={'lightbits_default_num_replicas': str(REPLICAS)})

    def _config(self) -> str:
        return super()._config() + _theirs(self.clusters[_CLUSTER])


def _theirs(cluster: control.SimCluster) -> str:
    address, _, port = cluster.api_endpoints[0].rpartition(':')
    return _CONFIG.format(address=address, port=port,
                          token=cluster.token())


def run(_bench: env.Environment, quick: bool = False) -> dict[str, Any]:
    """:returns: figures of interleaved repetitions, and their ratios."""
    found: dict[str, list[dict[str, float]]] = {OURS: [], THEIRS: []}
    creates = QUICK_CREATES if quick else CREATES
    with _Bed() as running:
        running.stack.start()
        _make_types(running)
        for driver in found:
            _measure(running, driver, creates)  # Warm.
        for _number in range(1 if quick else REPETITIONS):
            for driver, rows in found.items():
                rows.append(_measure(running, driver, creates))
        running.stack.stop()
    figures = {driver: {key: [one[key] for one in rows] for key in rows[0]}
               for driver, rows in found.items()}
    return {**figures, 'ratios': {
        key: (statistics.median(figures[OURS][key])
              / statistics.median(figures[THEIRS][key]))
        for key in figures[OURS]}}


def show(figures: Mapping[str, Any]) -> str:
    """Throughput and times of creates with two drivers."""
    rows = [(driver, *(f'{statistics.median(values):.2f} '
                       f'({min(values):.2f} to {max(values):.2f})'
                       for values in figures[driver].values()))
            for driver in (OURS, THEIRS)]
    return report.table(
        ('driver', 'volumes per second', 'median s', 'p99 s'), [
            *rows, ('ratio', *(f'{value:.2f}' for value
                               in figures['ratios'].values()))])


def _make_types(running: bed.Bed) -> None:
    sdk = running.stack.sdk()
    for driver, backend in _BACKENDS.items():
        sdk.create_type(name=driver,
                        extra_specs={'volume_backend_name': backend})
    waiting.wait_for(
        lambda: len([item for item in sdk.services(binary='cinder-volume')
                     if item.state == 'up'])
        == len(settings.HOSTS) * len(_BACKENDS), 'both backends', 60)
    waiting.wait_for(lambda: len(list(sdk.backend_pools())) == len(_BACKENDS),
                     'both pools', 60)


def _measure(running: bed.Bed, driver: str, creates: int
             ) -> dict[str, float]:
    burst = bursts.create(running.stack, [1] * creates, driver)
    bursts.delete_all(running.stack)
    times = statistics.quantiles(burst.each, n=100, method='inclusive')
    return {'volumes_per_second': creates / burst.all_made,
            'median_s': times[49], 'p99_s': times[98]}
