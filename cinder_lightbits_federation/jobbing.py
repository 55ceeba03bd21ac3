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

"""The part of the driver that does queued jobs, for whoever asks.

Jobs that Cinder itself began, and whose service has died, are not done by
anybody else until Cinder asks again. But once their end is asked for, any
service takes back what they have made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cinder import context
from cinder import exception
from cinder import objects

from cinder_lightbits_federation.copy.delivery import Registrar
from cinder_lightbits_federation.copy.errors import Cancelled
from cinder_lightbits_federation.copy.state import State
from cinder_lightbits_federation.copy.thick import ThickClones
from cinder_lightbits_federation.goldencopies import MasterCopies
from cinder_lightbits_federation.jobs import commands
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.runner import Handler
from cinder_lightbits_federation.jobs.runner import Task
from cinder_lightbits_federation.mobility import CLONE
from cinder_lightbits_federation.mobility import MIGRATE
from cinder_lightbits_federation.mobility import MobilityMixin
from cinder_lightbits_federation import records
from cinder_lightbits_federation.refs import NOT_RECORDED
from cinder_lightbits_federation.refs import Recorder
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.registrar import CinderRegistrar
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation.statistics import FEDERATION_POOL


class JobsMixin(MobilityMixin):
    """Does queued jobs, and finishes those that others have left."""

    @property
    def cloud(self) -> Any:
        """Cinder's API, None if none is configured; the driver has it."""
        raise NotImplementedError

    def handlers(self) -> Mapping[str, Handler]:
        """:returns: what does jobs from the start, by kind."""
        clones = ThickClones(self.transfer, self._registrar())
        return {**clones.handlers(), **self.master_copies().handlers()}

    def master_copies(self) -> MasterCopies:
        """:returns: what copies the masters of golden images."""
        return MasterCopies(self.transfer, self.desk)

    def finishers(self) -> Mapping[str, Handler]:
        """:returns: what cleans up after the jobs of dead services."""
        return {MIGRATE: self._take_back, CLONE: self._take_back,
                **dict.fromkeys(commands.KINDS, commands.finish)}

    def _registrar(self) -> Registrar | None:
        if self.cloud is None:
            return None
        by_cluster = self.federation.settings.pools is PoolMode.CLUSTER
        return CinderRegistrar(
            self.cloud, self.host,
            lambda name: name if by_cluster else FEDERATION_POOL)

    def _take_back(self, task: Task) -> None:
        """Bring a move or a clone to the end that was asked for.

        One whose record names the new place already is carried out.

        :raises Cancelled: what was made is removed.
        """
        ref, recorder = self._subject(task.job,
                                      State.parse(task.held.load()))
        if not self._relocation().abandon(ref, task.held, recorder):
            raise Cancelled(f'the {task.job.kind} of volume '
                            f'{task.job.subject} is taken back')

    def _subject(self, job: Job, state: State | None
                 ) -> tuple[VolumeRef, Recorder]:
        """:returns: the volume of a job; without a place if it is deleted."""
        try:
            volume: Any = objects.Volume.get_by_id(
                context.get_admin_context(), job.subject)
        except exception.VolumeNotFound:
            # What was made is marked with the record that it was made for.
            target = state.target if state is not None else None
            return VolumeRef(
                str(job.parameters['name']),
                target.name_id if target is not None else job.subject,
                self.federation.settings.project), NOT_RECORDED
        return self._ref(volume), records.MoveRecord(volume)
