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

"""Handing a thick clone over, to Cinder or to nobody.

Until then it is marked as ours; the change that hands it over takes the
mark away, so there is no moment in which nobody answers for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import logging
from typing import Any
from typing import Protocol

from cinder_lightbits_federation.copy.pieces import Marks
from cinder_lightbits_federation.copy.state import State
from cinder_lightbits_federation.copy.wanted import Wanted
from cinder_lightbits_federation import errors as federation_errors
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation.jobs.runner import Stopping
from cinder_lightbits_federation.jobs.runner import Task
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits import volumes
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation.manage import LABEL_RELEASED
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import Created
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.timing import wait_until

LOG = logging.getLogger(__name__)

# Seconds that Cinder is given to take a volume over, and how often it is
# asked to.
PATIENCE = 300.0
ATTEMPTS = 2
# What Cinder says of a volume while it takes it over, or forgets that it
# was to (cinder/volume/flows/api/manage_existing.py).
UNDER_WAY = ('managing', 'creating', 'deleting', 'error_managing_deleting')
NOT_TAKEN = ('error_managing', 'error')


class NotRegistered(federation_errors.FederationError):
    """Cinder has not taken the clone over; it is there, marked as ours."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A volume of Cinder that a clone was, or is to be, made one of."""

    id: str
    status: str


class Registrar(Protocol):
    """Cinder's API, for volumes that it is to take over.

    All raise NotRegistered.
    """

    def find(self, mark: str) -> Sequence[Entry]:
        """:returns: the volumes that were asked for with a mark."""

    def manage(self, mark: str, reference: Mapping[str, str], pool: str,
               wanted: Wanted) -> None:
        """Ask Cinder to take a volume over; see ``manage_existing``.

        :param pool: name of the cluster, for a pool per cluster.
        """

    def unmark(self, volume_id: str) -> None:
        """Take the mark off a volume. Idempotent."""

    def forget(self, entry: Entry) -> None:
        """Have Cinder forget a volume that it has not taken over."""


class Subject:
    """A clone that is to be handed over.

    :param task: the job that has made it.
    """

    def __init__(self, task: Task, wanted: Wanted, federation: Federation
                 ) -> None:
        self.task = task
        self.wanted = wanted
        self.federation = federation

    @property
    def record(self) -> str:
        """What the clone is marked with: the job."""
        return self.task.job.id

    def look(self, location: Location) -> model.Volume:
        """:returns: the clone as it is now.

        :raises ObjectMissing: it is gone.
        """
        return self.federation.finder.volume_at(
            location, self.federation.deadline()).thing

    def change(self, location: Location, hook: volumes.Hook) -> None:
        """Change the clone, on condition that nobody else does."""
        cluster = self.federation.finder.place(location)
        deadline = self.federation.deadline()
        with cluster.api(deadline) as client:
            client.update_volume(location.project, location.object_uuid or '',
                                 hook, deadline=deadline)


class Delivery(Protocol):
    """Who gets a clone that has all data."""

    def done(self, location: Location) -> dict[str, Any] | None:
        """:returns: what came out of it; None if it was not done."""

    def do(self, created: Created) -> dict[str, Any]:
        """Hand the clone over, in one change of it. Idempotent.

        :returns: what came out of it.
        """

    def close(self, result: Mapping[str, Any]) -> None:
        """Tidy up, once it is written down what came out. Idempotent."""


class Release:
    """Gives the clone its name and lets go of it."""

    def __init__(self, clone: Subject) -> None:
        self._clone = clone

    def done(self, location: Location) -> dict[str, Any] | None:
        """See `Delivery`."""
        now = self._clone.look(location)
        if not self._released(now):
            return None
        return {'cluster': location.cluster_uuid, 'uuid': now.uuid}

    def do(self, created: Created) -> dict[str, Any]:
        """See `Delivery`.

        :raises NameTaken: another volume has the name; the clone stays
            marked as ours.
        """
        location, name = created.location, self._clone.wanted.name

        def release(now: model.Volume) -> model.VolumeChange | None:
            if self._released(now):
                return None
            return model.VolumeChange(
                new_name=name, acl=frozenset(), ip_acl=frozenset(),
                labels={LABEL_RELEASED: self._clone.record})

        self._check_name(location)
        self._clone.change(location, release)
        return {'cluster': location.cluster_uuid,
                'uuid': created.volume.uuid}

    def close(self, result: Mapping[str, Any]) -> None:
        """See `Delivery`: nothing is left to do."""

    def _released(self, now: model.Volume) -> bool:
        return (now.labels.get(LABEL_RELEASED) == self._clone.record
                or (now.name == self._clone.wanted.name
                    and ownership.LABEL_OWNER not in now.labels))

    def _check_name(self, location: Location) -> None:
        federation, name = self._clone.federation, self._clone.wanted.name
        cluster = federation.finder.place(location)
        deadline = federation.deadline()
        with cluster.api(deadline) as client:
            found = client.find_volume(location.project, name,
                                       deadline=deadline)
        if found is not None and found.uuid != location.object_uuid:
            raise federation_errors.NameTaken(
                f'a volume {name} ({found.uuid}) is on cluster '
                f'{cluster.name} already; rename it and resume the job')


