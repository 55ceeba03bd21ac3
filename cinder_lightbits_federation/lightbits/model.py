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

"""Values of the management API v2, parsed once and frozen.

The API's habits (a JSON transcoding of gRPC): 64-bit numbers are strings,
zero values may be missing, enums are names and grow with releases, a
volume's compression is a string and a snapshot's a boolean.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
import dataclasses
import enum
from typing import Any, Self

Json = Mapping[str, Any]

ALLOW_ANY = 'ALLOW_ANY'
ALLOW_NONE = 'ALLOW_NONE'
MAX_IP_ACL = 16


class MalformedField(ValueError):
    """A field of a reply is not of the documented form."""


class ApiEnum(enum.Enum):
    """An enum of the API; a value this version does not know is UNKNOWN."""

    @classmethod
    def _missing_(cls, value: object) -> Self:
        return cls('Unknown')


class VolumeState(ApiEnum):
    UNKNOWN = 'Unknown'
    CREATING = 'Creating'
    AVAILABLE = 'Available'
    DELETING = 'Deleting'
    DELETED = 'Deleted'
    FAILED = 'Failed'
    UPDATING = 'Updating'
    ROLLBACK = 'Rollback'
    MIGRATING = 'Migrating'

    @property
    def settled(self) -> bool:
        """Whether the volume is usable and no change is under way.

        The cluster moves replicas in Migrating; I/O goes on.
        """
        return self in (VolumeState.AVAILABLE, VolumeState.MIGRATING)

    @property
    def going(self) -> bool:
        """Whether a delete was accepted."""
        return self in (VolumeState.DELETING, VolumeState.DELETED)


class SnapshotState(ApiEnum):
    UNKNOWN = 'Unknown'
    CREATING = 'Creating'
    AVAILABLE = 'Available'
    DELETING = 'Deleting'
    DELETED = 'Deleted'
    FAILED = 'Failed'

    @property
    def going(self) -> bool:
        """Whether a delete was accepted."""
        return self in (SnapshotState.DELETING, SnapshotState.DELETED)


class ProtectionState(ApiEnum):
    UNKNOWN = 'Unknown'
    FULLY_PROTECTED = 'FullyProtected'
    DEGRADED = 'Degraded'
    READ_ONLY = 'ReadOnly'
    NOT_AVAILABLE = 'NotAvailable'


class NodeState(ApiEnum):
    UNKNOWN = 'Unknown'
    ACTIVE = 'Active'
    ACTIVATING = 'Activating'
    INACTIVE = 'Inactive'
    UNATTACHED = 'Unattached'
    ATTACHING = 'Attaching'
    DETACHING = 'Detaching'


class HealthState(ApiEnum):
    UNKNOWN = 'Unknown'
    NONE = 'None'
    OK = 'OK'
    WARNING = 'Warning'
    ERROR = 'Error'


class UpgradeStatus(ApiEnum):
    UNKNOWN = 'Unknown'
    NONE = 'None'
    FAILED = 'UpgradeFailed'
    UPGRADING = 'Upgrading'


class PolicyState(ApiEnum):
    UNKNOWN = 'Unknown'
    CREATING = 'Creating'
    ACTIVE = 'Active'
    UPDATING = 'Updating'
    DEPRECATED = 'Deprecated'
    FAILED = 'Failed'


class SectorSize(enum.Enum):
    """Sector sizes as a create request names them."""

    DEFAULT = 'sectorSize_Default'
    B512 = 'sectorSize_512B'
    B4096 = 'sectorSize_4K'


def integer(data: Json, key: str, default: int = 0) -> int:
    """Read a number that may be a string, or missing when it is zero."""
    value = data.get(key)
    if value is None or value == '':
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise MalformedField(f'{key} is not a number: {value!r}') from None


def decimal(data: Json, key: str, default: float = 0.0) -> float:
    """Read a floating-point number, missing when it is zero."""
    value = data.get(key)
    if value is None or value == '':
        return default
    try:
        return float(value)
    except (TypeError, ValueError):
        raise MalformedField(f'{key} is not a number: {value!r}') from None


def text(data: Json, key: str, default: str = '') -> str:
    """Read a string, missing when it is empty."""
    value = data.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise MalformedField(f'{key} is not a string: {value!r}')
    return value


def texts(data: Json, key: str) -> tuple[str, ...]:
    """Read a list of strings, missing when it is empty."""
    value = data.get(key) or ()
    if not isinstance(value, (list, tuple)):
        raise MalformedField(f'{key} is not a list: {value!r}')
    return tuple(str(item) for item in value)


def mapping(data: Json, key: str) -> Json:
    """Read an object, missing when it is empty."""
    value = data.get(key) or {}
    if not isinstance(value, Mapping):
        raise MalformedField(f'{key} is not an object: {value!r}')
    return value


def identity(data: Json, key: str = 'UUID') -> str:
    """Read an object's UUID, in lower case.

    :raises MalformedField: it is missing.
    """
    value = text(data, key).lower()
    if not value:
        raise MalformedField(f'{key} is missing')
    return value


def truth(data: Json, key: str) -> bool:
    """Read a boolean in either of the API's two forms."""
    value = data.get(key)
    if isinstance(value, str):
        return value.lower() in ('true', 'enable', 'enabled')
    return bool(value)


