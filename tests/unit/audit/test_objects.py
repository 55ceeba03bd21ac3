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

"""An object is what its record says: size, state, marks, access."""

from __future__ import annotations

import datetime
from typing import Any

from oslotest import base

from cinder_lightbits_federation.audit import books
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.lightbits import model
from tests.unit.audit import world
from tests.unit.audit.world import changed
from tests.unit.audit.world import cluster
from tests.unit.audit.world import compare
from tests.unit.audit.world import GIB
from tests.unit.audit.world import NQN
from tests.unit.audit.world import said
from tests.unit.audit.world import SECOND_NQN

ERROR, WARNING = Severity.ERROR, Severity.WARNING
IN_FLIGHT = Severity.IN_FLIGHT

BOOKS = books.Books((world.VOLUME,))


def spoilt(**changes: Any) -> list[tuple[Kind, Severity]]:
    """:returns: what is said of a volume that was changed on the array."""
    return said(compare(BOOKS, cluster(changed(world.ON_ARRAY, **changes))))


class ShapeTest(base.BaseTestCase):

    def test_wrong_size(self) -> None:
        found, = compare(BOOKS, cluster(changed(world.ON_ARRAY,
                                                size=3 * GIB)))
        self.assertEqual((Kind.WRONG_SIZE, ERROR),
                         (found.kind, found.severity))
        self.assertIn(f'{3 * GIB} bytes instead of {2 * GIB} (2 GiB)',
                      found.evidence)

    def test_a_failed_extend_is_told(self) -> None:
        record = changed(world.VOLUME, status='error_extending')
        self.assertEqual([(Kind.WRONG_SIZE, ERROR)], said(compare(
            books.Books((record,)),
            cluster(changed(world.ON_ARRAY, size=3 * GIB)))))

    def test_size_while_extending(self) -> None:
        record = changed(world.VOLUME, status='extending')
        self.assertEqual([(Kind.WRONG_SIZE, IN_FLIGHT)], said(compare(
            books.Books((record,)),
            cluster(changed(world.ON_ARRAY, size=3 * GIB)))))

    def test_states(self) -> None:
        for state, severity in (
                (model.VolumeState.FAILED, ERROR),
                (model.VolumeState.UNKNOWN, ERROR),
                (model.VolumeState.UPDATING, IN_FLIGHT),
                (model.VolumeState.ROLLBACK, IN_FLIGHT),
                (model.VolumeState.CREATING, IN_FLIGHT)):
            self.assertEqual([(Kind.UNUSABLE, severity)],
                             spoilt(state=state))
        self.assertEqual([], spoilt(state=model.VolumeState.MIGRATING))

    def test_snapshot_size_and_state(self) -> None:
        records = books.Books((world.VOLUME,), (world.SNAPSHOT,))
        for changes, kind in (
                ({'size': 2 * GIB}, Kind.WRONG_SIZE),
                ({'state': model.SnapshotState.FAILED}, Kind.UNUSABLE)):
            self.assertEqual([(kind, ERROR)], said(compare(
                records, cluster(world.ON_ARRAY, changed(
                    world.SNAPSHOT_ON_ARRAY, **changes)))))


