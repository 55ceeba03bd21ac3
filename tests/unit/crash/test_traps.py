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

"""Records that mislead, and clusters that are not what they were.

Everything goes through Cinder's API layer and volume manager. Whatever is
asked for, what is not proven to be the record's own is left alone, and
nothing is forgotten that may still be there.
"""

from typing import Any
import uuid

from cinder import objects

from cinder_lightbits_federation.location import Location
from tests.crash import cloud
from tests.unit.driver import base


class TrapTestCase(cloud.CloudTestCase):
    """One volume and, if asked for, a snapshot of it."""

    def setUp(self) -> None:
        super().setUp()
        self.volume_made = self.make()
        self.cluster, self.item = self.on(self.volume_made)
        self.other = next(name for name in self.arrays
                          if name != self.cluster)

    def ask_to_delete(self) -> str | None:
        """Have the volume deleted.

        :returns: the status that is left, None when the record is gone.
        """
        volume = self.reread(self.volume_made)
        if volume.status not in cloud.DELETABLE:
            self.reset(volume, 'available')
        self.api.delete(self.context, volume)
        left = self.find(objects.Volume, volume.id)
        return left and str(left.status)

    def record(self, text: str | None) -> None:
        """Write a location into the record."""
        volume = self.reread(self.volume_made)
        volume.provider_location = text
        volume.save()

    def place(self, **changes: Any) -> Location:
        """The recorded location, changed."""
        found = self.location(self.volume_made)
        fields = {name: getattr(found, name) for name in (
            'cluster_uuid', 'name_id', 'project', 'object_uuid', 'attempt')}
        return Location(**{**fields, **changes})

    def everything(self) -> dict[str, dict[str, dict[str, Any]]]:
        """All objects of all clusters."""
        return {name: self.objects_by_uuid(name) for name in self.arrays}

    def assert_refused(self) -> None:
        """A delete changes nothing and says that it failed."""
        before = self.everything()
        self.assertEqual('error_deleting', self.ask_to_delete())
        self.assertEqual(before, self.everything())


class LocationTestCase(TrapTestCase):
    """What the record says is wrong."""

    def test_a_text_that_is_no_location_is_as_good_as_none(self) -> None:
        good = str(self.location(self.volume_made))
        for text in (None, '', 'nonsense', '10.0.0.1:443 volume-1',
                     good.replace('lbf1', 'lbf9'), good[:-3] + ':' * 9,
                     good.upper(), good + 'x' * 200):
            self.record((text or '')[:256] or None)

            # It is found by its name.
            self.api.extend(self.context, self.reread(self.volume_made),
                            self.reread(self.volume_made).size + 1)

            self.assertEqual('available',
                             self.reread(self.volume_made).status, text)
        self.assertIsNone(self.ask_to_delete())
        self.assert_sound()

    def test_it_was_written_for_another_record(self) -> None:
        user = self.make()
        self.record(str(self.location(user)))

        self.assertIsNone(self.ask_to_delete())

        self.on(user)
        self.assert_sound()

    def test_it_leads_to_another_of_our_volumes(self) -> None:
        user = self.make()
        target = self.location(user)
        self.record(str(self.place(cluster_uuid=target.cluster_uuid,
                                   object_uuid=target.object_uuid)))

        self.assert_refused()

    def test_it_leads_to_somebody_else_s_volume(self) -> None:
        theirs = self.foreign_volume(self.cluster)
        self.record(str(self.place(object_uuid=theirs['UUID'])))

        self.assert_refused()

    def test_it_leads_to_a_cluster_that_is_not_known(self) -> None:
        self.record(str(self.place(cluster_uuid=str(uuid.uuid4()))))

        self.assert_refused()

    def test_a_snapshot_s_leads_to_a_snapshot_of_another(self) -> None:
        snapshot = self.make_snapshot(self.reread(self.volume_made))
        theirs = self.foreign_snapshot(self.make(
            specs={'lightos:cluster': self.cluster}))
        found = self.location(snapshot)
        snapshot.provider_location = str(Location(
            found.cluster_uuid, found.name_id, found.project,
            theirs['UUID'], found.attempt))
        snapshot.save()
        before = self.everything()

        self.api.delete_snapshot(self.context, snapshot)

        self.assertEqual('error_deleting', self.reread(snapshot).status)
        self.assertEqual(before, self.everything())


