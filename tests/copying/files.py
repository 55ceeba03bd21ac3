# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Files and loop devices to copy between, and what moves their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import hashlib
import os
import pathlib
import random
from typing import Any

from cinder_lightbits_federation.access import HostAccess
from cinder_lightbits_federation.attachments import Attachment
from cinder_lightbits_federation.copy import blocks
from cinder_lightbits_federation.copy.devices import Device
from cinder_lightbits_federation.copy.extents import Extent
from tests.simulator.control import SimCluster

BLOCK = 4096
HOST_NQN = ('nqn.2014-08.org.nvmexpress:uuid:'
            '5e2b0c4a-0000-4000-8000-0000000000aa')
MIB = 1 << 20


class FileMover:
    """Moves bytes in this process, with the code of the privileged side.

    :ivar calls: batches that were moved.
    """

    def __init__(self) -> None:
        self.calls: list[list[Extent]] = []

    def copy(self, source: Device, target: Device,
             extents: Sequence[Extent], fresh: bool) -> int:
        """See `devices.Mover.copy`."""
        self.calls.append(list(extents))
        reading = os.open(source.path, os.O_RDONLY)
        writing = os.open(target.path, os.O_WRONLY)
        try:
            return blocks.copy(reading, writing, extents, fresh).written
        finally:
            os.close(reading)
            os.close(writing)

    def differing(self, source: Device, target: Device,
                  extents: Sequence[Extent]) -> list[int]:
        """See `devices.Mover.differing`."""
        first = os.open(source.path, os.O_RDONLY)
        second = os.open(target.path, os.O_RDONLY)
        try:
            return blocks.differing(first, second, extents)
        finally:
            os.close(first)
            os.close(second)


class Transient:
    """A ledger that lives as long as the process."""

    def __init__(self) -> None:
        self._state: Mapping[str, Any] = {}
        self.done = 0
        self.total = 0

    def load(self) -> Mapping[str, Any]:
        """:returns: what was saved last in this process."""
        return self._state

    def save(self, state: Mapping[str, Any], done: int, total: int) -> None:
        """Keep the state for as long as the process lives."""
        self._state = dict(state)
        self.done, self.total = done, total

def thin(path: pathlib.Path, size: int) -> Device:
    """:returns: an empty file of `size` bytes, as a device."""
    with path.open('xb') as file:
        file.truncate(size)
    return Device(str(path), path.name)


def scatter(path: pathlib.Path, size: int, total: int, seed: int = 1
            ) -> list[Extent]:
    """Write random data in scattered places of a file.

    :param total: bytes to write, in pieces of up to a megabyte.
    :returns: the extents, in order, none touching another.
    """
    rng = random.Random(seed)
    slots = size // MIB
    pieces = total // (MIB // 2)
    written = []
    with path.open('r+b') as file:
        for slot in sorted(rng.sample(range(slots), pieces)):
            start = slot * MIB + rng.randrange(0, MIB // 4, BLOCK)
            file.seek(start)
            file.write(rng.randbytes(MIB // 2))
            written.append(Extent(start, start + MIB // 2))
    return written


class FileAttacher:
    """Gives the files that simulated clusters keep volumes in.

    Only those that admit this host, as a cluster would.

    :param arrays: clusters by their name in the configuration.
    :ivar live: UUIDs of what is attached now.
    """

    def __init__(self, arrays: Mapping[str, SimCluster],
                 nqn: str = HOST_NQN) -> None:
        self._arrays = arrays
        self._nqn = nqn
        self.live: list[str] = []

    def host(self) -> HostAccess:
        """See `devices.Attacher.host`."""
        return HostAccess.of(self._nqn, ['192.0.2.77'], [], 'mover')

    @contextlib.contextmanager
    def connected(self, attachment: Attachment) -> Iterator[Device]:
        """See `devices.Attacher.connected`."""
        array = self._arrays[attachment.cluster]
        volume, = (item for item in array.state()['volumes']
                   if item['UUID'] == attachment.volume_uuid)
        if volume['acl']['values'] != [self._nqn]:
            raise AssertionError(f'{volume["name"]} admits '
                                 f'{volume["acl"]["values"]}')
        path = array.data_path(attachment.volume_uuid)
        assert path is not None
        self.live.append(attachment.volume_uuid)
        try:
            yield Device(path, attachment.volume_uuid)
        finally:
            self.live.remove(attachment.volume_uuid)


class FolderAttacher:
    """Gives files without asking anybody, by the folders they are in.

    :param folders: of clusters, by their name in the configuration.
    """

    def __init__(self, folders: Mapping[str, str], nqn: str = HOST_NQN
                 ) -> None:
        self._folders = folders
        self._nqn = nqn

    def host(self) -> HostAccess:
        """See `devices.Attacher.host`."""
        return HostAccess.of(self._nqn, ['192.0.2.77'], [], 'mover')

    @contextlib.contextmanager
    def connected(self, attachment: Attachment) -> Iterator[Device]:
        """See `devices.Attacher.connected`."""
        yield Device(os.path.join(self._folders[attachment.cluster],
                                  attachment.volume_uuid),
                     attachment.volume_uuid)


def content(path: str | pathlib.Path | None) -> tuple[int, str]:
    """Sum up a file: its size, and a digest of all blocks that hold data.

    Holes and zeros are the same.
    """
    assert path is not None
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        at = 0
        size = file.seek(0, os.SEEK_END)
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break  # No more data.
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            for start in range(at // BLOCK * BLOCK, end, BLOCK):
                block = os.pread(file.fileno(), BLOCK, start)
                if block.strip(b'\0'):
                    digest.update(start.to_bytes(8, 'big') + block)
            at = end
    return size, digest.hexdigest()
