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

"""Which nodes hold a volume, and how well it is protected."""

from __future__ import annotations

import collections.abc
import dataclasses
import typing

from tests.simulator import cluster as clusters
from tests.simulator import model

MAX_REPLICAS = 3

Nodes = tuple[int, ...]


def max_replicas(cluster: clusters.Cluster, *, current: bool) -> int:
    """Return the replicas the installation takes, or takes at present."""
    domains = {
        node.failure_domain
        for node in cluster.nodes
        if node.active or not current
    }
    return min(MAX_REPLICAS, len(domains))


def choose(
    cluster: clusters.Cluster,
    replicas: int,
    restrictions: collections.abc.Sequence[dict[str, typing.Any]] = (),
) -> Nodes | None:
    """Return the nodes for a volume, the primary one first, or None.

    They are active, not full, in distinct failure domains, and those with
    the least provisioned.
    """
    usage = cluster.usage
    candidates = sorted(
        (
            node
            for node in cluster.nodes
            if node.active
            and not usage.full(node.index)
            and allowed(node, restrictions)
        ),
        key=lambda node: usage.provisioned[node.index],
    )
    chosen: dict[str, int] = {}
    for node in candidates:
        chosen.setdefault(node.failure_domain, node.index)
    if len(chosen) < replicas:
        return None
    return tuple(chosen.values())[:replicas]


def allowed(
    node: model.Node,
    restrictions: collections.abc.Sequence[dict[str, typing.Any]],
) -> bool:
    """Whether the restrictions of a volume let it live on `node`."""
    return all(
        any(
            pair['value'] == node.failure_domain
            for pair in restriction['labelValueKeyPairs']
        )
        for restriction in restrictions
    )


def fits(cluster: clusters.Cluster, size: int, replicas: int) -> bool:
    """Whether the over-provisioning limit leaves room for a volume."""
    limit = cluster.options.overprovision_limit
    if not limit:
        return True
    total = sum(node.capacity for node in cluster.nodes)
    provisioned = sum(cluster.usage.provisioned)
    return provisioned + size * replicas <= total * limit


def ready(cluster: clusters.Cluster, nodes: Nodes) -> bool:
    """Whether all of `nodes` are active."""
    return all(cluster.machines[index].active for index in nodes)


def primary(cluster: clusters.Cluster, nodes: Nodes) -> model.Node | None:
    """Return the node that serves I/O: the first one that is active."""
    for index in nodes:
        if cluster.machines[index].active:
            return cluster.machines[index]
    return None


def protection(cluster: clusters.Cluster, nodes: Nodes) -> model.Protection:
    """Return the protection of a volume on `nodes`.

    Three replicas survive one loss writable and two readable, two
    replicas one loss readable, and one replica none. A full node makes
    its volumes read-only.
    """
    there = [index for index in nodes if cluster.machines[index].active]
    if not there:
        return model.Protection.NOT_AVAILABLE
    lost = len(nodes) - len(there)
    if lost > 1 or (lost and len(nodes) < MAX_REPLICAS):
        return model.Protection.READ_ONLY
    if any(cluster.usage.full(index) for index in there):
        return model.Protection.READ_ONLY
    return model.Protection.DEGRADED if lost else model.Protection.FULL


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """How many volumes are how well protected."""

    healthy: int
    degraded: int
    read_only: int
    not_available: int
    inactive_nodes: int

    @property
    def state(self) -> str:
        """The cluster's health in one word."""
        if self.read_only or self.not_available:
            return 'Error'
        if self.degraded or self.inactive_nodes:
            return 'Warning'
        return 'OK'


def health(cluster: clusters.Cluster) -> Health:
    """Return the health of a cluster."""
    counts = dict.fromkeys(model.Protection, 0)
    for nodes, volumes in cluster.usage.groups.items():
        counts[protection(cluster, nodes)] += volumes
    return Health(
        healthy=counts[model.Protection.FULL],
        degraded=counts[model.Protection.DEGRADED],
        read_only=counts[model.Protection.READ_ONLY],
        not_available=counts[model.Protection.NOT_AVAILABLE],
        inactive_nodes=sum(not node.active for node in cluster.nodes),
    )
