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

"""Taking over what Cinder has not made, and letting go of it."""

from typing import Any

from cinder import exception

from cinder_lightbits_federation.manage import Existing
from cinder_lightbits_federation.manage import NotManageable
from cinder_lightbits_federation import records
from tests.unit.driver import base


class ManageTestCase(base.FederationTestCase):

    CLUSTERS = ('east', 'west')

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()

    def foreign(self, cluster: str, name: str, **fields: Any) -> Any:
        """A volume that somebody else made."""
        body = {'name': name, 'size': '1gib', 'replicaCount': 3,
                'acl': {'values': ['ALLOW_NONE']}, **fields}
        reply = self.arrays[cluster].request(
            'POST', '/api/v2/projects/default/volumes', json=body)
        self.assertEqual(200, reply.status, reply.body)
        return reply.json()

    def manage(self, **reference: str) -> Any:
        """Manage a volume as the manager does."""
        volume = self.volume()
        volume.size = self.driver.manage_existing_get_size(volume, reference)
        self.saved(volume, self.driver.manage_existing(volume, reference))
        return volume

    def test_a_volume_is_renamed_labelled_and_recorded(self) -> None:
        made = self.foreign('west', 'legacy', size='1536mib')

        volume = self.manage(**{'source-name': 'legacy'})

        cluster, found = self.on(volume)
        self.assertEqual(('west', made['UUID']), (cluster, found['UUID']))
        self.assertEqual(made['UUID'], self.location(volume).object_uuid)
        self.assertEqual(2, volume.size)
        self.assertEqual(2 * base.GIB, int(found['size']))
        self.driver.delete_volume(volume)
        self.assertEqual([], self.everywhere(volume.name))

    def test_by_uuid_on_a_named_cluster(self) -> None:
        made = self.foreign('east', 'legacy')

        volume = self.manage(**{'source-id': made['UUID'],
                                'cluster': 'east'})

        self.assertEqual('east', self.on(volume)[0])

    def test_one_name_on_two_clusters_has_to_be_told_apart(self) -> None:
        self.foreign('east', 'legacy')
        self.foreign('west', 'legacy')

        error = self.assertRaises(
            exception.ManageExistingInvalidReference, self.manage,
            **{'source-name': 'legacy'})
        self.assertIn('several clusters', str(error))
        self.assertEqual('west', self.on(self.manage(
            **{'source-name': 'legacy', 'cluster': 'west'}))[0])

    def test_bad_references_name_the_key(self) -> None:
        for reference, word in (
                ({'source-name': 'none'}, 'on no cluster'),
                ({'source-id': 'legacy'}, 'source-id'),
                ({'name': 'legacy'}, 'unknown key name'),
                ({'source-name': 'x', 'cluster': 'south'}, 'south'),
                ({}, 'source-name')):
            error = self.assertRaises(
                exception.ManageExistingInvalidReference, self.manage,
                **reference)
            self.assertIn(word, str(error))

    def test_others_volumes_are_left_alone(self) -> None:
        self.foreign('east', 'theirs', labels=[
            {'key': 'cinder_owner',
             'value': '11111111-2222-3333-4444-555555555555'}])

        error = self.assertRaises(
            exception.ManageExistingInvalidReference, self.manage,
            **{'source-name': 'theirs'})

        self.assertIn('somebody else', str(error))
        self.assertEqual(1, len(self.everywhere('theirs')))

    def test_one_that_others_take_meanwhile_is_left_alone(self) -> None:
        made = self.foreign('east', 'legacy')
        path = f'/api/v2/projects/default/volumes/{made["UUID"]}'
        manage = self.driver.federation.manage
        deadline = self.driver.federation.deadline()
        found = manage.find_volume(
            Existing.parse({'source-name': 'legacy'}, 'default'), deadline)
        target = records.volume_ref(self.volume(), 'default')
        theirs = {'labels': [{'key': 'cinder_owner', 'value': 'they'}]}
        used = {'acl': {'values': [base.nqn(1)]},
                'labels': [{'key': 'color', 'value': 'blue'}]}
        for change in (theirs, used):
            self.arrays['east'].request('PUT', path, json=change)

            self.assertRaises(NotManageable, manage.adopt_volume, found,
                              target, base.GIB, base.NoRecord(), deadline)

            self.assertEqual(1, len(self.everywhere('legacy')))

    def test_a_volume_in_use_is_left_alone(self) -> None:
        self.foreign('east', 'busy', acl={'values': [base.nqn(1)]})

        error = self.assertRaises(
            exception.ManageExistingInvalidReference, self.manage,
            **{'source-name': 'busy'})

        self.assertIn(base.nqn(1), str(error))

    def test_a_type_that_does_not_fit_is_refused(self) -> None:
        self.foreign('east', 'legacy')
        volume = self.volume(specs={'lightos:num_replicas': '2'})

        error = self.assertRaises(
            exception.ManageExistingVolumeTypeMismatch,
            self.driver.manage_existing, volume, {'source-name': 'legacy'})

        self.assertIn('lightos:num_replicas', str(error))
        self.assertEqual(1, len(self.everywhere('legacy')))

    def test_an_old_cluster_that_cannot_rename_is_refused(self) -> None:
        self.add_array('old', version='3.12.1')
        self.driver.tear_down()
        self.driver = self.start_driver()
        self.foreign('old', 'legacy')

        error = self.assertRaises(
            exception.ManageExistingInvalidReference, self.manage,
            **{'source-name': 'legacy'})

        self.assertIn('3.16', str(error))

    def test_unmanage_lets_go_and_manage_takes_back(self) -> None:
        volume = self.made(self.driver)
        self.driver.unmanage(volume)
        self.driver.unmanage(volume)
        name = volume.name
        volume.destroy()

        again = self.manage(**{'source-name': name})

        self.assertEqual([], self.everywhere(name))
        self.on(again)

    def test_the_list_tells_what_can_be_managed(self) -> None:
        ours = self.made(self.driver)
        free = self.foreign('west', 'free')
        self.foreign('east', 'busy', acl={'values': [base.nqn(1)]})

        listed = self.driver.get_manageable_volumes(
            [ours], None, 10, 0, ['size'], ['asc'])

        by_name = {item['reference']['source-name']: item
                   for item in listed}
        self.assertEqual(3, len(listed))
        self.assertEqual(ours.id, by_name[ours.name]['cinder_id'])
        self.assertIs(False, by_name['busy']['safe_to_manage'])
        self.assertIs(True, by_name['free']['safe_to_manage'])
        self.assertEqual(free['UUID'],
                         by_name['free']['reference']['source-id'])

    def test_a_snapshot_is_recorded_and_keeps_its_name(self) -> None:
        volume = self.made(self.driver)
        cluster, found = self.on(volume)
        reply = self.arrays[cluster].request(
            'POST', '/api/v2/projects/default/snapshots',
            json={'name': 'nightly', 'sourceVolumeUUID': found['UUID']})
        self.assertEqual(200, reply.status)
        snapshot = self.snapshot(volume)

        self.assertEqual(1, self.driver.manage_existing_snapshot_get_size(
            snapshot, {'source-name': 'nightly'}))
        self.saved(snapshot, self.driver.manage_existing_snapshot(
            snapshot, {'source-name': 'nightly'}))

        listed = self.driver.get_manageable_snapshots(
            [snapshot], None, 10, 0, ['size'], ['asc'])
        self.assertEqual([snapshot.id], [item['cinder_id']
                                         for item in listed])
        self.driver.delete_snapshot(snapshot)
        self.assertEqual([], self.everywhere('nightly'))

    def test_a_snapshot_of_another_volume_is_refused(self) -> None:
        volume, other = self.made(self.driver), self.made(self.driver)
        cluster, found = self.on(other)
        self.arrays[cluster].request(
            'POST', '/api/v2/projects/default/snapshots',
            json={'name': 'nightly', 'sourceVolumeUUID': found['UUID']})

        self.assertRaises(
            exception.ManageExistingInvalidReference,
            self.driver.manage_existing_snapshot, self.snapshot(volume),
            {'source-name': 'nightly'})