class Registration:
    """Has Cinder take the clone over."""

    def __init__(self, clone: Subject, registrar: Registrar, patience: float
                 ) -> None:
        self._clone = clone
        self._registrar = registrar
        self._patience = patience

    def done(self, location: Location) -> dict[str, Any] | None:
        """See `Delivery`."""
        # Also asked to take it back, so a cancel does not end it.
        entry = self._outcome(self._go_on)
        if entry is None:
            # Marked for the copy again, or it could not be removed.
            self._offer(location)
            return None
        return _result(entry, location)

    def do(self, created: Created) -> dict[str, Any]:
        """See `Delivery`.

        :raises NotRegistered: Cinder does not take it; the clone stays
            marked as ours.
        """
        location = created.location
        entry = self._outcome(self._clone.task.check)
        for _attempt in range(ATTEMPTS):
            if entry is not None:
                return _result(entry, location)
            self._offer(location)
            self._registrar.manage(
                self._clone.record,
                {'source-id': location.object_uuid or '',
                 'cluster': location.cluster_uuid,
                 'project': self._clone.wanted.project}, created.cluster,
                self._clone.wanted)
            entry = self._outcome(self._clone.task.check)
        if entry is not None:
            return _result(entry, location)
        raise NotRegistered(
            f'Cinder has not taken over volume {location.object_uuid} of '
            f'cluster {created.cluster}; the log of the volume service says '
            f'why. Resume the job to try again')

    def close(self, result: Mapping[str, Any]) -> None:
        """See `Delivery`."""
        self._registrar.unmark(str(result['volume_id']))

    def _offer(self, location: Location) -> None:
        """Mark the clone as ours, and as one that may be taken over.

        :raises NotRegistered: somebody has taken it.
        """
        state = State.parse(self._clone.task.held.load())
        attempt = state.attempt if state is not None else ''
        marks = Marks(self._clone.record, attempt)
        labels = ownership.offered(ownership.labels_for(
            self._clone.federation.owner, self._clone.record,
            location.attempt or attempt))

        def offer(now: model.Volume) -> model.VolumeChange | None:
            owner = now.labels.get(ownership.LABEL_OWNER)
            if owner and now.labels.get(
                    ownership.LABEL_ID) != self._clone.record:
                raise NotRegistered(
                    f'volume {now.name} ({now.uuid}) was taken over for '
                    f'record {now.labels.get(ownership.LABEL_ID)}')
            if now.labels.items() >= labels.items():
                return None
            return model.VolumeChange(
                new_name=(None if now.name == marks.target
                          else marks.target), labels=labels,
                acl=frozenset(), ip_acl=frozenset())

        self._clone.change(location, offer)

    def _outcome(self, check: Callable[[], None]) -> Entry | None:
        """Wait until Cinder has taken the clone over, or has not.

        :param check: raises when there is no use in waiting any longer.
        :returns: the volume; None if there is none, as one that Cinder has
            failed at is forgotten.
        """
        try:
            found = wait_until(
                lambda: self._look(check), Deadline.after(self._patience),
                f'Cinder to take over thick clone '
                f'{self._clone.wanted.name}')
        except DeadlineExceeded as exc:
            LOG.warning('%s', exc)
            found = self._registrar.find(self._clone.record)
        taken = [entry for entry in found
                 if entry.status not in (*UNDER_WAY, *NOT_TAKEN)]
        if taken:
            return taken[0]
        for entry in found:
            LOG.warning('Cinder forgets volume %s, which it has not taken '
                        'over (%s).', entry.id, entry.status)
            self._registrar.forget(entry)
        if found:
            wait_until(lambda: self._forgotten(check),
                       Deadline.after(self._patience), 'Cinder to forget it')
        return None

    def _go_on(self) -> None:
        if self._clone.task.stopping.is_set():
            raise Stopping

    def _forgotten(self, check: Callable[[], None]) -> bool | None:
        check()
        return None if self._registrar.find(self._clone.record) else True

    def _look(self, check: Callable[[], None]) -> Sequence[Entry] | None:
        """:returns: None while Cinder is about it."""
        check()
        found = self._registrar.find(self._clone.record)
        if any(entry.status in UNDER_WAY for entry in found):
            return None
        return found


def _result(entry: Entry, location: Location) -> dict[str, Any]:
    return {'cluster': location.cluster_uuid, 'uuid': location.object_uuid,
            'volume_id': entry.id}
