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

"""How long a scrape of the exporter takes, with many clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import os
import pathlib
import re
import subprocess
import time
from typing import Any

import prometheus_client.parser
import requests

from tests.bench import environment as env
from tests.bench import report
from tests.bench import scale
from tests.embedded import command
from tests.embedded import waiting

CLUSTERS = 32
VOLUMES = 20_000
QUICK_VOLUMES = 3_200
SCRAPES = 50
QUICK_SCRAPES = 10

#: Seconds that any scrape may take, from the first one on.
LIMIT = 1.0
CASES = ('while it connects', 'during the first audit', 'afterwards')

#: Seconds until everything is known: the first audit reads all objects.
PATIENCE = 300.0

_SERVING = re.compile(r'^Serving on port (\d+)$', re.MULTILINE)
_CONNECTED = ('lightbits_cluster_connection', 'connected')


class _Exporter:
    """The command as a process of its own, and scrapes of it."""

    def __init__(self, folder: str) -> None:
        self._log = pathlib.Path(folder, 'exporter.log')
        with self._log.open('w', encoding='utf-8') as file:
            self._process = subprocess.Popen(
                command.federation(
                    ['--config-file', os.path.join(folder, 'cinder.conf')],
                    '--backend', env.BACKEND,
                    '--host', env.HOST.partition('@')[0],
                    'exporter', '--listen', '127.0.0.1:0'), stderr=file)
        self._session = requests.Session()
        self._address = ''

    def start(self) -> None:
        """Wait until it serves."""
        port = waiting.wait_for(self._port, 'the exporter', PATIENCE)
        self._address = f'http://127.0.0.1:{port}/metrics'

    def _port(self) -> str | None:
        told = self._log.read_text(encoding='utf-8')
        found = _SERVING.search(told)
        if found is None and self._process.poll() is not None:
            raise AssertionError(told)
        return found[1] if found else None

    def scrape(self) -> tuple[float, str]:
        """:returns: seconds from the request to the last byte; the page."""
        began = time.monotonic()
        reply = self._session.get(self._address, timeout=PATIENCE)
        took = time.monotonic() - began
        reply.raise_for_status()
        return took, reply.text

    def stop(self) -> None:
        """End the process."""
        self._session.close()
        self._process.terminate()
        self._process.wait()


@contextlib.contextmanager
def _exporter(folder: str) -> Iterator[_Exporter]:
    made = _Exporter(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def _sums(page: str) -> dict[str, float]:
    """:returns: clusters connected, volumes, and audits done."""
    found = {'connected': 0.0, 'volumes': 0.0, 'audits': 0.0, 'failed': 0.0}
    for family in prometheus_client.parser.text_string_to_metric_families(
            page):
        for sample in family.samples:
            name, state = _CONNECTED
            if sample.name == name and sample.labels[name] == state:
                found['connected'] += sample.value
            elif sample.name == 'lightbits_records':
                found['volumes'] += sample.value
            elif sample.name == 'lightbits_audit_timestamp_seconds':
                found['audits'] += 1
            elif sample.name == 'lightbits_exporter_source_up':
                found['failed'] += sample.value == 0
    return found


def _parts(page: str) -> dict[str, float]:
    """:returns: seconds that each source of a page took."""
    return {sample.labels['source']: sample.value for family in
            prometheus_client.parser.text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == 'lightbits_exporter_source_seconds'}


def _measure(exporter: _Exporter, volumes: int, number: int
             ) -> dict[str, Any]:
    found: dict[str, Any] = {case: [] for case in CASES}
    pages = []

    def scrape(case: str) -> dict[str, float]:
        seconds, page = exporter.scrape()
        found[case].append(seconds)
        pages.append((seconds, page))
        return _sums(page)

    connecting, auditing, afterwards = CASES
    waiting.wait_for(lambda: scrape(connecting)['connected'] == CLUSTERS,
                     'all clusters', PATIENCE)
    waiting.wait_for(lambda: scrape(auditing)['audits'] > 0,
                     'the first audit', PATIENCE)
    for _number in range(number):
        sums = scrape(afterwards)
    wanted = {'connected': CLUSTERS, 'volumes': volumes, 'audits': 1,
              'failed': 0}
    if sums != wanted:
        raise AssertionError(f'{sums} is served, not {wanted}')
    return {**found, 'KiB': max(len(page) for _seconds, page in pages) / 1024,
            'slowest': _parts(max(pages)[1])}


def run(bench: env.Environment, quick: bool) -> dict[str, Any]:
    """Scrape while the first audit goes on, and after it.

    :returns: seconds of each scrape, whether all were in time, and the size
        of the page.
    :raises AssertionError: the page has not all volumes and clusters.
    """
    volumes = QUICK_VOLUMES if quick else VOLUMES
    with bench.clusters(*(f'c{one:03}' for one in range(CLUSTERS)), nodes=1):
        scale.fill(bench, volumes, bench.volume_type())
        try:
            with (bench.driver(lightbits_default_num_replicas=1),
                  _exporter(bench.folder) as exporter):
                found = _measure(exporter, volumes,
                                 QUICK_SCRAPES if quick else SCRAPES)
        finally:
            scale.empty()
    return {'clusters': CLUSTERS, 'volumes': volumes, **found,
            'in time': all(max(found[case]) <= LIMIT for case in CASES)}


def show(figures: Mapping[str, Any]) -> str:
    """Milliseconds of the scrapes."""
    rows = [(case, len(figures[case]),
             report.spread([1000 * one for one in figures[case]]))
            for case in CASES]
    return (f'{figures["clusters"]} clusters, {figures["volumes"]} volumes, '
            f'{figures["KiB"]:.0f} KiB\n\n'
            + report.table(('scrapes', 'number', 'ms'), rows)
            + '\nthe slowest: ' + ', '.join(
                f'{name} {1000 * seconds:.0f} ms'
                for name, seconds in figures['slowest'].items())
            + ('' if figures['in time']
               else f'\nNOT all of them were within {LIMIT:g} s'))
