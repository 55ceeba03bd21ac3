# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""A circuit breaker: a cluster that does not answer is not asked again.

One failure to connect to *any* endpoint of a cluster opens it at once (the
client has tried them all); replies that never come open it after a few in a
row. Only a probe closes it again, so that no user's operation pays for
finding out.
"""

from __future__ import annotations

import dataclasses
import threading

LOST_REPLIES = 3


@dataclasses.dataclass(frozen=True, slots=True)
class BreakerState:
    """Since when (monotonic seconds) and why a cluster is not asked."""

    since: float
    reason: str


class Breaker:
    """Thread-safe; time is passed in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: BreakerState | None = None
        self._lost = 0

    @property
    def state(self) -> BreakerState | None:
        """None while closed."""
        return self._open

    def answered(self) -> None:
        """A reply came, whatever it said."""
        self._lost = 0

    def unreachable(self, reason: str, now: float) -> bool:
        """No endpoint could be connected.

        :returns: whether this opened the breaker.
        """
        with self._lock:
            return self._trip(reason, now)

    def reply_lost(self, reason: str, now: float) -> bool:
        """A request left and no reply came.

        :returns: whether this opened the breaker.
        """
        with self._lock:
            self._lost += 1
            return self._lost >= LOST_REPLIES and self._trip(reason, now)

    def close(self) -> bool:
        """A probe succeeded.

        :returns: whether the breaker was open.
        """
        with self._lock:
            was_open, self._open, self._lost = self._open, None, 0
            return was_open is not None

    def _trip(self, reason: str, now: float) -> bool:
        if self._open is not None:
            return False
        self._open = BreakerState(now, reason)
        return True
