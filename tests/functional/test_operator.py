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

"""The first steps of the documentation, as they stand there.

From no cluster at all to a changing federation, without a restart.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
from typing import Any

from tests.embedded import cloud
from tests.embedded import command
from tests.embedded import federation
from tests.functional import base
from tests import snippets

CLEAN, FOUND = 0, 1
GRACE = 90

#: Where the page has the clusters and their files.
ADDRESSES = {'east': '192.0.2.11', 'west': '192.0.2.21',
             'north': '192.0.2.31', 'south': '192.0.2.41'}
FILES = '/etc/cinder/lightbits'
DROP_INS = '/etc/cinder/cinder.conf.d'

#: What the test does in place of the machine that the page is about.
START = 'systemctl restart cinder-volume'
#: Commands that the page says end with a finding.
FINDING = {'lightbits-federation cluster detach west'}
#: Commands that the page says to repeat until they find nothing.
WAITING = {'lightbits-federation cluster status'}


class OperatorTest(base.FunctionalTest):

    def setUp(self) -> None:
        super().setUp()
        for name in ('east', 'west', 'north'):
            self.add_cluster(name)
        # Nothing is of others here: this one moves what it has.
        self.clusters['south'] = self.simulator.add_cluster('south')
        self.addCleanup(self.clusters['south'].remove)
        self.page = list(snippets.read(snippets.FIRST_STEPS))
        self._cloud = cloud.Cloud(
            self.folder / 'cinder', threads=self.threads,
            config=self.configuration())
        # The page has it made.
        self._cloud.layout.config_dir.rmdir()
        self.before = federation.contents(self.clusters.values())
        self.addCleanup(self._cloud.stop)
        self.addOnException(self._keep_log)
        self.files = self.provide_files()
        self.programs = self.provide_programs()
        self.done: list[str] = []
        self.made: list[Any] = []

    def configuration(self) -> str:
        """:returns: the configuration that the page begins with."""
        found = [item.text for item in self.page if item.language == 'ini']
        self.assertEqual(1, len(found))
        self.federation_id = next(
            line.split()[-1] for line in found[0].splitlines()
            if line.startswith('lightbits_federation_id'))
        return f'{found[0]}\nlightbits_poll_interval = 1\n'

    def provide_files(self) -> pathlib.Path:
        """:returns: a folder with certificates and tokens."""
        folder = self.folder / 'lightbits'
        folder.mkdir()
        for name, cluster in self.clusters.items():
            shutil.copy(cluster.ca_file, folder / f'{name}-ca.pem')
            federation.write_private(folder / f'{name}.jwt',
                                     cluster.token(scope='system'))
        return folder

    def provide_programs(self) -> pathlib.Path:
        """:returns: a folder with the programs that the page names."""
        folder = self.folder / 'bin'
        folder.mkdir()
        for name, words in {
                'lightbits-federation': command.federation(
                    self.cloud.layout.arguments),
                'openstack': [sys.executable, '-W', 'ignore', '-m',
                              'openstackclient.shell'],
                }.items():
            path = folder / name
            path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
            path.chmod(0o755)
        return folder

    def run_command(self, command: str) -> str:
        """Have a shell run a command of the page.

        :returns: what it tells.
        """
        actual = command.replace(FILES, str(self.files)).replace(
            DROP_INS, str(self.cloud.layout.config_dir))
        for name, address in ADDRESSES.items():
            actual = actual.replace(
                address, self.clusters[name].api_endpoints[0])
        known = (self.cloud.environment()
                 if command.startswith('openstack ') else {})
        done = subprocess.run(
            ['bash', '-c', actual], capture_output=True, text=True,
            timeout=180, check=False, env={
                **{name: value for name, value in os.environ.items()
                   if not name.startswith('OS_')}, **known,
                'PATH': f'{self.programs}:{os.environ["PATH"]}'})
        told = done.stdout + done.stderr
        if command in WAITING and done.returncode == FOUND:
            return ''
        self.assertEqual(FOUND if command in FINDING else CLEAN,
                         done.returncode, f'{command}: {told}')
        return told or command

    def follow(self, title: str) -> dict[str, str]:
        """Run all commands below a heading.

        :returns: what each has told.
        """
        found = {}
        for snippet in self.page:
            if snippet.title == title and snippet.language == 'console':
                for command in snippet.commands():
                    found[command] = self.step(command)
        self.assertNotEqual({}, found, title)
        return found

    def step(self, command: str) -> str:
        """Run one command, and wait until what it began is done."""
        self.done.append(command)
        if command == START:
            self.cloud.start()
            return command
        if command in WAITING:
            return self.wait(lambda: self.run_command(command), command,
                             GRACE)
        told = self.run_command(command)
        words = shlex.split(command)
        if words[:3] == ['openstack', 'volume', 'create']:
            self.settle(words[-1], command)
        elif words[:3] == ['openstack', 'volume', 'delete']:
            self.wait(lambda: self.named(words[-1]) is None, command, GRACE)
        return told

    def named(self, name: str) -> Any:
        """:returns: the volume of a name, None if there is none."""
        return self.cloud.sdk().find_volume(name, ignore_missing=True)

    def settle(self, name: str, command: str) -> None:
        """Wait for a volume, as soon as its cluster takes one."""
        def attempt() -> bool:
            self.wait(lambda: self.named(name).status != 'creating', name, 180)
            volume = self.named(name)
            if volume.status == 'available':
                return True
            self.cloud.sdk().delete_volume(volume.id)
            self.wait(lambda: self.named(name) is None, name)
            self.run_command(command)
            return False

        self.wait(attempt, name, GRACE)
        self.made.append(self.named(name))

    def create_many(self) -> None:
        """Have others create volumes."""
        sdk = self.cloud.sdk()
        self.made += [sdk.create_volume(size=1) for _number in range(5)]

    def home(self, name: str) -> str:
        """:returns: the cluster that has the volume of a name."""
        return self.on_array(self.named(name))[0]

    def empty(self, cluster: str, but: str) -> None:
        """Delete all volumes on a cluster but one."""
        sdk = self.cloud.sdk()
        self.made = [self.settled(sdk, item) for item in self.made]
        leaving = [item for item in self.made
                   if self.on_array(item)[0] == cluster and item.name != but]
        self.delete(sdk, *leaving)
        gone = {item.id for item in leaving}
        self.made = [item for item in self.made if item.id not in gone]

    def test_a_federation_comes_and_changes(self) -> None:
        self.follow('The backend')
        told = self.follow('Three clusters')
        for name in ('east', 'west', 'north'):
            self.assertIn(f'lightbits-{name}.conf', next(
                text for command, text in told.items()
                if f'attach {name} ' in command))
        self.follow('Volumes')
        for name in ('east', 'west', 'north'):
            self.assertEqual(name, self.home(f'in-the-{name}'))

        self.create_many()
        self.follow('One more')
        self.create_many()
        self.assertEqual('south', self.home('in-the-south'))

        # It loses the only node that was ever configured.
        south = self.clusters['south']
        south.add_node()
        south.remove_node(0, force=True)
        south.settle()
        self.follow('One grows')
        self.assertEqual('south', self.home('grown'))

        self.empty('west', but='in-the-west')
        volume = self.named('in-the-west')
        self.made = [item for item in self.made if item.id != volume.id]
        told = self.follow('One goes')
        self.assertIn(volume.id, told[next(iter(FINDING))])
        self.assertIn('Removed: ', told[
            'lightbits-federation cluster detach west --yes'])
        self.cloud.wait_for_log('Cluster west is not served any more')
        self.assert_the_rest()

        self.assertEqual(snippets.commands(snippets.FIRST_STEPS), self.done)

    def assert_the_rest(self) -> None:
        """All that is left is elsewhere, and works."""
        sdk = self.cloud.sdk()
        self.made += [self.create(sdk) for _number in range(4)]
        self.assertNotIn('west', {self.on_array(item)[0]
                                  for item in self.made})
        self.audit()
        self.delete(sdk, *self.made)
        self.audit()
