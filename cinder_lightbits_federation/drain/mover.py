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

"""Moving volumes one after the other, by asking Cinder to.

What is to be moved is looked up again in every round, so a mover that takes
over from another needs to know little of what that has done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import contextlib
import dataclasses
import enum
import logging
import time
from typing import Any, Protocol
import uuid as uuidlib

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.jobs.book import Book
from cinder_lightbits_federation.jobs.book import NotPossible
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.runner import Task
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import wait_until

LOG = logging.getLogger(__name__)

# Longer than any set of moves takes.
PATIENCE = 365 * 86400.0
# What the driver calls the job of a move (mobility.py).
MIGRATE = 'migrate'
# A move that was begun here is given so many leases to be claimed.
LEASES = 2
# Seconds after which a volume has failed that Cinder does not answer for while
# it answers for others.
DOUBT = 600.0
# Seconds for which a volume may be said to be moved while nobody has a job for
# it: where it has moved already, only what Cinder writes down afterwards is
# missing; where it has not, the request may wait for a service, in the queue
# of the message bus.
FINISHED, UNCLAIMED = 600.0, 3600.0
# Failures that the message names; all of them are in the checkpoint.
TOLD = 3


class MoveRefused(errors.FederationError):
    """Cinder does not move the volume; nothing was changed."""


class CloudUnavailable(errors.FederationError):
    """Cinder's API did not answer for now; what was asked may be done."""


class MovesFailed(errors.FederationError):
    """Some volumes are where they were."""


class Phase(enum.Enum):
    """What Cinder says of a volume."""

    MOVING = 'moving'
    AT_REST = 'at rest'
    GONE = 'gone'


