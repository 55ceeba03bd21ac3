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

"""Thick clones that somebody asks for: the jobs that make them.

A clone is marked with the job until somebody else has it: Cinder takes it
over and marks it with a record of its own, or it is given its name and let
go of, each in one change. So it never is on a cluster with nobody to answer
for it: a job that was killed goes on or takes it back, and the audit names
what it has made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
import logging
from typing import Any

from cinder_lightbits_federation.copy.delivery import Delivery
from cinder_lightbits_federation.copy.delivery import PATIENCE
from cinder_lightbits_federation.copy.delivery import Registrar
from cinder_lightbits_federation.copy.delivery import Registration
from cinder_lightbits_federation.copy.delivery import Release
from cinder_lightbits_federation.copy.delivery import Subject
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy.state import Stage
from cinder_lightbits_federation.copy.state import State
from cinder_lightbits_federation.copy.transfer import Order
from cinder_lightbits_federation.copy.transfer import Transfer
from cinder_lightbits_federation.copy.wanted import FREE_CLONE
from cinder_lightbits_federation.copy.wanted import THICK_CLONE
from cinder_lightbits_federation.copy.wanted import Wanted
from cinder_lightbits_federation import errors as federation_errors
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation.jobs.runner import Handler
from cinder_lightbits_federation.jobs.runner import Stopping
from cinder_lightbits_federation.jobs.runner import Task
from cinder_lightbits_federation.jobs.runner import TaskLedger
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation.refs import Created
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import NOT_RECORDED
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.spec import VolumeSpec
from cinder_lightbits_federation.timing import DeadlineExceeded

LOG = logging.getLogger(__name__)

_TROUBLE = (federation_errors.FederationError, lb_errors.LightbitsError,
            DeadlineExceeded, OSError)

# Where the checkpoint says what came out of it.
RESULT = 'result'


class ThickClones:
    """Makes thick clones, as jobs.

    :param transfer: gives what copies, at a rate; None is as configured.
    :param registrar: None where Cinder's API cannot be asked; only clones
        that stay without Cinder are made then.
    """

    def __init__(self, transfer: Callable[[int | None], Transfer],
                 registrar: Registrar | None, patience: float = PATIENCE
                 ) -> None:
        self._transfer = transfer
        self._registrar = registrar
        self._patience = patience

    def handlers(self) -> Mapping[str, Handler]:
        """:returns: what does the jobs, by kind."""
        registrar = self._registrar
        if registrar is None:
            return {FREE_CLONE: self._release}
        return {FREE_CLONE: self._release,
                THICK_CLONE: lambda task: self._register(task, registrar)}

    def _release(self, task: Task) -> None:
        wanted = Wanted.parse(task.job.parameters)
        transfer = self._transfer(wanted.rate)
        _Clone(task, wanted, transfer).run(Release(
            Subject(task, wanted, transfer.federation)))

    def _register(self, task: Task, registrar: Registrar) -> None:
        wanted = Wanted.parse(task.job.parameters)
        transfer = self._transfer(wanted.rate)
        _Clone(task, wanted, transfer).run(Registration(
            Subject(task, wanted, transfer.federation), registrar,
            self._patience))


class _Clone:
    """One thick clone, being made by this process."""

    def __init__(self, task: Task, wanted: Wanted, transfer: Transfer
                 ) -> None:
        self.task = task
        self.wanted = wanted
        self.transfer = transfer
        self.federation = transfer.federation
        self._ledger = TaskLedger(task)

    @property
    def record(self) -> str:
        """What the clone is marked with: the job."""
        return self.task.job.id

    def run(self, delivery: Delivery) -> None:
        """Make the clone and hand it over, or go on with that.

        :raises Cancelled: all is as before.
        :raises Stopping: another service goes on.
        :raises FederationError, LightbitsError, DeadlineExceeded, OSError:
            it failed.
        """
        try:
            self._run_or_take_back(delivery)
        except (errors.Cancelled, errors.Left):
            raise
        except _TROUBLE as exc:
            if self.task.stopping.is_set():
                # Whatever was closed in the middle of it.
                raise Stopping from exc
            raise

    def _run_or_take_back(self, delivery: Delivery) -> None:
        try:
            self._run(delivery)
        except errors.Cancelled:
            self._take_back(delivery)

    def _run(self, delivery: Delivery) -> None:
        self.task.check()
        result = self._ledger.load().get(RESULT)
        if result is None:
            created = self._copied()
            self.task.check()
            result = delivery.do(created)
            self._note(result)
        delivery.close(result)

    def _copied(self) -> Created:
        state = State.parse(self._ledger.load())
        if state is not None and state.stage is Stage.COPIED:
            return self.transfer.copied(self.record, state)
        return self.transfer.thick_copy(
            Order(self._source(), self._request()), self._ledger)

    def _source(self) -> Found[model.Volume] | Found[model.Snapshot]:
        wanted, deadline = self.wanted, self.federation.deadline()
        finder = self.federation.finder
        location = Location(wanted.source_cluster, self.record,
                            wanted.source_project, wanted.source)
        if wanted.snapshot:
            return finder.snapshot_at(location, deadline)
        return finder.volume_at(location, deadline)

    def _request(self) -> CreateRequest:
        wanted = self.wanted
        return CreateRequest(
            VolumeRef(wanted.name, self.record, wanted.project), wanted.size,
            VolumeSpec(project=wanted.project, replicas=wanted.replicas),
            NOT_RECORDED, only=wanted.cluster)

    def _take_back(self, delivery: Delivery) -> None:
        """Remove what was made, unless it is in somebody's hands already.

        :raises Cancelled: it is removed.
        """
        saved = self._ledger.load()
        state = State.parse(saved)
        result = saved.get(RESULT)
        if (result is None and state is not None and state.target is not None
                and state.stage is Stage.COPIED):
            with contextlib.suppress(federation_errors.ObjectMissing):
                result = delivery.done(state.target)
        if result is not None:
            self._note(result)
            delivery.close(result)
            return
        self.transfer.undo(self.record, self._ledger)
        raise errors.Cancelled(f'thick clone {self.wanted.name} was not '
                               f'made')

    def _note(self, result: Mapping[str, Any]) -> None:
        """Write down what came out; too late to be cancelled."""
        job = self.task.job
        LOG.info('Thick clone %s of job %s: %s', self.wanted.name, job.id,
                 result)
        now = self.task.held.book.get(job.id)
        with contextlib.suppress(errors.Cancelled):
            self.task.held.save({**now.checkpoint, RESULT: dict(result)},
                                now.done, now.total)
