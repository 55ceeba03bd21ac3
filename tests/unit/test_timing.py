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

"""Deadlines and the one waiter."""

import threading
import time

from oslotest import base

from cinder_lightbits_federation import timing


class DeadlineTestCase(base.BaseTestCase):

    def test_runs_out(self) -> None:
        deadline = timing.Deadline.after(0.02)
        self.assertFalse(deadline.expired())
        deadline.check('something')
        self.assertLessEqual(deadline.remaining(), 0.02)
        timing.pause(0.03)
        self.assertTrue(deadline.expired())
        self.assertEqual(0.0, deadline.remaining())
        error = self.assertRaises(timing.DeadlineExceeded, deadline.check,
                                  'something', 'state Creating')
        self.assertEqual(
            'ran out of time: something; last seen: state Creating',
            str(error))
        self.assertEqual(('something', 'state Creating'),
                         (error.what, error.last))

    def test_capped_is_the_earlier(self) -> None:
        deadline = timing.Deadline.after(10)
        self.assertEqual(deadline, deadline.capped(20))
        self.assertLessEqual(deadline.capped(1).remaining(), 1)


class PaceTestCase(base.BaseTestCase):

    def waits(self, pace: timing.Pace, usual: float, limit: int) -> int:
        """Wait until the first question is asked in good time, or never.

        :returns: how many waits that took.
        """
        for number in range(limit):
            if pace.first <= usual * timing.LATER:
                return number
            pace.learn(pace.first, 1)
        return limit

    def test_one_long_wait_is_soon_forgotten(self) -> None:
        pace = timing.Pace()
        pace.learn(0.05, 2)
        pace.learn(0.8, 2)

        self.assertLess(self.waits(pace, 0.05, 100), 40)

    def test_what_stays_the_same_is_asked_for_once(self) -> None:
        pace, usual, asked = timing.Pace(), 0.2, 0
        pace.learn(usual, 2)
        for _number in range(100):
            early = pace.first < usual
            asked += 2 if early else 1
            pace.learn(max(pace.first, usual), 2 if early else 1)
        self.assertLess(asked, 125)


class PausesTestCase(base.BaseTestCase):

    def test_grow_and_stay_within_their_jitter(self) -> None:
        following = timing.pauses()
        step = timing.FIRST_PAUSE
        for _ in range(30):
            pause = following()
            self.assertLessEqual(step * (1 - timing.JITTER), pause)
            self.assertLessEqual(pause, step * (1 + timing.JITTER))
            step = min(step * timing.GROWTH, timing.LONGEST_PAUSE)
        self.assertEqual(timing.LONGEST_PAUSE, step)

    def test_waiters_do_not_share_their_step(self) -> None:
        first = timing.pauses()
        for _ in range(20):
            first()
        self.assertLess(timing.pauses()(), 0.1)

    def test_a_pause_can_be_cut_short(self) -> None:
        stop = threading.Event()
        self.assertFalse(timing.pause(0.001, stop))
        stop.set()
        started = time.monotonic()
        self.assertTrue(timing.pause(60, stop))
        self.assertLess(time.monotonic() - started, 10)


class WaitUntilTestCase(base.BaseTestCase):

    def test_first_answer_that_is_not_none(self) -> None:
        answers = [None, None, 0]
        self.assertEqual(0, timing.wait_until(
            lambda: answers.pop(0), timing.Deadline.after(10), 'x'))
        self.assertEqual([], answers)

    def test_asks_at_once_even_without_time(self) -> None:
        past = timing.Deadline(time.monotonic() - 1)
        self.assertEqual('yes', timing.wait_until(lambda: 'yes', past, 'x'))

    def test_running_out_raises_with_what_was_seen_last(self) -> None:
        started = time.monotonic()
        error = self.assertRaises(
            timing.DeadlineExceeded, timing.wait_until, lambda: None,
            timing.Deadline.after(0.1), 'volume v', lambda: 'Creating')
        self.assertEqual('ran out of time: volume v; last seen: Creating',
                         str(error))
        self.assertGreaterEqual(time.monotonic() - started, 0.1)

    def test_the_last_question_comes_after_the_last_pause(self) -> None:
        deadline = timing.Deadline.after(0.1)
        asked: list[bool] = []

        def probe() -> None:
            asked.append(deadline.expired())

        self.assertRaises(timing.DeadlineExceeded, timing.wait_until, probe,
                          deadline, 'x')
        self.assertTrue(asked[-1])
        self.assertFalse(any(asked[:-1]))

    def test_errors_of_the_probe_go_up(self) -> None:
        def probe() -> None:
            raise KeyError('x')

        self.assertRaises(KeyError, timing.wait_until, probe,
                          timing.Deadline.after(10), 'x')
