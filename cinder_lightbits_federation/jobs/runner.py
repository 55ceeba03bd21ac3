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

"""Doing queued jobs, and those whose host has died."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import logging
import threading
from typing import Any

from cinder_lightbits_federation.copy.errors import Cancelled
from cinder_lightbits_federation.copy.errors import Left
from cinder_lightbits_federation.copy.errors import Lost
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.jobs.claims import Desk
from cinder_lightbits_federation.jobs.claims import HeldJob
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState

LOG = logging.getLogger(__name__)

# Seconds between two looks for jobs, and jobs of a kind that are done at once.
INTERVAL = 5.0
WORKERS = 4


class Stopping(Left):
    """The service ends: the job is to be gone on with by another."""


class Task:
    """What a handler is given.

    :ivar held: the job, and where to write down how far it is.
    """

    def __init__(self, held: HeldJob, stopping: threading.Event,
                 paused: Callable[[], bool] = lambda: False) -> None:
        self.held = held
        self.stopping = stopping
        self._paused = paused

    @property
    def job(self) -> Job:
        """The job as it was when it was taken."""
        return self.held.job

    def check(self) -> None:
        """See whether to go on.

        :raises Cancelled: clean up and raise it again.
        :raises Lost: leave everything as it is.
        :raises Stopping: likewise; another process goes on, or this one when
            jobs are not paused any more.
        """
        if self.stopping.is_set() or self._paused():
            raise Stopping
        self.held.check()


class TaskLedger:
    """A `copy.ledger.Ledger`: that of a job, which may be given back."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def load(self) -> Mapping[str, Any]:
        """See `Ledger`."""
        return self._task.held.load()

    def save(self, state: Mapping[str, Any], done: int, total: int) -> None:
        """See `Ledger`.

        :raises Stopping: another service goes on.
        """
        self._task.held.save(state, done, total)
        self._task.check()


Handler = Callable[[Task], None]
"""Does a job until its end.

It is called again, maybe by another process, for a job whose process has
died, so it goes by the checkpoint. For a job that is being cancelled the
first `save` or `check` raises Cancelled.
"""


class Runner:
    """Looks for jobs of some kinds in a thread of its own.

    :param handlers: what does the jobs, by kind.
    :param workers: how many jobs of one kind are done side by side, and how
        many are cleaned up after.
    :param finishers: what cleans up after jobs that this process does not
        do by itself, once their end was asked for and whoever did them is
        silent; by kind.
    :param paused: tells that no jobs are to be done for now; those under way
        are given back at their next check.
    """

    def __init__(self, desk: Desk, handlers: Mapping[str, Handler],
                 interval: float = INTERVAL, workers: int = WORKERS,
                 paused: Callable[[], bool] = lambda: False,
                 finishers: Mapping[str, Handler] | None = None) -> None:
        self._desk = desk
        self._handlers = dict(handlers)
        self._finishers = dict(finishers or {})
        self._interval = interval
        self._paused = paused
        self._workers = workers
        self._free: dict[str, threading.Semaphore] = {}
        self._asked = threading.Event()
        self._stopped = threading.Event()
        self._blind = False

    def start(self) -> None:
        """Start looking."""
        threading.Thread(target=self._run, daemon=True,
                         name='lightbits-jobs').start()

    def look_now(self) -> None:
        """Have it look without waiting for the interval."""
        self._asked.set()

    def stop(self) -> None:
        """Ask the handlers to end and stop looking. Idempotent.

        Jobs that they leave unfinished are given back.
        """
        self._stopped.set()
        self._asked.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._look()
            if self._asked.wait(self._interval):
                self._asked.clear()

    def _look(self) -> None:
        if self._paused():
            return
        try:
            for job in self._desk.book.claimable(self._handlers,
                                                 self._finishers):
                free = self._places(job)
                if free.acquire(blocking=False):
                    self._submit(job, free)
            self._blind = False
        except errors.StoreUnavailable as exc:
            if not self._blind:
                LOG.warning('Jobs are not looked for: %s', exc)
            self._blind = True
        except Exception:  # A thread's top: jobs must go on being done.
            LOG.exception('Looking for jobs failed.')

    def _places(self, job: Job) -> threading.Semaphore:
        """Copies may take days, so no kind waits for another to end."""
        kind = '' if job.state is JobState.CANCELLING else job.kind
        return self._free.setdefault(
            kind, threading.Semaphore(self._workers))

    def _submit(self, job: Job, free: threading.Semaphore) -> None:
        held = None
        try:
            if not self._stopped.is_set():
                held = self._desk.take(job)
        finally:
            if held is None:
                free.release()
        if held is not None:
            # Not of a pool: a process waits for those as it ends, and a job
            # may take days. What is left then is gone on with by another.
            threading.Thread(target=self._work, args=(held, free),
                             daemon=True,
                             name=f'lightbits-job-{held.job.id}').start()

    def _work(self, held: HeldJob, free: threading.Semaphore) -> None:
        job = held.job
        LOG.info('Job %s: %s of %s begins on this host.', job.id, job.kind,
                 job.subject)
        try:
            self._handle(held)
        except Cancelled:
            LOG.info('Job %s was cancelled.', job.id)
        except (Lost, errors.StoreUnavailable) as exc:
            LOG.warning('Job %s is left: %s', job.id, exc)
        except Exception:  # A thread's top; the job has noted the error.
            LOG.exception('Job %s failed.', job.id)
        else:
            LOG.info('Job %s is left for now or done.', job.id)
        finally:
            free.release()
            self._asked.set()

    def _handle(self, held: HeldJob) -> None:
        task = Task(held, self._stopped, self._paused)
        handler = {**self._finishers, **self._handlers}[held.job.kind]
        with self._desk.ending(held):
            try:
                handler(task)
            except Stopping:
                self._desk.let_go(held)
