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

"""Draining a cluster through Cinder, by the operator's command.

The moves copy the volumes' files, which stand in for NVMe namespaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent import futures
import json
import os
import subprocess
from typing import Any, ClassVar

import fixtures

from tests.embedded import command
from tests.embedded import federation
from tests.embedded import file_driver
from tests.functional import base

MIB = 1 << 20
VOLUMES = 8
CLEAN, FINDINGS = 0, 1
SIDE_BY_SIDE = 8


class DrainTestCase(base.FunctionalTest):
    """Three clusters that keep data in files, one of which is drained.

    :cvar backend: options of the backend.
    """

    backend: ClassVar[Mapping[str, str]] = {}

    def setUp(self) -> None:
        super().setUp()
        for name in ('east', 'west', 'north'):
            self.add_cluster(name, data_plane='sparse')
        held = self.clusters['east'].state()['volumes'][0]['UUID']
        path = self.clusters['east'].data_path(held)
        assert path is not None
        self.useFixture(fixtures.EnvironmentVariable(
            file_driver.FOLDER, os.path.dirname(os.path.dirname(path))))
        self.sdk = self.start(backend={
            'volume_driver': file_driver.DRIVER, **self.backend})

    def process(self, *argv: str) -> subprocess.Popen[str]:
        """Start the operator's command over the files of the service."""
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith('OS_')}
        return subprocess.Popen(
            command.federation(self.cloud.layout.arguments, '--backend',
                               federation.BACKEND, *argv),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**environment, **self.cloud.environment()})

    def command(self, *argv: str, code: int = CLEAN) -> Any:
        """Run the command and return what it printed."""
        return self.printed(self.process(*argv, '-f', 'json'), code)

    def printed(self, process: subprocess.Popen[str], code: int) -> Any:
        """Wait for the command's end and return what it printed."""
        out, err = process.communicate(timeout=900)
        self.assertEqual(code, process.returncode, err)
        self.progress = err
        return json.loads(out)

    def until_agreed(self) -> None:
        """Wait until the service goes by the states that are set."""
        def look() -> bool:
            process = self.process('cluster', 'status')
            process.communicate(timeout=180)
            return process.returncode == CLEAN

        self.wait(look, 'the service to apply the states', 180)

    def fill(self, wanted: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Make volumes on the cluster that is to be drained.

        :param wanted: what each of them is, beside its size.
        """
        for name in ('west', 'north'):
            self.command('cluster', 'set', name, '--disable', '--reason',
                         'filling')
        self.until_agreed()
        with futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            made = list(pool.map(
                lambda item: self.sdk.create_volume(size=1, **item), wanted))
        self.wait(lambda: all(
            item.status == 'available'
            for item in self.cloud.records().volumes), 'the volumes', 300)
        self.assertEqual({'east'}, set(self.places(made).values()))
        for name in ('west', 'north'):
            self.command('cluster', 'set', name, '--reset')
        self.until_agreed()
        return made

    def places(self, volumes: Iterable[Any]) -> dict[str, str]:
        """Return the clusters that volumes are on, by their ids."""
        held = {name: {item['name'] for item in cluster.state()['volumes']
                       if item['state'] not in ('Deleting', 'Deleted')}
                for name, cluster in self.clusters.items()}
        return {volume.id: ' '.join(
            name for name, names in held.items()
            if f'volume-{volume.id}' in names) for volume in volumes}

    def path(self, volume: Any) -> str:
        """Return the file of a volume."""
        name, item = self.on_array(volume)
        path = self.clusters[name].data_path(item['UUID'])
        assert path is not None
        return path


class DrainTest(DrainTestCase):

    def test_everything_that_can_leaves(self) -> None:
        volumes = self.fill([{}] * VOLUMES)
        data = {}
        for number, volume in enumerate(volumes):
            data[volume.id] = os.urandom(MIB)
            with open(self.path(volume), 'r+b') as file:
                file.seek(number * 16 * MIB)
                file.write(data[volume.id])
        snapped, attached = volumes[:2]
        self.snapshot(self.sdk, snapped)
        made = self.sdk.create_attachment(attached.id,
                                          connector=base.CONNECTOR)
        self.sdk.complete_attachment(made)
        self.settled(self.sdk, attached, 'in-use')

        plan = self.command('drain', 'plan', 'east', code=FINDINGS)
        self.assertEqual(VOLUMES - 2, len([
            row for row in plan if row['action'] == 'move']))

        drain = self.process('drain', 'run', 'east', '--reason', 'a test',
                             '-f', 'json')
        meanwhile = [self.create(self.sdk) for _number in range(5)]
        left = self.printed(drain, FINDINGS)

        reasons = {row['volume']: row['reason'] for row in left}
        self.assertEqual({snapped.id, attached.id}, set(reasons))
        self.assertEqual('it has 1 snapshots', reasons[snapped.id])
        self.assertIn('without a server', reasons[attached.id])
        places = self.places(volumes + meanwhile)
        self.assertEqual({snapped.id, attached.id}, {
            key for key, place in places.items() if place == 'east'})
        for number, volume in enumerate(volumes):
            self.assertEqual('available' if volume is not attached
                             else 'in-use',
                             self.sdk.get_volume(volume.id).status)
            with open(self.path(volume), 'rb') as file:
                file.seek(number * 16 * MIB)
                self.assertEqual(data[volume.id], file.read(MIB))
        # What was moved counts once, as before.
        self.assertEqual({
            'volumes': VOLUMES + len(meanwhile), 'snapshots': 1,
            'gigabytes': VOLUMES + len(meanwhile) + 1},
            self.charged(self.sdk))
        # Creates that came before the state was applied have moved, too.
        self.assertRegex(self.progress,
                         r'\d+ volumes moved, 0 to go, 0 failed')
        job, = self.command('job', 'list', '--kind', 'drain')
        self.assertEqual(('done', 1.0), (job['state'], job['progress']))
        self.sdk.delete_attachment(made.id)
        self.assertEqual([], self.findings())
