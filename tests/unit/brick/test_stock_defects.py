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

"""Each known defect of os-brick's own connector, and that it is not here.

Whatever the stock connector does wrong, one of these tests asks for it to be
right: files that appear at once, probes with an end, and so on.
"""

from __future__ import annotations

import inspect
import os
import re
from typing import Any
from unittest import mock

from os_brick.initiator.connectors import base as stock_base
from os_brick.initiator import initiator_connector

from os_brick_ext import conn_props
from os_brick_ext import connector
from os_brick_ext import discovery
from os_brick_ext import errors
from os_brick_ext import options
from os_brick_ext import privileged
from os_brick_ext import timing
from tests.unit.brick import base
from tests.unit.brick import fake_kernel

VOLUME = base.volume(1)


class StockDefectsTest(base.BrickTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.nqn = self.cluster(1)
        self.data = self.properties(1, self.nqn)
        self.kernel.client_connects(self.nqn)

    def attach(self) -> dict[str, Any]:
        self.kernel.grant(self.nqn, VOLUME)
        found: dict[str, Any] = self.connector().connect_volume(self.data)
        return found

    def test_01_files_appear_whole_and_in_their_own_folder(self) -> None:
        seen = []
        rename = os.rename

        def spy(source: str, target: str, **folders: int) -> None:
            if not folders:
                # The fake kernel's own.
                rename(source, target)
                return
            self.assertEqual(folders['src_dir_fd'], folders['dst_dir_fd'])
            self.assertTrue(source.startswith('tmp.dc.'))
            with open(self.kernel.drop_ins / source) as file:
                seen.append((file.read(), target, self.drop_ins()))
            rename(source, target, **folders)

        with mock.patch('os.rename', spy):
            self.attach()
        text, target, before = seen[0]
        self.assertEqual(f'{VOLUME}.conf', target)
        self.assertNotIn(target, before)
        self.assertEqual(2, text.count('\n-t tcp'))
        self.assertTrue(text.endswith('\n'))

    def test_02_the_probe_has_a_bound_and_leaves_nothing_open(self) -> None:
        silent = self.listener(None)
        connector = self.connector(discovery_port=silent.port,
                                   probe_timeout=0.1)
        deadline = timing.Deadline.after(base.PATIENCE / 2)
        self.assertEqual('', connector.describe_host()['found_dsc'])
        self.assertFalse(deadline.expired())
        self.eventually(lambda: silent.open)
        silent.open[0].settimeout(base.PATIENCE)
        while silent.open[0].recv(4096):
            pass

    def test_03_a_changed_node_list_is_written_again(self) -> None:
        self.attach()
        self.data = self.properties(1, self.nqn, nodes=(
            conn_props.DiscoveryNode('192.0.2.99'),))
        self.attach()
        text = (self.kernel.drop_ins / f'{VOLUME}.conf').read_text()
        self.assertEqual(['192.0.2.99'], re.findall('-a ([^ ]+)', text))

    def test_04_one_volume_does_not_hold_up_another(self) -> None:
        late = self.cluster(2)
        self.kernel.client_connects(late)
        stuck = self.properties(2, late)
        with self.in_background(
                lambda: self.connector().connect_volume(stuck)) as outcome:
            self.eventually(lambda: f'write {base.volume(2)}'
                            in self.kernel.calls)
            self.attach()
            self.connector().disconnect_volume(self.data, None)
            # What is gone is not waited for either.
            self.kernel.withdraw(self.nqn, VOLUME)
            self.connector().disconnect_volume(self.data, None)
            self.assertEqual([], outcome)
            self.kernel.grant(late, base.volume(2))
        self.assertEqual('block', outcome[0]['type'])

    def test_05_extending_what_is_missing_says_so(self) -> None:
        error = self.assertRaises(
            errors.NotAttached, self.connector().extend_volume, self.data)
        self.assertIn(VOLUME, str(error))
        self.attach()
        # The cluster no longer answers for it.
        del self.kernel.clusters[self.nqn].granted[VOLUME]
        self.assertRaises(
            errors.NotResized, self.connector().extend_volume, self.data)

    def test_06_disconnecting_is_verified(self) -> None:
        self.attach()
        native = self.connector(mode=options.NATIVE, disconnect_timeout=0.1)
        self.kernel.deaf.add('delete')
        error = self.assertRaises(
            errors.NotDeparted, native.disconnect_volume, self.data, None)
        self.assertIn(VOLUME, str(error))
        self.kernel.deaf.clear()
        native.disconnect_volume(self.data, None)
        self.assertEqual([], self.kernel.devices())

    def test_07_cleaning_up_does_not_hide_the_cause(self) -> None:
        remove = mock.Mock(spec=self.kernel.remove_drop_in,
                           side_effect=OSError('cannot remove'))
        with mock.patch.object(self.kernel, 'remove_drop_in', remove):
            error = self.assertRaises(
                errors.NotVisible, self.connector(
                    connect_timeout=0.1).connect_volume, self.data)
        remove.assert_called_once_with(VOLUME)
        self.assertIn('did not appear', str(error))
        with mock.patch('os.rename', autospec=True,
                        side_effect=OSError('cannot rename')):
            self.data = self.properties(2, self.nqn)
            self.assertRaises(errors.NotReady,
                              self.connector().connect_volume, self.data)
        self.assertEqual([f'{VOLUME}.conf'], self.drop_ins())

    def test_08_no_privileged_function_takes_a_path(self) -> None:
        for name, function in vars(privileged).items():
            if not privileged.default.is_entrypoint(function):
                continue
            parameters = inspect.signature(function).parameters
            self.assertEqual(
                [], [word for word in parameters
                     if re.search('path|file|folder|dir|src|dst|command',
                                  word)], name)
        evil = os.path.join('..', '..', VOLUME)
        folder = str(self.kernel.drop_ins)
        refused = conn_props.InvalidConnectionProperties
        self.assertRaises(refused, discovery.remove, folder, evil)
        self.assertRaises(refused, discovery.write, folder, evil, 'text')

    def test_09_exactly_the_documented_keys_are_read(self) -> None:
        read = set()

        class Watched(dict[str, Any]):
            def __getitem__(self, key: str) -> Any:
                read.add(key)
                return super().__getitem__(key)

            def get(self, key: str, default: Any = None) -> Any:
                read.add(key)
                return super().get(key, default)

        self.kernel.grant(self.nqn, VOLUME)
        self.connector().connect_volume(Watched(self.data))
        documented = set(re.findall(
            r'^    ([a-z_]+)  +\S', conn_props.__doc__ or '', re.MULTILINE))
        # The others are os-brick's, for encryption and multipath.
        self.assertEqual({'uuid', 'subsysnqn', 'lightos_nodes', 'lightbits'},
                         documented)
        self.assertEqual(
            documented, read - {'encrypted', 'enforce_multipath'})

    def test_10_nothing_runs_without_a_caller(self) -> None:
        contract = {
            name for name in dir(stock_base.BaseLinuxConnector)
            if not name.startswith('_')}
        contract |= set(
            initiator_connector.InitiatorConnector.__abstractmethods__)
        own = {name for name in vars(connector.LightbitsConnector)
               if not name.startswith('_')}
        self.assertEqual({'describe_host'}, own - contract)

    def test_11_the_probe_tells_yes_from_no(self) -> None:
        """Against servers, since mocks let the stock tests pass."""
        answers = {
            base.OK: 'found',
            b'HTTP/1.0 200 OK\r\n\r\n': 'found',
            b'HTTP/1.1 500 Error\r\n\r\n': '',
            b'HTTP/1.1 404 200\r\n\r\n': '',
            b'SSH-2.0 200 x\r\n': '',
            b'': ''}
        for answer, found in answers.items():
            server = self.listener(answer)
            connector = self.connector(discovery_port=server.port)
            self.assertEqual(
                found, connector.describe_host()['found_dsc'], answer)
            self.assertTrue(
                server.requests[0].startswith(b'HEAD /metrics HTTP/1.1\r\n'))


class FileModeTest(base.BrickTestCase):

    def test_the_client_can_read_the_file_whoever_it_is(self) -> None:
        before = os.umask(0o077)
        self.addCleanup(os.umask, before)
        nqn = self.cluster(1)
        self.kernel.client_connects(nqn)
        self.kernel.grant(nqn, VOLUME, fake_kernel.GIB)
        self.connector().connect_volume(self.properties(1, nqn))
        mode = (self.kernel.drop_ins / f'{VOLUME}.conf').stat().st_mode
        self.assertEqual(0o644, mode & 0o777)
