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

"""What a cluster that swallows everything costs the others."""

from __future__ import annotations

import statistics
import time
from typing import Any

from cinder_lightbits_federation import placer
from cinder_lightbits_federation import timing
from tests.bench import environment as env

REPETITIONS = 5
CREATES = 40
CLUSTERS = ('east', 'west', 'north')


def _milliseconds(call: Any) -> float:
    started = time.monotonic()
    call()
    return (time.monotonic() - started) * 1000


def _create(bench: env.Environment, driver: Any) -> float:
    """:returns: time of one create in milliseconds."""
    volume = bench.volume()
    return _milliseconds(
        lambda: env.saved(volume, driver.create_volume(volume)))


def _creates(bench: env.Environment, driver: Any) -> float:
    """:returns: median time of a create in milliseconds."""
    return statistics.median(_create(bench, driver)
                             for _number in range(CREATES))


def _once(bench: env.Environment, hole: bool) -> dict[str, float]:
    """Start a driver, create, and read the statistics."""
    north = bench.arrays['north']
    if hole:
        north.fault('blackhole')
    driver = bench.build_driver()
    try:
        start = _milliseconds(lambda: driver.do_setup(bench.context))
        create = _creates(bench, driver)
        stats = _milliseconds(lambda: driver.get_volume_stats(refresh=True))
    finally:
        driver.tear_down()
        north.clear_faults()
    return {'start_ms': start, 'create_ms': create, 'stats_ms': stats}


def _died_running(bench: env.Environment) -> dict[str, float]:
    """A cluster that goes silent while the driver runs: worst cases."""
    with bench.driver() as driver:
        bench.arrays['north'].fault('blackhole')
        # Until then statistics count as fresh, and a create sent to the
        # cluster just as it dies has an outcome that nobody can know.
        timing.pause(placer.FRESH)
        try:
            stats = _milliseconds(
                lambda: driver.get_volume_stats(refresh=True))
            slowest = max(_create(bench, driver)
                          for _number in range(CREATES))
        finally:
            bench.arrays['north'].clear_faults()
    return {'stats_ms': stats, 'slowest_create_ms': slowest}


def run(bench: env.Environment, quick: bool) -> dict[str, Any]:
    """:returns: figures of interleaved repetitions, with and without."""
    found: dict[str, list[dict[str, float]]] = {'undisturbed': [],
                                                'one black hole': []}
    with bench.clusters(*CLUSTERS):
        _once(bench, False)  # Warm: imports, certificates, database.
        for _number in range(3 if quick else REPETITIONS):
            found['undisturbed'].append(_once(bench, False))
            found['one black hole'].append(_once(bench, True))
        died = _died_running(bench)
    figures = {case: {key: [one[key] for one in rows] for key in rows[0]}
               for case, rows in found.items()}
    ratio = (statistics.median(figures['one black hole']['create_ms'])
             / statistics.median(figures['undisturbed']['create_ms']))
    return {**figures, 'create_ratio': ratio,
            'goes silent while running': died}
