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

"""What is particular to each way to connect."""

from __future__ import annotations

from concurrent import futures
import errno
import os
import threading
from typing import Any
from unittest import mock

from oslo_context import context
from oslo_context import fixture as context_fixture

from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import probe
from os_brick_ext import timing
from tests.unit.brick import base

VOLUME = base.volume(1)


class EarlyFailureTest(base.BrickTestCase):
    """Nothing is connected, and the discovery client is to blame or not."""

    def failure(self, **changes: object) -> str:
        data = self.properties(1, self.cluster(1))
        deadline = timing.Deadline.after(base.PATIENCE)
        error = self.assertRaises(
            errors.NotVisible, self.connector(
                early_failure_timeout=0.1, connect_timeout=2 * base.PATIENCE,
                **changes).connect_volume, data)
        self.assertFalse(deadline.expired())
        self.assertEqual([], self.drop_ins())
        return str(error)

    def test_the_module_is_missing(self) -> None:
        (self.kernel.sys / 'module/nvme_tcp/parameters').rmdir()
        (self.kernel.sys / 'module/nvme_tcp').rmdir()
        self.assertIn('modprobe nvme-tcp', self.failure())

    def test_the_client_is_dead(self) -> None:
        self.client.close()
        self.assertIn('the discovery client does not answer at 127.0.0.1',
                      self.failure())

    def test_the_client_connects_nothing(self) -> None:
        text = self.failure()
        self.assertIn('has connected nothing of', text)
        self.assertIn('192.0.2.11:8009, [2001:db8::11]:8009', text)

    def test_not_while_something_is_connected(self) -> None:
        """A dead client matters not to a volume that comes by itself."""
        nqn = self.cluster(1)
        self.client.close()
        self.kernel.client_connects(nqn)
        # Else it would be plain that it does not come.
        self.kernel.set_state('nvme1', 'connecting')
        with self.in_background(
                lambda: self.connector(
                    early_failure_timeout=0.05).connect_volume(
                        self.properties(1, nqn))) as outcome:
            over = timing.Deadline.after(0.2)
            self.eventually(over.expired)
            self.assertEqual([], outcome)
            self.kernel.grant(nqn, VOLUME)
        self.assertEqual('block', outcome[0]['type'])


