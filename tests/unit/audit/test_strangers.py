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

"""Objects without a record, and what is not ours."""

from __future__ import annotations

import datetime
from typing import Any

from oslotest import base

from cinder_lightbits_federation.audit import books
from cinder_lightbits_federation.audit import checker
from cinder_lightbits_federation.audit.findings import ADVICE
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.audit import scene
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import ownership
from tests.unit.audit import world
from tests.unit.audit.world import changed
from tests.unit.audit.world import cluster
from tests.unit.audit.world import compare
from tests.unit.audit.world import said

WARNING, NOTICE = Severity.WARNING, Severity.NOTICE
IN_FLIGHT = Severity.IN_FLIGHT

EMPTY = books.Books()
BOOKS = books.Books((world.VOLUME,))
INTERMEDIATE = changed(
    world.SNAPSHOT_ON_ARRAY, retention='3600s',
    name=ownership.clone_snapshot_name(world.OTHER_ID, world.ATTEMPT),
    description=world.described(world.OTHER_ID))


class OrphansTest(base.BaseTestCase):

    def test_volume(self) -> None:
        found, = compare(EMPTY, cluster(changed(
            world.ADMITTED, physical_owned=8192)))

        self.assertEqual((Kind.ORPHAN, WARNING), (found.kind, found.severity))
        self.assertEqual(
            ('volume', 'east', world.EAST, world.VOLUME_UUID,
             f'volume-{world.VOLUME_ID}', world.VOLUME_ID,
             world.OWNER.federation_id, 30 * 86400, 8192),
            (found.resource, found.cluster, found.cluster_uuid,
             found.object_uuid, found.object_name, found.cinder_id,
             found.owner, found.age, found.space))
        self.assertIn(f'no record {world.VOLUME_ID}; 2 GiB, Available, open '
                      f'to {world.NQN}', found.evidence)

    def test_snapshot(self) -> None:
        found, = compare(BOOKS, cluster(world.ON_ARRAY,
                                        world.SNAPSHOT_ON_ARRAY))
        self.assertEqual((Kind.ORPHAN, WARNING, 'snapshot'),
                         (found.kind, found.severity, found.resource))

    def test_without_a_record_id(self) -> None:
        bare = changed(world.ON_ARRAY, labels={
            ownership.LABEL_OWNER: world.OWNER.federation_id})
        found, = compare(EMPTY, cluster(bare))
        self.assertIn('does not say for which', found.evidence)

    def test_young_ones_are_in_flight(self) -> None:
        young = changed(world.ON_ARRAY, created_at=world.JUST_NOW)
        self.assertEqual([(Kind.ORPHAN, IN_FLIGHT)],
                         said(compare(EMPTY, cluster(young))))
        self.assertEqual([(Kind.ORPHAN, WARNING)],
                         said(compare(EMPTY, cluster(young), grace=1)))

    def test_of_unknown_age(self) -> None:
        """Old clusters never tell; others not while creating."""
        ageless = changed(world.ON_ARRAY, created_at='')
        self.assertEqual([(Kind.ORPHAN, WARNING)],
                         said(compare(EMPTY, cluster(ageless))))
        self.assertIsNone(compare(EMPTY, cluster(ageless))[0].age)
        creating = changed(ageless, state=model.VolumeState.CREATING)
        self.assertEqual([(Kind.ORPHAN, IN_FLIGHT)],
                         said(compare(EMPTY, cluster(creating))))

    def test_what_is_going_is_no_orphan(self) -> None:
        going = changed(world.ON_ARRAY, state=model.VolumeState.DELETING)
        self.assertEqual((), compare(EMPTY, cluster(going)))

    def test_a_record_of_another_backend_accounts_for_it(self) -> None:
        records = books.Books(elsewhere=(world.VOLUME,))
        self.assertEqual((), compare(records, cluster(world.ON_ARRAY)))
        unplaced = changed(world.VOLUME, provider_location=None)
        self.assertEqual((), compare(books.Books(elsewhere=(unplaced,)),
                                     cluster(world.ON_ARRAY)))

    def test_unless_it_names_another_place(self) -> None:
        record = changed(world.VOLUME, provider_location=world.place(
            world.VOLUME_ID, world.SECOND_UUID, world.WEST))
        found, = compare(books.Books(elsewhere=(record,)),
                         cluster(world.ON_ARRAY))
        self.assertEqual(Kind.ORPHAN, found.kind)
        self.assertIn('stor1@lightbits#federation and names another',
                      found.evidence)

    def test_a_mislabelled_object_is_told_once(self) -> None:
        wrong = changed(world.ON_ARRAY, labels=world.labels(world.OTHER_ID))
        self.assertEqual([Kind.MISLABELLED], [
            item.kind for item in compare(BOOKS, cluster(wrong))])


