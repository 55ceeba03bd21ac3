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
rejected with a reason. What it works on is defined beside it, in `views` and
`room`, and can be had from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
import itertools
import random

from cinder_lightbits_federation import room
from cinder_lightbits_federation.room import largest_volume
from cinder_lightbits_federation.room import PlacementPolicy
from cinder_lightbits_federation.room import pool_figures
from cinder_lightbits_federation.room import PoolFigures
from cinder_lightbits_federation import sizes
from cinder_lightbits_federation import spec as specs
from cinder_lightbits_federation.views import AdminState
from cinder_lightbits_federation.views import ALLOWED
from cinder_lightbits_federation.views import ClusterView
from cinder_lightbits_federation.views import Connection
from cinder_lightbits_federation.views import Use

__all__ = ('AdminState', 'Candidate', 'ClusterView', 'Connection',
           'Decision', 'PlacementPolicy', 'PlacementRequest', 'PoolFigures',
           'Rejection', 'choose', 'largest_volume', 'pool_figures')


@dataclasses.dataclass(frozen=True, slots=True)
class PlacementRequest:
    """A volume that needs a cluster.

    :param size: bytes.
    :param replicas: its replica count, the backend's default applied.
    :param project: its Lightbits project, the backend's default applied.
    :param spec: what its type asks for. For a copy that has to stay with its
        source whatever the type says, leave out the pin.
    :param only: UUIDs of the clusters that may be used (the source's, those
        of a pool); None for any.
    :param exclude: why clusters may not be used, by UUID.
    :param spread_counts: volumes of the spread group, by cluster UUID.
    :param for_clone: it shares its blocks with a source on the cluster in
        `only`. Such a volume may be made on a disabled or draining cluster
        and on one that is physically full, as it takes no space at first.
        What it promises counts against over-subscription like any other.
    :raises ValueError: size, replicas or the clone's cluster make no sense.
    """

    size: int
    replicas: int
    project: str
    spec: specs.VolumeSpec = specs.VolumeSpec()
    only: frozenset[str] | None = None
    exclude: Mapping[str, str] = dataclasses.field(default_factory=dict)
    spread_counts: Mapping[str, int] = dataclasses.field(
        default_factory=dict)
    for_clone: bool = False

    def __post_init__(self) -> None:
        if self.size <= 0:
            raise ValueError(f'size is not positive: {self.size}')
        if self.replicas <= 0:
            raise ValueError(f'replicas is not positive: {self.replicas}')
        if self.for_clone and self.only is None:
            raise ValueError('for_clone without the cluster of its source')

    @property
    def needed(self) -> int:
        """Bytes it promises, replicas counted."""
        return self.size * self.replicas


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A cluster that can take the volume.

    :param ratio: its fullness with the volume on it; None when unknown.
    :param note: why it stands behind emptier ones, or nothing.
    """

    uuid: str
    name: str
    ratio: float | None
    note: str = ''

    def __str__(self) -> str:
        ratio = 'unknown' if self.ratio is None else f'{self.ratio:.3f}'
        note = f'({self.note})' if self.note else ''
        return f'{self.name}:{ratio}{note}'


@dataclasses.dataclass(frozen=True, slots=True)
class Rejection:
    """A cluster that cannot take the volume, and why."""

    uuid: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f'{self.name}({self.reason})'


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a placement.

    :param ranked: where to try, best first.
    :param rejected: the others, by name.
    :param largest: bytes of the largest volume that would have found room
        on a cluster that fits otherwise; for the message when none has it.
    """

    ranked: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]
    largest: int = 0

    def explain(self) -> str:
        """:returns: one line for the log: what was chosen, and why."""
        words = ['chosen=none']
        if self.ranked:
            ratio = self.ranked[0].ratio
            shown = 'unknown' if ratio is None else f'{ratio:.3f}'
            words = [f'chosen={self.ranked[0].name}', f'ratio={shown}']
            if self.ranked[0].note:
                words.append(f'note={self.ranked[0].note}')
        words.append('candidates=' + _listed(self.ranked[1:]))
        words.append('rejected=' + _listed(self.rejected))
        return ' '.join(words)


def _listed(items: Iterable[object]) -> str:
    text = ','.join(str(item) for item in items)
    return ' '.join(text.split()) or '-'


