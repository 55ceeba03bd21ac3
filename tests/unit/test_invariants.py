# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Each invariant is violated once; the checker must name just that."""

from __future__ import annotations

import dataclasses

from cinder_lightbits_federation.audit import findings as audit
from cinder_lightbits_federation import location
from cinder_lightbits_federation import ownership
from oslotest import base

from tests.embedded import arrays
from tests.embedded import invariants
from tests.embedded import records

GIB = 1024 ** 3
FEDERATION = '11111111-1111-4111-8111-111111111111'
EAST = 'aaaaaaaa-0000-4000-8000-000000000001'
WEST = 'aaaaaaaa-0000-4000-8000-000000000002'
VOLUME_ID = 'cccccccc-0000-4000-8000-000000000001'
SNAPSHOT_ID = 'cccccccc-0000-4000-8000-000000000002'
OTHER_ID = 'cccccccc-0000-4000-8000-000000000003'
VOLUME_UUID = 'bbbbbbbb-0000-4000-8000-000000000001'
SNAPSHOT_UUID = 'bbbbbbbb-0000-4000-8000-000000000002'
SECOND_UUID = 'bbbbbbbb-0000-4000-8000-000000000003'
FOREIGN_UUID = 'bbbbbbbb-0000-4000-8000-000000000004'
NQN = 'nqn.2014-08.org.nvmexpress:uuid:host-1'
RULES = invariants.Rules(FEDERATION)
Kind = invariants.Kind


def labels(name_id: str, owner: str = FEDERATION) -> arrays.Labels:
    return (('cinder_id', name_id), ('cinder_owner', owner))


def place(name_id: str, uuid: str | None, cluster: str = EAST) -> str:
    return str(location.Location(cluster, name_id, 'default', uuid))


VOLUME = records.Volume(VOLUME_ID, VOLUME_ID, 'available', 2,
                        place(VOLUME_ID, VOLUME_UUID))
SNAPSHOT = records.Snapshot(SNAPSHOT_ID, VOLUME_ID, 'available', 1,
                            place(SNAPSHOT_ID, SNAPSHOT_UUID))
ATTACHMENT = records.Attachment('a', VOLUME_ID, 'attached', NQN,
                                ('192.0.2.1', '192.0.2.2'))
ON_ARRAY = arrays.ArrayVolume(
    VOLUME_UUID, f'volume-{VOLUME_ID}', 'default', 'Available', 2 * GIB,
    labels=labels(VOLUME_ID), etag='1')
SNAPSHOT_ON_ARRAY = arrays.ArraySnapshot(
    SNAPSHOT_UUID, f'snapshot-{SNAPSHOT_ID}', 'default', 'Available', GIB,
    VOLUME_UUID, description=ownership.describe(
        ownership.Owner(FEDERATION), SNAPSHOT_ID, 'abc'),
    labels=labels(VOLUME_ID), etag='1')
FOREIGN = arrays.ArrayVolume(
    FOREIGN_UUID, 'csi-volume', 'default', 'Available', GIB,
    labels=labels(OTHER_ID, owner='someone-else'), etag='4')
FOREIGN_SNAPSHOT = arrays.ArraySnapshot(
    SECOND_UUID, 'csi-snapshot', 'default', 'Available', GIB, FOREIGN_UUID)
ADMITTED = dataclasses.replace(
    ON_ARRAY, acl=frozenset({NQN}),
    ip_acl=frozenset({'192.0.2.1', '192.0.2.2'}))


def clusters(*volumes: arrays.ArrayVolume,
             snapshots: tuple[arrays.ArraySnapshot, ...] = (),
             west: tuple[arrays.ArrayVolume, ...] = ()
             ) -> tuple[arrays.Cluster, arrays.Cluster]:
    return (arrays.Cluster('east', EAST, volumes, snapshots),
            arrays.Cluster('west', WEST, west))


def kinds(cinder: records.CinderRecords,
          now: tuple[arrays.Cluster, ...],
          before: tuple[arrays.Cluster, ...] = (),
          rules: invariants.Rules = RULES) -> list[invariants.Kind]:
    return [finding.kind for finding in
            invariants.check(cinder, now, before, rules)]


