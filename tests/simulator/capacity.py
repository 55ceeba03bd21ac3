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

"""Incremental account of provisioned and used bytes."""

from __future__ import annotations

import collections
import collections.abc

from tests.simulator import model

Nodes = tuple[int, ...]


class Usage:
    """What the volumes and snapshots of a cluster take, node by node.

    :param capacities: effective bytes of each node.
    :param read_only_at: share of them at which a node turns read-only.
    :param ratio: how far compressible data shrinks.
    """

    def __init__(
        self,
        capacities: collections.abc.Sequence[int],
        read_only_at: float,
        ratio: float,
    ) -> None:
        self.limits: list[int] = []
        self.provisioned: list[int] = []
        self.used: list[int] = []
        self.physical: list[int] = []
        # Sum of volume sizes, each counted once.
        self.sizes = 0
        # How many volumes live on each set of nodes.
        self.groups: collections.Counter[Nodes] = collections.Counter()
        self._read_only_at = read_only_at
        self._ratio = ratio
        for size in capacities:
            self.add_node(size)

    def add_node(self, size: int) -> None:
        """Account for one more node of `size` effective bytes."""
        self.limits.append(int(size * self._read_only_at))
        for account in (self.provisioned, self.used, self.physical):
            account.append(0)

    def place(self, nodes: Nodes, size: int, sign: int = 1) -> None:
        """Account for a volume of `size` on `nodes` (sign -1: no more)."""
        self.groups[nodes] += sign
        if not self.groups[nodes]:
            del self.groups[nodes]
        self.resize(nodes, sign * size)

    def resize(self, nodes: Nodes, change: int) -> None:
        """Account for `change` bytes more of a volume on `nodes`."""
        self.sizes += change
        for node in nodes:
            self.provisioned[node] += change

    def new_layer(self, nodes: Nodes, compressed: bool) -> model.Layer:
        """Return an empty layer with one reference."""
        return model.Layer(nodes, self._ratio if compressed else 1.0)

    def set_used(self, layer: model.Layer, used: int) -> None:
        """Let `layer` hold `used` bytes."""
        physical = int(used / layer.ratio)
        for node in layer.nodes:
            self.used[node] += used - layer.used
            self.physical[node] += physical - layer.physical
        layer.used = used
        layer.physical = physical

    def move(self, layer: model.Layer, nodes: Nodes) -> None:
        """Let `layer` be on other nodes."""
        used = layer.used
        self.set_used(layer, 0)
        layer.nodes = nodes
        self.set_used(layer, used)

    def share(self, layers: collections.abc.Iterable[model.Layer]) -> None:
        """Take one more reference to each layer."""
        for layer in layers:
            layer.refs += 1

    def release(self, layers: collections.abc.Iterable[model.Layer]) -> None:
        """Drop one reference to each layer; the last one frees it."""
        for layer in layers:
            layer.refs -= 1
            if not layer.refs:
                self.set_used(layer, 0)

    def full(self, node: int) -> bool:
        """Whether the node has turned read-only."""
        return self.physical[node] >= self.limits[node]

    def free(self, node: int) -> int:
        """Bytes left before the node turns read-only."""
        return max(0, self.limits[node] - self.physical[node])


def volume_layers(volume: model.Volume) -> tuple[model.Layer, ...]:
    """Return all layers a volume reads through."""
    return (
        volume.layers if volume.top is None else (*volume.layers, volume.top)
    )


def logical(layers: collections.abc.Iterable[model.Layer], size: int) -> int:
    """Return the bytes in use of an object of `size` bytes."""
    return min(size, sum(layer.used for layer in layers))


def physical(
    layers: collections.abc.Iterable[model.Layer],
) -> tuple[int, int]:
    """Return physical bytes: all, and those nothing else refers to."""
    total = owned = 0
    for layer in layers:
        total += layer.physical
        if layer.refs == 1:
            owned += layer.physical
    return total, owned