class RevertTestCase(base.FederationTestCase):

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver(lightbits_operation_timeout=5)
        self.subject = self.made(self.driver)
        self.mark = self.snapshot(self.subject)
        self.saved(self.mark, self.driver.create_snapshot(self.mark))

    def revert(self) -> None:
        """Revert as the manager does."""
        self.driver.revert_to_snapshot(self.context, self.subject, self.mark)

    def rollbacks(self) -> int:
        """How often the array was asked."""
        return self.arrays['east'].counters().requests['volumes.rollback']

    def test_the_array_does_it(self) -> None:
        self.revert()

        self.assertEqual(1, self.rollbacks())

    def test_a_grown_volume_keeps_its_size(self) -> None:
        self.driver.extend_volume(self.subject, 2)
        self.subject.size = 2

        self.revert()

        self.assertEqual(2 * base.GIB, int(self.on(self.subject)[1]['size']))

    def test_a_lost_reply_is_asked_for_again(self) -> None:
        self.arrays['east'].fault('apply_then_drop', count=1,
                                  route='volumes.rollback')

        self.revert()

        self.assertEqual(2, self.rollbacks())

    def test_a_volume_that_stays_busy(self) -> None:
        self.hurry(self.driver, 1)
        self.arrays['east'].fault('status', route='volumes.rollback',
                                  status=409)

        error = self.assertRaises(exception.VolumeBackendAPIException,
                                  self.revert)

        self.assertIn('409', str(error))
        self.assertFalse(self.driver.federation.registry.clusters[0].suspect)

    def test_a_snapshot_of_another_volume_is_refused(self) -> None:
        other = self.made(self.driver)

        self.assertRaises(exception.CinderException,
                          self.driver.revert_to_snapshot, self.context,
                          other, self.mark)


