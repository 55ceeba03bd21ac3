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

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import gc
import time
import tracemalloc
from typing import Any

from cinder import objects
import sqlalchemy as sa

from cinder_lightbits_federation.audit.arrays import Arrays
from cinder_lightbits_federation.audit.collect import Auditor
from cinder_lightbits_federation.audit.database import Database
from cinder_lightbits_federation.cinderdb import model_of
from cinder_lightbits_federation.cinderdb import writing
from cinder_lightbits_federation.exporter import books
from tests.bench import environment as env
from tests.bench import report

CLUSTERS = 100
SIZES = (1_000, 10_000, 100_000)
QUICK_CLUSTERS = 10
QUICK_SIZES = (100, 1_000, 5_000)

#: How many clusters the middle one of the sizes is put on, besides.
SPREADS = (1, 10)

#: A page of the manageable list, as Cinder's API asks for it.
PAGE = 1000

MIB = 1 << 20

#: Rows that are written at once.
_ROWS = 5_000


class _Timer:
    """Takes the time of steps."""

    unit = 's'

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Seconds of what happens inside."""
        gc.collect()
        began = time.monotonic()
        yield
        self.figures[f'{name} {self.unit}'] = time.monotonic() - began


class _Scale(_Timer):
    """Weighs steps: the most that is allocated at once, by Python itself."""

    unit = 'MiB'

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """MiB at the worst moment of what happens inside.

        Slows it down several times.
        """
        gc.collect()
        tracemalloc.start()
        try:
            yield
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.figures[f'{name} {self.unit}'] = peak / MIB


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


def _measure(bench: env.Environment, timer: _Timer) -> dict[str, float]:
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


def run(bench: env.Environment, quick: bool) -> dict[str, Any]:
    """:returns: seconds and MiB of each step.

    By the number of volumes on all clusters, and by the number of clusters
    that share one number of volumes.
    """
    most = QUICK_CLUSTERS if quick else CLUSTERS
    sizes = QUICK_SIZES if quick else SIZES
    by_size = {size: _filled(bench, most, size) for size in sizes}
    by_clusters = {number: _filled(bench, number, sizes[1])
                   for number in SPREADS if number < most}
    return {'clusters': most, 'volumes': sizes[1], 'by_size': by_size,
            'by_clusters': {**by_clusters, most: by_size[sizes[1]]}}


def _filled(bench: env.Environment, clusters: int, volumes: int
            ) -> dict[str, float]:
    """Measure with so many volumes on so many clusters."""
    with bench.clusters(*(f'c{one:03}' for one in range(clusters)), nodes=1):
        fill(bench, volumes, bench.volume_type())
        figures = {**_measure(bench, _Timer()), **_measure(bench, _Scale())}
        empty()
    return figures


def show(figures: Mapping[str, Any]) -> str:
    """A row for each step, with how it grows."""
    return (f'{figures["clusters"]} clusters\n\n'
            + report.growth(figures['by_size'], 'volumes')
            + f'\n\n{figures["volumes"]} volumes\n\n'
            + report.growth(figures['by_clusters'], 'clusters'))