class NameTestCase(TrapTestCase):
    """Names are not what they were, or are there twice."""

    def put(self, **body: Any) -> None:
        """Change the volume as an operator of the cluster."""
        self.ask(self.cluster, 'PUT', 'projects/default/volumes/'
                 f'{self.item["UUID"]}', body)

    def twin(self, labels: list[dict[str, str]]) -> dict[str, Any]:
        """A volume of the same name on the other cluster."""
        return self.ask(self.other, 'POST', 'projects/default/volumes', {
            'name': self.volume_made.name, 'size': str(base.GIB),
            'replicaCount': 1, 'acl': {'values': ['ALLOW_NONE']},
            'labels': labels})

    def test_somebody_has_renamed_it(self) -> None:
        self.put(newName='renamed')

        self.assert_refused()

        self.put(newName=self.volume_made.name)
        self.assertIsNone(self.ask_to_delete())
        self.assert_sound()

    def test_somebody_has_labelled_it(self) -> None:
        self.put(labels=[{'key': 'cinder_owner',
                          'value': str(uuid.uuid4())}])

        self.assert_refused()

    def test_a_twin_without_labels_is_not_ours(self) -> None:
        theirs = self.twin([])
        self.record(None)

        self.assertIsNone(self.ask_to_delete())

        self.assertEqual([theirs['UUID']], [
            item['UUID'] for _name, item
            in self.everywhere(self.volume_made.name)])

    def test_a_twin_of_another_cloud_is_not_ours(self) -> None:
        theirs = self.twin([
            {'key': 'cinder_owner', 'value': str(uuid.uuid4())},
            {'key': 'cinder_id', 'value': self.volume_made.id}])
        before = self.objects_by_uuid(self.other)[theirs['UUID']]

        self.api.extend(self.context, self.reread(self.volume_made), 2)
        self.assertIsNone(self.ask_to_delete())

        self.assertEqual(
            before, self.objects_by_uuid(self.other)[theirs['UUID']])

    def test_of_twins_without_labels_none_is_touched(self) -> None:
        twin = self.twin([])
        self.put(labels=[{'key': 'old', 'value': 'array'}])
        self.record(None)

        self.api.extend(self.context, self.reread(self.volume_made), 2)

        self.assertEqual('error_extending',
                         self.reread(self.volume_made).status)
        self.assertEqual(str(base.GIB), self.objects_by_uuid(
            self.other)[twin['UUID']]['size'])

    def test_deleting_by_the_record_leaves_a_second_of_ours(self) -> None:
        found = self.objects_by_uuid(self.cluster)[self.item['UUID']]
        twin = self.twin(found['labels'])

        self.assertIsNone(self.ask_to_delete())

        self.assertEqual([twin['UUID']], [
            item['UUID'] for _name, item
            in self.everywhere(self.volume_made.name)])


class ClusterTestCase(TrapTestCase):
    """The cluster is another one, or has lost what it had."""

    def come_back(self, **options: Any) -> None:
        """Restart the cluster, and have the service notice."""
        array = self.arrays[self.cluster]
        array.stop()
        array.start(**options)
        self.look_again()

    def test_another_cluster_at_the_address_gets_no_request(self) -> None:
        before = self.arrays[self.cluster].uuid
        self.come_back(uuid=str(uuid.uuid4()))
        self.arrays[self.cluster].reset_counters()

        self.assertEqual('error_deleting', self.ask_to_delete())
        self.assertEqual(self.other, self.on(self.make())[0])

        asked = self.arrays[self.cluster].counters().requests
        self.assertEqual([], [route for route in asked
                              if route.startswith('volumes')])
        self.come_back(uuid=before)
        self.assertIsNone(self.ask_to_delete())
        self.assert_sound()

    def test_an_empty_one_at_the_address_loses_nothing(self) -> None:
        self.come_back(uuid=str(uuid.uuid4()), wipe=True)

        self.assertEqual('error_deleting', self.ask_to_delete())

    def lose(self) -> None:
        """Delete the volume behind Cinder's back."""
        self.ask(self.cluster, 'DELETE', 'projects/default/volumes/'
                 f'{self.item["UUID"]}')

    def test_deleting_what_is_gone_is_done(self) -> None:
        self.lose()

        self.assertIsNone(self.ask_to_delete())
        self.assert_sound()

    def test_deleting_a_snapshot_that_is_gone_is_done(self) -> None:
        snapshot = self.make_snapshot(self.reread(self.volume_made))
        self.ask(self.cluster, 'DELETE', 'projects/default/snapshots/'
                 f'{self.location(snapshot).object_uuid}')

        self.api.delete_snapshot(self.context, snapshot)

        self.assert_gone(objects.Snapshot, snapshot.id)
        self.assert_sound()

    def test_nothing_else_can_be_done_with_what_is_gone(self) -> None:
        self.lose()
        volume = self.reread(self.volume_made)

        self.api.extend(self.context, volume, 2)
        self.assertEqual('error_extending', self.reread(volume).status)
        self.reset(volume, 'available')
        snapshot = self.api.create_snapshot(self.context, volume, 'a', 'b')
        self.assertEqual('error', self.reread(snapshot).status)
        clone = self.volume_record(source_volid=volume.id)
        self.ask_to_create(clone)
        self.assertEqual('error', self.reread(clone).status)
        self.delete_all()
        self.assert_sound()

    def test_detaching_what_is_gone_is_done(self) -> None:
        self.attach_host(self.volume_made, base.connector(1))
        self.lose()

        self.delete_attachments(self.volume_made)

        self.assertEqual([], self.attachments(self.volume_made))
        self.assertIsNone(self.ask_to_delete())
        self.assert_sound()

    def test_a_silent_cluster_keeps_a_record_without_location(self) -> None:
        self.record(None)
        self.arrays[self.cluster].stop()

        self.assertEqual('error_deleting', self.ask_to_delete())

        self.arrays[self.cluster].start()
        self.look_again()
        self.assertIsNone(self.ask_to_delete())
        self.assert_sound()
