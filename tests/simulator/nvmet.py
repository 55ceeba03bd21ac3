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

"""A data plane of the kernel's own NVMe/TCP targets.

Needs root, the modules nvmet and nvmet-tcp, and configfs.

A cluster is one subsystem, with a port for each of its nodes. A volume is a
namespace over a sparse file. The node that serves it offers the optimized
path, the others that hold it offer none that is as good, and the rest
offers none at all.

The kernel has no access list for one namespace. One whose volume admits
nobody is disabled. A host may connect if any volume admits it, and then sees
what the others see; addresses in access lists are not looked at.
"""

from __future__ import annotations

import contextlib
import os
import pathlib

from tests.simulator import discovery
from tests.simulator import errors
from tests.simulator import exports
from tests.simulator import model
from tests.simulator import sparse

CONFIGFS = pathlib.Path('/sys/kernel/config/nvmet')
PORT = 4420
# As many groups of paths as the kernel has; the first is always there.
_GROUPS = range(2, 129)

_OPTIMIZED = 'optimized'
_SECOND = 'non-optimized'
_NONE = 'inaccessible'

Nodes = tuple[int, ...]


def write(path: pathlib.Path, value: object) -> None:
    """Write an attribute of the kernel's."""
    path.write_text(f'{value}\n')


def check() -> None:
    """Refuse a machine that cannot have such a data plane.

    :raises ControlError: saying what is missing.
    """
    if not os.access(CONFIGFS / 'subsystems', os.W_OK):
        raise errors.ControlError(
            'option data_plane: nvmet needs root, the kernel modules nvmet '
            'and nvmet-tcp, and configfs at /sys/kernel/config'
        )


class _Port:
    """Where one node takes I/O, and its discovery service."""

    def __init__(self, address: str, subsystem: pathlib.Path) -> None:
        self.address = address
        self._subsystem = subsystem
        self._states: dict[int, str] = {}
        self._discovery: discovery.DiscoveryService | None = None
        self._folder = self._make()
        family = 'ipv6' if ':' in address else 'ipv4'
        for name, value in (
            ('addr_trtype', 'tcp'),
            ('addr_traddr', address),
            ('addr_adrfam', family),
            ('addr_trsvcid', PORT),
        ):
            write(self._folder / name, value)

    @staticmethod
    def _make() -> pathlib.Path:
        """Make a port of the next free number; all clusters share them."""
        number = 1
        while True:
            folder = CONFIGFS / 'ports' / str(number)
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder

    @property
    def _link(self) -> pathlib.Path:
        return self._folder / 'subsystems' / self._subsystem.name

    def serve(self, serving: bool) -> None:
        """Take I/O, or end all connections and refuse others.

        :raises OSError: the address is not this machine's, or taken.
        """
        if serving and not self._link.is_symlink():
            self._link.symlink_to(self._subsystem)
        elif not serving and self._link.is_symlink():
            self._link.unlink()

    def tell(self, nqn: str, endpoints: list[tuple[str, int]]) -> None:
        """Answer questions for the cluster's nodes with these.

        It refers to the other nodes' services and does not name itself.
        """
        others = [
            address for address, _port in endpoints if address != self.address
        ]
        if self._discovery is None:
            self._discovery = discovery.DiscoveryService(
                self.address, nqn, endpoints, others
            )
        else:
            self._discovery.page = discovery.log_page(nqn, endpoints, others)

    def offer(self, group: int, state: str) -> None:
        """Have the paths of a group in a state."""
        if self._states.get(group) == state:
            return
        folder = self._folder / 'ana_groups' / str(group)
        folder.mkdir(exist_ok=True)
        write(folder / 'ana_state', state)
        self._states[group] = state

    def remove(self) -> None:
        """Leave nothing of it."""
        if self._discovery is not None:
            self._discovery.close()
        self.serve(False)
        for group in self._states:
            (self._folder / 'ana_groups' / str(group)).rmdir()
        self._folder.rmdir()


