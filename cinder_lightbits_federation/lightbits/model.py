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

"""What the management API v2 tells, parsed once and frozen."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from cinder_lightbits_federation.lightbits import asked
from cinder_lightbits_federation.lightbits import fields
from cinder_lightbits_federation.lightbits import states

# Whoever uses the values below needs these names too.
ALLOW_ANY = fields.ALLOW_ANY
ALLOW_NONE = fields.ALLOW_NONE
NewSnapshot = asked.NewSnapshot
NewVolume = asked.NewVolume
PlacementRestriction = asked.PlacementRestriction
VolumeChange = asked.VolumeChange
HealthState = states.HealthState
NodeState = states.NodeState
PolicyState = states.PolicyState
ProtectionState = states.ProtectionState
SectorSize = states.SectorSize
SnapshotState = states.SnapshotState
UpgradeStatus = states.UpgradeStatus
VolumeState = states.VolumeState

MAX_IP_ACL = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Volume:
    """A volume (an NVMe namespace). Sizes in bytes.

    `acl` holds host NQNs and `ip_acl` addresses; empty means ALLOW_NONE,
    and either may hold the keyword ALLOW_ANY alone.
    """

    uuid: str
    name: str
    project: str
    state: states.VolumeState
    size: int
    etag: str
    replicas: int = 0
    protection: states.ProtectionState = states.ProtectionState.UNKNOWN
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
    def from_json(cls, data: fields.Json) -> Volume:
        """:raises MalformedField: the reply is not a volume."""
        usage = fields.mapping(data, 'statistics')
        return cls(
            uuid=fields.identity(data), name=fields.text(data, 'name'),
            project=fields.text(data, 'projectName'),
            state=states.VolumeState(data.get('state')),
            size=fields.integer(data, 'size'), etag=fields.text(data, 'ETag'),
            replicas=fields.integer(data, 'replicaCount'),
            protection=states.ProtectionState(data.get('protectionState')),
            acl=fields.acl_values(data, 'acl'),
            ip_acl=fields.acl_values(data, 'IPAcl'),
            compression=fields.truth(data, 'compression'),
            sector_size=fields.integer(data, 'sectorSize', 4096),
            nsid=fields.integer(data, 'nsid'),
            node_uuids=fields.texts(data, 'nodeList'),
            primary_node_uuid=fields.text(data, 'primaryNodeUUID'),
            labels=fields.labels(data),
            source_snapshot_uuid=fields.text(
                data, 'sourceSnapshotUUID').lower(),
            source_snapshot_name=fields.text(data, 'sourceSnapshotName'),
            qos_policy_uuid=fields.text(data, 'qosPolicyUUID').lower(),
            qos_policy_name=fields.text(data, 'qosPolicyName'),
            connected_hosts=fields.texts(data, 'connectedHosts'),
            created_at=fields.text(data, 'creationTime'),
            logical_used=fields.integer(usage, 'logicalUsedStorage'),
            physical_owned=fields.integer(usage, 'physicalOwnedCapacity'))


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """A read-only point-in-time image of a volume. Sizes in bytes."""

    uuid: str
    name: str
    project: str
    state: states.SnapshotState
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
    def from_json(cls, data: fields.Json) -> Snapshot:
        """:raises MalformedField: the reply is not a snapshot."""
        return cls(
            uuid=fields.identity(data), name=fields.text(data, 'name'),
            project=fields.text(data, 'projectName'),
            state=states.SnapshotState(data.get('state')),
            size=fields.integer(data, 'size'), etag=fields.text(data, 'ETag'),
            source_volume_uuid=fields.text(data, 'sourceVolumeUUID').lower(),
            source_volume_name=fields.text(data, 'sourceVolumeName'),
            description=fields.text(data, 'description'),
            retention=fields.text(data, 'retentionTime'),
            replicas=fields.integer(data, 'replicaCount'),
            compression=fields.truth(data, 'compression'),
            sector_size=fields.integer(data, 'sectorSize', 4096),
            labels=fields.labels(data),
            created_at=fields.text(data, 'creationTime'),
            physical_owned=fields.integer(
                fields.mapping(data, 'statistics'),
                'physicalOwnedCapacity'))


@dataclasses.dataclass(frozen=True, slots=True)
class ChangedRange:
    """A run of LBAs; bit i of `bitmap` (LSB first) is LBA `start` + i."""

    start: int
    end: int
    bitmap: bytes

    @classmethod
    def from_json(cls, data: fields.Json) -> ChangedRange:
        """:raises MalformedField: the reply is not a range."""
        return cls(start=fields.integer(data, 'lbaStart'),
                   end=fields.integer(data, 'lbaEnd'),
                   bitmap=fields.binary(data, 'dataBitMap'))


@dataclasses.dataclass(frozen=True, slots=True)
class ChangedBlocks:
    """One page of changed blocks; `next_lba` is 0 on the last page."""

    ranges: tuple[ChangedRange, ...]
    next_lba: int

    @classmethod
    def from_json(cls, data: fields.Json) -> ChangedBlocks:
        """:raises MalformedField: the reply is not changed blocks."""
        return cls(ranges=tuple(ChangedRange.from_json(item) for item
                                in data.get('lbaRanges') or ()),
                   next_lba=fields.integer(data, 'nextOffsetLBA'))


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A logical storage target of a cluster. Sizes in bytes."""

    uuid: str
    name: str
    state: states.NodeState
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
    def from_json(cls, data: fields.Json) -> Node:
        """:raises MalformedField: the reply is not a node."""
        usage = fields.mapping(data, 'statistics')
        return cls(
            uuid=fields.identity(data), name=fields.text(data, 'name'),
            state=states.NodeState(data.get('state')),
            nvme_endpoint=fields.text(data, 'nvmeEndpoint'),
            failure_domains=fields.texts(data, 'failureDomains'),
            hostname=fields.text(data, 'hostname'),
            server_uuid=fields.text(data, 'serverUUID').lower(),
            read_only=fields.truth(data, 'readOnly'),
            effective=fields.integer(usage, 'effectivePhysicalStorage'),
            free_physical=fields.integer(usage, 'freePhysicalStorage'),
            logical=fields.integer(usage, 'logicalStorage'),
            estimated_logical=fields.integer(usage, 'estimatedLogicalStorage'),
            estimated_free_logical=fields.integer(
                usage, 'estimatedFreeLogicalStorage'))


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
    upgrade: states.UpgradeStatus = states.UpgradeStatus.UNKNOWN

    @classmethod
    def from_json(cls, data: fields.Json) -> ClusterInfo:
        """:raises MalformedField: the reply is not a cluster's."""
        return cls(
            uuid=fields.identity(data),
            subsystem_nqn=fields.text(data, 'subsystemNQN'),
            name=fields.text(data, 'clusterName'),
            current_max_replicas=fields.integer(data, 'currentMaxReplicas'),
            supported_max_replicas=fields.integer(
                data, 'supportedMaxReplicas'),
            api_endpoints=fields.texts(data, 'apiEndpoints'),
            discovery_endpoints=fields.texts(data, 'discoveryEndpoints'),
            nvme_endpoints=fields.texts(data, 'nvmeEndpoints'),
            upgrade=states.UpgradeStatus(
                fields.mapping(data, 'lastUpgrade').get('Status')))


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
    def from_json(cls, data: fields.Json) -> ClusterStatistics:
        """:raises MalformedField: a figure is not a number."""
        return cls(
            installed=fields.integer(data, 'installedPhysicalStorage'),
            managed=fields.integer(data, 'managedPhysicalStorage'),
            effective=fields.integer(data, 'effectivePhysicalStorage'),
            logical=fields.integer(data, 'logicalStorage'),
            logical_used=fields.integer(data, 'logicalUsedStorage'),
            physical_used=fields.integer(data, 'physicalUsedStorage'),
            free_physical=fields.integer(data, 'freePhysicalStorage'),
            estimated_logical=fields.integer(data, 'estimatedLogicalStorage'),
            estimated_free_logical=fields.integer(
                data, 'estimatedFreeLogicalStorage'),
            compression_ratio=fields.decimal(data, 'compressionRatio', 1.0))


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """What cluster roles may read of a cluster (``GET /cluster``)."""

    info: ClusterInfo
    statistics: ClusterStatistics
    health: states.HealthState
    version: str

    @classmethod
    def from_json(cls, data: fields.Json) -> Cluster:
        """:raises MalformedField: the reply is not a cluster's."""
        return cls(
            info=ClusterInfo.from_json(data),
            statistics=ClusterStatistics.from_json(
                fields.mapping(data, 'statistics')),
            health=states.HealthState(
                fields.mapping(data, 'health').get('state')),
            version=fields.text(data, 'MinVersionInCluster'))


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """A tenant of a cluster."""

    uuid: str
    name: str
    description: str = ''

    @classmethod
    def from_json(cls, data: fields.Json) -> Project:
        """:raises MalformedField: the reply is not a project."""
        return cls(uuid=fields.text(data, 'UUID').lower(),
                   name=fields.text(data, 'name'),
                   description=fields.text(data, 'description'))