class MarksTest(base.BaseTestCase):

    def test_marked_by_somebody_else(self) -> None:
        self.assertEqual(
            [(Kind.MISLABELLED, ERROR)],
            spoilt(labels=world.labels(world.VOLUME_ID, world.STRANGER)))

    def test_marked_for_another_record(self) -> None:
        self.assertEqual([(Kind.MISLABELLED, ERROR)],
                         spoilt(labels=world.labels(world.OTHER_ID)))

    def test_marks_are_gone(self) -> None:
        self.assertEqual([(Kind.MISLABELLED, WARNING)], spoilt(labels={}))

    def test_old_clusters_keep_no_labels(self) -> None:
        bare = changed(world.ON_ARRAY, labels={})
        self.assertEqual((), compare(BOOKS, cluster(bare,
                                                    keeps_labels=False)))

    def test_adopted_volumes_have_no_labels(self) -> None:
        record = changed(world.VOLUME, provider_location=world.place(
            world.VOLUME_ID, world.VOLUME_UUID, attempt=None))
        bare = changed(world.ON_ARRAY, labels={})
        self.assertEqual((), compare(books.Books((record,)), cluster(bare)))

    def test_renamed(self) -> None:
        self.assertEqual([(Kind.MISLABELLED, ERROR)], spoilt(name='mine'))

    def test_what_was_not_taken_over_is_not_judged(self) -> None:
        theirs = changed(world.ADMITTED, name='pvc-1', labels={},
                         state=model.VolumeState.UPDATING)
        for status in ('managing', 'error_managing',
                       'error_managing_deleting'):
            record = changed(world.VOLUME, status=status)
            self.assertEqual((), compare(books.Books((record,)),
                                         cluster(theirs)))

    def test_snapshot_of_another_volume(self) -> None:
        found, = compare(
            books.Books((world.VOLUME,), (world.SNAPSHOT,)),
            cluster(world.ON_ARRAY, changed(
                world.SNAPSHOT_ON_ARRAY,
                source_volume_uuid=world.FOREIGN_UUID)))
        self.assertEqual((Kind.MISLABELLED, ERROR, 'snapshot'),
                         (found.kind, found.severity, found.resource))


