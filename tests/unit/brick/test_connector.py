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

"""The connector, as Nova, Cinder and Glance use it."""

from __future__ import annotations

import copy
import dataclasses
import errno
from typing import Any
from unittest import mock

import fixtures
from os_brick import exception

from os_brick_ext import attach
from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import options
from os_brick_ext import timing
from tests.unit.brick import base
from tests.unit.brick import fake_kernel

GIB = fake_kernel.GIB
VOLUME = base.volume(1)


class BothWays(base.BrickTestCase):
    """What holds however the host connects."""

    def setUp(self) -> None:
        super().setUp()
        self.nqn = self.cluster(1)
        self.data = self.properties(1, self.nqn)

    def appear(self) -> None:
        """Have the cluster show the volume to this host."""
        if self.mode == options.DISCOVERY_CLIENT:
            self.kernel.client_connects(self.nqn)
        self.kernel.grant(self.nqn, VOLUME)

    def attached(self) -> dict[str, Any]:
        self.appear()
        found: dict[str, Any] = self.connector().connect_volume(self.data)
        return found

    def test_connect(self) -> None:
        self.assertEqual(
            {'type': 'block', 'path': str(self.kernel.dev / 'nvme0n1'),
             'uuid': VOLUME, 'subsysnqn': self.nqn}, self.attached())

    def test_connect_twice(self) -> None:
        first = self.attached()
        self.assertEqual(
            first, self.connector().connect_volume(self.data))

    def test_connect_waits_for_the_volume(self) -> None:
        with self.in_background(
                lambda: self.connector().connect_volume(
                    self.data)) as outcome:
            self.eventually(lambda: self.kernel.calls)
            self.assertEqual([], outcome)
            self.appear()
        self.assertEqual(str(self.kernel.dev / 'nvme0n1'),
                         outcome[0]['path'])

    def test_the_callers_properties_stay_as_they_are(self) -> None:
        before = copy.deepcopy(self.data)
        self.attached()
        self.connector().disconnect_volume(self.data, None)
        self.assertEqual(before, self.data)

    def test_a_volume_of_another_cluster_with_the_same_uuid(self) -> None:
        other = self.cluster(2)
        self.kernel.grant(other, VOLUME)
        self.kernel.client_connects(other)
        self.assertEqual([], self.connector().get_volume_paths(self.data))
        self.assertEqual(str(self.kernel.dev / 'nvme0n1'),
                         self.attached()['path'])
        self.assertEqual(['nvme0n1', 'nvme1n1'], self.kernel.devices())

    def test_a_volume_that_never_appears(self) -> None:
        if self.mode == options.DISCOVERY_CLIENT:
            self.kernel.client_connects(self.nqn)
        error = self.assertRaises(
            errors.NotVisible, self.connector(
                connect_timeout=0.1).connect_volume, self.data)
        self.assertIn(VOLUME, str(error))
        self.assertIn('does not show it to this host', str(error))
        self.assertIn(
            f'{self.kernel.clusters[self.nqn].nodes[0]} live', str(error))
        self.assertEqual([], self.drop_ins())

    def hidden(self) -> dict[str, Any]:
        """Have a cluster connected that does not show the volume.

        :returns: its connection properties.
        """
        self.kernel.client_connects(self.nqn)
        self.kernel.grant(self.nqn, base.volume(2))
        return self.data

    def test_a_volume_that_no_node_shows_fails_early(self) -> None:
        """As when its access list lacks this host."""
        data = self.hidden()
        deadline = timing.Deadline.after(base.PATIENCE)
        error = self.assertRaises(
            errors.NotVisible, self.connector(
                early_failure_timeout=0.1,
                connect_timeout=2 * base.PATIENCE).connect_volume, data)
        self.assertFalse(deadline.expired())
        self.assertIn(f'on none of 2 nodes; does it grant access to '
                      f'{base.HOST_NQN}?', str(error))

    def check_patience(self, data: dict[str, Any]) -> None:
        """It waits to the end where it is not plain that it will not come."""
        error = self.assertRaises(
            errors.NotVisible, self.connector(
                early_failure_timeout=0.1,
                connect_timeout=0.5).connect_volume, data)
        self.assertIn('did not appear within 0.5 s', str(error))

    def test_no_early_end_while_a_node_cannot_be_asked(self) -> None:
        data = self.hidden()
        self.kernel.set_state('nvme1', 'connecting')
        self.check_patience(data)

    def test_no_early_end_while_a_node_is_not_connected(self) -> None:
        data = self.hidden()
        known = conn_props.ConnectionProperties.from_dict(data)
        down = self.listener()
        down.close()
        self.check_patience(dataclasses.replace(
            known, nvme_endpoints=(*known.nvme_endpoints, down.endpoint),
            nodes=(conn_props.DiscoveryNode.at(down.endpoint),)).to_dict())

    def test_no_early_end_while_the_kernel_is_behind(self) -> None:
        """The cluster shows a volume that the kernel has yet to make."""
        data = self.hidden()
        self.kernel.deaf.update(('events', 'rescan'))
        self.kernel.grant(data['subsysnqn'], VOLUME)
        self.check_patience(data)

    def test_no_early_end_if_nobody_can_be_asked(self) -> None:
        data = self.hidden()
        with mock.patch.object(
                self.kernel, 'active_namespaces', autospec=True,
                side_effect=OSError(errno.EIO, 'NVMe status 0x4002')):
            self.check_patience(data)

    def test_a_volume_without_a_usable_path_is_not_there_yet(self) -> None:
        self.appear()
        if self.mode == options.NATIVE:
            self.kernel.client_connects(self.nqn)
        self.kernel.set_ana('inaccessible')
        error = self.assertRaises(
            errors.NotVisible, self.connector(
                connect_timeout=0.1).connect_volume, self.data)
        self.assertIn('nvme0n1 has 0 usable paths', str(error))
        self.assertNotIn('container', str(error))
        self.kernel.set_ana('non-optimized')
        self.attached()

    def test_a_container_with_devices_of_its_own(self) -> None:
        self.appear()
        if self.mode == options.NATIVE:
            self.kernel.client_connects(self.nqn)
        node = self.kernel.dev / 'nvme0n1'
        node.unlink()
        error = self.assertRaises(
            errors.NotVisible, self.connector(
                connect_timeout=0.1).connect_volume, self.data)
        self.assertIn(f'there is no {node}; does a container', str(error))

    def test_an_event_that_was_lost(self) -> None:
        self.useFixture(fixtures.MockPatchObject(attach, 'RESCAN_AFTER', 0.0))
        self.kernel.client_connects(self.nqn)
        self.kernel.deaf.add('events')
        self.kernel.grant(self.nqn, VOLUME)
        self.connector().connect_volume(self.data)
        self.assertEqual(['rescan nvme0', 'rescan nvme1'], [
            call for call in self.kernel.calls if 'rescan' in call])

    def test_events_that_were_lost_more_than_once(self) -> None:
        """As where a new volume has the number of an old one."""
        self.useFixture(fixtures.MockPatchObject(attach, 'RESCAN_AFTER', 0.1))
        self.kernel.client_connects(self.nqn)
        self.kernel.deaf.update(('events', 'rescan'))
        self.kernel.grant(self.nqn, VOLUME)
        with self.in_background(
                lambda: self.connector().connect_volume(
                    self.data)) as outcome:
            self.eventually(lambda: 'rescan nvme1' in self.kernel.calls)
            self.kernel.deaf.discard('rescan')
        self.assertEqual('block', outcome[0]['type'])
        self.assertEqual(
            2, self.kernel.calls.count('rescan nvme0'))

    def test_several_clusters_at_once(self) -> None:
        self.attached()
        other = self.cluster(2)
        self.kernel.grant(other, base.volume(2))
        if self.mode == options.DISCOVERY_CLIENT:
            self.kernel.client_connects(other)
        self.connector().connect_volume(self.properties(2, other))
        self.assertEqual(['nvme0n1', 'nvme1n2'], self.kernel.devices())
        self.connector().disconnect_volume(self.data, None)
        self.assertNotEqual([], self.kernel.controllers(other))
        self.assertEqual(
            [str(self.kernel.dev / 'nvme1n2')],
            self.connector().get_volume_paths(self.properties(2, other)))

    def test_disconnect_flushes(self) -> None:
        path = self.attached()['path']
        self.connector().disconnect_volume(self.data, None)
        self.assertIn(f'blockdev --flushbufs {path}', self.kernel.calls)

    def test_disconnect_twice(self) -> None:
        self.attached()
        self.connector().disconnect_volume(self.data, None)
        self.connector().disconnect_volume(self.data, None)

    def test_disconnect_what_was_never_connected(self) -> None:
        self.connector().disconnect_volume(self.data, None)
        self.assertFalse(any('blockdev' in call for call
                             in self.kernel.calls))

    def test_disconnect_needs_no_nodes(self) -> None:
        self.attached()
        del self.data['lightos_nodes']
        self.connector().disconnect_volume(self.data, None)

    def test_a_volume_that_something_is_built_upon(self) -> None:
        self.attached()
        # On a partition: nothing is built upon the whole of it.
        part = self.kernel.sys / 'class/block/nvme0n1p2'
        (part / 'holders/dm-3').mkdir(parents=True)
        error = self.assertRaises(
            errors.InUse, self.connector().disconnect_volume, self.data, None)
        self.assertIn('dm-3', str(error))
        self.assertFalse(any(
            call.startswith(('remove', 'delete'))
            for call in self.kernel.calls))

    def test_force_goes_on_and_tells(self) -> None:
        self.attached()
        (self.kernel.sys / 'class/block/nvme0n1/holders/dm-3').touch()
        error = self.assertRaises(
            exception.ExceptionChainer,
            self.connector().disconnect_volume, self.data, None, force=True)
        self.assertIn('dm-3', str(error))
        # What is built upon it would break without connections.
        self.assertEqual(
            self.mode == options.DISCOVERY_CLIENT,
            any(call.startswith(('remove', 'delete'))
                for call in self.kernel.calls))

    def test_errors_can_be_ignored(self) -> None:
        self.attached()
        (self.kernel.sys / 'class/block/nvme0n1/holders/dm-3').touch()
        self.connector().disconnect_volume(
            self.data, None, force=True, ignore_errors=True)

    def test_no_flush_without_a_path(self) -> None:
        self.attached()
        for name in self.kernel.controllers(self.nqn):
            self.kernel.set_state(name, 'connecting')
        self.assertRaises(errors.NoPath, self.connector().disconnect_volume,
                          self.data, None)
        self.assertFalse(any('blockdev' in call for call
                             in self.kernel.calls))

    def test_extend_when_the_kernel_knows(self) -> None:
        self.attached()
        self.kernel.resize(self.nqn, VOLUME, 3 * GIB)
        self.assertEqual(
            3 * GIB, self.connector().extend_volume(self.data))
        self.assertFalse(any('rescan' in call for call in self.kernel.calls))

    def test_extend_when_there_is_no_path_for_a_moment(self) -> None:
        self.attached()
        self.kernel.resize(self.nqn, VOLUME, 3 * GIB)
        real = self.kernel.namespace_size
        again = BlockingIOError(errno.EAGAIN, 'no path')
        with mock.patch.object(
                self.kernel, 'namespace_size', autospec=True,
                side_effect=[again, again, real('nvme0n1')]):
            self.assertEqual(
                3 * GIB, self.connector().extend_volume(self.data))
        with mock.patch.object(self.kernel, 'namespace_size', autospec=True,
                               side_effect=again):
            self.assertRaisesRegex(
                errors.NotResized, 'no path is usable',
                self.connector(extend_timeout=0.1).extend_volume, self.data)

    def test_extend_when_the_kernel_does_not_know(self) -> None:
        self.attached()
        self.kernel.deaf.add('events')
        self.kernel.resize(self.nqn, VOLUME, 3 * GIB)
        self.assertEqual(
            3 * GIB, self.connector().extend_volume(self.data))
        self.assertIn('rescan nvme0', self.kernel.calls)

    def test_extend_when_the_kernel_learns_late(self) -> None:
        self.attached()
        self.kernel.deaf.update({'events', 'rescan'})
        self.kernel.resize(self.nqn, VOLUME, 3 * GIB)
        with self.in_background(
                lambda: self.connector().extend_volume(
                    self.data)) as outcome:
            self.eventually(lambda: 'rescan nvme0' in self.kernel.calls)
            self.assertEqual([], outcome)
            self.kernel.deaf.clear()
            self.kernel.resize(self.nqn, VOLUME, 3 * GIB)
        self.assertEqual([3 * GIB], outcome)

    def test_extend_when_the_size_never_arrives(self) -> None:
        self.attached()
        self.kernel.deaf.update({'events', 'rescan'})
        self.kernel.resize(self.nqn, VOLUME, 3 * GIB)
        error = self.assertRaises(
            errors.NotResized, self.connector(
                extend_timeout=0.1).extend_volume, self.data)
        self.assertIn(str(3 * GIB), str(error))

    def test_paths_and_volumes(self) -> None:
        connector = self.connector()
        self.assertEqual([], connector.get_volume_paths(self.data))
        path = self.attached()['path']
        self.assertEqual([path], connector.get_volume_paths(self.data))
        self.assertEqual([path], connector.get_all_available_volumes())
        self.assertEqual(str(self.kernel.dev), connector.get_search_path())

    def test_multipath_may_be_required(self) -> None:
        self.appear()
        connector = self.connector()
        connector.use_multipath = True
        self.assertTrue(connector.supports_multipath())
        connector.connect_volume(self.data | {'enforce_multipath': True})
        (self.kernel.sys / 'module/nvme_core/parameters/multipath'
         ).write_text('N\n')
        self.assertRaises(
            exception.BrickException, connector.connect_volume,
            self.data | {'enforce_multipath': True})

    def test_somebody_else_works_on_the_volume(self) -> None:
        self.appear()
        connector = self.connector(connect_timeout=0.1)
        with connector.locks.held(f'volume-{VOLUME}',
                                  timing.Deadline.after(1)):
            for act in (connector.connect_volume, connector.extend_volume):
                self.assertRaises(errors.Busy, act, self.data)
            self.assertRaises(
                errors.Busy, connector.disconnect_volume, self.data, None)
        self.assertEqual([], self.kernel.calls)


