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

"""The files for the discovery client, and what must not get into them."""

from __future__ import annotations

import ipaddress
import os
import re
from unittest import mock

import fixtures
import hypothesis
from hypothesis import strategies as st
from oslotest import base as test_base

from os_brick_ext import conn_props
from os_brick_ext import discovery
from os_brick_ext import fabrics
from tests.unit.brick import base
from tests.unit import properties

VOLUME = base.volume(1)
NQN = base.nqn(1)
NODES = (conn_props.DiscoveryNode('2001:db8::11', 8010),
         conn_props.DiscoveryNode('192.0.2.11'))
TUNING = fabrics.Tuning(0, 5, 2, -1, 0)
# What an attacker would put between good pieces, and anything else.
EVIL = st.text(max_size=30) | st.builds(
    lambda good, bad, more: good + bad + more,
    st.sampled_from([VOLUME, NQN, '192.0.2.11', '2001:db8::1', '']),
    st.sampled_from(['\n', '\r', ' ', ',', '\t', '#', ' -a 1.2.3.4', '\0',
                     ',transport=rdma', '/../', '%eth0', ';', '\u2028']),
    st.sampled_from(['', VOLUME, 'x', 'nqn.2016-01.com.evil:x']))


class ContentTest(test_base.BaseTestCase):

    def test_the_lines_the_client_reads(self) -> None:
        self.assertEqual(
            f'# volume {VOLUME}\n'
            f'-t tcp -a 192.0.2.11 -s 8009 -q {base.HOST_NQN} -n {NQN}\n'
            f'-t tcp -a 2001:db8::11 -s 8010 -q {base.HOST_NQN} -n {NQN}\n',
            discovery.content(VOLUME, NQN, base.HOST_NQN, NODES))

    def test_the_order_of_nodes_changes_nothing(self) -> None:
        self.assertEqual(
            discovery.content(VOLUME, NQN, base.HOST_NQN, NODES),
            discovery.content(VOLUME, NQN, base.HOST_NQN, NODES[::-1]))

    @properties.PROPERTY
    @hypothesis.given(uuid=EVIL, nqn=EVIL, host=EVIL, address=EVIL, port=EVIL)
    def test_nothing_gets_into_the_file(
            self, uuid: str, nqn: str, host: str, address: str,
            port: str) -> None:
        """Each value in turn is evil, beside good ones."""
        good = (VOLUME, NQN, base.HOST_NQN, '192.0.2.11', '8009')
        for place, bad in enumerate((uuid, nqn, host, address, port)):
            given = [*good[:place], bad, *good[place + 1:]]
            try:
                text = discovery.content(
                    given[0], given[1], given[2],
                    [conn_props.DiscoveryNode(
                        given[3], given[4])])  # type: ignore[arg-type]
            except conn_props.InvalidConnectionProperties:
                continue
            lines = text.splitlines()
            self.assertEqual(2, len(lines), bad)
            self.assertRegex(lines[0], '^# volume [0-9a-f-]{36}$')
            words = lines[1].split(' ')
            self.assertEqual(['-t', '-a', '-s', '-q', '-n'], words[::2])
            ipaddress.ip_address(words[3])
            self.assertTrue(words[7].startswith('nqn.'))

    @properties.PROPERTY
    @hypothesis.given(nqn=EVIL, host=EVIL, address=EVIL, port=EVIL, name=EVIL)
    def test_nothing_gets_into_the_kernels_options(
            self, nqn: str, host: str, address: str, port: str,
            name: str) -> None:
        good = ('192.0.2.11', '4420', NQN, base.HOST_NQN, base.HOST_ID)
        for place, bad in enumerate((address, port, nqn, host, name)):
            given = [*good[:place], bad, *good[place + 1:]]
            try:
                text = fabrics.connect_options(
                    *given, TUNING)  # type: ignore[arg-type]
            except conn_props.InvalidConnectionProperties:
                continue
            self.assertEqual(
                ['nqn', 'transport', 'traddr', 'trsvcid', 'hostnqn',
                 'hostid', 'keep_alive_tmo', 'reconnect_delay',
                 'ctrl_loss_tmo'],
                [field.split('=')[0] for field in text.split(',')], bad)
            self.assertTrue(text.isprintable())

    @properties.PROPERTY
    @hypothesis.given(EVIL)
    def test_no_name_leaves_the_folder(self, text: str) -> None:
        try:
            name = discovery.file_name(text)
        except conn_props.InvalidConnectionProperties:
            return
        self.assertTrue(re.fullmatch(r'[0-9a-f-]{36}\.conf', name))


class FolderTest(test_base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(self.folder, f'{VOLUME}.conf')

    def text(self) -> str:
        with open(self.path) as file:
            return file.read()

    def test_writing(self) -> None:
        for text, outcome in (('one', 'created'), ('one', 'unchanged'),
                              ('two', 'replaced')):
            self.assertEqual(
                outcome, discovery.write(self.folder, VOLUME, text))
            self.assertEqual(text, self.text())
            self.assertEqual([f'{VOLUME}.conf'], os.listdir(self.folder))

    def test_what_is_unchanged_is_not_touched(self) -> None:
        discovery.write(self.folder, VOLUME, 'one')
        before = os.stat(self.path)
        discovery.write(self.folder, VOLUME, 'one')
        self.assertEqual(before.st_ino, os.stat(self.path).st_ino)

    def test_removing(self) -> None:
        discovery.write(self.folder, VOLUME, 'one')
        self.assertTrue(discovery.remove(self.folder, VOLUME))
        self.assertFalse(discovery.remove(self.folder, VOLUME))
        self.assertEqual([], os.listdir(self.folder))

    def test_what_a_dead_process_left_is_swept_away(self) -> None:
        ours = os.path.join(self.folder, f'tmp.dc.{VOLUME}.conf.0a1b2c3d')
        other = f'tmp.dc.{base.volume(2)}.conf.0a1b2c3d'
        for act in (lambda: discovery.write(self.folder, VOLUME, 'one'),
                    lambda: discovery.remove(self.folder, VOLUME)):
            for name in (ours, os.path.join(self.folder, other)):
                with open(name, 'w') as file:
                    file.write('half')
            act()
            self.assertFalse(os.path.exists(ours))
            self.assertIn(other, os.listdir(self.folder))

    def test_a_failure_leaves_the_old_file_and_no_new_one(self) -> None:
        discovery.write(self.folder, VOLUME, 'one')
        for name in ('os.fsync', 'os.rename'):
            with mock.patch(name, autospec=True, side_effect=OSError('full')):
                self.assertRaises(
                    OSError, discovery.write, self.folder, VOLUME, 'two')
            self.assertEqual('one', self.text())
            self.assertEqual([f'{VOLUME}.conf'], os.listdir(self.folder))

    def test_links_are_not_followed(self) -> None:
        target = os.path.join(self.folder, 'target')
        with open(target, 'w') as file:
            file.write('keep')
        os.symlink(target, self.path)
        self.assertRaises(
            OSError, discovery.write, self.folder, VOLUME, 'one')
        discovery.remove(self.folder, VOLUME)
        with open(target) as file:
            self.assertEqual('keep', file.read())

    def test_a_missing_folder_is_named(self) -> None:
        folder = os.path.join(self.folder, 'none')
        for act in (lambda: discovery.write(folder, VOLUME, 'one'),
                    lambda: discovery.remove(folder, VOLUME)):
            error = self.assertRaises(FileNotFoundError, act)
            # What privsep passes on.
            self.assertIn(folder, error.args[1])
