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

"""Carrying out a job of moves here, or leaving it to the service."""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import threading
import time
from typing import Any

from cinder_lightbits_federation.cli import backends
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Age
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli import progress
from cinder_lightbits_federation.cli.session import Session
from cinder_lightbits_federation.copy.errors import Cancelled
from cinder_lightbits_federation.drain.cloud import CinderCloud
from cinder_lightbits_federation.drain.cloud import connect
from cinder_lightbits_federation.drain.mover import Cloud
from cinder_lightbits_federation.drain.stock import Stock
from cinder_lightbits_federation.drain.work import Works
from cinder_lightbits_federation.jobs.book import AlreadyUnderWay
from cinder_lightbits_federation.jobs.claims import HeldJob
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import remaining_seconds
from cinder_lightbits_federation.jobs.runner import Stopping
from cinder_lightbits_federation.jobs.runner import Task
from cinder_lightbits_federation.sizes import GIB


class ShownJob(HeldJob):
    """A job whose progress is shown on the standard error."""

    def __init__(self, held: HeldJob, command: base.CommandMixin) -> None:
        super().__init__(held.book, held.job, held.claim)
        self.gauge = progress.Gauge(command.app.stderr)
        self._began = time.monotonic()
        self._first: int | None = None

    def save(self, state: Mapping[str, Any], done: int, total: int) -> None:
        """See `Ledger`."""
        super().save(state, done, total)
        if self._first is None:
            self._first = done
        left = remaining_seconds(done, total, self._first,
                                 time.monotonic() - self._began)
        told = f', {Age(left).human_readable()} left' if left else ''
        failed = len(state.get('failed', ()))
        self.gauge.show(
            done / total if total else None,
            f'{state["moved"]} volumes moved, {state["left"]} to go, '
            f'{failed} failed: {done / GIB:.6g} of {total / GIB:.6g} GiB'
            f'{told}')


def works_of(session: Session) -> Works:
    """:returns: plans over the clusters of a session."""
    return Works(session.registry,
                 Stock(session.host, session.cluster_name, session.settings,
                       session.owner), session.shared.book)


def cloud_of(command: base.CommandMixin, left: bool) -> Cloud | None:
    """Log in to the cloud that the command line or the environment names.

    :param left: the work is to be left to the service.
    :returns: None if so.
    :raises InvalidSetting: that is not possible.
    :raises UsageError: the service could not do it.
    """
    session = command.session
    if left:
        check_service_calls_cinder(
            session, 'have Cinder move volumes', 'leave out --detach')
        return None
    proxy = connect(command.app.options.os_cloud,
                    api_timeout=session.arguments.timeout)
    return CinderCloud(proxy, session.host, session.cluster_name)


def run(command: base.CommandMixin, kind: str, subject: str,
        parameters: Mapping[str, Any], cloud: Cloud | None,
        stopping: threading.Event) -> None:
    """Do a job here, or leave it to the service.

    An interrupt gives it back, as does a freeze of the backend; the same
    command goes on with it, or a service.

    :param cloud: None to leave it.
    :raises AlreadyUnderWay: another process does it, or it was left to the
        service with other parameters.
    :raises FailedError: it was cancelled, or given back.
    """
    desk = command.session.shared.desk
    if cloud is None:
        job = queued(command.session, kind, subject, parameters)
        command.say(f'Job {job.id} is left to the volume service: '
                    f'lightbits-federation job show {job.id}')
        return
    held = desk.begin(kind, subject, parameters)
    command.say(f'Job {held.job.id}: {kind} of {subject}')
    handler = works_of(command.session).handlers(cloud)[kind]
    shown = ShownJob(held, command)
    try:
        with contextlib.closing(shown.gauge), desk.ending(shown):
            try:
                handler(Task(shown, stopping, lambda: _frozen(command)))
            except KeyboardInterrupt:
                desk.let_go(shown)
                raise
            except Stopping:
                desk.let_go(shown)
                raise FailedError(
                    f'the backend is frozen: job {held.job.id} can be gone '
                    f'on with after "lightbits-federation thaw"') from None
    except Cancelled:
        raise FailedError(f'job {held.job.id} was cancelled') from None


def _frozen(command: base.CommandMixin) -> bool:
    return command.session.shared.freezing.look() is not None


def queued(session: Session, kind: str, subject: str,
           parameters: Mapping[str, Any]) -> Job:
    """Queue a job for the service; asked the same again, find it under way.

    :raises AlreadyUnderWay: one with other parameters is.
    """
    try:
        return session.shared.book.add(kind, subject, parameters)
    except AlreadyUnderWay as exc:
        if exc.job.parameters != parameters:
            raise
        return exc.job


def check_service_calls_cinder(session: Session, what: str, instead: str
                               ) -> None:
    """See that the service can do what has to be asked of Cinder.

    :param what: that it could not do.
    :param instead: what to do if it cannot.
    :raises UsageError: it cannot.
    """
    section = backends.configuration_of(session.backend)
    if not section.safe_get('lightbits_os_cloud'):
        raise UsageError(
            f'lightbits_os_cloud names no cloud, so the volume service '
            f'cannot {what}: set it, or {instead}')
