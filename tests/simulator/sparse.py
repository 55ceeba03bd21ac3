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

"""A data plane of sparse files."""

from __future__ import annotations

import collections.abc
import contextlib
import errno
import fcntl
import os

from tests.simulator import dataplane

# Linux: let two files share their extents.
_FICLONE = 0x40049409

# What a file system without shared extents answers.
_NO_SHARING = (
    errno.EOPNOTSUPP,
    errno.ENOTTY,
    errno.EINVAL,
    errno.EXDEV,
    errno.ENOSYS,
)

_GROUP = dataplane.BLOCKS * dataplane.LBA
_STAT_BLOCK = 512
_CHUNK = 1 << 20

Extent = tuple[int, int]


class SparsePlane(dataplane.DataPlane):
    """Keeps each volume and snapshot in a sparse file of its own.

    Copies share extents where the file system can, else only the data is
    copied and holes stay holes.
    """

    measures = True

    def __init__(self, directory: str) -> None:
        self._directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def _file(self, uuid: str) -> str:
        return os.path.join(self._directory, uuid)

    def _reading(self, uuid: str) -> contextlib.AbstractContextManager[int]:
        return _opened(self._file(uuid), os.O_RDONLY)

    def create(self, volume: str, size: int) -> None:
        """Make an empty file."""
        with open(self._file(volume), 'xb') as stream:
            stream.truncate(size)

    def clone(self, snapshot: str, volume: str, size: int) -> None:
        """Copy a snapshot's data into a file of `size` bytes."""
        _copy(self._file(snapshot), self._file(volume), size)

    def snapshot(self, volume: str, snapshot: str) -> None:
        """Copy a volume's data."""
        source = self._file(volume)
        _copy(source, self._file(snapshot), os.stat(source).st_size)

    def rollback(self, volume: str, snapshot: str) -> None:
        """Write a snapshot's data into the volume's file.

        The file stays the same one, because a user may have it open.
        """
        source = self._file(snapshot)
        os.truncate(self._file(volume), 0)
        _copy(source, self._file(volume), os.stat(source).st_size)

    def resize(self, volume: str, size: int) -> None:
        """Cut the file, or let it grow by a hole."""
        os.truncate(self._file(volume), size)

    def delete(self, uuid: str) -> None:
        """Remove the file if there is one."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file(uuid))

    def used(self, uuid: str) -> int:
        """Return the bytes the file system gave the file."""
        try:
            return os.stat(self._file(uuid)).st_blocks * _STAT_BLOCK
        except FileNotFoundError:
            return 0

    def path(self, uuid: str) -> str | None:
        """Return the file."""
        return self._file(uuid)

    def changes(
        self, base: str | None, snapshot: str, size: int, first: int
    ) -> dataplane.Changes:
        """Compare the data of two files, group by group."""
        with contextlib.ExitStack() as stack:
            new = stack.enter_context(self._reading(snapshot))
            files = [new]
            if base is not None:
                old = stack.enter_context(self._reading(base))
                files.append(old)
            groups: set[int] = set()
            for descriptor in files:
                groups.update(_groups(descriptor, first))
            for group in sorted(groups):
                offset = group * _GROUP
                data = os.pread(new, _GROUP, offset)
                bits = (
                    _allocated(new, offset, len(data))
                    if base is None
                    else _different(data, os.pread(old, _GROUP, offset))
                )
                if bits and offset < size:
                    yield group * dataplane.BLOCKS, bits

    def close(self) -> None:
        """Remove the directory, which is empty by now."""
        with contextlib.suppress(OSError):
            os.rmdir(self._directory)


@contextlib.contextmanager
def _opened(path: str, flags: int) -> collections.abc.Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _copy(source: str, target: str, size: int) -> None:
    """Make `target`, new or empty, a copy of `source` of `size` bytes."""
    flags = os.O_RDWR | os.O_CREAT
    with (
        _opened(source, os.O_RDONLY) as reader,
        _opened(target, flags) as writer,
    ):
        if not _share(reader, writer):
            for start, end in _extents(reader, 0):
                _copy_range(reader, writer, start, end)
        os.truncate(writer, size)


def _share(source: int, target: int) -> bool:
    """Let the files share their extents; return whether they can."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as err:
        if err.errno in _NO_SHARING:
            return False
        raise
    return True


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        try:
            done = os.copy_file_range(
                source, target, end - start, start, start
            )
        except OSError as err:
            if err.errno not in _NO_SHARING:
                raise
            data = os.pread(source, min(end - start, _CHUNK), start)
            done = os.pwrite(target, data, start)
        if not done:
            return
        start += done


def _extents(descriptor: int, start: int) -> collections.abc.Iterator[Extent]:
    """Yield (start, end) of the data from `start` on."""
    while True:
        try:
            start = os.lseek(descriptor, start, os.SEEK_DATA)
        except OSError as err:
            if err.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end
        start = end


def _groups(descriptor: int, first: int) -> collections.abc.Iterator[int]:
    """Yield the groups of blocks that hold data, from block `first`."""
    for start, end in _extents(descriptor, first * dataplane.LBA):
        yield from range(start // _GROUP, -(-end // _GROUP))


def _allocated(descriptor: int, offset: int, length: int) -> int:
    """Return a bit for each block of a group that holds data."""
    bits = 0
    for start, end in _extents(descriptor, offset):
        if start >= offset + length:
            break
        first = (start - offset) // dataplane.LBA
        last = -(-(min(end, offset + length) - offset) // dataplane.LBA)
        bits |= (1 << last) - (1 << first)
    return bits


def _different(new: bytes, old: bytes) -> int:
    """Return a bit for each block that differs; a missing one is zeros."""
    if new == old:
        return 0
    bits = 0
    for index in range(-(-len(new) // dataplane.LBA)):
        start = index * dataplane.LBA
        block = new[start : start + dataplane.LBA]
        other = old[start : start + dataplane.LBA]
        if block != other.ljust(len(block), b'\0')[: len(block)]:
            bits |= 1 << index
    return bits
