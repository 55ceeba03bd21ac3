# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The service ends, in order or not, and starts again."""

from __future__ import annotations

from tests.functional import base


class RestartTest(base.FunctionalTest):

    def setUp(self) -> None:
        super().setUp()
        self.east = self.add_cluster('east')
        self.west = self.add_cluster('west')

    def test_restart(self) -> None:
        """Volumes, snapshots and attachments are managed as before."""
        sdk = self.start()
        volume = self.create(sdk)
        snapshot = self.snapshot(sdk, volume)
        attachment = sdk.create_attachment(volume.id,
                                           connector=base.CONNECTOR)
        sdk.complete_attachment(attachment)
        self.cloud.restart()
        self.audit()
        sdk = self.cloud.sdk()
        copy = self.create(sdk, snapshot_id=snapshot.id)
        sdk.delete_attachment(attachment.id)
        self.settled(sdk, volume)
        self.audit()
        sdk.delete_snapshot(snapshot.id)
        self.wait(lambda: not list(sdk.snapshots()),
                  'the snapshot to be gone')
        self.delete(sdk, volume, copy)
        self.audit()

    def test_crash_while_creating(self) -> None:
        """A volume that was being made is in error, and can be deleted."""
        sdk = self.start()
        for cluster in (self.east, self.west):
            cluster.set_delays(create=60)
        volume = sdk.create_volume(size=1)
        self.wait(lambda: any(
            item['name'] == f'volume-{volume.id}'
            for cluster in (self.east, self.west)
            for item in cluster.state()['volumes']), 'the array to be asked')
        self.cloud.process.kill()
        for cluster in (self.east, self.west):
            cluster.set_delays(create=0)
            cluster.settle()
        self.cloud.start()
        sdk = self.cloud.sdk()
        self.settled(sdk, volume, 'error')
        self.delete(sdk, volume)
        self.wait(lambda: not self.findings(), 'the array to forget it')

    def test_crash_while_deleting(self) -> None:
        """The delete is finished by the service that starts next."""
        sdk = self.start()
        volume = self.create(sdk)
        for cluster in (self.east, self.west):
            cluster.fault('slow', route='volumes.delete', seconds=3, count=1)
        sdk.delete_volume(volume.id)
        self.wait(lambda: any(
            fault['hits'] for cluster in (self.east, self.west)
            for fault in cluster.faults()), 'the array to be asked')
        self.cloud.process.kill()
        self.cloud.start()
        sdk = self.cloud.sdk()
        self.wait(lambda: not list(sdk.volumes()), 'the volume to be gone')
        self.wait(lambda: not self.findings(), 'the array to forget it')

    def test_stop_finishes_work(self) -> None:
        """A stop waits for what is in progress."""
        sdk = self.start()
        for cluster in (self.east, self.west):
            cluster.set_delays(create=3)
        volume = sdk.create_volume(size=1)
        self.wait(lambda: any(
            item['name'] == f'volume-{volume.id}'
            for cluster in (self.east, self.west)
            for item in cluster.state()['volumes']), 'the array to be asked')
        self.cloud.restart()
        self.settled(self.cloud.sdk(), volume)
        self.audit()