# From a simulation (tests/bench/ramp.py): of two clusters or three a new one
# then takes at most two and a half times as many volumes to catch up as it
# would without a cap.
CATCH_UP = 1.8

Filter = Callable[[ClusterView, PlacementRequest, PlacementPolicy],
                  str | None]


def _excluded(view: ClusterView, request: PlacementRequest,
              _policy: PlacementPolicy) -> str | None:
    return request.exclude.get(view.uuid)


def _outside(view: ClusterView, request: PlacementRequest,
             _policy: PlacementPolicy) -> str | None:
    if request.only is None or view.uuid in request.only:
        return None
    return ('not the cluster of its source' if request.for_clone
            else 'not among the clusters asked for')


def _state(view: ClusterView, request: PlacementRequest,
           _policy: PlacementPolicy) -> str | None:
    use = Use.COPY if request.for_clone else Use.CREATE
    if use in ALLOWED[view.admin_state]:
        return None
    return view.admin_state.value


def _connection(view: ClusterView, _request: PlacementRequest,
                _policy: PlacementPolicy) -> str | None:
    if view.connection is Connection.CONNECTED:
        return None
    return ': '.join(filter(None, (view.connection.value, view.reason)))


def _known(view: ClusterView, request: PlacementRequest,
           _policy: PlacementPolicy) -> str | None:
    """What is made there must be within reach of whichever service is asked.

    A clone changes nothing about that: its source is there already.
    """
    if request.for_clone or not view.unknown_to:
        return None
    return f'not known to {", ".join(view.unknown_to)}'


def _pin(view: ClusterView, request: PlacementRequest,
         _policy: PlacementPolicy) -> str | None:
    if request.spec.clusters.admits(view.uuid, view.name):
        return None
    return f'not admitted by {specs.CLUSTER}'


def _project(view: ClusterView, request: PlacementRequest,
             _policy: PlacementPolicy) -> str | None:
    if view.projects is None or request.project in view.projects:
        return None
    return f'no project {request.project}'


def _qos_policy(view: ClusterView, request: PlacementRequest,
                _policy: PlacementPolicy) -> str | None:
    wanted = request.spec.qos_policy
    if wanted is None or view.qos_policies is None:
        return None
    known = (view.qos_policies.values() if specs.is_uuid(wanted)
             else view.qos_policies.keys())
    return None if wanted in known else f'no QoS policy {wanted}'


def _replicas(view: ClusterView, request: PlacementRequest,
              _policy: PlacementPolicy) -> str | None:
    if view.max_replicas is None or request.replicas <= view.max_replicas:
        return None
    return (f'{request.replicas} replicas asked for, it serves '
            f'{view.max_replicas} now')


def _failure_domain(view: ClusterView, request: PlacementRequest,
                    _policy: PlacementPolicy) -> str | None:
    if view.failure_domains is None:
        return None
    missing = request.spec.domains() - view.failure_domains
    if not missing:
        return None
    return f'no failure domain {", ".join(sorted(missing))}'


def _physical(view: ClusterView, request: PlacementRequest,
              policy: PlacementPolicy) -> str | None:
    if request.for_clone or not room.exhausted(view, policy):
        return None
    return 'physically full'


def _promises(view: ClusterView, request: PlacementRequest,
              policy: PlacementPolicy) -> str | None:
    left = room.unpromised(view, policy)
    if left is None or request.needed <= left:
        return None
    return (f'needs {sizes.bytes_to_gib_ceil(request.needed)} GiB with '
            f'replicas, has room for {sizes.bytes_to_gib_floor(left)}')


# In this order; the first reason is the one that is told.
FITNESS: tuple[Filter, ...] = (
    _excluded, _outside, _state, _connection, _known, _pin, _project,
    _qos_policy, _replicas, _failure_domain)
ROOM: tuple[Filter, ...] = (_physical, _promises)


def _first_reason(filters: Iterable[Filter], view: ClusterView,
                  request: PlacementRequest,
                  policy: PlacementPolicy) -> str | None:
    for check in filters:
        reason = check(view, request, policy)
        if reason is not None:
            return reason
    return None


