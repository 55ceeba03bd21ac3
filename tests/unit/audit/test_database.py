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

"""Reading Cinder's records, from a real database."""

from __future__ import annotations

from typing import Any

from cinder import objects
import fixtures

from cinder_lightbits_federation.audit import books
from cinder_lightbits_federation.audit import database
from cinder_lightbits_federation import cinderdb
from tests.unit.audit import base
from tests.unit.driver import base as driver_base


class DatabaseTestCase(base.AuditTestCase):

    CLUSTERS = ('east',)
    NODES = 1

    def test_records_are_those_of_the_backend(self) -> None:
        ours = [self.volume(host=host) for host in (
            'stor1@lightbits', 'stor1@lightbits#federation',
            'stor1@lightbits#a%b')]
        for host in ('stor1@lightbits2#federation', 'stor2@lightbits#x',
                     'stor1@lightbit', None):
            self.volume(host=host)
        found = self.ledger().read()
        self.assertEqual({item.id for item in ours},
                         {item.id for item in found.volumes})

    def test_of_a_cluster_of_services(self) -> None:
        ours = [self.volume(host='other@lightbits#p', cluster_name=name)
                for name in ('c@lightbits', 'c@lightbits#p')]
        self.volume(host='other@lightbits#p', cluster_name='c2@lightbits#p')
        found = database.Database('stor1@lightbits', 'c@lightbits').read()
        self.assertEqual({item.id for item in ours},
                         {item.id for item in found.volumes})

    def test_a_volume(self) -> None:
        volume = self.made(self.driver, 3)
        record, = self.ledger().read().volumes
        self.assertEqual(
            (volume.id, volume.id, volume.name, 'available', 3 * base.GIB,
             self.location(volume), driver_base.HOST + '#federation', False,
             False),
            (record.id, record.name_id, record.name, record.status,
             record.size, record.location, record.host, record.migrating,
             record.temporary))

    def test_a_migrated_volume_has_another_name(self) -> None:
        other = '99999999-0000-4000-8000-000000000001'
        volume = self.volume(_name_id=other)
        record, = self.ledger().read().volumes
        self.assertEqual((volume.id, other, f'volume-{other}'),
                         (record.id, record.name_id, record.name))

    def test_what_is_in_flight(self) -> None:
        for fields, wanted in (
                ({'migration_status': 'migrating'}, (True, False)),
                ({'migration_status': 'target:x'}, (True, False)),
                ({'migration_status': 'success'}, (False, False)),
                ({'use_quota': False}, (False, True))):
            volume = self.volume(**fields)
            record, = self.ledger().read().volumes
            self.assertEqual(wanted, (record.migrating, record.temporary),
                             str(fields))
            volume.destroy()

    def test_a_snapshot(self) -> None:
        volume = self.made(self.driver, 2)
        snapshot = self.taken(volume)
        record, = self.ledger().read().snapshots
        self.assertEqual(
            (snapshot.id, volume.id, snapshot.name, 'available',
             2 * base.GIB, self.location(snapshot)),
            (record.id, record.volume_id, record.name, record.status,
             record.size, record.location))

    def test_attachments(self) -> None:
        volume = self.made(self.driver)
        self.attach(self.driver, volume, driver_base.connector(1))
        objects.VolumeAttachment(
            context=self.context, volume_id=volume.id,
            attach_status='reserved').create()
        found = {item.status: item
                 for item in self.ledger().read().attachments}
        self.assertEqual({'attached', 'reserved'}, set(found))
        host = found['attached'].host
        assert host is not None
        self.assertEqual((driver_base.nqn(1), ('192.0.2.1',)),
                         (host.nqn, host.addresses))
        self.assertIsNone(found['reserved'].host)
        self.assertIsNotNone(found['reserved'].changed_at)

    def test_a_connector_that_nobody_can_be_admitted_by(self) -> None:
        volume = self.made(self.driver)
        for connector in ({'host': 'x'}, {'nqn': 'ALLOW_ANY', 'host': 'x'}):
            self.attachment(volume, connector)
        self.assertEqual([None, None], [
            item.host for item in self.ledger().read().attachments])

    def test_deleted_records_are_gone(self) -> None:
        volume = self.made(self.driver)
        snapshot = self.taken(volume)
        attachment = self.attach(self.driver, volume,
                                 driver_base.connector(1))
        for record in (attachment, snapshot, volume):
            record.destroy()
        self.assertEqual(books.Books(), self.ledger().read())

    def test_pages(self) -> None:
        made = {self.volume().id for _number in range(7)}
        for page in (1, 3, 7, 8):
            found = self.ledger(page=page).read().volumes
            self.assertEqual(7, len(found))
            self.assertEqual(made, {item.id for item in found})

    def again(self, *ids: str) -> tuple[Any, ...]:
        """:returns: ids of the records of the backend and of others."""
        found = self.ledger().again(ids)
        return ({item.id for item in found.records},
                {item.id for item in found.elsewhere})

    def test_again(self) -> None:
        name_id = '99999999-0000-4000-8000-000000000001'
        ours = self.made(self.driver)
        snapshot = self.taken(ours)
        migrated = self.volume(_name_id=name_id)
        other = self.volume(host='stor9@ceph#pool')
        theirs = self.snapshot(other)
        self.volume()

        self.assertEqual(
            ({ours.id, snapshot.id, migrated.id}, {other.id, theirs.id}),
            self.again(ours.id, snapshot.id, name_id, other.id, theirs.id,
                       'unknown'))

    def test_again_has_the_attachments(self) -> None:
        volume = self.made(self.driver)
        self.attach(self.driver, volume, driver_base.connector(1))
        self.assertEqual(1, len(self.ledger().again(
            [volume.id]).attachments))

    def test_many_ids_are_asked_for_in_parts(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            'cinder_lightbits_federation.cinderdb.CHUNK', 2))
        made = {self.volume().id for _number in range(5)}
        self.assertEqual((made, set()), self.again(*made))

    def test_by_place(self) -> None:
        volume = self.made(self.driver)
        snapshot = self.taken(volume)
        places = [(place.cluster_uuid, place.object_uuid or '') for place in
                  (self.location(volume), self.location(snapshot))]
        found = self.ledger().at(places)
        self.assertEqual({volume.id, snapshot.id},
                         {item.id for item in found.records})
        self.assertEqual((), self.ledger().at(
            [(places[0][1], places[0][0])]).records)

    def test_projects_of_types(self) -> None:
        self.volume_type({'lightos:project_name': 'gold'})
        self.volume_type({'lightos:cluster': 'east'})
        self.assertEqual(frozenset({'gold'}), cinderdb.wanted_projects())
