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

Everything is read anew each time: the kernel is the only one who knows. Only
which devices are *not* a given volume is remembered, so that many who look
for one each need not read all of them each time. Whatever vanishes while it
is being read is treated as not there.

With native multipath a namespace is one block device, ``nvme0n1``, over
hidden ones, ``nvme0c2n1``, one for each controller (here ``nvme2``) that
reports the namespace. Without it each of those is a device of its own and
named like one.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
import dataclasses
import functools
import os
import re

from os_brick_ext import conn_props

LIVE = 'live'
# On their way out; such a controller is as good as gone.
LEAVING = frozenset({'deleting', 'deleting (no IO)', 'dead'})
# ANA states that let I/O through. A target without ANA reports no state.
ACCESSIBLE = frozenset({'optimized', 'non-optimized', ''})
SECTOR_BYTES = 512
# The kernel gives a page at most.
LARGEST_VALUE = 4096

_NAMESPACE = re.compile(r'nvme[0-9]+n[0-9]+')
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


def _read(path: str) -> str:
    """:returns: what is in the file, without the line's end; or nothing."""
    return _read_if_there(path) or ''


def _read_if_there(path: str) -> str | None:
    """:returns: the same, or None if there is no such file.

    Without the layers of Python's files: this is most of what an attachment
    takes when there are many at once.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(
            descriptor, LARGEST_VALUE).decode(errors='replace').strip()
    except OSError:
        return ''
    finally:
        os.close(descriptor)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


@functools.lru_cache(maxsize=1024)
def _parse_address(text: str) -> tuple[str, int]:
    """Read ``traddr=192.0.2.11,trsvcid=4420,src_addr=...``.

    :returns: address in canonical form and port; empty and 0 if it is not
        an address of TCP.
    """
    fields = dict(
        field.partition('=')[::2] for field in text.split(','))
    try:
        address = conn_props.canonical_address(fields.get('traddr', ''))
    except ValueError:
        return '', 0
    return address, _number(fields.get('trsvcid', ''))


class _Ids:
    """What the kernel called the block devices when they were first seen.

    A device keeps its id as long as it exists, and another device has
    another inode, even under the same name. Shared by all threads.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, str]] = {}
        self._names: dict[str, list[str]] = {}

    def learn(self, name: str, wwid: str) -> None:
        """Take note of a device that the kernel has told of."""
        self._names[wwid] = [*self._names.get(wwid, ()), name]

    def names(self, wwid: str) -> list[str]:
        """:returns: the devices that had this id."""
        return self._names.get(wwid, [])

    def look(self, folder: str, found: dict[str, int]) -> dict[str, str]:
        """:returns: the ids of devices by name, empty if not known yet.

        :param folder: where the devices are.
        :param found: their inodes by name.
        """
        known, now = self._known, {}
        names: dict[str, list[str]] = {}
        for name, inode in found.items():
            kept = known.get(name)
            if kept is None or kept[0] != inode or not kept[1]:
                kept = inode, _read(f'{folder}/{name}/wwid')
            now[name] = kept
            names.setdefault(kept[1], []).append(name)
        self._known, self._names = now, names
        return {name: wwid for name, (_inode, wwid) in now.items()}


_IDS: collections.defaultdict[str, _Ids] = collections.defaultdict(_Ids)