class Cloud(Protocol):
    """Cinder's API, as far as it is needed.

    All raise MoveRefused and CloudUnavailable.
    """

    def migrate(self, volume_id: str) -> None:
        """Ask for a volume to be moved within its backend."""

    def phase(self, volume_id: str) -> Phase:
        """:returns: whether a volume is being moved."""

    def forget_migration(self, volume_id: str) -> None:
        """Have a volume count as not being moved.

        One that was locked for it is available again. Idempotent.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """A volume to be moved.

    :param source: UUID of the cluster it is on.
    :param size: bytes.
    :param by_cinder: Cinder copies it, maybe with Nova, and the driver has
        no job for it.
    """

    id: str
    source: str
    size: int
    by_cinder: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Round:
    """What there is to do now.

    :param blocked: why volumes cannot be moved, by their ids.
    """

    items: Sequence[Item]
    under_way: Sequence[Item] = ()
    blocked: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Mover:
    """Carries out one job.

    :param look: gives what there is to do now.
    :param place_of: UUID of the cluster a volume is recorded on; None if
        there is none.
    :param at_once: moves that run side by side.
    :param rate: bytes per second on average that moves are begun at; None
        for no limit.
    """

    def __init__(self, cloud: Cloud, book: Book, look: Callable[[], Round],
                 place_of: Callable[[str], str | None], at_once: int,
                 rate: int | None = None) -> None:
        self._cloud = cloud
        self._book = book
        self._look = look
        self._place_of = place_of
        self._at_once = at_once
        self._rate = rate
        self._began = time.monotonic()
        self._begun = 0
        self._failed: dict[str, str] = {}
        self._running: dict[str, Item] = {}
        self._since: dict[str, float] = {}
        # Since when nobody has a job for these.
        self._jobless: dict[str, float] = {}
        # Since when nobody has claimed the jobs of these.
        self._unclaimed: dict[str, float] = {}
        # Asked for, but there was no answer: to be begun; to be ended.
        self._in_doubt: set[str] = set()
        self._left: set[str] = set()
        # Since when Cinder answers, but not for these.
        self._unheard: dict[str, float] = {}
        self._away = False
        self._moved = 0
        self._size = 0

    def run(self, task: Task) -> None:
        """Move until nothing is left that can be.

        :raises MovesFailed: something that should have moved has not.
        :raises Cancelled, Lost, Stopping: nothing more is begun; moves under
            way go on by themselves.
        """
        before = task.held.load()
        self._moved = int(before.get('moved', 0))
        self._size = int(before.get('moved_bytes', 0))
        # Moves of whoever did the job before. Their clusters list those that
        # have left no more.
        others = [item for item in (Item(*values) for values
                                    in before.get('running', ()))
                  if self._has_left(item)]
        while self._round(task, others):
            others = []
        if self._failed:
            told = [f'{volume_id}: {why}' for volume_id, why
                    in list(self._failed.items())[:TOLD]]
            raise MovesFailed(f'{len(self._failed)} volumes could not be '
                              f'moved: {"; ".join(told)}')

    def _round(self, task: Task, others: Sequence[Item]) -> bool:
        """Do what there is to do now.

        :param others: moves that may be under way beside those looked up.
        :returns: whether there was anything to do.
        """
        task.check()
        now = self._look()
        queue = [item for item in now.items if item.id not in self._failed]
        self._running = {item.id: item for item in (*others, *now.under_way)
                         if item.id not in self._failed}
        self._save(task, queue, now.blocked)
        if not queue and not self._running:
            return False
        while queue or self._running:
            # A new wait after each change: small volumes are moved in less
            # than the pause that a long wait comes to.
            wait_until(lambda: self._step(task, queue, now.blocked),
                       Deadline.after(PATIENCE), 'volumes to be moved')
        return True

    def _step(self, task: Task, queue: list[Item],
              blocked: Mapping[str, str]) -> bool | None:
        """Look at what is under way and begin more.

        While Cinder does not answer nothing is known, so nothing is judged:
        the next step asks again.

        :returns: True when something has ended or begun.
        """
        task.check()
        left = len(queue) + len(self._running), len(queue)
        try:
            for item in list(self._running.values()):
                if self._settled(item, self._has_ended):
                    del self._running[item.id]
            while (queue and len(self._running) < self._at_once
                   and self._due() and self._settled(queue[0], self._begin)):
                del queue[0]
        except CloudUnavailable as exc:
            if not self._away:
                LOG.warning('Moves wait for Cinder: %s', exc)
            self._away = True
            self._unheard.clear()
        else:
            self._away = False
        if left == (len(queue) + len(self._running), len(queue)):
            return None
        self._save(task, queue, blocked)
        return True

    def _due(self) -> bool:
        if self._rate is None:
            return True
        return time.monotonic() >= self._began + self._begun / self._rate

    def _settled(self, item: Item, act: Callable[[Item], bool]) -> bool:
        """Do something about a volume, or fail it.

        :param act: may raise CloudUnavailable, and is then called again.
        :returns: what `act` does; True if the volume has failed, because
            for long Cinder has answered, but not for it.
        :raises CloudUnavailable: Cinder does not answer at all.
        """
        try:
            done = act(item)
        except CloudUnavailable as exc:
            if not self._answers():
                raise
            now = time.monotonic()
            if item.id not in self._unheard:
                LOG.warning('Cinder answers, but not for volume %s: %s',
                            item.id, exc)
            if now - self._unheard.setdefault(item.id, now) < DOUBT:
                return False
            self._fail(item, f'Cinder does not answer for it: {exc}')
            done = True
        self._unheard.pop(item.id, None)
        return done

    def _answers(self) -> bool:
        """:returns: whether Cinder answers for a volume that nobody has."""
        try:
            self._cloud.phase(str(uuidlib.uuid4()))
        except CloudUnavailable:
            return False
        except MoveRefused:
            pass
        return True

    def _begin(self, item: Item) -> bool:
        """Begin a move, or fail it.

        :returns: True.
        :raises CloudUnavailable: it may have begun; to be called again.
        """
        try:
            if not self._was_begun(item):
                self._in_doubt.add(item.id)
                self._cloud.migrate(item.id)
        except MoveRefused as exc:
            self._fail(item, str(exc))
        else:
            LOG.info('Volume %s is being moved off cluster %s.', item.id,
                     item.source)
            self._begun += item.size
            self._running[item.id] = item
            self._since[item.id] = time.monotonic()
            self._unclaimed.pop(item.id, None)
        self._in_doubt.discard(item.id)
        return True

    def _was_begun(self, item: Item) -> bool:
        """Whether a request that got no answer has come to something."""
        if item.id not in self._in_doubt:
            return False
        phase = self._cloud.phase(item.id)
        return phase is not Phase.AT_REST or self._place_of(
            item.id) != item.source

    def _has_ended(self, item: Item) -> bool:
        """:raises CloudUnavailable: that is not known now."""
        try:
            phase = self._cloud.phase(item.id)
            if phase is Phase.MOVING:
                return self._was_left(item)
        except MoveRefused as exc:
            self._fail(item, str(exc))
            return True
        if phase is Phase.AT_REST:
            self._has_come_to_rest(item)
        return True

    def _has_come_to_rest(self, item: Item) -> None:
        """Count a volume of which Cinder says that it is not being moved."""
        if self._place_of(item.id) != item.source:
            self._moved += 1
            self._size += item.size
            LOG.info('Volume %s has left cluster %s.', item.id, item.source)
            self._have_ended(item)
        elif item.id in self._left:
            self._left.discard(item.id)
        else:
            self._fail(item, 'Cinder has ended its migration and it is where '
                             'it was; the log of the service says why')

    def _has_left(self, item: Item) -> bool:
        return self._place_of(item.id) not in (None, item.source)

    def _was_left(self, item: Item) -> bool:
        """End a move whose service has died; Cinder has nobody who would.

        The next round begins it anew, and the driver goes on from where it
        was. One that has moved is counted, and no round finds it any more.
        """
        if item.by_cinder:
            return False
        begun = self._since.get(item.id)
        if begun is not None and (
                time.monotonic() - begun < LEASES * self._book.lease):
            # Whoever does it may not have come to claim its job yet.
            return False
        job = self._book.unfinished(MIGRATE, item.id)
        if job is None:
            return self._is_nobodys(item)
        self._jobless.pop(item.id, None)
        if not self._is_dead(item, job):
            return False
        LOG.warning('Nobody moves volume %s any more: its migration is ended '
                    'in Cinder.', item.id)
        self._forget_migration(item)
        if self._has_left(item):
            self._has_come_to_rest(item)
        return True

    def _is_dead(self, item: Item, job: Job) -> bool:
        """Whether nobody does a move's job any more.

        Who begins a move makes its job first and claims it then, so one that
        nobody has is dead when nobody has had it for a lease.
        """
        if job.silent is not None:
            self._unclaimed.pop(item.id, None)
            return job.silent > self._book.lease
        now = time.monotonic()
        return now - self._unclaimed.setdefault(
            item.id, now) > self._book.lease

    def _have_ended(self, item: Item) -> None:
        """Have a running service do what is left of a dead one's move.

        The volume is on its new cluster, so the move is carried out.
        """
        job = self._book.unfinished(MIGRATE, item.id)
        if job is None or job.silent is None or (
                job.silent <= self._book.lease):
            return
        LOG.warning('The move of volume %s off cluster %s is ended by a '
                    'service that runs.', item.id, item.source)
        # It may have ended just now.
        with contextlib.suppress(NotPossible):
            self._book.cancel(job.id)

    def _is_nobodys(self, item: Item) -> bool:
        """End the wait for a move that nobody has a job for.

        One that has not moved is left alone: should its request still be on
        the message bus, a user must not get hold of it meanwhile.
        """
        seconds = time.monotonic() - self._jobless.setdefault(
            item.id, time.monotonic())
        if self._has_left(item):
            if seconds < FINISHED and item.id not in self._left:
                return False
            LOG.warning('Volume %s has left cluster %s, but nobody tells '
                        'Cinder so: it is told now.', item.id, item.source)
            self._forget_migration(item)
            self._has_come_to_rest(item)
            return True
        if seconds < UNCLAIMED:
            return False
        self._fail(item, 'Cinder says that it is being moved, but no service '
                         'moves it; reset its status and the status of its '
                         'migration')
        return True

    def _forget_migration(self, item: Item) -> None:
        """Have Cinder forget a migration; if in doubt, to be called again.

        :raises CloudUnavailable: it may be forgotten.
        """
        self._left.add(item.id)
        self._cloud.forget_migration(item.id)
        self._left.discard(item.id)

    def _fail(self, item: Item, why: str) -> None:
        LOG.warning('Volume %s is not moved off cluster %s: %s', item.id,
                    item.source, why)
        self._failed[item.id] = why

    def _save(self, task: Task, queue: Sequence[Item],
              blocked: Mapping[str, str]) -> None:
        left = sum(item.size for item in (*queue, *self._running.values()))
        state: dict[str, Any] = {
            'moved': self._moved, 'moved_bytes': self._size,
            'left': len(queue) + len(self._running),
            'under_way': sorted(self._running),
            'running': [dataclasses.astuple(item)
                        for item in self._running.values()],
            'failed': self._failed, 'blocked': dict(blocked)}
        task.held.save(state, self._size, self._size + left)
