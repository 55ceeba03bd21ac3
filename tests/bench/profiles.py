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

"""Where the CPU time of an operation goes, by cProfile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import cProfile
import pstats
import time
from typing import Any

from tests.bench import environment as env
from tests.bench import report
from tests.bench import workload

OPERATIONS = ('create', 'snapshot', 'attach', 'detach')
COUNT = 100
QUICK_COUNT = 20

OTHER = 'the rest'

#: What a part of a file's path, or of a built-in's name, counts as.
COMPONENTS = {
    'this driver': ('cinder_lightbits_federation/',),
    'database': ('/sqlalchemy/', '/oslo_db/', '/cinder/db/', 'sqlite3',
                 '/pymysql/', '/cinder/objects/', '/oslo_versionedobjects/'),
    'HTTP, TLS': ('/urllib3/', '/http/', '/email/', '/ssl.py', '_ssl.'),
    # Of connections to clusters and to the database alike.
    'sockets': ('/socket.py', '_socket.'),
    'JSON': ('/json/', '_json.'),
    'logging': ('/logging/', '/oslo_log/'),
    'locks': ('/tooz/', '/fasteners/', '/threading.py')}

#: File, line and name of a function, as `pstats` has them.
Function = tuple[str, int, str]


def component(function: Function) -> str:
    """:returns: one of `COMPONENTS`, or `OTHER`."""
    file, _line, name = function
    place = f'{file} {name}'.replace('\\', '/')
    for found, parts in COMPONENTS.items():
        if any(part in place for part in parts):
            return found
    return OTHER


def _owned(stats: Mapping[Function, Any]) -> Iterator[tuple[str, float]]:
    """The time of each function itself, and whose it is.

    What nobody else claims counts for whoever called it.
    """
    for function, (_calls, _all, own, _total, callers) in stats.items():
        mine = component(function)
        if mine != OTHER or not callers:
            yield mine, own
            continue
        for caller, (_calls, _all, part, _total) in callers.items():
            yield component(caller), part


def shares(profile: cProfile.Profile) -> dict[str, float]:
    """:returns: percent of the time by component."""
    found = dict.fromkeys([*COMPONENTS, OTHER], 0.0)
    # Known to lack in the stubs.
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for name, seconds in _owned(stats):
        found[name] += seconds
    total = sum(found.values())
    return {name: 100 * value / total for name, value in found.items()}


def _cpu(steps: Sequence[workload.Step]) -> float:
    """:returns: CPU milliseconds of this thread for one step."""
    began = time.thread_time()
    for step in steps:
        step()
    return (time.thread_time() - began) * 1000 / len(steps)


def _measure(made: workload.Workload, name: str, count: int
             ) -> dict[str, Any]:
    prepare = workload.OPERATIONS[name]
    _cpu([prepare(made) for _number in range(3)])  # Loads code.
    plain = _cpu([prepare(made) for _number in range(count)])
    steps = [prepare(made) for _number in range(count)]
    profile = cProfile.Profile(time.thread_time)
    profile.runcall(_cpu, steps)
    return {'cpu_ms': plain, 'shares': shares(profile)}


def run(bench: env.Environment, quick: bool) -> dict[str, Any]:
    """:returns: CPU time without a profiler, and shares with one."""
    with bench.clusters('east'), bench.driver() as driver:
        made = workload.Workload(bench, driver, bench.volume_type())
        return {name: _measure(made, name, QUICK_COUNT if quick else COUNT)
                for name in OPERATIONS}


def show(figures: Mapping[str, Any]) -> str:
    """A row for each operation."""
    names = [*COMPONENTS, OTHER]
    return report.table(
        ('operation', 'CPU ms', *(f'{name} %' for name in names)),
        [(operation, f'{one["cpu_ms"]:.2f}',
          *(f'{one["shares"][name]:.0f}' for name in names))
         for operation, one in figures.items()])
