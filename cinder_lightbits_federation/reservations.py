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

import collections
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
        self._held: dict[str, dict[int, Reservation]] = {}
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
            self._held.setdefault(cluster_uuid, {})[made.number] = made
            return made

    def release(self, reservation: Reservation) -> None:
        """Give back the bytes of a create that left nothing.

        Final: a later `commit` changes nothing. Twice is no error.
        """
        with self._lock:
            held = self._held.get(reservation.cluster_uuid, {})
            known = held.get(reservation.number)
            if known is not None:
                held[known.number] = dataclasses.replace(known,
                                                         released=True)

    def commit(self, reservation: Reservation, now: float) -> None:
        """The object exists: statistics taken from now on contain it.

        The first commit counts. A reservation that was dropped is counted
        again, since its object does exist.
        """
        with self._lock:
            held = self._held.setdefault(reservation.cluster_uuid, {})
            known = held.get(reservation.number, reservation)
            if known.committed_at is None and not known.released:
                held[known.number] = dataclasses.replace(
                    known, committed_at=now)

    def outstanding(self, cluster_uuid: str, observed_at: float | None,
                    now: float) -> int:
        """Bytes a cluster's statistics do not show yet.

        :param observed_at: when the reading of the statistics began; None
            when there are none.
        :returns: bytes of creates under way, and of those that ended after
            `observed_at`.
        """
        with self._lock:
            return sum(one.size for one
                       in self._held.get(cluster_uuid, {}).values()
                       if not one.released and one.hidden_from(observed_at)
                       and not self._over(one, now))

    def recent_creates(self, now: float) -> collections.Counter[str]:
        """:returns: creates of the last window, by cluster UUID."""
        with self._lock:
            return collections.Counter(
                one.cluster_uuid for held in self._held.values()
                for one in held.values()
                if not one.released and now - one.made_at < self._window)

    def _over(self, one: Reservation, now: float) -> bool:
        """Whether a reservation is too old to count."""
        last = one.made_at if one.committed_at is None else one.committed_at
        return now - last >= self._keep

    def _prune(self, now: float) -> None:
        """Free what is too old, now and then; the lock is held."""
        if now < self._prune_at:
            return
        self._prune_at = now + self._keep / 10
        kept = {uuid: {number: one for number, one in held.items()
                       if not self._over(one, now)}
                for uuid, held in self._held.items()}
        self._held = {uuid: held for uuid, held in kept.items() if held}
