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
"""How many requests a cluster got, what became of them, and their time."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
import dataclasses
import threading

#: Upper bounds of the time of a request, in seconds.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

OK = 'ok'


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """The requests with one outcome.

    :param counts: how many took up to each of `BOUNDS` and longer than the
        one before; the last entry is of those that took longer than all.
    :param seconds: of all together.
    """

    counts: tuple[int, ...]
    seconds: float


class Meter:
    """Counts; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def count(self, outcome: str, seconds: float) -> None:
        """Count one request.

        :param outcome: `OK`, or the name of the class of the error.
        :param seconds: from its start to its end, repetitions included.
        """
        with self._lock:
            counts = self._counts.setdefault(
                outcome, [0] * (len(BOUNDS) + 1))
            counts[bisect.bisect_left(BOUNDS, seconds)] += 1
            self._seconds[outcome] = (self._seconds.get(outcome, 0.0)
                                      + seconds)

    def read(self) -> Mapping[str, Reading]:
        """:returns: all that was counted, by outcome."""
        with self._lock:
            return {outcome: Reading(tuple(counts), self._seconds[outcome])
                    for outcome, counts in self._counts.items()}
