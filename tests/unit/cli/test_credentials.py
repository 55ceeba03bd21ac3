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

"""``credential create``, ``show`` and ``rotate``."""

from __future__ import annotations

import os
import stat
from typing import Any

from oslotest import base as oslo_base

from cinder_lightbits_federation.cli import main
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli import roles
from cinder_lightbits_federation.lightbits import keys
from tests.unit.cli import base


class CredentialTestCase(base.CliTestCase):

    CLUSTERS = ('east',)
    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.array = self.arrays['east']
        self.keys = self.path('keys')
        self.drop_ins = self.path('conf.d')
        os.mkdir(self.drop_ins)

    def command(self, *argv: str, **options: Any) -> base.Result:
        """Run the command with a folder of drop-in files."""
        return super().command('--config-dir', self.drop_ins, *argv,
                               **options)

    def create(self, *argv: str) -> Any:
        """:returns: what was made."""
        return self.rows('credential', 'create', '--directory', self.keys,
                         '--bits', '2048', *argv)

    def upload(self, made: Any, project: str = 'default') -> None:
        """Do what the printed line would do."""
        with open(made['public_key_file'], 'rb') as file:
            self.driver.federation.registry.clusters[
                0].client.create_credential(
                    project, made['credential_id'], file.read())

    def minting(self, made: Any, scope: str = 'project') -> None:
        """Have the section use a key, in a drop-in file of the command."""
        self.write_config({})
        with open(os.path.join(self.drop_ins, 'lightbits-east.conf'), 'w',
                  encoding='utf-8') as file:
            file.write('# Written by lightbits-federation, which rewrites '
                       'it as a whole.\n\n[lightbits_cluster:east]\n')
            section = self.section(
                'east', jwt=None, credential_id=made['credential_id'],
                private_key_file=made['private_key_file'],
                token_scope=scope)
            file.writelines(f'{key} = {value}\n'
                            for key, value in section.items())


class CreateTest(CredentialTestCase):

    def test_files(self) -> None:
        made = self.create()

        key = keys.load(made['private_key_file'])
        self.assertEqual(keys.key_id(key), made['credential_id'])
        self.assertEqual(keys.fingerprint(key), made['fingerprint'])
        wanted = 0o640 if os.geteuid() == 0 else 0o600
        self.assertEqual(wanted, stat.S_IMODE(os.stat(
            made['private_key_file']).st_mode))
        self.assertEqual(f'{wanted:04o}', made['mode'])
        with open(made['public_key_file'], 'rb') as file:
            self.assertEqual(keys.public_pem(key), file.read())
        self.assertEqual(
            [f'lbcli create credential --project-name=default '
             f'--type=rsa256pubkey --id={made["credential_id"]} '
             f'{made["public_key_file"]}'], made['upload'])
        self.assertIn('token_scope = project', made['section'])

    def test_nothing_private_is_printed(self) -> None:
        found = self.command('-v', '-v', 'credential', 'create',
                             '--directory', self.keys, '--id', 'mine')
        with open(os.path.join(self.keys, 'mine.key'),
                  encoding='ascii') as file:
            lines = [line for line in file.read().split() if len(line) > 40]
        for line in lines:
            self.assertNotIn(line, found.out + found.err)

    def test_needs_no_configuration(self) -> None:
        shell = main.Shell()
        code = shell.run(['--config-file', '/nowhere', 'credential',
                          'create', '-f', 'json', '--directory', self.keys,
                          '--bits', '2048'])
        self.assertEqual(0, code)

    def test_scopes(self) -> None:
        many = self.create('--project', 'gold', '--project', 'silver')
        self.assertEqual(2, len(many['upload']))
        self.assertIn('--project-name=silver', many['upload'][1])
        system = self.create('--scope', 'system')
        self.assertIn('--project-name=system', system['upload'][0])
        self.assertIn('token_scope = system', system['section'])

    def test_a_key_is_never_overwritten(self) -> None:
        made = self.create('--id', 'mine')
        before = keys.fingerprint(keys.load(made['private_key_file']))
        found = self.command('credential', 'create', '--directory',
                             self.keys, '--id', 'mine')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn('is there already', found.err)
        self.assertEqual(before, keys.fingerprint(keys.load(
            made['private_key_file'])))

    def test_bad_arguments(self) -> None:
        for argv in (('--id', '../x'), ('--bits', '1024'),
                     ('--scope', 'system', '--project', 'a')):
            found = self.command('credential', 'create', '--directory',
                                 self.keys, *argv)
            self.assertEqual(Outcome.USAGE, found.outcome, argv)
            self.assertIn(argv[0], found.err + '--scope')

    def test_a_folder_that_cannot_be(self) -> None:
        found = self.command('credential', 'create', '--directory',
                             '/proc/nowhere')
        self.assertEqual(Outcome.FAILED, found.outcome)


