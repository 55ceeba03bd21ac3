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

"""``audit --repair``: what it changes, what it leaves alone, what it keeps."""

from __future__ import annotations

import io
import json
import os
import stat
from typing import Any

from cinder import context as cinder_context
from cinder import objects
import fixtures

from cinder_lightbits_federation.audit.amend import AmendableDatabase
from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import base
from tests.unit.driver import base as driver_base

AUDIT = ('audit', '--second-look', '0', '--grace', '0')


class RepairTestCase(base.CliTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.backup = self.path('backup')

    def repair(self, *argv: str, outcome: Outcome = Outcome.CLEAN) -> Any:
        """:returns: what a repair did."""
        return self.rows(*AUDIT, '--repair', '--yes', '--backup-dir',
                         self.backup, *argv, outcome=outcome)

    def tried(self, outcome: Outcome = Outcome.FINDINGS) -> Any:
        """:returns: what a repair would do."""
        return self.rows(*AUDIT, '--repair', '--dry-run', outcome=outcome)

    def one(self, *argv: str, outcome: Outcome = Outcome.CLEAN) -> Any:
        """:returns: the one thing that a repair did."""
        rows = self.repair(*argv, outcome=outcome)
        self.assertEqual(1, len(rows), rows)
        return rows[0]

    def files(self) -> list[dict[str, Any]]:
        """:returns: what the backups say, in order; they are private."""
        found = []
        for name in sorted(os.listdir(self.backup)):
            path = os.path.join(self.backup, name)
            self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))
            with open(path, encoding='utf-8') as file:
                found.append(json.load(file))
        return found

    def lose_place(self, record: Any) -> str:
        """Lose where a record's object is."""
        before = str(self.reread(record).provider_location)
        record.provider_location = None
        record.save()
        return before

    def access(self, record: Any) -> tuple[list[str], list[str]]:
        """:returns: ACL and IP ACL of a volume."""
        found = self.on(record)[1]
        return (sorted(found['acl']['values']),
                sorted(found['IPAcl']['values']))


class RecordsTest(RepairTestCase):

    def test_clean(self) -> None:
        self.made(self.driver)
        self.assertEqual([], self.repair())
        self.assertEqual([], self.files())

    def test_place_is_recorded_again(self) -> None:
        volume = self.made(self.driver)
        place = self.lose_place(volume)

        tried = self.tried(outcome=Outcome.CLEAN)
        self.assertEqual('would be done', tried[0]['result'])
        self.assertIsNone(self.reread(volume).provider_location)

        row = self.one()

        self.assertEqual(('done', 'record-place'),
                         (row['result'], row['action']))
        self.assertEqual(place, self.reread(volume).provider_location)
        kept = self.files()
        self.assertEqual(
            [('record-place', 'done', {'provider_location': None}, place)],
            [(item['action'], item['result'], item['before'],
              item['after']['provider_location']) for item in kept])
        self.assertEqual([], self.repair())

    def test_place_of_a_snapshot(self) -> None:
        snapshot = self.taken(self.made(self.driver))
        place = self.lose_place(snapshot)
        self.assertEqual('snapshot', self.one()['resource'])
        self.assertEqual(place, self.reread(snapshot).provider_location)

    def test_wrong_place(self) -> None:
        volume = self.made(self.driver,
                           specs={'lightos:cluster': 'east'})
        place = str(volume.provider_location)
        volume.provider_location = place.replace(
            self.arrays['east'].uuid, self.arrays['west'].uuid)
        volume.save()
        self.assertEqual(['wrong-place'], self.one()['kinds'])
        self.assertEqual(place, self.reread(volume).provider_location)

    def test_place_is_not_recorded_while_a_cluster_is_silent(self) -> None:
        volume = self.made(self.driver,
                           specs={'lightos:cluster': 'east'})
        self.lose_place(volume)
        self.arrays['west'].stop()
        rows = self.repair(outcome=Outcome.SILENT)
        self.assertEqual(['cluster-not-asked'], [
            kind for row in rows for kind in row['kinds']])
        self.assertIsNone(self.reread(volume).provider_location)

    def test_place_without_proof(self) -> None:
        volume = self.volume()
        volume.status = 'available'
        volume.save()
        self.make('east', volume.name)
        row = self.one()
        self.assertIn('left alone: it bears no mark', row['result'])
        self.assertIsNone(self.reread(volume).provider_location)
        self.assertEqual([], self.files())

    def test_record_takes_the_size(self) -> None:
        volume = self.made(self.driver)
        self.change(volume, size='3gib')
        row = self.one()
        self.assertEqual(({'size': 1}, {'size': 3}),
                         (row['before'], row['after']))
        self.assertEqual(3, self.reread(volume).size)

    def test_odd_sizes_are_left_alone(self) -> None:
        volume = self.made(self.driver)
        self.change(volume, size=str(base.GIB + 4096))
        row = self.one(outcome=Outcome.FINDINGS)
        self.assertIn('not whole GiB', row['result'])
        self.assertEqual(1, self.reread(volume).size)

    def test_object_grows_to_the_size(self) -> None:
        volume = self.made(self.driver)
        volume.size = 4
        volume.save()
        self.assertEqual('set-size', self.one()['action'])
        self.assertEqual(str(4 * base.GIB), self.on(volume)[1]['size'])
        kept = self.files()[0]
        self.assertEqual((base.GIB, 4 * base.GIB),
                         (kept['before']['size'], kept['after']['size']))

    def test_size_of_a_snapshot(self) -> None:
        snapshot = self.taken(self.made(self.driver))
        snapshot.volume_size = 7
        snapshot.save()
        self.one()
        self.assertEqual(1, self.reread(snapshot).volume_size)

    def test_records_that_change_meanwhile_are_left_alone(self) -> None:
        volume = self.made(self.driver)
        self.lose_place(volume)
        amend = AmendableDatabase.amend

        def late(ledger: Any, record: Any, *args: Any) -> bool:
            fresh = self.reread(volume)
            fresh.status = 'deleting'
            fresh.save()
            return amend(ledger, record, *args)

        self.stub_out('cinder_lightbits_federation.audit.amend.'
                      'AmendableDatabase.amend', late)
        row = self.one()
        self.assertIn('changed meanwhile', row['result'])
        self.assertIsNone(self.reread(volume).provider_location)
        self.assertIn('left alone', self.files()[0]['result'])


