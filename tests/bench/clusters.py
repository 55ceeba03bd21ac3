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
"""What an operation costs in front of many clusters, and of dead ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
import dataclasses
import statistics
import time
from typing import Any

from cinder_lightbits_federation import timing
from tests.bench import environment as env
from tests.bench import report
from tests.bench import workload

OPERATIONS = ('create', 'attach', 'detach')
COUNT = 30

#: Seconds that a slow cluster takes to answer.
SLOW = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """A number of clusters, of which some are not well."""

    clusters: int
    dead: int = 0
    slow: int = 0

    @property
    def key(self) -> str:
        """For people and JSON."""
        told = [f'{self.clusters} clusters']
        told += [f'{self.dead} dead'] if self.dead else []
        told += [f'{self.slow} slow'] if self.slow else []
        return ', '.join(told)


CASES = (Case(1), Case(8), Case(32), Case(32, dead=2), Case(32, slow=1),
         Case(100), Case(100, dead=2))


@contextlib.contextmanager
def _driver(bench: env.Environment, case: Case) -> Iterator[Any]:
    """A driver in front of the first clusters, some of them not well."""
    names = sorted(bench.arrays)[:case.clusters]
    unwell = [bench.arrays[name] for name in names[:case.dead + case.slow]]
    with bench.driver(
            lightbits_clusters=','.join(names),
            lightbits_default_num_replicas=1) as driver:
        for array in unwell[:case.dead]:
            array.fault('blackhole')
        for array in unwell[case.dead:]:
            array.fault('slow', seconds=SLOW)
        try:
            # Placement has found out by then who does not answer.
            timing.pause(2)
            yield driver
        finally:
            for array in unwell:
                array.clear_faults()


def _milliseconds(call: Callable[[], Any]) -> float:
    started = time.monotonic()
    call()
    return (time.monotonic() - started) * 1000


def _once(bench: env.Environment, case: Case, type_id: str
          ) -> dict[str, float]:
    with _driver(bench, case) as driver:
        made = workload.Workload(bench, driver, type_id)
        figures = {}
        for name in OPERATIONS:
            steps = [workload.OPERATIONS[name](made)
                     for _number in range(COUNT)]
            done = workload.measure(steps, 1)
            figures[name] = statistics.median(done.seconds) * 1000
            figures[f'{name} CPU'] = done.cpu_each * 1000
        figures['statistics'] = _milliseconds(
            lambda: driver.get_volume_stats(refresh=True))
    return figures


def run(bench: env.Environment, quick: bool) -> dict[str, Any]:
    """:returns: milliseconds by case and operation, interleaved."""
    cases = [case for case in CASES if not quick or case.clusters <= 32]
    most = max(case.clusters for case in cases)
    found: dict[str, list[dict[str, float]]] = {
        case.key: [] for case in cases}
    with bench.clusters(*(f'c{number:03}' for number in range(most)),
                        nodes=1):
        type_id = bench.volume_type()
        _once(bench, cases[0], type_id)  # Loads code.
        for _number in range(bench.repetitions):
            for case in cases:
                found[case.key].append(_once(bench, case, type_id))
    return {key: {name: [one[name] for one in rows] for name in rows[0]}
            for key, rows in found.items()}


def show(figures: Mapping[str, Any]) -> str:
    """A row for each case."""
    names = list(next(iter(figures.values())))
    return report.table(
        ('case', *(f'{name} ms' for name in names)),
        [(key, *(report.spread(values[name]) for name in names))
         for key, values in figures.items()])
