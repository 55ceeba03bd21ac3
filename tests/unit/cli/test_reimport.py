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

"""``audit export`` and ``audit reimport``: a database that went back."""

from __future__ import annotations

import json
import os
import stat
from typing import Any

from cinder.db import api as db_api
from cinder import objects
from cinder.volume import volume_types
import sqlalchemy as sa

from cinder_lightbits_federation import cinderdb
from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import base
from tests.unit.driver import base as driver_base

AUDIT = ('audit', '--second-look', '0', '--grace', '0')


class ReimportTestCase(base.CliTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.backup = self.path('backup')
        # Sorted out after records, and made there when it is missing.
        volume_types.get_default_volume_type(self.context)
        self.tables = cinderdb.model_of('Volume').__table__.metadata

    def dump(self) -> dict[str, list[Any]]:
        """:returns: the whole database."""
        with cinderdb.reading() as session:
            return {table.name: session.execute(sa.select(table)).mappings(
                ).all() for table in self.tables.sorted_tables}

    def restore(self, dumped: dict[str, list[Any]]) -> None:
        """Put the database back as it was."""
        with cinderdb.writing() as session:
            for table in reversed(self.tables.sorted_tables):
                session.execute(sa.delete(table))
            for table in self.tables.sorted_tables:
                for row in dumped[table.name]:
                    session.execute(sa.insert(table).values(dict(row)))

    def export(self, name: str = 'export.json') -> str:
        """:returns: the path of a fresh export."""
        found = self.command('audit', 'export', self.path(name))
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        return self.path(name)

    def reimport(self, *argv: str, outcome: Outcome = Outcome.CLEAN) -> Any:
        """:returns: what was done. Nothing was changed on any cluster."""
        before = {name: array.state() for name, array in self.arrays.items()}
        rows = self.rows('audit', 'reimport', '--second-look', '0', '--yes',
                         '--backup-dir', self.backup, *argv,
                         outcome=outcome)
        self.assertEqual(before, {name: array.state() for name, array
                                  in self.arrays.items()})
        return rows

    def results(self, *argv: str, outcome: Outcome = Outcome.CLEAN
                ) -> list[tuple[str, str, str]]:
        """:returns: action, ID and result of all that was done."""
        return sorted((row['action'], row['cinder_id'], row['result'])
                      for row in self.reimport(*argv, outcome=outcome))

    def attachments(self, record: Any) -> list[Any]:
        """:returns: the attachments of a volume, as Cinder has them."""
        return list(objects.VolumeAttachmentList.get_all_by_volume_id(
            self.context, record.id))

    def leave(self, record: Any) -> None:
        """Take a host's access and attachment away."""
        for item in self.attachments(record):
            self.driver.terminate_connection(record, item.connector)
            db_api.volume_detached(self.context, record.id, item.id)


class HourTest(ReimportTestCase):
    """An hour of work, forgotten by the database."""

    def setUp(self) -> None:
        super().setUp()
        self.extended = self.made(self.driver)
        self.dropped = self.made(self.driver)
        self.attached = self.made(self.driver)
        self.detached = self.made(self.driver)
        self.host = driver_base.connector(1)
        self.attach(self.driver, self.detached, self.host)
        self.use(self.detached)
        self.gone = self.taken(self.extended)
        before = self.dump()
        self.work()
        self.exported = self.export()
        self.after = self.dump()
        self.restore(before)

    def use(self, record: Any) -> None:
        """Have a record say that its volume is in use."""
        record.status, record.attach_status = 'in-use', 'attached'
        record.save()

    def work(self) -> None:
        """An hour of it."""
        self.new = self.made(
            self.driver, 2, display_name='mine', project_id='p1',
            user_id='u1', metadata={'kept': 'yes'})
        self.attach(self.driver, self.new, self.host)
        self.use(self.new)
        self.plain = self.made(self.driver, project_id='p2', user_id='u2')
        self.taken_later = self.taken(self.new)
        self.driver.extend_volume(self.extended, 3)
        self.extended.size = 3
        self.extended.save()
        self.driver.delete_snapshot(self.gone)
        self.gone.destroy()
        self.driver.delete_volume(self.dropped)
        self.dropped.destroy()
        self.attach(self.driver, self.attached, self.host)
        self.use(self.attached)
        self.leave(self.detached)
        self.settle()

    def check_old(self) -> None:
        """What was there before the hour is right."""
        self.assertEqual(3, self.reread(self.extended).size)
        self.assertEqual('error', self.reread(self.dropped).status)
        self.assertEqual('error', self.reread(self.gone).status)
        attached, detached = map(self.reread, (self.attached, self.detached))
        self.assertEqual(('in-use', 'available'),
                         (attached.status, detached.status))
        self.assertEqual([self.host['nqn']], [
            item.connector['nqn'] for item in self.attachments(attached)])
        self.assertEqual([], self.attachments(detached))

    def test_with_an_export(self) -> None:
        done = self.results('--export', self.exported)

        self.assertEqual(sorted([
            ('make-record', self.new.id, 'done'),
            ('make-record', self.plain.id, 'done'),
            ('make-record', self.taken_later.id, 'done'),
            ('set-size', self.extended.id, 'done'),
            ('record-in-error', self.dropped.id, 'done'),
            ('record-in-error', self.gone.id, 'done'),
            ('record-attachment', self.attached.id, 'done'),
            ('record-detachment', self.detached.id, 'done')]), done)
        self.check_old()
        lost = {row['id']: row for row in self.after['volumes']}
        for record in (self.new, self.plain):
            found = self.reread(record)
            self.assertEqual(
                {key: lost[record.id][key] for key in (
                    'display_name', 'project_id', 'user_id', 'size', 'host',
                    'status', 'volume_type_id', 'provider_location',
                    'provider_id', 'created_at', 'attach_status')},
                {key: found[key].replace(tzinfo=None)
                 if key == 'created_at' else found[key] for key in (
                    'display_name', 'project_id', 'user_id', 'size', 'host',
                    'status', 'volume_type_id', 'provider_location',
                    'provider_id', 'created_at', 'attach_status')})
        self.assertEqual({'kept': 'yes'}, self.reread(self.new).metadata)
        self.assertEqual(
            [row['id'] for row in self.after['volume_attachment']
             if row['volume_id'] == self.new.id],
            [item.id for item in self.attachments(self.new)])
        snapshot = self.reread(self.taken_later)
        self.assertEqual((self.new.id, 2, 'available'), (
            snapshot.volume_id, snapshot.volume_size, snapshot.status))
        self.assertEqual([], self.results())
        self.check_that_all_works()

    def test_without_an_export(self) -> None:
        self.reimport('--project-id', 'rescue', '--user-id', 'operator')

        self.check_old()
        new = self.reread(self.new)
        self.assertEqual(
            ('rescue', 'operator', 2, 'in-use', self.new.provider_location,
             self.new.name, 'stor1@lightbits#federation'),
            (new.project_id, new.user_id, new.size, new.status,
             new.provider_location, new.display_name, new.host))
        self.assertEqual(
            [(self.host['nqn'], self.host['host'], self.host['host_ips'])],
            [(item.connector['nqn'], item.connector['host'],
              item.connector['host_ips'])
             for item in self.attachments(self.new)])
        snapshot = self.reread(self.taken_later)
        self.assertEqual(('rescue', self.new.id),
                         (snapshot.project_id, snapshot.volume_id))
        self.check_that_all_works()

    def check_that_all_works(self) -> None:
        """The driver finds, and may remove, all that Cinder has."""
        self.assertEqual([], self.rows(*AUDIT))
        self.driver.delete_snapshot(self.reread(self.taken_later))
        self.leave(self.reread(self.new))
        self.leave(self.reread(self.attached))
        for record in (self.new, self.plain, self.extended, self.attached,
                       self.detached, self.dropped):
            self.driver.delete_volume(self.reread(record))
        self.settle()
        self.assertEqual([], [
            item for array in self.arrays.values()
            for item in array.state()['volumes']
            if item['state'] != 'Deleting'])

    def test_nobody_knows_whose_it_is(self) -> None:
        done = self.results(outcome=Outcome.FINDINGS)
        self.assertEqual(
            {self.new.id, self.plain.id},
            {record_id for _action, record_id, result in done
             if 'name one with --project-id' in result})
        self.check_old()

    def test_dry_run(self) -> None:
        before = self.dump()
        rows = self.rows('audit', 'reimport', '--second-look', '0',
                         '--dry-run', '--export', self.exported,
                         outcome=Outcome.FINDINGS)
        self.assertEqual({'would be done'}, {row['result'] for row in rows})
        self.assertEqual(8, len(rows))
        self.assertEqual(before, self.dump())
        self.assertFalse(os.path.exists(self.backup))

    def test_nothing_is_missing_while_a_cluster_is_silent(self) -> None:
        self.arrays['west'].stop()
        found = self.command(
            'audit', 'reimport', '--second-look', '0', '--yes',
            '--backup-dir', self.backup, '--export', self.exported,
            '-f', 'json')
        self.assertEqual(Outcome.SILENT, found.outcome)
        self.assertNotIn('record-in-error',
                         [row['action'] for row in found.json()])
        self.assertEqual('available', self.reread(self.dropped).status)


class ReimportTest(ReimportTestCase):

    def lost(self, **fields: Any) -> Any:
        """A volume whose record never was there."""
        before = self.dump()
        record = self.made(self.driver, **fields)
        self.restore(before)
        return record

    def test_deleted_ones_stay_deleted(self) -> None:
        record = self.made(self.driver)
        self.forget(record)
        [(_action, _id, result)] = self.results(
            '--project-id', 'p', outcome=Outcome.FINDINGS)
        self.assertIn('was deleted in Cinder', result)

    def test_since(self) -> None:
        record = self.lost()
        [(_action, _id, result)] = self.results(
            '--project-id', 'p', '--since', '2999-01-01T00:00:00',
            outcome=Outcome.FINDINGS)
        self.assertIn('it was made before 2999', result)
        [done] = self.results('--project-id', 'p', '--since', '2020-01-01')
        self.assertEqual(('make-record', record.id, 'done'), done)

    def test_labels_tell_whose_it_is(self) -> None:
        record = self.lost()
        cluster, found = self.on(record)
        labels = {**self.labels(found), 'cinder_project': 'p7',
                  'cinder_user': 'u7'}
        self.ask(cluster, 'PUT', f'volumes/{found["UUID"]}', labels=[
            {'key': key, 'value': value} for key, value in labels.items()])
        self.settle()
        self.reimport('--project-id', 'other')
        fresh = self.reread(record)
        self.assertEqual(('p7', 'u7'), (fresh.project_id, fresh.user_id))

    def test_lost_types(self) -> None:
        before = self.dump()
        record = self.made(self.driver, project_id='p',
                           specs={'compression': '<is> True'})
        exported = self.export()
        self.restore(before)
        self.reimport('--export', exported)
        default = volume_types.get_default_volume_type(self.context)['id']
        self.assertEqual(default, self.reread(record).volume_type_id)

    def test_several_copies(self) -> None:
        record = self.lost(specs={'lightos:cluster': 'east'})
        marks = [{'key': key, 'value': value} for key, value
                 in self.labels(self.on(record)[1]).items()]
        self.make('west', record.name, labels=marks)
        done = self.results('--project-id', 'p', outcome=Outcome.FINDINGS)
        self.assertEqual(['by-hand', 'by-hand'], [item[0] for item in done])

    def test_others_are_left_alone(self) -> None:
        self.make('east', 'csi-volume')
        self.assertEqual([], self.results('--project-id', 'p'))

    def test_ids_that_cannot_be(self) -> None:
        self.make('east', 'volume-x', labels=[
            {'key': 'cinder_owner', 'value': driver_base.FEDERATION_ID},
            {'key': 'cinder_id', 'value': 'x'}])
        [(_action, _id, result)] = self.results(
            '--project-id', 'p', outcome=Outcome.FINDINGS)
        self.assertIn('no mark that proves it ours', result)

    def test_unknown_hosts(self) -> None:
        before = self.dump()
        record = self.made(self.driver)
        self.attach(self.driver, record, driver_base.connector(4))
        self.restore(before)
        self.reimport('--project-id', 'p')
        nqn = driver_base.nqn(4)
        self.assertEqual([(nqn, ['192.0.2.4'])], [
            (item.connector['nqn'], item.connector['host_ips'])
            for item in self.attachments(record)])
        self.assertEqual('in-use', self.reread(record).status)

    def test_clustered_and_pools(self) -> None:
        record = self.lost()
        self.service(host='stor1', enabled_backends='lightbits', cluster='c')
        self.write_config(self.sections(), lightbits_pools='cluster')
        self.service(host='stor1', enabled_backends='lightbits', cluster='c')
        self.reimport('--project-id', 'p')
        cluster = self.array_of(record)[0]
        fresh = self.reread(record)
        self.assertEqual((f'stor1@lightbits#{cluster}',
                          f'c@lightbits#{cluster}'),
                         (fresh.host, fresh.cluster_name))

    def test_services_have_to_be_stopped(self) -> None:
        self.lost()
        objects.Service(context=self.context, host='stor1@lightbits',
                        binary='cinder-volume', topic='cinder-volume',
                        report_count=1).create()
        found = self.command('audit', 'reimport', '--yes', '--backup-dir',
                             self.backup)
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('is up: stop it first', found.err)


class ExportTest(ReimportTestCase):

    def test_private(self) -> None:
        record = self.made(self.driver)
        path = self.export()
        self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))
        with open(path, encoding='utf-8') as file:
            found = json.load(file)
        self.assertEqual((1, driver_base.FEDERATION_ID, 'stor1@lightbits'),
                         (found['version'], found['owner'],
                          found['backend']))
        self.assertEqual([record.id], [row['id'] for row
                                       in found['tables']['volumes']])

    def test_others_backends_are_left_out(self) -> None:
        self.made(self.driver)
        self.volume(host='other@ceph#rbd')
        found = self.rows('audit', 'export', self.path('export.json'))
        self.assertEqual(1, found['volumes'])

    def refused(self, text: str) -> str:
        """:returns: why a file is no export."""
        with open(self.path('bad.json'), 'w', encoding='utf-8') as file:
            file.write(text)
        found = self.command('audit', 'reimport', '--dry-run', '--export',
                             self.path('bad.json'))
        self.assertEqual(Outcome.USAGE, found.outcome)
        return found.err

    def test_what_is_no_export(self) -> None:
        good = {'version': 1, 'time': 't', 'owner': 'somebody',
                'backend': 'b', 'tables': {}}
        self.assertIn('is not what', self.refused('{'))
        self.assertIn('is not what', self.refused('[]'))
        self.assertIn('is not what', self.refused('{"version": 1}'))
        self.assertIn('of cloud somebody', self.refused(json.dumps(good)))
        self.assertIn('version 2', self.refused(json.dumps(
            {**good, 'version': 2})))

    def test_files(self) -> None:
        found = self.command('audit', 'export', self.path('none/x'))
        self.assertEqual(Outcome.FAILED, found.outcome)
        found = self.command('audit', 'reimport', '--dry-run', '--export',
                             self.path('none'))
        self.assertEqual(Outcome.USAGE, found.outcome)
        found = self.command('audit', 'reimport', '--dry-run', '--type', 'x')
        self.assertIn('--type', found.err)
        found = self.command('audit', 'reimport', '--since', 'yesterday')
        self.assertEqual(Outcome.USAGE, found.outcome)
