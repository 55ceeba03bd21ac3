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

"""Connections that operations before have left without a volume."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from typing import Any
from unittest import mock

from os_brick_ext import parallel
from os_brick_ext import timing
from tests.unit.brick import base

VOLUME = base.volume(1)


class IdleTestCase(base.NativeTestCase):

    def server(self, number: int = 1) -> list[dict[str, Any]]:
        """Attach two volumes of a cluster, as for one server."""
        nqn = base.nqn(number)
        if nqn not in self.kernel.clusters:
            self.cluster(number)
        volumes = []
        for volume in (number, 100 + number):
            self.kernel.grant(nqn, base.volume(volume))
            volumes.append(self.properties(volume, nqn))
            self.connector().connect_volume(volumes[-1])
        return volumes

    def delete_server(self, number: int = 1) -> None:
        """Disconnect all volumes first, as Nova does, and then withdraw."""
        for data in self.server(number):
            self.connector().disconnect_volume(data, None)
        self.tidied()
        for volume in (number, 100 + number):
            self.kernel.withdraw(base.nqn(number), base.volume(volume))
        self.assertNotEqual([], self.kernel.controllers(base.nqn(number)))

    def other(self, number: int = 2) -> dict[str, Any]:
        """:returns: properties of a volume of another cluster."""
        nqn = self.cluster(number)
        self.kernel.grant(nqn, base.volume(number))
        return self.properties(number, nqn)


class IdleTest(IdleTestCase):

    def test_they_end_with_the_next_operation(self) -> None:
        data = self.other()
        self.delete_server()
        self.connector().connect_volume(data)
        self.tidied()
        self.assertEqual(0, self.connected())
        self.delete_server()
        self.connector().disconnect_volume(data, None)
        self.tidied()
        self.assertEqual(0, self.connected())
        self.assertEqual([], os.listdir(self.locks))

    def test_those_that_cannot_be_ended(self) -> None:
        data = self.other()
        self.delete_server()
        with mock.patch.object(
                self.kernel, 'delete_controller', autospec=True,
                side_effect=OSError(errno.ETIMEDOUT, 'slow')):
            self.connector().connect_volume(data)
            self.tidied()
        with self.connector()._way._locked(
                self.nqn, timing.Deadline.after(1)):
            self.connector().connect_volume(data)
            self.tidied()
        self.assertEqual(3, self.connected())

    def test_they_are_not_idle_while_a_volume_is_awaited(self) -> None:
        data = self.other()
        self.kernel.withdraw(self.nqn, VOLUME)
        with self.in_background(self.connect) as outcome:
            self.eventually(lambda: self.connected() == 3)
            self.connector().connect_volume(data)
            self.tidied()
            self.assertEqual([], self.calls('delete'))
            self.kernel.grant(self.nqn, VOLUME)
        self.assertEqual([str(self.kernel.dev / 'nvme0n1')], outcome)

    def test_errors_are_logged_and_not_raised(self) -> None:
        connector = self.connector()
        for kind in (OSError, ZeroDivisionError):
            with mock.patch.object(
                    connector._kernel, 'joined', autospec=True,
                    side_effect=kind('no')), \
                    self.assertLogs('os_brick_ext.leaving') as logs:
                connector.connect_volume(self.data)
                self.tidied()
            self.assertIn('Idle connections are left', logs.output[0])

    def test_a_system_without_a_thread_for_it(self) -> None:
        with mock.patch.object(parallel, 'aside', autospec=True,
                               side_effect=RuntimeError('no more')):
            self.connector()._way.tidy(0.0)


class HungTest(IdleTestCase):
    """A cluster whose nodes hang, with connections that are idle."""

    def setUp(self) -> None:
        super().setUp()
        self.asked, self.go_on = threading.Event(), threading.Event()
        # Before the wait for what was left to do.
        self.addCleanup(self.go_on.set)
        self.delete_server()

    def hang(self) -> contextlib.AbstractContextManager[object]:
        """Have the kernel wait for the nodes of the first cluster."""
        real = self.kernel.delete_controller

        def delete(name: str, nqn: str) -> None:
            if nqn == self.nqn:
                self.asked.set()
                self.go_on.wait(base.PATIENCE)
            real(name, nqn)

        return mock.patch.object(self.kernel, 'delete_controller', delete)

    def test_nobody_waits_for_them(self) -> None:
        """Neither who finds them nor another operation on its volume."""
        data = self.other()
        with self.hang():
            self.connector().connect_volume(data)
            self.assertTrue(self.asked.wait(base.PATIENCE))
            self.connector().connect_volume(data)
            self.connector().disconnect_volume(data, None)
            self.assertEqual(3, self.connected())
            self.go_on.set()
            self.tidied()
        self.assertEqual(0, self.connected())
        # Three nodes of one cluster and two of the other, each once.
        self.assertEqual(5, len(self.calls('delete')))

    def test_other_idle_ones_end_meanwhile(self) -> None:
        """Also those that only a later operation finds."""
        third = self.other(3)
        with self.hang():
            self.connector().connect_volume(third)
            self.assertTrue(self.asked.wait(base.PATIENCE))
            for data in self.server(2):
                self.connector().disconnect_volume(data, None)
            for volume in (2, 102):
                self.kernel.withdraw(base.nqn(2), base.volume(volume))
            self.connector().connect_volume(third)
            self.eventually(
                lambda: not self.kernel.controllers(base.nqn(2)))
            self.assertEqual(3, self.connected())


class CostTest(base.NativeTestCase):

    def reads(self, clusters: int) -> int:
        """:returns: how many files are read with so many clusters."""
        for number in range(len(self.kernel.clusters) + 1, clusters + 1):
            nqn = self.cluster(number, nodes=3)
            for volume in range(4):
                self.kernel.grant(nqn, base.volume(10 * number + volume))
            self.kernel.client_connects(nqn)
        self.connect()
        self.tidied()
        with mock.patch('os.open', wraps=os.open) as opened:
            self.connector()._way.tidy(time.monotonic())
            self.tidied()
        return sum(str(call.args[0]).startswith(str(self.kernel.sys))
                   for call in opened.call_args_list)

    def test_it_grows_with_what_there_is(self) -> None:
        """Not with clusters times volumes."""
        self.reads(2)
        second, third, fourth = (self.reads(number) for number in (3, 4, 5))
        self.assertGreater(third, second)
        self.assertEqual(third - second, fourth - third)