def binary(data: Json, key: str) -> bytes:
    """Read bytes, which the API writes as base64."""
    try:
        return base64.b64decode(text(data, key), validate=True)
    except ValueError:
        raise MalformedField(f'{key} is not base64') from None


def acl_values(data: Json, key: str) -> frozenset[str]:
    """Read an ACL; the keyword ALLOW_NONE is the empty set."""
    values = frozenset(texts(mapping(data, key), 'values'))
    return values - {ALLOW_NONE}


def acl_body(values: frozenset[str]) -> dict[str, list[str]]:
    """Write an ACL for a request; never an empty list."""
    return {'values': sorted(values) or [ALLOW_NONE]}


def labels(data: Json) -> dict[str, str]:
    """Read labels as a dictionary."""
    return {text(item, 'key'): text(item, 'value')
            for item in data.get('labels') or ()}


def labels_body(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Write labels for a request."""
    return [{'key': key, 'value': value}
            for key, value in sorted(values.items())]


@dataclasses.dataclass(frozen=True, slots=True)
class Volume:
    """A volume (an NVMe namespace). Sizes in bytes.

    `acl` holds host NQNs and `ip_acl` addresses; empty means ALLOW_NONE,
    and either may hold the keyword ALLOW_ANY alone.
    """

    uuid: str
    name: str
    project: str
    state: VolumeState
    size: int
    etag: str
    replicas: int = 0
    protection: ProtectionState = ProtectionState.UNKNOWN
    acl: frozenset[str] = frozenset()
    ip_acl: frozenset[str] = frozenset()
    compression: bool = False
    sector_size: int = 4096
    nsid: int = 0
    node_uuids: tuple[str, ...] = ()
    primary_node_uuid: str = ''
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    source_snapshot_uuid: str = ''
    source_snapshot_name: str = ''
    qos_policy_uuid: str = ''
    qos_policy_name: str = ''
    connected_hosts: tuple[str, ...] = ()
    created_at: str = ''
    logical_used: int = 0
    physical_owned: int = 0

    @classmethod
    def from_json(cls, data: Json) -> Volume:
        """:raises MalformedField: the reply is not a volume."""
        usage = mapping(data, 'statistics')
        return cls(
            uuid=identity(data), name=text(data, 'name'),
            project=text(data, 'projectName'),
            state=VolumeState(data.get('state')),
            size=integer(data, 'size'), etag=text(data, 'ETag'),
            replicas=integer(data, 'replicaCount'),
            protection=ProtectionState(data.get('protectionState')),
            acl=acl_values(data, 'acl'), ip_acl=acl_values(data, 'IPAcl'),
            compression=truth(data, 'compression'),
            sector_size=integer(data, 'sectorSize', 4096),
            nsid=integer(data, 'nsid'), node_uuids=texts(data, 'nodeList'),
            primary_node_uuid=text(data, 'primaryNodeUUID'),
            labels=labels(data),
            source_snapshot_uuid=text(data, 'sourceSnapshotUUID').lower(),
            source_snapshot_name=text(data, 'sourceSnapshotName'),
            qos_policy_uuid=text(data, 'qosPolicyUUID').lower(),
            qos_policy_name=text(data, 'qosPolicyName'),
            connected_hosts=texts(data, 'connectedHosts'),
            created_at=text(data, 'creationTime'),
            logical_used=integer(usage, 'logicalUsedStorage'),
            physical_owned=integer(usage, 'physicalOwnedCapacity'))


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """A read-only point-in-time image of a volume. Sizes in bytes."""

    uuid: str
    name: str
    project: str
    state: SnapshotState
    size: int
    etag: str
    source_volume_uuid: str = ''
    source_volume_name: str = ''
    description: str = ''
    retention: str = ''
    replicas: int = 0
    compression: bool = False
    sector_size: int = 4096
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    created_at: str = ''
    physical_owned: int = 0

    @classmethod
    def from_json(cls, data: Json) -> Snapshot:
        """:raises MalformedField: the reply is not a snapshot."""
        return cls(
            uuid=identity(data), name=text(data, 'name'),
            project=text(data, 'projectName'),
            state=SnapshotState(data.get('state')),
            size=integer(data, 'size'), etag=text(data, 'ETag'),
            source_volume_uuid=text(data, 'sourceVolumeUUID').lower(),
            source_volume_name=text(data, 'sourceVolumeName'),
            description=text(data, 'description'),
            retention=text(data, 'retentionTime'),
            replicas=integer(data, 'replicaCount'),
            compression=truth(data, 'compression'),
            sector_size=integer(data, 'sectorSize', 4096),
            labels=labels(data), created_at=text(data, 'creationTime'),
            physical_owned=integer(mapping(data, 'statistics'),
                                   'physicalOwnedCapacity'))


@dataclasses.dataclass(frozen=True, slots=True)
class ChangedRange:
    """A run of LBAs; bit i of `bitmap` (LSB first) is LBA `start` + i."""

    start: int
    end: int
    bitmap: bytes

    @classmethod
    def from_json(cls, data: Json) -> ChangedRange:
        """:raises MalformedField: the reply is not a range."""
        return cls(start=integer(data, 'lbaStart'),
                   end=integer(data, 'lbaEnd'),
                   bitmap=binary(data, 'dataBitMap'))


@dataclasses.dataclass(frozen=True, slots=True)
class ChangedBlocks:
    """One page of changed blocks; `next_lba` is 0 on the last page."""

    ranges: tuple[ChangedRange, ...]
    next_lba: int

    @classmethod
    def from_json(cls, data: Json) -> ChangedBlocks:
        """:raises MalformedField: the reply is not changed blocks."""
        return cls(ranges=tuple(ChangedRange.from_json(item) for item
                                in data.get('lbaRanges') or ()),
                   next_lba=integer(data, 'nextOffsetLBA'))


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A logical storage target of a cluster. Sizes in bytes."""

    uuid: str
    name: str
    state: NodeState
    nvme_endpoint: str
    failure_domains: tuple[str, ...] = ()
    hostname: str = ''
    server_uuid: str = ''
    read_only: bool = False
    effective: int = 0
    free_physical: int = 0
    logical: int = 0
    estimated_logical: int = 0
    estimated_free_logical: int = 0

    @classmethod
    def from_json(cls, data: Json) -> Node:
        """:raises MalformedField: the reply is not a node."""
        usage = mapping(data, 'statistics')
        return cls(
            uuid=identity(data), name=text(data, 'name'),
            state=NodeState(data.get('state')),
            nvme_endpoint=text(data, 'nvmeEndpoint'),
            failure_domains=texts(data, 'failureDomains'),
            hostname=text(data, 'hostname'),
            server_uuid=text(data, 'serverUUID').lower(),
            read_only=truth(data, 'readOnly'),
            effective=integer(usage, 'effectivePhysicalStorage'),
            free_physical=integer(usage, 'freePhysicalStorage'),
            logical=integer(usage, 'logicalStorage'),
            estimated_logical=integer(usage, 'estimatedLogicalStorage'),
            estimated_free_logical=integer(usage,
                                           'estimatedFreeLogicalStorage'))


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterInfo:
    """What every token may read of a cluster (``GET /clusterinfo``)."""

    uuid: str
    subsystem_nqn: str
    name: str = ''
    current_max_replicas: int = 0
    supported_max_replicas: int = 0
    api_endpoints: tuple[str, ...] = ()
    discovery_endpoints: tuple[str, ...] = ()
    nvme_endpoints: tuple[str, ...] = ()
    upgrade: UpgradeStatus = UpgradeStatus.UNKNOWN

    @classmethod
    def from_json(cls, data: Json) -> ClusterInfo:
        """:raises MalformedField: the reply is not a cluster's."""
        return cls(
            uuid=identity(data), subsystem_nqn=text(data, 'subsystemNQN'),
            name=text(data, 'clusterName'),
            current_max_replicas=integer(data, 'currentMaxReplicas'),
            supported_max_replicas=integer(data, 'supportedMaxReplicas'),
            api_endpoints=texts(data, 'apiEndpoints'),
            discovery_endpoints=texts(data, 'discoveryEndpoints'),
            nvme_endpoints=texts(data, 'nvmeEndpoints'),
            upgrade=UpgradeStatus(mapping(data, 'lastUpgrade').get('Status')))


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterStatistics:
    """A cluster's capacity in bytes (``GET /cluster``).

    `logical` is the sum of volume sizes; whether it counts replicas is not
    documented.
    """

    installed: int
    managed: int
    effective: int
    logical: int
    logical_used: int
    physical_used: int
    free_physical: int
    estimated_logical: int
    estimated_free_logical: int
    compression_ratio: float

    @classmethod
    def from_json(cls, data: Json) -> ClusterStatistics:
        """:raises MalformedField: a figure is not a number."""
        return cls(
            installed=integer(data, 'installedPhysicalStorage'),
            managed=integer(data, 'managedPhysicalStorage'),
            effective=integer(data, 'effectivePhysicalStorage'),
            logical=integer(data, 'logicalStorage'),
            logical_used=integer(data, 'logicalUsedStorage'),
            physical_used=integer(data, 'physicalUsedStorage'),
            free_physical=integer(data, 'freePhysicalStorage'),
            estimated_logical=integer(data, 'estimatedLogicalStorage'),
            estimated_free_logical=integer(data,
                                           'estimatedFreeLogicalStorage'),
            compression_ratio=decimal(data, 'compressionRatio', 1.0))


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """What cluster roles may read of a cluster (``GET /cluster``)."""

    info: ClusterInfo
    statistics: ClusterStatistics
    health: HealthState
    version: str

    @classmethod
    def from_json(cls, data: Json) -> Cluster:
        """:raises MalformedField: the reply is not a cluster's."""
        return cls(
            info=ClusterInfo.from_json(data),
            statistics=ClusterStatistics.from_json(
                mapping(data, 'statistics')),
            health=HealthState(mapping(data, 'health').get('state')),
            version=text(data, 'MinVersionInCluster'))


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """A tenant of a cluster."""

    uuid: str
    name: str
    description: str = ''

    @classmethod
    def from_json(cls, data: Json) -> Project:
        """:raises MalformedField: the reply is not a project."""
        return cls(uuid=text(data, 'UUID').lower(), name=text(data, 'name'),
                   description=text(data, 'description'))


@dataclasses.dataclass(frozen=True, slots=True)
class QosPolicy:
    """A rate limit that volumes refer to; its UUID is cluster-local."""

    uuid: str
    name: str
    state: PolicyState = PolicyState.UNKNOWN
    description: str = ''

    @classmethod
    def from_json(cls, data: Json) -> QosPolicy:
        """:raises MalformedField: the reply is not a policy."""
        return cls(uuid=identity(data), name=text(data, 'name'),
                   state=PolicyState(data.get('state')),
                   description=text(data, 'description'))


@dataclasses.dataclass(frozen=True, slots=True)
class ConnectedHost:
    """A host with live NVMe connections to the cluster."""

    nqn: str
    address: str = ''
    hostname: str = ''
    volume_uuids: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Json) -> ConnectedHost:
        """:raises MalformedField: the reply is not a host."""
        return cls(nqn=text(data, 'hostNQN'),
                   address=text(data, 'iPAddress'),
                   hostname=text(data, 'hostname'),
                   volume_uuids=texts(data, 'volumeUUIDs'))


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """A public key or certificate that the cluster accepts tokens of."""

    project: str
    id: str
    type: str = ''

    @classmethod
    def from_json(cls, data: Json) -> Credential:
        """:raises MalformedField: the reply is not a credential."""
        return cls(project=text(data, 'projectName'), id=text(data, 'ID'),
                   type=text(data, 'type'))