def one_volume(**changes: object) -> records.CinderRecords:
    return records.CinderRecords(
        (dataclasses.replace(VOLUME, **changes),))  # type: ignore[arg-type]


def one_snapshot(**changes: object) -> records.CinderRecords:
    changed = dataclasses.replace(
        SNAPSHOT, **changes)  # type: ignore[arg-type]
    return records.CinderRecords((VOLUME,), (changed,))


class VolumesTest(base.BaseTestCase):

    def test_nothing_wrong(self) -> None:
        """A volume, a snapshot and a foreign volume, all as they should."""
        now = clusters(ON_ARRAY, FOREIGN, snapshots=(SNAPSHOT_ON_ARRAY,))
        self.assertEqual([], kinds(one_snapshot(), now, clusters(FOREIGN)))

    def test_missing(self) -> None:
        self.assertEqual([Kind.MISSING], kinds(one_volume(), clusters()))

    def test_wrong_project(self) -> None:
        """The object must be in the recorded project, too."""
        moved = dataclasses.replace(ON_ARRAY, project='other')
        self.assertEqual([Kind.MISPLACED],
                         kinds(one_volume(), clusters(moved)))

    def test_misplaced(self) -> None:
        now = clusters(west=(ON_ARRAY,))
        self.assertEqual([Kind.MISPLACED], kinds(one_volume(), now))

    def test_duplicate(self) -> None:
        """A second copy on another cluster, by its label."""
        copy = dataclasses.replace(ON_ARRAY, uuid=SECOND_UUID, name='job-1')
        now = clusters(ON_ARRAY, west=(copy,))
        self.assertEqual([Kind.DUPLICATE], kinds(one_volume(), now))

    def test_duplicate_without_label(self) -> None:
        """A second copy on an array too old for labels, by its name."""
        copy = dataclasses.replace(ON_ARRAY, uuid=SECOND_UUID, labels=())
        now = clusters(ON_ARRAY, west=(copy,))
        self.assertEqual([Kind.DUPLICATE], kinds(one_volume(), now))

    def test_same_name_of_another_cloud(self) -> None:
        """A staging copy of the database shares names, not the owner."""
        theirs = dataclasses.replace(
            ON_ARRAY, uuid=SECOND_UUID, labels=labels(VOLUME_ID, 'staging'))
        now = clusters(ON_ARRAY, west=(theirs,))
        self.assertEqual([], kinds(one_volume(), now))

    def test_no_location(self) -> None:
        for text in (None, '', 'default uuid', place(VOLUME_ID, None),
                     place(OTHER_ID, VOLUME_UUID)):
            self.assertEqual(
                [Kind.NO_LOCATION],
                kinds(one_volume(provider_location=text),
                      clusters(ON_ARRAY)), str(text))

    def test_wrong_size(self) -> None:
        self.assertEqual([Kind.WRONG_SIZE],
                         kinds(one_volume(size_gib=3), clusters(ON_ARRAY)))

    def test_not_usable(self) -> None:
        failed = dataclasses.replace(ON_ARRAY, state='Failed')
        self.assertEqual([Kind.NOT_USABLE],
                         kinds(one_volume(), clusters(failed)))

    def test_not_at_rest(self) -> None:
        self.assertEqual([Kind.NOT_AT_REST],
                         kinds(one_volume(status='creating'), clusters()))

    def test_volume_in_error_may_be_anywhere(self) -> None:
        for status in ('error', 'error_deleting'):
            volume = one_volume(status=status)
            self.assertEqual([], kinds(volume, clusters()))
            self.assertEqual([], kinds(volume, clusters(ON_ARRAY)))

    def test_volume_in_error_exists_once_at_most(self) -> None:
        copy = dataclasses.replace(ON_ARRAY, uuid=SECOND_UUID)
        self.assertEqual(
            [Kind.DUPLICATE],
            kinds(one_volume(status='error'),
                  clusters(ON_ARRAY, west=(copy,))))

    def test_volume_in_error_admits_nobody(self) -> None:
        open_one = dataclasses.replace(ON_ARRAY, acl=frozenset({NQN}))
        self.assertEqual([Kind.HOST_WITH_ACCESS],
                         kinds(one_volume(status='error'),
                               clusters(open_one)))

    def test_mislabelled(self) -> None:
        for change in ({'labels': labels(VOLUME_ID, OTHER_ID)},
                       {'labels': labels(OTHER_ID)}, {'name': 'mine'}):
            wrong = dataclasses.replace(
                ON_ARRAY, **change)  # type: ignore[arg-type]
            self.assertEqual([Kind.MISLABELLED],
                             kinds(one_volume(), clusters(wrong)))
            # It may be what was never taken over.
            self.assertEqual([], kinds(one_volume(status='error'),
                                       clusters(wrong)))

    def test_labels_that_are_gone(self) -> None:
        made = one_volume(provider_location=str(location.Location(
            EAST, VOLUME_ID, 'default', VOLUME_UUID, 'abc')))
        bare = dataclasses.replace(ON_ARRAY, labels=())
        self.assertEqual([Kind.MISLABELLED],
                         kinds(made, clusters(bare, FOREIGN)))
        # A cluster that keeps no labels at all is an old one.
        self.assertEqual([], kinds(made, clusters(bare)))

    def test_failed_extend_is_not_an_excuse(self) -> None:
        volume = one_volume(status='error_extending')
        self.assertEqual([Kind.MISSING], kinds(volume, clusters()))

    def test_unknown_volume(self) -> None:
        self.assertEqual([Kind.UNKNOWN], kinds(records.CinderRecords(),
                                               clusters(ON_ARRAY)))


