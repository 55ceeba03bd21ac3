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

"""Where the data of volumes is kept: the interface, and the empty plane."""

from __future__ import annotations

import abc
import collections.abc
import typing

if typing.TYPE_CHECKING:
    from tests.simulator import exports

LBA = 4096
# Blocks one range of a difference covers; its bitmap has a bit for each.
BLOCKS = 64

# The first block of an aligned group of BLOCKS, and which of them differ.
Change = tuple[int, int]
Changes = collections.abc.Iterator[Change]

WHOLE = (1 << BLOCKS) - 1


class DataPlane(abc.ABC):
    """Keeps the blocks of volumes and snapshots, which UUIDs name."""

    # Whether `used` tells the truth; else only the control API knows.
    measures = False
    # Whether hosts can use what is kept: only then is anything published.
    serves_hosts = False

    def publish(self, picture: exports.Picture) -> None:
        """Let hosts see just this. Idempotent.

        :raises OSError: the system refuses.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def create(self, volume: str, size: int) -> None:
        """Make an empty volume of `size` bytes."""

    @abc.abstractmethod
    def clone(self, snapshot: str, volume: str, size: int) -> None:
        """Make a volume of `size` bytes with the content of a snapshot."""

    @abc.abstractmethod
    def snapshot(self, volume: str, snapshot: str) -> None:
        """Keep the present content of a volume."""

    @abc.abstractmethod
    def rollback(self, volume: str, snapshot: str) -> None:
        """Give a volume the content and the size of a snapshot."""

    @abc.abstractmethod
    def resize(self, volume: str, size: int) -> None:
        """Cut a volume, or let it grow by zeros."""

    @abc.abstractmethod
    def delete(self, uuid: str) -> None:
        """Remove a volume or a snapshot; one that is gone is no error."""

    @abc.abstractmethod
    def used(self, uuid: str) -> int:
        """Return the bytes in use."""

    @abc.abstractmethod
    def path(self, uuid: str) -> str | None:
        """Return the file or device with the content, or None."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give up what is left when all volumes are deleted."""

    @abc.abstractmethod
    def changes(
        self, base: str | None, snapshot: str, size: int, first: int
    ) -> Changes:
        """Yield where a snapshot of `size` bytes differs from `base`.

        Without a base: where it holds data.

        :param first: block to begin with, a multiple of BLOCKS.
        """


class NoPlane(DataPlane):
    """Keeps nothing: snapshots are whole, and never differ."""

    def create(self, volume: str, size: int) -> None:
        """Do nothing."""

    def clone(self, snapshot: str, volume: str, size: int) -> None:
        """Do nothing."""

    def snapshot(self, volume: str, snapshot: str) -> None:
        """Do nothing."""

    def rollback(self, volume: str, snapshot: str) -> None:
        """Do nothing."""

    def resize(self, volume: str, size: int) -> None:
        """Do nothing."""

    def delete(self, uuid: str) -> None:
        """Do nothing."""

    def used(self, uuid: str) -> int:
        """Return 0."""
        return 0

    def path(self, uuid: str) -> str | None:
        """Return None: there is no content."""
        return None

    def close(self) -> None:
        """Do nothing."""

    def changes(
        self, base: str | None, snapshot: str, size: int, first: int
    ) -> Changes:
        """Yield nothing against a base, else every block."""
        if base is not None:
            return
        last = -(-size // LBA)
        for block in range(first, last, BLOCKS):
            yield block, WHOLE >> max(0, block + BLOCKS - last)
