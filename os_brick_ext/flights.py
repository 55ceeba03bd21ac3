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
import threading
from typing import Any
from typing import TypeVar

T = TypeVar('T')


class Flights:
    """Who asks for what is already under way waits for its outcome."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, futures.Future[Any]] = {}

    def join(self, key: Hashable, act: Callable[[], T]) -> T:
        """Do something, unless another thread is just doing it.

        What is under way may have begun a moment ago, so its outcome is as
        old as that.

        :param key: the same for all who mean the same.
        :returns: what `act` returned, for one of them.
        :raises BaseException: what it raised.
        """
        with self._lock:
            future = self._running.get(key)
            joined = future is not None
            if future is None:
                future = self._running[key] = futures.Future()
        if not joined:
            self._fly(key, future, act)
        outcome: T = future.result()
        return outcome

    def _fly(self, key: Hashable, future: futures.Future[Any],
             act: Callable[[], object]) -> None:
        try:
            future.set_result(act())
        except BaseException as exc:
            future.set_exception(exc)
            raise
        finally:
            with self._lock:
                del self._running[key]
