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

"""Two volume services from what the DevStack plugin writes.

Skipped unless ``DEVSTACK_DIR`` names a checkout of DevStack.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from typing import Any

import fixtures
from oslotest import base

from tests.devstack_stand_in import devstack
from tests.devstack_stand_in import stand_in
from tests.embedded import command
from tests.embedded import waiting
from tests.stack import programs
from tests.stack import stack

CLUSTERS = ('east', 'west', 'north')
# DevStack's own, for services that its volume services work with.
_CONFIG = """\
[DEFAULT]
report_interval = 120
service_down_time = 720
"""
_POST_CONFIG = """\
[DEFAULT]
transport_url = {broker}
[database]
connection = {database}
[lightbits]
lightbits_store_connection = {database}
"""


class DevStackTest(base.BaseTestCase):
    """Simulated clusters, active-active, and etcd."""

    def setUp(self) -> None:
        super().setUp()
        devstack.checkout()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.stack = stack.Stack(folder / 'stack', _CONFIG, hosts=())
        self.addCleanup(self.stack.close)
        self.stack.start()
        (folder / 'machine').mkdir()
        self.machine = self.prepare(folder / 'machine')
        self.addCleanup(self.machine.kill)

    def prepare(self, folder: pathlib.Path) -> devstack.DevStack:
        """:returns: a DevStack with the services of the stack."""
        port = stand_in.free_ports(100 * len(CLUSTERS))
        found = devstack.DevStack(str(folder), {
            'SERVE_VOLUMES': 'True', 'LIGHTBITS_SIMULATOR': 'True',
            'LIGHTBITS_SIMULATOR_BASE_PORT': port,
            'LIGHTBITS_SIMULATOR_CONTROL_PORT': port + 99,
            'LIGHTBITS_ACTIVE_ACTIVE': 'True',
            'CINDER_COORDINATION_URL': self.stack.locks.url})
        found.environment |= self.stack.environment()
        for name in ('cinder-volume', 'openstack'):
            found.program(name, programs.command(name))
        found.post_config(_POST_CONFIG.format(
            broker=self.stack.broker.url, database=self.stack.database.url))
        return found

    def run_mode(self, mode: str) -> None:
        done = self.machine.run(mode)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def openstack(self, *words: str) -> Any:
        return self.stack.openstack.json(*words)

    def serving(self) -> set[str]:
        """:returns: hosts of volume services, once the scheduler knows one."""
        if not self.openstack('volume', 'backend', 'pool', 'list'):
            return set()
        return {item['Host'] for item in self.openstack(
                    'volume', 'service', 'list', '--service', 'cinder-volume')
                if item['State'] == 'up'}

    def on_clusters(self) -> dict[str, str]:
        """:returns: the cluster of each volume of Cinder, by its ID there."""
        listed = subprocess.run(
            command.federation(
                ['--config-file', str(self.machine.cinder_conf)],
                'volume', 'list', '-f', 'json'),
            check=True, capture_output=True, encoding='utf-8').stdout
        return {item['cinder_id']: item['cluster']
                for item in json.loads(listed)}

    def create(self, name: str, *words: str) -> str:
        """:returns: the ID of a volume that has become available."""
        made: str = self.openstack(
            'volume', 'create', '--size', '1', *words, name)['id']

        def status() -> str:
            found: str = self.openstack('volume', 'show', made)['status']
            self.assertNotEqual('error', found, self.logs())
            return found

        waiting.wait_for(lambda: status() == 'available', name, 180)
        return made

    def logs(self) -> str:
        """:returns: the ends of what the services have logged."""
        return '\n'.join(path.read_text()[-20_000:] for path in sorted(
            self.machine.folder.glob('*.log')))

    def test_volumes_get_to_the_clusters_of_their_types(self) -> None:
        self.run_mode('stack')
        node = os.uname().nodename
        hosts = {f'{node}@lightbits', f'{node}-lightbits@lightbits'}
        try:
            waiting.wait_for(lambda: self.serving() == hosts, 'services', 180)
        except waiting.WaitedTooLong as error:
            raise AssertionError(self.logs()) from error
        wanted = {self.create(f'in-the-{name}', '--type', f'lightbits-{name}'):
                  name for name in CLUSTERS}
        copied = next(iter(wanted))
        wanted[self.create('copied', '--source', copied)] = wanted[copied]
        self.assertEqual(wanted, self.on_clusters())
        clusters = self.openstack('block', 'storage', 'cluster', 'list')
        self.assertEqual(['lightbits@lightbits'],
                         [item['Name'] for item in clusters
                          if item['Binary'] == 'cinder-volume'])
        self.stack.openstack.text('volume', 'delete', *wanted)
        waiting.wait_for(lambda: not self.on_clusters(), 'deletions', 180)
        running = self.machine.processes()
        self.assertEqual({'lightbits-sim', 'c-vol', 'c-vol-lightbits'},
                         set(running))
        self.run_mode('unstack')
        self.assertEqual({}, self.machine.processes())
        self.assertEqual(
            {}, self.machine.section('cinder/cinder.conf', 'lightbits'))
