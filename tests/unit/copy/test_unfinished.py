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

"""Moves that the record tells, and that are not at their end."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Any
from unittest import mock

from cinder import exception

from cinder_lightbits_federation.copy.relocation import Relocation
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.records import LocationRecord
from tests.copying import files
from tests.unit.copy import test_mobility
from tests.unit.driver import base


class UnfinishedTestCase(test_mobility.MobilityTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.record = self.filled()
        self.home, _found = self.on(self.record)
        self.there, = set(self.arrays) - {self.home}
        self.content = files.content(self.path(self.record))
        self.recorded = LocationRecord.record

    def when_recorded(self, act: Callable[[], object]) -> Any:
        """Have something happen when the record names the new place.

        :returns: what ends that.
        """
        def recording(record: LocationRecord, location: Any) -> None:
            self.recorded(record, location)
            act()

        patched = mock.patch.object(LocationRecord, 'record', recording)
        patched.start()
        self.addCleanup(patched.stop)
        return patched

    def fails(self, status: int, count: int | None = None) -> None:
        """Let the new cluster refuse to rename."""
        self.when_recorded(lambda: self.arrays[self.there].fault(
            'status', route='volumes.update', status=status, count=count))

    def new(self) -> dict[str, Any]:
        """The new volume, as its cluster has it."""
        found, = (item for item in self.arrays[self.there].state()['volumes']
                  if item['UUID'] == self.location(self.record).object_uuid)
        return found

    def unnamed(self) -> Any:
        """Leave the new volume without its name."""
        self.fails(403)
        self.assertRaisesRegex(exception.VolumeBackendAPIException, '403',
                               self.migrate, self.record)
        self.arrays[self.there].clear_faults()
        self.assertTrue(self.new()['name'].startswith('for_copy_'))
        return self.reread(self.record)

    def at_its_end(self) -> None:
        self.assertEqual([], self.objects()[self.home])
        self.assertEqual(self.there, self.on(self.record)[0])
        self.assertEqual(self.content, files.content(self.path(self.record)))


class WithoutNameTest(UnfinishedTestCase):

    def test_trouble_that_passes(self) -> None:
        self.fails(401, count=2)
        self.assertIs(True, self.migrate(self.record))
        self.at_its_end()

    def test_the_volume_can_be_used(self) -> None:
        volume = self.unnamed()
        attachment = self.attach(self.drv, volume, base.connector(1))
        self.assertEqual([base.nqn(1)], self.new()['acl']['values'])
        self.drv.extend_volume(volume, 2)
        self.assertEqual(str(2 * base.GIB), self.new()['size'])
        # Its name comes when its user is there.
        held = self.drv.desk.begin('migrate', volume.id, {})
        Relocation(self.transfer).abandon(self.drv._ref(volume), held,
                                          LocationRecord(volume))
        self.assertEqual((volume.name, [base.nqn(1)]),
                         (self.new()['name'], self.new()['acl']['values']))
        attachment.destroy()
        self.drv.terminate_connection(volume, base.connector(1))
        self.assertEqual(['ALLOW_NONE'], self.new()['acl']['values'])
        self.assertEqual([], self.objects()[self.home])

    def test_nobody_has_access_when_the_record_names_it(self) -> None:
        """As after a service that was killed with the volume attached."""
        called = Relocation._check_name

        def checked(relocation: Relocation, ref: Any, created: Any) -> None:
            called(relocation, ref, created)
            self.arrays[self.there].request(
                'PUT', '/api/v2/projects/default/volumes/'
                f'{created.volume.uuid}', {'acl': {'values': [base.nqn(9)]}})

        with mock.patch.object(Relocation, '_check_name', checked):
            self.assertIs(True, self.migrate(self.record))
        self.assertEqual(['ALLOW_NONE'], self.new()['acl']['values'])

    def test_snapshots(self) -> None:
        volume = self.unnamed()
        snapshot = self.snapshot(volume)
        self.saved(snapshot, self.drv.create_snapshot(snapshot))
        self.drv.delete_snapshot(self.reread(snapshot))

    def test_it_is_deleted_whole(self) -> None:
        self.drv.delete_volume(self.unnamed())
        self.assertEqual({name: [] for name in self.arrays}, self.objects())

    def test_killed_before_it_had_its_name(self) -> None:
        with mock.patch.object(Relocation, '_finish', autospec=True,
                               side_effect=test_mobility.Killed):
            self.assertRaises(test_mobility.Killed, self.migrate, self.record)
        self.assertTrue(self.new()['name'].startswith('for_copy_'))
        volume = self.reread(self.record)
        self.drv.initialize_connection(volume, base.connector(1))
        self.drv.terminate_connection(volume, base.connector(1))
        # Who takes it over only does what is left.
        self.mover.calls.clear()
        self.assertIs(True, self.migrate(self.record))
        self.assertEqual([], self.mover.calls)
        self.at_its_end()

    def test_another_host_goes_on(self) -> None:
        """Who has lost the job tries no more."""
        def lose() -> None:
            self.arrays[self.there].fault('status', route='volumes.update',
                                          status=401)
            book = self.drv.desk.book
            job, = book.all()
            claim, = self.drv.desk._claims
            book.let_go(job.id, claim)
            self.assertIsNotNone(book.claim(book.get(job.id), 'other'))

        self.when_recorded(lose)
        self.assertRaisesRegex(exception.VolumeBackendAPIException,
                               'another host', self.migrate, self.record)

    def test_of_another_record_it_is_not_taken(self) -> None:
        volume = self.unnamed()
        labels = [item | ({'value': 'somebody'} if item['key'] == 'cinder_id'
                          else {}) for item in self.new()['labels']]
        self.arrays[self.there].request(
            'PUT', f'/api/v2/projects/default/volumes/{self.new()["UUID"]}',
            {'labels': labels})
        self.assertRaises(exception.MetadataUpdateFailure,
                          self.drv.initialize_connection, volume,
                          base.connector(1))


class LeftTest(UnfinishedTestCase):
    """The old volume could not be removed."""

    def left(self) -> None:
        home = self.arrays[self.home]
        recording = self.when_recorded(lambda: home.fault(
            'status', route='volumes.delete', status=403))
        self.assertRaisesRegex(exception.VolumeBackendAPIException, '403',
                               self.migrate, self.record)
        recording.stop()
        home.clear_faults()
        # What was read from is there as well.
        self.assertNotEqual([], self.objects()[self.home])

    def test_a_later_move_moves(self) -> None:
        self.left()
        self.assertIs(True, self.migrate(self.record))
        self.assertEqual([], self.objects()[self.there])
        self.assertEqual(self.home, self.on(self.record)[0])
        self.assertEqual(self.content, files.content(self.path(self.record)))
        job, = self.drv.desk.book.all()
        self.assertIs(JobState.DONE, job.state)

    def test_one_to_where_it_is_ends_the_first(self) -> None:
        self.left()
        self.mover.calls.clear()
        request = dataclasses.replace(self.request(self.record),
                                      only=self.arrays[self.there].uuid)
        with self.drv._job('migrate', self.record) as held:
            self.relocation.move(request, held, held.again)
        self.assertEqual([], self.mover.calls)
        self.at_its_end()

    def test_who_asks_for_it_once_more_ends_it_first(self) -> None:
        """Nothing of the first move stays when the second one fails."""
        self.left()
        self.arrays[self.home].fault('status', route='volumes.create',
                                     status=403)
        self.assertRaises(exception.CinderException, self.migrate,
                          self.record)
        self.at_its_end()