class Sysfs:
    """Reads the kernel's files.

    :param root: where sysfs is mounted.
    :param devices: where the device nodes are.
    """

    def __init__(self, root: str = '/sys', devices: str = '/dev') -> None:
        self._root = root
        self.devices = devices
        self._blocks = f'{root}/class/block'
        self._controllers = f'{root}/class/nvme'
        self._ids = _IDS[root]

    @property
    def root(self) -> str:
        """Where sysfs is mounted."""
        return self._root

    def find(self, key: conn_props.VolumeKey) -> Namespace | None:
        """Look for a volume.

        The subsystem must match too: two clusters may hold volumes of the
        same UUID, when one was restored from a copy of the other.

        :returns: its block device; if there are several, which is so
            without native multipath, rather a usable one.
        """
        for name in self._ids.names(key.wwid):
            known = self._namespace(name, key.subsystem_nqn, key.wwid)
            if known is not None and known.usable:
                return known
        found = sorted(self._namespaces(key.subsystem_nqn, key.wwid),
                       key=lambda namespace: not namespace.usable)
        return found[0] if found else None

    def may_have(self, key: conn_props.VolumeKey) -> bool:
        """:returns: whether a device was seen that is or was the volume.

        If not, the volume is not here; else :meth:`find` says whether it is.
        """
        return bool(self._ids.names(key.wwid)
                    or key.wwid in self._look().values())

    def namespaces(self, subsystem_nqn: str) -> list[Namespace]:
        """:returns: the block devices of a subsystem."""
        return list(self._namespaces(subsystem_nqn))

    def has_others(self, key: conn_props.VolumeKey) -> bool:
        """:returns: whether another volume of its subsystem is here.

        Looks no further than to the first.
        """
        return any(namespace.wwid != key.wwid
                   for namespace in self._namespaces(key.subsystem_nqn))

    def _namespaces(self, subsystem_nqn: str,
                    wwid: str | None = None) -> Iterator[Namespace]:
        for name, known in self._look().items():
            if wwid in (None, known):
                found = self._namespace(name, subsystem_nqn, wwid)
                if found is not None:
                    yield found

    def _look(self) -> dict[str, str]:
        """:returns: what the kernel calls the namespaces, by device."""
        return self._ids.look(self._blocks, self._inodes())

    def _namespace(self, name: str, subsystem_nqn: str,
                   wwid: str | None) -> Namespace | None:
        """:returns: a block device, if it is what is wanted now."""
        folder = f'{self._blocks}/{name}'
        # Never by what is remembered alone.
        here = _read(f'{folder}/wwid')
        if (not here or wwid not in (None, here)
                or _read(f'{folder}/device/subsysnqn') != subsystem_nqn):
            return None
        node = f'{self.devices}/{name}'
        return Namespace(
            name, node, os.path.exists(node), here, subsystem_nqn,
            _number(_read(f'{folder}/size')) * SECTOR_BYTES,
            self._servers(name))

    def _servers(self, name: str) -> tuple[str, ...]:
        subsystem, number = name.removeprefix('nvme').split('n')
        states = {
            controller: self._path_state(
                f'{self._blocks}/nvme{subsystem}c'
                f"{controller.removeprefix('nvme')}n{number}")
            for controller in sorted(_names(self._controllers))
            if _CONTROLLER.fullmatch(controller)}
        if all(state is None for state in states.values()):
            device = os.path.realpath(f'{self._blocks}/{name}/device')
            return ((os.path.basename(device),) if self._is_live(device)
                    else ())
        return tuple(
            controller for controller, state in states.items()
            if state in ACCESSIBLE
            and self._is_live(f'{self._controllers}/{controller}'))

    @staticmethod
    def _path_state(path: str) -> str | None:
        """:returns: the ANA state of one path of a device, if it is one."""
        state = _read_if_there(f'{path}/ana_state')
        if state is None and os.path.exists(path):
            return ''
        return state

    @staticmethod
    def _is_live(controller: str) -> bool:
        return _read(f'{controller}/state') == LIVE

    def controllers(
            self, subsystem_nqn: str | None = None) -> list[Controller]:
        """:returns: those that are there and are not on their way out.

        :param subsystem_nqn: only those of this subsystem.
        """
        return [self._controller(*found)
                for found in self._found(subsystem_nqn)]

    def _controller(self, name: str, nqn: str, state: str) -> Controller:
        folder = f'{self._controllers}/{name}'
        address, port = _parse_address(_read(f'{folder}/address'))
        return Controller(
            name, nqn, _read(f'{folder}/transport'), address, port,
            state, _number(_read(f'{folder}/queue_count')))

    def endpoints(self, subsystem_nqn: str) -> dict[str, bool]:
        """:returns: where the controllers of a subsystem are connected to.

        For each whether I/O can go through it now. Reads less than
        :meth:`controllers`.
        """
        return {
            conn_props.join_endpoint(*_parse_address(
                _read(f'{self._controllers}/{name}/address'))): state == LIVE
            for name, _nqn, state in self._found(subsystem_nqn)}

    def connected(self, subsystem_nqn: str) -> bool:
        """:returns: whether there is a controller of the subsystem.

        Looks no further than to the first.
        """
        return any(True for _one in self._found(subsystem_nqn))

    def _found(self, subsystem_nqn: str | None
               ) -> Iterator[tuple[str, str, str]]:
        """:returns: name, subsystem and state of each controller."""
        for name in sorted(_names(self._controllers)):
            if not _CONTROLLER.fullmatch(name):
                continue
            folder = f'{self._controllers}/{name}'
            nqn = _read(f'{folder}/subsysnqn')
            if subsystem_nqn not in (None, nqn):
                continue
            state = _read(f'{folder}/state')
            if state and state not in LEAVING:
                yield name, nqn, state

    def learn(self, name: str) -> str:
        """Take note of a block device that the kernel has told of.

        :returns: the kernel's name for what is on it; empty if there is no
            such device, or it is no namespace.
        """
        wwid = (_read(f'{self._blocks}/{name}/wwid')
                if _NAMESPACE.fullmatch(name) else '')
        if wwid:
            self._ids.learn(name, wwid)
        return wwid

    def numbers(self, controller: str) -> set[int]:
        """:returns: numbers of the namespaces that a controller has shown."""
        instance = re.escape(controller.removeprefix('nvme'))
        shown = re.compile(f'nvme([0-9]+c)?{instance}n[0-9]+')
        return {_number(_read(f'{self._blocks}/{name}/nsid'))
                for name in _names(self._blocks) if shown.fullmatch(name)}

    def holders(self, name: str) -> list[str]:
        """:returns: devices built upon a block device, such as dm-0."""
        return sorted(_names(f'{self._blocks}/{name}/holders'))

    def module_loaded(self, name: str) -> bool:
        """:returns: whether a kernel module is loaded or built in.

        One that is built in is not listed unless it has parameters; that for
        fabrics has none, but a class of devices.
        """
        return (os.path.isdir(f'{self._root}/module/{name}')
                or os.path.isdir(
                    f"{self._root}/class/{name.replace('_', '-')}"))

    def native_multipath(self) -> bool:
        """:returns: whether the kernel joins the paths of a namespace."""
        return _read(
            f'{self._root}/module/nvme_core/parameters/multipath') == 'Y'

    def all_nodes(self) -> list[str]:
        """:returns: paths of the nodes of all NVMe block devices."""
        nodes = [f'{self.devices}/{name}' for name in self._inodes()]
        return [node for node in nodes if os.path.exists(node)]

    def _inodes(self) -> dict[str, int]:
        """:returns: inodes of namespaces by name, in its order."""
        return {name: inode
                for name, inode in sorted(_names(self._blocks).items())
                if _NAMESPACE.fullmatch(name)}


def _names(folder: str) -> dict[str, int]:
    """:returns: names in a folder, and their inodes."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.inode() for entry in entries}
    except OSError:
        return {}
