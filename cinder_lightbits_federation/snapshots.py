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

"""Snapshots of Cinder, and the short-lived ones that clones are made of."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import logging

from cinder_lightbits_federation import access
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.finder import check_snapshot
from cinder_lightbits_federation.finder import Finder
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import locks
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import Recorder
from cinder_lightbits_federation.refs import SnapshotRef
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.remover import remove_snapshot
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.timing import Pace
from cinder_lightbits_federation.timing import wait_until

LOG = logging.getLogger(__name__)

# An intermediate snapshot that is forgotten removes itself after an hour.
RETENTION = 3600


class Snapshots:
    """Use cases of snapshots."""

    def __init__(self, finder: Finder, owner: ownership.Owner,
                 get_lock: locks.GetLock) -> None:
        self._finder = finder
        self._owner = owner
        self._get_lock = get_lock

    def create(self, ref: SnapshotRef, recorder: Recorder,
               deadline: Deadline) -> Location:
        """Take a snapshot of a volume.

        Holds the lock of the volume's snapshots.

        :returns: the completed location.
        :raises OutcomeUnknown: it may have been taken.
        :raises OperationFailed: the cluster failed at it.
        :raises NameTaken: another snapshot has the name.
        :raises BeingMoved: the volume leaves its cluster. Who moves it looks
            for snapshots in Cinder's records after closing it, and that of
            this one was there before the volume is read here.
        """
        source = self._finder.volume(ref.volume, deadline)
        access.stays(source.thing)
        attempt = ownership.new_attempt()
        wanted = model.NewSnapshot(
            name=ref.name, source_volume_uuid=source.thing.uuid,
            description=ownership.describe(self._owner, ref.snapshot_id,
                                           attempt, ref.tenant))
        ahead = Location(self._uuid(source), ref.snapshot_id, source.project,
                         None, attempt)
        recorder.record(ahead)
        taken = self._take(ref.volume.name_id, source, wanted, attempt,
                           deadline)
        location = ahead.completed(taken.uuid)
        try:
            recorder.record(location)
        except errors.RecordLost:
            self._remove(source.cluster.client, source.project, taken,
                         deadline)
            raise
        return location

    def delete(self, ref: SnapshotRef, deadline: Deadline) -> None:
        """Delete a snapshot; one that is proven gone is no error.

        :raises IdentityMismatch: what is there is not the recorded one.
        :raises ClusterUnavailable: a cluster that may have it is silent.
        """
        try:
            found = self._finder.snapshot(ref, deadline)
        except errors.ObjectMissing as exc:
            LOG.warning('Nothing to delete of snapshot %s: %s', ref.name, exc)
            return
        with found.cluster.api(deadline) as client:
            remove_snapshot(
                client, found.project, found.thing,
                lambda now: check_snapshot(ref, self._owner, now), deadline)

    @contextlib.contextmanager
    def intermediate(self, ref: VolumeRef, source: Found[model.Volume],
                     target: VolumeRef, deadline: Deadline
                     ) -> Iterator[model.Snapshot]:
        """A snapshot of `source` for as long as a clone is being made.

        Holds the lock of the source's snapshots while it is taken. It
        carries a retention time, so a crash leaves nothing for long.
        """
        attempt = ownership.new_attempt()
        wanted = model.NewSnapshot(
            name=ownership.clone_snapshot_name(target.name_id, attempt),
            source_volume_uuid=source.thing.uuid,
            description=ownership.describe(self._owner, target.name_id,
                                           attempt),
            retention=RETENTION)
        taken = self._take(ref.name_id, source, wanted, attempt,
                           deadline)
        try:
            yield taken
        finally:
            self._drop(source, taken, deadline)

    def take(self, source: Found[model.Volume], name: str, record: str,
             attempt: str, retention: int | None, deadline: Deadline
             ) -> model.Snapshot:
        """Take a snapshot that no record of Cinder is about. Idempotent.

        Holds the lock of the source's snapshots.

        :param record: whom it is for, by its description.
        :param attempt: what tells it from one that another took.
        :param retention: seconds after which the cluster removes it; None
            for one that stays.
        """
        wanted = model.NewSnapshot(
            name=name, source_volume_uuid=source.thing.uuid,
            description=ownership.describe(self._owner, record, attempt),
            retention=retention)
        locked = source.thing.labels.get(ownership.LABEL_ID,
                                         source.thing.uuid)
        return self._take(locked, source, wanted, attempt, deadline)

    def _take(self, locked: str, source: Found[model.Volume],
              wanted: model.NewSnapshot, attempt: str, deadline: Deadline
              ) -> model.Snapshot:
        name = locks.snapshots_of(locked)
        with locks.hold(self._get_lock, name, deadline), \
                source.cluster.api(deadline) as client:
            taken = self._post(client, source.project, wanted, attempt,
                               deadline)
            return self._wait(client, source.project, taken, deadline,
                              source.cluster.snapshot_pace)

    def _post(self, client: lb_client.LightbitsClient, project: str,
              wanted: model.NewSnapshot, attempt: str, deadline: Deadline
              ) -> model.Snapshot:
        doubt: lb_errors.LightbitsError | None = None
        refused: str | None = None

        def once() -> model.Snapshot | None:
            nonlocal doubt, refused
            try:
                if doubt is not None:
                    found = self._mine(client, project, wanted, attempt,
                                       deadline)
                    if found is not None:
                        return found
                return client.create_snapshot(project, wanted,
                                              deadline=deadline)
            except lb_errors.Ambiguous as exc:
                doubt = exc
            except lb_errors.Conflict as exc:
                return self._conflict(client, project, wanted, attempt, exc,
                                      deadline)
            except (lb_errors.BadRequest,
                    lb_errors.PreconditionFailed) as exc:
                # Also the answer while the volume is Updating: that ends.
                now = client.get_volume(project, wanted.source_volume_uuid,
                                        deadline=deadline)
                if refused == now.etag or now.state.going:
                    raise exc
                refused = now.etag if now.state.settled else None
            return None

        try:
            return wait_until(once, deadline.before_last_look(),
                              f'taking {wanted.name}', lambda: doubt)
        except (lb_errors.LightbitsError, DeadlineExceeded) as exc:
            if doubt is None:
                raise
            raise errors.OutcomeUnknown(
                f'snapshot {wanted.name} may have been taken: {doubt}; '
                f'then: {exc}') from exc

    def _mine(self, client: lb_client.LightbitsClient, project: str,
              wanted: model.NewSnapshot, attempt: str, deadline: Deadline
              ) -> model.Snapshot | None:
        found = client.find_snapshot(project, wanted.name, deadline=deadline)
        if found is None:
            return None
        marks = ownership.read_description(found.description)
        return found if ownership.attempt_of(marks) == attempt else None

    def _conflict(self, client: lb_client.LightbitsClient, project: str,
                  wanted: model.NewSnapshot, attempt: str,
                  conflict: lb_errors.Conflict, deadline: Deadline
                  ) -> model.Snapshot | None:
        """A snapshot has the name, or the volume is busy."""
        found = client.find_snapshot(project, wanted.name, deadline=deadline)
        if found is None:
            return None
        marks = ownership.read_description(found.description)
        if ownership.attempt_of(marks) == attempt:
            return found
        raise errors.NameTaken(
            f'a snapshot {found.name} ({found.uuid}) is there already and '
            f'was not made by this operation') from conflict

    def _wait(self, client: lb_client.LightbitsClient, project: str,
              taken: model.Snapshot, deadline: Deadline, pace: Pace
              ) -> model.Snapshot:
        seen = taken

        def ended() -> bool | None:
            nonlocal seen
            try:
                seen = client.get_snapshot(project, taken.uuid,
                                           deadline=deadline)
            except lb_errors.NotFound:
                return None  # Another API server may be behind.
            return seen.state is not model.SnapshotState.CREATING or None

        try:
            if seen.state is model.SnapshotState.CREATING:
                wait_until(ended, deadline.before_last_look(),
                           f'snapshot {taken.name} to become Available',
                           lambda: seen.state.value, pace)
        except (lb_errors.LightbitsError, DeadlineExceeded) as exc:
            raise errors.OutcomeUnknown(
                f'snapshot {taken.name} ({taken.uuid}) was accepted but did '
                f'not become usable: {exc}') from exc
        if seen.state is not model.SnapshotState.AVAILABLE:
            self._remove(client, project, seen, deadline)
            raise errors.OperationFailed(
                f'snapshot {taken.name} ended in state {seen.state.value}')
        return seen

    def _drop(self, source: Found[model.Volume], taken: model.Snapshot,
              deadline: Deadline) -> None:
        try:
            with source.cluster.api(deadline) as client:
                self._remove(client, source.project, taken, deadline)
        except lb_errors.LightbitsError as exc:
            LOG.warning('Intermediate snapshot %s stays on cluster %s until '
                        'its retention time is over: %s', taken.name,
                        source.cluster.name, exc)

    @staticmethod
    def _remove(client: lb_client.LightbitsClient, project: str,
                snapshot: model.Snapshot, deadline: Deadline) -> None:
        """Remove a snapshot this very call has taken; never raises for it.

        Its UUID came from this call's own request, which is proof enough.
        """
        try:
            remove_snapshot(client, project, snapshot, lambda now: None,
                            deadline)
        except (lb_errors.LightbitsError, errors.OperationFailed,
                DeadlineExceeded) as exc:
            LOG.warning('Snapshot %s (%s) could not be removed from cluster '
                        '%s: %s', snapshot.name, snapshot.uuid, client.name,
                        exc)

    @staticmethod
    def _uuid(found: Found[model.Volume]) -> str:
        if found.cluster.uuid is None:
            raise errors.ClusterUnavailable(
                f'cluster {found.cluster.name} was not reached yet')
        return found.cluster.uuid
