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

"""Clusters for tests of the host alone: targets without a management API.

A volume belongs to one node: the path to that one is optimized, the others
are inaccessible.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import itertools
import os
import pathlib
import threading
import uuid as uuidlib

from tests.simulator import exports
from tests.simulator import nvmet

VOLUMES = pathlib.Path('/dev/shm')  # noqa: S108 - in a guest of our own
MIB = 1 << 20
PORT = nvmet.PORT

_NUMBERS = itertools.count(1)


@dataclasses.dataclass
class Volume:
    """A volume of a cluster.

    :param node: index of the node that serves it.
    """

    cluster: Cluster
    uuid: str
    nsid: int
    node: int
    shown: bool

    @property
    def file(self) -> pathlib.Path:
        """Where its data is."""
        return VOLUMES / self.uuid

    def show(self) -> None:
        """Let hosts see it."""
        self.shown = True
        self.cluster.publish()

    def hide(self) -> None:
        """Let no host see it."""
        self.shown = False
        self.cluster.publish()

    def move(self, node: int) -> None:
        """Have another node serve it."""
        self.node = node
        self.cluster.publish()

    def resize(self, size: int) -> None:
        """Grow it; hosts are told by an event."""
        os.truncate(self.file, size)
        self.cluster.target.resized(self.uuid)


class Cluster:
    """A cluster of three nodes.

    :param addresses: of its nodes; they must be this machine's.
    :param host_nqn: the only host it serves.
    """

    def __init__(self, addresses: list[str], host_nqn: str) -> None:
        self.nqn = ('nqn.2016-01.com.lightbitslabs:uuid:'
                    f'{uuidlib.uuid4()}')
        self.addresses = addresses
        self.hosts = {host_nqn}
        self.volumes: list[Volume] = []
        self.target = nvmet.Target(self.nqn, str(VOLUMES))
        self._host_nqn = host_nqn
        self._stopped: set[int] = set()
        self._lock = threading.Lock()
        self.publish()

    @property
    def endpoints(self) -> list[str]:
        """Where its nodes take I/O."""
        return [f'[{address}]:{PORT}' if ':' in address
                else f'{address}:{PORT}' for address in self.addresses]

    def publish(self) -> None:
        """Let hosts see it as it is now."""
        with self._lock:
            self.target.show(exports.Picture(
                nqn=self.nqn, hosts=frozenset(self.hosts),
                nodes=tuple(
                    exports.Node(index, address, index not in self._stopped)
                    for index, address in enumerate(self.addresses)),
                volumes=tuple(
                    exports.Volume(
                        volume.uuid, volume.nsid, (volume.node,),
                        (self._host_nqn,) if volume.shown else ())
                    for volume in self.volumes)))

    def show(self, volumes: Iterable[Volume], shown: bool = True) -> None:
        """Let hosts see several volumes, or not, at once."""
        for volume in volumes:
            volume.shown = shown
        self.publish()

    def start(self, node: int) -> None:
        """Have a node serve."""
        self._stopped.discard(node)
        self.publish()

    def stop(self, node: int) -> None:
        """End a node's connections, and take no new ones."""
        self._stopped.add(node)
        self.publish()

    def refuse_hosts(self) -> None:
        """Let no host connect."""
        self.hosts.clear()
        self.publish()

    def add(self, size: int = 16 * MIB, node: int = 0,
            shown: bool = True) -> Volume:
        """Make a volume.

        :param node: which one serves it.
        """
        volume = Volume(self, str(uuidlib.uuid4()), next(_NUMBERS), node,
                        shown)
        volume.file.touch()
        os.truncate(volume.file, size)
        self.volumes.append(volume)
        self.publish()
        return volume

    def remove(self) -> None:
        """Leave nothing of it."""
        self.target.remove()
        for volume in self.volumes:
            volume.file.unlink()
