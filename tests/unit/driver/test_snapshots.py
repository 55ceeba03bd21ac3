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

"""Snapshots that clusters fail at, and names of theirs that are taken."""

import os
from typing import Any

from cinder import coordination

from cinder_lightbits_federation import exception as lb_exception
from tests.unit.driver import base


class SnapshotTestCase(base.FederationTestCase):

    NODES = 1
    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()
        self.array = self.arrays['east']
        self.source = self.made(self.driver)

    def foreign(self, name: str) -> dict[str, Any]:
        """:returns: a snapshot of the source that somebody else has made."""
        reply = self.array.request(
            'POST', '/api/v2/projects/default/snapshots',
            {'name': name, 'sourceVolumeUUID': self.on(self.source)[1]['UUID']
             })
        made: dict[str, Any] = reply.json()
        return made

    def lock_files(self, volume: Any) -> list[str]:
        """Lock files that name a volume."""
        folder = os.path.dirname(coordination.COORDINATOR._file_path)
        return [name for name in os.listdir(folder) if volume.id in name]

    def test_its_lock_file_goes_with_the_volume(self) -> None:
        volume = self.made(self.driver)
        self.driver.create_snapshot(self.snapshot(volume))
        self.assertEqual(1, len(self.lock_files(volume)))

        for _twice in range(2):
            self.driver.clean_volume_file_locks(volume.id)

            self.assertEqual([], self.lock_files(volume))

    def test_a_name_that_is_taken(self) -> None:
        snapshot = self.snapshot(self.source)
        theirs = self.foreign(snapshot.name)

        error = self.assertRaises(lb_exception.LightbitsFinalError,
                                  self.driver.create_snapshot, snapshot)

        self.assertIn(theirs['UUID'], str(error))
        (_name, found), = self.everywhere(snapshot.name)
        self.assertEqual(theirs['UUID'], found['UUID'])
        self.driver.delete_volume(self.volume())

    def test_a_snapshot_that_ends_failed(self) -> None:
        self.array.set_delays(snapshot_create=0.1)
        self.array.fault('fail_create', route='snapshots.create')
        snapshot = self.snapshot(self.source)

        error = self.assertRaises(lb_exception.LightbitsBackendError,
                                  self.driver.create_snapshot, snapshot)

        self.assertIn('Failed', str(error))
        self.assertEqual([], self.everywhere(snapshot.name))

    def test_a_failed_snapshot_that_cannot_be_removed(self) -> None:
        self.array.fault('fail_create', route='snapshots.create')
        self.array.fault('status', route='snapshots.delete', status=403)
        log = self.logged()
        snapshot = self.snapshot(self.source)

        self.assertRaises(lb_exception.LightbitsBackendError,
                          self.driver.create_snapshot, snapshot)

        self.assertIn('could not be removed', log.output)
        self.array.clear_faults()
        self.driver.delete_snapshot(self.reread(snapshot))
        self.assertEqual([], self.everywhere(snapshot.name))

    def test_a_snapshot_that_is_accepted_and_never_seen(self) -> None:
        self.array.set_delays(snapshot_create=0.1)
        self.array.fault('status', route='snapshots.get', status=404)
        self.hurry(self.driver, 2)
        snapshot = self.snapshot(self.source)

        self.assertRaises(lb_exception.LightbitsFinalError,
                          self.driver.create_snapshot, snapshot)

        self.assertEqual(1, len(self.everywhere(snapshot.name)))

    def test_endpoints_that_cannot_be_read_when_a_host_attaches(
            self) -> None:
        cluster, = self.driver.federation.registry.clusters
        cluster._vitals = None
        self.array.fault('status', route='clusterinfo', status=400)

        error = self.assertRaises(lb_exception.LightbitsFinalError,
                                  self.driver.initialize_connection,
                                  self.source, base.connector(1))

        self.assertIn('endpoints', str(error))
        self.array.clear_faults()
        found = self.driver.initialize_connection(self.source,
                                                  base.connector(1))
        self.assertEqual('lightos', found['driver_volume_type'])
