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


"""What the doctor says of locks, by the files of real services."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib

from os_brick_ext import cli
from tests.unit.brick import base

PACKAGE = '[oslo_concurrency]\nlock_path = $state_path/tmp\n'


class LocksTest(base.BrickTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.etc = pathlib.Path(self.folder, 'services')

    def write(self, name: str, text: str) -> str:
        """Have a configuration file.

        :returns: its path.
        """
        path = self.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def service(self, name: str) -> str:
        """Have the file of a package, and the folder that it means."""
        state = os.path.join(self.folder, name)
        os.makedirs(os.path.join(state, 'tmp'))
        return self.write(f'{name}.conf',
                          f'[DEFAULT]\nstate_path = {state}\n{PACKAGE}')

    def doctor(self, *services: str) -> list[tuple[str, str]]:
        """:returns: states and texts of what is found of locks."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = cli.main(['doctor', '-f', 'json', *(
                word for one in services for word in ('--config-file', one))])
        findings = json.loads(out.getvalue())
        self.assertEqual(
            int(any(one['state'] == 'error' for one in findings)), code)
        return [(one['state'], one['found']) for one in findings
                if one['check'] == 'locks']

    def ours(self) -> str:
        return f'[os_brick_ext]\nlock_path = {self.locks}\n'

    def test_a_package_by_itself(self) -> None:
        """It refers to an option that only the service declares."""
        nova = self.service('nova')
        self.assertEqual([('ok', f'{self.folder}/nova/tmp')],
                         self.doctor(nova))

    def test_packages_have_different_folders(self) -> None:
        nova, cinder = self.service('nova'), self.service('cinder')
        (state, text), = self.doctor(nova, cinder)
        self.assertEqual('error', state)
        self.assertIn(f'{self.folder}/nova/tmp in {nova}, '
                      f'{self.folder}/cinder/tmp in {cinder}', text)

    def test_a_service_of_several_files(self) -> None:
        """What is effective counts: the files of each are put together."""
        ours = self.write('conf.d/99-lightbits.conf', self.ours())
        nova, cinder = self.service('nova'), self.service('cinder')
        for more in (ours, os.path.dirname(ours)):
            self.assertEqual(
                [('ok', self.locks)],
                self.doctor(f'{nova},{more}', f'{cinder},{more}'))
        self.assertEqual(
            ['error'],
            [state for state, _text in self.doctor(f'{nova},{ours}', cinder)])

    def test_the_last_file_of_a_service_counts(self) -> None:
        first = self.write('a.conf', '[os_brick_ext]\nlock_path = /none\n')
        last = self.write('b.conf', self.ours())
        self.assertEqual([('ok', self.locks)], self.doctor(f'{first},{last}'))
        self.assertEqual([('error', '/none is missing')],
                         self.doctor(f'{last},{first}'))

    def test_sections_have_their_order(self) -> None:
        path = self.write(
            'nova.conf', '[oslo_concurrency]\nlock_path = /x\n'
            f'[os_brick]\nlock_path = /y\n{self.ours()}')
        self.assertEqual([('ok', self.locks)], self.doctor(path))

    def test_one_folder_by_two_names(self) -> None:
        link = os.path.join(self.folder, 'link')
        os.symlink(self.locks, link)
        one = self.write('nova.conf', self.ours())
        other = self.write('cinder.conf',
                           f'[os_brick]\nlock_path = {link}\n')
        self.assertEqual([('ok', self.locks)], self.doctor(one, other))

    def test_a_service_that_says_nothing(self) -> None:
        none = self.write('none.conf', '[os_brick_ext]\nmode = native\n')
        nova = self.write('nova.conf', self.ours())
        warning = 'warning', f'no folder in {none}'
        self.assertEqual([warning], self.doctor(none))
        self.assertEqual([warning, ('ok', self.locks)],
                         self.doctor(none, nova))

    def test_what_only_the_service_knows(self) -> None:
        """Its defaults, and what is none of ours at all."""
        for number, (said, unknown) in enumerate((
                ('', 'state_path'),
                ('[DEFAULT]\nstate_path = $pybasedir/x\n', 'pybasedir'))):
            path = self.write(f'{number}.conf', PACKAGE + said)
            for _twice in range(2):
                self.assertEqual(
                    [('warning', f'no folder known of {path}: '
                      '[oslo_concurrency] lock_path refers to '
                      f'{unknown}, which is not set')], self.doctor(path))
        path = self.write('group.conf',
                          '[os_brick]\nlock_path = ${nothing.here}/x\n')
        (state, text), = self.doctor(path)
        self.assertEqual('warning', state)
        self.assertIn('nothing', text)

    def test_no_service(self) -> None:
        (state, text), = self.doctor()
        self.assertEqual('warning', state)
        self.assertIn('no configuration was read', text)
