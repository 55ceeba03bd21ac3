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

"""Locks between hosts, with real lock files."""

from collections.abc import Callable
import threading
import time

import fixtures
from oslotest import base
from tooz import coordination

from cinder_lightbits_federation import locks
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded

NAME = 'lightbits-test'


class LockTestCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.here, self.there = self.host('a'), self.host('b')

    def host(self, name: str) -> locks.GetLock:
        """Another host that shares the lock files."""
        found = coordination.get_coordinator(f'file://{self.folder}',
                                             name.encode())
        found.start()
        self.addCleanup(found.stop)
        get_lock: Callable[[bytes], locks.Lock] = found.get_lock
        return lambda name: get_lock(name.encode())

    def held(self) -> bool:
        """Whether somebody has the lock."""
        lock = self.there(NAME)
        if not lock.acquire(blocking=False):
            return True
        lock.release()
        return False

    def test_it_is_held_inside_and_released_after(self) -> None:
        with locks.hold(self.here, NAME, Deadline.after(5)):
            self.assertIs(True, self.held())
        self.assertIs(False, self.held())

    def test_it_is_released_when_the_body_fails(self) -> None:
        def fail() -> None:
            with locks.hold(self.here, NAME, Deadline.after(5)):
                raise ValueError('body')

        self.assertRaises(ValueError, fail)
        self.assertIs(False, self.held())

    def test_the_body_never_runs_without_the_lock(self) -> None:
        ran: list[bool] = []
        lock = self.there(NAME)
        self.assertTrue(lock.acquire(blocking=False))
        self.addCleanup(lock.release)

        def wait() -> None:
            with locks.hold(self.here, NAME, Deadline.after(0.1)):
                ran.append(True)

        error = self.assertRaises(DeadlineExceeded, wait)
        self.assertIn(NAME, str(error))
        self.assertEqual([], ran)

    def test_it_waits_for_its_turn(self) -> None:
        order: list[str] = []
        lock = self.there(NAME)
        self.assertTrue(lock.acquire(blocking=False))

        def let_go() -> None:
            time.sleep(0.1)
            order.append('released')
            lock.release()

        thread = threading.Thread(target=let_go)
        thread.start()
        with locks.hold(self.here, NAME, Deadline.after(10)):
            order.append('held')
        thread.join()

        self.assertEqual(['released', 'held'], order)

    def test_locks_of_different_volumes_do_not_meet(self) -> None:
        one, other = (locks.snapshots_of(name_id) for name_id in 'ab')
        self.assertNotEqual(one, other)
        with locks.hold(self.here, one, Deadline.after(5)), \
                locks.hold(self.here, other, Deadline.after(5)):
            self.assertIs(False, self.held())


class FailingLock:
    """A lock whose service is away for a while.

    :param refusals: attempts that fail before one succeeds.
    :param release: what giving it back answers, or raises.
    """

    def __init__(self, refusals: int = 0,
                 release: bool | Exception = True) -> None:
        self.refusals = refusals
        self.answer = release

    def acquire(self, blocking: bool = True) -> bool:
        if self.refusals:
            self.refusals -= 1
            raise coordination.ToozConnectionError('refused by 192.0.2.9')
        return True

    def release(self) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class ServiceAwayTestCase(base.BaseTestCase):
    """The service that keeps the locks fails."""

    def logged(self) -> fixtures.FakeLogger:
        log: fixtures.FakeLogger = self.useFixture(fixtures.FakeLogger())
        return log

    def test_it_comes_back(self) -> None:
        lock = FailingLock(refusals=2)

        with locks.hold(lambda name: lock, NAME, Deadline.after(10)):
            self.assertEqual(0, lock.refusals)

    def test_it_comes_back_before_there_is_a_lock(self) -> None:
        asked: list[str] = []

        def get_lock(name: str) -> locks.Lock:
            asked.append(name)
            if len(asked) < 3:
                raise coordination.ToozConnectionError('no coordinator')
            return FailingLock()

        with locks.hold(get_lock, NAME, Deadline.after(10)):
            self.assertEqual([NAME] * 3, asked)

    def test_it_stays_away(self) -> None:
        def wait() -> None:
            with locks.hold(lambda name: FailingLock(10 ** 6), NAME,
                            Deadline.after(0.1)):
                self.fail('there was no lock')

        error = self.assertRaises(DeadlineExceeded, wait)

        self.assertIn(NAME, str(error))
        self.assertIn('192.0.2.9', str(error))

    def test_it_goes_away_while_the_lock_is_held(self) -> None:
        log = self.logged()
        lock = FailingLock(release=coordination.ToozConnectionError('gone'))

        with locks.hold(lambda name: lock, NAME, Deadline.after(1)):
            pass

        self.assertIn(f'Lock {NAME} could not be released', log.output)
        self.assertIn('gone', log.output)

    def test_the_lock_was_lost(self) -> None:
        log = self.logged()

        with locks.hold(lambda name: FailingLock(release=False), NAME,
                        Deadline.after(1)):
            pass

        self.assertIn(f'Lock {NAME} was lost', log.output)
