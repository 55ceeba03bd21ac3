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

"""Clusters that are down, die, come back, or answer badly."""

from __future__ import annotations

import time
from typing import Any

from openstack import exceptions

from tests.functional import base

# A create beside a dead or slow cluster; a healthy one takes well below one
# second, and the service's own timeouts are above ten.
_PROMPT_SECONDS = 8


class OutageTest(base.FunctionalTest):

    def setUp(self) -> None:
        super().setUp()
        self.east = self.add_cluster('east')
        self.west = self.add_cluster('west')

    def pinned(self, sdk: Any, name: str) -> str:
        """Return the id of a volume type that is pinned to a cluster."""
        made: str = sdk.create_type(
            name=f'on-{name}', extra_specs={'lightos:cluster': name}).id
        return made

    def error_deleting(self, sdk: Any, volume: Any) -> None:
        sdk.delete_volume(volume.id)
        self.wait(lambda: sdk.get_volume(volume.id).status
                  == 'error_deleting', 'the delete to fail', 180)

    def test_down_at_start(self) -> None:
        """The service starts, serves, and takes the cluster in later."""
        self.west.stop()
        sdk = self.start()
        self.cloud.wait_for_log(r'ERROR .*west.*no API endpoint answers')
        for _number in range(3):
            self.assertEqual('east', self.on_array(self.create(sdk))[0])
        self.west.start()
        self.cloud.wait_for_log(r'INFO .*Cluster west .* is connected')
        volume = self.create(sdk, volume_type=self.pinned(sdk, 'west'))
        self.assertEqual('west', self.on_array(volume)[0])
        self.audit()

    def test_all_down_at_start(self) -> None:
        """Nothing can be made, but nothing needs a restart either."""
        self.east.stop()
        self.west.stop()
        sdk = self.start()
        volume = sdk.create_volume(size=1)
        self.settled(sdk, volume, 'error')
        self.delete(sdk, volume)
        self.east.start()
        self.cloud.wait_for_log(r'INFO .*Cluster east .* is connected')
        self.wait(lambda: self.capacity(sdk) > 0, 'capacity to be reported')
        self.assertEqual('east', self.on_array(self.create(sdk))[0])
        self.audit()

    def capacity(self, sdk: Any, least: int = 0) -> float:
        """Return the GiB the scheduler thinks the backend has in all.

        :param least: 0 is returned while fewer clusters take new volumes.
        """
        pool, = sdk.backend_pools()
        if int(pool.capabilities['lightbits_clusters_open']) < least:
            return 0.0
        return float(pool.capabilities['total_capacity_gb'])

    def test_dies(self) -> None:
        """What is on it fails clearly; the rest goes on; it comes back."""
        sdk = self.start()
        kind = self.pinned(sdk, 'west')
        doomed = self.create(sdk, volume_type=kind)
        wanted = self.create(sdk, volume_type=kind)
        whole = self.wait(lambda: self.capacity(sdk, 2),
                          'the capacity of both')
        self.west.stop()
        for _number in range(3):
            self.assertEqual('east', self.on_array(self.create(sdk))[0])
        self.wait(lambda: abs(self.capacity(sdk) - whole / 2) < whole / 100,
                  'the capacity to halve')
        self.assertRaises(
            exceptions.HttpException, sdk.create_attachment, wanted.id,
            connector=base.CONNECTOR)
        self.error_deleting(sdk, doomed)
        self.cloud.wait_for_log('LightbitsBackendError: .*cluster west: ')
        self.west.start()
        self.wait(lambda: abs(self.capacity(sdk) - whole) < whole / 100,
                  'the capacity to be back')
        sdk.reset_volume_status(doomed.id, 'available', None, None)
        self.delete(sdk, doomed)
        for attachment in sdk.attachments():
            sdk.delete_attachment(attachment.id)
        self.settled(sdk, wanted)
        self.audit()

    def test_snapshot_on_dead_cluster(self) -> None:
        """A delete that failed can be repeated when the cluster is back."""
        sdk = self.start()
        volume = self.create(sdk, volume_type=self.pinned(sdk, 'west'))
        snapshot = self.snapshot(sdk, volume)
        self.west.stop()
        sdk.delete_snapshot(snapshot.id)
        self.wait(lambda: sdk.get_snapshot(snapshot.id).status
                  == 'error_deleting', 'the delete to fail', 180)
        self.west.start()
        self.cloud.wait_for_log(r'Cluster west .* is connected',
                                since=self.log_end())
        sdk.reset_snapshot_status(snapshot.id, 'available')
        sdk.delete_snapshot(snapshot.id)
        self.wait(lambda: not list(sdk.snapshots()),
                  'the snapshot to be gone')
        self.audit()

    def log_end(self) -> int:
        """Return where the line about the cluster's death ends."""
        log = self.cloud.log()
        return log.rindex('Cluster west is ')

    def test_silent_cluster(self) -> None:
        """A cluster that swallows requests does not delay the others."""
        sdk = self.start()
        kind = self.pinned(sdk, 'east')
        self.create(sdk, volume_type=kind)
        self.west.fault('blackhole')
        begin = time.monotonic()
        for _number in range(3):
            self.create(sdk, volume_type=kind)
        self.assertLess(time.monotonic() - begin, 3 * _PROMPT_SECONDS)
        self.west.clear_faults()
        self.audit()

    def test_answer_lost(self) -> None:
        """A create whose answer is lost makes exactly one volume."""
        sdk = self.start()
        for cluster in (self.east, self.west):
            cluster.fault('apply_then_drop', route='volumes.create', count=1)
        volume = sdk.create_volume(size=1)
        found = self.settled(sdk, volume, 'available', 'error')
        if found.status == 'error':
            self.delete(sdk, volume)
        self.audit()

    def test_another_cluster_at_the_address(self) -> None:
        """A cluster that is not the known one gets no volumes."""
        sdk = self.start()
        before = self.west.uuid
        self.west.stop()
        self.west.start(uuid='dddddddd-0000-4000-8000-000000000001')
        self.cloud.wait_for_log(r'ERROR .*\[lightbits_cluster:west\]'
                                '.*dddddddd-0000')
        for _number in range(3):
            self.assertEqual('east', self.on_array(self.create(sdk))[0])
        self.west.stop()
        self.west.start(uuid=before)
        self.audit()
