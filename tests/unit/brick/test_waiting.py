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

"""Deadlines, the waiter and the kernel's events."""

from __future__ import annotations

from concurrent import futures
import errno
import math
import os
import socket
import threading
import time
from unittest import mock

import fixtures
from oslotest import base as test_base

from os_brick_ext import errors
from os_brick_ext import flights
from os_brick_ext import sysfs
from os_brick_ext import timing
from os_brick_ext import uevents
from tests.unit.brick import base

BLOCK = (b'add@/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1\0'
         b'ACTION=add\0SUBSYSTEM=block\0DEVNAME=nvme0n1\0')
CONTROLLER = b'change@/devices/x\0ACTION=change\0SUBSYSTEM=nvme\0'
# Each namespace has such a character device as well.
GENERIC = (b'add@/devices/virtual/nvme-generic/ng0n1\0'
           b'ACTION=add\0SUBSYSTEM=nvme-generic\0DEVNAME=ng0n1\0')
OTHER = b'add@/devices/usb\0ACTION=add\0SUBSYSTEM=usb\0NAME=nvme-block\0'


class Recorder:
    """Takes up how long it was asked to wait, and does not."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def wait(self, seconds: float) -> None:
        self.pauses.append(seconds)


class WaiterTest(test_base.BaseTestCase):

    def test_no_wait_for_what_is_there(self) -> None:
        wake = Recorder()
        self.assertEqual(0, timing.wait_until(
            lambda: 0, timing.Deadline.after(0), 'it', wake))
        self.assertEqual([], wake.pauses)

    def test_pauses_grow_up_to_a_second(self) -> None:
        wake = Recorder()
        answers = iter([None] * 20 + [1])
        timing.wait_until(lambda: next(answers),
                          timing.Deadline.after(1000), 'it', wake)
        self.assertEqual(sorted(wake.pauses), wake.pauses)
        self.assertEqual(timing.FIRST_PAUSE, wake.pauses[0])
        self.assertEqual(timing.LONGEST_PAUSE, wake.pauses[-1])

    def test_the_first_pause_may_be_another(self) -> None:
        wake = Recorder()
        answers = iter([None, 1])
        timing.wait_until(lambda: next(answers), timing.Deadline.after(1000),
                          'it', wake, first=0.5)
        self.assertEqual([0.5], wake.pauses)

    def test_pauses_are_longer_than_looks(self) -> None:
        """However many look, most of the time nobody does."""
        wake = Recorder()
        answers = iter([None, 1])

        def look() -> int | None:
            time.sleep(0.01)
            return next(answers)

        timing.wait_until(look, timing.Deadline.after(1000), 'it', wake)
        self.assertGreaterEqual(wake.pauses[0], 0.01 * timing.SPACING)

    def test_running_out(self) -> None:
        questions: list[bool] = []
        error = self.assertRaises(
            timing.TimedOut, timing.wait_until,
            lambda: questions.append(True), timing.Deadline.after(0.05), 'it')
        self.assertEqual('it', error.what)
        self.assertGreater(len(questions), 1)

    def test_no_pause_goes_beyond_the_deadline(self) -> None:
        wake = timing.Quiet()
        with mock.patch.object(wake, 'wait', wraps=wake.wait) as spy, \
                mock.patch.multiple(timing, FIRST_PAUSE=base.PATIENCE,
                                    LONGEST_PAUSE=base.PATIENCE):
            self.assertRaises(
                timing.TimedOut, timing.wait_until, lambda: None,
                timing.Deadline.after(0.5), 'it', wake)
        self.assertLessEqual(spy.call_args_list[0].args[0], 0.5)

    def test_deadlines(self) -> None:
        deadline = timing.Deadline.after(base.PATIENCE)
        self.assertFalse(deadline.expired())
        self.assertLessEqual(deadline.remaining(), base.PATIENCE)
        self.assertGreaterEqual(deadline.elapsed(), 0.0)
        over = timing.Deadline.after(-1)
        self.assertTrue(over.expired())
        self.assertEqual(0.0, over.remaining())


class EventsTest(test_base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        # A datagram is an event, as on the real thing.
        self.socket, self.kernel = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.kernel.close)
        self.addCleanup(self.socket.close)
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.opened = 0
        self.listener = uevents.Listener(
            sysfs.Sysfs(self.folder), self.open)

    def open(self) -> socket.socket:
        self.opened += 1
        return self.socket.dup()

    def have_device(self, name: str, wwid: str) -> None:
        folder = os.path.join(self.folder, 'class', 'block', name)
        os.makedirs(folder)
        with open(os.path.join(folder, 'wwid'), 'w') as file:
            file.write(f'{wwid}\n')

    def woken(self, waiter: uevents.Waiter, seconds: float = base.PATIENCE
              ) -> bool:
        started = time.monotonic()
        waiter.wait(seconds)
        return time.monotonic() - started < seconds * 0.8

    def test_only_whom_it_is_about_is_woken(self) -> None:
        self.have_device('nvme0n1', 'uuid.1')
        with self.listener.listening('uuid.1') as one, \
                self.listener.listening('uuid.2') as other:
            self.kernel.send(OTHER)
            self.kernel.send(BLOCK)
            self.assertTrue(one.heard)
            self.assertTrue(self.woken(one))
            self.assertFalse(self.woken(other, 0.05))
        self.assertEqual(1, self.opened)

    def test_a_controller_is_about_all(self) -> None:
        with self.listener.listening('uuid.1') as one, \
                self.listener.listening('uuid.2') as other:
            self.kernel.send(CONTROLLER)
            self.assertTrue(self.woken(one))
            self.assertTrue(self.woken(other))

    def test_other_events_wake_nobody(self) -> None:
        with self.listener.listening('uuid.1') as waiter:
            self.kernel.send(OTHER)
            self.kernel.send(GENERIC)
            self.kernel.send(b'')
            self.kernel.send(BLOCK)
            self.assertFalse(self.woken(waiter, 0.05))

    def test_several_events_count_once(self) -> None:
        with self.listener.listening('uuid.1') as waiter:
            for _event in range(5):
                waiter.wake()
            self.assertTrue(self.woken(waiter))
            self.assertFalse(self.woken(waiter, 0.05))

    def test_an_event_before_the_pause_ends_it(self) -> None:
        with self.listener.listening('uuid.1') as waiter:
            waiter.wake()
            self.assertTrue(self.woken(waiter))

    def test_a_device_that_cannot_be_read_may_be_anybodys(self) -> None:
        with self.listener.listening('uuid.1') as one, \
                self.listener.listening('uuid.2') as two:
            with mock.patch.object(
                    sysfs.Sysfs, 'learn', autospec=True,
                    side_effect=errors.Unreadable('too many open files')):
                self.kernel.send(BLOCK)
                self.assertTrue(self.woken(one))
                self.assertTrue(self.woken(two))
            self.assertTrue(self.listener.busy)

    def test_an_overflow_may_be_about_anybody(self) -> None:
        class Overflown(socket.socket):
            overflown = True

            def recv(self, *args: int) -> bytes:
                if self.overflown:
                    self.overflown = False
                    raise OSError(errno.ENOBUFS, 'lost')
                return super().recv(*args)

        listener = uevents.Listener(
            sysfs.Sysfs(self.folder),
            lambda: Overflown(fileno=os.dup(self.socket.fileno())))
        with listener.listening('uuid.1') as waiter:
            self.assertTrue(self.woken(waiter))

    def test_the_thread_ends_and_another_begins(self) -> None:
        self.useFixture(fixtures.MockPatch(
            'os_brick_ext.uevents.LINGER', 0.01))
        for times in (1, 2):
            with self.listener.listening('uuid.1') as waiter:
                self.kernel.send(CONTROLLER)
                self.assertTrue(self.woken(waiter))
            self.assertEqual(times, self.opened)
            end = time.monotonic() + base.PATIENCE
            while self.listener.busy:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.005)

    def test_the_real_thing_opens(self) -> None:
        with uevents.listen(sysfs.Sysfs(self.folder), 'uuid.1') as wake:
            wake.wait(0.0)

    def test_no_netlink(self) -> None:
        self.useFixture(fixtures.MockPatch(
            'socket.socket', autospec=True,
            side_effect=OSError(errno.EAFNOSUPPORT, 'none')))
        listener = uevents.Listener(sysfs.Sysfs(self.folder))
        with listener.listening('uuid.1') as waiter:
            self.assertFalse(listener.busy)
            self.assertFalse(waiter.heard)
            self.assertFalse(self.woken(waiter, 0.05))


class Key:
    """Knows how often it was used."""

    def __init__(self) -> None:
        self.uses = 0

    def __hash__(self) -> int:
        self.uses += 1
        return 1


class FlightsTest(test_base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.flights = flights.Flights()
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.began = time.monotonic()
        self.calls = 0

    def act(self) -> int:
        self.calls += 1
        self.started.set()
        self.go_on.wait(base.PATIENCE)
        return self.calls

    def fail(self) -> int:
        self.act()
        raise ZeroDivisionError

    def together(self, act, keys: tuple[Key, ...]
                 ) -> list[futures.Future[int]]:
        """Ask for all while the first is under way."""
        distinct = list({id(key): key for key in keys}.values())
        with futures.ThreadPoolExecutor(len(keys)) as pool:
            asked = [pool.submit(
                self.flights.join, keys[0], act, self.began)]
            self.started.wait(base.PATIENCE)
            asked += [pool.submit(self.flights.join, key, act, math.inf)
                      for key in keys[1:]]
            # Each asks for its key, and the first of each sets it.
            end = time.monotonic() + base.PATIENCE
            while (sum(key.uses for key in distinct)
                    < len(keys) + len(distinct)):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.005)
            self.go_on.set()
        return asked

    def test_once_for_all(self) -> None:
        done = self.together(self.act, (Key(),) * 5)
        self.assertEqual([1] * 5, [one.result() for one in done])
        self.assertEqual(1, self.calls)

    def test_others_do_their_own(self) -> None:
        self.together(self.act, (Key(), Key(), Key()))
        self.assertEqual(3, self.calls)

    def test_all_learn_of_an_error(self) -> None:
        for one in self.together(self.fail, (Key(),) * 2):
            self.assertIsInstance(one.exception(), ZeroDivisionError)
        self.assertEqual(1, self.calls)

    def test_one_that_is_ended_takes_nobody_along(self) -> None:
        """As eventlet ends a green thread."""
        class Ended(BaseException):
            pass

        def act() -> int:
            if self.act() == 1:
                raise Ended
            return self.calls

        done = self.together(act, (Key(),) * 3)
        self.assertIsInstance(done[0].exception(), Ended)
        for one in done[1:]:
            self.assertIn(one.result(), (2, 3))

    def test_nobody_waits_for_ever(self) -> None:
        with futures.ThreadPoolExecutor(1) as pool:
            first = pool.submit(self.flights.join, 'one', self.act,
                                self.began)
            self.started.wait(base.PATIENCE)
            self.assertRaises(timing.TimedOut, self.flights.join, 'one',
                              self.act, math.inf, 0.01)
            self.go_on.set()
            self.assertEqual(1, first.result())

    def test_its_own_timeout_is_no_other(self) -> None:
        fail = mock.Mock(side_effect=TimeoutError('of the node'))
        self.assertRaises(TimeoutError, self.flights.join, 'one', fail, 0.0,
                          60.0)

    def test_a_child_starts_anew(self) -> None:
        self.go_on.set()
        self.flights.join('one', self.act, self.began)
        self.flights.clear()
        self.assertEqual(2, self.flights.join('one', self.act, self.began))

    def test_the_next_one_starts_anew(self) -> None:
        self.go_on.set()
        self.assertRaises(
            ZeroDivisionError, self.flights.join, 'one', self.fail, 0.0)
        self.assertEqual(2, self.flights.join('one', self.act, 0.0))
        self.assertEqual(
            3, self.flights.join('one', self.act, time.monotonic()))

    def test_who_came_before_takes_what_was_done_since(self) -> None:
        self.go_on.set()
        for _each in range(3):
            self.assertEqual(
                1, self.flights.join('one', self.act, self.began))
        self.assertEqual(2, self.flights.join('two', self.act, self.began))

    def test_nothing_is_kept_for_long(self) -> None:
        self.go_on.set()
        self.useFixture(fixtures.MockPatch(
            'os_brick_ext.flights.KEPT', 0.0))
        self.flights.join('one', self.act, self.began)
        self.flights.join('two', self.act, self.began)
        self.assertEqual(['two'], list(self.flights._known))