class NativeTest(base.NativeTestCase):

    def test_all_nodes_are_connected_once(self) -> None:
        self.connect()
        self.connect()
        self.assertEqual(3, len(self.calls('connect')))
        self.assertEqual(3, self.connected())

    def test_many_at_once_have_it_connected_once(self) -> None:
        numbers = range(1, 21)
        for number in numbers:
            self.kernel.grant(self.nqn, base.volume(number))

        def attach(number: int) -> str:
            return self.connector().connect_volume(
                self.properties(number, self.nqn))['path']

        with mock.patch.object(
                probe, 'speaks_nvme', autospec=True,
                side_effect=probe.speaks_nvme) as asked, \
                futures.ThreadPoolExecutor(len(numbers)) as pool:
            paths = list(pool.map(attach, numbers))
        self.assertEqual(len(numbers), len(set(paths)))
        self.assertEqual(3, len(self.calls('connect')))
        self.assertEqual(3, asked.call_count)

    def test_each_of_many_says_which_volume_it_was(self) -> None:
        """Though what went wrong is found out for all of them."""
        self.fake.dead.update(self.fake.nodes)

        def attach(number: int) -> str:
            error = self.assertRaises(
                errors.NotVisible, self.connector().connect_volume,
                self.properties(number, self.nqn))
            return str(error)

        with futures.ThreadPoolExecutor(4) as pool:
            for number, text in enumerate(pool.map(attach, range(1, 5)), 1):
                self.assertIn(base.volume(number), text)

    def test_worker_threads_know_the_request(self) -> None:
        self.useFixture(context_fixture.ClearRequestContext())
        request = context.RequestContext(overwrite=True)
        seen = []
        real = self.kernel.connect_controller

        def spy(*args: str | int) -> str:
            seen.append(context.get_current().request_id)
            return real(*args)  # type: ignore[arg-type]

        with mock.patch.object(self.kernel, 'connect_controller', spy):
            self.connect()
        self.assertEqual([request.request_id] * 3, seen)

    def test_missing_nodes_are_added(self) -> None:
        self.connect()
        self.fake.nodes.append(self.listener().endpoint)
        self.data = self.properties(1, self.nqn)
        self.connect()
        self.assertEqual(4, self.connected())

    def test_a_node_that_refuses(self) -> None:
        self.fake.dead.add(self.fake.nodes[0])
        self.connect()
        self.assertEqual(2, self.connected())

    def test_a_node_that_is_down_is_not_asked_of_the_kernel(self) -> None:
        down = self.listener()
        down.close()
        self.fake.nodes.append(down.endpoint)
        self.data = self.properties(1, self.nqn)
        self.connect()
        self.assertEqual(3, len(self.calls('connect')))

    def test_ipv6(self) -> None:
        self.fake.nodes[:] = [self.listener(address='::1').endpoint]
        self.data = self.properties(1, self.nqn)
        self.connect()
        self.connect()
        self.assertEqual(1, len(self.calls('connect ::1 ')))

    def refused(self, number: int) -> errors.NotVisible:
        """:returns: what is told when the kernel will not connect."""
        with mock.patch.object(
                self.kernel, 'connect_controller', autospec=True,
                side_effect=OSError(number, os.strerror(number))):
            error: errors.NotVisible = self.assertRaises(
                errors.NotVisible, self.connector().connect_volume,
                self.data)
        return error

    def test_a_cluster_that_refuses_the_host(self) -> None:
        error = self.refused(errno.EIO)
        self.assertIn(f'grant access to {base.HOST_NQN}?', str(error))

    def test_the_module_for_tcp_is_missing(self) -> None:
        (self.kernel.sys / 'module/nvme_tcp/parameters').rmdir()
        (self.kernel.sys / 'module/nvme_tcp').rmdir()
        error = self.refused(errno.EINVAL)
        self.assertIn('kernel module nvme_tcp is missing', str(error))
        self.assertIn('modprobe nvme-tcp', str(error))

    def test_a_host_with_two_ids(self) -> None:
        """The kernel has no other word for it than for what it mistakes."""
        error = self.refused(errno.EINVAL)
        self.assertIn(
            f'with another than {base.HOST_ID}', str(error))

    def test_a_rescan_that_fails_is_no_failure(self) -> None:
        self.connect()
        self.kernel.deaf.add('events')
        self.kernel.resize(self.nqn, VOLUME, 3 << 30)
        self.kernel.set_state('nvme0', 'connecting')
        real = self.kernel.rescan_controller

        def some(name: str, nqn: str) -> None:
            if name == 'nvme1':
                raise FileNotFoundError(errno.ENOENT, name)
            real(name, nqn)

        with mock.patch.object(self.kernel, 'rescan_controller', some):
            self.assertEqual(
                3 << 30, self.connector().extend_volume(self.data))
        # One is not live, and one has just gone.
        self.assertEqual(['rescan nvme2'], self.calls('rescan'))

    def test_no_node_at_all(self) -> None:
        self.fake.dead.update(self.fake.nodes)
        error = self.assertRaises(
            errors.NotVisible, self.connector().connect_volume, self.data)
        for node in self.fake.nodes:
            self.assertIn(f'{node}: [Errno {errno.ECONNREFUSED}]', str(error))

    def test_no_module(self) -> None:
        (self.kernel.sys / 'module/nvme_fabrics/parameters').rmdir()
        (self.kernel.sys / 'module/nvme_fabrics').rmdir()
        error = self.assertRaises(
            errors.NotReady, self.connector().connect_volume, self.data)
        self.assertIn('modprobe nvme-tcp', str(error))
        self.assertEqual([], self.kernel.calls)

    def test_a_host_without_id(self) -> None:
        self.get_host_id.return_value = None
        error = self.assertRaises(
            errors.NotReady, self.connector().connect_volume, self.data)
        self.assertIn('/etc/nvme/hostid', str(error))

    def test_the_host_id_goes_with_the_nqn(self) -> None:
        self.connect()
        self.get_host_id.assert_called_with(base.HOST_ID)
        self.connector().disconnect_volume(self.data, None)
        self.get_host_nqn.return_value = 'nqn.2019-09.com.example:host:n1'
        self.connect()
        self.get_host_id.assert_called_with(None)

    def test_somebody_else_connects_meanwhile(self) -> None:
        real = self.kernel.connect_controller

        def late(*args: str | int) -> str:
            real(*args)  # type: ignore[arg-type]
            return real(*args)  # type: ignore[arg-type]

        with mock.patch.object(self.kernel, 'connect_controller', late):
            self.connect()
        self.assertEqual(3, self.connected())

    def test_the_paths_in_use_end_last(self) -> None:
        """Else a process that dies leaves buffers nobody can write."""
        self.connect()
        first, *others = self.kernel.controllers(self.nqn)
        number = first.removeprefix('nvme')
        for path in (self.kernel.sys / 'class/block').glob('nvme*c*n*'):
            if f'c{number}n' not in path.name:
                (path / 'ana_state').write_text('inaccessible\n')
        self.kernel.calls.clear()
        self.connector().disconnect_volume(self.data, None)
        ended = [call.split()[1] for call in self.kernel.calls
                 if call.startswith('delete')]
        self.assertEqual(set(others), set(ended[:2]))
        self.assertEqual([first], ended[2:])

    def test_a_controller_that_is_gone_already(self) -> None:
        self.connect()
        real = self.kernel.delete_controller

        def twice(name: str, nqn: str) -> None:
            real(name, nqn)
            real(name, nqn)

        with mock.patch.object(self.kernel, 'delete_controller', twice):
            self.connector().disconnect_volume(self.data, None)
        self.assertEqual(0, self.connected())

    def test_a_volume_that_vanishes_in_the_last_moment(self) -> None:
        """Seen, but not under the lock: another service has just left."""
        connector = self.connector()
        find = connector._kernel.find
        answers = []

        def unlucky_once(key: conn_props.VolumeKey) -> bool:
            if not answers:
                for name in self.kernel.controllers(self.nqn):
                    self.kernel.delete_controller(name, self.nqn)
            found = find(key)
            answers.append(found is not None)
            return found

        with mock.patch.object(connector._kernel, 'find', unlucky_once):
            connector.connect_volume(self.data)
        self.assertEqual([False, True], answers)
        self.assertEqual(3, self.connected())

    def test_a_volume_is_looked_at_while_nobody_disconnects(self) -> None:
        self.connect()
        way = self.connector()._way
        key = conn_props.VolumeKey.from_dict(self.data)
        soon = timing.Deadline.after(0.1)
        self.assertIsNotNone(way.find(key, soon))
        with way._locked(self.nqn, timing.Deadline.after(1)):
            self.assertRaises(errors.Busy, way.find, key, soon)
            # One that is not here needs no lock to be known as such.
            self.assertIsNone(way.find(
                conn_props.VolumeKey(base.volume(9), self.nqn), soon))

    def test_who_has_more_time_does_it_again(self) -> None:
        """Many have it connected once, but each has its own deadline."""
        way = self.connector()._way
        asked = threading.Event()
        real = probe.speaks_nvme

        def ask(*args: Any) -> str | None:
            asked.set()
            return real(*args)

        with futures.ThreadPoolExecutor(2) as pool, mock.patch.object(
                probe, 'speaks_nvme', ask):
            with way._locked(self.nqn, timing.Deadline.after(1)):
                hasty = pool.submit(self.connect, connect_timeout=0.5)
                asked.wait(base.PATIENCE)
                self.kernel.grant(self.nqn, base.volume(2))
                other = pool.submit(
                    self.connector().connect_volume,
                    self.properties(2, self.nqn))
                self.assertIsInstance(hasty.exception(), errors.Busy)
                self.assertFalse(other.done())
            self.assertEqual('block', other.result()['type'])

    def test_what_is_connected_is_left_at_that(self) -> None:
        self.connect()
        self.get_host_nqn.reset_mock()
        with mock.patch.object(probe, 'speaks_nvme', autospec=True) as asked:
            self.connector().connect_volume(self.data)
        self.assertFalse(asked.called)
        self.assertFalse(self.get_host_nqn.called)
