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
from collections.abc import Callable
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
    """Keeps the last ones. Thread-safe.

    Texts are made when somebody asks: that of a decision names every
    cluster.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: collections.deque[
            tuple[float, str, int, Callable[[], str]]] = collections.deque(
                maxlen=LENGTH)

    def add(self, at: float, volume: str, size: int,
            explain: Callable[[], str]) -> None:
        """Remember a decision; the oldest is forgotten.

        :param explain: gives the text; for the rest see `Decided`.
        """
        with self._lock:
            self._kept.append((at, volume, size, explain))

    def all(self) -> tuple[Decided, ...]:
        """:returns: the decisions, the oldest first."""
        with self._lock:
            kept = tuple(self._kept)
        return tuple(Decided(at, volume, size, explain())
                     for at, volume, size, explain in kept)
