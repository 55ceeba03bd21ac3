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
"""What users were promised, to be compared with what is left."""

from __future__ import annotations

import collections
from collections.abc import Iterator
import threading
import time

from tests.embedded import records

# Name of the troubles that count services killed.
KILLS = 'services killed with kill -9'

# What a volume can be used in.
_GOOD = frozenset({'available', 'in-use'})
_BAD = frozenset({'error', 'error_deleting', 'creating', 'deleting'})


class History:
    """Grows while users work; thread-safe."""

    def __init__(self) -> None:
        self.outcomes: collections.Counter[tuple[str, str]]
        self.outcomes = collections.Counter()
        self.troubles: collections.Counter[str] = collections.Counter()
        self.lines: list[str] = []
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}
        self._snapshots: set[str] = set()
        # How many requests to let it go may have been heard.
        self._given_up: collections.Counter[str] = collections.Counter()
        self._wanted: dict[str, int] = {}
        self._taken: set[str] = set()

    def count(self, act: str, outcome: str) -> None:
        """Note how a request ended."""
        with self._lock:
            self.outcomes[act, outcome] += 1

    def trouble(self, name: str) -> None:
        """Note that something broke."""
        with self._lock:
            self.troubles[name] += 1

    @property
    def kills(self) -> int:
        """How many services were killed."""
        with self._lock:
            return self.troubles[KILLS]

    def tell(self, line: str) -> None:
        """Add a line for people."""
        with self._lock:
            self.lines.append(
                f'{time.strftime("%H:%M:%S", time.gmtime())} {line}')

    def take(self, snapshot_id: str) -> None:
        """A user has taken a snapshot; Cinder takes some for itself."""
        with self._lock:
            self._taken.add(snapshot_id)

    def give_up(self, object_id: str) -> None:
        """A user asks for an object to go: it may, and shall."""
        with self._lock:
            self._given_up[object_id] += 1

    def keep(self, object_id: str) -> None:
        """A delete was refused: unless for another one, it has to stay."""
        with self._lock:
            self._given_up[object_id] -= 1

    def want(self, volume_id: str, size: int) -> None:
        """A user asks for a volume to grow to `size` GiB."""
        with self._lock:
            self._wanted[volume_id] = size

    @property
    def wanted(self) -> dict[str, int]:
        """GiB that volumes were asked to grow to, by id."""
        with self._lock:
            return dict(self._wanted)

    @property
    def given_up(self) -> frozenset[str]:
        """Ids of what users want gone."""
        with self._lock:
            return frozenset(+self._given_up)

    @property
    def relied_on(self) -> frozenset[str]:
        """Ids of volumes that were usable and nobody wants gone."""
        with self._lock:
            return frozenset(self._seen.keys() - (+self._given_up).keys())

    def observe(self, books: records.CinderRecords) -> None:
        """Note what users can see, and from now on rely on."""
        with self._lock:
            for volume in books.volumes:
                if volume.status in _GOOD:
                    self._seen[volume.id] = volume.size_gib
            self._snapshots |= {item.id for item in books.snapshots
                                if item.status == 'available'
                                and item.id in self._taken}

    def losses(self, books: records.CinderRecords) -> Iterator[str]:
        """Compare what users rely on with the database at the end."""
        volumes = {item.id: item for item in books.volumes}
        for volume_id, size in sorted(self._seen.items()):
            found = volumes.get(volume_id)
            if self._given_up[volume_id] > 0:
                continue
            if found is None or found.status in _BAD:
                yield (f'volume {volume_id} was usable, nobody deleted it, '
                       f'and it is {found.status if found else "gone"}')
            elif found.size_gib < size:
                yield (f'volume {volume_id} had {size} GiB and has '
                       f'{found.size_gib}')
        left = {item.id: item for item in books.snapshots}
        for snapshot_id in sorted(
                self._snapshots - (+self._given_up).keys()):
            copy = left.get(snapshot_id)
            if copy is None or copy.status != 'available':
                yield (f'snapshot {snapshot_id} was usable, nobody deleted '
                       f'it, and it is {copy.status if copy else "gone"}')
