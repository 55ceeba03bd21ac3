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
"""The exporter as a process, and what Prometheus and Grafana make of it."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import time
from typing import Any
import urllib.parse
import uuid as uuidlib

import fixtures
from grafana_foundation_sdk.models import dashboard
from oslotest import base
from prometheus_client import parser
import requests
from testtools import matchers

from tests.embedded import command
from tests.embedded import federation
from tests.embedded import standalone
from tests.simulator.control import Simulator
from tests.stack import ports
from tests.stack import programs

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / 'etc' / 'prometheus' / 'lightbits-federation.rules.yaml'
RULE_TESTS = ROOT / 'etc' / 'prometheus' / 'lightbits-federation.tests.yaml'
DASHBOARD = ROOT / 'etc' / 'grafana' / 'lightbits-federation.json'

# The exporter's audits leave the processor to everything else.
PATIENCE = 200

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def figures(address: str) -> Figures:
    """:returns: what is served, by name and labels."""
    text = requests.get(address, timeout=PATIENCE).text
    return {(sample.name, frozenset(sample.labels.items())): sample.value
            for family in parser.text_string_to_metric_families(text)
            for sample in family.samples}


class ObservedTestCase(base.BaseTestCase):
    """An exporter over simulated clusters and a database of Cinder's."""

    names: tuple[str, ...] = ('east', 'west')
    interval = 1

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        prefix = os.path.basename(self.folder).replace('_', '-')
        self.arrays = {
            name: self.add_array(f'{prefix}-{name}')
            for name in self.names}
        for array in self.arrays.values():
            self.addCleanup(array.remove)
        self.config = standalone.Standalone(
            pathlib.Path(self.folder), self.arrays, {
                'lightbits_default_num_replicas': '1',
                'lightbits_poll_interval': str(self.interval)},
            self.sections())
        self.config.make_tables()

    def sections(self) -> list[federation.Section]:
        """What else is in the configuration."""
        return []

    def add_array(self, name: str) -> Any:
        """Make a simulated cluster."""
        return Simulator.shared().add_cluster(name, nodes=1)

    def volumes(self, name: str, number: int, status: str = 'available'
                ) -> None:
        """Write records of volumes on a cluster."""
        place = f'lbf1:{self.arrays[name].uuid}'
        made = [str(uuidlib.uuid4()) for _number in range(number)]
        database = sqlite3.connect(self.config.database)
        with database:
            database.executemany(
                'insert into volumes (id, host, status, size, deleted, '
                'volume_type_id, provider_location, use_quota) '
                "values (?, 'stor1@lightbits#federation', ?, 1, 0, "
                '(select id from volume_types limit 1), ?, 1)',
                [(one, status, f'{place}:{one}:{one}:-:default')
                 for one in made])
        database.close()

    def exporter(self, *argv: str) -> subprocess.Popen[str]:
        """Start an exporter and wait until it serves."""
        process = subprocess.Popen(
            command.federation(
                self.config.arguments, 'exporter', '--listen', '127.0.0.1:0',
                '--audit-interval', '600', *argv),
            stderr=subprocess.PIPE, text=True)
        self.addCleanup(self._reap, process)
        assert process.stderr is not None
        line = process.stderr.readline()
        while line and not line.startswith('Serving on port'):
            line = process.stderr.readline()
        port = line.split()[-1]
        self.address = f'http://127.0.0.1:{port}/metrics'
        return process

    @staticmethod
    def _reap(process: subprocess.Popen[str]) -> None:
        process.kill()
        process.communicate()

    def until(self, name: str, labels: dict[str, str], wanted: float
              ) -> Figures:
        """Scrape until a figure is as wanted."""
        key = name, frozenset(labels.items())
        limit = time.monotonic() + PATIENCE
        while True:
            found = figures(self.address)
            if found.get(key) == wanted:
                return found
            if time.monotonic() > limit:
                self.fail(f'{key} is {found.get(key)}, not {wanted}')
            time.sleep(0.2)