class SnapshotsTest(base.BaseTestCase):

    def test_missing(self) -> None:
        self.assertEqual([Kind.MISSING],
                         kinds(one_snapshot(), clusters(ON_ARRAY)))

    def test_duplicate(self) -> None:
        copy = dataclasses.replace(SNAPSHOT_ON_ARRAY, uuid=SECOND_UUID)
        now = clusters(ON_ARRAY, snapshots=(SNAPSHOT_ON_ARRAY, copy))
        self.assertEqual([Kind.DUPLICATE], kinds(one_snapshot(), now))

    def test_no_location(self) -> None:
        now = clusters(ON_ARRAY, snapshots=(SNAPSHOT_ON_ARRAY,))
        self.assertEqual(
            [Kind.NO_LOCATION],
            kinds(one_snapshot(provider_location=None), now))

    def test_wrong_size(self) -> None:
        now = clusters(ON_ARRAY, snapshots=(SNAPSHOT_ON_ARRAY,))
        self.assertEqual([Kind.WRONG_SIZE],
                         kinds(one_snapshot(size_gib=2), now))

    def test_not_at_rest(self) -> None:
        now = clusters(ON_ARRAY, snapshots=(SNAPSHOT_ON_ARRAY,))
        self.assertEqual([Kind.NOT_AT_REST],
                         kinds(one_snapshot(status='deleting'), now))

    def test_unknown(self) -> None:
        """Such as an intermediate snapshot that was left behind."""
        left = dataclasses.replace(SNAPSHOT_ON_ARRAY, name='for_clone_x')
        now = clusters(ON_ARRAY, snapshots=(left,))
        self.assertEqual([Kind.UNKNOWN], kinds(one_volume(), now))

    def test_taken_by_somebody_else(self) -> None:
        """It inherits our labels, but we did not take it."""
        theirs = dataclasses.replace(SNAPSHOT_ON_ARRAY, name='by-hand',
                                     description='before the upgrade')
        now = clusters(ON_ARRAY, snapshots=(theirs,))
        self.assertEqual([], kinds(one_volume(), now))

    def test_same_name_of_another_cloud(self) -> None:
        """A staging copy of the database shares names, not the owner."""
        theirs = dataclasses.replace(
            SNAPSHOT_ON_ARRAY, uuid=SECOND_UUID,
            description=ownership.describe(
                ownership.Owner(OTHER_ID), SNAPSHOT_ID, 'abc'))
        now = clusters(ON_ARRAY, snapshots=(SNAPSHOT_ON_ARRAY, theirs))
        self.assertEqual([], kinds(one_snapshot(), now))

    def test_managed_under_foreign_name(self) -> None:
        """A managed snapshot keeps its name; its record knows the UUID."""
        managed = dataclasses.replace(SNAPSHOT_ON_ARRAY, name='nightly')
        now = clusters(ON_ARRAY, snapshots=(managed,))
        self.assertEqual([], kinds(one_snapshot(), now))


