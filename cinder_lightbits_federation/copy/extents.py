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

"""Which parts of a volume to copy: runs of bytes, and what is done to them.

Everything here takes and gives iterators in the order of the volume, so that
a volume of any size and any fragmentation costs no memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Extent(NamedTuple):
    """A run of bytes of a volume, `end` not included."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Bytes in it."""
        return self.end - self.start


def of_bitmap(first: int, last: int, bitmap: bytes, block: int
              ) -> Iterator[Extent]:
    """Read a bitmap of changed blocks.

    :param first: number of the block that the lowest bit of the first byte
        stands for.
    :param last: number of the last block there is a bit for; bits beyond
        it say nothing.
    :param block: bytes of a block.
    """
    count = last - first + 1
    bits = int.from_bytes(bitmap, 'little') & ((1 << count) - 1)
    at = first
    while bits:
        skipped = _low_zeros(bits)
        bits >>= skipped
        run = _low_zeros(~bits)
        bits >>= run
        at += skipped
        yield Extent(at * block, (at + run) * block)
        at += run


def _low_zeros(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def merged(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Join what touches or overlaps; `extents` begin in ascending order.

    :raises ValueError: they do not.
    """
    held: Extent | None = None
    for extent in extents:
        if held is None:
            held = extent
        elif extent.start < held.start:
            raise ValueError(f'{extent} comes after {held}')
        elif extent.start <= held.end:
            held = Extent(held.start, max(held.end, extent.end))
        else:
            yield held
            held = extent
    if held is not None:
        yield held


def clipped(extents: Iterable[Extent], start: int, end: int
            ) -> Iterator[Extent]:
    """What of some extents is from `start` on and before `end`."""
    for extent in extents:
        part = Extent(max(extent.start, start), min(extent.end, end))
        if part.length > 0:
            yield part


def batches(extents: Iterable[Extent], size: int) -> Iterator[list[Extent]]:
    """Cut into batches of exactly `size` bytes, the last one excepted."""
    batch: list[Extent] = []
    room = size
    for extent in extents:
        rest = extent
        while rest.length >= room:
            batch.append(Extent(rest.start, rest.start + room))
            yield batch
            rest = Extent(rest.start + room, rest.end)
            batch, room = [], size
        if rest.length:
            batch.append(rest)
            room -= rest.length
    if batch:
        yield batch


def total(extents: Iterable[Extent]) -> int:
    """:returns: bytes in all of them."""
    return sum(extent.length for extent in extents)
