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

"""The master of a golden image, copied from another cluster.

A job: whoever is killed in the middle of it is followed by another service.
Until the copy is complete it is marked with the job, as any copy is; one
change makes it a master.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import logging
import time

from cinder_lightbits_federation.copy.ledger import Ledger
from cinder_lightbits_federation.copy import slots
from cinder_lightbits_federation.copy.state import Stage
from cinder_lightbits_federation.copy.state import State
from cinder_lightbits_federation.copy.transfer import Order
from cinder_lightbits_federation.copy.transfer import Transfer
from cinder_lightbits_federation import errors as federation_errors
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation import goldenrules
from cinder_lightbits_federation.goldenrules import WantedMaster
from cinder_lightbits_federation.jobs.claims import Desk
from cinder_lightbits_federation.jobs.runner import Handler
from cinder_lightbits_federation.jobs.runner import Task
from cinder_lightbits_federation.jobs.runner import TaskLedger
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import Created
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import NOT_RECORDED
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.spec import VolumeSpec

LOG = logging.getLogger(__name__)

MASTER_COPY = 'golden-image'

# Seconds to wait for a turn to copy while somebody waits for the volume: a
# drain may have all turns for days, and a download needs none.
IN_A_CREATE = 0.0


class MasterCopies:
    """Copies masters.

    :param transfer: gives what copies, as it is configured now.
    """

    def __init__(self, transfer: Callable[[], Transfer], desk: Desk) -> None:
        self._transfer = transfer
        self._desk = desk

    def handlers(self) -> Mapping[str, Handler]:
        """:returns: what goes on with copies that others have left."""
        return {MASTER_COPY: self._go_on}

    def make(self, wanted: WantedMaster) -> None:
        """Copy a master, or go on with that.

        :raises AlreadyUnderWay: another service does it.
        :raises DeadlineExceeded: it is not its turn: one of the clusters
            has as many copies under way as it may.
        :raises FederationError, LightbitsError, OSError:
            it failed, or its end was asked for.
        """
        held = self._desk.begin(
            MASTER_COPY, f'{wanted.name} on {wanted.cluster}', wanted.dump())
        with self._desk.ending(held):
            _MasterCopy(self._transfer(), held, held.job.id, wanted,
                        IN_A_CREATE).run()

    def _go_on(self, task: Task) -> None:
        wanted = WantedMaster.parse(task.job.parameters)
        _MasterCopy(self._transfer(), TaskLedger(task), task.job.id,
                    wanted).run()


class _MasterCopy:
    """One master, being copied by this process.

    :param patience: seconds to wait for its turn.
    """

    def __init__(self, transfer: Transfer, ledger: Ledger, record: str,
                 wanted: WantedMaster, patience: float = slots.PATIENCE
                 ) -> None:
        self._transfer = transfer
        self._federation = transfer.federation
        self._ledger = ledger
        self._record = record
        self._wanted = wanted
        self._patience = patience

    def run(self) -> None:
        """Copy, and make a master of what was copied."""
        created = self._copied()
        cluster = self._federation.finder.place(created.location)
        deadline = self._federation.deadline()
        try:
            with cluster.api(deadline) as client:
                volume = client.update_volume(
                    created.location.project, created.volume.uuid,
                    self._become_master, deadline=deadline)
        except lb_errors.Rejected:
            # Somebody else has made the master of that name.
            self._transfer.undo(self._record, self._ledger)
            raise
        if goldenrules.LABEL_SNAPSHOT not in volume.labels:
            self._federation.golden.maker.finish(cluster, volume, None,
                                                 deadline)
        LOG.info('Cluster %s has a master of image %s now, of that on '
                 'cluster %s: %s.', cluster.name, self._wanted.image_id,
                 self._wanted.source_cluster, self._wanted.name)

    def _copied(self) -> Created:
        state = State.parse(self._ledger.load())
        if state is not None and state.stage is Stage.COPIED:
            return self._transfer.copied(self._record, state)
        wanted = self._wanted
        if state is not None and state.source and state.source != (
                wanted.source_cluster, wanted.source_project, wanted.source):
            self._transfer.undo(self._record, self._ledger)
        return self._transfer.thick_copy(
            # Any other master will do as well, so nothing is kept for it.
            Order(self._source(), self._request(), patience=self._patience,
                  kept=False), self._ledger)

    def _source(self) -> Found[model.Snapshot]:
        wanted = self._wanted
        try:
            return self._federation.finder.snapshot_at(
                Location(wanted.source_cluster, self._record,
                         wanted.source_project, wanted.source),
                self._federation.deadline())
        except federation_errors.ObjectMissing:
            self._transfer.undo(self._record, self._ledger)
            raise

    def _request(self) -> CreateRequest:
        wanted = self._wanted
        return CreateRequest(
            VolumeRef(wanted.name, self._record, wanted.project),
            wanted.size, VolumeSpec(
                project=wanted.project, replicas=wanted.replicas,
                compression=wanted.compression),
            NOT_RECORDED, only=wanted.cluster)

    def _become_master(self, now: model.Volume) -> model.VolumeChange | None:
        wanted = self._wanted
        if now.name == wanted.name:
            return None
        return model.VolumeChange(
            new_name=wanted.name, acl=frozenset(), ip_acl=frozenset(),
            labels=goldenrules.labels(
                self._federation.owner, wanted.name, wanted.image_id,
                ownership.attempt_of(now.labels) or '', time.time()))
