#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""Waiting for something to come true in another process."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import TypeVar

T = TypeVar('T')

# Seconds after which something does not come any more, on however busy a
# machine; a wait that succeeds costs none of them.
PATIENCE = 120.0

# Looking costs the service time, so it is done less and less often.
_FIRST_PAUSE = 0.05
_LAST_PAUSE = 0.5
_GROWTH = 1.3


class WaitedTooLong(AssertionError):
    """What was waited for did not come in time."""


def wait_for(look: Callable[[], T | None], what: str,
             timeout: float = PATIENCE,
             longest: float = _LAST_PAUSE) -> T:
    """Call `look` until it returns something true, and return that.

    :param what: ends the sentence "waited N s for ...".
    :param timeout: seconds.
    :param longest: seconds between two looks at most.
    :raises WaitedTooLong: with `what` and the last thing `look` returned.
    """
    deadline = time.monotonic() + timeout
    pause = min(_FIRST_PAUSE, longest)
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise WaitedTooLong(
                f'waited {timeout:g} s for {what}; last seen: {found!r}')
        time.sleep(pause)
        pause = min(pause * _GROWTH, longest)