class ForeignTest(base.BaseTestCase):

    def test_changed(self) -> None:
        before = clusters(FOREIGN, snapshots=(FOREIGN_SNAPSHOT,))
        for change in ({'etag': '5'}, {'acl': frozenset({NQN})},
                       {'size': 2 * GIB}, {'name': 'renamed'}):
            changed = dataclasses.replace(FOREIGN, **change)
            now = clusters(changed, snapshots=(FOREIGN_SNAPSHOT,))
            self.assertEqual(
                [Kind.FOREIGN_CHANGED],
                kinds(records.CinderRecords(), now, before), str(change))

    def test_gone(self) -> None:
        before = clusters(FOREIGN, snapshots=(FOREIGN_SNAPSHOT,))
        self.assertEqual(
            [Kind.FOREIGN_GONE, Kind.FOREIGN_GONE],
            kinds(records.CinderRecords(), clusters(), before))

    def test_new_foreign_object(self) -> None:
        """Others go on working while we do."""
        self.assertEqual([], kinds(records.CinderRecords(),
                                   clusters(FOREIGN), clusters()))

    def test_adopted(self) -> None:
        """A volume Cinder manages now may have changed."""
        before = clusters(dataclasses.replace(ON_ARRAY, labels=(), etag='0',
                                              name='by-hand'))
        self.assertEqual([], kinds(one_volume(), clusters(ON_ARRAY),
                                   before))


class AccessTest(base.BaseTestCase):

    def check(self, found: arrays.ArrayVolume,
              *attachments: records.Attachment,
              rules: invariants.Rules = RULES) -> list[invariants.Kind]:
        cinder = records.CinderRecords(
            (dataclasses.replace(VOLUME, status='in-use'),),
            attachments=attachments)
        return kinds(cinder, clusters(found), rules=rules)

    def test_attached(self) -> None:
        self.assertEqual([], self.check(ADMITTED, ATTACHMENT))

    def test_host_without_access(self) -> None:
        shut = dataclasses.replace(ADMITTED,
                                   acl=frozenset({arrays.NOBODY}))
        self.assertEqual([Kind.HOST_WITHOUT_ACCESS],
                         self.check(shut, ATTACHMENT))

    def test_host_with_access(self) -> None:
        """A host that was detached, and an open door."""
        for entry in (NQN, arrays.ANYBODY):
            found = dataclasses.replace(ON_ARRAY, acl=frozenset({entry}))
            self.assertEqual([Kind.HOST_WITH_ACCESS], self.check(found))

    def test_reserved_gives_no_access(self) -> None:
        """Without a connector there is no host yet."""
        reserved = records.Attachment('a', VOLUME_ID, 'reserved', None)
        self.assertEqual([], self.check(ON_ARRAY, reserved))
        self.assertEqual(
            [Kind.HOST_WITH_ACCESS] + [Kind.WRONG_ADDRESSES] * 2,
            self.check(ADMITTED, reserved))

    def test_missing_address(self) -> None:
        found = dataclasses.replace(ADMITTED,
                                    ip_acl=frozenset({'192.0.2.1'}))
        self.assertEqual([Kind.WRONG_ADDRESSES],
                         self.check(found, ATTACHMENT))

    def test_addresses_left_behind(self) -> None:
        found = dataclasses.replace(ON_ARRAY, ip_acl=ADMITTED.ip_acl)
        self.assertEqual([Kind.WRONG_ADDRESSES] * 2, self.check(found))

    def test_two_hosts(self) -> None:
        second = records.Attachment('b', VOLUME_ID, 'attached', 'nqn.2',
                                    ('192.0.2.3',))
        found = dataclasses.replace(
            ADMITTED, acl=frozenset({NQN, 'nqn.2'}),
            ip_acl=ADMITTED.ip_acl | {'192.0.2.3'})
        self.assertEqual([], self.check(found, ATTACHMENT, second))
        self.assertEqual(
            [Kind.HOST_WITH_ACCESS, Kind.WRONG_ADDRESSES],
            self.check(found, ATTACHMENT))

    def test_more_addresses_than_the_array_takes(self) -> None:
        addresses = tuple(f'192.0.2.{n}' for n in range(20))
        many = dataclasses.replace(ATTACHMENT, host_ips=addresses)
        found = dataclasses.replace(ADMITTED,
                                    ip_acl=frozenset(addresses[:16]))
        self.assertEqual([], self.check(found, many))
        self.assertEqual([Kind.WRONG_ADDRESSES] * 18,
                         self.check(ADMITTED, many))

    def test_without_ip_acl(self) -> None:
        rules = invariants.Rules(FEDERATION, use_ip_acl=False)
        found = dataclasses.replace(ADMITTED,
                                    ip_acl=frozenset({arrays.ANYBODY}))
        self.assertEqual([], self.check(found, ATTACHMENT, rules=rules))
        self.assertEqual([Kind.WRONG_ADDRESSES],
                         self.check(ADMITTED, ATTACHMENT, rules=rules))