class Target:
    """The subsystem of one cluster.

    :param nqn: its name.
    :param directory: where the volumes' files are, named by UUID.
    """

    def __init__(self, nqn: str, directory: str) -> None:
        self.nqn = nqn
        self._directory = pathlib.Path(directory)
        self._folder = CONFIGFS / 'subsystems' / nqn
        self._folder.mkdir()
        write(self._folder / 'attr_allow_any_host', 0)
        self._ports: dict[int, _Port] = {}
        self._groups: dict[Nodes, int] = {}
        # Of the volumes there are: number, group, and whether it is seen.
        self._namespaces: dict[str, tuple[int, int, bool]] = {}

    def show(self, picture: exports.Picture) -> None:
        """Let hosts see just this. Idempotent.

        :raises OSError: an address is not this machine's, or taken.
        """
        self._admit(picture.hosts)
        self._show_nodes(picture)
        for volume in picture.volumes:
            self._show(volume, picture)
        for uuid in set(self._namespaces) - {
            volume.uuid for volume in picture.volumes
        }:
            self.withdraw(uuid)

    def _admit(self, hosts: frozenset[str]) -> None:
        anybody = int(model.ALLOW_ANY in hosts)
        folder = self._folder / 'allowed_hosts'
        there = set(os.listdir(folder))
        wanted = set() if anybody else set(hosts)
        for nqn in there - wanted:
            (folder / nqn).unlink()
            # Another cluster may know it, too.
            with contextlib.suppress(OSError):
                (CONFIGFS / 'hosts' / nqn).rmdir()
        write(self._folder / 'attr_allow_any_host', anybody)
        for nqn in wanted - there:
            host = CONFIGFS / 'hosts' / nqn
            host.mkdir(exist_ok=True)
            (folder / nqn).symlink_to(host)

    def _show_nodes(self, picture: exports.Picture) -> None:
        nodes = {node.index: node for node in picture.nodes}
        for index, port in list(self._ports.items()):
            if index not in nodes or nodes[index].address != port.address:
                self._ports.pop(index).remove()
        for index, node in nodes.items():
            if index not in self._ports:
                self._ports[index] = _Port(node.address, self._folder)
        for node in picture.nodes:
            if not node.serving:
                self._ports[node.index].serve(False)
        # Before the others serve, so that no host sees what is not so.
        for group_nodes, group in self._groups.items():
            self._offer(group_nodes, group, picture)
        serving = [node for node in picture.nodes if node.serving]
        endpoints = [(node.address, PORT) for node in serving]
        for node in serving:
            self._ports[node.index].serve(True)
        for port in self._ports.values():
            port.tell(self.nqn, endpoints)

    def _offer(
        self, nodes: Nodes, group: int, picture: exports.Picture
    ) -> None:
        first = picture.server(nodes)
        for index, port in self._ports.items():
            if index == first:
                port.offer(group, _OPTIMIZED)
            else:
                port.offer(group, _SECOND if index in nodes else _NONE)

    def _group(self, nodes: Nodes, picture: exports.Picture) -> int:
        """Return the group of paths of volumes that live on `nodes`."""
        if nodes not in self._groups:
            taken = set(self._groups.values())
            group = next(one for one in _GROUPS if one not in taken)
            self._groups[nodes] = group
            self._offer(nodes, group, picture)
        return self._groups[nodes]

    def _show(
        self, volume: exports.Volume, picture: exports.Picture
    ) -> None:
        group = self._group(volume.nodes, picture)
        seen = bool(volume.hosts)
        known = self._namespaces.get(volume.uuid)
        wanted = volume.nsid, group, seen
        if known == wanted:
            return
        folder = self._folder / 'namespaces' / str(volume.nsid)
        if known is None:
            folder.mkdir()
            for name, value in (
                ('device_path', self._directory / volume.uuid),
                ('device_uuid', volume.uuid),
                # Not every file system takes I/O past its cache.
                ('buffered_io', 1),
            ):
                write(folder / name, value)
        if known is None or known[1] != group:
            write(folder / 'ana_grpid', group)
        if seen != (known is not None and known[2]):
            write(folder / 'enable', int(seen))
        self._namespaces[volume.uuid] = wanted

    def resized(self, uuid: str) -> None:
        """Tell hosts that a volume's file has another size."""
        known = self._namespaces.get(uuid)
        # One that nobody sees is measured when it is enabled.
        if known is not None and known[2]:
            folder = self._folder / 'namespaces' / str(known[0])
            write(folder / 'revalidate_size', 1)

    def withdraw(self, uuid: str) -> None:
        """Take a volume away from all hosts. Idempotent."""
        known = self._namespaces.pop(uuid, None)
        if known is not None:
            folder = self._folder / 'namespaces' / str(known[0])
            write(folder / 'enable', 0)
            folder.rmdir()

    def remove(self) -> None:
        """Leave nothing of it."""
        for port in self._ports.values():
            port.serve(False)
        for uuid in list(self._namespaces):
            self.withdraw(uuid)
        for port in self._ports.values():
            port.remove()
        self._admit(frozenset())
        self._folder.rmdir()


class NvmetPlane(sparse.SparsePlane):
    """Sparse files that hosts use over NVMe/TCP."""

    serves_hosts = True

    def __init__(self, directory: str) -> None:
        check()
        super().__init__(directory)
        self._target: Target | None = None

    def publish(self, picture: exports.Picture) -> None:
        """Let hosts see just this. Idempotent.

        :raises OSError: an address is not this machine's, or taken.
        """
        if self._target is not None and self._target.nqn != picture.nqn:
            self._forget()
        if self._target is None:
            self._target = Target(picture.nqn, self._directory)
        self._target.show(picture)

    def _forget(self) -> None:
        if self._target is not None:
            self._target.remove()
            self._target = None

    def _resized(self, volume: str) -> None:
        if self._target is not None:
            self._target.resized(volume)

    def resize(self, volume: str, size: int) -> None:
        """Cut the file, or let it grow by a hole; hosts are told."""
        super().resize(volume, size)
        self._resized(volume)

    def rollback(self, volume: str, snapshot: str) -> None:
        """Write a snapshot's data into the volume's file; hosts are told."""
        super().rollback(volume, snapshot)
        self._resized(volume)

    def delete(self, uuid: str) -> None:
        """Take a volume from its hosts, and remove the file."""
        if self._target is not None:
            self._target.withdraw(uuid)
        super().delete(uuid)

    def close(self) -> None:
        """Leave nothing in the kernel, and remove the directory."""
        self._forget()
        super().close()