class ObjectsTest(RepairTestCase):

    def test_nothing_is_deleted(self) -> None:
        orphan = self.made(self.driver)
        copied = self.made(self.driver, specs={'lightos:cluster': 'east'})
        marks = [{'key': key, 'value': value} for key, value
                 in self.labels(self.on(copied)[1]).items()]
        self.make('west', copied.name, labels=marks)
        self.ask('east', 'POST', 'snapshots', name='daily',
                 sourceVolumeUUID=self.location(copied).object_uuid)
        self.settle()
        gone = self.made(self.driver)
        cluster, uuid = self.array_of(gone)
        self.ask(cluster, 'DELETE', f'volumes/{uuid}')
        self.settle()
        self.forget(orphan)

        rows = self.repair(outcome=Outcome.FINDINGS)

        self.assertEqual({'by-hand'}, {row['action'] for row in rows})
        self.assertEqual(
            {'object-without-record', 'duplicate', 'record-without-object'},
            {kind for row in rows for kind in row['kinds']})
        self.assertEqual(2, len(self.everywhere(copied.name)))
        self.assertEqual(1, len(self.everywhere('daily')))
        self.assertEqual('available', self.reread(gone).status)
        self.on(orphan)

    def test_intermediates(self) -> None:
        volume = self.made(self.driver)
        cluster, uuid = self.array_of(volume)
        marks = (f'lbf1 owner={driver_base.FEDERATION_ID} id={volume.id} '
                 f'attempt=0123456789ab')
        for name, text in ((f'for_clone_{volume.id}_0', marks),
                           (f'for_clone_{volume.id}_1', '')):
            self.ask(cluster, 'POST', 'snapshots', name=name,
                     sourceVolumeUUID=uuid, description=text)
        self.settle()

        rows = self.repair(outcome=Outcome.FINDINGS)
        self.settle()

        self.assertEqual(
            ['done', 'left alone: it bears no mark that proves it ours'],
            sorted(row['result'] for row in rows))
        self.assertEqual([], self.everywhere(f'for_clone_{volume.id}_0'))
        self.assertEqual(1, len(self.everywhere(f'for_clone_{volume.id}_1')))

    def test_name(self) -> None:
        volume = self.made(self.driver)
        self.change(volume, newName='renamed')
        self.assertEqual('rename-object', self.one()['action'])
        self.on(volume)

    def test_marks_of_others_are_left_alone(self) -> None:
        volume = self.made(self.driver)
        other = '22222222-2222-4222-8222-222222222222'
        self.change(volume, labels=[{'key': 'cinder_owner', 'value': other}])
        row = self.one(outcome=Outcome.FINDINGS)
        self.assertIn("somebody else's", row['result'])
        self.assertEqual({'cinder_owner': other},
                         self.labels(self.on(volume)[1]))


