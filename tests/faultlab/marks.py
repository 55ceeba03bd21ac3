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
"""What is broken at the moment, so that nothing is broken twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import threading


class Busy(Exception):
    """Something else is wrong with it already."""


class Marks:
    """Names of what is broken; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._broken: set[str] = set()

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Have one thing to oneself.

        :raises Busy: it is broken already.
        """
        with self.those_left([name]):
            yield

    @contextlib.contextmanager
    def those_left(self, names: Sequence[str]) -> Iterator[list[str]]:
        """Have those of some things that are not broken.

        :raises Busy: there is none.
        """
        with self._lock:
            mine = [name for name in names if name not in self._broken]
            if not mine:
                raise Busy
            self._broken |= set(mine)
        try:
            yield mine
        finally:
            with self._lock:
                self._broken -= set(mine)
