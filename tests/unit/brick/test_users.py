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

"""What one user of a volume does, and what that means for others of it."""

from __future__ import annotations

import contextlib
import errno
import threading
from unittest import mock

import fixtures
from oslo_config import cfg

from os_brick_ext import attach
from os_brick_ext import claims
from os_brick_ext import errors
from os_brick_ext import timing
from tests.unit.brick import base

VOLUME = base.volume(1)


class FailureTest(base.NativeTestCase):
    """A volume in use is attached once more, and that fails."""

    def check_kept(self) -> None:
        self.assertEqual(3, self.connected())
        self.assertEqual(['nvme0n1'], self.kernel.devices())
        self.assertEqual([], self.calls('delete'))

    def test_while_the_cluster_is_away(self) -> None:
        self.connect()
        self.kernel.set_ana('inaccessible')
        for name in self.kernel.controllers(self.nqn):
            self.kernel.set_state(name, 'connecting')
        self.assertRaises(errors.NotVisible, self.connect,
                          connect_timeout=0.1)
        self.check_kept()

    def test_while_somebody_works_on_the_cluster(self) -> None:
        self.connect()
        way = self.connector()._way
        held, done = threading.Event(), threading.Event()

        def work() -> None:
            with way._locked(self.nqn, timing.Deadline.after(1)):
                held.set()
                done.wait(base.PATIENCE)

        with self.in_background(work), contextlib.ExitStack() as stack:
            # However long this takes on a machine that is busy.
            stack.callback(done.set)
            self.assertTrue(held.wait(base.PATIENCE))
            self.assertRaises(errors.Busy, self.connect, connect_timeout=0.1)
        self.check_kept()

    def test_a_volume_that_was_not_here_leaves_nothing(self) -> None:
        self.kernel.withdraw(self.nqn, VOLUME)
        for _each in range(2):
            self.assertRaises(errors.NotVisible, self.connect,
                              connect_timeout=0.1)
            self.assertEqual(0, self.connected())


