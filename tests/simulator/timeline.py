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


class Timeline:
    """Timers of one cluster, cancelled together when it is removed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timers: set[asyncio.TimerHandle] = set()

    def after(
        self, seconds: float, action: collections.abc.Callable[[], None]
    ) -> None:
        """Run `action` in `seconds`, unless closed before."""

        def run() -> None:
            self._timers.discard(timer)
            action()

        timer = self._loop.call_later(seconds, run)
        self._timers.add(timer)

    def close(self) -> None:
        """Cancel all that is due."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
