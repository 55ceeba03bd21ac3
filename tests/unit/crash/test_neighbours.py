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

"""Others on the same clusters: a second cloud, and a container platform.

The second cloud is a copy of the first one's database with an id of its own,
as a staging system is: all its records have the same ids, names and even
locations. The container platform uses the array's API as it likes, with the
names that Cinder uses.
"""

import tempfile
from typing import Any

from cinder import exception

from tests.unit.driver import base

STAGING = '7a3c1f52-5d7b-4a0e-9d8e-1b2c3d4e5f60'

Object = dict[str, Any]


class NeighbourTestCase(base.FederationTestCase):
    """Clusters that several use at the same time."""

    CLUSTERS = ('east', 'west')
    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()

    def volume(self, size: int = 1, **fields: Any) -> Any:
        """A record; no cluster here keeps two copies."""
        fields.setdefault('specs', {'lightos:num_replicas': '1'})
        return super().volume(size, **fields)

    def objects(self) -> dict[str, Object]:
        """All objects of all clusters that are not on their way out."""
        return {item['UUID']: item for array in self.arrays.values()
                for state in (array.state(),)
                for item in (*state['volumes'], *state['snapshots'])
                if item['state'] != 'Deleting'}

    def refuse(self, call: Any, *args: Any, **kwargs: Any) -> None:
        """The driver fails, and nothing is changed."""
        before = self.objects()
        self.assertRaises(exception.CinderException, call, *args, **kwargs)
        self.assertEqual(before, self.objects())

    def keep(self, call: Any, *args: Any, **kwargs: Any) -> None:
        """The driver succeeds, and nothing is changed."""
        before = self.objects()
        call(*args, **kwargs)
        self.assertEqual(before, self.objects())


class SecondCloudTestCase(NeighbourTestCase):
    """A staging system with a copy of the database."""

    def setUp(self) -> None:
        super().setUp()
        # A configuration of its own.
        self.folder = tempfile.mkdtemp()
        self.staging = self.start_driver(lightbits_federation_id=STAGING)
        self.theirs = self.made(self.driver)
        self.snapped = self.snapshot(self.theirs)
        self.saved(self.snapped, self.driver.create_snapshot(self.snapped))

    def test_it_changes_nothing_by_the_records_it_has(self) -> None:
        volume, snapshot = self.theirs, self.snapped
        staging = self.staging

        self.refuse(staging.delete_volume, volume)
        self.refuse(staging.extend_volume, volume, 2)
        self.refuse(staging.delete_snapshot, snapshot)
        self.refuse(staging.initialize_connection, volume,
                    base.connector(1))
        self.refuse(staging.revert_to_snapshot, self.context, volume,
                    snapshot)
        self.refuse(staging.create_snapshot, self.snapshot(volume))
        self.refuse(staging.create_cloned_volume, self.volume(), volume)
        self.keep(staging.unmanage, volume)

    def test_it_changes_nothing_by_the_names_it_has(self) -> None:
        for record in (self.theirs, self.snapped):
            record.provider_location = None
            record.save()

        # It has none of these, and is sure of it.
        self.keep(self.staging.delete_volume, self.theirs)
        self.keep(self.staging.delete_snapshot, self.snapped)
        self.refuse(self.staging.extend_volume, self.theirs, 2)

    def test_it_does_not_detach_their_hosts(self) -> None:
        self.attach(self.driver, self.theirs, base.connector(1))

        self.refuse(self.staging.terminate_connection, self.theirs,
                    base.connector(1), force=False)
        self.refuse(self.staging.terminate_connection, self.theirs, None,
                    force=True)

    def test_it_does_not_take_over_what_they_have(self) -> None:
        name = self.on(self.theirs)[1]['name']

        self.refuse(self.staging.manage_existing, self.volume(),
                    {'source-name': name})
        listed = self.staging.get_manageable_volumes(
            [], None, 10, 0, ['size'], ['asc'])
        self.assertEqual([False], [item['safe_to_manage']
                                   for item in listed])

    def test_both_have_a_volume_of_the_same_name(self) -> None:
        record = self.theirs
        production = record.provider_location
        record.provider_location = None
        record.save()

        self.saved(record, self.staging.create_volume(record))

        found = self.everywhere(record.name)
        self.assertEqual({'east', 'west'}, {name for name, _item in found})
        self.staging.delete_volume(record)
        record.provider_location = production
        record.save()
        self.driver.extend_volume(record, 2)
        self.assertEqual([production.split(':')[3]], [
            item['UUID'] for _name, item in self.everywhere(record.name)])

    def test_where_they_have_the_name_everywhere_it_fails(self) -> None:
        self.arrays['east'].fault('status', route='volumes.create',
                                  status=400)
        self.arrays['west'].fault('status', route='volumes.create',
                                  status=400)
        record = self.theirs
        record.provider_location = None
        record.save()

        self.refuse(self.staging.create_volume, record)

    def test_it_neither_finds_nor_removes_their_unfinished_work(self
                                                                ) -> None:
        volume = self.volume()
        self.saved(volume, self.driver.create_volume(volume))
        place = self.location(volume)
        volume.provider_location = str(place).replace(
            place.object_uuid or '', '-')
        volume.save()

        self.keep(self.staging.delete_volume, volume)