class UsersTest(base.NativeTestCase):
    """Services of one host that use the same cluster."""

    def setUp(self) -> None:
        super().setUp()
        self.holders = self.kernel.sys / 'class/block/nvme0n1/holders'

    def test_the_last_user_ends_the_connections(self) -> None:
        nova, cinder = self.service('nova'), self.service('cinder')
        for first, last in ((nova, cinder), (cinder, nova)):
            nova.connect_volume(self.data)
            cinder.connect_volume(self.data)
            first.disconnect_volume(self.data, None)
            self.assertEqual(3, self.connected())
            self.assertNotEqual([], last.get_volume_paths(self.data))
            last.disconnect_volume(self.data, None)
            self.assertEqual(0, self.connected())
            self.check_claims()

    def test_one_of_another_service_that_fails(self) -> None:
        self.service('nova').connect_volume(self.data)
        self.kernel.set_ana('inaccessible')
        self.assertRaises(
            errors.NotVisible, self.service(
                'cinder', connect_timeout=0.1).connect_volume, self.data)
        self.check_claims('nova')
        self.fake.dead.update(self.fake.nodes)
        for name in self.kernel.controllers(self.nqn):
            self.kernel.delete_controller(name, self.nqn)
        self.assertRaises(errors.NotVisible, self.service(
            'cinder').connect_volume, self.data)
        self.check_claims()

    def test_a_volume_that_came_before_it_was_asked_for(self) -> None:
        """A host that is connected sees what it is granted: nobody's yet."""
        first = self.properties(2, self.nqn)
        self.kernel.grant(self.nqn, base.volume(2))
        nova = self.service('nova')
        nova.connect_volume(first)
        nova.connect_volume(self.data)
        nova.disconnect_volume(first, None)
        self.kernel.withdraw(self.nqn, base.volume(2))
        nova.disconnect_volume(self.data, None)
        self.assertEqual(0, self.connected())
        self.check_claims()

    def test_what_is_built_upon_it_is_kept_whatever_is_forced(self) -> None:
        self.connect()
        (self.holders / 'dm-3').touch()
        self.connector().disconnect_volume(
            self.data, None, force=True, ignore_errors=True)
        self.assertEqual(3, self.connected())
        (self.holders / 'dm-3').unlink()
        self.connector().disconnect_volume(self.data, None)
        self.assertEqual(0, self.connected())

    def test_a_claim_that_cannot_be_made(self) -> None:
        nova = self.service('x' * 300)
        self.assertRaises(errors.NotReady, nova.connect_volume, self.data)
        self.assertEqual(0, self.connected())

    def test_one_that_leaves_while_another_waits(self) -> None:
        self.kernel.withdraw(self.nqn, VOLUME)
        with self.in_background(self.connect) as outcome:
            self.eventually(lambda: self.connected() == 3)
            # Nothing of the cluster is to be seen on the host yet.
            self.connector().disconnect_volume(
                self.properties(2, self.nqn), None)
            self.assertEqual([], self.calls('delete'))
            self.kernel.grant(self.nqn, VOLUME)
        self.assertEqual([str(self.kernel.dev / 'nvme0n1')], outcome)

    def test_connections_that_end_while_one_waits(self) -> None:
        """As when an administrator does it."""
        self.useFixture(fixtures.MockPatchObject(attach, 'RESCAN_AFTER', 0.0))
        self.kernel.withdraw(self.nqn, VOLUME)
        with self.in_background(self.connect) as outcome:
            self.eventually(lambda: self.calls('rescan'))
            for name in self.kernel.controllers(self.nqn):
                self.kernel.delete_controller(name, self.nqn)
            self.eventually(lambda: self.connected() == 3)
            self.kernel.grant(self.nqn, VOLUME)
        self.assertEqual([str(self.kernel.dev / 'nvme0n1')], outcome)
        self.assertEqual(6, len(self.calls('connect')))

    def test_connections_to_others_are_left_alone(self) -> None:
        name = 'nqn.2019-09.com.example:array'
        self.kernel.add_cluster(name, self.listener().endpoint)
        self.kernel.client_connects(name)
        self.connect()
        self.assertEqual(1, len(self.kernel.controllers(name)))

    def test_one_node_that_cannot_be_left(self) -> None:
        """The others are, and it is said which one it was."""
        self.connect()
        first, *others = self.kernel.controllers(self.nqn)
        real = self.kernel.delete_controller

        def slow(name: str, nqn: str) -> None:
            if name == first:
                raise OSError(errno.ETIMEDOUT, 'slow')
            real(name, nqn)

        with mock.patch.object(self.kernel, 'delete_controller', slow):
            error = self.assertRaises(
                errors.NotDeparted, self.connector().disconnect_volume,
                self.data, None)
        self.assertIn(f'{first}: [Errno {errno.ETIMEDOUT}] slow', str(error))
        self.assertEqual([first], self.kernel.controllers(self.nqn))
        self.connector().disconnect_volume(self.data, None)
        self.check_claims()


class SlowNodeTest(base.NativeTestCase):
    """A node whose privileged step runs out of time, as privsep tells."""

    def slow(self, step: str, bad: str) -> contextlib.AbstractContextManager[
            object]:
        """Have a step fail that is about a node or controller."""
        real = getattr(self.kernel, step)

        def act(*args: object) -> object:
            if bad in map(str, args):
                raise OSError(errno.ETIMEDOUT, 'slow')
            return real(*args)

        return mock.patch.object(self.kernel, step, act)

    def test_it_is_passed_over(self) -> None:
        port = self.fake.nodes[0].rpartition(':')[2]
        with self.slow('connect_controller', port):
            self.assertEqual(str(self.kernel.dev / 'nvme0n1'), self.connect())
        self.assertEqual(2, self.connected())

    def test_the_first_error_is_told(self) -> None:
        self.kernel.withdraw(self.nqn, VOLUME)
        with self.slow('delete_controller', 'nvme0'):
            self.assertRaises(errors.NotVisible, self.connect,
                              connect_timeout=0.2)
        self.assertEqual(1, self.connected())


class ServiceTest(base.BrickTestCase):

    def test_names(self) -> None:
        for project, program, name in (
                ('nova', '/usr/bin/nova-compute', 'nova-compute'),
                ('cinder', 'cinder-volume.py', 'cinder-volume'),
                ('glance', 'uwsgi', 'glance-uwsgi'),
                (None, '', '_'),
                ('x', 'a b/../c\n' + 'd' * 99, 'x-c_' + 'd' * 60)):
            self.useFixture(fixtures.MockPatch('sys.argv', [program]))
            with mock.patch.object(cfg.CONF, 'project', project,
                                   create=True):
                self.assertEqual(name, claims.service())
