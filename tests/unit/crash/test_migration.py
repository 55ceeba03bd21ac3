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

"""A generic migration, finished by Cinder's own volume manager.

Cinder creates a second volume, copies the data (here between the files of
the simulated clusters), swaps the records and deletes the old one. Records
are swapped in a way that is easy to get wrong: what is deleted in the end
must be the old data, whatever the fields of the records say.
"""

import pathlib
from typing import Any

from cinder import exception
from cinder import objects
from cinder.volume import manager

from tests.crash import cloud
from tests.simulator import client
from tests.unit.driver import base

OLD = b'what the user has written'


class MigrationTestCase(cloud.CloudTestCase):
    """Volumes are moved; their ids stay."""

    CLUSTERS = ('east', 'west', 'north')

    def setUp(self) -> None:
        super().setUp()
        self.mock_object(manager.VolumeManager, '_copy_volume_data',
                         self._copy)
        self.copies = 0
        self.other = self.make()
        self.write(self.other, b'another volume')

    def add_array(self, name: str, **options: Any) -> client.SimCluster:
        """Make clusters whose volumes have content."""
        return super().add_array(name, data_plane='sparse', **options)

    def tearDown(self) -> None:
        # Whatever was done, it was not done to others.
        self.assertEqual(b'another volume', self.read(self.other, 14))
        super().tearDown()

    def path(self, volume: Any) -> pathlib.Path:
        """The content of a volume, where its record says it is."""
        place = self.location(volume)
        array = next(item for item in self.arrays.values()
                     if item.uuid == place.cluster_uuid)
        path = array.data_path(place.object_uuid or '')
        self.assertIsNotNone(path)
        return pathlib.Path(path or '')

    def write(self, volume: Any, content: bytes) -> None:
        """Write to the start of a volume."""
        with self.path(volume).open('r+b') as stream:
            stream.write(content)

    def read(self, volume: Any, size: int = len(OLD)) -> bytes:
        """Read from the start of a volume."""
        with self.path(volume).open('rb') as stream:
            return stream.read(size)

    def _copy(self, _context: Any, source: Any, target: Any, *_args: Any,
              **_kwargs: Any) -> None:
        self.copies += 1
        self.write(target, self.read(source))

    def migrate(self, volume: Any) -> None:
        """Have a volume migrated by way of the host."""
        self.reset(volume, 'maintenance')
        volume.previous_status = 'available'
        volume.save()
        self.service.receive(self.context, 'migrate_volume', {
            'volume': objects.Volume.get_by_id(self.context, volume.id),
            'host': {'host': cloud.PLACE, 'cluster_name': None},
            'force_host_copy': True})

    def assert_moved(self, volume: Any, before: Any) -> None:
        """The record has the new data, and the old is gone."""
        volume.refresh()
        self.assertEqual(('available', 'success'),
                         (volume.status, volume.migration_status))
        place = self.location(volume)
        self.assertEqual(volume.name_id, place.name_id)
        self.assertNotEqual(before.cluster_uuid, place.cluster_uuid)
        self.assertEqual(OLD, self.read(volume))
        left = [uuid for name in self.arrays
                for uuid in self.objects_by_uuid(name)]
        self.assertNotIn(before.object_uuid, left)
        self.assertEqual({volume.id, self.other.id}, {
            item.id for item in objects.VolumeList.get_all(self.context)})
        self.assert_sound()

    def test_the_volume_has_the_new_data_and_the_old_is_gone(self) -> None:
        volume = self.make()
        self.write(volume, OLD)
        before = self.location(volume)

        self.migrate(volume)

        self.assert_moved(volume, before)
        self.assertNotEqual(volume.id, volume.name_id)
        self.assertEqual(1, self.copies)

    def test_it_can_be_moved_again_and_again(self) -> None:
        volume = self.make()
        self.write(volume, OLD)
        names = set()
        for _round in range(3):
            before = self.location(volume)
            self.migrate(volume)
            self.assert_moved(volume, before)
            names.add(volume.name_id)

        self.assertEqual(3, len(names))

    def test_a_moved_volume_serves_as_any_other(self) -> None:
        volume = self.make()
        self.write(volume, OLD)
        self.migrate(volume)
        volume.refresh()

        self.api.extend(self.context, volume, 2)
        snapshot = self.make_snapshot(self.reread(volume))
        clone = self.make(source_volid=volume.id, size=2)
        self.attach_host(volume, base.connector(1))
        self.assert_sound()

        self.assertEqual(OLD, self.read(clone))
        self.delete_snapshot(snapshot.id)
        self.delete(volume.id)
        self.assert_sound()
        self.assertEqual(OLD, self.read(clone))
        self.delete(clone.id)
        self.assert_sound()

    def test_a_copy_that_fails_leaves_the_volume_as_it_was(self) -> None:
        def fail(*_args: Any, **_kwargs: Any) -> None:
            raise exception.VolumeBackendAPIException(data='no host')

        volume = self.make()
        self.write(volume, OLD)
        before = self.location(volume)
        self.mock_object(manager.VolumeManager, '_copy_volume_data', fail)

        self.assertRaises(exception.CinderException, self.migrate, volume)

        volume.refresh()
        self.assertEqual(('available', 'error'),
                         (volume.status, volume.migration_status))
        self.assertEqual(before, self.location(volume))
        self.assertEqual(OLD, self.read(volume))
        self.assert_sound()

    def test_without_room_elsewhere_nothing_happens(self) -> None:
        volume = self.make(specs={'lightos:cluster': 'east'})
        self.write(volume, OLD)

        self.assertRaises(exception.CinderException, self.migrate, volume)

        self.assertEqual(OLD, self.read(volume))
        self.assertEqual(0, self.copies)
        self.assertEqual({volume.id, self.other.id}, {
            item.id for item in objects.VolumeList.get_all(self.context)})
        self.assert_sound()

    def test_deleting_a_target_that_was_never_made_spares_the_source(self
                                                                     ) -> None:
        volume = self.make()
        self.write(volume, OLD)
        target = self.volume_record(
            provider_location=volume.provider_location,
            provider_id=volume.provider_id,
            migration_status=f'target:{volume.id}', use_quota=False)
        self.reset(target, 'deleting')

        self.service.receive(self.context, 'delete_volume',
                             {'volume': self.reread(target)})

        self.assert_gone(objects.Volume, target.id)
        self.assertEqual(OLD, self.read(volume))
        self.assert_sound()