class ExporterTest(ObservedTestCase):

    def connection(self, cluster: str, state: str) -> dict[str, str]:
        """:returns: labels of the state of a connection."""
        return {'cluster': cluster, 'lightbits_cluster_connection': state}

    def test_a_life(self) -> None:
        self.volumes('east', 3)
        self.volumes('west', 2, 'error')
        # One audit may find a cluster silent; then another has to follow.
        process = self.exporter('--audit-interval', '1')

        self.until('lightbits_cluster_connection',
                   self.connection('east', 'connected'), 1)
        found = self.until('lightbits_audit_findings', {
            'severity': 'error', 'kind': 'record-without-object'}, 3)
        for cluster, status, number in (('east', 'available', 3),
                                        ('west', 'error', 2)):
            self.assertEqual(number, found[
                'lightbits_records', frozenset({
                    'cluster': cluster, 'resource': 'volume',
                    'status': status}.items())])
        for source in ('clusters', 'records', 'services', 'audit'):
            self.assertEqual(1, found['lightbits_exporter_source_up',
                                      frozenset({('source', source)})])
        self.assertLess(0, found[
            'lightbits_api_request_seconds_count',
            frozenset({('cluster', 'east'), ('outcome', 'ok')})])

        self.assertEqual({'certificate', 'ca', 'token'}, {
            dict(labels)['kind'] for name, labels in found
            if name == 'lightbits_expiry_timestamp_seconds'})

        self.arrays['west'].fault('refuse')
        self.until('lightbits_cluster_connection',
                   self.connection('west', 'disconnected'), 1)
        self.config.write(east={'admin_state': 'draining'})
        self.until('lightbits_cluster_admin_state', {
            'cluster': 'east',
            'lightbits_cluster_admin_state': 'draining'}, 1)
        self.until('lightbits_backend_clusters', {'accepting': 'yes'}, 0)
        self.config.write()
        done = self.config.run('cluster', 'set', 'east', '--disable',
                               '--reason', 'new switches')
        self.assertEqual(0, done.returncode, done.stderr)
        self.until('lightbits_cluster_admin_state', {
            'cluster': 'east',
            'lightbits_cluster_admin_state': 'disabled'}, 1)

        process.send_signal(signal.SIGTERM)
        self.assertEqual(0, process.wait(PATIENCE))

    def test_a_configuration_that_cannot_be_read(self) -> None:
        """The figures go on, and follow the files when these can be read."""
        process = self.exporter('--audit-interval', '0')
        labels = self.connection('east', 'connected')
        self.until('lightbits_cluster_connection', labels, 1)
        with open(f'{self.folder}/cinder.conf', 'a') as file:
            file.write('what is this\n')
        assert process.stderr is not None
        line = process.stderr.readline()
        while line and 'is not applied' not in line:
            line = process.stderr.readline()
        self.assertIn('cinder.conf cannot be read: line', line)

        found = self.until('lightbits_cluster_connection', labels, 1)
        for source in ('clusters', 'records', 'services'):
            self.assertEqual(1, found['lightbits_exporter_source_up',
                                      frozenset({('source', source)})])
        self.config.write(east={'admin_state': 'draining'})
        self.until('lightbits_cluster_admin_state', {
            'cluster': 'east',
            'lightbits_cluster_admin_state': 'draining'}, 1)

    def test_without_a_database(self) -> None:
        os.remove(f'{self.folder}/cinder.sqlite')
        self.exporter('--audit-interval', '0')
        found = self.until('lightbits_exporter_source_up',
                           {'source': 'records'}, 0)
        self.assertEqual(1, found['lightbits_exporter_source_up',
                                  frozenset({('source', 'clusters')})])
        # Without audits there is nothing to miss.
        self.assertNotIn(('lightbits_exporter_source_up',
                          frozenset({('source', 'audit')})), found)

    def test_audits_that_fail(self) -> None:
        """The last figures stay, and that there are no newer ones is told."""
        self.volumes('east', 1)
        self.exporter('--audit-interval', '0.1')
        labels = {'severity': 'error', 'kind': 'record-without-object'}
        found = self.until('lightbits_audit_findings', labels, 1)
        self.assertEqual(1, found['lightbits_exporter_source_up',
                                  frozenset({('source', 'audit')})])
        os.remove(f'{self.folder}/cinder.sqlite')
        found = self.until('lightbits_exporter_source_up',
                           {'source': 'audit'}, 0)
        self.assertEqual(1, found['lightbits_audit_findings',
                                  frozenset(labels.items())])
        self.assertIn(('lightbits_audit_timestamp_seconds', frozenset()),
                      found)

    def test_an_address_that_is_none(self) -> None:
        done = self.config.run('exporter', '--listen', 'nowhere')
        self.assertEqual(2, done.returncode)
        self.assertIn("--listen: 'nowhere' is not ADDRESS:PORT", done.stderr)


