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

"""From no cluster at all to a changing federation, without a restart."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.embedded import cloud
from tests.embedded import federation
from tests.functional import base

MAIN = ('import sys; from cinder_lightbits_federation.cli.main import main; '
        'sys.exit(main())')
FOUND = 1


class OperatorTest(base.FunctionalTest):

    def setUp(self) -> None:
        super().setUp()
        for name in ('east', 'west', 'north'):
            self.add_cluster(name)
        # Nothing is of others here: this one moves what it has.
        self.clusters['south'] = self.simulator.add_cluster('south')
        self.addCleanup(self.clusters['south'].remove)
        self._cloud = cloud.Cloud(
            self.folder / 'cinder', threads=self.threads,
            config=federation.config([], self.federation_id, {
                'lightbits_poll_interval': '1'}))
        self.before = federation.contents(self.clusters.values())
        self.addCleanup(self._cloud.stop)
        self.addOnException(self._keep_log)

    def command(self, *argv: str, code: int = 0) -> str:
        """Run the operator's command; return what it tells."""
        layout = self.cloud.layout
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', MAIN,
             '--config-file', str(layout.base_config),
             '--config-file', str(layout.config),
             '--config-dir', str(layout.config_dir), *argv],
            capture_output=True, text=True, timeout=180, check=False)
        self.assertEqual(code, done.returncode, done.stderr)
        return done.stdout + done.stderr

    def attach(self, name: str) -> None:
        """Attach a cluster, and see what was written."""
        cluster = self.clusters[name]
        told = self.command(
            'cluster', 'attach', name, '--endpoints',
            cluster.api_endpoints[0], '--ca-file', cluster.ca_file,
            '--server-name', cluster.server_name, '--jwt-file',
            cluster.token_files['system'])
        self.assertIn(f'lightbits-{name}.conf', told)

    def pinned(self, sdk: Any, name: str) -> Any:
        """:returns: a volume on one cluster, as soon as it takes one."""
        kind = sdk.find_type(f'on-{name}') or sdk.create_type(
            name=f'on-{name}', extra_specs={'lightos:cluster': name})

        def attempt() -> Any:
            made = sdk.create_volume(size=1, volume_type=kind.id)
            self.wait(lambda: sdk.get_volume(made.id).status != 'creating',
                      'the volume', 60)
            made = sdk.get_volume(made.id)
            if made.status == 'available':
                return made
            sdk.delete_volume(made.id)
            return None

        volume = self.wait(attempt, f'a volume on {name}', 90)
        self.assertEqual(name, self.on_array(volume)[0])
        return volume

    def test_a_federation_comes_and_changes(self) -> None:
        for name in ('east', 'west', 'north'):
            self.attach(name)
        self.cloud.start()
        sdk = self.cloud.sdk()
        volumes = {name: self.pinned(sdk, name)
                   for name in ('east', 'west', 'north')}

        # A fourth while creates run.
        started = [sdk.create_volume(size=1) for _number in range(5)]
        self.attach('south')
        started += [sdk.create_volume(size=1) for _number in range(5)]
        others = [self.settled(sdk, item) for item in started]
        volumes['south'] = self.pinned(sdk, 'south')

        # One grows, and loses the only node that was ever configured.
        south = self.clusters['south']
        south.add_node()
        south.remove_node(0, force=True)
        south.settle()
        others.append(self.pinned(sdk, 'south'))

        # One goes.
        told = self.command('cluster', 'set', 'west', '--drain', '--reason',
                            'end of its life')
        self.assertIn('draining', told)
        told = self.command('cluster', 'detach', 'west', '--yes', code=FOUND)
        self.assertIn(volumes['west'].id, told)
        leaving = [item for item in (volumes.pop('west'), *others)
                   if self.on_array(item)[0] == 'west']
        self.delete(sdk, *leaving)
        told = self.command('cluster', 'detach', 'west', '--yes')
        self.assertIn('Removed: ', told)
        self.cloud.wait_for_log('Cluster west is not served any more')
        left = [item for item in (*volumes.values(), *others)
                if item not in leaving]
        left += [self.create(sdk) for _number in range(4)]
        self.assertNotIn('west', {self.on_array(item)[0] for item in left})
        self.audit()
        self.delete(sdk, *left)
        self.audit()