class DiscoveryClientTest(BothWays):

    def test_disconnect_removes_the_file_and_no_connection(self) -> None:
        self.attached()
        self.assertEqual([f'{VOLUME}.conf'], self.drop_ins())
        self.connector().disconnect_volume(self.data, None)
        self.assertEqual([], self.drop_ins())
        self.assertEqual(2, len(self.kernel.controllers(self.nqn)))

    def test_a_file_that_was_there_survives_a_failure(self) -> None:
        self.attached()
        self.kernel.withdraw(self.nqn, VOLUME)
        self.assertRaises(
            errors.NotVisible, self.connector(
                connect_timeout=0.1).connect_volume, self.data)
        self.assertEqual([f'{VOLUME}.conf'], self.drop_ins())

    def test_a_missing_folder(self) -> None:
        self.kernel.drop_ins.rmdir()
        error = self.assertRaises(
            errors.NotReady, self.connector().connect_volume, self.data)
        self.assertIn(str(self.kernel.drop_ins), str(error))


class NativeTest(BothWays):

    mode = options.NATIVE

    def test_disconnect_leaves_the_cluster_with_the_last_volume(
            self) -> None:
        self.kernel.grant(self.nqn, base.volume(2))
        self.attached()
        self.connector().disconnect_volume(self.data, None)
        self.assertEqual(2, len(self.kernel.controllers(self.nqn)))
        self.kernel.withdraw(self.nqn, VOLUME)
        self.connector().disconnect_volume(
            self.properties(2, self.nqn), None)
        self.assertEqual([], self.kernel.controllers(self.nqn))
        self.assertEqual([], self.kernel.devices())


class WithoutMultipathTest(base.BrickTestCase):

    multipath = False
    mode = options.NATIVE

    def test_the_path_that_works_is_taken(self) -> None:
        nqn = self.cluster(1)
        self.kernel.grant(nqn, VOLUME)
        data = self.properties(1, nqn)
        connector = self.connector()
        connector.connect_volume(data)
        self.assertEqual(['nvme0n1', 'nvme1n1'], self.kernel.devices())
        self.kernel.set_state('nvme0', 'connecting')
        self.assertEqual(str(self.kernel.dev / 'nvme1n1'),
                         connector.connect_volume(data)['path'])


# The class of what holds both ways is no test by itself.
del BothWays
