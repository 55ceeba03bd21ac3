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

"""What hosts are to see of a cluster, as values."""

from __future__ import annotations

import dataclasses
import typing

from tests.simulator import model

if typing.TYPE_CHECKING:
    from tests.simulator import cluster as clusters

_HIDDEN = (model.State.CREATING, model.State.DELETING, model.State.FAILED)


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A node by its place in the cluster, and whether it serves data."""

    index: int
    address: str
    serving: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Volume:
    """A volume that exists.

    :param nsid: its namespace number in the subsystem.
    :param nodes: indexes of those that hold it, the preferred one first.
    :param hosts: NQNs of those that may use it, or ALLOW_ANY.
    """

    uuid: str
    nsid: int
    nodes: tuple[int, ...]
    hosts: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """All of it.

    :param nqn: of the one subsystem.
    :param hosts: NQNs of those that may connect, or ALLOW_ANY.
    """

    nqn: str
    nodes: tuple[Node, ...]
    volumes: tuple[Volume, ...]
    hosts: frozenset[str]

    def server(self, nodes: tuple[int, ...]) -> int | None:
        """Return the first of `nodes` that serves data, or None."""
        serving = {node.index for node in self.nodes if node.serving}
        return next((index for index in nodes if index in serving), None)


def picture(cluster: clusters.Cluster) -> Picture:
    """Return what hosts are to see at this moment."""
    volumes = tuple(
        Volume(item.uuid, item.nsid, item.nodes, _admitted(item))
        for item in cluster.volumes.by_uuid.values()
        if item.nodes and item.state not in _HIDDEN
    )
    return Picture(
        nqn=cluster.nqn,
        nodes=tuple(
            Node(node.index, node.data_address, node.active)
            for node in cluster.nodes
        ),
        volumes=volumes,
        hosts=frozenset(nqn for volume in volumes for nqn in volume.hosts),
    )


def _admitted(volume: model.Volume) -> tuple[str, ...]:
    return tuple(nqn for nqn in volume.acl if nqn != model.ALLOW_NONE)
