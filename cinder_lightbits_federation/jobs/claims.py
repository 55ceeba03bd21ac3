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

"""Holding jobs: one host does a job, and the others see that it lives.

Two ways lead here: the runner takes jobs that were queued, and an operation
of Cinder's that takes long makes its own with `Desk.held`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import logging
import threading
from typing import Any

from cinder_lightbits_federation.copy.errors import Cancelled
from cinder_lightbits_federation.copy.errors import Lost
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.jobs.book import AlreadyUnderWay
from cinder_lightbits_federation.jobs.book import Book
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.timing import pause

LOG = logging.getLogger(__name__)

# Heartbeats in the time after which a silent host loses its jobs.
BEATS = 4


class HeldJob:
    """A job that this process does; a `copy.ledger.Ledger`.

    :ivar book: where it is written down.
    :ivar job: as it was when it was taken.
    :ivar again: it had failed, and is asked for once more.
    """

    def __init__(self, book: Book, job: Job, claim: str, again: bool = False
                 ) -> None:
        self.again = again
        self.book = book
        self.job = job
        self.claim = claim

    def load(self) -> Mapping[str, Any]:
        """See `Ledger`."""
        found = self.book.held(self.job.id, self.claim)
        if found is None:
            raise self._lost()
        return found.checkpoint

    def save(self, state: Mapping[str, Any], done: int, total: int) -> None:
        """See `Ledger`."""
        now = self.book.save(self.job.id, self.claim, state, done, total)
        if now is None:
            raise self._lost()
        if now is JobState.CANCELLING:
            raise Cancelled(f'the end of job {self.job.id} was asked for')

    def check(self) -> None:
        """See that the job is still to be done, and by this host.

        :raises Cancelled: its end was asked for.
        :raises Lost: another host has it.
        """
        found = self.book.held(self.job.id, self.claim)
        if found is None:
            raise self._lost()
        if found.state is JobState.CANCELLING:
            raise Cancelled(f'the end of job {self.job.id} was asked for')

    def _lost(self) -> Lost:
        return Lost(f'job {self.job.id} was taken over by another host')


class Desk:
    """The jobs that this process holds, and the thread that says so.

    :param host: what to call this process.
    """

    def __init__(self, book: Book, host: str) -> None:
        self.book = book
        self._host = host
        self._lock = threading.Lock()
        self._claims: set[str] = set()
        self._stopped: threading.Event | None = None

    def take(self, job: Job, again: bool = False) -> HeldJob | None:
        """Claim a job.

        :param again: see `HeldJob`.
        :returns: None if somebody else has it.
        """
        claim = self.book.claim(job, self._host)
        if claim is None:
            return None
        # Before the claim is kept alive: if this fails nobody does the job,
        # so others have to be able to claim it.
        held = HeldJob(self.book, self.book.get(job.id), claim, again)
        with self._lock:
            self._claims.add(claim)
            if self._stopped is None:
                self._start()
        return held

    def begin(self, kind: str, subject: str, parameters: Mapping[str, Any]
              ) -> HeldJob:
        """Take the job of a kind and subject, a new one if there is none.

        One that another process has left is gone on with from its
        checkpoint. So is one that has failed, as it is wanted now.

        :raises AlreadyUnderWay: another process does it.
        """
        job, again = self._job(kind, subject, parameters)
        held = self.take(job, again)
        if held is None:
            raise AlreadyUnderWay(self.book.get(job.id))
        return held

    @contextlib.contextmanager
    def held(self, kind: str, subject: str, parameters: Mapping[str, Any]
             ) -> Iterator[HeldJob]:
        """Do a job in the body; it ends as the body does.

        :raises AlreadyUnderWay: another process does it.
        """
        held = self.begin(kind, subject, parameters)
        with self.ending(held):
            yield held

    @contextlib.contextmanager
    def ending(self, held: HeldJob) -> Iterator[None]:
        """End a job as the body does, and pass on what it raises."""
        try:
            yield
        except Lost:
            raise
        except Cancelled:
            self.book.end(held.job.id, held.claim, JobState.CANCELLED)
            raise
        except errors.StoreUnavailable:
            # Nothing can be written down; another will take the job over.
            raise
        except Exception as exc:
            self.book.end(held.job.id, held.claim, JobState.FAILED,
                          str(exc) or type(exc).__name__)
            raise
        else:
            self.book.end(held.job.id, held.claim, JobState.DONE)
        finally:
            self._drop(held)

    def let_go(self, held: HeldJob) -> None:
        """Give a job back unfinished; another process goes on with it."""
        self._drop(held)
        self.book.let_go(held.job.id, held.claim)

    def close(self) -> None:
        """End the thread. Idempotent."""
        with self._lock:
            stopped, self._stopped = self._stopped, None
            self._claims.clear()
        if stopped is not None:
            stopped.set()

    def _job(self, kind: str, subject: str, parameters: Mapping[str, Any]
             ) -> tuple[Job, bool]:
        """:returns: the job to take, and whether it had failed."""
        last = self.book.latest(kind, subject)
        if last is not None and last.state is JobState.FAILED:
            return self.book.resume(last.id, parameters), True
        try:
            return self.book.add(kind, subject, parameters), False
        except AlreadyUnderWay as exc:
            return exc.job, False

    def _drop(self, held: HeldJob) -> None:
        with self._lock:
            self._claims.discard(held.claim)

    def _start(self) -> None:
        self._stopped = threading.Event()
        threading.Thread(target=self._beat, args=(self._stopped,),
                         daemon=True, name='lightbits-job-claims').start()

    def _beat(self, stopped: threading.Event) -> None:
        while not pause(self.book.lease / BEATS, stopped):
            with self._lock:
                claims = frozenset(self._claims)
                if not claims:
                    self._stopped = None
                    return
            try:
                self.book.beat(claims)
            except errors.StoreUnavailable as exc:
                LOG.warning('Others may take over the jobs of this service: '
                            '%s', exc)
