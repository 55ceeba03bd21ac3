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

"""The jobs of a backend, in the store.

Each change names the state or the claim that it is based on and does nothing
if that is not so any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
import hashlib
import json
from typing import Any
import uuid as uuidlib

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.jobs.model import FOLLOWS
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.jobs.model import UNFINISHED
from cinder_lightbits_federation.store.engine import Store
from cinder_lightbits_federation.store.tables import JOBS
from cinder_lightbits_federation.store.tables import SUBJECT_LENGTH

# A job whose host was silent for so many seconds may be taken over.
LEASE = 30.0
# Ended jobs are forgotten after so many seconds, 90 days.
KEPT = 90 * 86400.0
# Characters of the digest that ends an abridged subject.
_MARK = 32


class NoSuchJob(errors.FederationError):
    """There is no job of that id in the backend."""


class NotPossible(errors.FederationError):
    """The job is not in a state in which that can be done."""


class AlreadyUnderWay(errors.FederationError):
    """An unfinished job of that kind and subject exists; nothing was made.

    :ivar job: that job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        super().__init__(f'job {job.id} ({job.kind} {job.subject}) is '
                         f'{job.state.value}')


class Book:
    """The jobs of one backend.

    :param backend: ``cluster@backend`` of a clustered service, else
        ``host@backend``.
    :param lease: seconds of silence after which a job may be taken over.
    """

    def __init__(self, store: Store, backend: str, lease: float = LEASE
                 ) -> None:
        self._store = store
        self._backend = backend
        self.lease = lease

    def add(self, kind: str, subject: str, parameters: Mapping[str, Any]
            ) -> Job:
        """Queue a job.

        :param subject: one that is too long to be kept is abridged.
        :raises AlreadyUnderWay: there is one of that kind and subject.
        """
        job_id, kept = str(uuidlib.uuid4()), _abridged(subject)
        try:
            with self._store.transaction() as connection:
                now = self._store.now(connection)
                connection.execute(sa.delete(JOBS).where(
                    JOBS.c.backend == self._backend,
                    JOBS.c.ended < now - KEPT))
                connection.execute(sa.insert(JOBS).values(
                    id=job_id, backend=self._backend, kind=kind,
                    subject=kept, active=self._active(kind, kept),
                    state=JobState.QUEUED.value, done=0, total=0,
                    parameters=json.dumps(dict(parameters)),
                    checkpoint='{}', host='', created=now, error=''))
        except sa_exc.IntegrityError:
            other = self.unfinished(kind, subject)
            if other is None:
                return self.add(kind, subject, parameters)
            raise AlreadyUnderWay(other) from None
        return self.get(job_id)

    def get(self, job_id: str) -> Job:
        """:raises NoSuchJob: there is none in this backend."""
        found = self._select(JOBS.c.id == job_id)
        if not found:
            raise NoSuchJob(f'no job {job_id}')
        return found[0]

    def unfinished(self, kind: str, subject: str) -> Job | None:
        """:returns: the unfinished job of a kind and subject."""
        found = self._select(
            JOBS.c.active == self._active(kind, _abridged(subject)))
        return found[0] if found else None

    def latest(self, kind: str, subject: str) -> Job | None:
        """:returns: the job of a kind and subject that was made last."""
        found = self._select(
            JOBS.c.kind == kind, JOBS.c.subject == _abridged(subject),
            limit=1)
        return found[0] if found else None

    def all(self, states: Iterable[JobState] = (), kind: str | None = None,
            limit: int | None = None, marker: str | None = None
            ) -> list[Job]:
        """List jobs, the newest first.

        :param states: only those in one of these; none means all.
        :param marker: id of the last job of the page before.
        :raises NoSuchJob: there is no job of the marker.
        """
        wanted: list[sa.ColumnElement[bool]] = []
        values = [state.value for state in states]
        if values:
            wanted.append(JOBS.c.state.in_(values))
        if kind is not None:
            wanted.append(JOBS.c.kind == kind)
        if marker is not None:
            wanted.append(JOBS.c.number < self.get(marker).number)
        return self._select(*wanted, limit=limit)

    def tally(self) -> Mapping[tuple[str, JobState], int]:
        """:returns: how many jobs there are of each kind and state."""
        with self._store.transaction() as connection:
            rows = connection.execute(
                sa.select(JOBS.c.kind, JOBS.c.state, sa.func.count())
                .where(JOBS.c.backend == self._backend)
                .group_by(JOBS.c.kind, JOBS.c.state)).all()
        return {(kind, JobState(state)): count for kind, state, count in rows}

    def claim(self, job: Job, host: str) -> str | None:
        """Take a job that nobody does, or whose host is silent.

        A job that is being cancelled stays so: who takes it cleans up.

        :param job: as it was read.
        :returns: the claim to name in further calls; None if somebody else
            has the job or its state has changed.
        """
        token = str(uuidlib.uuid4())
        state = (JobState.CANCELLING if job.state is JobState.CANCELLING
                 else JobState.RUNNING)
        with self._store.transaction() as connection:
            now = self._store.now(connection)
            done = connection.execute(sa.update(JOBS).where(
                JOBS.c.id == job.id, JOBS.c.state == job.state.value,
                JOBS.c.state.in_([item.value for item in UNFINISHED]),
                self._free(now)).values(
                    state=state.value, claim=token, heartbeat=now, host=host,
                    started=sa.func.coalesce(JOBS.c.started, now)))
        return token if done.rowcount == 1 else None

    def claimable(self, kinds: Collection[str],
                  cancelling: Collection[str] = ()) -> list[Job]:
        """List what `claim` would give away, the oldest first.

        :param cancelling: further kinds, only those being cancelled.
        """
        with self._store.transaction() as connection:
            now = self._store.now(connection)
        found = self._select(
            sa.or_(JOBS.c.kind.in_(list(kinds)), sa.and_(
                JOBS.c.kind.in_(list(cancelling)),
                JOBS.c.state == JobState.CANCELLING.value)),
            JOBS.c.state.in_([item.value for item in UNFINISHED]),
            self._free(now))
        return found[::-1]

    def beat(self, claims: Collection[str]) -> None:
        """Say that the holder of some claims lives."""
        with self._store.transaction() as connection:
            connection.execute(sa.update(JOBS).where(
                JOBS.c.claim.in_(list(claims))).values(
                    heartbeat=self._store.now(connection)))

    def save(self, job_id: str, claim: str, checkpoint: Mapping[str, Any],
             done: int, total: int) -> JobState | None:
        """Write down how far a job is.

        :returns: the state of the job; None if the claim is not valid any
            more, and nothing was saved.
        """
        with self._store.transaction() as connection:
            connection.execute(sa.update(JOBS).where(
                JOBS.c.id == job_id, JOBS.c.claim == claim).values(
                    checkpoint=json.dumps(dict(checkpoint)), done=done,
                    total=total, heartbeat=self._store.now(connection)))
            state = connection.execute(sa.select(JOBS.c.state).where(
                JOBS.c.id == job_id, JOBS.c.claim == claim)).scalar()
        return None if state is None else JobState(state)

    def held(self, job_id: str, claim: str) -> Job | None:
        """:returns: a job, None if the claim is not valid any more."""
        found = self._select(JOBS.c.id == job_id, JOBS.c.claim == claim)
        return found[0] if found else None

    def end(self, job_id: str, claim: str, state: JobState, error: str = ''
            ) -> bool:
        """Give a job back, in the state that it has come to.

        :param state: one that may follow; QUEUED if another is to do it.
        :param error: for people; no secrets.
        :returns: False if the claim is not valid any more or the state
            cannot follow; nothing was changed.
        """
        before = [item.value for item in JobState if state in FOLLOWS[item]]
        with self._store.transaction() as connection:
            now = self._store.now(connection)
            values: dict[str, Any] = {'claim': None, 'heartbeat': None,
                                      'state': state.value, 'error': error}
            if state not in UNFINISHED:
                values |= {'active': None, 'ended': now}
            done = connection.execute(sa.update(JOBS).where(
                JOBS.c.id == job_id, JOBS.c.claim == claim,
                JOBS.c.state.in_(before)).values(**values))
        return done.rowcount == 1

    def let_go(self, job_id: str, claim: str) -> None:
        """Give a job back as it is, for another to go on. Idempotent."""
        with self._store.transaction() as connection:
            connection.execute(sa.update(JOBS).where(
                JOBS.c.id == job_id, JOBS.c.claim == claim).values(
                    claim=None, heartbeat=None))

    def cancel(self, job_id: str) -> Job:
        """Ask for the end of a job. Idempotent.

        One that was never begun ends at once. One that has failed may have
        left something to go on with, which is taken back.

        :raises NotPossible: it has ended otherwise.
        :raises AlreadyUnderWay: it has failed, and another one of the kind
            and subject is under way.
        """
        job = self.get(job_id)
        if job.state is JobState.FAILED and job.checkpoint:
            job = self.resume(job_id)
        if job.state in (JobState.CANCELLED, JobState.CANCELLING):
            return job
        if job.state not in UNFINISHED:
            raise NotPossible(f'job {job_id} is {job.state.value}')
        begun = job.started is not None
        values: dict[str, Any] = {'state': JobState.CANCELLING.value}
        with self._store.transaction() as connection:
            if not begun:
                values = {'state': JobState.CANCELLED.value, 'active': None,
                          'ended': self._store.now(connection)}
            connection.execute(sa.update(JOBS).where(
                JOBS.c.id == job_id, JOBS.c.state == job.state.value,
                JOBS.c.started.is_(None) if not begun
                else JOBS.c.started.is_not(None)).values(**values))
        return self.cancel(job_id)

    def dismiss(self, job_id: str) -> Job:
        """Have a failed job be over. Idempotent; its error stays.

        Nobody takes anything back for it: see first that nothing is left.

        :raises NotPossible: it has not failed.
        """
        with self._store.transaction() as connection:
            connection.execute(sa.update(JOBS).where(
                JOBS.c.id == job_id, JOBS.c.backend == self._backend,
                JOBS.c.state == JobState.FAILED.value).values(
                    state=JobState.CANCELLED.value))
        job = self.get(job_id)
        if job.state is not JobState.CANCELLED:
            raise NotPossible(f'job {job_id} is {job.state.value}')
        return job

    def resume(self, job_id: str,
               parameters: Mapping[str, Any] | None = None) -> Job:
        """Have a failed job done again from its checkpoint.

        :param parameters: instead of those that it has.
        :raises NotPossible: it has not failed.
        :raises AlreadyUnderWay: another one of the kind and subject is.
        """
        job = self.get(job_id)
        try:
            with self._store.transaction() as connection:
                done = connection.execute(sa.update(JOBS).where(
                    JOBS.c.id == job_id,
                    JOBS.c.state == JobState.FAILED.value).values(
                        state=JobState.QUEUED.value, ended=None, error='',
                        parameters=json.dumps(dict(
                            job.parameters if parameters is None
                            else parameters)),
                        active=self._active(job.kind, job.subject)))
        except sa_exc.IntegrityError:
            other = self.unfinished(job.kind, job.subject)
            raise AlreadyUnderWay(other or job) from None
        if done.rowcount != 1:
            raise NotPossible(
                f'job {job_id} is {self.get(job_id).state.value}; only a '
                f'failed one can be resumed')
        return self.get(job_id)

    def _free(self, now: float) -> sa.ColumnElement[bool]:
        return sa.or_(JOBS.c.claim.is_(None),
                      JOBS.c.heartbeat < now - self.lease)

    def _active(self, kind: str, subject: str) -> str:
        text = json.dumps([self._backend, kind, subject])
        return hashlib.sha256(text.encode()).hexdigest()

    def _select(self, *wanted: sa.ColumnElement[bool],
                limit: int | None = None) -> list[Job]:
        with self._store.transaction() as connection:
            now = self._store.now(connection)
            rows = connection.execute(
                sa.select(JOBS).where(JOBS.c.backend == self._backend,
                                      *wanted)
                .order_by(JOBS.c.number.desc()).limit(limit)).all()
        return [_job(row, now) for row in rows]


def _job(row: Any, now: float) -> Job:
    silent = (None if row.claim is None
              else max(0.0, now - (row.heartbeat or 0.0)))
    return Job(
        row.id, row.backend, row.kind, row.subject, JobState(row.state),
        json.loads(row.parameters), json.loads(row.checkpoint), row.done,
        row.total, row.host, row.created, row.started, row.ended, row.error,
        silent, row.number)


def _abridged(subject: str) -> str:
    """:returns: a subject that fits its column, another one for each."""
    if len(subject) <= SUBJECT_LENGTH:
        return subject
    mark = hashlib.sha256(subject.encode()).hexdigest()[:_MARK]
    return f'{subject[:SUBJECT_LENGTH - _MARK - 3]}...{mark}'