class AccessTest(RepairTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.record = self.made(self.driver)
        self.host = driver_base.connector(1, '192.0.2.1', '192.0.2.11')
        self.attach(self.driver, self.record, self.host)
        self.right = self.access(self.record)

    def spoil(self, acl: list[str], addresses: list[str]) -> None:
        """Change the access lists behind Cinder's back."""
        self.change(self.record, acl={'values': acl},
                    IPAcl={'values': addresses})

    def test_hosts_and_addresses(self) -> None:
        nqn = driver_base.nqn
        for acl, addresses in (
                ([nqn(2)], ['192.0.2.1', '192.0.2.2']),
                (['ALLOW_ANY'], ['ALLOW_ANY']),
                ([nqn(1)], ['192.0.2.1']),
                ([nqn(1), nqn(2)], ['192.0.2.1', '192.0.2.11']),
                (['ALLOW_NONE'], ['ALLOW_NONE'])):
            self.spoil(acl, addresses)
            row = self.one()
            self.assertEqual(('done', 'set-access'),
                             (row['result'], row['action']), acl)
            self.assertEqual(self.right, self.access(self.record))
        self.assertEqual([self.right] * 5, [
            (item['after']['acl'], item['after']['ip_acl'])
            for item in self.files()])

    def test_dry_run(self) -> None:
        self.spoil(['ALLOW_ANY'], ['ALLOW_ANY'])
        row = self.tried()[0]
        self.assertEqual(['ALLOW_ANY'], row['before']['acl'])
        self.assertEqual([driver_base.nqn(1)], row['after']['acl'])
        self.assertEqual((['ALLOW_ANY'], ['ALLOW_ANY']),
                         self.access(self.record))
        self.assertFalse(os.path.exists(self.backup))

    def test_connected_hosts_keep_their_access(self) -> None:
        cluster, uuid = self.array_of(self.record)
        nqn = driver_base.nqn
        self.spoil([nqn(1), nqn(2)], ['192.0.2.1', '192.0.2.11',
                                      '192.0.2.2'])
        self.arrays[cluster].connect_host(nqn(2), uuid,
                                          address='192.0.2.2')
        before = self.access(self.record)
        row = self.one(outcome=Outcome.FINDINGS)
        self.assertIn(f'{nqn(2)} is connected', row['result'])
        self.assertEqual(before, self.access(self.record))
        self.one('--expel-connected')
        self.assertEqual(self.right, self.access(self.record))

    def test_who_is_admitted_meanwhile_stays(self) -> None:
        """Another service admits a host between our read and our write."""
        self.spoil([driver_base.nqn(3), driver_base.nqn(1)],
                   ['192.0.2.1', '192.0.2.11', '192.0.2.3'])
        again, admitted = AmendableDatabase.again, []

        def late(ledger: Any, ids: Any) -> Any:
            found = again(ledger, ids)
            if found.attachments and not admitted:
                admitted.append(True)
                self.attach(self.driver, self.reread(self.record),
                            driver_base.connector(2))
            return found

        self.stub_out('cinder_lightbits_federation.audit.amend.'
                      'AmendableDatabase.again', late)
        self.one()
        self.assertEqual(
            (sorted([driver_base.nqn(1), driver_base.nqn(2)]),
             ['192.0.2.1', '192.0.2.11', '192.0.2.2']),
            self.access(self.record))

    def test_interrupted(self) -> None:
        """What was intended is written; the next run goes on."""
        self.spoil(['ALLOW_ANY'], ['ALLOW_ANY'])

        def interrupted(*args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

        with fixtures.MonkeyPatch(
                'cinder_lightbits_federation.lightbits.volumes.VolumeCalls.'
                'change_volume', interrupted):
            found = self.command(*AUDIT, '--repair', '--yes',
                                 '--backup-dir', self.backup)
        self.assertEqual(Outcome.INTERRUPTED, found.outcome)
        self.assertEqual([None], [item['result'] for item in self.files()])
        self.one()
        self.assertEqual(self.right, self.access(self.record))
        self.assertEqual([None, 'done'],
                         [item['result'] for item in self.files()])

    def test_failures_are_told(self) -> None:
        self.spoil(['ALLOW_ANY'], ['ALLOW_ANY'])
        attachment = objects.VolumeAttachmentList.get_all_by_volume_id(
            cinder_context.get_admin_context(), self.record.id)[0]
        attachment.connector = {**self.host, 'host_ips': ['127.0.0.1']}
        attachment.save()
        row = self.one(outcome=Outcome.FAILED)
        self.assertIn('failed: host compute1 has no usable address',
                      row['result'])


class ConsentTest(RepairTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.record = self.made(self.driver)
        self.lose_place(self.record)

    def answer(self, text: str) -> base.Result:
        """Repair, with somebody at the terminal."""
        stdin = base.Terminal(f'{text}\n')
        return self.command(*AUDIT, '--repair', '--backup-dir', self.backup,
                            stdin=stdin)

    def test_asked(self) -> None:
        found = self.answer('no')
        self.assertIn('Carry these 1 repairs out? [y/N]', found.err)
        self.assertIn(f'record-place volume {self.record.id}', found.err)
        self.assertIsNone(self.reread(self.record).provider_location)
        self.assertEqual(Outcome.CLEAN, self.answer('y').outcome)
        self.assertIsNotNone(self.reread(self.record).provider_location)

    def test_nobody_there(self) -> None:
        found = self.command(*AUDIT, '--repair', '--backup-dir', self.backup,
                             stdin=io.StringIO('y\n'))
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('--yes', found.err)

    def test_backups_are_needed(self) -> None:
        found = self.command(*AUDIT, '--repair', '--yes')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('--backup-dir is needed', found.err)
        with open(self.path('file'), 'w', encoding='utf-8'):
            pass
        found = self.command(*AUDIT, '--repair', '--yes', '--backup-dir',
                             self.path('file'))
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIsNone(self.reread(self.record).provider_location)
