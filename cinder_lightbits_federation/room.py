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

"""How much room clusters have: for one volume and for the whole backend."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

from cinder_lightbits_federation import views as seen


@dataclasses.dataclass(frozen=True, slots=True)
class PlacementPolicy:
    """How far clusters are filled and how creates are spread over them.

    :param max_over_subscription: bytes promised per usable byte, at least 1.
    :param reserved_percentage: share of a cluster kept free, 0 to 99.
    :param max_create_share: a cluster that took this share of the recent
        creates waits behind the others; over 0, and 1 switches it off.
    :param tie_band: clusters whose ratios differ by no more are equal.
    :param share_window_min: recent creates from which shares mean anything.
    :raises ValueError: a value is out of its range; the text names it.
    """

    max_over_subscription: float = 20.0
    reserved_percentage: int = 0
    max_create_share: float = 1.0
    tie_band: float = 0.002
    share_window_min: int = 16

    def __post_init__(self) -> None:
        checks = {
            'max_over_subscription': (
                1 <= self.max_over_subscription < float('inf')),
            'reserved_percentage': 0 <= self.reserved_percentage <= 99,
            'max_create_share': 0 < self.max_create_share <= 1,
            'tie_band': self.tie_band >= 0,
            'share_window_min': self.share_window_min >= 1,
        }
        for field, good in checks.items():
            if not good:
                raise ValueError(f'{field} is out of range: '
                                 f'{getattr(self, field)}')


def limit(view: seen.ClusterView, policy: PlacementPolicy) -> int | None:
    """Bytes a cluster may promise in all, replicas counted.

    :returns: None when its total is not known.
    """
    if view.capacity is None or view.capacity.effective is None:
        return None
    # Exact, so that the largest volume reported is one that is placed.
    over, parts = policy.max_over_subscription.as_integer_ratio()
    return (view.capacity.effective * (100 - policy.reserved_percentage)
            * over // (100 * parts))


def exhausted(view: seen.ClusterView, policy: PlacementPolicy) -> bool:
    """Whether the room that is really left is down to the reserve."""
    known = view.capacity
    if (known is None or known.effective is None
            or known.free_physical is None):
        return False
    kept = known.effective * policy.reserved_percentage // 100
    return known.free_physical <= kept


def unpromised(view: seen.ClusterView,
               policy: PlacementPolicy) -> int | None:
    """Bytes a cluster may still promise, replicas counted, never negative.

    :returns: None when its total is not known.
    """
    most = limit(view, policy)
    return None if most is None else max(0, most - view.load)


def largest_on(view: seen.ClusterView, replicas: int,
               policy: PlacementPolicy) -> int:
    """:returns: bytes of the largest volume one cluster still takes."""
    room = unpromised(view, policy)
    if (room is None or exhausted(view, policy)
            or (view.max_replicas is not None
                and replicas > view.max_replicas)):
        return 0
    return room // replicas


def largest_volume(views: Iterable[seen.ClusterView], replicas: int,
                   policy: PlacementPolicy) -> int:
    """The largest volume that some cluster can still take.

    :param replicas: its replica count.
    :returns: bytes; 0 when none accepts volumes or is known to have room.
    """
    return max((largest_on(view, replicas, policy) for view in views
                if view.accepts_volumes), default=0)


@dataclasses.dataclass(frozen=True, slots=True)
class PoolFigures:
    """Capacity of the backend in bytes at one replica count.

    All sums are over the same clusters: those that accept new volumes and
    whose total is known.

    :param total: usable for data.
    :param free: physically left.
    :param provisioned: promised, reservations included.
    :param largest: the largest volume one cluster can still take.
    :param unmeasured: clusters that accept volumes but whose total no token
        may read; they are in no sum.
    """

    total: int = 0
    free: int = 0
    provisioned: int = 0
    largest: int = 0
    unmeasured: int = 0


def pool_figures(views: Iterable[seen.ClusterView], replicas: int,
                 policy: PlacementPolicy) -> PoolFigures:
    """Sum up the backend, or one pool of it.

    :param replicas: the replica count that the figures are divided by.
    :returns: zeros when no cluster accepts volumes: the closed backend.
    """
    accepting = [view for view in views if view.accepts_volumes]
    total = free = provisioned = unmeasured = 0
    for view in accepting:
        known = view.capacity
        if known is None or known.effective is None:
            unmeasured += 1
            continue
        total += known.effective
        free += (known.effective if known.free_physical is None
                 else min(known.effective, known.free_physical))
        provisioned += view.load
    return PoolFigures(
        total=total // replicas, free=free // replicas,
        provisioned=provisioned // replicas,
        largest=largest_volume(accepting, replicas, policy),
        unmeasured=unmeasured)
