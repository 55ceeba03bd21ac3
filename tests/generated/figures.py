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

"""Tables of what ``tools/bench.sh`` measured, from the figures it wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import json
import pathlib
import statistics
from typing import Any

from tests.bench import names
from tests.bench import policies
from tests.bench import report
from tests.generated import bounds

#: By the threads that the service had, the names of the files.
RUNS = {'eventlet': 'eventlet.json', 'native threads': 'threads.json'}

MISSING = 'These runs have no such figures.'

#: What was measured once, with the code before and after a change in turn.
CHANGES = 'changes.json'

Run = Mapping[str, Any]
Row = tuple[Any, ...]


def read(folder: pathlib.Path) -> dict[str, Run]:
    """:returns: the figures of each run that there are any of."""
    return {name: json.loads((folder / file).read_text(encoding='utf-8'))
            for name, file in RUNS.items() if (folder / file).exists()}


def _cases(run: Run, contender: str) -> dict[tuple[str, float, int], Run]:
    """The cases of one driver, by operation, delay and number in flight."""
    return {(one['operation'], one['delay'], one['in_flight']): one
            for one in run.get('operations', {}).values()
            if one['contender'] == contender}


def _pairs(run: Run) -> Iterator[tuple[tuple[str, float, int], Run, Run]]:
    """The cases that both drivers were measured in: ours, theirs."""
    theirs = _cases(run, names.IN_TREE)
    for key, one in _cases(run, names.OURS).items():
        yield key, one, theirs[key]


def _median(values: list[float]) -> str:
    return f'{statistics.median(values):.1f}'


def _operations(threads: str, run: Run) -> Iterator[Row]:
    for (operation, delay, flight), ours, theirs in _pairs(run):
        if not delay and flight == 1:
            yield (threads, operation,
                   _median(ours['p50_ms']), f'{ours["p99_ms"]:.1f}',
                   _median(theirs['p50_ms']), f'{theirs["p99_ms"]:.1f}',
                   report.ratio(theirs['p50_ms'], ours['p50_ms']))


def _costs(threads: str, run: Run) -> Iterator[Row]:
    for (operation, delay, flight), ours, theirs in _pairs(run):
        if not delay and flight == 1:
            yield (threads, operation, _median(ours['cpu_ms']),
                   _median(theirs['cpu_ms']),
                   report.ratio(theirs['cpu_ms'], ours['cpu_ms']),
                   f'{ours["simulator_cpu_ms"]:.1f}',
                   f'{theirs["simulator_cpu_ms"]:.1f}')


def _variants(threads: str, run: Run) -> Iterator[Row]:
    for name in (names.OURS, names.WITHOUT_SAVE, names.IN_TREE,
                 names.IN_TREE_VERIFYING):
        for operation in ('create', 'attach'):
            one = _cases(run, name).get((operation, 0.0, 1))
            if one is not None:
                yield (threads, operation, name,
                       report.spread(one['p50_ms']),
                       report.spread(one['cpu_ms']))


def _connections(threads: str, run: Run) -> Iterator[Row]:
    for (operation, delay, flight), ours, theirs in _pairs(run):
        if not delay and flight in (1, 64):
            yield (threads, operation, flight,
                   *(f'{one[what]:.2f}' for what in ('requests', 'tcp', 'tls')
                     for one in (ours, theirs)))


def _delays(threads: str, run: Run) -> Iterator[Row]:
    for (operation, delay, _flight), ours, theirs in _pairs(run):
        if delay:
            yield (threads, operation, f'{delay * 1000:.0f}',
                   report.spread(ours['p50_ms']),
                   report.spread(theirs['p50_ms']),
                   report.ratio(theirs['p50_ms'], ours['p50_ms']))


def _parallel(threads: str, run: Run) -> Iterator[Row]:
    for (operation, delay, flight), ours, theirs in _pairs(run):
        if not delay and (flight > 1 or (operation, 0.0, 64) in _cases(
                run, names.OURS)):
            yield (threads, operation, flight, _median(ours['rate']),
                   _median(theirs['rate']),
                   report.ratio(ours['rate'], theirs['rate']))


def _clusters(threads: str, run: Run) -> Iterator[Row]:
    for case, figures in run.get('clusters', {}).items():
        yield (threads, case, *(report.spread(values)
                                for values in figures.values()))


def _profiles(threads: str, run: Run) -> Iterator[Row]:
    for operation, one in run.get('profiles', {}).items():
        yield (threads, operation, f'{one["cpu_ms"]:.2f}',
               *(f'{share:.0f}' for share in one['shares'].values()))


def _machine(threads: str, run: Run) -> Iterator[Row]:
    found = run.get('machine')
    if found is not None:
        yield (threads, found['processor'], found['cores'],
               f'{found["load"]:.1f}', found['python'], found['cinder'],
               found['database'])


_MAKERS: Mapping[str, Callable[[str, Run], Iterator[Row]]] = {
    'operations': _operations, 'costs': _costs, 'variants': _variants,
    'connections': _connections, 'delays': _delays, 'parallel': _parallel,
    'clusters': _clusters, 'profiles': _profiles, 'machine': _machine}


def _table(name: str, header: Row, runs: Mapping[str, Run]) -> str:
    rows = [row for threads, run in runs.items()
            for row in _MAKERS[name](threads, run)]
    if not rows:
        return MISSING
    return report.table(('threads', *header), rows)


def _changes(path: pathlib.Path) -> str:
    found = json.loads(path.read_text(encoding='utf-8'))
    return report.table(('change', 'what', 'before', 'after'), [
        (one['change'], one['what'], report.spread(one['before']),
         report.spread(one['after'])) for one in found])


def _scale(runs: Mapping[str, Run]) -> str:
    parts = []
    for threads, run in runs.items():
        found = run.get('scale')
        if found is None:
            continue
        parts += [
            f'{threads.capitalize()}, {found["clusters"]} clusters:',
            report.growth(found['by_size'], 'volumes'),
            f'{threads.capitalize()}, {found["volumes"]:,} volumes:',
            report.growth(found['by_clusters'], 'clusters')]
    return '\n\n'.join(parts) or MISSING


def tables(folder: pathlib.Path) -> dict[pathlib.Path, str]:
    """:returns: parts of the page about performance, by path.

    :param folder: where the figures are, and the tables go.
    """
    runs = read(folder)
    shares: Run = next((
        one['shares'] for run in runs.values()
        for one in run.get('profiles', {}).values()), {})
    measured: Run = next((
        one for run in runs.values()
        for one in run.get('clusters', {}).values()), {})
    made = {name: _table(name, header, runs) for name, header in (
        ('operations', (
            'operation', 'ours p50', 'p99', 'in-tree p50', 'p99',
            'p50, in-tree : ours')),
        ('costs', (
            'operation', 'ours', 'in-tree', 'in-tree : ours',
            'simulator, ours', 'simulator, in-tree')),
        ('variants', ('operation', 'driver', 'p50 ms', 'CPU ms')),
        ('connections', (
            'operation', 'in flight', 'requests, ours', 'in-tree',
            'TCP, ours', 'in-tree', 'TLS, ours', 'in-tree')),
        ('delays', (
            'operation', 'delay ms', 'ours p50 ms', 'in-tree p50 ms',
            'in-tree : ours')),
        ('parallel', (
            'operation', 'in flight', 'ours per s', 'in-tree per s',
            'ours : in-tree')),
        ('clusters', ('clusters', *(f'{name} ms' for name in measured))),
        ('profiles', ('operation', 'CPU ms',
                      *(f'{name} %' for name in shares))),
        ('machine', ('processor', 'cores', 'load before', 'Python',
                     'Cinder', 'database')))}
    made['scale'] = _scale(runs)
    # It does not depend on the machine, nor on how threads are made.
    made['policies'] = next((policies.show(run['policies'])
                             for run in runs.values() if 'policies' in run),
                            MISSING)
    made['bounds'] = report.table(
        ('what', 'bound', *runs), bounds.rows(runs))
    made['changes'] = _changes(folder / CHANGES)
    return {folder / f'{name}.inc': f'{text}\n'
            for name, text in made.items()}