@dataclasses.dataclass(frozen=True, slots=True)
class QosPolicy:
    """A rate limit that volumes refer to; its UUID is cluster-local."""

    uuid: str
    name: str
    state: states.PolicyState = states.PolicyState.UNKNOWN
    description: str = ''

    @classmethod
    def from_json(cls, data: fields.Json) -> QosPolicy:
        """:raises MalformedField: the reply is not a policy."""
        return cls(uuid=fields.identity(data), name=fields.text(data, 'name'),
                   state=states.PolicyState(data.get('state')),
                   description=fields.text(data, 'description'))


@dataclasses.dataclass(frozen=True, slots=True)
class ConnectedHost:
    """A host with live NVMe connections to the cluster."""

    nqn: str
    address: str = ''
    hostname: str = ''
    volume_uuids: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: fields.Json) -> ConnectedHost:
        """:raises MalformedField: the reply is not a host."""
        return cls(nqn=fields.text(data, 'hostNQN'),
                   address=fields.text(data, 'iPAddress'),
                   hostname=fields.text(data, 'hostname'),
                   volume_uuids=fields.texts(data, 'volumeUUIDs'))


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """A public key or certificate that the cluster accepts tokens of."""

    project: str
    id: str
    type: str = ''

    @classmethod
    def from_json(cls, data: fields.Json) -> Credential:
        """:raises MalformedField: the reply is not a credential."""
        return cls(project=fields.text(data, 'projectName'),
                   id=fields.text(data, 'ID'),
                   type=fields.text(data, 'type'))
