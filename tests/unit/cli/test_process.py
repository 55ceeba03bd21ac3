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

"""The command as a process of its own, over a database in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import fixtures
from oslotest import base

from tests.simulator.control import Simulator

MAIN = ('import sys; from cinder_lightbits_federation.cli.main import main; '
        'sys.exit(main())')
DATABASE = (
    'import sys; from cinder import objects; objects.register_all(); '
    'from cinder.db import migration; from oslo_config import cfg; '
    'cfg.CONF(sys.argv[1:], project="cinder"); migration.db_sync()')


class ProcessTest(base.BaseTestCase):
    """What only a process shows: no Cinder service has prepared anything."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.array = Simulator.shared().add_cluster(
            os.path.basename(self.folder).replace('_', '-'), nodes=1)
        self.addCleanup(self.array.remove)
        self.config = os.path.join(self.folder, 'cinder.conf')
        with open(self.config, 'w', encoding='utf-8') as file:
            file.write(f"""\
[DEFAULT]
enabled_backends = lightbits
host = stor1
state_path = {self.folder}
[database]
connection = sqlite:///{self.folder}/cinder.sqlite
[lightbits]
volume_driver = \
cinder_lightbits_federation.driver.LightbitsFederationDriver
lightbits_federation_id = 0d1c9d3e-6b0a-4d53-9f4e-2b7c0c5a1f10
[lightbits_cluster:east]
api_endpoints = {self.array.api_endpoints[0]}
tls_ca_file = {self.array.ca_file}
jwt = {self.array.admin_token}
""")

    def process(self, code: str, *argv: str) -> Any:
        """Run Python code over the configuration."""
        return subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', code, '--config-file',
             self.config, *argv], capture_output=True, text=True,
            timeout=120, check=False)

    def test_audit_and_clusters(self) -> None:
        made = self.process(DATABASE)
        self.assertEqual(0, made.returncode, made.stderr)

        audit = self.process(MAIN, 'audit', '-f', 'json')
        clusters = self.process(MAIN, 'cluster', 'list', '-f', 'json')

        self.assertEqual((0, []), (audit.returncode,
                                   json.loads(audit.stdout)), audit.stderr)
        self.assertIn('compared with 1 clusters', audit.stderr)
        row, = json.loads(clusters.stdout)
        self.assertEqual((self.array.uuid, 'connected'),
                         (row['uuid'], row['connection']))

    def test_without_a_database(self) -> None:
        found = self.process(MAIN, 'audit', '-f', 'json')
        self.assertEqual(4, found.returncode, found.stderr)
        self.assertEqual('', found.stdout)
        self.assertIn('no such table', found.stderr)
        self.assertNotIn('Traceback', found.stderr)
