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
import pathlib
import subprocess

import fixtures
from oslotest import base

from tests.embedded import command
from tests.embedded import standalone
from tests.simulator.control import Simulator


class ProcessTest(base.BaseTestCase):
    """What only a process shows: no Cinder service has prepared anything."""

    def setUp(self) -> None:
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        self.array = Simulator.shared().add_cluster(
            os.path.basename(folder).replace('_', '-'), nodes=1)
        self.addCleanup(self.array.remove)
        self.alone = standalone.Standalone(pathlib.Path(folder),
                                           {'east': self.array})

    def test_audit_and_clusters(self) -> None:
        self.alone.make_tables()

        audit = self.alone.run('audit', '-f', 'json')
        clusters = self.alone.run('cluster', 'list', '-f', 'json')

        self.assertEqual((0, []), (audit.returncode,
                                   json.loads(audit.stdout)), audit.stderr)
        self.assertIn('compared with 1 clusters', audit.stderr)
        row, = json.loads(clusters.stdout)
        self.assertEqual((self.array.uuid, 'connected'),
                         (row['uuid'], row['connection']))

    def test_what_is_logged_is_told_once(self) -> None:
        self.array.stop_api(0)
        found = self.alone.run('cluster', 'list', '--timeout', '3')
        quiet = self.alone.run('-q', 'cluster', 'list', '--timeout', '3')
        self.assertEqual((3, 3), (found.returncode, quiet.returncode))
        self.assertEqual(1, found.stderr.count('Cluster east is '),
                         found.stderr)

    def test_nobody_reads_the_output(self) -> None:
        read, write = os.pipe()
        os.close(read)
        self.addCleanup(os.close, write)
        found = subprocess.run(
            command.federation(self.alone.arguments, 'cluster', 'list'),
            stdout=write, stderr=subprocess.PIPE, text=True, timeout=120,
            check=False)
        self.assertEqual(141, found.returncode, found.stderr)
        self.assertNotIn('BrokenPipeError', found.stderr)

    def test_without_a_database(self) -> None:
        found = self.alone.run('audit', '-f', 'json')
        self.assertEqual(4, found.returncode, found.stderr)
        self.assertEqual('', found.stdout)
        self.assertIn('no such table', found.stderr)
        self.assertNotIn('Traceback', found.stderr)
