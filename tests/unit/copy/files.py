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

from collections.abc import Sequence
import os
import pathlib
import random

from cinder_lightbits_federation.copy import blocks
from cinder_lightbits_federation.copy.devices import Device
from cinder_lightbits_federation.copy.extents import Extent

BLOCK = 4096
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
