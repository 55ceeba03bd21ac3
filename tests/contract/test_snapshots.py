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

"""Snapshots and clones, as a driver uses them."""

from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import model
from tests.contract import base

GIB = base.GIB
ABSENT = '0fffffff-ffff-4fff-8fff-ffffffffffff'


class SnapshotTestCase(base.ContractTestCase):

    def test_life(self) -> None:
        volume = self.volume()
        snapshot = self.snapshot(volume, description='made by a test',
                                 retention=7200)
        self.assertEqual(
            (volume.uuid, volume.name, volume.size, 'made by a test',
             '7200s', self.project),
            (snapshot.source_volume_uuid, snapshot.source_volume_name,
             snapshot.size, snapshot.description, snapshot.retention,
             snapshot.project))
        found = self.client.find_snapshot(self.project, snapshot.name)
        self.assertEqual(snapshot.uuid, found and found.uuid)
        self.client.delete_snapshot(self.project, snapshot.uuid)
        self.assertTrue(self.gone(self.client.get_snapshot, snapshot.uuid))
        self.assertIsNone(
            self.client.find_snapshot(self.project, snapshot.name))

    def test_pages(self) -> None:
        volume = self.volume()
        mine = {self.snapshot(volume).uuid for _ in range(3)}
        for limit in (1, 2, 1000):
            found = [one.uuid for one in self.client.list_snapshots(
                self.project, limit=limit)]
            self.assertEqual(len(set(found)), len(found))
            self.assertLessEqual(mine, set(found))

    def test_list_by_name(self) -> None:
        volume = self.volume()
        snapshot = self.snapshot(volume)
        self.snapshot(volume)
        self.assertEqual([snapshot.uuid], [
            one.uuid for one in self.client.snapshot_page(
                self.project, name=snapshot.name)])

    def test_names_are_unique(self) -> None:
        volume = self.volume()
        snapshot = self.snapshot(volume)
        self.assertRaises(errors.Conflict, self.snapshot, volume,
                          name=snapshot.name)

    def test_what_is_not_there(self) -> None:
        for call in (self.client.get_snapshot, self.client.delete_snapshot):
            self.assertRaises(errors.NotFound, call, self.project, ABSENT)
        self.assertRaises(
            errors.NotFound, self.client.create_snapshot, self.project,
            model.NewSnapshot(self.name(), ABSENT))

    def test_clone(self) -> None:
        volume = self.volume()
        snapshot = self.snapshot(volume)
        clone = self.volume(size=2 * GIB, source_snapshot_uuid=snapshot.uuid)
        self.assertEqual((2 * GIB, snapshot.uuid),
                         (clone.size, clone.source_snapshot_uuid))
        self.assertEqual([clone.uuid], [
            one.uuid for one in self.client.list_volumes(
                self.project, snapshot_uuid=snapshot.uuid)])
        self.client.delete_snapshot(self.project, snapshot.uuid)
        self.settled(clone.uuid)

    def test_a_clone_is_not_smaller(self) -> None:
        snapshot = self.snapshot(self.volume(size=2 * GIB))
        self.assertRaises(errors.BadRequest, self.create_volume, size=GIB,
                          source_snapshot_uuid=snapshot.uuid)

    def test_snapshots_survive_their_volume(self) -> None:
        volume = self.volume()
        snapshot = self.snapshot(volume)
        self.client.delete_volume(self.project, volume.uuid)
        self.gone(self.client.get_volume, volume.uuid)
        self.assertEqual(
            volume.uuid, self.client.get_snapshot(
                self.project, snapshot.uuid).source_volume_uuid)

    def test_rollback_takes_the_size_too(self) -> None:
        volume = self.volume()
        snapshot = self.snapshot(volume)
        self.change(volume, model.VolumeChange(size=2 * GIB),
                    lambda found: found.size == 2 * GIB)
        self.client.rollback(self.project, volume.uuid, snapshot.uuid)

        def done() -> model.Volume | None:
            found = self.settled(volume.uuid)
            return found if found.size == GIB else None

        self.wait(done)

    def test_rollback_to_what_is_not_there(self) -> None:
        volume = self.volume()
        self.assertRaises(errors.NotFound, self.client.rollback,
                          self.project, volume.uuid, ABSENT)

    def test_no_changed_blocks(self) -> None:
        volume = self.volume()
        first, second = self.snapshot(volume), self.snapshot(volume)
        changed = self.client.changed_blocks(
            self.project, second.uuid, base_uuid=first.uuid)
        self.assertEqual((0, 0), (changed.next_lba, sum(
            one.bitmap.count(b'\0') != len(one.bitmap)
            for one in changed.ranges)))

    def test_changed_blocks_of_another_chain(self) -> None:
        ours = self.snapshot(self.volume())
        other = self.snapshot(self.volume())
        self.assertRaises(
            errors.BadRequest, self.client.changed_blocks, self.project,
            ours.uuid, base_uuid=other.uuid)


class SpeltOutTestCase(SnapshotTestCase):
    """The same where the cluster settles the open questions otherwise."""

    options = {'switches': {
        'emit_defaults': True, 'busy_status': 409, 'list_order': 'creation',
        'snapshot_delete_waits_for_clones': True,
        'failed_precondition': 412, 'bump_etag_on_state': False}}
