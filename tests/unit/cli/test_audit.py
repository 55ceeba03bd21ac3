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

"""``lightbits-federation audit``: what it prints and how it ends."""

from __future__ import annotations

import json
from typing import Any

from oslo_db import exception as db_exception

from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import base
from tests.unit.driver import base as driver_base

AUDIT = ('audit', '--second-look', '0', '--grace', '0')


class AuditTest(base.CliTestCase):

    def test_clean(self) -> None:
        self.made(self.driver)

        found = self.command(*AUDIT, '-f', 'json')

        self.assertEqual((Outcome.CLEAN, []), (found.outcome, found.json()))
        self.assertIn('1 volumes, 0 snapshots and 0 attachments compared '
                      'with 2 clusters; 0 volumes and 0 snapshots there are '
                      'not ours', found.err)
        self.assertIn('error: 0, warning: 0, notice: 0, in-flight: 0',
                      found.err)

    def test_findings(self) -> None:
        kept = self.made(self.driver)
        volume = self.made(self.driver)
        cluster, uuid = self.array_of(volume)
        self.forget(volume)
        self.change(kept, size='3gib')

        rows = self.rows(*AUDIT, outcome=Outcome.FINDINGS)

        self.assertEqual(['wrong-size', 'object-without-record'],
                         [row['kind'] for row in rows])
        orphan = rows[1]
        self.assertEqual(
            {'severity': 'warning', 'resource': 'volume',
             'cluster': cluster, 'cluster_uuid': self.arrays[cluster].uuid,
             'object_uuid': uuid, 'object_name': volume.name,
             'cinder_id': volume.id, 'owner': driver_base.FEDERATION_ID,
             'host': ''},
            {key: orphan[key] for key in (
                'severity', 'resource', 'cluster', 'cluster_uuid',
                'object_uuid', 'object_name', 'cinder_id', 'owner',
                'host')})
        self.assertIsInstance(orphan['age'], int)
        self.assertIn(f'no record {volume.id}', orphan['evidence'])
        self.assertIn('delete it with', orphan['advice'])

    def test_notices_are_clean(self) -> None:
        volume = self.made(self.driver)
        cluster, uuid = self.array_of(volume)
        self.ask(cluster, 'POST', 'snapshots', name='daily',
                 sourceVolumeUUID=uuid)
        self.settle()

        rows = self.rows(*AUDIT)
        self.assertEqual(['notice'], [row['severity'] for row in rows])
        self.assertEqual([], self.rows(*AUDIT, '--severity', 'warning'))

    def test_young_objects_are_in_flight(self) -> None:
        self.forget(self.made(self.driver))
        rows = self.rows('audit', '--second-look', '0')
        self.assertEqual(['in-flight'], [row['severity'] for row in rows])

    def test_silent_cluster(self) -> None:
        self.made(self.driver, specs={'lightos:cluster': 'east'})
        self.arrays['west'].stop()

        found = self.command(*AUDIT, '-f', 'json')

        self.assertEqual(Outcome.SILENT, found.outcome)
        self.assertEqual(['cluster-not-asked'],
                         [row['kind'] for row in found.json()])
        self.assertIn('Incomplete: west', found.err)

    def test_silence_weighs_more_than_findings(self) -> None:
        self.forget(self.made(self.driver,
                              specs={'lightos:cluster': 'east'}))
        self.arrays['west'].stop()
        self.assertEqual(2, len(self.rows(*AUDIT, outcome=Outcome.SILENT)))

    def test_lost_cluster_is_not_silent(self) -> None:
        self.driver.tear_down()
        self.write_config({'east': self.section('east'),
                           'west': self.section('west',
                                                admin_state='lost')})
        rows = self.rows(*AUDIT)
        self.assertEqual([('cluster-not-asked', 'notice')],
                         [(row['kind'], row['severity']) for row in rows])

    def test_formats(self) -> None:
        self.forget(self.made(self.driver))
        table = self.command(*AUDIT).out
        self.assertIn('object-without-record', table)
        self.assertNotIn('advice', table)
        self.assertIn('advice', self.command(*AUDIT, '--long').out)
        self.assertIn('kind: object-without-record',
                      self.command(*AUDIT, '-f', 'yaml').out)
        head = self.command(*AUDIT, '-f', 'csv').out.splitlines()[0]
        self.assertIn('"cluster_uuid"', head)

    def test_no_records_are_told(self) -> None:
        found = self.command(*AUDIT, '--host', 'other')
        self.assertIn('no volume of other@lightbits', found.err)

    def test_progress_on_a_terminal(self) -> None:
        self.made(self.driver, specs={'lightos:cluster': 'east'})
        self.assertNotIn('objects read', self.command(*AUDIT).err)
        self.assertIn('objects read: east 1',
                      self.command(*AUDIT, stderr=base.Terminal()).err)

    def test_types_name_projects(self) -> None:
        self.add_array('gold', projects=['default', 'gold'])
        self.driver.tear_down()
        self.driver = self.start_driver()
        volume = self.made(self.driver,
                           specs={'lightos:project_name': 'gold'})
        self.assertEqual('gold', self.array_of(volume)[0])
        self.forget(volume)
        self.assertEqual(1, len(self.rows(*AUDIT,
                                          outcome=Outcome.FINDINGS)))

    def test_a_project_that_is_gone(self) -> None:
        """What is in others is compared nevertheless."""
        lost, kept = self.made(self.driver), self.made(self.driver)
        lost.provider_location = lost.provider_location.replace(
            ':default', ':gone')
        lost.save()
        self.change(kept, size='3gib')
        rows = {row['cinder_id']: row
                for row in self.rows(*AUDIT, outcome=Outcome.SILENT)}
        self.assertEqual('wrong-size', rows[kept.id]['kind'])
        self.assertIn('recorded in project gone', rows[lost.id]['evidence'])

    def test_all_projects(self) -> None:
        array = self.arrays['east']
        array.request('POST', '/api/v2/projects', json={'name': 'hidden'})
        self.ask('east', 'POST', 'volumes', project='hidden', name='volume-x',
                 size='1gib', replicaCount=1, acl={'values': ['ALLOW_NONE']},
                 labels=[{'key': 'cinder_owner',
                          'value': driver_base.FEDERATION_ID}])
        self.settle()
        self.assertEqual([], self.rows(*AUDIT))
        self.assertEqual(1, len(self.rows(*AUDIT, '--all-projects',
                                          outcome=Outcome.FINDINGS)))


