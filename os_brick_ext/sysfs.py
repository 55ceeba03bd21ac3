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

"""What the kernel says about NVMe controllers and namespaces.

Everything is read anew each time: the kernel is the only one who knows.
Whatever vanishes while it is being read is treated as not there.

With native multipath a namespace is one block device, ``nvme0n1``, over
hidden ones, ``nvme0c2n1``, one for each controller (here ``nvme2``) that
reports the namespace. Without it each of those is a device of its own and
named like one.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import ipaddress
import pathlib
import re

from os_brick_ext import conn_props

LIVE = 'live'
# On their way out; such a controller is as good as gone.
LEAVING = frozenset({'deleting', 'deleting (no IO)', 'dead'})
# ANA states that let I/O through. A target without ANA reports no state.
ACCESSIBLE = frozenset({'optimized', 'non-optimized', ''})
SECTOR_BYTES = 512

_NAMESPACE = re.compile(r'nvme([0-9]+)n([0-9]+)')
_CONTROLLER = re.compile(r'nvme[0-9]+')


@dataclasses.dataclass(frozen=True, slots=True)
class Controller:
    """A connection of the kernel to one node of a cluster.

    :param address: IP address in canonical form; empty for other transports.
    :param port: TCP port, 0 for other transports.
    :param queues: how many queues it has, that of the commands included.
    """

    name: str
    subsystem_nqn: str
    transport: str
    address: str
    port: int
    state: str
    queues: int

    @property
    def live(self) -> bool:
        """Whether I/O can go through it now."""
        return self.state == LIVE

    @property
    def endpoint(self) -> str:
        """``address:port``, an IPv6 address in brackets."""
        return conn_props.join_endpoint(self.address, self.port)


@dataclasses.dataclass(frozen=True, slots=True)
class Namespace:
    """A block device that is a volume.

    A namespace may be known before its device node has been made, and a
    container may not see the node at all.

    :param name: of the device, without folder.
    :param node: path of the device node.
    :param size: bytes, as the block layer sees them.
    :param wwid: the kernel's name for the volume, ``uuid.<UUID>``.
    :param servers: names of the controllers that can serve it now.
    """

    name: str
    node: str
    has_node: bool
    wwid: str
    subsystem_nqn: str
    size: int
    servers: tuple[str, ...]

    @property
    def paths(self) -> int:
        """How many controllers can serve it now."""
        return len(self.servers)

    @property
    def usable(self) -> bool:
        """Whether I/O would be served now."""
        return self.has_node and self.paths > 0 and self.size > 0


def _read(path: pathlib.Path) -> str:
    """:returns: what is in the file, without the line's end; or nothing."""
    try:
        return path.read_text(encoding='utf-8', errors='replace').strip()
    except OSError:
        return ''


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _parse_address(text: str) -> tuple[str, int]:
    """Read ``traddr=192.0.2.11,trsvcid=4420,src_addr=...``.

    :returns: address in canonical form and port; empty and 0 if it is not
        an address of TCP.
    """
    fields = dict(
        field.partition('=')[::2] for field in text.split(','))
    try:
        address = str(ipaddress.ip_address(fields.get('traddr', '')))
    except ValueError:
        return '', 0
    return address, _number(fields.get('trsvcid', ''))


