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

"""``cluster attach``, ``cluster refresh`` and ``cluster detach``."""

from __future__ import annotations

import base64
import os
import stat
from typing import Any

from oslo_config import cfg

from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.lightbits import certificates
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import keys
from tests.unit.cli import base


class DropInTestCase(base.CliTestCase):
    """The service reads a folder beside its files."""

    CLUSTERS = ('east',)
    NODES = 3

    def setUp(self) -> None:
        super().setUp()
        self.drop_ins = self.path('conf.d')
        os.mkdir(self.drop_ins)
        self.file = os.path.join(self.drop_ins, 'lightbits-north.conf')

    def command(self, *argv: str, **options: Any) -> base.Result:
        """Run the command with a folder of drop-in files."""
        return super().command('--config-dir', self.drop_ins, *argv,
                               **options)

    def north(self, **options: Any) -> Any:
        """:returns: a cluster that is not attached."""
        return self.add_array('north', **options)

    def access(self, array: Any) -> list[str]:
        """:returns: arguments that reach a cluster."""
        return ['--endpoints', array.api_endpoints[0], '--ca-file',
                array.ca_file, '--jwt-file', array.token_files['system']]

    def jobs(self) -> list[tuple[str, str, str]]:
        """:returns: kind, subject and state of each job."""
        return [(row['kind'], row['subject'], row['state'])
                for row in self.rows('job', 'list')]

    def attach(self, array: Any, *argv: str,
               outcome: Outcome = Outcome.CLEAN) -> dict[str, Any]:
        """:returns: (result, detail) of each check."""
        rows = self.rows('cluster', 'attach', 'north', *self.access(array),
                         *argv, outcome=outcome)
        return {row['check']: (row['result'], row['detail']) for row in rows}

    def written(self) -> str:
        """:returns: the file of the cluster."""
        with open(self.file, encoding='utf-8') as file:
            return file.read()


