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

"""Reading what the kernel says."""

from __future__ import annotations

from concurrent import futures
import errno
import os
import pathlib
import shutil
import time
from unittest import mock

import fixtures
from oslotest import base as test_base

from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import files
from os_brick_ext import ids
from os_brick_ext import sysfs
from tests.unit.brick import base
from tests.unit.brick import fake_kernel

NQN = base.nqn(1)
KEY = conn_props.VolumeKey(base.volume(1), NQN)
GIB = fake_kernel.GIB


class SysfsTest(test_base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.kernel = fake_kernel.FakeKernel(
            self.useFixture(fixtures.TempDir()).path)
        self.sysfs = sysfs.Sysfs(str(self.kernel.sys), str(self.kernel.dev))
        self.kernel.add_cluster(NQN, '192.0.2.11:4420', '[2001:db8::11]:4421')
        self.kernel.client_connects(NQN)
        self.kernel.grant(NQN, KEY.volume_uuid, GIB)
        self.block = self.kernel.sys / 'class/block'

    def found(self) -> sysfs.Namespace:
        found = self.sysfs.find(KEY)
        assert found is not None
        return found

    def test_a_volume(self) -> None:
        self.assertEqual(
            sysfs.Namespace(
                'nvme0n1', str(self.kernel.dev / 'nvme0n1'), True,
                f'uuid.{KEY.volume_uuid}', NQN, GIB, ('nvme0', 'nvme1')),
            self.found())
        self.assertTrue(self.found().usable)

    def test_no_such_volume(self) -> None:
        for key in (conn_props.VolumeKey(base.volume(2), NQN),
                    conn_props.VolumeKey(KEY.volume_uuid, base.nqn(2))):
            self.assertIsNone(self.sysfs.find(key))

    def test_partitions_and_hidden_devices_are_no_volumes(self) -> None:
        os.rename(self.block / 'nvme0n1', self.block / 'nvme0n1p1')
        self.assertIsNone(self.sysfs.find(KEY))
        self.assertFalse(self.sysfs.occupied(NQN))
        self.assertEqual(set(), self.sysfs.subsystems())

    def test_where_volumes_are(self) -> None:
        other = base.nqn(2)
        self.kernel.add_cluster(other, '192.0.2.21:4420')
        self.kernel.client_connects(other)
        self.assertEqual({NQN}, self.sysfs.subsystems())
        self.assertFalse(self.sysfs.occupied(other))
        self.assertFalse(self.sysfs.has_others(KEY))
        self.kernel.grant(other, KEY.volume_uuid)
        self.kernel.grant(other, base.volume(2))
        self.assertTrue(self.sysfs.occupied(other))
        self.assertFalse(self.sysfs.has_others(KEY))
        self.assertTrue(self.sysfs.has_others(
            conn_props.VolumeKey(KEY.volume_uuid, other)))
        self.assertEqual({NQN, other}, self.sysfs.subsystems())
        self.assertEqual({NQN, other}, self.sysfs.subsystems(KEY.wwid))
        self.assertEqual(
            {other}, self.sysfs.subsystems(f'uuid.{base.volume(2)}'))
        self.assertEqual(
            set(), self.sysfs.subsystems(f'uuid.{base.volume(3)}'))

    def test_a_volume_whose_name_another_has(self) -> None:
        self.found()
        (self.block / 'nvme0n1/wwid').write_text(f'uuid.{base.volume(2)}\n')
        self.assertEqual(set(), self.sysfs.subsystems(KEY.wwid))

    def test_what_is_connected_by_a_transport(self) -> None:
        self.assertEqual({NQN}, self.sysfs.joined('tcp'))
        folder = self.kernel.sys / 'class/nvme'
        (folder / 'nvme0/transport').write_text('rdma\n')
        self.assertEqual({NQN}, self.sysfs.joined('tcp'))
        (folder / 'nvme1/transport').write_text('rdma\n')
        self.assertEqual(set(), self.sysfs.joined('tcp'))
        (folder / 'nvme0/transport').write_text('tcp\n')
        self.kernel.set_state('nvme0', 'deleting')
        self.assertEqual(set(), self.sysfs.joined('tcp'))

    def test_paths_must_be_live_and_accessible(self) -> None:
        hidden = self.block / 'nvme0c1n1/ana_state'
        for state, paths in (
                ('optimized', 2), ('non-optimized', 2), ('inaccessible', 1),
                ('persistent-loss', 1), ('change', 1)):
            hidden.write_text(f'{state}\n')
            self.assertEqual(paths, self.found().paths, state)
        for state in ('connecting', 'resetting', 'new', 'dead'):
            self.kernel.set_state('nvme0', state)
            self.assertEqual(0, self.found().paths, state)
        self.assertFalse(self.found().usable)

    def test_a_target_without_ana(self) -> None:
        for path in self.block.glob('nvme0c*n1'):
            (path / 'ana_state').unlink()
        self.assertEqual(2, self.found().paths)

    def test_paths_of_other_namespaces_do_not_count(self) -> None:
        self.kernel.grant(NQN, base.volume(11))
        for path in self.block.glob('nvme0c*n1'):
            (path / 'ana_state').write_text('inaccessible\n')
        self.assertEqual(0, self.found().paths)

    def test_no_size_or_no_node_is_not_usable(self) -> None:
        (self.block / 'nvme0n1/size').write_text('0\n')
        self.assertFalse(self.found().usable)
        (self.block / 'nvme0n1/size').write_text('8\n')
        self.assertEqual(4096, self.found().size)
        self.assertTrue(self.found().usable)
        (self.kernel.dev / 'nvme0n1').unlink()
        self.assertFalse(self.found().usable)

    def test_what_vanishes_is_not_there(self) -> None:
        (self.block / 'nvme0n1/wwid').unlink()
        self.assertIsNone(self.sysfs.find(KEY))
        self.kernel.withdraw(NQN, KEY.volume_uuid)
        self.assertIsNone(self.sysfs.find(KEY))

    def test_a_link_that_vanishes_while_it_is_followed(self) -> None:
        for path in self.block.glob('nvme*c*n*'):
            shutil.rmtree(path)
        with mock.patch.object(os.path, 'realpath', autospec=True,
                               side_effect=FileNotFoundError):
            self.assertEqual((), self.found().servers)

    def test_controllers(self) -> None:
        self.assertEqual(
            [sysfs.Controller('nvme0', NQN, 'tcp', '192.0.2.11', 4420,
                              'live', 3),
             sysfs.Controller('nvme1', NQN, 'tcp', '2001:db8::11', 4421,
                              'live', 3)],
            self.sysfs.controllers())
        self.assertEqual(
            ['192.0.2.11:4420', '[2001:db8::11]:4421'],
            [one.endpoint for one in self.sysfs.controllers(NQN)])
        self.assertEqual([], self.sysfs.controllers(base.nqn(2)))

    def test_controllers_that_leave_are_gone(self) -> None:
        for state in ('deleting', 'deleting (no IO)', 'dead', ''):
            self.kernel.set_state('nvme0', state)
            self.assertEqual(
                ['nvme1'], [one.name for one in self.sysfs.controllers(NQN)])
        self.kernel.set_state('nvme0', 'connecting')
        self.assertEqual(
            [False, True], [one.live for one in self.sysfs.controllers(NQN)])

    def test_controllers_of_other_transports(self) -> None:
        folder = self.kernel.sys / 'class/nvme/nvme0'
        (folder / 'address').write_text('0000:00:1f.0\n')
        (folder / 'transport').write_text('pcie\n')
        (folder / 'queue_count').unlink()
        one = self.sysfs.controllers()[0]
        self.assertEqual(('pcie', '', 0, 0), (
            one.transport, one.address, one.port, one.queues))

    def test_numbers_of_namespaces(self) -> None:
        self.kernel.grant(NQN, base.volume(2))
        for controller in self.kernel.controllers(NQN):
            self.assertEqual({1, 2}, self.sysfs.numbers(controller))
        # No part of another's name counts.
        self.assertEqual(set(), self.sysfs.numbers('nvme10'))
        self.assertEqual(set(), self.sysfs.numbers('nvme'))

    def test_holders(self) -> None:
        self.assertEqual([], self.sysfs.holders('nvme0n1'))
        (self.block / 'nvme0n1/holders/dm-7').touch()
        self.assertEqual(['dm-7'], self.sysfs.holders('nvme0n1'))

    def test_holders_of_partitions(self) -> None:
        for name in ('nvme0n1p1/holders/dm-4', 'nvme0n1p12/holders/dm-5',
                     'nvme0n1p12/holders/dm-4', 'nvme0n12/holders/dm-6',
                     'nvme0n12p1/holders/dm-6', 'nvme0n1p/holders/dm-6'):
            (self.block / name).mkdir(parents=True)
        self.assertEqual(['dm-4', 'dm-5'], self.sysfs.holders('nvme0n1'))

    def test_modules_and_multipath(self) -> None:
        self.assertTrue(self.sysfs.module_loaded('nvme_tcp'))
        self.assertFalse(self.sysfs.module_loaded('nvme_rdma'))
        # Built into the kernel, and without parameters.
        shutil.rmtree(self.kernel.sys / 'module/nvme_fabrics')
        self.assertFalse(self.sysfs.module_loaded('nvme_fabrics'))
        (self.kernel.sys / 'class/nvme-fabrics').mkdir()
        self.assertTrue(self.sysfs.module_loaded('nvme_fabrics'))
        self.assertTrue(self.sysfs.native_multipath())

    def test_a_host_without_nvme(self) -> None:
        empty = sysfs.Sysfs(self.useFixture(fixtures.TempDir()).path)
        self.assertIsNone(empty.find(KEY))
        self.assertEqual([], empty.controllers())
        self.assertEqual([], empty.all_nodes())
        self.assertEqual([], empty.holders('nvme0n1'))
        self.assertFalse(empty.native_multipath())

    def test_all_nodes(self) -> None:
        self.kernel.grant(NQN, base.volume(2))
        (self.kernel.dev / 'nvme0n2').unlink()
        pathlib.Path(self.kernel.dev, 'sda').touch()
        self.assertEqual(
            [str(self.kernel.dev / 'nvme0n1')], self.sysfs.all_nodes())

    def test_a_name_that_another_volume_takes_over(self) -> None:
        """What is remembered of a device ends with the device."""
        self.found()
        another = conn_props.VolumeKey(base.volume(2), NQN)
        self.assertIsNone(self.sysfs.find(another))
        # Kept beside, so that no new file can get its inode.
        os.rename(self.block / 'nvme0n1', self.block / 'kept')
        taken = self.block / 'nvme0n1'
        taken.mkdir()
        for name in ('device', 'size'):
            os.rename(self.block / 'kept' / name, taken / name)
        (taken / 'wwid').write_text(f'{another.wwid}\n')
        self.assertIsNone(self.sysfs.find(KEY))
        found = self.sysfs.find(another)
        self.assertEqual('nvme0n1', found and found.name)

    def test_no_device_is_taken_for_another(self) -> None:
        """What is remembered is checked before it is used."""
        self.found()
        (self.block / 'nvme0n1/wwid').write_text(f'uuid.{base.volume(2)}\n')
        self.assertIsNone(self.sysfs.find(KEY))

    def test_other_devices_are_read_once(self) -> None:
        for number in range(2, 12):
            self.kernel.grant(NQN, base.volume(number))
        self.found()
        before = self.read_files()
        self.found()
        self.assertLess(self.read_files() - before, 10)

    def test_a_look_serves_all_who_asked_before(self) -> None:
        seen = ids.Ids(str(self.block))
        with mock.patch('os.scandir', wraps=os.scandir) as looks:
            asked = time.monotonic()
            for _each in range(3):
                self.assertEqual(['nvme0n1'], list(seen.look(asked)))
            self.assertEqual(1, looks.call_count)
            self.kernel.grant(NQN, base.volume(2))
            self.assertEqual(['nvme0n1', 'nvme0n2'],
                             list(seen.look(time.monotonic())))
            self.assertEqual([], seen.names('uuid.of-none'))

    def test_each_change_of_a_device_names_it_once(self) -> None:
        seen = ids.Ids(str(self.block))
        for _each in range(3):
            seen.learn('nvme0n1', 'uuid.of-one')
        self.assertEqual(['nvme0n1'], seen.names('uuid.of-one'))

    def test_many_find_theirs(self) -> None:
        for number in range(2, 22):
            self.kernel.grant(NQN, base.volume(number))
        with futures.ThreadPoolExecutor(20) as pool:
            found = list(pool.map(
                lambda number: self.sysfs.find(
                    conn_props.VolumeKey(base.volume(number), NQN)),
                range(2, 22)))
        self.assertEqual([f'nvme0n{number}' for number in range(2, 22)],
                         [one.name if one else '' for one in found])

    def read_files(self) -> int:
        """:returns: how often a file has been opened so far."""
        if not hasattr(self, '_opened'):
            self._opened = self.useFixture(fixtures.MockPatch(
                'os.open', wraps=os.open)).mock
        return self._opened.call_count

    def test_whether_anything_is_connected(self) -> None:
        self.assertTrue(self.sysfs.connected(NQN))
        self.assertFalse(self.sysfs.connected(base.nqn(2)))
        for name in ('nvme0', 'nvme1'):
            self.kernel.set_state(name, 'deleting')
        self.assertFalse(self.sysfs.connected(NQN))

    def test_a_device_that_was_told_of_is_not_looked_for(self) -> None:
        for number in range(2, 12):
            self.kernel.grant(NQN, base.volume(number))
        self.assertEqual(KEY.wwid, self.sysfs.learn('nvme0n1'))
        before = self.read_files()
        self.assertEqual('nvme0n1', self.found().name)
        self.assertLess(self.read_files() - before, 10)

    def test_what_is_told_of_but_is_no_volume(self) -> None:
        for name in ('nvme0c0n1', 'nvme0n1p1', 'nvme0n7', 'sda', '../x'):
            self.assertEqual('', self.sysfs.learn(name))

    def test_what_goes_while_it_is_read(self) -> None:
        """As the kernel says it, when it opens a file or later."""
        for step in ('os.open', 'os.read', 'os.scandir'):
            for problem in (errno.ENODEV, errno.ENXIO, errno.ENOTDIR):
                with mock.patch(step, autospec=True,
                                side_effect=OSError(problem, 'gone')):
                    self.assertIsNone(self.sysfs.find(KEY))
            with mock.patch(step, autospec=True,
                            side_effect=OSError(errno.ENOMEM, 'none left')):
                self.assertRaises(errors.Unreadable, self.sysfs.find, KEY)
        # One value of one device.
        with mock.patch('os.read', autospec=True,
                        side_effect=OSError(errno.EIO, 'unknown')):
            self.assertEqual('', files.read(str(self.block / 'nvme0n1/size')))

    def test_a_device_that_was_told_of_and_is_gone(self) -> None:
        self.sysfs.learn('nvme0n1')
        self.kernel.withdraw(NQN, KEY.volume_uuid)
        self.assertIsNone(self.sysfs.find(KEY))
