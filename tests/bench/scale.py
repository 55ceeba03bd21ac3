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
"""Many clusters with many volumes: what grows, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import gc
import math
import statistics
import time
from typing import Any

from cinder import objects
import psutil
import sqlalchemy as sa

from cinder_lightbits_federation.audit.arrays import Arrays
from cinder_lightbits_federation.audit.collect import Auditor
from cinder_lightbits_federation.audit.database import Database
from cinder_lightbits_federation.audit.database import model_of
from cinder_lightbits_federation.audit.database import writing
from cinder_lightbits_federation.exporter import books
from tests.bench import environment as env
from tests.bench import report

CLUSTERS = 100
SIZES = (1_000, 10_000, 100_000)
QUICK_CLUSTERS = 10
QUICK_SIZES = (100, 1_000, 5_000)

#: A page of the manageable list, as Cinder's API asks for it.
PAGE = 1000

MIB = 1 << 20

#: Rows that are written at once.
_ROWS = 5_000


class _Timer:
    """Takes the time and the growth of memory of steps."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self._process = psutil.Process()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Seconds and MiB of what happens inside."""
        gc.collect()
        before = self._process.memory_info().rss
        began = time.monotonic()
        yield
        self.figures[f'{name} s'] = time.monotonic() - began
        self.figures[f'{name} MiB'] = max(
            0, self._process.memory_info().rss - before) / MIB


def _prefix(number: int) -> str:
    """Names that the simulator completes to those of Cinder's volumes."""
    return f'volume-00000000-0000-4000-8{number:03x}-00000'


def fill(bench: env.Environment, volumes: int, type_id: str) -> None:
    """Put volumes on all clusters evenly, and their records in Cinder's."""
    each = volumes // len(bench.arrays)
    for number, array in enumerate(bench.arrays.values()):
        array.populate(each, prefix=_prefix(number), replicas=1)
        rows = [{
            'id': item['name'].removeprefix('volume-'), 'host': env.HOST,
            'size': 1, 'status': 'available', 'attach_status': 'detached',
            'volume_type_id': type_id, 'project_id': 'bench',
            'user_id': 'bench', 'availability_zone': 'nova',
            'use_quota': True, 'deleted': False,
            'provider_id': f'default {item["UUID"]}',
            'provider_location':
                f'lbf1:{array.uuid}:{item["name"].removeprefix("volume-")}:'
                f'{item["UUID"]}:-:default'}
            for item in array.state()['volumes']]
        for start in range(0, len(rows), _ROWS):
            with writing() as session:
                session.execute(sa.insert(model_of('Volume').__table__),
                                rows[start:start + _ROWS])


def empty() -> None:
    with writing() as session:
        session.execute(sa.delete(model_of('Volume').__table__))


def _records(bench: env.Environment) -> Sequence[Any]:
    """What Cinder itself loads at its start; not counted as ours."""
    found: Sequence[Any] = objects.VolumeList.get_all_by_host(
        bench.context, env.HOST)
    return found


def _measure(bench: env.Environment) -> dict[str, float]:
    timer = _Timer()
    driver = bench.build_driver(lightbits_default_num_replicas=1)
    known = _records(bench)
    with timer.step('start'):
        driver.do_setup(bench.context)
        driver.update_provider_info(known, [])
    try:
        with timer.step('statistics'):
            driver.get_volume_stats(refresh=True)
        with timer.step('manageable'):
            driver.get_manageable_volumes(known, None, PAGE, 0, ['size'],
                                          ['asc'])
        del known
        federation = driver.federation
        with timer.step('audit'):
            found = Auditor(
                Arrays(federation.registry, ['default']),
                Database(env.HOST.partition('#')[0], None),
                federation.owner, settle=0).run()
        if not found.clean:
            raise AssertionError(found.findings[:3])
        with timer.step('exporter'):
            list(books.records({'volume': books.tallies(
                'Volume', env.HOST.partition('#')[0], None)}, {}))
    finally:
        driver.tear_down()
    return timer.figures


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Fit ``value = c x size ** e`` by least squares of the logarithms.

    :returns: e; 1 is linear.
    """
    found = statistics.linear_regression(
        [math.log(size) for size in sizes],
        [math.log(max(value, 1e-6)) for value in values])
    return found.slope


def run(bench: env.Environment, quick: bool) -> dict[str, Any]:
    """:returns: seconds and MiB of each step by number of volumes."""
    number = QUICK_CLUSTERS if quick else CLUSTERS
    found: dict[str, Any] = {'clusters': number, 'sizes': {}}
    type_id = bench.volume_type()
    for size in QUICK_SIZES if quick else SIZES:
        with bench.clusters(*(f'c{one:03}' for one in range(number)),
                            nodes=1):
            fill(bench, size, type_id)
            found['sizes'][size] = _measure(bench)
            empty()
    return found


def show(figures: Mapping[str, Any]) -> str:
    """A row for each step, with how it grows."""
    sizes = figures['sizes']
    names = list(next(iter(sizes.values())))
    numbers = [int(size) for size in sizes]

    each: Callable[[float], str] = '{:.2f}'.format

    def grows(name: str) -> str:
        if not name.endswith(' s'):
            return ''
        return each(exponent(numbers, [one[name] for one in sizes.values()]))

    return f'{figures["clusters"]} clusters\n\n' + report.table(
        ('step', *(f'{size} volumes' for size in sizes), 'exponent'),
        [(name, *(each(one[name]) for one in sizes.values()), grows(name))
         for name in names])