class AccessTest(base.BaseTestCase):

    def check(self, found: model.Volume,
              *attachments: books.AttachmentRecord, use_ip_acl: bool = True,
              **changes: Any) -> tuple[Finding, ...]:
        record = changed(world.VOLUME, **{'status': 'in-use', **changes})
        return compare(books.Books((record,), attachments=attachments,
                                   use_ip_acl=use_ip_acl), cluster(found))

    def shut(self, **changes: Any) -> model.Volume:
        admitted: model.Volume = changed(world.ADMITTED, **changes)
        return admitted

    def test_attached(self) -> None:
        self.assertEqual((), self.check(world.ADMITTED, world.ATTACHMENT))

    def test_host_without_access(self) -> None:
        found, = self.check(self.shut(acl=frozenset()), world.ATTACHMENT)
        self.assertEqual((Kind.HOST_MISSING, ERROR, NQN),
                         (found.kind, found.severity, found.host))

    def test_host_with_access(self) -> None:
        """A host that was detached, and an open door."""
        for entry in (NQN, model.ALLOW_ANY):
            found, = self.check(changed(world.ON_ARRAY,
                                        acl=frozenset({entry})))
            self.assertEqual((Kind.HOST_EXTRA, ERROR, entry),
                             (found.kind, found.severity, found.host))

    def test_an_open_door_admits_the_attached_too(self) -> None:
        self.assertEqual(
            [(Kind.HOST_EXTRA, ERROR)],
            said(self.check(self.shut(acl=frozenset({model.ALLOW_ANY})),
                            world.ATTACHMENT)))

    def test_access_of_a_volume_in_error_is_told(self) -> None:
        """Nobody may keep access because a delete has failed."""
        self.assertEqual(
            [(Kind.HOST_EXTRA, ERROR), (Kind.ADDRESS_EXTRA, WARNING),
             (Kind.ADDRESS_EXTRA, WARNING)],
            said(self.check(world.ADMITTED, status='error_deleting')))

    def test_reserved_gives_no_access(self) -> None:
        reserved = books.AttachmentRecord('a', world.VOLUME_ID, 'reserved',
                                          None)
        self.assertEqual((), self.check(world.ON_ARRAY, reserved))
        self.assertEqual(ERROR, self.check(world.ADMITTED,
                                           reserved)[0].severity)

    def test_a_host_may_be_coming(self) -> None:
        coming = books.AttachmentRecord('a', world.VOLUME_ID, 'attaching',
                                        None, world.NOW)
        self.assertEqual(
            {IN_FLIGHT}, {item.severity for item in self.check(
                world.ADMITTED, coming)})

    def test_a_recorded_host_may_not_be_admitted_yet(self) -> None:
        coming = changed(world.ATTACHMENT, status='attaching',
                         changed_at=world.NOW)
        self.assertEqual((), self.check(world.ADMITTED, coming))
        self.assertEqual((), self.check(world.ON_ARRAY, coming))
        stuck = changed(coming, changed_at=world.NOW - datetime.timedelta(
            days=1))
        self.assertEqual((), self.check(world.ADMITTED, stuck))
        self.assertEqual([Kind.HOST_MISSING, Kind.ADDRESS_MISSING],
                         [item.kind for item in self.check(world.ON_ARRAY,
                                                           stuck)])

    def test_a_host_may_be_leaving(self) -> None:
        leaving = changed(world.ATTACHMENT, status='detaching')
        self.assertEqual((), self.check(world.ADMITTED, leaving))
        self.assertEqual((), self.check(world.ON_ARRAY, leaving))

    def test_in_flight(self) -> None:
        self.assertEqual(
            {IN_FLIGHT}, {item.severity for item in self.check(
                world.ADMITTED, status='uploading')})

    def test_missing_address(self) -> None:
        found, = self.check(self.shut(ip_acl=frozenset({'192.0.2.1'})),
                            world.ATTACHMENT)
        self.assertEqual((Kind.ADDRESS_MISSING, WARNING, '192.0.2.2'),
                         (found.kind, found.severity, found.host))

    def test_no_address_at_all(self) -> None:
        found, = self.check(self.shut(ip_acl=frozenset()), world.ATTACHMENT)
        self.assertEqual((Kind.ADDRESS_MISSING, ERROR, NQN),
                         (found.kind, found.severity, found.host))

    def test_addresses_left_behind(self) -> None:
        self.assertEqual(
            [(Kind.ADDRESS_EXTRA, WARNING)] * 2,
            said(self.check(self.shut(acl=frozenset()))))

    def test_array_default_of_addresses(self) -> None:
        self.assertEqual((), self.check(self.shut(
            acl=frozenset(), ip_acl=frozenset({model.ALLOW_ANY}))))

    def test_open_to_any_address(self) -> None:
        found, = self.check(self.shut(
            ip_acl=frozenset({model.ALLOW_ANY})), world.ATTACHMENT)
        self.assertEqual((Kind.ADDRESS_EXTRA, model.ALLOW_ANY),
                         (found.kind, found.host))

    def test_two_hosts(self) -> None:
        second = books.AttachmentRecord(
            'b', world.VOLUME_ID, 'attached',
            world.host(SECOND_NQN, '192.0.2.3'))
        both = self.shut(acl=frozenset({NQN, SECOND_NQN}),
                         ip_acl=world.ADMITTED.ip_acl | {'192.0.2.3'})
        self.assertEqual((), self.check(both, world.ATTACHMENT, second))
        self.assertEqual(
            [(Kind.HOST_EXTRA, SECOND_NQN),
             (Kind.ADDRESS_EXTRA, '192.0.2.3')],
            [(item.kind, item.host)
             for item in self.check(both, world.ATTACHMENT)])

    def test_addresses_outside_the_networks(self) -> None:
        """Not asked for, and still the host's if they are there."""
        one = books.AttachmentRecord('a', world.VOLUME_ID, 'attached',
                                     changed(world.host(NQN, '192.0.2.1'),
                                             others=('198.51.100.1',)))
        for addresses in ({'192.0.2.1'}, {'192.0.2.1', '198.51.100.1'}):
            self.assertEqual((), self.check(
                self.shut(ip_acl=frozenset(addresses)), one))
        self.assertEqual(
            [(Kind.ADDRESS_MISSING, WARNING)],
            said(self.check(self.shut(
                ip_acl=frozenset({'198.51.100.1'})), one)))

    def test_more_addresses_than_the_array_takes(self) -> None:
        addresses = tuple(f'192.0.2.{n}' for n in range(1, 21))
        many = books.AttachmentRecord('a', world.VOLUME_ID, 'attached',
                                      world.host(NQN, *addresses))
        self.assertEqual((), self.check(
            self.shut(ip_acl=frozenset(addresses[:16])), many))
        self.assertEqual(18, len(self.check(world.ADMITTED, many)))

    def test_without_ip_acl(self) -> None:
        self.assertEqual((), self.check(
            self.shut(ip_acl=frozenset({model.ALLOW_ANY})),
            world.ATTACHMENT, use_ip_acl=False))
        self.assertEqual(
            [(Kind.ADDRESS_MISSING, WARNING)],
            said(self.check(world.ADMITTED, world.ATTACHMENT,
                            use_ip_acl=False)))
