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

"""The copy itself: batch after batch, at a rate, with checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import dataclasses
import time

from cinder_lightbits_federation.copy.devices import Device
from cinder_lightbits_federation.copy.devices import Mover
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy import extents
from cinder_lightbits_federation.copy.extents import Extent
from cinder_lightbits_federation.copy import tries
from cinder_lightbits_federation.sizes import MIB
from cinder_lightbits_federation import timing

# A batch is one call to the privileged side. A rate makes it smaller, so
# that the clusters see a flow and no bursts.
LARGEST_BATCH = 64 * MIB
SMALLEST_BATCH = 4 * MIB
BATCHES_PER_SECOND = 8

# What has to be copied again, at most, after a process was killed; and how
# long a request to cancel waits, at most, at a low rate.
CHECKPOINT_BYTES = 256 * MIB
CHECKPOINT_SECONDS = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Manner:
    """How to copy.

    :param rate: bytes per second at most; 0 is no limit.
    :param verify: read back what was written, and compare.
    :param checkpoint: bytes after which to write down how far it is.
    :param pauses: seconds between the tries of what fails for a while.
    """

    rate: int = 0
    verify: bool = False
    checkpoint: int = CHECKPOINT_BYTES
    pauses: Sequence[float] = dataclasses.field(
        default_factory=lambda: tries.PAUSES)

    @property
    def batch(self) -> int:
        """Bytes to move in one go."""
        wanted = LARGEST_BATCH
        if self.rate:
            wanted = min(wanted, max(self.rate // BATCHES_PER_SECOND,
                                     SMALLEST_BATCH))
        # Whole pages, or direct I/O would refuse what comes after.
        return min(wanted, self.checkpoint) // 4096 * 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is, in bytes.

    :param position: all that was to be copied before it, was.
    :param done: copied so far.
    :param written: of these, what was not zeros.
    """

    position: int = 0
    done: int = 0
    written: int = 0


Checkpoint = Callable[[Progress], None]


def run(mover: Mover, source: Device, target: Device,
        todo: Iterable[Extent], begun: Progress, manner: Manner,
        checkpoint: Checkpoint, *, fresh: bool) -> Progress:
    """Copy extents.

    :param todo: in order, none before where it was `begun`.
    :param checkpoint: told how far it is, when that is on stable storage;
        what it raises ends the copy.
    :param fresh: see `Mover.copy`.
    :returns: how far it came.
    :raises ContentDiffers: verifying found something else.
    :raises OSError: a device failed.
    """
    throttle = timing.Throttle(manner.rate)
    progress, told = begun, begun
    told_at = time.monotonic()
    for batch in extents.batches(todo, manner.batch):
        size = extents.total(batch)
        throttle.admit(size)
        written = mover.copy(source, target, batch, fresh)
        if manner.verify:
            _verify(mover, source, target, batch)
        progress = Progress(batch[-1].end, progress.done + size,
                            progress.written + written)
        now = time.monotonic()
        if (progress.done - told.done + manner.batch > manner.checkpoint
                or now - told_at > CHECKPOINT_SECONDS):
            checkpoint(progress)
            told, told_at = progress, now
    checkpoint(progress)
    return progress


def _verify(mover: Mover, source: Device, target: Device,
            batch: list[Extent]) -> None:
    wrong = mover.differing(source, target, batch)
    if wrong:
        raise errors.ContentDiffers(
            f'volume {target.uuid} differs from its source {source.uuid} '
            f'at byte {wrong[0]}, and in {len(wrong)} places in all')
