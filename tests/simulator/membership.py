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


"""Nodes that join a cluster, leave it, or get other addresses."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import typing

from tests.simulator import capacity
from tests.simulator import cluster as clusters
from tests.simulator import config
from tests.simulator import errors
from tests.simulator import model
from tests.simulator import placement

# As many as have data addresses of their own by default.
MAX_EVER = 250

Nodes = tuple[int, ...]


def join(cluster: clusters.Cluster, options: config.NodeOptions) -> model.Node:
    """Add a node, whose data role is still to be started.

    :raises ControlError: 409, there are too many nodes, or another one
        has the data address.
    """
    if len(cluster.nodes) >= config.MAX_NODES:
        raise errors.ControlError(
            f'{config.MAX_NODES} nodes are the most a cluster has', 409
        )
    if len(cluster.machines) >= MAX_EVER:
        raise errors.ControlError(
            f'{MAX_EVER} nodes are the most a cluster ever has', 409
        )
    if options.data_address is not None:
        check_address(cluster, options.data_address)
    node = cluster.add_node(options)
    node.state = model.NodeState.INACTIVE
    cluster.usage.add_node(node.capacity)
    cluster.etag += 1
    cluster.publish()
    return node


def check_address(cluster: clusters.Cluster, address: str) -> None:
    """Refuse a data address a node has.

    :raises ControlError: 409.
    """
    for node in cluster.nodes:
        if node.data_address == address:
            raise errors.ControlError(
                f'option data_address: node {node.index} has {address}', 409
            )


def leave(cluster: clusters.Cluster, node: model.Node, *, force: bool) -> None:
    """Remove a node, or change nothing.

    :param force: rebuild the replicas it holds on other nodes. Volumes and
        snapshots that live on the same nodes stay together.
    :raises ControlError: 409, it is the last one; it holds replicas and
        `force` is not given; or they can live nowhere else.
    """
    if len(cluster.nodes) == 1:
        raise errors.ControlError(
            f'node {node.index} is the last one of the cluster', 409
        )
    cluster.sync_all_usage()
    groups = _groups(cluster, node.index)
    if groups and not force:
        raise errors.ControlError(
            f'node {node.index} holds {_count(groups)}; force moves them', 409
        )
    plan = _Plan(cluster, node)
    moves = [(group, plan.nodes_for(group)) for group in groups]
    for group, nodes in moves:
        _move(cluster, group, nodes)
    cluster.remove_node(node)
    cluster.etag += 1


@dataclasses.dataclass(slots=True, eq=False)
class _Group:
    """What lives on the same nodes."""

    nodes: Nodes
    volumes: list[model.Volume] = dataclasses.field(default_factory=list)
    snapshots: list[model.Snapshot] = dataclasses.field(default_factory=list)
    layers: set[model.Layer] = dataclasses.field(default_factory=set)

    @property
    def restrictions(self) -> list[dict[str, typing.Any]]:
        """The placement restrictions of all its volumes."""
        return [one for item in self.volumes for one in item.placement]

    @property
    def provisioned(self) -> int:
        """Bytes of its volumes on each node."""
        return sum(item.size for item in self.volumes)

    @property
    def physical(self) -> int:
        """Bytes it takes on each node."""
        return sum(layer.physical for layer in self.layers)


def _groups(cluster: clusters.Cluster, index: int) -> list[_Group]:
    """Return all that lives on a node, the most replicas first.

    Those have the least choice. A clone with another number of replicas
    than its snapshot lives on nodes of its own and reads blocks through
    those of the snapshot.
    """
    groups: dict[Nodes, _Group] = {}

    def group(nodes: Nodes) -> _Group:
        return groups.setdefault(nodes, _Group(nodes))

    for volume in cluster.volumes.by_uuid.values():
        if index in volume.nodes:
            group(volume.nodes).volumes.append(volume)
        for layer in capacity.volume_layers(volume):
            if index in layer.nodes:
                group(layer.nodes).layers.add(layer)
    for snapshot in cluster.snapshots.by_uuid.values():
        if index in snapshot.nodes:
            group(snapshot.nodes).snapshots.append(snapshot)
        for layer in snapshot.layers:
            if index in layer.nodes:
                group(layer.nodes).layers.add(layer)
    return sorted(groups.values(), key=lambda item: -len(item.nodes))


def _count(groups: collections.abc.Iterable[_Group]) -> str:
    volumes = sum(len(group.volumes) for group in groups)
    snapshots = sum(len(group.snapshots) for group in groups)
    if volumes or snapshots:
        return f'replicas of {volumes} volumes and {snapshots} snapshots'
    return 'blocks of clones'


class _Plan:
    """Finds room for the replicas of a node that leaves."""

    def __init__(self, cluster: clusters.Cluster, node: model.Node) -> None:
        self._cluster = cluster
        self._leaving = node
        # What groups planned before take on each node.
        self._provisioned: collections.Counter[int] = collections.Counter()
        self._physical: collections.Counter[int] = collections.Counter()

    def nodes_for(self, group: _Group) -> Nodes:
        """Return the nodes a group shall live on.

        The replicas that stay come first, so one of them is the primary.

        :raises ControlError: 409, no replica can be read, or no node may
            take another one.
        """
        index = self._leaving.index
        if placement.primary(self._cluster, group.nodes) is None:
            raise errors.ControlError(
                f'node {index}: {_count([group])} are not available', 409
            )
        stay = tuple(other for other in group.nodes if other != index)
        chosen = min(
            self._candidates(group, stay),
            key=self._provisioned_on,
            default=None,
        )
        if chosen is None:
            raise errors.ControlError(
                f'node {index}: no other node may take {_count([group])}', 409
            )
        self._provisioned[chosen] += group.provisioned
        self._physical[chosen] += group.physical
        return (*stay, chosen)

    def _provisioned_on(self, index: int) -> int:
        usage = self._cluster.usage
        return usage.provisioned[index] + self._provisioned[index]

    def _candidates(
        self, group: _Group, stay: Nodes
    ) -> collections.abc.Iterator[int]:
        machines = self._cluster.machines
        taken = {machines[index].failure_domain for index in stay}
        needed = group.physical
        restrictions = group.restrictions
        for node in self._cluster.nodes:
            free = self._cluster.usage.free(node.index)
            if (
                node.active
                and node is not self._leaving
                and node.failure_domain not in taken
                and free - self._physical[node.index] > needed
                and placement.allowed(node, restrictions)
            ):
                yield node.index


def _move(cluster: clusters.Cluster, group: _Group, nodes: Nodes) -> None:
    """Let a group live on other nodes, as a change of the cluster's own."""
    for layer in group.layers:
        cluster.usage.move(layer, nodes)
    for volume in group.volumes:
        cluster.usage.place(volume.nodes, volume.size, -1)
        cluster.usage.place(nodes, volume.size)
    for item in (*group.volumes, *group.snapshots):
        item.remember()
        item.nodes = nodes
        cluster.arrive(item, item.state)
