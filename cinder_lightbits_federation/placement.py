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

"""Which cluster a new volume goes to: filter, then weigh.

`choose` is a function of its arguments alone. Every cluster ends up ranked or
rejected with a reason. What it works on is defined beside it, in `decisions`,
`views` and `room`, and can be had from here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
import dataclasses
import functools
import itertools
import operator
import random
from typing import NamedTuple

from cinder_lightbits_federation.decisions import Candidate
from cinder_lightbits_federation.decisions import Decision
from cinder_lightbits_federation.decisions import PlacementRequest
from cinder_lightbits_federation.decisions import Rejection
from cinder_lightbits_federation import fitness
from cinder_lightbits_federation import room
from cinder_lightbits_federation.room import largest_volume
from cinder_lightbits_federation.room import PlacementPolicy
from cinder_lightbits_federation.room import pool_figures
from cinder_lightbits_federation.room import PoolFigures
from cinder_lightbits_federation.views import AdminState
from cinder_lightbits_federation.views import ClusterView
from cinder_lightbits_federation.views import Connection

__all__ = ('AdminState', 'Candidate', 'Chooser', 'ClusterView', 'Connection',
           'Decision', 'PlacementPolicy', 'PlacementRequest', 'PoolFigures',
           'Rejection', 'choose', 'draw', 'largest_volume', 'pool_figures')

# From a simulation (tests/bench/ramp.py): of two clusters or three a new one
# then takes at most two and a half times as many volumes to catch up as it
# would without a cap.
CATCH_UP = 1.8

# Of how many kinds of requests a chooser keeps how clusters stand, and of how
# many sizes how full each cluster would be.
KINDS = 32
SIZES = 16

# Why a candidate stands behind others, by its tier.
NOTES = ('capacity unknown', 'upgrading', 'had its share')

_by_name = operator.attrgetter('name', 'uuid')
_by_order = operator.itemgetter(0)


class _Weighed(NamedTuple):
    """A candidate on its way to a rank.

    :param order: what puts it behind others: first its tier, whatever its
        score; then the score, which is its fullness.
    """

    order: tuple[tuple[bool, bool, bool], float]
    candidate: Candidate


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    """What a view says whatever the size of the volume.

    :param measured: whether its total is known.
    :param unfit: why it cannot take such volumes at all.
    :param most: bytes it takes of them, replicas counted; may be infinite.
    :param largest: bytes of the largest one it is known to have room for.
    :param weighed: how it weighs, by bytes and whether it had its share.
    """

    view: ClusterView
    measured: bool
    unfit: Rejection | None
    most: float
    largest: int
    weighed: dict[tuple[int, bool], _Weighed] = dataclasses.field(
        default_factory=dict)

    @classmethod
    def of(cls, view: ClusterView, request: PlacementRequest,
           policy: PlacementPolicy) -> _Entry:
        """:returns: the entry of one view."""
        reason = fitness.first_reason(fitness.FITNESS, view, request, policy)
        return cls(
            view, view.ratio() is not None,
            None if reason is None else Rejection(view.uuid, view.name,
                                                  reason),
            fitness.most(view, request, policy),
            room.largest_on(view, request.replicas, policy))

    def weigh(self, needed: int, had_share: bool, heaviest: int
              ) -> _Weighed:
        """:returns: how it weighs, from earlier if possible.

        :param heaviest: the most that any candidate has promised.
        """
        known = self.weighed.get((needed, had_share))
        if known is not None:
            return known
        ratio = self.view.ratio(needed)
        tier = (not self.measured, self.view.upgrading, had_share)
        note = ', '.join(itertools.compress(NOTES, tier)) if any(tier) else ''
        found = _Weighed(
            (tier, self.view.load / heaviest if ratio is None else ratio),
            Candidate(self.view.uuid, self.view.name, ratio, note))
        # What others have promised may be another thing next time.
        if ratio is not None:
            if len(self.weighed) >= SIZES:
                self.weighed.clear()
            self.weighed[needed, had_share] = found
        return found


class _Standing:
    """How clusters stand for requests of one kind, and how it is kept.

    A kind is all of a request but its size and spread group's counts. Views
    are immutable, so that one seen before has nothing new to say.
    """

    def __init__(self, policy: PlacementPolicy) -> None:
        self._policy = policy
        self._entries: list[_Entry] = []
        self._fit: list[_Entry] = []
        self._unfit: list[Rejection] = []
        self._least = 0.0
        self._largest = 0

    def choose(self, request: PlacementRequest,
               views: Sequence[ClusterView], lots: Mapping[str, float]
               ) -> Decision:
        """:returns: see `choose`."""
        self._follow(request, views)
        roomy, full = self._partition(request)
        spread, crowded = _spread(roomy, request)
        greedy = _greedy(spread, views, self._policy)
        rejected = self._unfit
        if full or crowded:
            rejected = sorted(self._unfit + full + crowded, key=_by_name)
        return Decision(
            ranked=_rank(_weigh(spread, request.needed, greedy),
                         self._policy.tie_band, lots),
            rejected=tuple(rejected), largest=self._largest)

    def _follow(self, request: PlacementRequest,
                views: Sequence[ClusterView]) -> None:
        """Look at those clusters that look different from last time."""
        if len(views) != len(self._entries):
            self._entries = [_Entry.of(view, request, self._policy)
                             for view in views]
        else:
            changed = [number for number, (entry, view)
                       in enumerate(zip(self._entries, views, strict=True))
                       if entry.view is not view]
            if not changed:
                return
            for number in changed:
                self._entries[number] = _Entry.of(
                    views[number], request, self._policy)
        self._unfit = sorted((entry.unfit for entry in self._entries
                              if entry.unfit is not None), key=_by_name)
        self._fit = [entry for entry in self._entries if entry.unfit is None]
        self._least = min([entry.most for entry in self._fit], default=0)
        self._largest = max([entry.largest for entry in self._fit],
                            default=0)

    def _partition(self, request: PlacementRequest
                   ) -> tuple[list[_Entry], list[Rejection]]:
        """Tell those with room for the volume from those without."""
        needed = request.needed
        if needed <= self._least:
            return self._fit, []
        return ([entry for entry in self._fit if needed <= entry.most],
                [Rejection(entry.view.uuid, entry.view.name,
                           fitness.first_reason(fitness.ROOM, entry.view,
                                                request, self._policy) or '')
                 for entry in self._fit if needed > entry.most])


def _spread(entries: list[_Entry], request: PlacementRequest
            ) -> tuple[list[_Entry], list[Rejection]]:
    """Keep the clusters with the fewest volumes of the spread group."""
    group = request.spec.spread_group
    if group is None or not entries:
        return entries, []
    counts = [request.spread_counts.get(entry.view.uuid, 0)
              for entry in entries]
    fewest = min(counts)
    kept = [entry for entry, count in zip(entries, counts, strict=True)
            if count == fewest]
    return kept, [
        Rejection(entry.view.uuid, entry.view.name,
                  f'spread group {group} has {count} volumes here and '
                  f'{fewest} elsewhere')
        for entry, count in zip(entries, counts, strict=True)
        if count > fewest]


def _greedy(entries: Sequence[_Entry], everyone: Iterable[ClusterView],
            policy: PlacementPolicy) -> frozenset[str]:
    """UUIDs of the candidates that took their share of recent creates.

    A cluster may always take `CATCH_UP` times what an even division would
    give it: held to less, a new one among few would hardly ever become as
    full as the others.
    """
    if len(entries) < 2 or policy.max_create_share >= 1:
        return frozenset()
    total = sum(view.recent_creates for view in everyone)
    if total < policy.share_window_min:
        return frozenset()
    share = max(policy.max_create_share, CATCH_UP / len(entries))
    return frozenset(entry.view.uuid for entry in entries
                     if entry.view.recent_creates >= share * total)


def _weigh(entries: Sequence[_Entry], needed: int,
           greedy: frozenset[str]) -> list[_Weighed]:
    heaviest = 1
    if not all(entry.measured for entry in entries):
        heaviest = max(entry.view.load for entry in entries) or 1
    return [entry.weigh(needed, entry.view.uuid in greedy, heaviest)
            for entry in entries]


def _rank(weighed: Iterable[_Weighed], tie_band: float,
          lots: Mapping[str, float]) -> tuple[Candidate, ...]:
    """Order by tier, then score; near-ties of a score by lot.

    Each lot belongs to its cluster, so a cluster that gets fuller never
    gains a rank by it.
    """
    groups: list[list[Candidate]] = []
    tier, most = None, 0.0
    for one in sorted(weighed, key=_by_order):
        if one.order[0] == tier and one.order[1] <= most:
            groups[-1].append(one.candidate)
        else:
            groups.append([one.candidate])
            tier, most = one.order[0], one.order[1] + tie_band
    return tuple(
        candidate for group in groups
        for candidate in sorted(group, key=lambda each: (lots[each.uuid],
                                                         each.uuid)))


def draw(uuids: Iterable[str], rng: random.Random) -> dict[str, float]:
    """Draw a lot for each cluster.

    :returns: lots by UUID, the same for any order of the UUIDs.
    """
    return {uuid: rng.random() for uuid in sorted(uuids)}


class Chooser:
    """Chooses again and again, and looks only at clusters that changed.

    Its decisions are those of `choose`. Not thread-safe.
    """

    def __init__(self) -> None:
        @functools.lru_cache(KINDS)
        def standing(_kind: Hashable, policy: PlacementPolicy) -> _Standing:
            return _Standing(policy)

        self._standing = standing

    def choose(self, request: PlacementRequest,
               views: Sequence[ClusterView], policy: PlacementPolicy,
               lots: Mapping[str, float]) -> Decision:
        """Rank the clusters that can take a volume, as `choose` does.

        :param views: a cluster that did not change may have the same view
            as before; it is then not looked at.
        :param lots: one for each cluster, by UUID; they break near-ties.
        """
        kind = (request.replicas, request.project, request.spec,
                request.only, frozenset(request.exclude.items()),
                request.for_clone)
        return self._standing(kind, policy).choose(request, views, lots)


def choose(request: PlacementRequest, views: Sequence[ClusterView],
           policy: PlacementPolicy, rng: random.Random) -> Decision:
    """Rank the clusters that can take a volume.

    The lowest (provisioned + reserved + requested) / effective capacity
    wins, replicas counted. Behind those come, in this order, clusters that
    had their share of recent creates, that are being upgraded, and whose
    capacity is not known (the one with the least on it first).

    :param views: all clusters, in any order, each UUID once; those that were
        never reached may share an empty one.
    :param rng: breaks near-ties; one number is drawn per cluster.
    """
    return Chooser().choose(request, views, policy,
                            draw([view.uuid for view in views], rng))