class LeftoversTest(base.BaseTestCase):

    def spoilt(self, **changes: Any) -> list[tuple[Kind, Severity]]:
        return said(compare(BOOKS, cluster(
            world.ON_ARRAY, changed(INTERMEDIATE, **changes))))

    def test_the_name_is_the_one_that_is_given(self) -> None:
        self.assertTrue(INTERMEDIATE.name.startswith(scene.INTERMEDIATE))

    def test_outlived_its_clone(self) -> None:
        self.assertEqual([(Kind.LEFTOVER, WARNING)], self.spoilt())

    def test_goes_by_itself(self) -> None:
        hour_ago = world.NOW - datetime.timedelta(seconds=3500)
        made = {'created_at': hour_ago.isoformat()}
        self.assertEqual([(Kind.LEFTOVER, NOTICE)], self.spoilt(**made))
        self.assertEqual([(Kind.LEFTOVER, WARNING)],
                         self.spoilt(**made, retention=''))

    def test_clone_under_way(self) -> None:
        self.assertEqual([(Kind.LEFTOVER, IN_FLIGHT)],
                         self.spoilt(created_at=world.JUST_NOW))
        target = changed(world.VOLUME, id=world.OTHER_ID,
                         name_id=world.OTHER_ID, status='creating',
                         provider_location=None)
        found = compare(books.Books((world.VOLUME, target)),
                        cluster(world.ON_ARRAY, INTERMEDIATE))
        self.assertIn((Kind.LEFTOVER, IN_FLIGHT), said(found))

    def test_of_the_in_tree_driver(self) -> None:
        """It says nothing of its owner, but is of our volume."""
        self.assertEqual(
            [(Kind.LEFTOVER, WARNING)],
            self.spoilt(description='', retention='', name='for_clone_x'))
        self.assertEqual([], self.spoilt(
            description='', source_volume_uuid=world.FOREIGN_UUID))

    def test_going(self) -> None:
        self.assertEqual([], self.spoilt(state=model.SnapshotState.DELETING))


class ForeignTest(base.BaseTestCase):

    def spoilt(self, **changes: Any) -> list[tuple[Kind, Severity]]:
        return said(compare(BOOKS, cluster(world.ON_ARRAY, changed(
            world.SNAPSHOT_ON_ARRAY, **{'name': 'daily-1',
                                        'description': '', **changes}))))

    def test_of_a_schedule(self) -> None:
        snapshot = changed(world.SNAPSHOT_ON_ARRAY, name='daily-1',
                           description='')
        found, = compare(BOOKS, cluster(world.ON_ARRAY, snapshot))
        self.assertEqual(
            (Kind.FOREIGN_SNAPSHOT, NOTICE, 4096, 'daily-1'),
            (found.kind, found.severity, found.space, found.object_name))
        self.assertIn('frees 4096 bytes', found.evidence)

    def test_of_another_owner(self) -> None:
        self.assertEqual(
            [(Kind.FOREIGN_SNAPSHOT, NOTICE)],
            self.spoilt(description=world.described(world.OTHER_ID,
                                                    world.STRANGER)))

    def test_of_a_volume_without_labels_or_place(self) -> None:
        record = changed(world.VOLUME, provider_location='default x')
        bare = changed(world.ON_ARRAY, labels={})
        snapshot = changed(world.SNAPSHOT_ON_ARRAY, name='daily-1',
                           description='')
        self.assertEqual(
            [Kind.UNRECORDED, Kind.FOREIGN_SNAPSHOT],
            [item.kind for item in compare(books.Books((record,)),
                                           cluster(bare, snapshot))])

    def test_of_somebody_elses_volume(self) -> None:
        self.assertEqual([], self.spoilt(
            source_volume_uuid=world.FOREIGN_UUID))

    def test_going(self) -> None:
        self.assertEqual([], self.spoilt(state=model.SnapshotState.DELETING))

    def test_are_counted_only(self) -> None:
        bare = changed(world.FOREIGN, uuid=world.SECOND_UUID, labels={})
        backup = changed(world.SNAPSHOT_ON_ARRAY, uuid=world.FOREIGN_UUID,
                         source_volume_uuid=world.FOREIGN_UUID,
                         name='backup', description='')
        there = world.seen(cluster(world.ON_ARRAY, world.FOREIGN, bare,
                                   world.SNAPSHOT_ON_ARRAY, backup))
        records = books.Books((world.VOLUME,), (world.SNAPSHOT,),
                              (world.ATTACHMENT,))
        self.assertEqual(checker.Tally(1, 1, 1, 2, 1),
                         checker.tally(records, there, world.OWNER))
        self.assertEqual((), checker.check(
            books.Books((world.VOLUME,), (world.SNAPSHOT,)), there,
            world.NOW, world.OWNER))


class FindingTest(base.BaseTestCase):

    def test_every_kind_has_an_advice(self) -> None:
        self.assertEqual(set(Kind), set(ADVICE))

    def test_in_plain_values(self) -> None:
        found, = compare(EMPTY, cluster(world.ON_ARRAY))
        fields = found.fields()
        self.assertEqual(('object-without-record', 'warning', 30 * 86400),
                         (fields['kind'], fields['severity'],
                          fields['age_seconds']))
        self.assertEqual(ADVICE[Kind.ORPHAN], fields['advice'])
        self.assertIn(f'volume {world.VOLUME_ID}: object-without-record',
                      str(found))


class CopiesTest(base.BaseTestCase):

    COPY = changed(world.ON_ARRAY, uuid=world.OTHER_ID,
                   name=ownership.copy_volume_name(world.VOLUME.name_id,
                                                   'abcdefabcdef'))

    def test_is_neither_a_duplicate_nor_an_orphan(self) -> None:
        found = compare(BOOKS, cluster(world.ON_ARRAY, self.COPY))
        self.assertEqual([(Kind.COPY, WARNING)], said(found))

    def test_does_not_stand_for_a_volume_that_is_missing(self) -> None:
        found = compare(BOOKS, cluster(self.COPY))
        self.assertEqual({Kind.COPY, Kind.MISSING},
                         {item.kind for item in found})

    def test_under_way(self) -> None:
        moving = changed(world.VOLUME, migrating=True)
        found = compare(books.Books((moving,)),
                        cluster(world.ON_ARRAY, self.COPY))
        self.assertEqual([(Kind.COPY, IN_FLIGHT)], said(found))
