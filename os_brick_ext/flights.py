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

"""Work that many need at the same moment is done once in a process."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from concurrent import futures
import contextlib
import dataclasses
import threading
import time
from typing import Any
from typing import TypeVar

from os_brick_ext import timing

T = TypeVar('T')

# Seconds for which an outcome is kept for those who began before.
KEPT = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Flight:
    """Something that is done or has been done.

    :param began: when, in seconds of monotonic time.
    """

    began: float = dataclasses.field(default_factory=time.monotonic)
    outcome: futures.Future[Any] = dataclasses.field(
        default_factory=futures.Future)

    def good(self, since: float) -> bool:
        """:returns: whether its outcome may be taken by others."""
        return self.began >= since or not self.outcome.done()


class Flights:
    """Who asks for what is already under way waits for its outcome."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Hashable, _Flight] = {}

    def join(self, key: Hashable, act: Callable[[], T], since: float,
             patience: float | None = None) -> T:
        """Do something, unless another thread is doing it or has done it.

        What is under way may have begun a moment ago, so its outcome is as
        old as that.

        :param key: the same for all who mean the same.
        :param since: when the caller's own work began, in seconds of
            monotonic time: what was begun and done after that is not done
            again. So those who come together do it once, however they take
            turns.
        :param patience: seconds to wait for what another thread is doing; by
            default, until it is done.
        :returns: what `act` returned, for one of them.
        :raises TimedOut: it is still being done by another thread.
        :raises BaseException: what it raised.
        """
        while True:
            flight, mine = self._flight(key, since)
            if mine:
                self._fly(key, flight.outcome, act)
            with contextlib.suppress(futures.CancelledError):
                outcome: T = _landed(flight.outcome, patience)
                return outcome

    def _flight(self, key: Hashable, since: float) -> tuple[_Flight, bool]:
        """:returns: what to wait for, and whether the caller has to do it."""
        with self._lock:
            known = self._known.get(key)
            if known is not None and known.good(since):
                return known, False
            flight = self._known[key] = _Flight()
            self._forget(flight.began - KEPT)
            return flight, True

    def clear(self) -> None:
        """Forget all, and who does it."""
        self._lock = threading.Lock()
        self._known.clear()

    def _forget(self, before: float) -> None:
        for key, flight in list(self._known.items()):
            if flight.began < before and flight.outcome.done():
                del self._known[key]

    def _fly(self, key: Hashable, outcome: futures.Future[Any],
             act: Callable[[], object]) -> None:
        try:
            outcome.set_result(act())
        except BaseException as exc:
            # Nobody but who waits for it already is to have an error.
            with self._lock:
                del self._known[key]
            if isinstance(exc, Exception):
                outcome.set_exception(exc)
            else:
                # This thread is made to end, and no other: one of those who
                # wait does it.
                outcome.cancel()
            raise


def _landed(outcome: futures.Future[Any], patience: float | None) -> Any:
    try:
        return outcome.result(patience)
    except TimeoutError:
        if outcome.done():
            raise
        raise timing.TimedOut('what another thread is doing') from None