@dataclasses.dataclass(frozen=True, slots=True)
class PlacementRestriction:
    """A label that the nodes of a single-replica volume must carry."""

    key: str
    value: str


@dataclasses.dataclass(frozen=True, slots=True)
class NewVolume:
    """A create request. Size in bytes; access starts as ALLOW_NONE."""

    name: str
    size: int
    replicas: int
    compression: bool = False
    sector_size: SectorSize | None = None
    source_snapshot_uuid: str | None = None
    qos_policy_uuid: str | None = None
    qos_policy_name: str | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    restrictions: tuple[PlacementRestriction, ...] = ()
    acl: frozenset[str] = frozenset()
    ip_acl: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class VolumeChange:
    """What an update changes; None leaves a field as it is.

    :param size: bytes; only growing is ever asked for.
    :param labels: the whole new set.
    """

    acl: frozenset[str] | None = None
    ip_acl: frozenset[str] | None = None
    size: int | None = None
    compression: bool | None = None
    qos_policy_uuid: str | None = None
    qos_policy_name: str | None = None
    labels: Mapping[str, str] | None = None
    new_name: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NewSnapshot:
    """A snapshot request.

    :param retention: seconds after which the cluster removes it itself.
    :param description: at most 256 bytes.
    """

    name: str
    source_volume_uuid: str
    description: str = ''
    retention: int | None = None
