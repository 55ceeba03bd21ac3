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

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import functools
import os
import re
import threading
import time

from os_brick_ext import conn_props
from os_brick_ext import files
from os_brick_ext import ids

LIVE = 'live'
# On their way out; such a controller is as good as gone.
LEAVING = frozenset({'deleting', 'deleting (no IO)', 'dead'})
# ANA states that let I/O through. A target without ANA reports no state.
ACCESSIBLE = frozenset({'optimized', 'non-optimized', ''})
SECTOR_BYTES = 512

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


class _Shared:
    """What all have in common who read the same sysfs.

    :param blocks: where the block devices are.
    """

    def __init__(self, blocks: str) -> None:
        self.ids = ids.Ids(blocks)
        # One looks at a time: Python lets one compute at a time anyway, and
        # to pass that on with each file takes longer than to read it. The
        # kernel has what is read in memory, so nobody waits for long.
        self.turn = threading.Lock()


_SHARED: dict[str, _Shared] = {}
# Another thread of the parent may hold a lock.
os.register_at_fork(after_in_child=_SHARED.clear)


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
        self._shared = _SHARED.setdefault(root, _Shared(self._blocks))

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
        asked = time.monotonic()
        with self._shared.turn:
            for found in self._known(key):
                if found.usable:
                    return found
            self._shared.ids.look(asked)
            return min(self._known(key), default=None,
                       key=lambda found: not found.usable)

    def _known(self, key: conn_props.VolumeKey) -> Iterator[Namespace]:
        """:returns: the volume's block devices, of those that were seen."""
        for name in self._shared.ids.names(key.wwid):
            found = self._namespace(name, key.subsystem_nqn, key.wwid)
            if found is not None:
                yield found

    def may_have(self, key: conn_props.VolumeKey) -> bool:
        """:returns: whether a device was seen that is or was the volume.

        If not, the volume is not here; else :meth:`find` says whether it is.
        """
        known = self._shared.ids
        if not known.names(key.wwid):
            known.look(time.monotonic())
        return self.seen(key.wwid)

    def look(self) -> None:
        """See which devices there are now."""
        self._shared.ids.look(time.monotonic())

    def seen(self, wwid: str) -> bool:
        """:returns: whether the last look saw a device of this name.

        It names no subsystem, so it may be a copy of the volume.
        """
        return bool(self._shared.ids.names(wwid))

    def occupied(self, subsystem_nqn: str) -> bool:
        """:returns: whether a volume of a subsystem is here.

        Looks no further than to the first.
        """
        return any(True for _one in self._wwids(subsystem_nqn))

    def has_others(self, key: conn_props.VolumeKey) -> bool:
        """:returns: whether another volume of its subsystem is here.

        Looks no further than to the first.
        """
        return any(wwid != key.wwid
                   for wwid in self._wwids(key.subsystem_nqn))

    def _wwids(self, subsystem_nqn: str) -> Iterator[str]:
        """:returns: the kernel's names for the volumes of a subsystem."""
        for name in self._shared.ids.look(time.monotonic()):
            # Most are of others, so that is asked first.
            if self._subsystem(name) == subsystem_nqn:
                wwid = files.read(f'{self._blocks}/{name}/wwid')
                if wwid:
                    yield wwid

    def subsystems(self, wwid: str | None = None) -> set[str]:
        """:returns: NQNs of the subsystems that volumes here are of.

        Each device is looked at once.

        :param wwid: only of volumes of this name.
        """
        names: Iterable[str] = self._shared.ids.look(time.monotonic())
        if wwid is not None:
            names = [name for name in self._shared.ids.names(wwid)
                     if files.read(f'{self._blocks}/{name}/wwid') == wwid]
        return {self._subsystem(name) for name in names} - {''}

    def _subsystem(self, name: str) -> str:
        """:returns: NQN of a block device's subsystem; empty if it is gone."""
        return files.read(f'{self._blocks}/{name}/device/subsysnqn')

    def _namespace(self, name: str, subsystem_nqn: str,
                   wwid: str) -> Namespace | None:
        """:returns: a block device, if it is what is wanted now."""
        folder = f'{self._blocks}/{name}'
        # Never by what is remembered alone.
        here = files.read(f'{folder}/wwid')
        if here != wwid or self._subsystem(name) != subsystem_nqn:
            return None
        node = f'{self.devices}/{name}'
        return Namespace(
            name, node, os.path.exists(node), here, subsystem_nqn,
            _number(files.read(f'{folder}/size')) * SECTOR_BYTES,
            self._servers(name))

    def _servers(self, name: str) -> tuple[str, ...]:
        subsystem, number = name.removeprefix('nvme').split('n')
        states = {
            controller: self._path_state(
                f'{self._blocks}/nvme{subsystem}c'
                f"{controller.removeprefix('nvme')}n{number}")
            for controller in sorted(files.names(self._controllers))
            if _CONTROLLER.fullmatch(controller)}
        if all(state is None for state in states.values()):
            return self._only_server(name)
        return tuple(
            controller for controller, state in states.items()
            if state in ACCESSIBLE
            and self._is_live(f'{self._controllers}/{controller}'))

    def _only_server(self, name: str) -> tuple[str, ...]:
        """:returns: whose a device is, without native multipath."""
        try:
            device = os.path.realpath(f'{self._blocks}/{name}/device')
        except OSError:
            # A link of it vanished between two steps.
            return ()
        return (os.path.basename(device),) if self._is_live(device) else ()

    @staticmethod
    def _path_state(path: str) -> str | None:
        """:returns: the ANA state of one path of a device, if it is one."""
        state = files.read_if_there(f'{path}/ana_state')
        if state is None and os.path.exists(path):
            return ''
        return state

    @staticmethod
    def _is_live(controller: str) -> bool:
        return files.read(f'{controller}/state') == LIVE

    def controllers(
            self, subsystem_nqn: str | None = None) -> list[Controller]:
        """:returns: those that are there and are not on their way out.

        :param subsystem_nqn: only those of this subsystem.
        """
        return [self._controller(*found)
                for found in self._found(subsystem_nqn)]

    def _controller(self, name: str, nqn: str, state: str) -> Controller:
        folder = f'{self._controllers}/{name}'
        address, port = _parse_address(files.read(f'{folder}/address'))
        return Controller(
            name, nqn, files.read(f'{folder}/transport'), address, port,
            state, _number(files.read(f'{folder}/queue_count')))

    def endpoints(self, subsystem_nqn: str) -> dict[str, bool]:
        """:returns: where the controllers of a subsystem are connected to.

        For each whether I/O can go through it now. Reads less than
        :meth:`controllers`.
        """
        return {
            conn_props.join_endpoint(*_parse_address(files.read(
                f'{self._controllers}/{name}/address'))): state == LIVE
            for name, _nqn, state in self._found(subsystem_nqn)}

    def connected(self, subsystem_nqn: str) -> bool:
        """:returns: whether there is a controller of the subsystem.

        Looks no further than to the first.
        """
        return any(True for _one in self._found(subsystem_nqn))

    def joined(self, transport: str) -> set[str]:
        """:returns: NQNs of the subsystems that have controllers.

        :param transport: only of those that are reached by it.
        """
        found: dict[str, str] = {}
        for name, nqn, _state in self._found(None):
            if found.get(nqn) != transport:
                found[nqn] = files.read(
                    f'{self._controllers}/{name}/transport')
        return {nqn for nqn, by in found.items() if by == transport}

    def _found(self, subsystem_nqn: str | None
               ) -> Iterator[tuple[str, str, str]]:
        """:returns: name, subsystem and state of each controller."""
        for name in sorted(files.names(self._controllers)):
            if not _CONTROLLER.fullmatch(name):
                continue
            folder = f'{self._controllers}/{name}'
            nqn = files.read(f'{folder}/subsysnqn')
            if subsystem_nqn not in (None, nqn):
                continue
            state = files.read(f'{folder}/state')
            if state and state not in LEAVING:
                yield name, nqn, state

    def learn(self, name: str) -> str:
        """Take note of a block device that the kernel has told of.

        :returns: the kernel's name for what is on it; empty if there is no
            such device, or it is no namespace.
        """
        wwid = (files.read(f'{self._blocks}/{name}/wwid')
                if ids.NAMESPACE.fullmatch(name) else '')
        if wwid:
            self._shared.ids.learn(name, wwid)
        return wwid

    def numbers(self, controller: str) -> set[int]:
        """:returns: numbers of the namespaces that a controller has shown."""
        instance = re.escape(controller.removeprefix('nvme'))
        shown = re.compile(f'nvme([0-9]+c)?{instance}n[0-9]+')
        return {_number(files.read(f'{self._blocks}/{name}/nsid'))
                for name in files.names(self._blocks) if shown.fullmatch(name)}

    def holders(self, name: str) -> list[str]:
        """:returns: devices built upon a block device, such as dm-0.

        Those on its partitions are, too: a server's own disks have them, and
        LVM of a host may take up what it finds there.
        """
        part = re.compile(f'{re.escape(name)}(p[0-9]+)?')
        return sorted({
            holder for device in files.names(self._blocks)
            if part.fullmatch(device)
            for holder in files.names(f'{self._blocks}/{device}/holders')})

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
        return files.read(
            f'{self._root}/module/nvme_core/parameters/multipath') == 'Y'

    def all_nodes(self) -> list[str]:
        """:returns: paths of the nodes of all NVMe block devices."""
        nodes = [f'{self.devices}/{name}'
                 for name in ids.namespaces(self._blocks)]
        return [node for node in nodes if os.path.exists(node)]
