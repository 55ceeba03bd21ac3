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

"""A record and its object: there, once, at the right place."""

from __future__ import annotations

from typing import Any

from oslotest import base

from cinder_lightbits_federation.audit import books
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.lightbits import model
from tests.unit.audit import world
from tests.unit.audit.world import changed
from tests.unit.audit.world import cluster
from tests.unit.audit.world import compare
from tests.unit.audit.world import said

ERROR, WARNING = Severity.ERROR, Severity.WARNING
NOTICE, IN_FLIGHT = Severity.NOTICE, Severity.IN_FLIGHT


def one(**changes: Any) -> books.Books:
    """:returns: books with one volume, changed."""
    return books.Books((changed(world.VOLUME, **changes),))


def with_snapshot(**changes: Any) -> books.Books:
    """:returns: books with a volume and a snapshot, which is changed."""
    return books.Books((world.VOLUME,),
                       (changed(world.SNAPSHOT, **changes),))


class VolumesTest(base.BaseTestCase):

    def test_all_is_well(self) -> None:
        self.assertEqual((), compare(
            with_snapshot(),
            cluster(world.ON_ARRAY, world.SNAPSHOT_ON_ARRAY, world.FOREIGN)))

    def test_missing(self) -> None:
        found, = compare(one())

        self.assertEqual((Kind.MISSING, ERROR), (found.kind, found.severity))
        self.assertEqual(
            ('volume', 'east', world.EAST, world.VOLUME_UUID,
             world.VOLUME_ID),
            (found.resource, found.cluster, found.cluster_uuid,
             found.object_uuid, found.cinder_id))
        self.assertIn('on no other cluster', found.evidence)

    def test_missing_tells_who_was_not_asked(self) -> None:
        found = compare(one(), world.silent(world.WEST))

        self.assertEqual([(Kind.MISSING, ERROR), (Kind.NOT_ASKED, WARNING)],
                         said(found))
        self.assertIn('not asked: cluster west: down', found[0].evidence)

    def test_being_deleted_is_missing(self) -> None:
        going = changed(world.ON_ARRAY, state=model.VolumeState.DELETING)

        found, = compare(one(), cluster(going))

        self.assertEqual(Kind.MISSING, found.kind)
        self.assertIn('being deleted', found.evidence)

    def test_nothing_is_said_of_a_silent_cluster(self) -> None:
        found, = compare(one(), world.silent())

        self.assertEqual((Kind.NOT_ASKED, WARNING),
                         (found.kind, found.severity))
        self.assertIn('1 volumes and 0 snapshots', found.evidence)

    def test_nothing_is_said_of_a_lost_cluster(self) -> None:
        self.assertEqual([(Kind.NOT_ASKED, NOTICE)],
                         said(compare(one(), world.silent(lost=True))))

    def test_nothing_is_said_of_a_project_that_was_not_read(self) -> None:
        found, = compare(one(), cluster(unread={'default': 'forbidden'}))

        self.assertEqual((Kind.NOT_ASKED, WARNING),
                         (found.kind, found.severity))
        self.assertIn('1 objects are recorded', found.evidence)

    def test_an_unread_project_that_nobody_uses_is_a_notice(self) -> None:
        self.assertEqual(
            [(Kind.NOT_ASKED, NOTICE)],
            said(compare(one(), cluster(world.ON_ARRAY,
                                        unread={'test': 'forbidden'}))))

    def test_wrong_cluster(self) -> None:
        found, = compare(one(), cluster(world.ON_ARRAY, uuid=world.WEST))

        self.assertEqual((Kind.WRONG_PLACE, ERROR),
                         (found.kind, found.severity))
        self.assertEqual('west', found.cluster)
        self.assertIn('on cluster east', found.evidence)

    def test_wrong_project(self) -> None:
        moved = changed(world.ON_ARRAY, project='other')

        found, = compare(one(), cluster(moved))

        self.assertEqual(Kind.WRONG_PLACE, found.kind)
        self.assertIn('project other, recorded in project default',
                      found.evidence)

    def test_a_cluster_that_is_not_configured(self) -> None:
        record = one(provider_location=world.place(
            world.VOLUME_ID, world.VOLUME_UUID, world.ELSEWHERE))

        found, = compare(record)
        self.assertEqual((Kind.WRONG_PLACE, ERROR),
                         (found.kind, found.severity))
        self.assertIn('not in the configuration', found.evidence)
        # One of unknown UUID may be it.
        self.assertEqual([(Kind.NOT_ASKED, WARNING)],
                         said(compare(record, world.silent(None))))

    def test_duplicate(self) -> None:
        """A second copy on another cluster, by its label."""
        copy = changed(world.ON_ARRAY, uuid=world.SECOND_UUID, name='job-1')

        found, = compare(one(), cluster(world.ON_ARRAY),
                         cluster(copy, uuid=world.WEST))

        self.assertEqual((Kind.DUPLICATE, ERROR),
                         (found.kind, found.severity))
        self.assertEqual((world.SECOND_UUID, world.WEST),
                         (found.object_uuid, found.cluster_uuid))

    def test_duplicate_without_label(self) -> None:
        """By its name; it may also be a staging cloud's."""
        copy = changed(world.ON_ARRAY, uuid=world.SECOND_UUID, labels={})
        self.assertEqual(
            [(Kind.DUPLICATE, WARNING)],
            said(compare(one(), cluster(world.ON_ARRAY),
                         cluster(copy, uuid=world.WEST))))

    def test_duplicate_of_what_was_not_seen(self) -> None:
        found = compare(one(), world.silent(),
                        cluster(world.ON_ARRAY, uuid=world.WEST))
        self.assertEqual([(Kind.DUPLICATE, ERROR),
                          (Kind.NOT_ASKED, WARNING)], said(found))

    def test_a_young_duplicate_is_in_flight(self) -> None:
        copy = changed(world.ON_ARRAY, uuid=world.SECOND_UUID,
                       created_at=world.JUST_NOW)
        self.assertEqual(
            [(Kind.DUPLICATE, IN_FLIGHT)],
            said(compare(one(), cluster(world.ON_ARRAY),
                         cluster(copy, uuid=world.WEST))))

    def test_same_name_of_another_cloud(self) -> None:
        """A staging copy of the database shares names, not the owner."""
        theirs = changed(world.ON_ARRAY, uuid=world.SECOND_UUID,
                         labels=world.labels(world.VOLUME_ID, world.STRANGER))
        self.assertEqual((), compare(one(), cluster(world.ON_ARRAY),
                                     cluster(theirs, uuid=world.WEST)))

    def test_no_usable_place(self) -> None:
        for text in (None, '', 'default uuid',
                     world.place(world.VOLUME_ID, None),
                     world.place(world.OTHER_ID, world.VOLUME_UUID)):
            record = one(provider_location=text)
            self.assertEqual(
                [(Kind.UNRECORDED, NOTICE)],
                said(compare(record, cluster(world.ON_ARRAY))), str(text))
            self.assertEqual([(Kind.MISSING, ERROR)],
                             said(compare(record)), str(text))

    def test_no_usable_place_and_somebody_is_silent(self) -> None:
        record = one(provider_location=None)
        self.assertEqual([(Kind.NOT_ASKED, WARNING)],
                         said(compare(record, world.silent(world.WEST))))
        self.assertEqual([(Kind.NOT_ASKED, NOTICE)], said(compare(
            record, cluster(unread={'test': 'forbidden'}))))
        # What is declared lost counts as gone.
        self.assertEqual(
            [(Kind.MISSING, ERROR), (Kind.NOT_ASKED, NOTICE)],
            said(compare(record, world.silent(world.WEST, lost=True))))

    def test_no_usable_place_and_two_copies(self) -> None:
        copy = changed(world.ON_ARRAY, uuid=world.SECOND_UUID)
        self.assertEqual(
            [(Kind.DUPLICATE, ERROR)],
            said(compare(one(provider_location=None), cluster(
                world.ON_ARRAY), cluster(copy, uuid=world.WEST))))

    def test_in_flight_is_no_error(self) -> None:
        for changes in ({'status': 'creating'}, {'status': 'deleting'},
                        {'migrating': True}, {'temporary': True}):
            self.assertEqual([(Kind.MISSING, IN_FLIGHT)],
                             said(compare(one(**changes))), str(changes))
            self.assertEqual((), compare(one(**changes),
                                         cluster(world.ON_ARRAY)))

    def test_in_error_may_be_anywhere_but_once(self) -> None:
        copy = changed(world.ON_ARRAY, uuid=world.SECOND_UUID)
        for status in ('error', 'error_deleting', 'error_managing'):
            record = one(status=status)
            self.assertEqual((), compare(record))
            self.assertEqual((), compare(record, cluster(world.ON_ARRAY)))
            self.assertEqual((), compare(record, cluster(copy)))
            self.assertEqual((), compare(
                one(status=status, provider_location=None), cluster(copy)))
            self.assertEqual(
                [(Kind.DUPLICATE, ERROR)],
                said(compare(record, cluster(world.ON_ARRAY, copy))))
            self.assertEqual(
                [(Kind.DUPLICATE, ERROR)],
                said(compare(record, cluster(copy), cluster(changed(
                    copy, uuid=world.FOREIGN_UUID), uuid=world.WEST))))

    def test_failed_extend_is_no_excuse(self) -> None:
        self.assertEqual([(Kind.MISSING, ERROR)],
                         said(compare(one(status='error_extending'))))

    def test_migrated_volume_bears_its_name_id(self) -> None:
        record = one(id=world.OTHER_ID, name_id=world.VOLUME_ID)
        self.assertEqual((), compare(record, cluster(world.ON_ARRAY)))


