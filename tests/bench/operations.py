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

"""What an operation costs, beside Cinder's driver for one cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import statistics
from typing import Any

import psutil

from tests.bench import contenders
from tests.bench import environment as env
from tests.bench import names
from tests.bench import report
from tests.bench import workload

DELAYS = (0.0, 0.05, 0.2)
IN_FLIGHT = (1, 8, 16, 64)

#: Seconds; so that all the creates of the warm-up are under way at once.
WARM_UP_DELAY = 0.5

#: Operations whose costs with and without verification are compared.
VERIFIED = ('create', 'attach')

#: Operations that are measured with several in flight.
PARALLEL = ('create', 'attach', 'detach', 'snapshot')


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One cell of the tables.

    :param count: how many operations make a repetition.
    """

    operation: str
    delay: float
    in_flight: int
    contender: str
    count: int

    @property
    def key(self) -> str:
        """For people and JSON."""
        return (f'{self.operation} | {self.contender} | '
                f'{self.delay * 1000:.0f} ms | {self.in_flight} in flight')


def _count(contender: str, delay: float, in_flight: int) -> int:
    """Enough for a spread, few enough for a driver that polls by seconds."""
    if contender.startswith(names.OURS):
        return 10 if delay else max(20, 2 * in_flight)
    return max(3 if delay else 6, in_flight)


def cases(quick: bool) -> Iterator[Case]:
    """All that is measured."""
    both = (names.OURS, names.IN_TREE)
    for operation in workload.OPERATIONS:
        drivers: tuple[str, ...] = both
        if operation in VERIFIED:
            drivers = (*both, names.WITHOUT_SAVE,
                       names.IN_TREE_VERIFYING)
        for name in drivers:
            yield Case(operation, 0.0, 1, name, _count(name, 0, 1))
    for delay in () if quick else DELAYS[1:]:
        for operation in workload.OPERATIONS:
            for name in both:
                yield Case(operation, delay, 1, name, _count(name, delay, 1))
    for in_flight in IN_FLIGHT[-1:] if quick else IN_FLIGHT[1:]:
        for operation in PARALLEL[:1] if quick else PARALLEL:
            for name in both:
                yield Case(operation, 0.0, in_flight, name,
                           _count(name, 0, in_flight))


@dataclasses.dataclass(slots=True)
class _Track:
    """The repetitions of one case."""

    runs: list[workload.Measured] = dataclasses.field(default_factory=list)
    simulator: list[float] = dataclasses.field(default_factory=list)
    requests: list[float] = dataclasses.field(default_factory=list)
    tcp: list[float] = dataclasses.field(default_factory=list)
    tls: list[float] = dataclasses.field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        medians = [statistics.median(run.seconds) for run in self.runs]
        every = sorted(one for run in self.runs for one in run.seconds)
        return {
            'p50_ms': [one * 1000 for one in medians],
            'p99_ms': every[min(len(every) - 1,
                                int(len(every) * 0.99))] * 1000,
            'cpu_ms': [run.cpu_each * 1000 for run in self.runs],
            'rate': [run.rate for run in self.runs],
            'simulator_cpu_ms': statistics.median(self.simulator) * 1000,
            'requests': statistics.median(self.requests),
            'tcp': statistics.median(self.tcp),
            'tls': statistics.median(self.tls)}


def _delay(array: Any, seconds: float) -> None:
    array.set_delays(create=seconds, update=seconds, snapshot_create=seconds)


