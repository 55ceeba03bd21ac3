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

    def wait(self, pace: timing.Pace, takes: float) -> tuple[float, int]:
        """Learn from a wait whose pauses are exactly as long as they say.

        :returns: when the answer came, and how many questions it took.
        """
        usual = at = pace.usual
        questions, pause = 1, max(usual * timing.CLOSER, timing.CLOSEST)
        while at < takes:
            at += pause
            pause *= timing.CLOSE_GROWTH
            questions += 1
        pace.learn(usual, at, questions)
        return at, questions

    def waits(self, pace: timing.Pace, takes: float, number: int
              ) -> list[tuple[float, int]]:
        """Learn from a number of equal waits; see `wait`."""
        return [self.wait(pace, takes) for _number in range(number)]

    def test_every_wait_ends_soon_after_what_it_waits_for(self) -> None:
        for takes in (0.05, 0.2, 0.8):
            pace = timing.Pace()
            for at, _questions in self.waits(pace, takes, 200):
                self.assertLess(at, takes * 1.25)

    def test_nine_of_ten_ask_once(self) -> None:
        pace = timing.Pace()
        self.wait(pace, 0.2)

        asked = [questions for _at, questions in self.waits(pace, 0.2, 200)]

        self.assertLess(sum(asked), 225)
        self.assertEqual(2, max(asked))

    def test_one_long_wait_is_not_believed(self) -> None:
        pace = timing.Pace()
        self.waits(pace, 0.05, 30)

        self.wait(pace, 0.8)

        self.assertLess(pace.usual, 0.05 * 1.25)

    def test_two_long_waits_are_believed(self) -> None:
        pace = timing.Pace()
        self.waits(pace, 0.05, 30)
        self.waits(pace, 0.2, 2)

        self.assertEqual(1, self.wait(pace, 0.2)[1])
        for at, _questions in self.waits(pace, 0.2, 100):
            self.assertLess(at, 0.25)

    def test_what_became_faster_is_soon_known(self) -> None:
        pace = timing.Pace()
        self.waits(pace, 0.8, 30)
        self.waits(pace, 0.05, 50)

        self.assertLess(pace.usual, 0.05 * 1.25)

    def test_many_at_once_count_as_one(self) -> None:
        pace = timing.Pace()
        self.waits(pace, 0.2, 30)
        usual = pace.usual
        for _number in range(64):
            pace.learn(usual, usual * 1.1, 2)

        self.assertAlmostEqual(usual * timing.LATER, pace.usual)

    def test_nothing_is_learned_of_what_is_there_at_once(self) -> None:
        pace = timing.Pace()
        pace.learn(0.0, 0.001, 1)

        self.assertEqual(0.0, pace.usual)


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

    def test_they_come_to_what_is_asked_for(self) -> None:
        following = timing.pauses(longest=10.0)
        found = [following() for _ in range(30)][-1]
        self.assertLessEqual(10.0 * (1 - timing.JITTER), found)
        self.assertLessEqual(found, 10.0 * (1 + timing.JITTER))

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
