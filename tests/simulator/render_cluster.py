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

"""Cluster, nodes and servers as JSON."""

from __future__ import annotations

import collections.abc

from tests.simulator import cluster as clusters
from tests.simulator import model
from tests.simulator import placement
from tests.simulator import render

# Installed over effective bytes: what over-provisioning and parity take.
_INSTALLED = 1.394
# Used bytes over used bytes including parity.
_PARITY = 1.2

_DEVICES = 6
_MAX_DEVICES = 12


def info(cluster: clusters.Cluster) -> render.Json:
    """Return what `clusterinfo` tells everybody."""
    values = {
        **_shared(cluster),
        'nvmeEndpoints': _endpoints(cluster, clusters.DATA_PORT),
    }
    return render.prune(cluster, values)


def _shared(cluster: clusters.Cluster) -> render.Json:
    return {
        'UUID': cluster.uuid,
        'subsystemNQN': cluster.nqn,
        'currentMaxReplicas': placement.max_replicas(cluster, current=True),
        'supportedMaxReplicas': placement.max_replicas(cluster, current=False),
        'ETag': str(cluster.etag),
        'apiEndpoints': [node.api_endpoint for node in cluster.nodes],
        'discoveryEndpoints': _endpoints(cluster, clusters.DISCOVERY_PORT),
        'clusterName': cluster.name,
        'lastUpgrade': _upgrade(cluster),
        'encryptionStatus': {'encryptionState': 'Disabled'},
        'inBandAuthMode': 'Disabled',
    }


def _upgrade(cluster: clusters.Cluster) -> render.Json:
    last = cluster.upgrade
    unknown = last.status is model.UpgradeStatus.UNKNOWN
    shown = not unknown or cluster.switches.emit_defaults
    return render.prune(
        cluster,
        {
            # The zero of its enumeration.
            'Status': last.status.value if shown else '',
            'StartTime': _moment(last.started),
            'EndTime': _moment(last.ended),
            'TargetVersion': last.target,
            'ErrorMessage': last.error,
            'ProgressStep': last.step,
            'ProgressTotal': last.total,
        },
    )


def _moment(seconds: float) -> str:
    return render.timestamp(seconds) if seconds else ''


def _endpoints(cluster: clusters.Cluster, port: int) -> list[str]:
    return [
        clusters.endpoint(node.data_address, port) for node in cluster.nodes
    ]


def cluster_object(cluster: clusters.Cluster) -> render.Json:
    """Return what `cluster` tells cluster roles."""
    state = placement.health(cluster)
    version = cluster.switches.version
    values = {
        **_shared(cluster),
        'statistics': _cluster_statistics(cluster),
        'health': render.prune(
            cluster,
            {
                'state': state.state,
                'numDegradedVolumes': state.degraded,
                'numReadOnlyVolumes': state.read_only,
                'numNotAvailableVolumes': state.not_available,
                'numInactiveNodes': state.inactive_nodes,
                'numHealthyVolumes': state.healthy,
            },
        ),
        'MinVersionInCluster': version,
        'MinAllowedVersion': version.partition('~')[0],
        'MaxAllowedVersion': version.partition('~')[0],
    }
    return render.prune(cluster, values)


def _cluster_statistics(cluster: clusters.Cluster) -> render.Json:
    counted = [
        node
        for node in cluster.nodes
        if node.active or cluster.switches.inactive_nodes_counted
    ]
    values = _space(cluster, counted)
    installed = sum(node.capacity for node in cluster.nodes)
    logical = sum(cluster.usage.provisioned)
    if not cluster.switches.replicas_in_logical:
        logical = cluster.usage.sizes
    values['installedPhysicalStorage'] = str(int(installed * _INSTALLED))
    values['logicalStorage'] = str(logical)
    return render.counts(cluster, values)


def _space(
    cluster: clusters.Cluster,
    nodes: collections.abc.Sequence[model.Node],
) -> render.Json:
    usage = cluster.usage
    effective = sum(node.capacity for node in nodes)
    used = sum(usage.used[node.index] for node in nodes)
    physical = sum(usage.physical[node.index] for node in nodes)
    free = sum(usage.free(node.index) for node in nodes)
    scale = used / physical if physical else 1
    return {
        'managedPhysicalStorage': str(int(effective * _INSTALLED)),
        'effectivePhysicalStorage': str(effective),
        'logicalUsedStorage': str(used),
        'physicalUsedStorage': str(physical),
        'physicalUsedStorageIncludingParity': str(int(physical * _PARITY)),
        'freePhysicalStorage': str(free),
        'estimatedFreeLogicalStorage': str(int(free * scale)),
        'estimatedLogicalStorage': str(int(effective * scale)),
        'compressionRatio': render.ratio(cluster, used, physical),
    }


def node(cluster: clusters.Cluster, item: model.Node) -> render.Json:
    """Return a node."""
    values = {
        'name': item.name,
        'UUID': item.uuid,
        'state': item.state.value,
        'status': 'ConnectivityOK' if item.active else 'ConnectivityProblem',
        'nvmeEndpoint': clusters.endpoint(
            item.data_address, clusters.DATA_PORT
        ),
        'failureDomains': [item.failure_domain],
        'hostname': f'{cluster.name}-{item.server_name}',
        'inLocalRebuild': False,
        'numManagedDevices': _DEVICES,
        'maxNvmeDevices': _MAX_DEVICES,
        'ec': True,
        'serverUUID': item.server_uuid,
        'ETag': str(item.etag),
        'readOnly': cluster.usage.full(item.index),
        'permanentFailure': False,
        'statistics': render.counts(
            cluster,
            {
                **_space(cluster, [item]),
                'logicalStorage': str(cluster.usage.provisioned[item.index]),
            },
        ),
    }
    return render.prune(cluster, values)


def server(cluster: clusters.Cluster, item: model.Node) -> render.Json:
    """Return the server of a node."""
    values = {
        'UUID': item.server_uuid,
        'name': item.server_name,
        'RiskOfServiceLossState': _risk(cluster, item),
        'NodesUUIDs': [item.uuid],
        'state': 'Enabled',
        'ETag': str(item.etag),
        'LightOSVersion': cluster.switches.version,
        'ApiEndpoints': [item.api_endpoint],
        'LastUpgrade': _upgrade(cluster),
        'IsWitness': False,
        'health': 'OK' if item.active else 'Warning',
    }
    return render.prune(cluster, values)


def _risk(cluster: clusters.Cluster, item: model.Node) -> str:
    if not item.active:
        return 'SourceOfRiskOfServiceLoss'
    if all(node.active for node in cluster.nodes):
        return 'NoRiskOfServiceLoss'
    return 'InRiskOfServiceLoss'