class RetypeTestCase(base.FederationTestCase):

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()
        self.subject = self.made(self.driver)

    def retype(self, specs: dict[str, str], **diff: Any) -> bool:
        """Retype to a type of these specs."""
        return self.driver.retype(
            self.context, self.subject, {'extra_specs': specs}, diff,
            {'host': self.subject.host})

    def test_compression_and_policy_change_in_place(self) -> None:
        self.arrays['east'].request('POST', '/api/v2/policies', json={
            'name': 'gold', 'qoSRateLimitPolicy': {
                'policyVisibility': 'Global',
                'limitIOPS': {'readIOPSLimit': 512,
                              'writeIOPSLimit': 512}}})

        self.assertIs(True, self.retype({'compression': '<is> True',
                                         'lightos:qos_policy': 'gold'}))

        found = self.on(self.subject)[1]
        self.assertEqual(('true', 'gold'), (found['compression'],
                                            found['qosPolicyName']))
        self.assertIs(False, self.retype({}))

    def test_what_needs_another_place_is_left_to_cinder(self) -> None:
        for specs in ({'lightos:num_replicas': '2'},
                      {'lightos:project_name': 'other'},
                      {'lightos:cluster': 'west'},
                      {'lightos:sector_size': '512'}):
            self.assertIs(False, self.retype(specs), specs)

    def test_encryption_is_left_to_cinder(self) -> None:
        self.assertIs(False, self.retype({}, encryption={'cipher': 1}))

    def test_a_type_that_cannot_be_read_is_refused(self) -> None:
        self.assertRaises(exception.MetadataUpdateFailure, self.retype,
                          {'lightos:replicas': '2'})