class ShowTest(CredentialTestCase):

    def show(self, outcome: Outcome = Outcome.CLEAN) -> Any:
        """:returns: what is shown of the credential."""
        return self.rows('credential', 'show', 'east', outcome=outcome)

    def test_a_key(self) -> None:
        made = self.create()
        self.upload(made)
        self.minting(made)
        found = self.show()
        self.assertEqual(
            ('private_key_file', made['credential_id'], 'project',
             made['fingerprint'], ['default: accepted']),
            tuple(found[key] for key in (
                'source', 'credential_id', 'token_scope', 'fingerprint',
                'trial')))

    def test_a_key_that_was_not_uploaded(self) -> None:
        self.minting(self.create())
        found = self.show(Outcome.FINDINGS)
        self.assertNotIn('accepted', found['trial'][0])

    def test_a_key_that_others_can_read(self) -> None:
        made = self.create()
        self.upload(made)
        self.minting(made)
        os.chmod(made['private_key_file'], 0o644)
        found = self.show(Outcome.FINDINGS)
        self.assertIn('has mode 0644', found['problem'])
        self.assertEqual('0644', found['mode'])

    def test_a_token(self) -> None:
        found = self.show()
        self.assertEqual(('jwt', '', ['default: accepted']), tuple(
            found[key] for key in ('source', 'file', 'trial')))
        self.assertRegex(found['expires'], r'^20\d\d-\d\d-\d\dT')
        self.assertNotIn(self.array.admin_token, str(found))

    def test_silent(self) -> None:
        self.array.stop()
        self.show(Outcome.SILENT)


class RotateTest(CredentialTestCase):

    def rotate(self, *argv: str, outcome: Outcome = Outcome.CLEAN) -> Any:
        """:returns: what a step tells."""
        return self.rows('credential', 'rotate', 'east', *argv,
                         outcome=outcome)

    def test_without_downtime(self) -> None:
        old = self.create()
        self.upload(old)
        self.minting(old)

        new = self.rotate()
        self.assertIn(f'--to {new["private_key_file"]}', new['then'])
        self.assertIn('--project-name=default', new['upload'][0])
        refused = self.command('credential', 'rotate', 'east', '--to',
                               new['private_key_file'])
        self.assertEqual(Outcome.FAILED, refused.outcome)
        self.assertIn('nothing was changed', refused.err)
        self.upload(new)
        dry = self.rotate('--to', new['private_key_file'], '--dry-run')
        self.assertEqual(['default: accepted'], dry['trial'])
        self.assertEqual(('', []), (dry['written'], dry['then']))
        path = os.path.join(self.drop_ins, 'lightbits-east.conf')
        done = self.rotate('--to', new['private_key_file'])

        self.assertEqual(list(dry), list(done))
        self.assertEqual(path, done['written'])
        self.assertEqual(0o640, stat.S_IMODE(os.stat(path).st_mode))
        self.assertEqual([
            f'lbcli delete credential --project-name=default '
            f'--id={old["credential_id"]}',
            f'rm {old["private_key_file"]}'], done['then'])
        client = self.driver.federation.registry.clusters[0].client
        client.delete_credential('default', old['credential_id'])
        shown = self.rows('credential', 'show', 'east')
        self.assertEqual((new['credential_id'], ['default: accepted']),
                         (shown['credential_id'], shown['trial']))

    def test_a_trial_makes_no_key(self) -> None:
        old = self.create()
        self.upload(old)
        self.minting(old)
        folder = os.path.dirname(old['private_key_file'])
        before = sorted(os.listdir(folder))

        found = self.command('credential', 'rotate', 'east', '--dry-run',
                             '-f', 'json')
        self.assertIn('Nothing was made; ID stands for', found.err)
        self.assertEqual(f'{folder}/ID.key',
                         found.json()['private_key_file'])
        self.assertEqual(('', ''), (found.json()['mode'],
                                    found.json()['fingerprint']))
        named = self.rotate('--id', 'second', '--dry-run')
        self.assertIn(f'--to {folder}/second.key --id second', named['then'])
        self.assertIn(f'--id=second {folder}/second.', named['upload'][0])
        for wanted, outcome in ((old['credential_id'], Outcome.FAILED),
                                ('not good', Outcome.USAGE)):
            refused = self.command('credential', 'rotate', 'east', '--id',
                                   wanted, '--dry-run')
            self.assertEqual(outcome, refused.outcome)

        self.assertEqual(before, sorted(os.listdir(folder)))
        # Who picks columns gets them from the trial and from the real one.
        self.assertEqual(list(found.json()), list(self.rotate()))

    def test_in_a_file_that_is_not_ours(self) -> None:
        old = self.create()
        self.upload(old)
        self.write_config({'east': self.section(
            'east', jwt=None, credential_id=old['credential_id'],
            private_key_file=old['private_key_file'])})
        new = self.rotate('--id', 'second')
        self.assertIn('--id second', new['then'])
        self.upload(new)
        done = self.rotate('--to', new['private_key_file'], '--id', 'second')
        self.assertIn('set in [lightbits_cluster:east]: credential_id = '
                      'second', done['written'])

    def test_a_cluster_without_a_key(self) -> None:
        found = self.command('credential', 'rotate', 'east')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('its section names jwt', found.err)

    def test_the_same_key(self) -> None:
        made = self.create()
        self.upload(made)
        self.minting(made)
        found = self.command('credential', 'rotate', 'east', '--to',
                             made['private_key_file'])
        self.assertEqual(Outcome.USAGE, found.outcome)


class RolesTest(oslo_base.BaseTestCase):

    def test_every_command_says_what_it_needs(self) -> None:
        self.assertEqual(set(main.COMMANDS), set(roles.NEEDS))

    def test_help_tells_it(self) -> None:
        command = main.COMMANDS['cluster list'](
            main.Shell(), None, cmd_name='cluster list')
        self.assertIn('Role at clusters: project viewer',
                      command.get_parser('x').format_help().replace(
                          '\n', ' '))
