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

"""What runs as root, run as whoever runs the tests."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import stat
import struct
from unittest import mock

import fixtures
import hypothesis
from oslo_config import cfg
from oslo_config import fixture as config_fixture

from os_brick_ext import conn_props
from os_brick_ext import fabrics
from os_brick_ext import privileged
from tests.unit.brick import base
from tests.unit.brick import fake_kernel
from tests.unit.brick.test_files import EVIL
from tests.unit import properties

VOLUME = base.volume(1)
NQN = base.nqn(1)
REFUSED = conn_props.InvalidConnectionProperties
NVME = """#!/bin/sh
printf '%s\\n' "$@" >&2
[ -n "$NVME_FAILS" ] && exit 1
printf '%s\\n' '{"records": []}'
"""


def identified(blocks: int, shift: int, number: int = 0) -> bytes:
    """:returns: an Identify Namespace data structure."""
    data = bytearray(fabrics.IDENTIFY_BYTES)
    struct.pack_into('<Q', data, 0, blocks)
    data[26] = (number & 0x0F) | ((number & 0x30) << 1)
    data[128 + 4 * number + 2] = shift
    return bytes(data)


class PrivilegedTest(base.BrickTestCase):

    def setUp(self) -> None:
        super().setUp()
        privileged.default.set_client_mode(False)
        self.addCleanup(privileged.default.set_client_mode, True)
        for name, value in (('SYSFS', self.kernel.sys),
                            ('DEVICES', self.kernel.dev)):
            self.useFixture(fixtures.MockPatchObject(privileged, name, value))
        conf = self.useFixture(config_fixture.Config(cfg.CONF))
        conf.config(group='os_brick', lightos_discovery_client_dir_path=str(
            self.kernel.drop_ins))

    def test_files(self) -> None:
        nodes = [('192.0.2.11', 8009)]
        self.assertEqual('created', privileged.write_drop_in(
            VOLUME, NQN, base.HOST_NQN, nodes))
        self.assertEqual([f'{VOLUME}.conf'], self.drop_ins())
        self.assertTrue(privileged.remove_drop_in(VOLUME))
        self.assertEqual([], self.drop_ins())

    def test_files_of_other_names(self) -> None:
        self.assertRaises(REFUSED, privileged.write_drop_in, '../passwd',
                          NQN, base.HOST_NQN, [('192.0.2.11', 8009)])
        self.assertRaises(REFUSED, privileged.remove_drop_in, '../passwd')

    def test_controllers_are_told(self) -> None:
        self.kernel.add_cluster(NQN, '192.0.2.11:4420')
        self.kernel.client_connects(NQN)
        folder = self.kernel.sys / 'class/nvme/nvme0'
        for act, attribute in (
                (privileged.delete_controller, 'delete_controller'),
                (privileged.rescan_controller, 'rescan_controller')):
            (folder / attribute).touch()
            act('nvme0', NQN)
            self.assertEqual('1', (folder / attribute).read_text())
            self.assertRaises(ValueError, act, 'nvme0', base.nqn(2))
            self.assertRaises(FileNotFoundError, act, 'nvme7', NQN)
            for name in ('', '../nvme0', 'nvme0/..', 'nvme0n1', 'nvme0\n'):
                self.assertRaises(ValueError, act, name, NQN)

    def test_connecting(self) -> None:
        reply = b'instance=3,cntlid=1\n'
        # The kernel answers on the file it was written to; a plain file
        # gives back what comes after that.
        text = fabrics.connect_options(
            '2001:db8::11', 4420, NQN, base.HOST_NQN, base.HOST_ID,
            fabrics.Tuning(0, 5, 5, -1, 0))
        path = self.kernel.dev / 'nvme-fabrics'
        path.write_bytes(b'x' * len(text) + reply)
        self.assertEqual('nvme3', privileged.connect_controller(
            '2001:db8::11', 4420, NQN, base.HOST_NQN, base.HOST_ID))
        self.assertEqual(text.encode() + reply, path.read_bytes())
        self.assertIn('traddr=2001:db8::11,trsvcid=4420,', text)
        self.assertIn('ctrl_loss_tmo=-1', text)
        self.assertNotIn('nr_io_queues', text)
        self.assertNotIn('fast_io_fail_tmo', text)

    def asked(self, **changes: int) -> bytes:
        """:returns: what the kernel is asked for with changed options."""
        conf = self.useFixture(config_fixture.Config(cfg.CONF))
        conf.config(group='os_brick_ext', **changes)
        path = self.kernel.dev / 'nvme-fabrics'
        path.write_bytes(b'')
        # It has no answer.
        self.assertRaises(
            ValueError, privileged.connect_controller, '192.0.2.11', 4420,
            NQN, base.HOST_NQN, base.HOST_ID)
        return path.read_bytes()

    def test_connecting_with_a_bound_for_what_waits(self) -> None:
        """Only where it is asked for: older kernels do not know it."""
        self.assertIn(b',fast_io_fail_tmo=25',
                      self.asked(fast_io_fail_timeout=25))

    def test_connecting_to_nodes_that_are_given_up_at_once(self) -> None:
        """To the kernel that is a number, and not to be left to it."""
        self.assertIn(b',ctrl_loss_tmo=0', self.asked(ctrl_loss_timeout=0))

    def test_connecting_without_the_module(self) -> None:
        self.assertRaises(
            FileNotFoundError, privileged.connect_controller, '192.0.2.11',
            4420, NQN, base.HOST_NQN, base.HOST_ID)

    def test_connecting_to_more_than_an_address(self) -> None:
        self.assertRaises(
            REFUSED, privileged.connect_controller,
            '192.0.2.11,host_iface=x', 4420, NQN, base.HOST_NQN, base.HOST_ID)

    def test_size(self) -> None:
        node = self.kernel.dev / 'nvme0n1'
        node.touch()
        # Not a device, so the kernel has no answer.
        error = self.assertRaises(
            OSError, privileged.namespace_size, 'nvme0n1')
        self.assertEqual(errno.ENOTTY, error.errno)
        for name in ('', 'sda', '../nvme0n1', 'nvme0', 'nvme0n1p1'):
            self.assertRaises(ValueError, privileged.namespace_size, name)

    def test_active_namespaces(self) -> None:
        """As many answers as it takes, each of a page."""
        self.kernel.add_cluster(NQN, '192.0.2.11:4420')
        self.kernel.client_connects(NQN)
        (self.kernel.dev / 'nvme0').touch()
        there = list(range(1, 3000, 2))
        commands = []

        def ioctl(_descriptor: int, request: int, command: bytearray,
                  _change: bool) -> int:
            self.assertEqual(fabrics.IOCTL_ADMIN_COMMAND, request)
            opcode, after = struct.unpack_from('<BxxxI', command)
            what, = struct.unpack_from('<I', command, 40)
            commands.append((opcode, after, what))
            piece = [one for one in there if one > after][:1024]
            address, = struct.unpack_from('<Q', command, 24)
            data = struct.pack(f'<{len(piece)}I', *piece)
            ctypes.memmove(address, data, len(data))
            return 0

        with mock.patch('fcntl.ioctl', ioctl):
            self.assertEqual(
                there, privileged.active_namespaces('nvme0', NQN))
        self.assertEqual([(6, 0, 2), (6, 2047, 2)], commands)
        self.assertRaises(ValueError, privileged.active_namespaces,
                          'nvme0', base.nqn(2))
        self.assertRaises(FileNotFoundError, privileged.active_namespaces,
                          'nvme7', NQN)

    def test_a_node_that_repeats_itself(self) -> None:
        """It is asked no further; this process would grow without end."""
        self.kernel.add_cluster(NQN, '192.0.2.11:4420')
        self.kernel.client_connects(NQN)
        (self.kernel.dev / 'nvme0').touch()
        full = struct.pack('<1024I', *range(1, 1025))

        def ioctl(_descriptor: int, _request: int, command: bytearray,
                  _change: bool) -> int:
            address, = struct.unpack_from('<Q', command, 24)
            ctypes.memmove(address, full, len(full))
            return 0

        with mock.patch('fcntl.ioctl', ioctl):
            error = self.assertRaises(
                OSError, privileged.active_namespaces, 'nvme0', NQN)
        self.assertIn('nvme0 lists namespace 1 twice', str(error))

    @properties.PROPERTY
    @hypothesis.given(EVIL)
    def test_names_lead_nowhere(self, text: str) -> None:
        """No function goes where no controller or device of it is."""
        for act in (privileged.delete_controller,
                    privileged.rescan_controller,
                    privileged.active_namespaces):
            self.assertRaises((ValueError, FileNotFoundError), act, text, NQN)
        self.assertRaises((ValueError, FileNotFoundError),
                          privileged.namespace_size, text)

    def nvme_cli(self) -> None:
        """Put a program of that name where it is looked for."""
        folder = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(folder, 'nvme')
        with open(path, 'w') as file:
            file.write(NVME)
        os.chmod(path, stat.S_IRWXU)
        self.useFixture(fixtures.EnvironmentVariable(
            'PATH', f'{folder}:{os.environ["PATH"]}'))

    def test_discovery(self) -> None:
        self.nvme_cli()
        page = privileged.discovery_log(
            '2001:db8::11', 8009, base.HOST_NQN, base.HOST_ID)
        self.assertEqual({'records': []}, json.loads(page))

    def test_discovery_that_fails(self) -> None:
        self.nvme_cli()
        self.useFixture(fixtures.EnvironmentVariable('NVME_FAILS', 'yes'))
        error = self.assertRaises(
            OSError, privileged.discovery_log, '2001:db8::11', 8009,
            base.HOST_NQN, base.HOST_ID)
        # It prints its words: one each, whatever is in them.
        self.assertEqual(
            ['discover', '--output-format=json', '--transport=tcp',
             '--traddr=2001:db8::11', '--trsvcid=8009',
             f'--hostnqn={base.HOST_NQN}', f'--hostid={base.HOST_ID}'],
            error.args[1].removeprefix('nvme discover: ').split('\n'))

    def test_discovery_without_nvme_cli(self) -> None:
        self.useFixture(fixtures.EnvironmentVariable('PATH', self.folder))
        self.assertRaises(
            FileNotFoundError, privileged.discovery_log, '192.0.2.11', 8009,
            base.HOST_NQN, base.HOST_ID)

    def test_errors_survive_privsep(self) -> None:
        """It rebuilds them from their class and arguments."""
        error = self.assertRaises(REFUSED, privileged.remove_drop_in, '../x')
        self.assertEqual(str(error), str(REFUSED(*error.args)))


class FabricsTest(base.BrickTestCase):

    def test_identify(self) -> None:
        command = fabrics.identify_command(7, 0x7F00_1234_5000, 5000)
        self.assertEqual(72, len(command))
        self.assertEqual(6, command[0])
        self.assertEqual((7,), struct.unpack_from('<I', command, 4))
        self.assertEqual((0x7F00_1234_5000,),
                         struct.unpack_from('<Q', command, 24))
        self.assertEqual((4096,), struct.unpack_from('<I', command, 36))
        self.assertEqual((5000,), struct.unpack_from('<I', command, 64))

    def test_sizes(self) -> None:
        for number in (0, 3, 15, 16, 63):
            self.assertEqual(
                5 * 4096, fabrics.identified_size(identified(5, 12, number)))
        self.assertEqual(512, fabrics.identified_size(identified(1, 9)))

    def test_no_size(self) -> None:
        for data in (identified(0, 12), identified(5, 0), identified(5, 8),
                     bytes(4096)):
            self.assertRaises(ValueError, fabrics.identified_size, data)

    def test_replies(self) -> None:
        self.assertEqual(
            'nvme12', fabrics.connected_name('instance=12,cntlid=65535'))
        self.assertRaises(ValueError, fabrics.connected_name, 'eh?')

    def test_log(self) -> None:
        kernel = fake_kernel.FakeKernel(
            self.useFixture(fixtures.TempDir()).path)
        kernel.add_cluster(NQN, '192.0.2.11:4420', '[2001:db8::11]:4421')
        kernel.add_cluster(base.nqn(2), '192.0.2.99:4420')
        text = kernel.discovery_log('', 0, '', '')
        self.assertEqual(('192.0.2.11:4420', '[2001:db8::11]:4421'),
                         fabrics.log_endpoints(text, NQN))
        self.assertEqual((), fabrics.log_endpoints(text, base.nqn(3)))

    def test_referrals(self) -> None:
        """As different releases of nvme-cli call them."""
        records = [{'trtype': kind, 'subtype': words, 'subnqn': 'whatever',
                    'traddr': f'192.0.2.{number}', 'trsvcid': '8009'}
                   for number, (kind, words) in enumerate((
                       ('tcp', 'discovery subsystem referral'),
                       ('tcp', 'discovery subsystem'),
                       ('tcp', 'nvme subsystem'),
                       ('rdma', 'discovery subsystem referral'),
                       ('tcp', None),
                       ('tcp', 'current discovery subsystem')))]
        self.assertEqual(
            ('192.0.2.0:8009', '192.0.2.1:8009', '192.0.2.5:8009'),
            fabrics.log_referrals(json.dumps({'records': records})))

    def test_referrals_that_cannot_be_read(self) -> None:
        """They are passed over; a name is not an address."""
        records = [{'trtype': 'tcp', 'subtype': 'discovery subsystem',
                    'traddr': address, 'trsvcid': port}
                   for address, port in (('east.example.org', '8009'),
                                         ('192.0.2.1', 'none'),
                                         ('192.0.2.2', '8009'))]
        self.assertEqual(
            ('192.0.2.2:8009',),
            fabrics.log_referrals(json.dumps({'records': records})))

    def test_log_of_other_forms(self) -> None:
        for text in ('', 'no JSON', '[]', '{}', '{"records": {}}',
                     json.dumps({'records': [{
                         'trtype': 'tcp', 'subnqn': NQN,
                         'traddr': 'node1,x', 'trsvcid': '4420'}]})):
            self.assertRaises(ValueError, fabrics.log_endpoints, text, NQN)
        for record in (1, None, {}, {'trtype': 'rdma', 'subnqn': NQN}):
            self.assertEqual((), fabrics.log_endpoints(
                json.dumps({'records': [record]}), NQN))
