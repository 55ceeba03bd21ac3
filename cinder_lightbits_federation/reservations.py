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

"""What this process promised to clusters and their statistics do not show.

Between the choice of a cluster and the first statistics that contain the new
volume, other creates must see its bytes; else a burst lands on one cluster.
Times are monotonic seconds, handed in.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Iterable
import dataclasses
import itertools
import threading


@dataclasses.dataclass(frozen=True, slots=True)
class Reservation:
    """Bytes promised to one create; also the token to end it.

    :param size: bytes, replicas counted.
    :param committed_at: when the object was known to exist, None before.
    :param released: whether it was given back; it counts no more then.
    """

    number: int
    cluster_uuid: str
    size: int
    made_at: float
    committed_at: float | None = None
    released: bool = False

    def hidden_from(self, observed_at: float | None) -> bool:
        """Whether statistics taken at `observed_at` may miss the object."""
        return (self.committed_at is None or observed_at is None
                or self.committed_at >= observed_at)


class _Book:
    """The reservations of one cluster, in the orders they are asked for.

    Not safe to use from several threads.
    """

    def __init__(self, entries: Iterable[Reservation] = ()) -> None:
        self.entries: dict[int, Reservation] = {}
        self._open: dict[int, Reservation] = {}
        self._done: list[tuple[float, int]] = []
        self._made: list[float] = []
        for one in entries:
            self.put(one)

    def __len__(self) -> int:
        return len(self.entries)

    def put(self, one: Reservation) -> None:
        """Add a reservation, or its next state."""
        before = self.entries.get(one.number)
        if before is not None:
            self._forget(before)
        self.entries[one.number] = one
        if one.released:
            return
        bisect.insort(self._made, one.made_at)
        if one.committed_at is None:
            self._open[one.number] = one
        else:
            bisect.insort(self._done, (one.committed_at, one.number))

    def _forget(self, one: Reservation) -> None:
        if one.released:
            return
        del self._made[bisect.bisect_left(self._made, one.made_at)]
        if one.committed_at is None:
            del self._open[one.number]
        else:
            del self._done[bisect.bisect_left(
                self._done, (one.committed_at, one.number))]

    def outstanding(self, observed_at: float | None, oldest: float) -> int:
        """Bytes hidden from `observed_at`, of what is not before `oldest`."""
        total = sum(one.size for one in self._open.values()
                    if one.made_at > oldest)
        for committed_at, number in reversed(self._done):
            one = self.entries[number]
            if committed_at <= oldest or not one.hidden_from(observed_at):
                break
            total += one.size
        return total

    def made_after(self, moment: float) -> int:
        """How many were made after `moment`."""
        return len(self._made) - bisect.bisect_right(self._made, moment)


class Reservations:
    """The ledger; safe to use from any thread.

    :param window_seconds: how far back `recent_creates` looks.
    :param history: seconds after which a reservation is dropped, ended or
        not, so that a lost one cannot hold room for ever. Longer than a
        create may take and than statistics may be old.
    """

    def __init__(self, window_seconds: float, history: float) -> None:
        self._window = window_seconds
        self._keep = max(history, window_seconds)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._held: dict[str, _Book] = {}
        self._prune_at = float('-inf')

    def reserve(self, cluster_uuid: str, size: int,
                now: float) -> Reservation:
        """Count `size` bytes (replicas counted) against a cluster.

        :raises ValueError: `size` is negative.
        """
        if size < 0:
            raise ValueError(f'size to reserve is negative: {size}')
        with self._lock:
            self._prune(now)
            made = Reservation(number=next(self._numbers),
                               cluster_uuid=cluster_uuid, size=size,
                               made_at=now)
            self._held.setdefault(cluster_uuid, _Book()).put(made)
            return made

    def release(self, reservation: Reservation) -> None:
        """Give back the bytes of a create that left nothing.

        Final: a later `commit` changes nothing. Twice is no error.
        """
        with self._lock:
            held = self._held.get(reservation.cluster_uuid, _Book())
            known = held.entries.get(reservation.number)
            if known is not None:
                held.put(dataclasses.replace(known, released=True))

    def commit(self, reservation: Reservation, now: float) -> None:
        """The object exists: statistics taken from now on contain it.

        The first commit counts. A reservation that was dropped is counted
        again, since its object does exist.
        """
        with self._lock:
            held = self._held.setdefault(reservation.cluster_uuid, _Book())
            known = held.entries.get(reservation.number, reservation)
            if known.committed_at is None and not known.released:
                held.put(dataclasses.replace(known, committed_at=now))

    def outstanding(self, cluster_uuid: str, observed_at: float | None,
                    now: float) -> int:
        """Bytes a cluster's statistics do not show yet.

        :param observed_at: when the reading of the statistics began; None
            when there are none.
        :returns: bytes of creates under way, and of those that ended after
            `observed_at`.
        """
        with self._lock:
            return self._held.get(cluster_uuid, _Book()).outstanding(
                observed_at, now - self._keep)

    def recent_creates(self, now: float) -> collections.Counter[str]:
        """:returns: creates of the last window, by cluster UUID."""
        with self._lock:
            return +collections.Counter({
                uuid: held.made_after(now - self._window)
                for uuid, held in self._held.items()})

    def _over(self, one: Reservation, now: float) -> bool:
        """Whether a reservation is too old to count."""
        last = one.made_at if one.committed_at is None else one.committed_at
        return now - last >= self._keep

    def _prune(self, now: float) -> None:
        """Free what is too old, now and then; the lock is held."""
        if now < self._prune_at:
            return
        self._prune_at = now + self._keep / 10
        kept = {uuid: _Book(one for one in held.entries.values()
                            if not self._over(one, now))
                for uuid, held in self._held.items()}
        self._held = {uuid: held for uuid, held in kept.items() if held}