class SnapshotsTest(base.BaseTestCase):

    def test_missing(self) -> None:
        found, = compare(with_snapshot(), cluster(world.ON_ARRAY))
        self.assertEqual((Kind.MISSING, ERROR, 'snapshot'),
                         (found.kind, found.severity, found.resource))

    def test_duplicate(self) -> None:
        copy = changed(world.SNAPSHOT_ON_ARRAY, uuid=world.SECOND_UUID)
        self.assertEqual(
            [(Kind.DUPLICATE, ERROR)],
            said(compare(with_snapshot(), cluster(
                world.ON_ARRAY, world.SNAPSHOT_ON_ARRAY, copy))))

    def test_no_usable_place(self) -> None:
        self.assertEqual(
            [(Kind.UNRECORDED, NOTICE)],
            said(compare(with_snapshot(provider_location=None), cluster(
                world.ON_ARRAY, world.SNAPSHOT_ON_ARRAY))))

    def test_in_flight(self) -> None:
        self.assertEqual(
            [(Kind.MISSING, IN_FLIGHT)],
            said(compare(with_snapshot(status='deleting'),
                         cluster(world.ON_ARRAY))))

    def test_in_error(self) -> None:
        self.assertEqual((), compare(with_snapshot(status='error'),
                                     cluster(world.ON_ARRAY)))

    def test_managed_under_a_foreign_name(self) -> None:
        """It keeps its name; its record knows the UUID."""
        managed = changed(world.SNAPSHOT_ON_ARRAY, name='nightly',
                          description='by hand')
        record = with_snapshot(provider_location=world.place(
            world.SNAPSHOT_ID, world.SNAPSHOT_UUID, attempt=None))
        self.assertEqual((), compare(record,
                                     cluster(world.ON_ARRAY, managed)))