class AttachTest(DropInTestCase):

    def test_all_is_well(self) -> None:
        array = self.north()

        checks = self.attach(array)

        self.assertEqual({'ok'}, {result for result, _detail
                                  in checks.values()}, checks)
        self.assertEqual(
            ['endpoints', 'certificate', 'token', 'identity', 'project',
             'version', 'replicas', 'nodes', 'health'], list(checks))
        self.assertEqual(array.uuid, checks['identity'][1])
        text = self.written()
        self.assertIn('[lightbits_cluster:north]\n', text)
        self.assertIn(f'cluster_uuid = {array.uuid}\n', text)
        self.assertIn('backends = lightbits\n', text)
        for endpoint in array.api_endpoints:
            self.assertIn(endpoint, text)
        self.assertEqual(0o640, stat.S_IMODE(os.stat(self.file).st_mode))
        self.assertNotIn(array.admin_token, text)
        self.assertEqual({'east', 'north'}, {
            row['name'] for row in self.rows('cluster', 'list')})
        self.assertEqual([('attach', 'north', 'done')], self.jobs())

    def test_files_are_written_as_any_folder_finds_them(self) -> None:
        array = self.north()
        given = [os.path.relpath(item) if os.path.isabs(item) else item
                 for item in self.access(array)]
        self.rows('cluster', 'attach', 'north', *given)
        text = self.written()
        self.assertIn(f'tls_ca_file = {array.ca_file}\n', text)
        self.assertIn(f'jwt_file = {array.token_files["system"]}\n', text)

    def test_one_at_a_time(self) -> None:
        array = self.north()
        shared = self.driver._service.shared
        with shared.desk.held('attach', 'north', {}):
            found = self.command('cluster', 'attach', 'north',
                                 *self.access(array))
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertFalse(os.path.exists(self.file))

    def test_without_a_store(self) -> None:
        self.write_config({'east': self.section('east')},
                          lightbits_store_connection='sqlite:////proc/no/store')
        array = self.north()
        found = self.command('cluster', 'attach', 'north',
                             *self.access(array))
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        self.assertIn('will not be among the jobs', found.err)
        self.assertTrue(os.path.exists(self.file))

    def test_the_owner_is_that_of_the_service(self) -> None:
        if os.geteuid() != 0:
            self.skipTest('only the superuser can give files away')
        os.chown(self.path('cinder.conf'), 0, 4711)
        self.attach(self.north())
        self.assertEqual(4711, os.stat(self.file).st_gid)

    def test_the_first_cluster(self) -> None:
        self.write_config({})
        self.attach(self.north())
        self.assertEqual(['north'], [
            row['name'] for row in self.rows('cluster', 'list')])

    def test_nothing_answers(self) -> None:
        array = self.north()
        array.stop()
        checks = self.attach(array, outcome=Outcome.SILENT)
        self.assertEqual('failed', checks['endpoints'][0])
        self.assertEqual('not checked', checks['token'][0])
        self.assertEqual([('attach', 'north', 'failed')], self.jobs())
        array.start()
        self.attach(array)
        self.assertEqual([('attach', 'north', 'done')], self.jobs())

    def test_one_endpoint_is_down(self) -> None:
        array = self.north()
        array.stop_api(1)
        result, detail = self.attach(array)['endpoints']
        self.assertEqual('warning', result)
        self.assertIn(array.api_endpoints[1], detail)

    def test_a_certificate_nobody_vouches_for(self) -> None:
        array = self.north()
        found = self.command(
            'cluster', 'attach', 'north', '-f', 'json', '--endpoints',
            array.api_endpoints[0], '--jwt-file',
            array.token_files['system'], '--fingerprint', 64 * '0')
        self.assertEqual(Outcome.FINDINGS, found.outcome, found.err)
        row = {item['check']: item for item in found.json()}['certificate']
        self.assertEqual('failed', row['result'])
        shown = certificates.presented(
            endpoints.Endpoint.parse(array.api_endpoints[0]), 10)
        self.assertIn(shown.fingerprint, row['detail'])
        self.assertIn('--fingerprint', row['detail'])
        self.rows('cluster', 'attach', 'north', '--endpoints',
                  array.api_endpoints[0], '--jwt-file',
                  array.token_files['system'], '--fingerprint',
                  shown.fingerprint)
        self.assertIn(f'tls_fingerprints = {shown.fingerprint}',
                      self.written())

    def test_a_token_that_is_refused(self) -> None:
        array = self.north()
        path = self.path('bad.jwt')
        with open(path, 'w', encoding='ascii') as file:
            file.write('no-token')
        checks = self.attach(array, '--jwt-file', path,
                             outcome=Outcome.FINDINGS)
        self.assertEqual(('ok', 'failed', 'not checked'), tuple(
            checks[name][0] for name in ('certificate', 'token',
                                         'identity')))

    def test_it_is_attached_already(self) -> None:
        checks = self.attach(self.arrays['east'], outcome=Outcome.FINDINGS)
        self.assertEqual('failed', checks['identity'][0])
        self.assertIn('attached already, as east', checks['identity'][1])

    def test_it_may_be_one_that_does_not_answer(self) -> None:
        self.write_config({'east': self.section('east', cluster_uuid=None)})
        self.arrays['east'].stop()
        result, detail = self.attach(self.north())['identity']
        self.assertEqual('warning', result)
        self.assertIn('whether that is east', detail)

    def test_another_cluster_answers(self) -> None:
        checks = self.attach(self.north(), '--uuid',
                             self.arrays['east'].uuid,
                             outcome=Outcome.FINDINGS)
        self.assertEqual('failed', checks['identity'][0])

    def test_too_few_nodes(self) -> None:
        self.write_config({'east': self.section('east')},
                          lightbits_default_num_replicas=1)
        array = self.north(nodes=1)
        checks = self.attach(array, outcome=Outcome.FINDINGS)
        self.assertEqual('failed', checks['nodes'][0])
        self.assertIn('--min-nodes', checks['nodes'][1])
        self.assertEqual('ok', self.attach(array, '--min-nodes', '1')[
            'nodes'][0])

    def test_too_few_replicas(self) -> None:
        checks = self.attach(self.north(nodes=2), '--min-nodes', '2',
                             outcome=Outcome.FINDINGS)
        self.assertEqual('failed', checks['replicas'][0])

    def test_a_project_that_is_not_there(self) -> None:
        checks = self.attach(self.north(), '--project-map', 'default:no',
                             outcome=Outcome.FINDINGS)
        self.assertEqual(('ok', 'failed'), (checks['identity'][0],
                                            checks['project'][0]))

    def test_a_token_of_one_project(self) -> None:
        array = self.north()
        array.set_switches(tenants_read_nodes=False)
        checks = self.attach(array, '--jwt-file',
                             array.token_files['default'])
        self.assertEqual('warning', checks['nodes'][0])

    def test_an_upgrade_is_under_way(self) -> None:
        array = self.north()
        array.set_upgrade('Upgrading')
        self.assertEqual('warning', self.attach(array)['health'][0])

    def test_a_key(self) -> None:
        array = self.north()
        made = self.rows('credential', 'create', '--directory',
                         self.path('keys'), '--bits', '2048')
        with open(made['public_key_file'], 'rb') as file:
            public = file.read()
        self.assertEqual(public, keys.public_pem(keys.load(
            made['private_key_file'])))
        self.upload(array, made['credential_id'], public)
        self.rows('cluster', 'attach', 'north', '--endpoints',
                  array.api_endpoints[0], '--ca-file', array.ca_file,
                  '--private-key-file',
                  os.path.relpath(made['private_key_file']),
                  '--credential-id', made['credential_id'])
        self.assertIn(f'private_key_file = {made["private_key_file"]}\n',
                      self.written())

    def upload(self, array: Any, credential_id: str, public: bytes) -> None:
        """Do what the cluster's own command would do."""
        reply = array.request(
            'POST', '/api/v2/projects/default/credentials',
            json={'ID': credential_id, 'type': 'RS256PubKey',
                  'payload': base64.b64encode(public).decode()})
        self.assertEqual(200, reply.status, reply.body)

    def test_dry_run(self) -> None:
        self.attach(self.north(), '--dry-run')
        self.assertFalse(os.path.exists(self.file))

    def test_print(self) -> None:
        array = self.north()
        found = self.command('cluster', 'attach', 'north', '--print',
                             *self.access(array))
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        self.assertTrue(found.out.startswith('[lightbits_cluster:north]\n'))
        self.assertIn(array.uuid, found.out)
        self.assertIn('nodes: ok', found.err)
        self.assertFalse(os.path.exists(self.file))

    def test_an_explicit_list(self) -> None:
        self.write_config({'east': self.section('east')},
                          lightbits_clusters='east')
        found = self.command('cluster', 'attach', 'north',
                             *self.access(self.north()))
        self.assertEqual(Outcome.FINDINGS, found.outcome, found.err)
        self.assertIn('In [lightbits] set: lightbits_clusters = east, north',
                      found.err)
        self.assertIn('[lightbits_cluster:north]', found.out)
        self.assertFalse(os.path.exists(self.file))

    def test_no_folder(self) -> None:
        os.rmdir(self.drop_ins)
        found = base.CliTestCase.command(
            self, 'cluster', 'attach', 'north', *self.access(self.north()))
        self.assertEqual(Outcome.FINDINGS, found.outcome, found.err)
        self.assertIn('Nothing was written', found.err)
        self.assertIn('make /etc/cinder/cinder.conf.d', found.err)
        self.assertTrue(found.out.startswith('[lightbits_cluster:north]\n'))
        os.mkdir(self.drop_ins)
        job, = self.rows('job', 'list')
        self.assertEqual('failed', job['state'])
        self.assertIn('Nothing was written', job['error'])

    def test_what_programs_read(self) -> None:
        """The section is in the form that was asked for."""
        array = self.north()
        self.assertEqual('printed', self.attach(array, '--print')[
            'section'][0])
        self.write_config({'east': self.section('east')},
                          lightbits_clusters='east')
        checks = self.attach(array, outcome=Outcome.FINDINGS)
        self.assertEqual(('ok', 'not written'), (checks['nodes'][0],
                                                 checks['section'][0]))
        self.assertTrue(checks['section'][1].startswith(
            '[lightbits_cluster:north]\n'))
        self.assertIn(f'cluster_uuid = {array.uuid}\n', checks['section'][1])

    def test_names(self) -> None:
        array = self.arrays['east']
        for name, told in (('east', 'there is a cluster east already'),
                           ('a b', 'not a name for a cluster')):
            found = self.command('cluster', 'attach', name,
                                 *self.access(array))
            self.assertEqual(Outcome.USAGE, found.outcome)
            self.assertIn(told, found.err)

    def test_bad_options(self) -> None:
        array = self.arrays['east']
        found = self.command('cluster', 'attach', 'north',
                             *self.access(array), '--endpoint-network', 'x')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('endpoint_networks', found.err)

    def test_a_running_service_takes_it_up(self) -> None:
        self.driver.tear_down()
        cfg.CONF([], default_config_files=[self.path('cinder.conf')],
                 default_config_dirs=[self.drop_ins])
        self.driver.do_setup(self.context)
        self.addCleanup(self.driver.tear_down)
        array = self.north()
        self.attach(array)
        self.wait(lambda: len(self.driver.federation.registry.clusters) > 1
                  or None)
        self.made(self.driver, specs={'lightos:cluster': 'north'})
        self.assertEqual(1, len(array.state()['volumes']))


