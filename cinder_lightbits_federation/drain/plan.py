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

"""What can leave a cluster, where to, how long that takes, and what cannot.

`plan` is a function of its arguments alone. Sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import dataclasses
import random

from cinder_lightbits_federation import placement
from cinder_lightbits_federation.placement import ClusterView
from cinder_lightbits_federation.placement import PlacementPolicy
from cinder_lightbits_federation.placement import PlacementRequest
from cinder_lightbits_federation.spec import VolumeSpec

# Statuses of a volume in which Cinder moves it (cinder/volume/api.py,
# migrate_volume).
AVAILABLE = 'available'
IN_USE = 'in-use'

LEAVING = 'the volume is being moved off it'


@dataclasses.dataclass(frozen=True, slots=True)
class Resident:
    """A volume on the cluster, as Cinder knows it.

    :param status: in Cinder.
    :param migrating: a migration of it is under way.
    :param copied: Cinder copies it to another volume, or this is that one.
    :param group: id of its group.
    :param snapshots: how many it has in Cinder.
    :param foreign: UUIDs of snapshots on the cluster that Cinder does not
        know.
    :param servers: ids of the servers it is attached to, each attachment.
    :param hosts: hosts it is attached to without a server.
    :param temporary: made by Cinder for its own use.
    """

    id: str
    size: int
    replicas: int
    project: str
    spec: VolumeSpec
    status: str
    migrating: bool = False
    copied: bool = False
    group: str | None = None
    snapshots: int = 0
    foreign: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    temporary: bool = False

    @property
    def attached(self) -> bool:
        """Whether Nova has to take part in its move."""
        return bool(self.servers)

    @property
    def promised(self) -> int:
        """What it takes of a cluster, replicas counted."""
        return self.size * self.replicas


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """A volume that can be moved.

    :param target: name of the cluster that would take it now.
    """

    resident: Resident
    target: str


@dataclasses.dataclass(frozen=True, slots=True)
class Blocked:
    """A volume that cannot be moved, and all that keeps it."""

    resident: Resident
    reasons: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done about the volumes of a cluster.

    :param moves: in the order in which to do them.
    :param under_way: volumes that are being moved already.
    """

    moves: tuple[Move, ...]
    under_way: tuple[Resident, ...]
    blocked: tuple[Blocked, ...]

    @property
    def size(self) -> int:
        """Bytes to copy at most: blocks that were never written are not."""
        return sum(move.resident.size for move in self.moves)

    def seconds(self, rate: int, at_once: int) -> float:
        """:param rate: bytes per second of one copy.

        :param at_once: copies that run side by side.
        :returns: how long the copies take at most.
        """
        lanes = [0.0] * at_once
        for move in self.moves:
            lanes[lanes.index(min(lanes))] += move.resident.size / rate
        return max(lanes)


def obstacles(resident: Resident) -> list[str]:
    """:returns: what keeps a volume where it is, wherever it would go."""
    checks = (
        (resident.temporary, 'Cinder made it for its own use'),
        (resident.status not in (AVAILABLE, IN_USE),
         f'its status is {resident.status}'),
        (resident.snapshots, f'it has {resident.snapshots} snapshots'),
        (resident.group, f'it is in group {resident.group}'),
        (resident.foreign, f'the cluster has snapshots of it that Cinder '
                           f'does not know: {", ".join(resident.foreign)}'),
        (resident.hosts, f'it is attached to {", ".join(resident.hosts)} '
                         f'without a server, so nobody can switch it over'),
        (len(resident.servers) > 1, f'it is attached to '
                                    f'{len(resident.servers)} servers'),
        (resident.status == IN_USE and not resident.servers
         and not resident.hosts, 'it is in use by nobody that Cinder knows'),
    )
    return [reason for holds, reason in checks if holds]


def plan(residents: Iterable[Resident], leaving: str,
         views: Sequence[ClusterView], policy: PlacementPolicy,
         rng: random.Random) -> Plan:
    """Work out what can leave a cluster.

    Volumes that nobody uses come first, then those that servers use; the
    small ones before the large ones. Each is placed with those before it
    counted.

    :param leaving: UUID of the cluster.
    :param views: all clusters.
    """
    moves: list[Move] = []
    under_way: list[Resident] = []
    blocked: list[Blocked] = []
    room = {view.uuid: view for view in views}
    for resident in sorted(residents, key=_order):
        reasons = obstacles(resident)
        if resident.migrating:
            under_way.append(resident)
        elif reasons:
            blocked.append(Blocked(resident, tuple(reasons)))
        else:
            decision = placement.choose(
                request(resident, leaving), list(room.values()), policy, rng)
            if decision.ranked:
                best = decision.ranked[0]
                moves.append(Move(resident, best.name))
                _reserve(room, best.uuid, resident.promised)
            else:
                blocked.append(Blocked(resident, (
                    'no cluster takes it: ' + ', '.join(
                        map(str, decision.rejected)),)))
    return Plan(tuple(moves), tuple(under_way), tuple(blocked))


def request(resident: Resident, leaving: str) -> PlacementRequest:
    """:returns: what the volume asks of the cluster it goes to."""
    return PlacementRequest(
        size=resident.size, replicas=resident.replicas,
        project=resident.project, spec=resident.spec,
        exclude={leaving: LEAVING})


def _order(resident: Resident) -> tuple[bool, int, str]:
    return resident.attached, resident.size, resident.id


def _reserve(room: dict[str, ClusterView], uuid: str, promised: int) -> None:
    view = room[uuid]
    room[uuid] = dataclasses.replace(view, reserved=view.reserved + promised)
