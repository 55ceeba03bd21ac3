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

"""Objects as the JSON the gateway makes of them."""

from __future__ import annotations

import base64
import datetime
import json
import typing
import uuid as uuidlib

from tests.simulator import capacity
from tests.simulator import cluster as clusters
from tests.simulator import model
from tests.simulator import placement
from tests.simulator import tenancy

Json = dict[str, typing.Any]

# Bytes of index memory for a written byte.
_MEMORY_SHARE = 1600


def prune(cluster: clusters.Cluster, values: Json) -> Json:
    """Leave zero values out, unless the switch wants them."""
    if cluster.switches.emit_defaults:
        return values
    return {name: value for name, value in values.items() if value}


def counts(cluster: clusters.Cluster, values: Json) -> Json:
    """Leave zero counters out, unless the switch wants them.

    64-bit numbers are strings, so a zero is the text "0" here.
    """
    if cluster.switches.emit_defaults:
        return values
    return {
        name: value for name, value in values.items() if value and value != '0'
    }


def timestamp(seconds: float) -> str:
    """Return an RFC 3339 time in UTC."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime('%Y-%m-%dT%H:%M:%S.%fZ')


def _labels(cluster: clusters.Cluster, labels: model.Labels) -> list[Json]:
    if not cluster.switches.has(3, 11):
        return []
    return [{'key': key, 'value': value} for key, value in labels]


def _group(cluster: clusters.Cluster, nodes: tuple[int, ...]) -> str:
    """Return the UUID of the protection group on these nodes."""
    if not nodes or not cluster.switches.has(3, 18):
        return ''
    group = cluster.groups.get(nodes)
    if group is None:
        text = ','.join(str(index) for index in nodes)
        group = str(uuidlib.uuid5(uuidlib.UUID(cluster.subsystem), text))
        cluster.groups[nodes] = group
    return group


def _common(cluster: clusters.Cluster, item: model.Resource) -> Json:
    nodes = () if item.state is model.State.CREATING else item.nodes
    primary = placement.primary(cluster, nodes)
    return {
        'state': item.state.value,
        'replicaCount': item.replicas,
        'nodeList': [cluster.machines[index].uuid for index in nodes],
        'primaryNodeUUID': primary.uuid if primary else '',
        'UUID': item.uuid,
        'name': item.name,
        'projectName': item.project,
        'size': str(item.size),
        'sectorSize': item.sector_size,
        'ETag': str(item.etag),
        'labels': _labels(cluster, item.labels),
        'pgUUID': _group(cluster, nodes),
    }


def volume(cluster: clusters.Cluster, item: model.Volume) -> Json:
    """Return a volume."""
    creating = item.state is model.State.CREATING
    switches = cluster.switches
    timed = switches.creation_time_while_creating or not creating
    policy = cluster.policies.get(item.policy_uuid)
    numbered = switches.nsid_while_creating or not creating
    values = _common(cluster, item)
    values.update(
        protectionState=_protection(cluster, item),
        nsid=item.nsid if numbered else 0,
        acl={'values': list(item.acl)},
        IPAcl={'values': list(item.ip_acl)},
        compression='true' if item.compression else 'false',
        rebuildProgress='None',
        connectedHosts=list(item.hosts),
        sourceSnapshotUUID=item.source_uuid,
        sourceSnapshotName=item.source_name,
        placementRestrictions=list(item.placement),
        qosPolicyUUID=item.policy_uuid,
        qosPolicyName=policy.name if policy else '',
        creationTime=(
            timestamp(item.created) if timed and switches.has(3, 9) else ''
        ),
    )
    values = prune(cluster, values)
    values['statistics'] = _volume_statistics(cluster, item)
    return values


def _protection(cluster: clusters.Cluster, item: model.Volume) -> str:
    unknown = item.state is model.State.CREATING or not item.nodes
    if not unknown:
        return placement.protection(cluster, item.nodes).value
    return 'Unknown' if cluster.switches.emit_defaults else ''


def _volume_statistics(cluster: clusters.Cluster, item: model.Volume) -> Json:
    layers = capacity.volume_layers(item)
    used = capacity.logical(layers, item.size)
    if not used and not cluster.switches.emit_defaults:
        return {}
    physical, owned = capacity.physical(layers)
    direction = ratio(cluster, used, physical)
    return counts(
        cluster,
        {
            'logicalUsedStorage': str(used),
            'physicalUsedStorage': str(physical),
            'compressionRatio': direction,
            'totalCompressionRatio': direction,
            **_physical(physical, owned, used),
        },
    )


def _physical(physical: int, owned: int, used: int) -> Json:
    memory = str(used // _MEMORY_SHARE)
    return {
        'physicalCapacity': str(physical),
        'physicalOwnedCapacity': str(owned),
        'physicalOwnedMemory': memory,
        'physicalMemory': memory,
        'userWritten': str(used),
    }


def ratio(cluster: clusters.Cluster, used: int, physical: int) -> float:
    """Return the compression ratio in the direction of the switch."""
    if not used or not physical:
        return 1
    direction = cluster.switches.compression_ratio_direction
    if direction == 'used_over_physical':
        return used / physical
    return physical / used


def snapshot(cluster: clusters.Cluster, item: model.Snapshot) -> Json:
    """Return a snapshot."""
    settled = item.state not in (model.State.CREATING, model.State.FAILED)
    values = _common(cluster, item)
    values.update(
        description=item.description,
        creationTime=timestamp(item.created) if settled else '',
        retentionTime=f'{item.retention:g}s' if item.retention else '',
        sourceVolumeUUID=item.source_uuid,
        sourceVolumeName=item.source_name,
        nsid=item.nsid if settled else 0,
        acl={'values': [model.ALLOW_NONE]},
        IPAcl={'values': [model.ALLOW_NONE]},
        compression=item.compression,
    )
    values = prune(cluster, values)
    used = capacity.logical(item.layers, item.size)
    physical, owned = capacity.physical(item.layers)
    empty = not used and not cluster.switches.emit_defaults
    values['statistics'] = counts(
        cluster, {} if empty else _physical(physical, owned, used)
    )
    return values


def project(cluster: clusters.Cluster, item: model.Project) -> Json:
    """Return a project."""
    return prune(
        cluster,
        {
            'UUID': item.uuid,
            'name': item.name,
            'description': item.description,
            'defaultPolicies': [
                {'policyType': kind, 'policyUUID': uuid}
                for kind, uuid in item.policies
            ],
        },
    )


def credential(cluster: clusters.Cluster, item: model.Credential) -> Json:
    """Return a credential."""
    values = {
        'projectName': item.scope,
        'ID': item.id,
        'type': item.type,
        'payload': base64.b64encode(item.payload).decode(),
        'kind': 'UserCreds' if cluster.switches.emit_defaults else '',
    }
    return prune(cluster, values)


def role(name: str) -> Json:
    """Return a role with its rules."""
    return {'name': name, 'rulesJson': json.dumps(tenancy.ROLES[name])}


def policy(
    cluster: clusters.Cluster, item: model.Policy, *, admin: bool
) -> Json:
    """Return a QoS policy.

    :param admin: whether the reader may see its visibility.
    """
    rules: Json = {
        'policyVisibility': item.visibility if admin else 'Unavailable',
        'projectsNamesScope': list(item.scope) if admin else [],
    }
    if item.limits is not None:
        name, values = item.limits
        rules[name] = prune(cluster, dict(values))
    return {
        **prune(
            cluster,
            {
                'UUID': item.uuid,
                'name': item.name,
                'state': 'Active',
                'description': item.description,
            },
        ),
        'QoSRateLimitPolicy': {
            key: value for key, value in rules.items() if value or item.limits
        },
    }


def host(cluster: clusters.Cluster, item: model.Host) -> Json:
    """Return a connected host."""
    return prune(
        cluster,
        {
            'hostNQN': item.nqn,
            'iPAddress': item.address,
            'hostname': item.hostname,
            'volumeUUIDs': sorted(item.volumes),
        },
    )
