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

"""Which volumes to move so that clusters are evenly full.

`rebalance` is a function of its arguments alone. Sizes are bytes, replicas
counted. A cluster is even with the others when its ratio is within a
tolerance of that of all of them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses

from cinder_lightbits_federation.drain.plan import Resident


@dataclasses.dataclass(frozen=True, slots=True)
class Fill:
    """How full a cluster is.

    :param capacity: what it can promise in all.
    :param promised: what it has promised, volumes of others included.
    :param takes: whether it may get volumes.
    """

    uuid: str
    capacity: int
    promised: int
    takes: bool = True

    @property
    def ratio(self) -> float:
        """Share that is promised."""
        return self.promised / self.capacity


@dataclasses.dataclass(frozen=True, slots=True)
class Shift:
    """A volume that should go to another cluster."""

    resident: Resident
    source: str
    target: str


@dataclasses.dataclass(frozen=True, slots=True)
class Balance:
    """What to move, and how full the clusters are then.

    :param after: ratios by UUID.
    """

    shifts: tuple[Shift, ...]
    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def size(self) -> int:
        """Bytes to copy at most."""
        return sum(shift.resident.size for shift in self.shifts)

    @property
    def spread(self) -> float:
        """Distance between the fullest and the emptiest afterwards."""
        ratios = self.after.values()
        return max(ratios, default=0.0) - min(ratios, default=0.0)


def rebalance(fills: Iterable[Fill],
              residents: Mapping[str, Sequence[Resident]],
              tolerance: float) -> Balance:
    """Even the ratios out, moving little.

    Each cluster above the bound gives away just enough to come below it, to
    those that are below the mean; a volume is moved once at most and only if
    the two clusters are closer to the mean then.

    :param fills: clusters, those without room (capacity 0) left out.
    :param residents: movable volumes by cluster UUID.
    :param tolerance: how far above the mean ratio a cluster may stay.
    """
    known = {fill.uuid: fill for fill in fills if fill.capacity > 0}
    capacity = sum(fill.capacity for fill in known.values())
    mean = (sum(fill.promised for fill in known.values()) / capacity
            if capacity else 0.0)
    now = dict(known)
    shifts: list[Shift] = []
    full = [uuid for uuid, fill in known.items()
            if fill.ratio > mean + tolerance]
    for uuid in sorted(full, key=lambda key: (-known[key].ratio, key)):
        shifts += _relieve(uuid, now, residents.get(uuid, ()), mean,
                           tolerance)
    return Balance(tuple(shifts),
                   {uuid: fill.ratio for uuid, fill in known.items()},
                   {uuid: fill.ratio for uuid, fill in now.items()})


def _relieve(uuid: str, now: dict[str, Fill],
             residents: Sequence[Resident], mean: float, tolerance: float
             ) -> list[Shift]:
    """Take volumes off one cluster until it is within the bound."""
    left = sorted(residents, key=lambda item: (item.promised, item.id))
    shifts: list[Shift] = []
    while now[uuid].ratio > mean + tolerance:
        excess = now[uuid].promised - int(
            (mean + tolerance) * now[uuid].capacity)
        found = _choose(left, excess, uuid, now, mean)
        if found is None:
            break
        resident, target = found
        left.remove(resident)
        _shift(now, uuid, target, resident.promised)
        shifts.append(Shift(resident, uuid, target))
    return shifts


def _choose(left: Sequence[Resident], excess: int, source: str,
            now: Mapping[str, Fill], mean: float
            ) -> tuple[Resident, str] | None:
    """The smallest volume that is enough, else the largest that fits.

    One that is enough ends the cluster's part with the fewest bytes; without
    one, large ones end it with the fewest moves.
    """
    enough = [item for item in left if item.promised >= excess]
    less = [item for item in left if item.promised < excess]
    for item in [*enough[:1], *reversed(less), *enough[1:]]:
        target = _target(item, source, now, mean)
        if target is not None:
            return item, target
    return None


def _target(item: Resident, source: str, now: Mapping[str, Fill],
            mean: float) -> str | None:
    """The emptiest cluster, if both are closer to the mean then."""
    others = [fill for fill in now.values()
              if fill.uuid != source and fill.takes and fill.ratio < mean]
    if not others:
        return None
    emptiest = min(others, key=lambda fill: (fill.ratio, fill.uuid))
    given = now[source]
    before = max(given.ratio - mean, mean - emptiest.ratio)
    after = max(
        abs((given.promised - item.promised) / given.capacity - mean),
        abs((emptiest.promised + item.promised) / emptiest.capacity - mean))
    return emptiest.uuid if after < before else None


def _shift(now: dict[str, Fill], source: str, target: str, size: int
           ) -> None:
    for uuid, change in ((source, -size), (target, size)):
        now[uuid] = dataclasses.replace(
            now[uuid], promised=now[uuid].promised + change)
