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

"""Which blocks of a snapshot hold data, as its cluster tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import logging

from cinder_lightbits_federation.copy import extents
from cinder_lightbits_federation.copy.extents import Extent
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model

LOG = logging.getLogger(__name__)

# Blocks are numbered in this unit, whatever the sectors of the volume.
BLOCK = 4096
GROUP = 64

# The call is missing on this cluster, or this token has no right to it.
NOT_TOLD = (lb_errors.Forbidden, lb_errors.NotFound, lb_errors.Unsupported)

AskPage = Callable[[int], model.ChangedBlocks]


class Changes:
    """The blocks in which a snapshot differs from nothing, or a base.

    :param ask: gives the page from a block on.
    :param size: of the snapshot, in bytes.
    """

    def __init__(self, ask: AskPage, size: int) -> None:
        self._ask = ask
        self._size = size

    def told(self) -> bool:
        """Whether the cluster answers that question at all.

        :raises LightbitsError: it cannot be asked just now.
        """
        try:
            self._ask(0)
        except NOT_TOLD as exc:
            LOG.info('Changed blocks are not told: %s', exc)
            return False
        return True

    def since(self, position: int) -> Iterator[Extent]:
        """Go through the changed blocks from a position on, in order.

        :param position: bytes; what is before it is left out.
        :raises InvalidReply: the answers do not go forward.
        """
        return extents.clipped(extents.merged(self._pages(position)),
                               position, self._size)

    def _pages(self, position: int) -> Iterator[Extent]:
        lba = position // BLOCK // GROUP * GROUP
        reached = 0
        while lba * BLOCK < self._size:
            page = self._ask(lba)
            for item in sorted(page.ranges, key=lambda item: item.start):
                for extent in extents.of_bitmap(item.start, item.end,
                                                item.bitmap, BLOCK):
                    if extent.start < reached:
                        raise lb_errors.InvalidReply(
                            f'changed blocks go back from {reached} to '
                            f'{extent.start}')
                    reached = extent.end
                    yield extent
            if not page.next_lba:
                return
            if page.next_lba <= lba:
                raise lb_errors.InvalidReply(
                    f'changed blocks after {lba} go on at {page.next_lba}')
            lba = page.next_lba


def everything(size: int, position: int) -> Iterator[Extent]:
    """:returns: all of a volume from a position on, as one extent."""
    if position < size:
        yield Extent(position, size)