class RefreshTest(DropInTestCase):

    def refresh(self, *argv: str, outcome: Outcome = Outcome.CLEAN) -> Any:
        """:returns: (before, now) by option."""
        rows = self.rows('cluster', 'refresh', 'north', *argv,
                         outcome=outcome)
        return {row['option']: (row['before'], row['now']) for row in rows}

    def test_a_cluster_that_has_changed(self) -> None:
        array = self.north()
        self.attach(array)
        self.assertEqual({}, self.refresh())
        array.add_node()
        array.remove_node(0, force=True)

        dry = self.refresh('--dry-run')
        self.assertEqual(dry, self.refresh())

        before, now = dry['api_endpoints']
        self.assertEqual(set(array.api_endpoints), set(now.split(', ')))
        self.assertNotEqual(before, now)
        self.assertIn(now, self.written())
        self.assertEqual({}, self.refresh())

    def test_by_hand(self) -> None:
        self.north()
        self.write_config({'north': self.section('north',
                                                 cluster_uuid=None)})
        found = self.command('cluster', 'refresh', 'north')
        self.assertEqual(Outcome.CLEAN, found.outcome)
        self.assertIn('to be changed by hand', found.err)
        self.assertIn(self.path('cinder.conf'), found.err)
        self.assertIn('cluster_uuid = ', found.err)

    def test_silent(self) -> None:
        array = self.north()
        self.attach(array)
        array.stop()
        found = self.command('cluster', 'refresh', 'north')
        self.assertEqual(Outcome.SILENT, found.outcome)
