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

"""Moving volumes to other clusters, for Cinder.

Cinder does not keep a volume from being attached while it asks for any of
this, unless it was told to lock it; a move that finds so leaves the volume
where it is. What takes long is a job that the other services and the command
line see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
import dataclasses
import threading
from typing import Any

from cinder import objects
from cinder.volume import volume_utils
from oslo_log import log as logging

from cinder_lightbits_federation.cinderlocks import get_lock
from cinder_lightbits_federation.copy.devices import Attacher
from cinder_lightbits_federation.copy.devices import Mover
from cinder_lightbits_federation.copy.devices import PrivilegedMover
from cinder_lightbits_federation.copy.engine import Manner
from cinder_lightbits_federation.copy import errors as copy_errors
from cinder_lightbits_federation.copy.relocation import Relocation
from cinder_lightbits_federation.copy.slots import Slots
from cinder_lightbits_federation.copy.transfer import Transfer
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.exception import translated
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation.hosting import HostAttacher
from cinder_lightbits_federation.jobs.book import AlreadyUnderWay
from cinder_lightbits_federation.jobs.claims import Desk
from cinder_lightbits_federation.jobs.claims import HeldJob
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import records
from cinder_lightbits_federation.refs import Created
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation.spec import ClusterPin
from cinder_lightbits_federation.spec import VolumeSpec
from cinder_lightbits_federation import statistics
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import wait_until

LOG = logging.getLogger(__name__)

Update = dict[str, str]
Host = Mapping[str, Any]

MIGRATE = 'migrate'
CLONE = 'clone'

# After a service was killed its jobs are free when its lease has ended; who
# asks earlier waits for that.
LEASES = 2


class MobilityMixin:
    """Migrate, retype and clone volumes across clusters."""

    configuration: Any
    host: str
    cluster_name: str | None

    @property
    def federation(self) -> Federation:
        """The use cases; the driver has them."""
        raise NotImplementedError

    @property
    def desk(self) -> Desk:
        """The jobs of this process; the driver has them."""
        raise NotImplementedError

    def _request(self, volume: Any) -> CreateRequest:
        raise NotImplementedError

    def _ref(self, volume: Any) -> VolumeRef:
        raise NotImplementedError

    def migrate_volume(self, context: Any, volume: Any, host: Host
                       ) -> tuple[bool, Update | None]:
        """Move a volume off its cluster, or to another backend of ours.

        Within the backend it never stays on its cluster, and never falls
        back to Cinder's copy, which could put it there again. Asked again
        after a service was killed, it goes on where that was, on any host.

        :returns: whether it was moved; not if the destination is none of
            ours, or has no cluster that is reached from here.
        """
        with translated(volume.id):
            request = self._move_request(volume)
            if not self._ours(host):
                return self._migrate_away(volume, request, host)
            created = self._moved(volume, dataclasses.replace(
                request, only=self._wanted_cluster(volume, host)))
            return True, self._told(created, host)

    def retype(self, context: Any, volume: Any, new_type: Mapping[str, Any],
               diff: Mapping[str, Any], host: Host
               ) -> bool | tuple[bool, Update]:
        """Give a volume another type in place, or by copying its data.

        Compression and QoS policy are changed where it is. What needs
        another place is copied there if lightbits_retype_by_copy allows
        that and nobody uses the volume.

        :returns: False when the type needs more than that; Cinder then
            migrates the volume, if the user allows it.
        """
        if diff.get('encryption'):
            return False
        with translated(volume.id):
            spec = VolumeSpec.from_extra_specs(
                new_type.get('extra_specs') or {})
            if self.federation.retype_volume(self._ref(volume), spec):
                return True
            settings = self.federation.settings
            if not settings.copies.retypes or self._obstacle(volume):
                return False
            request = dataclasses.replace(
                self._request(volume), only=None,
                recorder=records.MoveRecord(volume),
                spec=dataclasses.replace(spec, replicas=spec.replica_count(
                    settings.default_replicas)))
            try:
                created = self._moved(volume, request)
            except copy_errors.Unsuitable as exc:
                LOG.info('Volume %s is not retyped by copying: %s',
                         volume.id, exc)
                return False
            return True, self._told(created, host)

    def clone_elsewhere(self, volume: Any, request: CreateRequest,
                        find: Callable[[], Found[model.Volume]
                                       | Found[model.Snapshot]]
                        ) -> Created | None:
        """Make a clone by copying, where its type asks for another cluster.

        Only if lightbits_cross_cluster_clones allows it: a copy holds one
        of the service's threads, and Cinder's lock on the source.

        :param find: finds the source.
        :returns: None when the clone is to be a thin one.
        """
        settings = self.federation.settings
        pin = request.spec.clusters
        if not settings.copies.clones or pin == ClusterPin():
            return None
        source = find()
        if pin.admits(source.cluster.uuid or '', source.cluster.name):
            return None
        with _CLONES.taken(settings.copies.jobs), \
                self._job(CLONE, volume) as ledger:
            return self._relocation().clone(source, request, ledger)

    def abandon_copies(self, volume: Any) -> None:
        """Clean up after copies of a volume that is about to be deleted.

        That is for those that a killed service has left.
        """
        try:
            for kind in (MIGRATE, CLONE):
                job = self.desk.book.latest(kind, volume.id)
                if job is not None and job.checkpoint:
                    self._abandon(job, volume)
        except errors.StoreUnavailable as exc:
            LOG.warning('Volume %s is deleted without looking for copies '
                        'that were being made of it: %s', volume.id, exc)

    # Inside

    def _attacher(self) -> Attacher:
        return HostAttacher(self.configuration, lambda: (
            self.federation.settings.data_networks))

    def _mover(self) -> Mover:
        return PrivilegedMover()

    def transfer(self, rate: int | None = None) -> Transfer:
        """Make what makes thick copies, as it is configured now.

        :param rate: bytes per second at most; None as configured.
        """
        copies = self.federation.settings.copies
        return Transfer(
            self.federation, self._attacher(), self._mover(),
            Slots(get_lock, copies.jobs),
            Manner(copies.rate if rate is None else rate, copies.verify))

    def _relocation(self) -> Relocation:
        return Relocation(self.transfer())

    def _ours(self, host: Host) -> bool:
        """Whether a destination is this very backend."""
        pairs = [(self.host, host['host'])]
        if self.cluster_name and host.get('cluster_name'):
            pairs.append((self.cluster_name, host['cluster_name']))
        return any(volume_utils.hosts_are_equivalent(mine, theirs)
                   for mine, theirs in pairs)

    def _wanted_cluster(self, volume: Any, host: Host) -> str | None:
        """The cluster that is asked for; None: any but the volume's own.

        Of a clustered service Cinder's API drops the pool and the scheduler
        picks one, maybe that of the volume.
        """
        pool = volume_utils.extract_host(host['host'], 'pool')
        own = volume_utils.extract_host(volume.host, 'pool')
        if (self.federation.settings.pools is not PoolMode.CLUSTER
                or self.cluster_name or pool in (None, own)):
            return None
        return self.federation.registry.uuid_of(pool)

    def _migrate_away(self, volume: Any, request: CreateRequest, host: Host
                      ) -> tuple[bool, Update | None]:
        theirs = statistics.clusters_of(
            host.get('capabilities') or {},
            self.federation.settings.federation_id)
        place = request.ref.location
        if place is not None and place.cluster_uuid in theirs:
            # The other backend has this cluster too: nothing has to move.
            return True, None
        others = {cluster.uuid: 'not of the backend it is to move to'
                  for cluster in self.federation.registry.clusters
                  if cluster.uuid and cluster.uuid not in theirs}
        if len(others) == len(self.federation.registry.clusters):
            return False, None
        created = self._moved(volume, dataclasses.replace(
            request, exclude={**request.exclude, **others}))
        return True, records.model_update(created.location)

    def _told(self, created: Created, host: Host) -> Update:
        """What Cinder saves; with a pool per cluster, where it went."""
        update = records.model_update(created.location)
        if self.federation.settings.pools is PoolMode.CLUSTER:
            update['host'] = volume_utils.append_host(
                volume_utils.extract_host(host['host']), created.cluster)
        return update

    def _move_request(self, volume: Any) -> CreateRequest:
        obstacle = self._obstacle(volume)
        if obstacle:
            raise copy_errors.Unsuitable(
                f'volume {volume.id} cannot be moved: {obstacle}')
        return dataclasses.replace(self._request(volume), only=None,
                                   recorder=records.MoveRecord(volume))

    @staticmethod
    def _obstacle(volume: Any) -> str | None:
        if volume.volume_attachment:
            return 'it is attached'
        count = _snapshots(volume)
        return f'it has {count} snapshots' if count else None

    def _moved(self, volume: Any, request: CreateRequest) -> Created:
        with self._job(MIGRATE, volume) as ledger:
            _check_unchanged(volume)
            return self._relocation().move(request, ledger, ledger.again,
                                           lambda: _check_snapshots(volume))

    @contextlib.contextmanager
    def _job(self, kind: str, volume: Any) -> Iterator[HeldJob]:
        """Do something as a job; it goes on where one that was killed was.

        :raises DeadlineExceeded: another service does it.
        """
        def begin() -> HeldJob | None:
            try:
                return self.desk.begin(kind, volume.id,
                                       {'name': volume.name})
            except AlreadyUnderWay:
                return None

        held = wait_until(
            begin, Deadline.after(self.desk.book.lease * LEASES),
            f'waiting for another service to give up the {kind} of volume '
            f'{volume.id}')
        with self.desk.ending(held):
            yield held

    def _abandon(self, job: Job, volume: Any) -> None:
        book = self.desk.book
        if job.state is JobState.FAILED:
            job = book.resume(job.id)
        if job.state in (JobState.DONE, JobState.CANCELLED):
            return
        if book.cancel(job.id).state is JobState.CANCELLED:
            return
        with contextlib.suppress(copy_errors.Cancelled), \
                self._job(job.kind, volume) as held:
            self._relocation().abandon(self._ref(volume), held,
                                       records.MoveRecord(volume))
            raise copy_errors.Cancelled(f'volume {volume.id} is deleted')


def _snapshots(volume: Any) -> int:
    """:returns: how many snapshots Cinder has of a volume, or takes."""
    return len(objects.SnapshotList.get_all_for_volume(
        volume._context.elevated(), volume.id))


def _check_snapshots(volume: Any) -> None:
    """See that nobody has taken a snapshot of a volume that moves.

    :raises Touched: somebody has, or is about to.
    """
    count = _snapshots(volume)
    if count:
        raise copy_errors.Touched(
            f'volume {volume.id} has {count} snapshots by now; it stays where '
            f'it was')


def _check_unchanged(volume: Any) -> None:
    """See that a volume is still where it was when its record was read.

    Who had its move before may have ended that, or taken it back.

    :raises RecordLost: it is not; what is known of it is of no use.
    """
    now = objects.Volume.get_by_id(volume._context.elevated(), volume.id)
    if now.provider_location != volume.provider_location:
        raise errors.RecordLost(
            f'another service has just moved volume {volume.id}, or taken its '
            f'move back; ask again')


class _Clones:
    """Counts the clones that this process is copying."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @contextlib.contextmanager
    def taken(self, limit: int) -> Iterator[None]:
        """Be one of at most `limit`.

        :raises CopyError: there are as many already.
        """
        with self._lock:
            if self._count >= limit:
                raise copy_errors.CopyError(
                    f'{limit} clones are being copied to other clusters '
                    f'already; try again when they are done')
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1


_CLONES = _Clones()
