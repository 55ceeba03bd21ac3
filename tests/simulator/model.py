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

"""The objects a cluster holds."""

from __future__ import annotations

import copy
import dataclasses
import enum
import typing

ALLOW_ANY = 'ALLOW_ANY'
ALLOW_NONE = 'ALLOW_NONE'
SYSTEM = 'system'

# Earlier versions an object keeps for the `stale` fault.
HISTORY = 3


class State(enum.StrEnum):
    """States of volumes and snapshots."""

    CREATING = 'Creating'
    AVAILABLE = 'Available'
    DELETING = 'Deleting'
    FAILED = 'Failed'
    UPDATING = 'Updating'
    ROLLBACK = 'Rollback'
    MIGRATING = 'Migrating'


class Protection(enum.StrEnum):
    """How many of a volume's replicas are there."""

    UNKNOWN = 'Unknown'
    FULL = 'FullyProtected'
    DEGRADED = 'Degraded'
    READ_ONLY = 'ReadOnly'
    NOT_AVAILABLE = 'NotAvailable'


class NodeState(enum.StrEnum):
    """States of a node's data role."""

    ACTIVE = 'Active'
    ACTIVATING = 'Activating'
    INACTIVE = 'Inactive'
    # No member of the cluster any more.
    UNATTACHED = 'Unattached'


class UpgradeStatus(enum.StrEnum):
    """States of the last upgrade of a cluster's software."""

    UNKNOWN = 'Unknown'
    NONE = 'None'
    FAILED = 'UpgradeFailed'
    UPGRADING = 'Upgrading'


@dataclasses.dataclass(frozen=True, slots=True)
class Upgrade:
    """The last upgrade. Times are seconds since the epoch, 0 for none."""

    status: UpgradeStatus = UpgradeStatus.NONE
    target: str = ''
    error: str = ''
    step: int = 0
    total: int = 0
    started: float = 0.0
    ended: float = 0.0


@dataclasses.dataclass(slots=True, eq=False)
class Layer:
    """Blocks written between two snapshots, shared by reference.

    A volume writes to one layer of its own; a snapshot freezes it, and
    clones read through the same frozen layers.
    """

    nodes: tuple[int, ...]
    ratio: float
    used: int = 0
    physical: int = 0
    refs: int = 1


Labels = tuple[tuple[str, str], ...]


@dataclasses.dataclass(slots=True, eq=False)
class Resource:
    """What volumes and snapshots have in common. Sizes are bytes."""

    uuid: str
    name: str
    project: str
    size: int
    replicas: int
    compression: bool
    sector_size: int
    created: float
    # Place in the order of creation.
    number: int
    # First volume of the chain of clones and snapshots it belongs to.
    lineage: str
    state: State = State.CREATING
    etag: int = 0
    nodes: tuple[int, ...] = ()
    nsid: int = 0
    labels: Labels = ()
    layers: tuple[Layer, ...] = ()
    # Ends in Failed whatever the cluster could do.
    doomed: bool = False
    history: tuple[typing.Any, ...] = ()

    def remember(self) -> None:
        """Keep the present version for stale reads."""
        past = copy.copy(self)
        past.history = ()
        self.history = (past, *self.history[: HISTORY - 1])


@dataclasses.dataclass(slots=True, eq=False)
class Volume(Resource):
    """A volume. `source_*` name the snapshot it was cloned from."""

    acl: tuple[str, ...] = (ALLOW_NONE,)
    ip_acl: tuple[str, ...] = (ALLOW_ANY,)
    source_uuid: str = ''
    source_name: str = ''
    placement: tuple[dict[str, typing.Any], ...] = ()
    policy_uuid: str = ''
    top: Layer | None = None
    hosts: tuple[str, ...] = ()


@dataclasses.dataclass(slots=True, eq=False)
class Snapshot(Resource):
    """A snapshot. `source_*` name the volume it was taken of."""

    source_uuid: str = ''
    source_name: str = ''
    description: str = ''
    # Seconds until the cluster removes it; 0 is never.
    retention: float = 0.0


@dataclasses.dataclass(slots=True, eq=False)
class Node:
    """One storage node and the server it stands for."""

    index: int
    name: str
    uuid: str
    server_uuid: str
    server_name: str
    failure_domain: str
    data_address: str
    # Effective bytes.
    capacity: int
    state: NodeState = NodeState.ACTIVE
    etag: int = 0
    # `ip:port` of its API endpoint, brackets around IPv6.
    api_endpoint: str = ''

    @property
    def active(self) -> bool:
        """Whether the node serves data."""
        return self.state is NodeState.ACTIVE


@dataclasses.dataclass(slots=True, eq=False)
class Project:
    """A tenant. Policies are pairs of (type, UUID)."""

    uuid: str
    name: str
    description: str = ''
    policies: tuple[tuple[str, str], ...] = ()
    # Clock time until which a drained project refuses its removal.
    busy_until: float = 0.0


@dataclasses.dataclass(slots=True, eq=False)
class Credential:
    """A public key (PEM) registered in the scope of a project."""

    scope: str
    id: str
    type: str
    payload: bytes


@dataclasses.dataclass(slots=True, eq=False)
class Policy:
    """A QoS policy. `limits` is the one-of member as (name, values)."""

    uuid: str
    name: str
    description: str = ''
    visibility: str = 'Global'
    scope: tuple[str, ...] = ()
    limits: tuple[str, tuple[tuple[str, int], ...]] | None = None


@dataclasses.dataclass(slots=True, eq=False)
class Host:
    """A host with connections to the cluster's subsystem."""

    nqn: str
    address: str
    hostname: str
    volumes: set[str] = dataclasses.field(default_factory=set)
