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


def pauses() -> Callable[[], float]:
    """:returns: a function that gives the next pause in seconds.

    Pauses grow exponentially from 20 ms to one second and are jittered, so
    that many waiters do not ask in step.
    """
    step = FIRST_PAUSE

    def following() -> float:
        nonlocal step
        here, step = step, min(step * GROWTH, LONGEST_PAUSE)
        # Spreads requests, guards nothing.
        return here * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311

    return following


def wait_until(probe: Callable[[], T | None], deadline: Deadline,
               what: str, last: Callable[[], object] | None = None) -> T:
    """Ask `probe` until it answers something.

    The first question is asked at once, the last one after the deadline's
    final pause, so a change that came in time is never missed.

    :param probe: returns None for "not yet"; what it raises goes up.
    :param what: what is waited for, for the error.
    :param last: tells what was seen last, for the error.
    :returns: the first answer of `probe` that is not None.
    :raises DeadlineExceeded: `probe` answered None until the deadline.
    """
    following = pauses()
    while True:
        answer = probe()
        if answer is not None:
            return answer
        deadline.check(what, last() if last else None)
        pause(min(following(), deadline.remaining()))
