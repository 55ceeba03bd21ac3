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

"""A kernel with NVMe over TCP, and the clusters it talks to.

What the kernel shows is real files, laid out as sysfs does; what it is told
to do arrives through the same functions that privsep offers. Only what a
kernel does between the two is imitated.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import errno
import itertools
import json
import os
import pathlib
import shutil
import threading

from os_brick_ext import conn_props
from os_brick_ext import discovery
from os_brick_ext import fabrics

SECTOR = 512
GIB = 1 << 30


@dataclasses.dataclass
class FakeCluster:
    """A cluster as seen from a host.

    :param nodes: ``address:port`` of its I/O controllers.
    :param dead: those of them that refuse to be connected.
    :param granted: UUID to size of the volumes this host may use.
    """

    nqn: str
    number: int
    nodes: list[str]
    dead: set[str] = dataclasses.field(default_factory=set)
    granted: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Block:
    """A block device that a volume ought to have.

    :param device: what sysfs says it belongs to.
    :param hidden: whether it is one path of another.
    """

    name: str
    uuid: str
    size: int
    device: pathlib.Path
    hidden: bool = False


class FakeKernel:
    """Files below `folder`, and the privileged functions upon them.

    :param folder: an empty folder; gets ``sys``, ``dev`` and ``discovery.d``.
    :param multipath: whether paths are joined.
    """

    def __init__(self, folder: str, multipath: bool = True) -> None:
        self.folder = pathlib.Path(folder)
        self.sys = self.folder / 'sys'
        self.dev = self.folder / 'dev'
        self.drop_ins = self.folder / 'discovery.d'
        for path in (self.sys / 'class/nvme', self.sys / 'class/block',
                     self.dev, self.drop_ins):
            path.mkdir(parents=True)
        self.multipath = multipath
        self.clusters: dict[str, FakeCluster] = {}
        self.calls: list[str] = []
        # What the kernel does not do, for tests of what happens then.
        self.deaf: set[str] = set()
        # Discovery services that know no more than others to be asked.
        self.referring: dict[str, list[str]] = {}
        self._lock = threading.RLock()
        self._controllers = itertools.count()
        self._numbers: dict[str, int] = {}
        for module in ('nvme_core', 'nvme_fabrics', 'nvme_tcp'):
            (self.sys / 'module' / module / 'parameters').mkdir(parents=True)
        self._write(self.sys / 'module/nvme_core/parameters/multipath',
                    'Y' if multipath else 'N')

    # What a test does with clusters.

    def add_cluster(self, nqn: str, *nodes: str) -> FakeCluster:
        """Have a cluster that nothing is connected to yet."""
        cluster = FakeCluster(nqn, len(self.clusters), list(nodes))
        self.clusters[nqn] = cluster
        return cluster

    def grant(self, nqn: str, uuid: str, size: int = GIB) -> None:
        """Show a volume to this host; connected controllers tell it."""
        with self._lock:
            self.clusters[nqn].granted[uuid] = size
            if 'events' not in self.deaf:
                self._scan(nqn)

    def withdraw(self, nqn: str, uuid: str) -> None:
        """Stop showing a volume to this host."""
        with self._lock:
            del self.clusters[nqn].granted[uuid]
            self._scan(nqn)

    def resize(self, nqn: str, uuid: str, size: int) -> None:
        """Grow a volume; the kernel hears of it unless it is deaf."""
        self.grant(nqn, uuid, size)

    def set_state(self, name: str, state: str) -> None:
        """Put a controller into a state."""
        self._write(self.sys / 'class/nvme' / name / 'state', state)

    def set_ana(self, state: str) -> None:
        """Give all paths an ANA state."""
        for path in (self.sys / 'class/block').glob('nvme*c*n*'):
            self._write(path / 'ana_state', state)

    def controllers(self, nqn: str) -> list[str]:
        """:returns: names of what is connected to a cluster."""
        with self._lock:
            return sorted(
                path.name for path in (self.sys / 'class/nvme').iterdir()
                if (path / 'subsysnqn').read_text() == f'{nqn}\n')

    def devices(self) -> list[str]:
        """:returns: names of the block devices that are not hidden."""
        return sorted(path.name for path in self.dev.iterdir())

    def client_connects(self, nqn: str) -> None:
        """Do what the discovery client does once it has read a file."""
        for node in self.clusters[nqn].nodes:
            with contextlib.suppress(BlockingIOError):
                self._connect(nqn, *conn_props.split_endpoint(node, 'node'))

    # What privsep offers.

    def write_drop_in(self, volume_uuid: str, subsystem_nqn: str,
                      host_nqn: str, nodes: list[tuple[str, int]]) -> str:
        self.calls.append(f'write {volume_uuid}')
        return discovery.write(
            str(self.drop_ins), volume_uuid, discovery.content(
                volume_uuid, subsystem_nqn, host_nqn,
                [conn_props.DiscoveryNode(*node) for node in nodes]))

    def remove_drop_in(self, volume_uuid: str) -> bool:
        self.calls.append(f'remove {volume_uuid}')
        return discovery.remove(str(self.drop_ins), volume_uuid)

    def connect_controller(self, address: str, port: int, subsystem_nqn: str,
                           host_nqn: str, host_id: str) -> str:
        self.calls.append(f'connect {address} {port}')
        return self._connect(subsystem_nqn, address, port)

    def delete_controller(self, name: str, subsystem_nqn: str) -> None:
        self.calls.append(f'delete {name}')
        if 'delete' in self.deaf:
            return
        with self._lock:
            folder = self.sys / 'class/nvme' / name
            if not folder.exists():
                raise FileNotFoundError(errno.ENOENT, name)
            # In one step, like the kernel, which keeps no half of it.
            gone = self.folder / f'gone-{name}'
            folder.rename(gone)
            shutil.rmtree(gone)
            self._scan(subsystem_nqn)

    def rescan_controller(self, name: str, subsystem_nqn: str) -> None:
        self.calls.append(f'rescan {name}')
        if 'rescan' not in self.deaf:
            with self._lock:
                self._scan(subsystem_nqn)

    def active_namespaces(self, name: str,
                          subsystem_nqn: str) -> list[int]:
        self.calls.append(f'active {name}')
        return [self._numbers.setdefault(uuid, len(self._numbers) + 1)
                for uuid in self.clusters[subsystem_nqn].granted]

    def namespace_size(self, name: str) -> int:
        self.calls.append(f'size {name}')
        wwid = (self.sys / 'class/block' / name / 'wwid').read_text()
        for cluster in self.clusters.values():
            for uuid, size in cluster.granted.items():
                if wwid == f'uuid.{uuid}\n':
                    return size
        raise OSError(errno.EIO, 'NVMe status 0x4002')

    def discovery_log(self, address: str, port: int, host_nqn: str,
                      host_id: str) -> str:
        self.calls.append(f'discover {address} {port}')
        others = self.referring.get(conn_props.join_endpoint(address, port))
        if others is not None:
            entries = [(fabrics.DISCOVERY_NQN, 'discovery subsystem referral',
                        other) for other in others]
        else:
            entries = [(cluster.nqn, 'nvme subsystem', node)
                       for cluster in self.clusters.values()
                       for node in cluster.nodes]
        records = []
        for name, kind, endpoint in entries:
            traddr, trsvcid = conn_props.split_endpoint(endpoint, 'node')
            records.append({
                'trtype': 'tcp', 'subnqn': name, 'traddr': traddr,
                'trsvcid': str(trsvcid), 'subtype': kind})
        return json.dumps({'genctr': 1, 'records': records})

    def execute(self, *command: str, **_options: object) -> tuple[str, str]:
        """Run a command of os-brick's."""
        self.calls.append(' '.join(command))
        return '', ''

    # What a kernel does by itself.

    def _connect(self, nqn: str, address: str, port: int) -> str:
        with self._lock:
            cluster = self.clusters[nqn]
            endpoint = conn_props.join_endpoint(address, port)
            if endpoint in cluster.dead or endpoint not in cluster.nodes:
                raise ConnectionRefusedError(errno.ECONNREFUSED, 'refused')
            where = f'traddr={address},trsvcid={port},src_addr=192.0.2.200\n'
            for name in self.controllers(nqn):
                if (self.sys / 'class/nvme' / name
                        / 'address').read_text() == where:
                    raise OSError(errno.EALREADY, 'already connected')
            name = f'nvme{next(self._controllers)}'
            folder = self.sys / 'class/nvme' / name
            folder.mkdir()
            for attribute, value in {
                    'subsysnqn': nqn, 'address': where.strip(),
                    'transport': 'tcp', 'queue_count': '3',
                    'state': 'live'}.items():
                self._write(folder / attribute, value)
            self._scan(nqn)
            return name

    def _scan(self, nqn: str) -> None:
        """Make the block devices of a subsystem what its cluster says."""
        wanted = {block.name: block
                  for block in self._blocks(self.clusters[nqn])}
        folder = self.sys / 'class/block'
        known = {path.name for path in folder.iterdir()
                 if (path / 'nqn').read_text() == f'{nqn}\n'}
        for name in known - wanted.keys():
            shutil.rmtree(folder / name)
            (self.dev / name).unlink(missing_ok=True)
        for name, block in wanted.items():
            if name not in known:
                self._add(nqn, block)
            self._write(folder / name / 'size', str(block.size // SECTOR))

    def _blocks(self, cluster: FakeCluster) -> Iterator[Block]:
        """:returns: the block devices that ought to be."""
        controllers = self.controllers(cluster.nqn)
        for uuid, size in cluster.granted.items():
            number = self._numbers.setdefault(uuid, len(self._numbers) + 1)
            for name in controllers:
                device = self.sys / 'class/nvme' / name
                if self.multipath:
                    instance = name.removeprefix('nvme')
                    yield Block(
                        f'nvme{cluster.number}c{instance}n{number}', uuid,
                        size, device, hidden=True)
                else:
                    yield Block(f'{name}n{number}', uuid, size, device)
            if self.multipath and controllers:
                yield Block(f'nvme{cluster.number}n{number}', uuid, size,
                            self._subsystem(cluster))

    def _subsystem(self, cluster: FakeCluster) -> pathlib.Path:
        folder = self.sys / f'nvme-subsys{cluster.number}'
        if not folder.exists():
            folder.mkdir()
            self._write(folder / 'subsysnqn', cluster.nqn)
        return folder

    def _add(self, nqn: str, block: Block) -> None:
        folder = self.sys / 'class/block' / block.name
        made = folder.with_name(f'.{block.name}')
        (made / 'holders').mkdir(parents=True)
        os.symlink(block.device, made / 'device')
        for attribute, value in {
                'nqn': nqn, 'wwid': f'uuid.{block.uuid}', 'size': '0'}.items():
            self._write(made / attribute, value)
        self._write(made / 'nsid', block.name.rpartition('n')[2])
        if block.hidden:
            self._write(made / 'ana_state', 'optimized')
        else:
            (self.dev / block.name).touch()
        made.rename(folder)

    @staticmethod
    def _write(path: pathlib.Path, text: str) -> None:
        # Renamed into place: a reader never sees half of it.
        temporary = path.with_name(f'.{path.name}.new')
        temporary.write_text(f'{text}\n')
        temporary.rename(path)
