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

"""Deadlines, the waiter, the kernel's events and the locks."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import time
from unittest import mock

import fixtures
from oslotest import base as test_base

from os_brick_ext import errors
from os_brick_ext import locks
from os_brick_ext import timing
from os_brick_ext import uevents
from tests.unit.brick import base

BLOCK = (b'add@/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1\0'
         b'ACTION=add\0SUBSYSTEM=block\0DEVNAME=nvme0n1\0')
CONTROLLER = b'change@/devices/x\0ACTION=change\0SUBSYSTEM=nvme\0'
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

    def test_running_out(self) -> None:
        questions: list[bool] = []
        error = self.assertRaises(
            timing.TimedOut, timing.wait_until,
            lambda: questions.append(True), timing.Deadline.after(0.05), 'it')
        self.assertEqual('it', error.what)
        self.assertGreater(len(questions), 1)

    def test_no_pause_goes_beyond_the_deadline(self) -> None:
        wake = timing.Quiet()
        with mock.patch.object(wake, 'wait', wraps=wake.wait) as spy:
            self.assertRaises(
                timing.TimedOut, timing.wait_until, lambda: None,
                timing.Deadline.after(0.01), 'it', wake)
        self.assertLessEqual(spy.call_args_list[0].args[0], 0.01)

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
        ours, self.kernel = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(ours.close)
        self.addCleanup(self.kernel.close)
        self.socket = ours
        self.events = uevents.KernelEvents(ours)

    def waited(self, seconds: float) -> float:
        started = time.monotonic()
        self.events.wait(seconds)
        return time.monotonic() - started

    def test_what_matters(self) -> None:
        self.assertTrue(uevents.is_relevant(BLOCK))
        self.assertTrue(uevents.is_relevant(CONTROLLER))
        self.assertFalse(uevents.is_relevant(OTHER))
        self.assertFalse(uevents.is_relevant(b''))

    def test_an_event_ends_the_pause(self) -> None:
        self.kernel.send(OTHER)
        self.kernel.send(BLOCK)
        self.assertLess(self.waited(base.PATIENCE), base.PATIENCE / 2)

    def test_other_events_do_not(self) -> None:
        self.kernel.send(OTHER)
        self.assertGreaterEqual(self.waited(0.05), 0.04)

    def test_a_burst_is_one_event(self) -> None:
        for _event in range(5):
            self.kernel.send(BLOCK)
        self.waited(base.PATIENCE)
        self.assertGreaterEqual(self.waited(0.05), 0.04)

    def test_no_time_is_no_wait(self) -> None:
        self.waited(0.0)
        self.kernel.send(BLOCK)
        self.waited(0.0)

    def test_an_overflow_counts_as_event(self) -> None:
        broken = mock.create_autospec(socket.socket, instance=True)
        broken.recv.side_effect = [
            OSError(errno.ENOBUFS, 'lost'), BlockingIOError()]
        uevents.KernelEvents(broken).wait(base.PATIENCE)
        self.assertEqual(2, broken.recv.call_count)

    def test_other_errors_go_up(self) -> None:
        self.socket.close()
        self.assertRaises(OSError, self.events.wait, 1.0)

    def test_the_real_thing_opens_and_closes(self) -> None:
        with uevents.listen() as wake:
            wake.wait(0.0)

    def test_no_netlink(self) -> None:
        self.useFixture(fixtures.MockPatch(
            'socket.socket', autospec=True,
            side_effect=OSError(errno.EAFNOSUPPORT, 'none')))
        with uevents.listen() as wake:
            self.assertIsInstance(wake, timing.Quiet)


class LocksTest(test_base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.locks = locks.Locks(self.folder)

    def held(self, name: str, seconds: float = 0.05, shared: bool = False):
        return self.locks.held(
            name, timing.Deadline.after(seconds), shared)

    def take(self, name: str) -> None:
        with self.held(name):
            pass

    def test_it_excludes(self) -> None:
        with self.held('one'):
            self.assertRaises(errors.Busy, self.take, 'one')
            self.take('two')
        self.take('one')

    def test_it_can_be_shared(self) -> None:
        with contextlib.ExitStack() as stack:
            first = self.held('one', shared=True)
            first.__enter__()
            stack.enter_context(self.held('one', shared=True))
            self.assertRaises(errors.Busy, self.take, 'one')
            # Who leaves first must leave it to the other.
            first.__exit__(None, None, None)
            self.assertRaises(errors.Busy, self.take, 'one')
            stack.enter_context(self.held('one', shared=True))
        self.assertEqual([], os.listdir(self.folder))
        with self.held('one'):
            self.assertRaises(
                errors.Busy, self.held('one', shared=True).__enter__)

    def test_it_excludes_other_processes(self) -> None:
        text = (
            'import sys\n'
            'from os_brick_ext import errors, locks, timing\n'
            'try:\n'
            '    with locks.Locks(sys.argv[1]).held(\n'
            '            "one", timing.Deadline.after(0.05)):\n'
            '        print("taken")\n'
            'except errors.Busy:\n'
            '    print("busy")\n')

        def outcome() -> str:
            return subprocess.run(
                [sys.executable, '-W', 'ignore', '-c', text, self.folder],
                check=True, capture_output=True, text=True).stdout.strip()

        with self.held('one'):
            self.assertEqual('busy', outcome())
        self.assertEqual('taken', outcome())

    def test_no_file_is_left(self) -> None:
        self.take('one')
        self.assertEqual([], os.listdir(self.folder))

    def test_it_is_let_go_after_an_error(self) -> None:
        def fail() -> None:
            with self.held('one'):
                raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, fail)
        self.take('one')

    def test_a_file_that_was_replaced_is_no_lock(self) -> None:
        """Who waited on a removed file must not hold it beside another."""
        path = os.path.join(self.folder, f'{locks.PREFIX}one')
        real = os.stat

        def replaced(*args, **kwargs):
            os.stat = real
            os.unlink(path)
            return real(self.folder)

        with self.held('one', base.PATIENCE):
            pass
        os.stat = replaced
        self.addCleanup(setattr, os, 'stat', real)
        with self.held('one', base.PATIENCE):
            self.assertTrue(os.path.exists(path))
            self.assertRaises(errors.Busy, self.take, 'one')

    def test_files_of_others_do(self) -> None:
        path = os.path.join(self.folder, f'{locks.PREFIX}one')
        with open(path, 'w'):
            os.chmod(path, 0o444)
        self.take('one')

    def test_a_folder_that_cannot_be_used(self) -> None:
        for folder, words in (('', 'lock_path'),
                              (f'{self.folder}/none', self.folder)):
            self.locks = locks.Locks(folder)
            error = self.assertRaises(errors.NotReady, self.take, 'one')
            self.assertIn(words, str(error))
