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

"""What a job is, and which states follow which."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum
from typing import Any


class JobState(enum.Enum):
    """How far a job is."""

    QUEUED = 'queued'
    """Waits for a service that does it."""

    RUNNING = 'running'
    """A service does it, or did and has died: another takes it over."""

    CANCELLING = 'cancelling'
    """Its end was asked for; what it has made is being taken back."""

    CANCELLED = 'cancelled'
    """Ended as asked for, or failed and dismissed; nothing of it is left."""

    FAILED = 'failed'
    """Ended by an error; can be resumed where it stopped."""

    DONE = 'done'
    """All was done."""


# The states that may follow each.
FOLLOWS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLING,
                                JobState.CANCELLED}),
    JobState.RUNNING: frozenset({
        JobState.QUEUED, JobState.CANCELLING, JobState.FAILED,
        JobState.DONE}),
    # An end that was asked for too late finds the job done.
    JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.FAILED,
                                    JobState.DONE}),
    JobState.CANCELLED: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.DONE: frozenset(),
}

# Somebody does the job or will.
UNFINISHED = frozenset({JobState.QUEUED, JobState.RUNNING,
                        JobState.CANCELLING})


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """A job as it was at one moment. Times in seconds since the epoch.

    :param subject: what the job is about, such as the id of a volume. Of one
        kind and subject there is one unfinished job at a time.
    :param parameters: what was asked for; never changed.
    :param checkpoint: how far it is, for whoever takes it over.
    :param done: of `total` bytes or things; total 0 while not known.
    :param host: who does it or did it last.
    :param silent: seconds since its host was heard; None if none has it.
    :param number: in the order of their making.
    """

    id: str
    backend: str
    kind: str
    subject: str
    state: JobState
    parameters: Mapping[str, Any]
    checkpoint: Mapping[str, Any]
    done: int
    total: int
    host: str
    created: float
    started: float | None
    ended: float | None
    error: str
    silent: float | None
    number: int

    @property
    def share(self) -> float | None:
        """Part that is done, from 0 to 1; None while nobody knows."""
        if self.state is JobState.DONE:
            return 1.0
        return min(1.0, self.done / self.total) if self.total else None


def remaining_seconds(done: int, total: int, began: int, elapsed: float
                      ) -> float | None:
    """Estimate how long the rest takes at the pace until now.

    :param began: what was done when the time began to be taken.
    :param elapsed: seconds since then.
    :returns: None while there is nothing to go by.
    """
    gained = done - began
    if gained <= 0 or elapsed <= 0 or total < done:
        return None
    return (total - done) * elapsed / gained