class KindsTest(base.BaseTestCase):

    def test_whatever_the_audit_finds_has_a_meaning_here(self) -> None:
        self.assertEqual(set(audit.Kind), set(invariants.VIOLATED))


class LogsTest(base.BaseTestCase):

    def test_secret(self) -> None:
        logs = {'a.log': 'fine\nBearer eyJ.x.y here\n', 'b.log': 'fine\n'}
        self.assertEqual(
            [invariants.Finding(Kind.SECRET_LOGGED, 'a.log', 'line 2')],
            invariants.check_logs(logs, ['', 'eyJ.x.y']))

    def test_no_secret(self) -> None:
        self.assertEqual([], invariants.check_logs({'a': 'fine'}, ['eyJ']))

    def test_a_token_that_nobody_knew_beforehand(self) -> None:
        token = '.'.join((f'eyJ{"a" * 30}', f'eyJ{"b" * 90}', 'c_-' * 60))
        self.assertEqual(
            [invariants.Finding(invariants.Kind.SECRET_LOGGED, 'a',
                                'line 2')],
            invariants.check_logs({'a': f'eyJ is fine\nx {token} y'}, []))


class LoadTest(base.BaseTestCase):

    def test_dump(self) -> None:
        """The array's own JSON becomes values; leaving objects do not."""
        volume = {'UUID': 'u', 'name': 'n', 'projectName': 'p',
                  'state': 'Available', 'size': '4096', 'ETag': '3',
                  'acl': {'values': ['a']}, 'IPAcl': {'values': []},
                  'labels': [{'key': 'k', 'value': 'v'}]}
        snapshot = {'UUID': 's', 'name': 'sn', 'projectName': 'p',
                    'state': 'Available', 'size': '4096',
                    'sourceVolumeUUID': 'u', 'description': 'd'}
        found = arrays.load('east', EAST, {
            'volumes': [volume, volume | {'state': 'Deleting'}],
            'snapshots': [snapshot]})
        self.assertEqual(
            (arrays.ArrayVolume('u', 'n', 'p', 'Available', 4096,
                                frozenset('a'), frozenset(),
                                (('k', 'v'),), '3'),), found.volumes)
        self.assertEqual(
            (arrays.ArraySnapshot('s', 'sn', 'p', 'Available', 4096, 'u',
                                  'd'),), found.snapshots)
