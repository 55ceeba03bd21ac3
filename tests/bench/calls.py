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

"""REST calls and TLS handshakes of each operation, counted by the array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import dataclasses
from typing import Any

from tests.bench import environment as env

# Routes that look after a cluster as a whole; they are shared by all
# operations of a second and counted apart.
STATISTICS = frozenset({'cluster', 'nodes', 'projects.list',
                        'policies.list', 'clusterinfo'})


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What one operation cost."""

    operation: str
    calls: int
    statistics: int
    connections: int
    handshakes: int
    routes: str


def _operations(bench: env.Environment, driver: Any
                ) -> Iterator[tuple[str, Callable[[], Any]]]:
    volume = bench.volume()
    yield 'create', lambda: env.saved(volume, driver.create_volume(volume))
    snapshot = bench.snapshot(volume)
    yield 'snapshot', lambda: env.saved(snapshot,
                                        driver.create_snapshot(snapshot))
    copy = bench.volume()
    yield 'volume from snapshot', lambda: env.saved(
        copy, driver.create_volume_from_snapshot(copy, snapshot))
    clone = bench.volume()
    yield 'clone', lambda: env.saved(
        clone, driver.create_cloned_volume(clone, volume))
    yield 'extend', lambda: driver.extend_volume(volume, 2)
    host = env.connector(1)
    yield 'attach', lambda: driver.initialize_connection(volume, host)
    bench.attachment(volume, host)
    yield 'attach again', lambda: driver.initialize_connection(volume, host)
    yield 'detach', lambda: driver.terminate_connection(volume, host,
                                                        force=False)
    yield 'delete snapshot', lambda: driver.delete_snapshot(snapshot)
    yield 'delete', lambda: driver.delete_volume(volume)
    yield 'statistics', lambda: driver.get_volume_stats(refresh=True)


def measure(bench: env.Environment, delay: float) -> list[Cost]:
    """Count for one cluster whose state changes take `delay` seconds."""
    with bench.clusters('east') as arrays:
        array = arrays['east']
        array.set_delays(create=delay, update=delay, snapshot_create=delay)
        with bench.driver(lightbits_poll_interval=600) as driver:
            for _name, call in _operations(bench, driver):
                call()  # Learns how long this cluster usually takes.
            return [_cost(name, call, array)
                    for name, call in _operations(bench, driver)]


def _cost(name: str, call: Callable[[], Any], array: Any) -> Cost:
    array.reset_counters()
    call()
    counted = array.counters()
    routes = {route: number for route, number in counted.requests.items()
              if number}
    shared = sum(number for route, number in routes.items()
                 if route in STATISTICS)
    own = {route: number for route, number in routes.items()
           if route not in STATISTICS}
    return Cost(name, sum(own.values()), shared, counted.tcp, counted.tls,
                ', '.join(f'{number} {route}'
                          for route, number in sorted(own.items())))


def run(bench: env.Environment, quick: bool) -> dict[str, Any]:
    del quick  # Counting is quick.
    """:returns: costs with instant and with asynchronous state changes."""
    return {case: [dataclasses.asdict(one) for one in measure(bench, delay)]
            for case, delay in (('instant', 0.0),
                                ('asynchronous, 50 ms', 0.05))}