class Sysfs:
    """Reads the kernel's files.

    :param root: where sysfs is mounted.
    :param devices: where the device nodes are.
    """

    def __init__(self, root: str = '/sys', devices: str = '/dev') -> None:
        self._root = pathlib.Path(root)
        self._devices = pathlib.Path(devices)

    @property
    def devices(self) -> str:
        """Where the device nodes are."""
        return str(self._devices)

    def find(self, key: conn_props.VolumeKey) -> Namespace | None:
        """Look for a volume.

        The subsystem must match too: two clusters may hold volumes of the
        same UUID, when one was restored from a copy of the other.

        :returns: its block device; if there are several, which is so
            without native multipath, rather a usable one.
        """
        wwid = f'uuid.{key.volume_uuid}'
        found = sorted(self._namespaces(key.subsystem_nqn, wwid),
                       key=lambda namespace: not namespace.usable)
        return found[0] if found else None

    def namespaces(self, subsystem_nqn: str) -> list[Namespace]:
        """:returns: the block devices of a subsystem."""
        return list(self._namespaces(subsystem_nqn))

    def has_others(self, key: conn_props.VolumeKey) -> bool:
        """:returns: whether another volume of its subsystem is here.

        Looks no further than to the first.
        """
        return any(namespace.wwid != f'uuid.{key.volume_uuid}'
                   for namespace in self._namespaces(key.subsystem_nqn))

    def _namespaces(self, subsystem_nqn: str,
                    wwid: str | None = None) -> Iterator[Namespace]:
        names = self._block_names()
        for name in names:
            if not _NAMESPACE.fullmatch(name):
                continue
            folder = self._block(name)
            here = _read(folder / 'wwid')
            if wwid not in (None, here):
                continue
            if _read(folder / 'device' / 'subsysnqn') != subsystem_nqn:
                continue
            node = self._devices / name
            if here:
                yield Namespace(
                    name, str(node), node.exists(), here, subsystem_nqn,
                    _number(_read(folder / 'size')) * SECTOR_BYTES,
                    self._servers(name, names))

    def _servers(self, name: str, names: list[str]) -> tuple[str, ...]:
        match = _NAMESPACE.fullmatch(name)
        assert match  # noqa: S101 - the caller's choice of names
        hidden = re.compile(rf'nvme{match[1]}c([0-9]+)n{match[2]}')
        paths = [(path[1], path[0]) for path in map(hidden.fullmatch, names)
                 if path]
        if not paths:
            device = (self._block(name) / 'device').resolve()
            return (device.name,) if self._is_live(device) else ()
        return tuple(
            f'nvme{controller}' for controller, path in paths
            if _read(self._block(path) / 'ana_state') in ACCESSIBLE
            and self._is_live(self._class('nvme') / f'nvme{controller}'))

    def _is_live(self, controller: pathlib.Path) -> bool:
        return _read(controller / 'state') == LIVE

    def controllers(
            self, subsystem_nqn: str | None = None) -> list[Controller]:
        """:returns: those that are there and are not on their way out.

        :param subsystem_nqn: only those of this subsystem.
        """
        found = []
        for folder in sorted(self._entries(self._class('nvme'))):
            nqn = _read(folder / 'subsysnqn')
            state = _read(folder / 'state')
            if (not _CONTROLLER.fullmatch(folder.name) or not state
                    or state in LEAVING
                    or subsystem_nqn not in (None, nqn)):
                continue
            address, port = _parse_address(_read(folder / 'address'))
            found.append(Controller(
                folder.name, nqn, _read(folder / 'transport'), address, port,
                state, _number(_read(folder / 'queue_count'))))
        return found

    def holders(self, name: str) -> list[str]:
        """:returns: devices built upon a block device, such as dm-0."""
        return sorted(
            entry.name for entry in self._entries(
                self._block(name) / 'holders'))

    def module_loaded(self, name: str) -> bool:
        """:returns: whether a kernel module is loaded or built in."""
        return (self._root / 'module' / name).is_dir()

    def native_multipath(self) -> bool:
        """:returns: whether the kernel joins the paths of a namespace."""
        return _read(self._root / 'module' / 'nvme_core' / 'parameters'
                     / 'multipath') == 'Y'

    def all_nodes(self) -> list[str]:
        """:returns: paths of the nodes of all NVMe block devices."""
        return [str(self._devices / name) for name in self._block_names()
                if _NAMESPACE.fullmatch(name)
                and (self._devices / name).exists()]

    def _class(self, name: str) -> pathlib.Path:
        return self._root / 'class' / name

    def _block(self, name: str) -> pathlib.Path:
        return self._class('block') / name

    def _block_names(self) -> list[str]:
        return sorted(
            entry.name for entry in self._entries(self._class('block'))
            if entry.name.startswith('nvme'))

    @staticmethod
    def _entries(folder: pathlib.Path) -> list[pathlib.Path]:
        try:
            return list(folder.iterdir())
        except OSError:
            return []
