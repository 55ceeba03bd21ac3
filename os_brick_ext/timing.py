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

"""Deadlines and the one waiter of the host side."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import threading
import time
from typing import Protocol, TypeVar  # noqa: H301

T = TypeVar('T')

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 1.0
GROWTH = 1.5
# How many times as long as a look a pause is at least: so that many who wait
# leave time for something to happen.
SPACING = 10.0


class TimedOut(Exception):
    """The time given to a wait is over.

    :param what: what was waited for.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f'ran out of time waiting for {what}')


@dataclasses.dataclass(frozen=True, slots=True)
class Deadline:
    """A stretch of monotonic time, handed down every call of an operation."""

    started: float
    end: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """:returns: the deadline `seconds` from now."""
        now = time.monotonic()
        return cls(now, now + seconds)

    def from_now(self) -> Deadline:
        """:returns: one with the same end, for what starts now."""
        return dataclasses.replace(self, started=time.monotonic())

    def remaining(self) -> float:
        """:returns: seconds left, never negative."""
        return max(0.0, self.end - time.monotonic())

    def elapsed(self) -> float:
        """:returns: seconds since it was set."""
        return time.monotonic() - self.started

    def expired(self) -> bool:
        """:returns: whether no time is left."""
        return time.monotonic() >= self.end


class Wake(Protocol):
    """What can end a pause early."""

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or earlier when it is worth looking."""


class Quiet:
    """Nothing ends a pause early."""

    def wait(self, seconds: float) -> None:
        """Return after `seconds`."""
        threading.Event().wait(seconds)


def wait_until(probe: Callable[[], T | None], deadline: Deadline, what: str,
               wake: Wake | None = None,
               longest: float | None = None,
               first: float | None = None) -> T:
    """Ask `probe` until it answers something.

    It is asked at once, then whenever `wake` says so and, for the case that
    an event is lost, after pauses that grow from `first` to `longest`, and
    faster if asking takes long. It is asked once more after the last pause.

    :param probe: returns None for "not yet"; what it raises goes up.
    :param what: what is waited for, for the error.
    :param longest: seconds; one by default.
    :param first: seconds; 20 ms by default.
    :returns: the first answer of `probe` that is not None.
    :raises TimedOut: `probe` answered None until the deadline.
    """
    wake = wake or Quiet()
    pause = FIRST_PAUSE if first is None else first
    limit = LONGEST_PAUSE if longest is None else longest
    while True:
        asked = time.monotonic()
        answer = probe()
        if answer is not None:
            return answer
        if deadline.expired():
            raise TimedOut(what)
        pause = min(max(pause, SPACING * (time.monotonic() - asked)), limit)
        wake.wait(min(pause, deadline.remaining()))
        pause *= GROWTH
