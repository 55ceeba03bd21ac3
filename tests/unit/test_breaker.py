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

"""When a cluster is not asked any more, and when it is again."""

import threading

from oslotest import base

from cinder_lightbits_federation import breaker


class BreakerTestCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.breaker = breaker.Breaker()

    def test_it_begins_closed(self) -> None:
        self.assertIsNone(self.breaker.state)
        self.assertIs(False, self.breaker.close())

    def test_no_connection_opens_it_at_once(self) -> None:
        self.assertIs(True, self.breaker.unreachable('refused', 5.0))

        self.assertEqual(breaker.BreakerState(5.0, 'refused'),
                         self.breaker.state)

    def test_it_tells_who_opened_it_and_keeps_the_first_reason(self) -> None:
        self.breaker.unreachable('refused', 5.0)

        self.assertIs(False, self.breaker.unreachable('no route', 6.0))
        for moment in range(7, 7 + breaker.LOST_REPLIES + 1):
            self.assertIs(False, self.breaker.reply_lost('silence', moment))

        self.assertEqual(breaker.BreakerState(5.0, 'refused'),
                         self.breaker.state)

    def test_lost_replies_open_it_after_some_in_a_row(self) -> None:
        told = [self.breaker.reply_lost('silence', float(number))
                for number in range(breaker.LOST_REPLIES)]

        self.assertEqual([False] * (breaker.LOST_REPLIES - 1) + [True], told)
        self.assertEqual(
            breaker.BreakerState(breaker.LOST_REPLIES - 1.0, 'silence'),
            self.breaker.state)

    def test_an_answer_ends_the_row(self) -> None:
        for number in range(breaker.LOST_REPLIES * 3):
            self.assertIs(False, self.breaker.reply_lost('silence', number))
            if number % (breaker.LOST_REPLIES - 1):
                self.breaker.answered()
        self.assertIsNone(self.breaker.state)

    def test_an_answer_does_not_close_it(self) -> None:
        self.breaker.unreachable('refused', 5.0)

        self.breaker.answered()

        self.assertIsNotNone(self.breaker.state)

    def test_a_probe_closes_it_and_ends_the_row(self) -> None:
        for number in range(breaker.LOST_REPLIES):
            self.breaker.reply_lost('silence', number)

        self.assertIs(True, self.breaker.close())

        self.assertIsNone(self.breaker.state)
        self.assertIs(False, self.breaker.reply_lost('silence', 9.0))

    def test_of_many_threads_one_opens_it(self) -> None:
        told: list[bool] = []
        start = threading.Barrier(8)

        def fail() -> None:
            start.wait()
            told.append(self.breaker.unreachable('refused', 1.0))

        threads = [threading.Thread(target=fail) for _one in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        self.assertEqual(1, told.count(True))
