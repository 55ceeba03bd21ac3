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

"""Clusters made of the kernel's own NVMe targets.

A cluster is one subsystem, reachable through one port for each of its nodes.
As on the real thing a volume belongs to a node: the path to that node is
optimized, the others are inaccessible. The kernel has no access list per
volume, so a volume that a host must not see is disabled.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
import subprocess
import uuid as uuidlib

CONFIGFS = pathlib.Path('/sys/kernel/config/nvmet')
VOLUMES = pathlib.Path('/dev/shm')  # noqa: S108 - in a guest of our own
MIB = 1 << 20
PORT = 4420

_NUMBERS = itertools.count(1)


def write(path: pathlib.Path, value: object) -> None:
    """Write an attribute of the kernel's."""
    path.write_text(f'{value}\n')


@dataclasses.dataclass
class Volume:
    """A volume and what it is made of."""

    uuid: str
    namespace: pathlib.Path
    file: pathlib.Path
    loop: str

    def show(self) -> None:
        """Let hosts see it."""
        write(self.namespace / 'enable', 1)

    def hide(self) -> None:
        """Let no host see it."""
        write(self.namespace / 'enable', 0)

    def resize(self, size: int) -> None:
        """Grow it; hosts are told by an event."""
        os.truncate(self.file, size)
        subprocess.run(['losetup', '-c', self.loop], check=True)
        write(self.namespace / 'revalidate_size', 1)

    def remove(self) -> None:
        """Leave nothing of it."""
        self.hide()
        self.namespace.rmdir()
        subprocess.run(['losetup', '-d', self.loop], check=True)
        self.file.unlink()


class Cluster:
    """A cluster of three nodes.

    :param addresses: of its nodes; they must be this machine's.
    :param host_nqn: the only host it serves.
    """

    def __init__(self, addresses: list[str], host_nqn: str) -> None:
        self.nqn = ('nqn.2016-01.com.lightbitslabs:uuid:'
                    f'{uuidlib.uuid4()}')
        self.addresses = addresses
        self.volumes: list[Volume] = []
        self._subsystem = CONFIGFS / 'subsystems' / self.nqn
        self._subsystem.mkdir()
        write(self._subsystem / 'attr_allow_any_host', 0)
        host = CONFIGFS / 'hosts' / host_nqn
        host.mkdir(exist_ok=True)
        (self._subsystem / 'allowed_hosts' / host_nqn).symlink_to(host)
        self._ports = [self._port(number, address)
                       for number, address in enumerate(addresses)]
        for node in range(len(addresses)):
            self.start(node)

    @property
    def endpoints(self) -> list[str]:
        """Where its nodes take I/O."""
        return [f'[{address}]:{PORT}' if ':' in address
                else f'{address}:{PORT}' for address in self.addresses]

    def _port(self, node: int, address: str) -> pathlib.Path:
        port = CONFIGFS / 'ports' / str(next(_NUMBERS))
        port.mkdir()
        for name, value in (
                ('addr_trtype', 'tcp'), ('addr_traddr', address),
                ('addr_adrfam', 'ipv6' if ':' in address else 'ipv4'),
                ('addr_trsvcid', PORT)):
            write(port / name, value)
        for group in range(len(self.addresses)):
            folder = port / 'ana_groups' / str(group + 1)
            folder.mkdir(exist_ok=True)
            write(folder / 'ana_state',
                  'optimized' if group == node else 'inaccessible')
        return port

    def start(self, node: int) -> None:
        """Have a node serve."""
        (self._ports[node] / 'subsystems' / self.nqn).symlink_to(
            self._subsystem)

    def stop(self, node: int) -> None:
        """End a node's connections, and take no new ones."""
        (self._ports[node] / 'subsystems' / self.nqn).unlink()

    def set_ana(self, node: int, group: int, state: str) -> None:
        """Set how a node serves the volumes of a group (from 0)."""
        write(self._ports[node] / 'ana_groups' / str(group + 1)
              / 'ana_state', state)

    def add(self, size: int = 16 * MIB, node: int = 0,
            shown: bool = True) -> Volume:
        """Make a volume.

        :param node: which one serves it.
        """
        name = str(uuidlib.uuid4())
        file = VOLUMES / name
        file.touch()
        os.truncate(file, size)
        loop = subprocess.run(
            ['losetup', '-f', '--show', str(file)], check=True,
            capture_output=True, text=True).stdout.strip()
        namespace = (self._subsystem / 'namespaces'
                     / str(next(_NUMBERS)))
        namespace.mkdir()
        write(namespace / 'device_path', loop)
        write(namespace / 'device_uuid', name)
        write(namespace / 'ana_grpid', node + 1)
        volume = Volume(name, namespace, file, loop)
        self.volumes.append(volume)
        if shown:
            volume.show()
        return volume

    def remove(self) -> None:
        """Leave nothing of it."""
        for port in self._ports:
            link = port / 'subsystems' / self.nqn
            if link.is_symlink():
                link.unlink()
        for volume in self.volumes:
            volume.remove()
        for port in self._ports:
            for folder in (port / 'ana_groups').iterdir():
                if folder.name != '1':
                    folder.rmdir()
            port.rmdir()
        for link in (self._subsystem / 'allowed_hosts').iterdir():
            link.unlink()
        self._subsystem.rmdir()
