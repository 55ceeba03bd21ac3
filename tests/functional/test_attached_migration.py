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
"""Volumes that servers use go to another cluster, with Nova's part in it."""

from __future__ import annotations

import os
import pathlib
import subprocess
from typing import Any
import uuid

import fixtures

from tests.copying import files
from tests.copying import guests
from tests.embedded import arrays
from tests.embedded import nova
from tests.embedded import tokens
from tests.functional import base
from tests.stack import daemons

GIB = 1 << 30
MIB = 1 << 20
# At that rate the copy takes long enough for the guest to write meanwhile.
RATE = 8 * MIB
DATA = 24 * MIB
MANY = 20


class Host:
    """A `nova.Hypervisor` over the files of simulated clusters.

    :ivar disks: by the ids of volumes.
    :ivar fails: the next swap ends like one with a broken device.
    :ivar during: writes of the guest while data was being copied.
    """

    def __init__(self, test: base.FunctionalTest) -> None:
        self.disks: dict[str, guests.Disk] = {}
        self.guest: guests.Guest | None = None
        self.fails = False
        self.during = 0
        self._test = test
        self._guard = daemons.Guard()
        test.addCleanup(self._guard.close)

    def device(self, connection: nova.Connection) -> str:
        """Return the file of a volume whose cluster admits this host."""
        for cluster in self._test.clusters.values():
            for item in cluster.state()['volumes']:
                if item['UUID'] == connection['uuid']:
                    self._test.assertEqual([base.CONNECTOR['nqn']],
                                           item['acl']['values'])
                    return str(cluster.data_path(item['UUID']))
        raise AssertionError(f'{connection} is on no cluster')

    def plug(self, volume_id: str, connection: nova.Connection) -> None:
        """See `nova.Hypervisor`."""
        folder = self._test.useFixture(fixtures.TempDir()).path
        disk = guests.Disk(pathlib.Path(folder), self.device(connection),
                           self._guard)
        disk.start()
        self._test.addCleanup(disk.stop)
        self.disks[volume_id] = disk

    def swap(self, volume_id: str, connection: nova.Connection) -> None:
        """See `nova.Hypervisor`."""
        device = self.device(connection)
        before = self.guest.writes if self.guest else 0
        if self.fails:
            self.fails = False
            device = os.path.join(os.path.dirname(device), 'unplugged')
        self.disks[volume_id].swap(device, RATE)
        self.during = (self.guest.writes if self.guest else 0) - before

    def unplug(self, volume_id: str) -> None:
        """See `nova.Hypervisor`."""
        self.disks.pop(volume_id).stop()


class AttachedMigrationTest(base.FunctionalTest):

    def setUp(self) -> None:
        super().setUp()
        for name in ('east', 'west', 'north'):
            self.add_cluster(name, data_plane='sparse')
        self.host = Host(self)
        self.nova = nova.Nova(self.client, self.host, base.CONNECTOR)
        self.nova.start()
        self.sdk = self.start(service=self.nova.options)
        self.addCleanup(self.nova.stop)

    def client(self) -> Any:
        """Make one more client, as Nova is one, once there is a service."""
        sdk = self.cloud.sdk()
        sdk.additional_headers['X-Service-Token'] = tokens.SERVICE.token(
            self.cloud.secret)
        return sdk

    def held(self) -> list[tuple[str, arrays.ArrayVolume]]:
        """Return what Cinder has on the clusters, with their names."""
        return [(cluster.name, item) for cluster in self.clusters.values()
                for item in arrays.load(cluster.name, cluster.uuid,
                                        cluster.state()).volumes
                if item.label('cinder_id')]

    def located(self, volume: Any) -> Any:
        """Return the record of a volume."""
        return next(item for item in self.cloud.records().volumes
                    if item.id == volume.id)

    def settle(self, count: int) -> None:
        """Wait until there are so many volumes, in Cinder and beyond."""
        self.wait(lambda: len(self.cloud.records().volumes) == count
                  == len(self.held()), 'what is left over to be gone')

    def test_what_is_written_meanwhile_is_there(self) -> None:
        volume = self.create(self.sdk)
        home, found = self.on_array(volume)
        before = self.located(volume)
        path = pathlib.Path(str(self.clusters[home].data_path(
            found['UUID'])))
        files.scatter(path, GIB, DATA)
        expected = self.folder / 'expected'
        subprocess.run(['cp', '--sparse=always', path, expected], check=True)
        server = str(uuid.uuid4())
        self.nova.attach(server, volume.id)
        disk = self.host.disks[volume.id]
        guest = self.host.guest = guests.Guest(disk.url, GIB)
        self.addCleanup(guest.stop)
        guest.start()

        # One that fails changes nothing.
        self.host.fails = True
        self.assertEqual('error', self.migrated(self.sdk, volume))
        self.assertEqual(1, len(self.nova.failures))
        self.settle(1)
        self.assertEqual(before.provider_location,
                         self.located(volume).provider_location)
        self.settled(self.sdk, volume, 'in-use')
        self.audit()

        self.assertEqual('success', self.migrated(self.sdk, volume))
        (_old, temporary), = self.nova.swapped
        self.assertGreater(self.host.during, 0)
        after = guest.writes
        self.wait(lambda: guest.writes > after + MANY, 'more to be written')
        guest.stop()
        self.settle(1)

        self.check_identity(volume, temporary, home, disk)
        self.check_attachment(volume, server)
        self.audit()
        self.check_content(expected, guest, disk)
        self.nova.detach(volume.id)
        self.settled(self.sdk, volume)
        self.delete(self.sdk, volume)
        self.audit()

    def check_identity(self, volume: Any, temporary: str, home: str,
                       disk: guests.Disk) -> None:
        """The volume has the data of the temporary one, and its own id."""
        record, = self.cloud.records().volumes
        (there, array), = self.held()
        self.assertEqual((volume.id, temporary, 'in-use'),
                         (record.id, record.name_id, record.status))
        self.assertEqual((f'volume-{temporary}', temporary),
                         (array.name, array.label('cinder_id')))
        self.assertNotEqual(home, there)
        self.assertEqual(pathlib.Path(disk.device).name, array.uuid)
        self.assertIn(array.uuid, str(record.provider_location))
        self.assertIn(self.clusters[there].uuid,
                      str(record.provider_location))
        shown = self.sdk.get_volume(volume.id)
        self.assertEqual(('success', temporary),
                         (shown.migration_status, shown.migration_id))

    def check_attachment(self, volume: Any, server: str) -> None:
        """The server has the volume, by its new attachment."""
        made, = self.sdk.attachments()
        self.assertEqual(
            (self.nova.mapped[volume.id].attachment, server, volume.id,
             'attached'),
            (made.id, made.instance, made.volume_id, made.status))

    def check_content(self, expected: pathlib.Path, guest: guests.Guest,
                      disk: guests.Disk) -> None:
        """All is there: what was, and what the guest wrote whenever."""
        with open(expected, 'r+b') as file:
            for block, pattern in guest.blocks.items():
                file.seek(block * guests.BLOCK)
                file.write(bytes([pattern]) * guests.BLOCK)
        self.assertEqual(files.content(expected),
                         files.content(disk.device))
