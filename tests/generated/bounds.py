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

"""What was to be reached, beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import dataclasses
import operator
import statistics
from typing import Any

from tests.bench import names
from tests.bench import report

Run = Mapping[str, Any]

#: State changes that an operation waits for, one after the other.
STEPS = {'create': 1, 'clone': 2, 'volume from snapshot': 1, 'snapshot': 1,
         'extend': 1, 'attach': 1, 'detach': 1}
HOT = ('create', 'attach', 'detach', 'snapshot')
PARALLEL = 64
MOST = '100000'


@dataclasses.dataclass(frozen=True, slots=True)
class Bound:
    """One line of the table.

    :param measure: returns what counts, of a run.
    :param holds: compares that with the limit.
    """

    what: str
    limit: float
    measure: Callable[[Run], float]
    holds: Callable[[float, float], bool] = operator.le
    unit: str = ''

    def row(self, runs: Mapping[str, Run]) -> tuple[str, ...]:
        """:returns: what, the bound, and the measurement of each run."""
        sign = '<=' if self.holds is operator.le else '>='
        return (self.what, f'{sign} {self.limit:g}{self.unit}',
                *(self._told(run) for run in runs.values()))

    def _told(self, run: Run) -> str:
        try:
            value = self.measure(run)
        except (KeyError, ValueError):
            return 'not measured'
        told = f'{value:.2f}{self.unit}'
        return told if self.holds(value, self.limit) else f'{told}, missed'


def _case(run: Run, operation: str, contender: str, delay: float = 0.0,
          in_flight: int = 1) -> Run:
    """:raises KeyError: this run has no such case."""
    for one in run['operations'].values():
        if (one['operation'], one['contender'], one['delay'],
                one['in_flight']) == (operation, contender, delay, in_flight):
            found: Run = one
            return found
    raise KeyError(operation)


def _better(operation: str, figure: str, in_flight: int = 1
            ) -> Callable[[Run], float]:
    """How many times ours is better: less of it, or more if it is a rate."""
    def measure(run: Run) -> float:
        ours, theirs = (_case(run, operation, name, 0.0, in_flight)[figure]
                        for name in (names.OURS, names.IN_TREE))
        if figure == 'rate':
            ours, theirs = theirs, ours
        return float(statistics.median(
            a / b for a, b in zip(theirs, ours, strict=True)))
    return measure


def _handshakes(run: Run) -> float:
    """The most of any operation that is alone."""
    return max(float(one['tls']) for one in run['operations'].values()
               if one['contender'] == names.OURS and one['in_flight'] == 1)


def _waits(run: Run) -> float:
    """The longest of all waits for a state, in delays."""
    return float(max(
        (statistics.median(one['p50_ms']) - statistics.median(
            _case(run, one['operation'], names.OURS)['p50_ms']))
        / 1000 / one['delay'] / STEPS[one['operation']]
        for one in run['operations'].values()
        if one['contender'] == names.OURS and one['delay']
        and one['operation'] in STEPS))


def _apart(many: str, few: str) -> Callable[[Run], float]:
    """The gap between the ranges of two cases; of all that was measured.

    :returns: how many times the least of `many` exceeds the most of `few`;
        up to 1 they overlap.
    """
    def measure(run: Run) -> float:
        found = run['clusters']
        return float(max(
            min(found[many][name]) / max(found[few][name])
            for name in HOT if name in found[many]))
    return measure


def _worst_growth(run: Run) -> float:
    found = run['scale']['by_size']
    numbers = [int(number) for number in found]
    steps = [name for name in found[MOST] if name.endswith(' s')]
    return max(report.exponent(numbers, [one[name] for one in found.values()])
               for name in steps)


def _bounds() -> Iterator[Bound]:
    for operation in HOT:
        yield Bound(f'{operation}, p50, in-tree : ours', 10,
                    _better(operation, 'p50_ms'), operator.ge)
    for operation in HOT:
        yield Bound(f'{operation}, CPU, in-tree : ours', 20,
                    _better(operation, 'cpu_ms'), operator.ge)
    for operation in HOT:
        yield Bound(f'{operation}, {PARALLEL} in flight, ours : in-tree', 10,
                    _better(operation, 'rate', PARALLEL), operator.ge)
    yield Bound('TLS handshakes of an operation', 0, _handshakes)
    yield Bound('waiting for a state, in delays', 1.25, _waits)
    yield Bound('100 clusters : 1, ranges apart', 1,
                _apart('100 clusters', '1 clusters'))
    yield Bound('2 dead of 32 : none, ranges apart', 1,
                _apart('32 clusters, 2 dead', '32 clusters'))
    yield Bound(
        'statistics, 100 clusters, 2 dead', 2,
        lambda run: max(run['clusters']['100 clusters, 2 dead'][
            'statistics']) / 1000, unit=' s')
    yield Bound('start, 100,000 volumes', 5,
                lambda run: run['scale']['by_size'][MOST]['start s'],
                unit=' s')
    yield Bound('audit, 100,000 volumes', 60,
                lambda run: run['scale']['by_size'][MOST]['audit s'],
                unit=' s')
    yield Bound('growth with volumes, exponent', 1.1, _worst_growth)


def rows(runs: Mapping[str, Run]) -> list[tuple[str, ...]]:
    """:returns: the rows of the table, a column for each run."""
    return [one.row(runs) for one in _bounds()]