class PrometheusTest(ObservedTestCase):
    """The rules and the dashboard, in the real Prometheus."""

    def test_rules_alert(self) -> None:
        done = subprocess.run(
            [programs.find('promtool'), 'test', 'rules', str(RULE_TESTS)],
            capture_output=True, text=True, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_everything_is_understood(self) -> None:
        self.exporter()
        self.port = ports.Port()
        self.addCleanup(self.port.close)
        self.start_prometheus()
        self.wait_for_figures()
        groups = self.ask('rules')['data']['groups']
        rules = [rule for group in groups for rule in group['rules']]
        self.assertEqual([], [rule['name'] for rule in rules
                              if rule.get('lastError')])
        for query in self.queries():
            with self.subTest(query=query):
                self.assertEqual('success', self.ask(
                    'query', query=query)['status'])

    def start_prometheus(self) -> None:
        """Scrape the exporter every second, with the rules."""
        config = os.path.join(self.folder, 'prometheus.yaml')
        target = urllib.parse.urlsplit(self.address).netloc
        with open(config, 'w', encoding='utf-8') as file:
            json.dump({
                'global': {'scrape_interval': '1s',
                           'evaluation_interval': '1s'},
                'rule_files': [str(RULES)],
                'scrape_configs': [{
                    'job_name': 'lightbits-federation',
                    'static_configs': [{'targets': [target]}]}]}, file)
        process = subprocess.Popen(
            [programs.find('prometheus'), f'--config.file={config}',
             f'--storage.tsdb.path={self.folder}/tsdb',
             f'--web.listen-address=127.0.0.1:{self.port}'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

    def ask(self, what: str, **query: str) -> Any:
        """Ask Prometheus."""
        reply = requests.get(
            f'http://127.0.0.1:{self.port}/api/v1/{what}', query,
            timeout=PATIENCE)
        self.assertEqual(200, reply.status_code, reply.text)
        return reply.json()

    def wait_for_figures(self) -> None:
        """Until Prometheus has scraped and evaluated the rules."""
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            time.sleep(0.5)
            try:
                found = self.ask('query', query='lightbits_cluster_info')
                groups = self.ask('rules')['data']['groups']
            except (requests.ConnectionError, matchers.MismatchError):
                continue  # It is starting.
            if found['data']['result'] and all(
                    rule['health'] != 'unknown' for group in groups
                    for rule in group['rules']):
                return
        self.fail('Prometheus has no figures')

    def queries(self) -> list[str]:
        """:returns: what the dashboard asks for."""
        shown = dashboard.Dashboard.from_json(
            json.loads(DASHBOARD.read_text(encoding='utf-8')))
        self.assertEqual('lightbits-federation', shown.uid)
        found = [target.to_json()['expr'] for panel in shown.panels or ()
                 for target in panel.targets or ()]
        self.assertLess(10, len(found))
        return [query.replace('$__rate_interval', '1m') for query in found]
