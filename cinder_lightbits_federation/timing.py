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

"""Deadlines and the one waiter.

Everything that waits in this project waits here: time is monotonic, a wait
has an end, and reaching that end raises.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import random
import threading
import time
from typing import TypeVar

T = TypeVar('T')

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 1.0
GROWTH = 1.6
JITTER = 0.25
# Share of the time, and seconds at most, kept for the very last question.
LAST_LOOK = 0.1
LONGEST_LAST_LOOK = 0.5
# What usually takes less than this is asked for at once.
SHORTEST_USUAL = 0.005
# How much earlier to ask after a first question that came in time, and how
# much later after one that came too early: nine of ten are to come in time.
EARLIER = 0.995
LATER = 1.05
# After so many in a row that came in time the next ones are asked ever
# earlier, each time by twice as much, up to so much.
STEADY = 10
EARLIEST = 0.92
# The pause after a first question that came too early: a share of the usual
# time, and seconds at least. What follows grows by so much, so that the last
# pause is a small part of the whole.
CLOSER = 0.05
CLOSEST = 0.002
CLOSE_GROWTH = 1.25
# What takes more than the usual time by this factor says nothing about what
# is usual, unless the next wait takes as long.
FAR = 1.2


class DeadlineExceeded(Exception):
    """The time given to an operation is over.

    :param what: what was being done or waited for.
    :param last: what was seen last (a state, an error), for the reader.
    """

    def __init__(self, what: str, last: object = None) -> None:
        self.what = what
        self.last = last
        tail = '' if last is None else f'; last seen: {last}'
        super().__init__(f'ran out of time: {what}{tail}')


@dataclasses.dataclass(frozen=True, slots=True)
class Deadline:
    """A point in monotonic time, handed down every call of an operation."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """:returns: the deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """:returns: seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    def expired(self) -> bool:
        """:returns: whether no time is left."""
        return time.monotonic() >= self.at

    def capped(self, seconds: float) -> Deadline:
        """:returns: this deadline or `seconds` from now, the earlier."""
        return Deadline(min(self.at, time.monotonic() + seconds))

    def before_last_look(self) -> Deadline:
        """:returns: an earlier deadline, to end a wait with.

        What is left after it is for one more question to be answered in: a
        question that is asked when the time is over is never sent.
        """
        kept = min(self.remaining() * LAST_LOOK, LONGEST_LAST_LOOK)
        return Deadline(self.at - kept)

    def check(self, what: str, last: object = None) -> None:
        """Raise when the time is over.

        :raises DeadlineExceeded: no time is left.
        """
        if self.expired():
            raise DeadlineExceeded(what, last)


def pause(seconds: float, stop: threading.Event | None = None) -> bool:
    """Wait for `seconds` or until `stop` is set.

    :returns: whether `stop` was set.
    """
    return (stop or threading.Event()).wait(seconds)


def pauses(first: float = FIRST_PAUSE, growth: float = GROWTH,
           longest: float = LONGEST_PAUSE) -> Callable[[], float]:
    """:returns: a function that gives the next pause in seconds.

    Pauses grow exponentially from `first` to `longest` and are jittered, so
    that many waiters do not ask in step.
    """
    step = first

    def following() -> float:
        nonlocal step
        here, step = step, min(step * growth, longest)
        # Spreads requests, guards nothing.
        return here * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311

    return following


class Pace:
    """How long something usually takes, learned from waiting for it.

    The first question is best asked when the answer has just become yes:
    earlier ones are wasted, later ones lose time. Thread-safe enough: a lost
    update only delays the learning.
    """

    def __init__(self) -> None:
        self._usual = 0.0
        self._in_time = 0
        self._far = 0.0

    @property
    def usual(self) -> float:
        """Seconds that this usually takes; 0 if nothing is known."""
        return self._usual

    def learn(self, usual: float, seconds: float, questions: int) -> None:
        """Take in that a wait ended after `seconds` and some questions.

        A first question that came in time came perhaps late, so the next one
        is asked a little earlier. One wait that took much longer than usual
        is not believed, a second one after it is.

        :param usual: what was usual when the wait began. Of many waits at
            once that began with the same, the first one to end counts.
        """
        if usual != self._usual:
            return
        if questions <= 1:
            self._came_in_time()
        else:
            self._in_time = 0
            self._usual = min(self._later(seconds), LONGEST_PAUSE)

    def _came_in_time(self) -> None:
        self._in_time += 1
        self._far = 0.0
        beyond = max(0, self._in_time - STEADY)
        # What matters is over long before that power is large.
        self._usual *= max(EARLIEST, 1 - (1 - EARLIER) * 2 ** min(beyond, 9))

    def _later(self, seconds: float) -> float:
        """:returns: what is usual after a first question came too early."""
        if not self._usual:
            return seconds
        far, self._far = self._far, 0.0
        if seconds > self._usual * FAR:
            if far:
                return min(far, seconds)
            self._far = seconds
        return min(self._usual * LATER, seconds)


def wait_until(probe: Callable[[], T | None], deadline: Deadline,
               what: str, last: Callable[[], object] | None = None,
               pace: Pace | None = None, longest: float = LONGEST_PAUSE
               ) -> T:
    """Ask `probe` until it answers something.

    The first question is asked at once or when `pace` says, the last one
    after the deadline's final pause, so a change that came in time is never
    missed.

    :param probe: returns None for "not yet"; what it raises goes up.
    :param what: what is waited for, for the error.
    :param last: tells what was seen last, for the error.
    :param pace: how long this usually takes; learns from this wait.
    :param longest: seconds between two questions at most, without a pace.
    :returns: the first answer of `probe` that is not None.
    :raises DeadlineExceeded: `probe` answered None until the deadline.
    """
    following = pauses(longest=longest)
    started = time.monotonic()
    questions, usual = 0, 0.0
    if pace is not None:
        usual = pace.usual
        # After a first question the answer must be near: ask more closely.
        following = pauses(max(usual * CLOSER, CLOSEST), CLOSE_GROWTH)
        if usual >= SHORTEST_USUAL:
            pause(min(usual, deadline.remaining()))
    while True:
        answer = probe()
        questions += 1
        if answer is not None:
            if pace is not None:
                pace.learn(usual, time.monotonic() - started, questions)
            return answer
        deadline.check(what, last() if last else None)
        pause(min(following(), deadline.remaining()))


class Throttle:
    """Holds a flow of bytes to a rate, without bursts after a lull.

    :param rate: bytes per second; 0 is no limit.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._free_at = time.monotonic()

    def admit(self, size: int) -> None:
        """Wait until `size` more bytes may go."""
        if not self._rate:
            return
        now = time.monotonic()
        if self._free_at > now:
            pause(self._free_at - now)
        self._free_at = max(now, self._free_at) + size / self._rate
