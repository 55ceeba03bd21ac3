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
from typing import NamedTuple


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A new volume of a spread group, and who of the group is counted.

    :param group: what tells it from other groups, of other projects too.
    :param volume: id of the volume.
    :param counted: ids of the others that are in `spread_counts` already.
    :param counted_at: when the counting began.
    """

    group: tuple[str, str]
    volume: str
    counted: frozenset[str]
    counted_at: float


@dataclasses.dataclass(frozen=True, slots=True)
class Reservation:
    """Bytes promised to one create; also the token to end it.

    :param size: bytes, replicas counted.
    :param committed_at: when the object was known to exist, None before.
    :param released: whether it was given back; it counts no more then.
    :param member: what it is for, if that is to be spread.
    """

    number: int
    cluster_uuid: str
    size: int
    made_at: float
    committed_at: float | None = None
    released: bool = False
    member: Member | None = None

    def hidden_from(self, observed_at: float | None) -> bool:
        """Whether statistics taken at `observed_at` may miss the object."""
        return (self.committed_at is None or observed_at is None
                or self.committed_at >= observed_at)

    def missed_by(self, other: Member) -> bool:
        """Whether who was counted for `other` may miss the object.

        What was there before is counted, or is gone by now.
        """
        return (self.member is not None
                and self.member.volume not in (other.volume, *other.counted)
                and self.hidden_from(other.counted_at))


class Tally(NamedTuple):
    """What was promised to one cluster.

    :param reserved: bytes that its statistics do not show yet: of creates
        under way, and of those that ended after they were read.
    :param recent: creates of the last window.
    """

    reserved: int
    recent: int


NOTHING = Tally(0, 0)


class _Counted(NamedTuple):
    """A tally, and how long it holds.

    :param observed_at: for statistics of that time.
    :param oldest: when the oldest that it counts bytes of was made or done.
    :param first: when the first that it counts as recent was made.
    """

    tally: Tally
    observed_at: float | None
    oldest: float
    first: float


class _Book:
    """The reservations of one cluster, in the orders they are asked for.

    Not safe to use from several threads.
    """

    def __init__(self, entries: Iterable[Reservation] = ()) -> None:
        self.entries: dict[int, Reservation] = {}
        self._open: dict[int, Reservation] = {}
        self._done: list[tuple[float, int]] = []
        self._made: list[float] = []
        self._counted: _Counted | None = None
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
        self._counted = None
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

    def tally(self, observed_at: float | None, oldest: float, since: float
              ) -> Tally:
        """Count anew only when the outcome may differ.

        :param oldest: bytes of what is not after this moment are forgotten.
        :param since: recent is what was made after this moment.
        :returns: the very same tally as long as nothing changed.
        """
        known = self._counted
        if (known is None or known.observed_at != observed_at
                or known.oldest <= oldest or known.first <= since):
            known = self._counted = self._count(observed_at, oldest, since)
        return known.tally

    def _count(self, observed_at: float | None, oldest: float, since: float
               ) -> _Counted:
        held = [(one.made_at, one.size) for one in self._open.values()
                if one.made_at > oldest]
        for committed_at, number in reversed(self._done):
            one = self.entries[number]
            if committed_at <= oldest or not one.hidden_from(observed_at):
                break
            held.append((committed_at, one.size))
        never = float('inf')
        start = bisect.bisect_right(self._made, since)
        return _Counted(
            Tally(sum(size for _moment, size in held),
                  len(self._made) - start), observed_at,
            min((moment for moment, _size in held), default=never),
            self._made[start] if start < len(self._made) else never)


class Reservations:
    """The ledger; safe to use from any thread.

    :param window_seconds: how far back recent creates are counted.
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
        # Those for members of spread groups, by group and number.
        self._groups: dict[tuple[str, str], dict[int, Reservation]] = {}
        self._prune_at = float('-inf')

    def reserve(self, cluster_uuid: str, size: int, now: float,
                member: Member | None = None) -> Reservation:
        """Count `size` bytes (replicas counted) against a cluster.

        :param member: what they are for, if that is to be spread.
        :raises ValueError: `size` is negative.
        """
        if size < 0:
            raise ValueError(f'size to reserve is negative: {size}')
        with self._lock:
            self._prune(now)
            made = Reservation(number=next(self._numbers),
                               cluster_uuid=cluster_uuid, size=size,
                               made_at=now, member=member)
            self._put(self._held.setdefault(cluster_uuid, _Book()), made)
            return made

    def release(self, reservation: Reservation) -> None:
        """Give back the bytes of a create that left nothing.

        Final: a later `commit` changes nothing. Twice is no error.
        """
        with self._lock:
            held = self._held.get(reservation.cluster_uuid, _Book())
            known = held.entries.get(reservation.number)
            if known is not None:
                self._put(held, dataclasses.replace(known, released=True))

    def commit(self, reservation: Reservation, now: float) -> None:
        """The object exists: statistics taken from now on contain it.

        The first commit counts. A reservation that was dropped is counted
        again, since its object does exist.
        """
        with self._lock:
            held = self._held.setdefault(reservation.cluster_uuid, _Book())
            known = held.entries.get(reservation.number, reservation)
            if known.committed_at is None and not known.released:
                self._put(held, dataclasses.replace(known, committed_at=now))

    def siblings(self, member: Member) -> collections.Counter[str]:
        """Count the volumes of a group that nobody else counts yet.

        :returns: how many, by the UUID of their cluster.
        """
        with self._lock:
            return collections.Counter(
                one.cluster_uuid
                for one in self._groups.get(member.group, {}).values()
                if one.missed_by(member))

    def tallies(self, asked: Iterable[tuple[str, float | None]],
                now: float) -> list[Tally]:
        """Count what was promised to clusters.

        :param asked: UUID of each, and when the reading of its statistics
            began; None when there are none.
        :returns: in the order asked; the very same tally for a cluster as
            long as nothing about it changed.
        """
        oldest, since = now - self._keep, now - self._window
        with self._lock:
            find = self._held.get
            return [book.tally(observed_at, oldest, since)
                    if (book := find(uuid)) else NOTHING
                    for uuid, observed_at in asked]

    def outstanding(self, cluster_uuid: str, observed_at: float | None,
                    now: float) -> int:
        """:returns: bytes that one cluster's statistics do not show yet."""
        return self.tallies([(cluster_uuid, observed_at)], now)[0].reserved

    def _put(self, book: _Book, one: Reservation) -> None:
        """Note a reservation, or its next state; the lock is held."""
        book.put(one)
        if one.member is None:
            return
        if one.released:
            self._groups.get(one.member.group, {}).pop(one.number, None)
        else:
            self._groups.setdefault(one.member.group, {})[one.number] = one

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
        groups = {group: {number: one for number, one in members.items()
                          if not self._over(one, now)}
                  for group, members in self._groups.items()}
        self._groups = {group: members for group, members in groups.items()
                        if members}