class ContainerPlatformTestCase(NeighbourTestCase):
    """Somebody who uses the API directly."""

    def ask(self, cluster: str, method: str, path: str, body: object = None
            ) -> Object:
        """Do a call of the API as the platform."""
        reply = self.arrays[cluster].request(
            method, f'/api/v2/projects/default/{path}', body)
        self.assertEqual(200, reply.status, reply.body)
        answer: Object = reply.json()
        return answer

    def claim(self, cluster: str, name: str, **fields: Any) -> Object:
        """Make a volume as the platform."""
        return self.ask(cluster, 'POST', 'volumes', {
            'name': name, 'size': str(base.GIB), 'replicaCount': 1,
            'acl': {'values': ['ALLOW_NONE']}, **fields})

    def test_a_snapshot_they_took_under_our_name(self) -> None:
        volume = self.made(self.driver)
        cluster, item = self.on(volume)
        snapshot = self.snapshot(volume)
        self.ask(cluster, 'POST', 'snapshots', {
            'name': snapshot.name, 'sourceVolumeUUID': item['UUID']})

        self.refuse(self.driver.create_snapshot, snapshot)
        self.keep(self.driver.delete_snapshot, self.reread(snapshot))

    def test_a_name_that_is_taken_everywhere_is_left(self) -> None:
        volume = self.volume()
        for cluster in self.arrays:
            self.claim(cluster, volume.name)

        self.refuse(self.driver.create_volume, volume)
        self.refuse(self.driver.create_volume, self.reread(volume))
        self.keep(self.driver.delete_volume, self.reread(volume))

    def test_deleting_after_that_spares_them(self) -> None:
        volume = self.volume()
        for cluster in self.arrays:
            self.claim(cluster, volume.name, labels=[
                {'key': 'csi_volume', 'value': 'pvc-1'}])
        self.refuse(self.driver.create_volume, volume)

        self.keep(self.driver.delete_volume, self.reread(volume))

    def test_a_snapshot_s_name_is_taken(self) -> None:
        volume = self.made(self.driver)
        cluster = self.on(volume)[0]
        other = self.claim(cluster, 'pvc-1')
        snapshot = self.snapshot(volume)
        self.ask(cluster, 'POST', 'snapshots', {
            'name': snapshot.name, 'sourceVolumeUUID': other['UUID']})

        self.refuse(self.driver.create_snapshot, snapshot)
        self.keep(self.driver.delete_snapshot, self.reread(snapshot))

    def test_they_snapshot_one_of_our_volumes(self) -> None:
        volume = self.made(self.driver)
        cluster, item = self.on(volume)
        theirs = self.ask(cluster, 'POST', 'snapshots', {
            'name': 'by-the-platform', 'sourceVolumeUUID': item['UUID']})

        self.driver.delete_volume(volume)

        self.assertEqual([theirs['UUID']], list(self.objects()))

    def test_they_clone_from_our_snapshot(self) -> None:
        volume = self.made(self.driver)
        snapshot = self.snapshot(volume)
        self.saved(snapshot, self.driver.create_snapshot(snapshot))
        cluster, item = self.on(snapshot)
        # A clone bears the labels of its snapshot, ours.
        theirs = self.claim(cluster, 'pvc-clone',
                            sourceSnapshotUUID=item['UUID'])

        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(volume)

        self.assertEqual([theirs['UUID']], list(self.objects()))

    def test_a_volume_of_theirs_is_not_attached_or_changed(self) -> None:
        volume = self.made(self.driver)
        cluster, item = self.on(volume)
        self.ask(cluster, 'PUT', f'volumes/{item["UUID"]}',
                 {'newName': 'mine-now'})

        self.refuse(self.driver.initialize_connection, volume,
                    base.connector(1))
        self.refuse(self.driver.extend_volume, volume, 2)
        self.refuse(self.driver.delete_volume, volume)

    def test_all_of_it_at_once(self) -> None:
        """They come and go; our own work goes on."""
        theirs = [self.claim(cluster, f'pvc-{number}')
                  for number in range(4) for cluster in self.arrays]
        kept = {item['UUID']: item for item in theirs}
        ours = []
        for number in range(4):
            volume = self.made(self.driver)
            clone = self.volume()
            self.saved(clone, self.driver.create_cloned_volume(clone,
                                                               volume))
            self.ask('east', 'PUT', f'volumes/{theirs[0]["UUID"]}', {
                'labels': [{'key': 'round', 'value': str(number)}]})
            ours += [volume, clone]
        for volume in ours:
            self.driver.delete_volume(volume)

        left = self.objects()

        self.assertEqual(set(kept), set(left))
        self.assertEqual([{'key': 'round', 'value': '3'}],
                         left[theirs[0]['UUID']]['labels'])
