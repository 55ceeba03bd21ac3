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

"""How full a cluster is, from whatever its token may read.

`effective` is what the array leaves for data after over-provisioning and
parity; a volume of size s with r replicas takes s x r of it, at most.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import enum

from cinder_lightbits_federation.lightbits import model


class Source(enum.Enum):
    """Which reading the figures come from."""

    CLUSTER = 'cluster statistics'
    NODES = 'node statistics'
    VOLUMES = 'sum of known volumes'


@dataclasses.dataclass(frozen=True, slots=True)
class Capacity:
    """A cluster's figures in bytes, replicas counted.

    :param provisioned: sum of volume sizes times replicas.
    :param effective: usable for data; None when the token cannot tell.
    :param free_physical: left before the cluster turns read-only; None when
        the token cannot tell.
    """

    provisioned: int
    source: Source
    effective: int | None = None
    free_physical: int | None = None

    def ratio(self, extra: int = 0) -> float | None:
        """How much was promised of what there is.

        :param extra: bytes to count as provisioned too.
        :returns: (provisioned + extra) / effective; infinite when there is
            nothing, None when the total is not known.
        """
        if self.effective is None:
            return None
        if self.effective <= 0:
            return float('inf')
        return (self.provisioned + extra) / self.effective


def from_cluster(statistics: model.ClusterStatistics) -> Capacity:
    """Figures of ``GET /cluster`` (needs a cluster role).

    ``logicalStorage`` is documented as the sum of volume sizes without a
    word about replicas. It is taken to count them, as Cluster Federation
    defines its ratio; if an array does not, that cluster looks emptier than
    it is until `free_physical` says otherwise.
    """
    return Capacity(provisioned=max(0, statistics.logical),
                    source=Source.CLUSTER,
                    effective=max(0, statistics.effective),
                    free_physical=max(0, statistics.free_physical))


def from_nodes(nodes: Iterable[model.Node]) -> Capacity:
    """Figures of ``GET /nodes``, when ``GET /cluster`` is refused.

    A node counts the replicas it holds, so the sum counts replicas. Room is
    what active nodes have; what was promised on a node that is down stays
    promised. A read-only node has no room left. Active nodes that report no
    size at all hide their statistics: then the total is not known.
    """
    listed = tuple(nodes)
    active = [node for node in listed
              if node.state is model.NodeState.ACTIVE]
    effective = sum(max(0, node.effective) for node in active)
    free = sum(max(0, node.free_physical) for node in active
               if not node.read_only)
    hidden = bool(active) and not effective
    return Capacity(
        provisioned=sum(max(0, node.logical) for node in listed),
        source=Source.NODES,
        effective=None if hidden else effective,
        free_physical=None if hidden else free)


def from_volumes(volumes: Iterable[model.Volume]) -> Capacity:
    """Figures of the volumes in sight, when nothing else may be read.

    Volumes of other projects are not in sight, so this is a lower bound; the
    total is not known.
    """
    return Capacity(
        provisioned=sum(max(0, volume.size) * max(1, volume.replicas)
                        for volume in volumes if not volume.state.going),
        source=Source.VOLUMES)
