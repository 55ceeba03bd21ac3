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

"""A drain that is left to the services goes on when one of them dies."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from typing import Any

import fixtures

from tests.embedded import command
from tests.embedded import federation
from tests.embedded import file_driver
from tests.functional import test_drain
from tests.stack import case
from tests.stack import daemons
from tests.stack import settings

VOLUMES = 16
# One move begins per second.
RATE = 1024
BLOCK = 4096
CLOUD = 'admin'


class DetachedDrainTest(case.StackTest):

    options = {'data_plane': 'sparse'}

    def setUp(self) -> None:
        super().setUp()
        folder = pathlib.Path(self.path(
            self.clusters['east'].state()['volumes'][0]['UUID'])).parents[1]
        clouds = self.bed.folder / 'clouds.yaml'
        clouds.write_text(json.dumps({'clouds': {CLOUD: {
            'auth_type': 'admin_token', 'auth': {
                'endpoint': self.stack.environment()['OS_ENDPOINT'],
                'token': self.stack.environment()['OS_TOKEN']}}}}))
        for name, value in {'PYTHONPATH': daemons.ROOT,
                            file_driver.FOLDER: folder,
                            'OS_CLIENT_CONFIG_FILE': clouds}.items():
            self.useFixture(fixtures.EnvironmentVariable(name, str(value)))
        # Services need these variables, so they start again before those go.
        self.addCleanup(self.revive)
        (self.stack.layout.config_dir / 'moves.conf').write_text(
            f'[{federation.BACKEND}]\n'
            f'volume_driver = {file_driver.DRIVER}\n'
            f'lightbits_os_cloud = {CLOUD}\n')
        self.moved_section('east')
        for service in self.stack.volumes.values():
            service.stop()
        self.revive()

    def moved_section(self, name: str) -> None:
        """Have the section of a cluster in a file of its own."""
        layout = self.stack.layout
        config = layout.folder / 'cinder.conf'
        section = str(federation.section(self.clusters[name],
                                         self.bed.folder / 'tokens'))
        text = config.read_text()
        self.assertIn(section, text)
        config.write_text(text.replace(section, ''))
        (layout.config_dir / f'lightbits-{name}.conf').write_text(section)

    def path(self, uuid: str) -> str:
        """Return the file of a volume, by its UUID on the cluster."""
        found = [cluster.data_path(item['UUID'])
                 for cluster in self.clusters.values()
                 for item in cluster.state()['volumes']
                 if item['UUID'] == uuid]
        return str(found[0])

    def command(self, *argv: str) -> Any:
        """Run the operator's command; return what it prints."""
        done = subprocess.run(
            command.federation(
                self.stack.layout.arguments(settings.HOSTS[0]),
                '--backend', federation.BACKEND, *argv, '-f', 'json'),
            capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(test_drain.CLEAN, done.returncode, done.stderr)
        return json.loads(done.stdout)

    def set_states(self, *words: str, names: tuple[str, ...]) -> None:
        """Set the state of clusters, and wait until all services heed it."""
        for name in names:
            self.command('cluster', 'set', name, *words)

        def agreed() -> bool:
            try:
                self.command('cluster', 'status')
            except AssertionError:
                return False
            return True

        self.wait(agreed, 'the services to apply the states', 180)

    def fill(self) -> dict[str, bytes]:
        """Make volumes on east; return what is in their first blocks."""
        others = ('west', 'north')
        self.set_states('--disable', '--reason', 'filling', names=others)
        made = [self.sdk.create_volume(size=1) for _number in range(VOLUMES)]
        self.wait_for_volumes({item.id for item in made}, 300)
        self.set_states('--reset', names=others)
        data = {item.id: os.urandom(BLOCK) for item in made}
        for cluster, uuid, volume_id in self.places():
            self.assertEqual('east', cluster)
            with open(self.path(uuid), 'r+b') as file:
                file.write(data[volume_id])
        return data

    def places(self) -> list[tuple[str, str, str]]:
        """Where volumes are: cluster, UUID there, and id."""
        return [(cluster.name, item.uuid, volume_id)
                for cluster in self.bed.contents()
                for item in cluster.volumes
                if (volume_id := item.label('cinder_id'))]

    def job(self) -> dict[str, Any]:
        """Return the one drain there is."""
        found: dict[str, Any]
        found, = self.command('job', 'list', '--kind', 'drain')
        return found

    def test_somebody_goes_on(self) -> None:
        data = self.fill()
        self.set_states('--drain', '--reason', 'too old', names=('east',))
        self.command('drain', 'run', 'east', '--detach', '--at-once', '3',
                     '--rate', str(RATE))

        def begun() -> bool:
            return any(cluster != 'east' for cluster, *_rest
                       in self.places())

        self.wait(begun, 'the drain to move something', 180)
        # Looked up where it takes no time: the drain goes on meanwhile.
        (host,), = self.stack.database.query(
            "SELECT host FROM lightbits_jobs WHERE kind = 'drain'")
        victim = host.partition('@')[0]
        self.stack.volumes[victim].kill()
        left = [item for item in self.places() if item[0] == 'east']
        self.assertNotEqual([], left, 'it was over before the kill')
        made = self.sdk.create_volume(size=1)
        self.wait(lambda: self.job()['state'] != 'running',
                  'another service to end the drain', 300)

        self.wait_for_volumes({*data, made.id}, 180)
        job = self.job()
        self.assertEqual(('done', ''), (job['state'], job['error']))
        self.assertNotEqual(victim, job['host'].partition('@')[0])
        places = self.places()
        self.assertNotIn('east', {cluster for cluster, *_rest in places})
        self.assertEqual({*data, made.id}, {item[2] for item in places})
        for _cluster, uuid, volume_id in places:
            with open(self.path(uuid), 'rb') as file:
                self.assertEqual(data.get(volume_id, bytes(BLOCK)),
                                 file.read(BLOCK))
        self.revive()
        self.audit()
        # Nothing is left there, neither recorded nor found.
        self.assertEqual([], self.command('cluster', 'detach', 'east',
                                          '--yes'))