class ConfigurationTest(base.CliTestCase):

    CLUSTERS = ('east',)
    NODES = 1

    def refused(self, *argv: str) -> str:
        """:returns: why the command line or the files are wrong."""
        found = self.command(*argv)
        self.assertEqual((Outcome.USAGE, ''), (found.outcome, found.out))
        return found.err

    def test_files(self) -> None:
        self.assertIn('cannot be read', self.refused(
            '--config-file', self.path('none'), 'audit'))

    def test_the_only_backend_is_found(self) -> None:
        self.service(host='stor1', enabled_backends='other, lightbits')
        self.assertEqual(Outcome.CLEAN, self.command(*AUDIT).outcome)

    def test_no_backend(self) -> None:
        self.service(enabled_backends='ceph')
        self.assertIn('no backend of enabled_backends (ceph)',
                      self.refused('audit'))
        self.assertEqual(Outcome.CLEAN, self.command(
            *AUDIT, '--backend', 'lightbits').outcome)

    def test_several_backends(self) -> None:
        with open(self.path('cinder.conf'), 'a', encoding='utf-8') as file:
            file.write(f'[second]\nvolume_driver = {base.DRIVER}\n')
        self.service(enabled_backends='lightbits, second')
        self.assertIn('(lightbits, second): choose one',
                      self.refused('audit'))

    def test_unknown_backend(self) -> None:
        self.assertIn('no section [x]',
                      self.refused('--backend', 'x', 'audit'))

    def test_wrong_option(self) -> None:
        self.write_config(self.sections(), lightbits_federation_id='no-id')
        self.assertIn('[lightbits] lightbits_federation_id',
                      self.refused('audit'))

    def test_hosts(self) -> None:
        self.made(self.driver)
        self.service(host='other', enabled_backends='lightbits')
        self.assertIn('no volume of other@lightbits',
                      self.command(*AUDIT).err)
        self.write_config(self.sections(), backend_host='stor1')
        self.service(host='other', enabled_backends='lightbits')
        self.assertIn('1 volumes', self.command(*AUDIT).err)

    def test_clustered(self) -> None:
        volume = self.made(self.driver)
        volume.host = 'elsewhere@lightbits#federation'
        volume.cluster_name = 'c@lightbits#federation'
        volume.save()
        self.service(host='stor1', enabled_backends='lightbits', cluster='c')
        self.assertIn('1 volumes', self.command(*AUDIT).err)

    def test_no_secret_is_printed(self) -> None:
        token = self.arrays['east'].admin_token
        self.write_config({'east': self.section('east', jwt=token)})
        self.arrays['east'].stop()
        for argv in (AUDIT, ('-v', '-v', '--debug', *AUDIT)):
            found = self.command(*argv, '-f', 'json')
            self.assertNotIn(token, found.out + found.err)
            self.assertEqual(Outcome.SILENT, found.outcome)

    def test_database_errors_are_told(self) -> None:
        def broken(*args: Any, **kwargs: Any) -> Any:
            raise db_exception.DBConnectionError('no database\nselect 1')

        self.stub_out('cinder_lightbits_federation.cinderdb.reading',
                      broken)
        found = self.command('audit')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn('no database', found.err)
        self.assertNotIn('select', found.err)

    def test_what_nobody_expects_is_no_finding(self) -> None:
        def broken(*args: Any, **kwargs: Any) -> Any:
            raise RuntimeError('a defect')

        self.stub_out('cinder_lightbits_federation.cinderdb.reading',
                      broken)
        found = self.command('audit')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn('a defect', found.err)

    def test_without_a_command(self) -> None:
        self.assertEqual(Outcome.USAGE, self.command().outcome)

    def test_unknown_command_and_option(self) -> None:
        self.assertEqual(Outcome.USAGE, self.command('audits').outcome)
        self.assertEqual(Outcome.USAGE,
                         self.command('audit', '--unknown').outcome)

    def test_the_log_goes_where_it_is_told(self) -> None:
        self.command('--log-file', self.path('log'), *AUDIT)
        with open(self.path('log'), encoding='utf-8') as file:
            self.assertIn('is connected', file.read())

    def test_json_only_on_stdout(self) -> None:
        self.assertEqual([], json.loads(self.command(
            '-v', '-v', *AUDIT, '-f', 'json').out))
