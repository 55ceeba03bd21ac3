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

"""Changes of state that are due later."""

from __future__ import annotations

import asyncio
import collections.abc
import operator


Action = collections.abc.Callable[[], None]


class Timeline:
    """Timers of one cluster, cancelled together when it is removed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # The actions by their timers, with the time each is due.
        self._timers: dict[asyncio.TimerHandle, tuple[float, Action]] = {}

    def after(self, seconds: float, action: Action) -> None:
        """Run `action` in `seconds`, unless closed before."""

        def run() -> None:
            del self._timers[timer]
            action()

        timer = self._loop.call_later(seconds, run)
        self._timers[timer] = self._loop.time() + seconds, action

    def finish(self) -> int:
        """Run now what is due later, first what is due first.

        :returns: how many actions ran; what they start is not among them.
        """
        due = sorted(self._timers.values(), key=operator.itemgetter(0))
        self.close()
        for _, action in due:
            action()
        return len(due)

    def close(self) -> None:
        """Cancel all that is due."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
