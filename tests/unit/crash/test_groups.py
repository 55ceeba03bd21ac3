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

"""Volumes of generic groups, through Cinder's own manager.

For such a volume Cinder sets fields of the old consistency groups that it
must not save; whoever saves the record as a whole in between fails.
"""

import logging
from typing import Any

from cinder import objects
from cinder.tests.unit import utils
from cinder.volume import group_types
from cinder.volume import volume_types

from tests.crash import cloud
from tests.crash import continuations
from tests.crash import matrix
from tests.crash import operations
from tests.unit.crash import test_matrix


class CreateGrouped(operations.Create):
    """A new volume of a group."""

    title = 'create, grouped'

    def fields(self, cloud: Any) -> dict[str, Any]:
        return {'group_id': cloud.group.id}


class GroupTestCase(cloud.CloudTestCase):
    """A group that Cinder manages without the driver's help."""

    def setUp(self) -> None:
        super().setUp()
        kind = group_types.create(
            self.context, 'snapped',
            {'consistent_group_snapshot_enabled': '<is> False'})
        default = volume_types.get_default_volume_type(self.context)['id']
        self.group = utils.create_group(
            self.context, host=cloud.PLACE, group_type_id=kind['id'],
            volume_type_ids=[default], status='creating')
        self.tell('create_group', group=self.group)
        self.group.refresh()
        self.assertEqual('available', self.group.status)

    def tell(self, method: str, **args: Any) -> None:
        """Send the service a message."""
        self.bus.cast(cloud.bus.VOLUME, self.context, method, args)

    def grouped(self) -> Any:
        """A volume of the group."""
        return self.make(group_id=self.group.id)

    def test_a_volume_of_a_group(self) -> None:
        volume = self.grouped()

        self.assertEqual(self.group.id, self.reread(volume).group_id)
        self.assert_sound()
        self.api.extend(self.context, volume, 2)
        self.assertEqual(2, self.reread(volume).size)
        self.assert_sound()

    def test_death_while_one_is_made(self) -> None:
        self.logged(logging.ERROR)
        following = [continuations.Reschedule(), continuations.Repeat()]
        # Cinder deletes them with their group only.
        self.mock_object(self, 'delete_all', self._ungroup_and_delete)

        rows = list(matrix.run(self, [CreateGrouped()], following,
                               test_matrix.after_writes))

        self.assertEqual([], rows[0].problems)

    def _ungroup_and_delete(self) -> None:
        for volume in objects.VolumeList.get_all(self.context):
            volume.group_id = None
            volume.save()
            self.delete(volume.id)

    def test_deleting_the_group_deletes_its_volumes_only(self) -> None:
        self.grouped(), self.grouped()
        other = self.make()

        self.tell('delete_group', group=self.group)

        self.assertEqual([other.id], [
            item.id for item in objects.VolumeList.get_all(self.context)])
        self.assert_sound()

    def test_snapshots_of_a_group(self) -> None:
        volumes = [self.grouped(), self.grouped()]
        taken = utils.create_group_snapshot(
            self.context, self.group.id,
            group_type_id=self.group.group_type_id, status='creating')
        snapshots = [self.snapshot(volume, group_snapshot_id=taken.id)
                     for volume in volumes]

        self.tell('create_group_snapshot', group_snapshot=taken)

        self.assertEqual(['available'] * 2, [
            self.reread(item).status for item in snapshots])
        self.assert_sound()

        self.tell('delete_group_snapshot', group_snapshot=taken)

        self.assertEqual([], list(objects.SnapshotList.get_all(
            self.context, {})))
        self.assert_sound()
