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

"""Moving bytes from one open device to another, many at a time.

A copy in one thread reads, then writes, and each of the two waits for the
other. Here many threads do that at once, so that there is always something
on its way in both directions; all they do is wait in system calls, which
lets the others run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
import contextlib
import ctypes
import errno
import functools
import mmap
import os
import threading
from typing import NamedTuple, TypeVar

# What is read at once, and how many of those are on their way.
CHUNK = 1 << 20
DEPTH = 16
# Zeros are looked for in pieces of this size.
PIECE = 64 << 10
_ZEROS = bytes(PIECE)
# So much of a piece is looked at first: data mostly differs there.
_GLANCE = 64

T = TypeVar('T')

_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_NO_HOLES = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)

Span = tuple[int, int]
"""First byte and the one after the last."""


class Moved(NamedTuple):
    """What a copy has done, in bytes."""

    read: int
    written: int


def copy(source: int, target: int, spans: Iterable[Span], fresh: bool
         ) -> Moved:
    """Copy spans of one device to the same places of another.

    :param source: descriptor; spans are aligned as it demands.
    :param target: likewise; it is flushed before this returns.
    :param fresh: the target reads as zeros where it was not written, so
        zeros need not be. Else they are made by freeing the space.
    :raises OSError: a device failed; what was copied is not known.
    """
    def one(span: Span) -> int:
        return _copy_chunk(source, target, span, fresh)

    chunks = list(_chunks(spans))
    written = sum(_side_by_side(one, chunks))
    os.fdatasync(target)
    return Moved(sum(end - start for start, end in chunks), written)


def differing(first: int, second: int, spans: Iterable[Span]) -> list[int]:
    """Compare spans of two devices.

    :returns: where the chunks begin that differ.
    """
    def one(span: Span) -> bool:
        here = _read(first, span, _buffer(0))
        there = _read(second, span, _buffer(1))
        return bytes(here) != bytes(there)

    chunks = list(_chunks(spans))
    return [chunk[0] for chunk, differs
            in zip(chunks, _side_by_side(one, chunks), strict=True)
            if differs]


def _chunks(spans: Iterable[Span]) -> Iterator[Span]:
    for start, end in spans:
        for at in range(start, end, CHUNK):
            yield at, min(at + CHUNK, end)


def _side_by_side(work: Callable[[Span], T], chunks: Sequence[Span]
                  ) -> list[T]:
    """Do the work for all chunks; the first error ends it.

    None is under way any more when this returns or raises: the descriptors
    are about to be closed, and their numbers used again.
    """
    with _threads() as pool:
        waiting = [pool.submit(work, chunk) for chunk in chunks]
        _done, left = futures.wait(
            waiting, return_when=futures.FIRST_EXCEPTION)
        for future in left:
            future.cancel()
        # What hangs ends when the kernel gives its path up.
        futures.wait(waiting)
    failed = [future for future in waiting
              if not future.cancelled() and future.exception() is not None]
    if failed:
        failed[0].result()
    return [future.result() for future in waiting]


# Kept, since new ones would have to get their buffers anew with each call.
_idle: list[futures.ThreadPoolExecutor] = []


@contextlib.contextmanager
def _threads() -> Iterator[futures.ThreadPoolExecutor]:
    """Have threads for one call alone.

    A device that hangs takes all of them; calls for others have theirs. There
    are as many pools as there were calls at a time.
    """
    try:
        pool = _idle.pop()
    except IndexError:
        pool = futures.ThreadPoolExecutor(DEPTH, 'copy')
    try:
        yield pool
    finally:
        _idle.append(pool)


_own = threading.local()


def _buffer(number: int) -> mmap.mmap:
    """:returns: a buffer of this thread: direct I/O needs whole pages."""
    kept: dict[int, mmap.mmap] = _own.__dict__.setdefault('buffers', {})
    if number not in kept:
        kept[number] = mmap.mmap(-1, CHUNK)
    return kept[number]


def _copy_chunk(source: int, target: int, span: Span, fresh: bool) -> int:
    data = _read(source, span, _buffer(0))
    written = 0
    for start, end, zeros in _runs(_buffer(0), span[1] - span[0]):
        if not zeros:
            _write(target, data[start:end], span[0] + start)
            written += end - start
        elif not fresh:
            written += _clear(target, span[0] + start, end - start)
    return written


def _read(source: int, span: Span, buffer: mmap.mmap) -> memoryview:
    view = memoryview(buffer)[:span[1] - span[0]]
    done = 0
    while done < len(view):
        count = os.preadv(source, [view[done:]], span[0] + done)
        if not count:
            raise OSError(errno.EIO, f'the source ends at {span[0] + done}')
        done += count
    return view


def _write(target: int, data: memoryview, offset: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwritev(target, [data[done:]], offset + done)


def _runs(buffer: mmap.mmap, length: int
          ) -> Iterator[tuple[int, int, bool]]:
    """Cut a chunk where zeros begin and end.

    :returns: first byte, the one after the last, and whether all are zero.
    """
    start, kind = 0, False
    for at in range(0, length, PIECE):
        zeros = _zero(buffer, at, min(PIECE, length - at))
        if at and zeros is not kind:
            yield start, at, kind
            start = at
        kind = zeros
    yield start, length, kind


def _zero(buffer: mmap.mmap, start: int, length: int) -> bool:
    glance = min(_GLANCE, length)
    if buffer[start:start + glance] != _ZEROS[:glance]:
        return False
    return buffer[start:start + length] == _ZEROS[:length]


def _clear(target: int, offset: int, length: int) -> int:
    """Make zeros, by giving the space back where the target can.

    :returns: bytes that had to be written for it.
    """
    fallocate = _libc().fallocate
    if not fallocate(target, _PUNCH_HOLE | _KEEP_SIZE,
                     ctypes.c_int64(offset), ctypes.c_int64(length)):
        return 0
    number = ctypes.get_errno()
    if number not in _NO_HOLES:
        raise OSError(number, os.strerror(number))
    zeros = memoryview(_buffer(1))[:length]
    zeros[:] = bytes(length)
    _write(target, zeros, offset)
    return length


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
