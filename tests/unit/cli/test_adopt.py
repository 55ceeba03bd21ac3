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

"""``adopt``: the volumes of in-tree backends are taken over in place."""

from __future__ import annotations

import json
import os
from typing import Any

from cinder.db import api as db_api
from cinder import objects
from cinder.tests.unit import utils
from cinder.volume.drivers import lightos as in_tree

from cinder_lightbits_federation.adoption import rows
from cinder_lightbits_federation import cinderdb
from cinder_lightbits_federation.cli import lightos
from cinder_lightbits_federation.cli.outcome import Outcome
from tests import releases
from tests.unit.cli import adopting
from tests.unit.cli import base

EAST, WEST = 'lightos-east', 'lightos-west'


class ThousandVolumesTest(adopting.AdoptTestCase):

    def add_array(self, name: str, **options: Any) -> Any:
        """Have clusters remember what they are asked."""
        return super().add_array(name, journal=5000, capacity=1 << 44,
                                 **options)

    def test_there_and_back_and_there_again(self) -> None:
        """Interrupted twice and resumed, taken back, and forward again."""
        self.in_tree()
        for mark, section in ((1, EAST), (2, WEST)):
            ids = self.populate(section, 400, mark)
            self.populate(section, 100, mark + 10, attached=True)
            for volume_id in ids[:5]:
                self.taken_of(section, volume_id)
            group = utils.create_group(
                self.context, host=f'stor1@{section}#{section}',
                group_type_id='x')
            self.row_of(ids[9]).update({'group_id': group.id})
            db_api.image_volume_cache_create(
                self.context, f'stor1@{section}#{section}', None,
                f'image-{mark}', adopting.WHEN, ids[7], 1)
        before, held = self.picture(), self.on_clusters()
        journals = {name: len(array.journal())
                    for name, array in self.arrays.items()}

        for stopped_after in (300, 700):
            step = 'run' if stopped_after == 300 else 'resume'
            options = [*self.given, '--yes'] if step == 'run' else []
            with self.interrupted(stopped_after):
                self.command('adopt', step, *self.backup, *options)
        half = self.picture()['Volume']
        self.assertEqual(700, sum('lightbits' in row['host']
                                  for row in half))
        refused = self.command('adopt', 'run', *self.backup, *self.given,
                               '--yes')
        self.assertIn('use "adopt resume"', refused.err)
        left = self.rows('adopt', 'resume', *self.backup, '--dry-run')
        self.assertEqual(316, len(left))
        done = self.command('adopt', 'resume', *self.backup)
        self.assertEqual(Outcome.CLEAN, done.outcome, done.err)
        self.assertIn('316 records rewritten, 700 were right already, 0 were '
                      'not touched', done.err)

        after = self.picture()
        self.assert_same(before, after)
        self.assert_adopted(after)
        self.assertEqual([], self.rows('adopt', 'resume', *self.backup))
        self.assertEqual(after, self.picture())

        with self.interrupted(500):
            self.command('adopt', 'back', *self.backup, '--yes')
        self.assertEqual([], self.rows('adopt', 'resume', *self.backup))
        self.assertEqual(before, self.picture())

        self.assertEqual([], self.rows('adopt', 'run', *self.backup,
                                       *self.given, '--yes'))
        self.assertEqual(after, self.picture())
        self.assertEqual(held, self.on_clusters())
        for name, array in self.arrays.items():
            asked = array.journal()[journals[name]:]
            self.assertEqual({'GET'}, {item['method'] for item in asked})
        self.check_files()

    def check_files(self) -> None:
        """The rows before and after are kept, of both adoptions."""
        names = os.listdir(self.folder_of_adoption)
        self.assertEqual(
            {'plan.json', 'state.json', 'before.json', 'after.json',
             'plan.1.json', 'before.1.json', 'after.1.json'}, set(names))
        found = {}
        for name in ('before', 'after'):
            with open(os.path.join(self.folder_of_adoption, f'{name}.json'),
                      encoding='utf-8') as file:
                found[name] = json.load(file)
        self.assertEqual([1016, 1016], [len(item) for item
                                        in found.values()])
        self.assertEqual(
            {'stor1@lightbits#federation'},
            {row['host'] for row in found['after']
             if row['resource'] == 'volume'})
        for name in names:
            with open(os.path.join(self.folder_of_adoption, name),
                      encoding='utf-8') as file:
                text = file.read()
            for array in self.arrays.values():
                self.assertNotIn(array.admin_token, text)


