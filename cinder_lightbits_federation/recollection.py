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
"""The last decisions of a service; for people, nothing depends on them."""

from __future__ import annotations

import collections
import dataclasses
import threading

#: How many are kept.
LENGTH = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """Where one volume was to go, and why.

    :param at: seconds since the epoch.
    :param volume: the ``name_id`` of Cinder.
    :param size: bytes, replicas not counted.
    :param text: see `placement.Decision.explain`.
    """

    at: float
    volume: str
    size: int
    text: str


class Recollection:
    """Keeps the last ones. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: collections.deque[Decided] = collections.deque(
            maxlen=LENGTH)

    def add(self, one: Decided) -> None:
        """Remember a decision; the oldest is forgotten."""
        with self._lock:
            self._kept.append(one)

    def all(self) -> tuple[Decided, ...]:
        """:returns: the decisions, the oldest first."""
        with self._lock:
            return tuple(self._kept)