def _once(case: Case, bench: env.Environment, driver: Any, type_id: str,
          track: _Track) -> None:
    array = bench.arrays['east']
    # Ours learns how long the cluster takes from all that it does.
    learns = case.contender.startswith(names.OURS)
    _delay(array, case.delay if learns else 0.0)
    prepare = workload.OPERATIONS[case.operation]
    made = workload.Workload(bench, driver, type_id)
    steps = [prepare(made) for _number in range(case.count)]
    _delay(array, case.delay)
    array.reset_counters()
    process = psutil.Process(bench.simulator.pid)
    before = sum(process.cpu_times()[:2])
    with contextlib.ExitStack() as stack:
        if case.contender == names.WITHOUT_SAVE:
            stack.enter_context(contenders.unsaved())
        track.runs.append(workload.measure(steps, case.in_flight))
    track.simulator.append(
        (sum(process.cpu_times()[:2]) - before) / case.count)
    counted = array.counters()
    track.requests.append(sum(counted.requests.values()) / case.count)
    track.tcp.append(counted.tcp / case.count)
    track.tls.append(counted.tls / case.count)


def run(bench: env.Environment, quick: bool) -> dict[str, Any]:
    """:returns: figures by case, of interleaved repetitions."""
    found: dict[Case, _Track] = {}
    for delay in DELAYS:
        found |= _alike(bench, [case for case in cases(quick)
                                if case.delay == delay])
    return {case.key: {**dataclasses.asdict(case), **track.figures()}
            for case, track in found.items()}


def _alike(bench: env.Environment, chosen: Sequence[Case]
           ) -> dict[Case, _Track]:
    """Measure cases of one delay, on a cluster that never had another."""
    found = {case: _Track() for case in chosen}
    if not found:
        return found
    with bench.clusters('east'), contenders.all_of(bench, 'east') as drivers:
        drivers[names.WITHOUT_SAVE] = drivers[names.OURS]
        type_id = bench.volume_type(compression='False')
        # The first of all loads code and learns how long the cluster takes.
        for case in found:
            if case.in_flight == 1:
                _once(dataclasses.replace(case, count=2), bench,
                      drivers[case.contender], type_id, _Track())
        if any(case.in_flight > 1 for case in found):
            # As many connections as are ever needed at once.
            _once(Case('create', WARM_UP_DELAY, IN_FLIGHT[-1], names.OURS,
                       IN_FLIGHT[-1]), bench, drivers[names.OURS], type_id,
                  _Track())
        for _number in range(bench.repetitions):
            for case, track in found.items():
                _once(case, bench, drivers[case.contender], type_id, track)
    return found


def _rows(figures: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    by_case = {(one['operation'], one['delay'], one['in_flight'],
                one['contender']): one for one in figures.values()}
    for (operation, delay, flight, name), theirs in by_case.items():
        if not name.startswith(names.IN_TREE):
            continue
        ours = by_case[operation, delay, flight, names.OURS]
        yield (operation, f'{delay * 1000:.0f} ms', flight,
               'yes' if name == names.IN_TREE_VERIFYING else 'no',
               f'{statistics.median(ours["p50_ms"]):.1f}',
               f'{ours["p99_ms"]:.1f}',
               f'{statistics.median(theirs["p50_ms"]):.1f}',
               f'{theirs["p99_ms"]:.1f}',
               report.ratio(theirs['p50_ms'], ours['p50_ms']),
               report.ratio(theirs['cpu_ms'], ours['cpu_ms']),
               report.ratio(ours['rate'], theirs['rate']))


def show(figures: Mapping[str, Any]) -> str:
    """Ours beside the in-tree driver; ratios above 1 are in our favour."""
    header = ('operation', 'state delay', 'in flight', 'in-tree verifies',
              'ours p50 ms', 'p99', 'in-tree p50 ms', 'p99',
              'p50 ratio', 'CPU ratio', 'throughput ratio')
    costs = [(one['operation'], one['contender'],
              f'{statistics.median(one["cpu_ms"]):.2f}',
              f'{one["simulator_cpu_ms"]:.2f}',
              f'{one["requests"]:.2f}', f'{one["tls"]:.2f}')
             for one in figures.values()
             if one['in_flight'] == 1 and not one['delay']]
    return (report.table(header, list(_rows(figures))) + '\n\n'
            + report.table(('operation', 'driver', 'CPU ms',
                            "simulator's CPU ms",
                            'requests', 'TLS handshakes'), costs))
