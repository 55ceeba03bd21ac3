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
"""The thread that removes golden images nobody needs any more."""

from __future__ import annotations

from collections.abc import Callable
import logging
import threading

from cinder_lightbits_federation.timing import pause

LOG = logging.getLogger(__name__)

# Idle masters are measured in days.
INTERVAL = 3600.0
# Seconds to wait for what comes together: each time all is listed.
GATHERING = 60.0


class Sweeper:
    """Calls back now and then, and soon when there is more to look at.

    :param sweep: what to do; what it raises is logged.
    :param more: set when it is worth while to do it soon.
    :param interval: seconds between two times.
    :param gathering: seconds from when `more` is set.
    """

    def __init__(self, sweep: Callable[[], None], more: threading.Event,
                 interval: float = INTERVAL,
                 gathering: float = GATHERING) -> None:
        self._sweep = sweep
        self._more = more
        self._interval = interval
        self._gathering = gathering
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start; the first time is one interval away."""
        threading.Thread(target=self._run, daemon=True,
                         name='lightbits-golden').start()

    def stop(self) -> None:
        """Stop. Idempotent."""
        self._stopped.set()
        self._more.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._more.wait(self._interval):
                pause(self._gathering, self._stopped)
                self._more.clear()
            if not self._stopped.is_set():
                self._look()

    def _look(self) -> None:
        try:
            self._sweep()
        except Exception:  # A thread's top: the next time may be better.
            LOG.exception('Golden images were not looked through.')