class FewVolumesTestCase(adopting.AdoptTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.in_tree()
        self.ids = self.populate(EAST, 4, 1)

    def adopt(self, *argv: str, outcome: Outcome = Outcome.CLEAN) -> Any:
        """:returns: what is left after an adoption."""
        return self.rows('adopt', 'run', *self.backup, *self.given, '--yes',
                         *argv, outcome=outcome)

    def blocked(self) -> dict[str, str]:
        """:returns: what stands against an adoption, by id."""
        found = self.rows('adopt', 'plan', *self.given,
                          outcome=Outcome.FINDINGS)
        return {row['id']: row['problem'] for row in found
                if row['result'] == 'blocked'}


class PlanTest(FewVolumesTestCase):

    def test_plan_changes_nothing(self) -> None:
        before = self.picture()
        found = self.rows('adopt', 'plan', *self.given)
        self.assertEqual(
            {'volume': 4, 'volume type': 1},
            {kind: sum(row['resource'] == kind for row in found)
             for kind in {row['resource'] for row in found}})
        self.assertEqual(found, self.rows(
            'adopt', 'run', *self.backup, *self.given))
        self.assertEqual(before, self.picture())
        self.assertFalse(os.path.exists(self.folder_of_adoption))

    def test_work_in_progress(self) -> None:
        self.row_of(self.ids[0]).conditional_update({'status': 'extending'})
        self.row_of(self.ids[1]).conditional_update(
            {'migration_status': 'migrating'})
        found = self.blocked()
        self.assertEqual(set(self.ids[:2]), set(found))
        self.assertIn('it is extending', found[self.ids[0]])
        before = self.picture()
        self.adopt(outcome=Outcome.FINDINGS)
        self.assertEqual(before, self.picture())
        self.adopt('--skip-blocked', outcome=Outcome.FINDINGS)
        self.assertEqual(
            ['lightos-east'] * 2 + ['lightbits'] * 2,
            [self.row_of(item).host.partition('@')[2].partition('#')[0]
             for item in self.ids])

    def test_what_the_cluster_has_not(self) -> None:
        with cinderdb.writing() as session:
            for number, status in enumerate(('available', 'error')):
                session.add(releases.models.Volume(
                    id=f'99999999-0000-4000-8000-00000000000{number}',
                    host=f'stor1@{EAST}#{EAST}', size=1, status=status,
                    use_quota=True, volume_type_id=self.type_of(EAST)))
        found = self.blocked()
        self.assertEqual(['99999999-0000-4000-8000-000000000000'],
                         list(found))
        self.assertIn('nothing of that name', *found.values())

    def test_another_object_of_that_name(self) -> None:
        volume = self.row_of(self.ids[0])
        volume.conditional_update({'provider_id': (
            'default 12345678-0000-4000-8000-000000000000')})
        self.assertIn('the record says 12345678', *self.blocked().values())

    def test_another_size(self) -> None:
        self.row_of(self.ids[0]).conditional_update({'size': 2})
        self.assertIn('2147483648 on record', *self.blocked().values())

    def test_the_mark_of_another_cloud(self) -> None:
        array = self.arrays['east']
        uuid = next(item['UUID'] for item in array.state()['volumes']
                    if self.ids[0] in item['name'])
        self.ask('east', 'PUT', f'volumes/{uuid}', labels=[
            {'key': 'cinder_owner', 'value': 'somebody'}])
        self.assertIn('mark of cloud somebody', *self.blocked().values())

    def test_silent(self) -> None:
        self.arrays['west'].stop()
        found = self.command('adopt', 'plan', *self.given)
        self.assertEqual(Outcome.SILENT, found.outcome)

    def test_bad_arguments(self) -> None:
        for given, told in (
                ('lightos-east', 'not BACKEND=CLUSTER'),
                ('lightos-east=south', 'known are'),
                ('lightbits=east', 'that is the backend')):
            found = self.command('adopt', 'plan', '--from', given)
            self.assertEqual(Outcome.USAGE, found.outcome)
            self.assertIn(told, found.err)
        found = self.command('adopt', 'plan', *self.given, *self.given)
        self.assertIn('named twice', found.err)

    def test_types_that_cannot_be_rewritten(self) -> None:
        self.volume_type({'volume_backend_name': f'<or> {EAST} <or> x'})
        found = self.command('adopt', 'plan', *self.given)
        self.assertIn('change it by hand', found.err)


class RunTest(FewVolumesTestCase):

    def test_the_driver_serves_them(self) -> None:
        """Extend, attach, snapshot, detach and delete what was adopted."""
        snapshot_id = self.taken_of(EAST, self.ids[0])
        self.assertEqual([], self.adopt())
        self.driver.do_setup(self.context)
        self.addCleanup(self.driver.tear_down)
        volume = self.row_of(self.ids[0])
        self.driver.extend_volume(volume, 3)
        connector = driver_connector()
        self.attach(self.driver, volume, connector)
        _cluster, found = self.on(volume)
        self.assertEqual(3 * base.GIB, int(found['size']))
        self.assertIn(connector['nqn'], found['acl']['values'])
        for item in objects.VolumeAttachmentList.get_all_by_volume_id(
                self.context, volume.id):
            item.destroy()
        self.driver.terminate_connection(volume, connector)
        self.driver.delete_snapshot(objects.Snapshot.get_by_id(
            self.context, snapshot_id))
        self.driver.delete_volume(volume)
        self.settle()
        self.assertNotIn(f'volume-{volume.id}', {
            item['name'] for item in self.arrays['east'].state()['volumes']
            if item['state'] == 'Available'})

    def test_the_audit_is_clean(self) -> None:
        self.adopt()
        self.assertEqual([], self.rows('audit', '--second-look', '0'))

    def test_the_service_must_be_stopped(self) -> None:
        service = objects.Service(
            self.context, host=f'stor1@{EAST}', binary='cinder-volume',
            topic='cinder-volume')
        service.create()
        db_api.service_update(self.context, service.id, {'report_count': 1})
        found = self.command('adopt', 'run', *self.backup, *self.given,
                             '--yes')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('is up: stop it', found.err)

    def test_what_changes_meanwhile(self) -> None:
        real = rows.apply

        def late(change: Any, direction: Any) -> Any:
            if change.id == self.ids[1]:
                self.row_of(change.id).conditional_update(
                    {'status': 'deleting'})
            return real(change, direction)

        self.stub_out('cinder_lightbits_federation.adoption.rows.apply',
                      late)
        left = self.adopt(outcome=Outcome.FINDINGS)
        self.assertEqual([(self.ids[1], 'in use')],
                         [(row['id'], row['result']) for row in left])
        self.stub_out('cinder_lightbits_federation.adoption.rows.apply',
                      real)
        self.row_of(self.ids[1]).conditional_update({'status': 'available'})
        self.assertEqual([], self.rows('adopt', 'resume', *self.backup))
        self.assertIn('lightbits', self.row_of(self.ids[1]).host)

    def test_clustered(self) -> None:
        self.service(host='stor1', enabled_backends='lightbits', cluster='c')
        self.in_tree()
        self.adopt()
        row = self.row_of(self.ids[0])
        self.assertEqual(('stor1@lightbits#federation',
                          'c@lightbits#federation'),
                         (row.host, row.cluster_name))

    def test_a_pool_per_cluster(self) -> None:
        self.write_config(self.sections(), lightbits_pools='cluster')
        self.in_tree()
        self.adopt()
        self.assertEqual('stor1@lightbits#east',
                         self.row_of(self.ids[0]).host)

    def test_another_folder(self) -> None:
        found = self.command('adopt', 'resume', *self.backup)
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn('no adoption was begun', found.err)
        os.mkdir(self.folder_of_adoption)
        with open(os.path.join(self.folder_of_adoption, 'plan.json'), 'w',
                  encoding='utf-8') as file:
            file.write('{"format": 9}')
        found = self.command('adopt', 'back', *self.backup)
        self.assertIn('format 9 is not known', found.err)


class BackTest(FewVolumesTestCase):

    def test_the_same_command_twice(self) -> None:
        """The folder keeps the way back until it was gone."""
        before = self.picture()
        self.adopt()
        kept = sorted(os.listdir(self.folder_of_adoption))
        for options in ([], ['--yes']):
            found = self.command('adopt', 'run', *self.backup, *self.given,
                                 *options)
            self.assertEqual(Outcome.USAGE, found.outcome)
            self.assertIn('name another folder', found.err)
        self.assertEqual(kept, sorted(os.listdir(self.folder_of_adoption)))
        self.rows('adopt', 'back', *self.backup, '--yes')
        self.assertEqual(before, self.picture())
        self.assertEqual([], self.adopt())

    def test_what_has_happened_since(self) -> None:
        """Deleted volumes stay deleted, new ones stay here."""
        self.adopt()
        self.driver.do_setup(self.context)
        self.addCleanup(self.driver.tear_down)
        gone = self.row_of(self.ids[0])
        self.driver.delete_volume(gone)
        gone.destroy()
        fresh = self.made(self.driver, specs={'lightos:cluster': 'east'})
        dry = self.command('adopt', 'back', *self.backup)
        self.assertIn(f'staying: {fresh.id}', dry.err)
        left = self.rows('adopt', 'back', *self.backup, '--yes')
        self.assertEqual([(self.ids[0], 'is gone')],
                         [(row['id'], row['result']) for row in left])
        self.assertIn(EAST, self.row_of(self.ids[1]).host)
        self.assertIn('lightbits', self.reread(fresh).host)

    def test_what_was_moved_since(self) -> None:
        """It is left alone for good, and the adoption has ended."""
        self.adopt()
        self.row_of(self.ids[0]).conditional_update(
            {'provider_location': 'elsewhere'})
        self.row_of(self.ids[1]).conditional_update({'status': 'extending'})

        left = self.rows('adopt', 'back', *self.backup, '--yes',
                         outcome=Outcome.FINDINGS)
        self.assertEqual({self.ids[0]: 'changed meanwhile',
                          self.ids[1]: 'in use'},
                         {row['id']: row['result'] for row in left})
        found = self.command('adopt', 'run', *self.backup, *self.given)
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.row_of(self.ids[1]).conditional_update({'status': 'available'})
        self.rows('adopt', 'resume', *self.backup, outcome=Outcome.FINDINGS)

        self.assertIn(EAST, self.row_of(self.ids[1]).host)
        self.assertEqual([], self.adopt())
        self.assertEqual('elsewhere',
                         self.row_of(self.ids[0]).provider_location)

    def test_of_another_backend(self) -> None:
        self.adopt()
        found = self.command('--host', 'stor2', 'adopt', 'back',
                             *self.backup)
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('one of stor1@lightbits', found.err)


class ConfigTest(adopting.AdoptTestCase):

    def test_every_option_of_the_in_tree_driver(self) -> None:
        mapped = {*lightos.SHARED, *lightos.OWN, *lightos.TIMEOUTS,
                  *lightos.NONE}
        self.assertEqual({item.name for item in in_tree.lightos_opts},
                         mapped)
        ours = {item.name: item for item in lightos.OPTIONS}
        for item in in_tree.lightos_opts:
            if item.default is not None:
                self.assertEqual(str(item.default),
                                 str(ours[item.name].default), item.name)

    def test_translation_is_what_works_here(self) -> None:
        self.in_tree(lightos_default_num_replicas=2,
                     lightos_api_service_timeout=40,
                     lightos_use_ipacl='false')
        found = self.command('adopt', 'plan', '--print-config', *self.given)
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        text = found.out
        for line in ('[lightbits]', 'lightbits_default_num_replicas = 2',
                     'lightbits_use_ip_acl = false',
                     'lightbits_api_timeout = 40',
                     '[lightbits_cluster:east]',
                     f'api_endpoints = '
                     f'{self.arrays["east"].api_endpoints[0]}',
                     'jwt_file = /etc/cinder/lightbits/east.jwt'):
            self.assertIn(f'{line}\n', text)
        self.assertNotIn('eyJ', text)
        self.use(text)

    def use(self, text: str) -> None:
        """Run over the translated configuration."""
        for name, array in self.arrays.items():
            text = text.replace(f'/etc/cinder/lightbits/{name}.jwt',
                                array.token_files['system'])
        with open(self.path('cinder.conf'), 'w', encoding='utf-8') as file:
            file.write(text.replace(
                '[lightbits]',
                f'[lightbits]\nvolume_driver = {base.DRIVER}'))
        self.assertEqual({'connected'}, {
            row['connection'] for row in self.rows('cluster', 'list')})

    def test_backends_that_differ(self) -> None:
        self.in_tree()
        with open(self.path('service.conf'), encoding='utf-8') as file:
            text = file.read()
        with open(self.path('service.conf'), 'w', encoding='utf-8') as file:
            file.write(text.replace(
                f'[{WEST}]', f'[{WEST}]\nlightos_default_num_replicas = 1'))
        found = self.command('adopt', 'plan', '--print-config', *self.given)
        self.assertIn('They differ', found.out)

    def test_no_such_section(self) -> None:
        found = self.command('adopt', 'plan', '--print-config', *self.given)
        self.assertEqual(Outcome.USAGE, found.outcome)


def driver_connector() -> dict[str, Any]:
    """:returns: a host."""
    return adopting.driver_base.connector(7)