def _partition(filters: Iterable[Filter], views: Iterable[ClusterView],
               request: PlacementRequest, policy: PlacementPolicy
               ) -> tuple[list[ClusterView], list[Rejection]]:
    passed: list[ClusterView] = []
    failed: list[Rejection] = []
    for view in views:
        reason = _first_reason(filters, view, request, policy)
        if reason is None:
            passed.append(view)
        else:
            failed.append(Rejection(view.uuid, view.name, reason))
    return passed, failed


def _spread(views: Sequence[ClusterView], request: PlacementRequest
            ) -> tuple[list[ClusterView], list[Rejection]]:
    """Keep the clusters with the fewest volumes of the spread group."""
    group = request.spec.spread_group
    if group is None or not views:
        return list(views), []
    counts = {view.uuid: request.spread_counts.get(view.uuid, 0)
              for view in views}
    fewest = min(counts.values())
    kept = [view for view in views if counts[view.uuid] == fewest]
    return kept, [
        Rejection(view.uuid, view.name,
                  f'spread group {group} has {counts[view.uuid]} volumes '
                  f'here and {fewest} elsewhere')
        for view in views if counts[view.uuid] > fewest]


def _greedy(views: Sequence[ClusterView], everyone: Iterable[ClusterView],
            policy: PlacementPolicy) -> frozenset[str]:
    """UUIDs of the candidates that took their share of recent creates.

    A cluster may always take `CATCH_UP` times what an even division would
    give it: held to less, a new one among few would hardly ever become as
    full as the others.
    """
    total = sum(view.recent_creates for view in everyone)
    if (len(views) < 2 or policy.max_create_share >= 1
            or total < policy.share_window_min):
        return frozenset()
    share = max(policy.max_create_share, CATCH_UP / len(views))
    return frozenset(view.uuid for view in views
                     if view.recent_creates >= share * total)


@dataclasses.dataclass(frozen=True, slots=True)
class _Weighed:
    """A candidate on its way to a rank.

    :param tier: what puts it behind others whatever its score.
    :param score: fullness; lower is better.
    :param lot: drawn at random, orders equals.
    """

    candidate: Candidate
    tier: tuple[bool, bool, bool]
    score: float
    lot: float


def _weigh(views: Sequence[ClusterView], request: PlacementRequest,
           greedy: frozenset[str],
           lots: Mapping[str, float]) -> list[_Weighed]:
    heaviest = max((view.load for view in views), default=0) or 1
    notes = ('capacity unknown', 'upgrading', 'had its share')
    weighed = []
    for view in views:
        ratio = view.ratio(request.needed)
        tier = (ratio is None, view.upgrading, view.uuid in greedy)
        note = ', '.join(itertools.compress(notes, tier))
        weighed.append(_Weighed(
            Candidate(view.uuid, view.name, ratio, note), tier,
            view.load / heaviest if ratio is None else ratio,
            lots[view.uuid]))
    return weighed


def _rank(weighed: Iterable[_Weighed],
          tie_band: float) -> tuple[Candidate, ...]:
    """Order by tier, then score; near-ties of a score by lot.

    Each lot belongs to its cluster, so a cluster that gets fuller never
    gains a rank by it.
    """
    ordered = sorted(weighed, key=lambda one: (one.tier, one.score))
    groups: list[list[_Weighed]] = []
    for one in ordered:
        if (groups and groups[-1][0].tier == one.tier
                and one.score <= groups[-1][0].score + tie_band):
            groups[-1].append(one)
        else:
            groups.append([one])
    return tuple(
        one.candidate for group in groups
        for one in sorted(group, key=lambda each: (each.lot,
                                                   each.candidate.uuid)))


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
    draw = {view.uuid: rng.random()
            for view in sorted(views, key=lambda view: view.uuid)}
    fit, unfit = _partition(FITNESS, views, request, policy)
    roomy, full = _partition(ROOM, fit, request, policy)
    spread, crowded = _spread(roomy, request)
    greedy = _greedy(spread, views, policy)
    rejected = sorted(unfit + full + crowded,
                      key=lambda one: (one.name, one.uuid))
    return Decision(
        ranked=_rank(_weigh(spread, request, greedy, draw), policy.tie_band),
        rejected=tuple(rejected),
        largest=max((room.largest_on(view, request.replicas, policy)
                     for view in fit), default=0))
