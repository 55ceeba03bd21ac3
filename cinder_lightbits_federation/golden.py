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
"""Golden images: boot volumes as thin clones, on whatever cluster they go to.

Placement comes first, as for any new volume. If the chosen cluster has a
master of the image, the volume is cloned from it. If not, the volume is made
and filled in the ordinary way, and what has come of that is kept as the
master. Whoever fills the first volume holds a lock meanwhile, and those who
want the same image on the same cluster wait for it rather than download it as
well. The lock only spares downloads: two who fill at once make one master,
because a cluster takes a name once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import contextlib
import dataclasses
import logging
import threading
import time

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.creator import Refused
from cinder_lightbits_federation.finder import Finder
from cinder_lightbits_federation import goldenrules
from cinder_lightbits_federation.goldenrules import Flavour
from cinder_lightbits_federation.goldenrules import GoldenPolicy
from cinder_lightbits_federation.goldenrules import Image
from cinder_lightbits_federation.goldenrules import WantedMaster
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation import locks
from cinder_lightbits_federation.mastermaker import MasterMaker
from cinder_lightbits_federation.masters import Masters
from cinder_lightbits_federation.masters import TROUBLE
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.placement import Decision
from cinder_lightbits_federation.placement import PlacementRequest
from cinder_lightbits_federation.placer import Placer
from cinder_lightbits_federation.refs import Created
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import Source
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.reservations import Reservation
from cinder_lightbits_federation.reservations import Reservations
from cinder_lightbits_federation import room
from cinder_lightbits_federation.snapshots import Snapshots
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.views import AdminState
from cinder_lightbits_federation.views import Connection
from cinder_lightbits_federation.views import Use

LOG = logging.getLogger(__name__)

Make = Callable[[Decision, Reservation, Source], Created]

Placed = tuple[Decision, Reservation]


@dataclasses.dataclass(slots=True)
class Ticket:
    """The right to fill the first volume of an image on a cluster.

    :param placed: where the volume is to go, until it is being made there.
    :param since: monotonic seconds.
    """

    image: Image
    flavour: Flavour
    lock_name: str
    lock: locks.Lock
    placed: Placed | None
    since: float

    def end(self, reservations: Reservations) -> None:
        """Give back what is still held."""
        if self.placed is not None:
            reservations.release(self.placed[1])
            self.placed = None
        locks.release(self.lock, self.lock_name)


class Golden:
    """Golden images of one backend. Thread-safe.

    :ivar copy: copies a master from another cluster; None where nothing
        can be copied.
    :ivar grown: set whenever there is a master more.
    """

    def __init__(self, registry: Registry, placer: Placer, finder: Finder,
                 snapshots: Snapshots, owner: ownership.Owner,
                 get_lock: locks.GetLock) -> None:
        self._registry = registry
        self._placer = placer
        self._finder = finder
        self._owner = owner
        self._get_lock = get_lock
        self.masters = Masters(owner)
        self.maker = MasterMaker(self.masters, snapshots, owner)
        self.copy: Callable[[WantedMaster], None] | None = None
        self._guard = threading.Lock()
        self._tickets: dict[str, Ticket] = {}
        self.grown = threading.Event()

    @property
    def policy(self) -> GoldenPolicy:
        """What is configured now."""
        return self._registry.settings.golden

    def create(self, request: CreateRequest, wanted: PlacementRequest,
               image: Image, make: Make) -> Created | None:
        """Clone a master where placement puts the volume.

        Waits while somebody else gets the image onto that cluster.

        :param make: makes the volume of a source where room is reserved.
        :returns: None when there is no master and none is to be waited for.
            The caller then makes and fills the volume in the ordinary way,
            and `placed` and `filling` may have been told to care for it.
        """
        self.forget(request.ref.name_id)
        while True:
            decision, held = self._placer.place(wanted, self._deadline())
            if held is None:
                return None
            cluster = self._registry.by_uuid(held.cluster_uuid)
            with contextlib.ExitStack() as undo:
                undo.callback(self._placer.reservations.release, held)
                source = self._obtain(cluster, request, wanted, image,
                                      (decision, held), undo)
                if source is None:
                    return None
                undo.pop_all()
            LOG.info('placement volume=%s image=%s golden=yes %s',
                     request.ref.name_id, image.id, decision)
            try:
                return make(decision, held, source)
            except Refused as exc:
                wanted = dataclasses.replace(wanted, exclude={
                    **wanted.exclude, held.cluster_uuid: str(exc)})

    def placed(self, ref: VolumeRef, source: Source | None
               ) -> Placed | None:
        """Where `create` has placed a volume that is made only now.

        :param source: what it starts from after all, which ends the matter.
        """
        if source is not None:
            self.forget(ref.name_id)
            return None
        with self._guard:
            ticket = self._tickets.get(ref.name_id)
            if ticket is None:
                return None
            placed, ticket.placed = ticket.placed, None
            return placed

    @contextlib.contextmanager
    def making(self, ref: VolumeRef) -> Iterator[None]:
        """Around making a volume: if that fails, others need not wait."""
        try:
            yield
        except BaseException:
            self.forget(ref.name_id)
            raise

    @contextlib.contextmanager
    def filling(self, ref: VolumeRef, pristine: bool) -> Iterator[None]:
        """Around filling a volume with an image: what comes of it is kept.

        Keeping it never fails.

        :param ref: with its location.
        :param pristine: nothing was ever written to it before.
        """
        ticket = self._take(ref.name_id)
        try:
            yield
            if ticket is not None and pristine:
                self._keep(ref, ticket)
        finally:
            if ticket is not None:
                ticket.end(self._placer.reservations)

    def forget(self, name_id: str) -> None:
        """A volume will not be filled: others need not wait for it."""
        ticket = self._take(name_id)
        if ticket is not None:
            ticket.end(self._placer.reservations)

    def expire(self) -> None:
        """End what has taken too long. Idempotent; to be called often.

        Cinder does not tell the driver when it gives a volume up before it
        is made. Until then other hosts wait for its image.
        """
        limit = time.monotonic() - self.policy.patience
        with self._guard:
            old = [name_id for name_id, ticket in self._tickets.items()
                   if ticket.since < limit]
        for name_id in old:
            self.forget(name_id)

    def stop(self) -> None:
        """Give back all that is held. Idempotent."""
        for name_id in list(self._tickets):
            self.forget(name_id)

    def sweep(self, projects: Iterable[str]) -> None:
        """Remove masters that have to go, and what is left of others.

        Two hosts may do so at once. What one cluster does wrong is logged.

        :param projects: to look at, by their names in Cinder.
        """
        wanted = {self._registry.settings.project, *projects}
        for cluster in self._registry.clusters:
            if not cluster.allows(Use.CHANGE):
                continue
            try:
                self._sweep(cluster, set(map(cluster.settings.project,
                                             wanted)))
            except TROUBLE as exc:
                LOG.info('Golden images of cluster %s were not looked '
                         'through: %s', cluster.name, exc)

    def _sweep(self, cluster: Cluster, projects: set[str]) -> None:
        masters = self.masters.all(cluster, projects)
        policy = self.policy
        if cluster.admin_state is AdminState.DRAINING:
            policy = dataclasses.replace(policy, limit=0)
        for master, why in goldenrules.evictable(masters, time.time(),
                                                 policy):
            LOG.info('Master %s of image %s has to go: %s.',
                     master.volume.name, master.image_id, why)
            try:
                self.masters.remove(cluster, master, self._deadline())
            except TROUBLE as exc:
                LOG.info('Master %s stays on cluster %s: %s',
                         master.volume.name, cluster.name, exc)
        # Where the last master was removed its snapshot may have been left.
        for project in sorted(projects):
            with contextlib.suppress(*lb_errors.NO_PROJECT):
                self._remove_strays(cluster, project)

    def _remove_strays(self, cluster: Cluster, project: str) -> None:
        for snapshot in self.masters.strays(cluster, project,
                                            self._deadline()):
            self.masters.drop(cluster, project, snapshot, self._deadline())

    def _obtain(self, cluster: Cluster, request: CreateRequest,
                wanted: PlacementRequest, image: Image, placed: Placed,
                undo: contextlib.ExitStack) -> Source | None:
        """Have a master of the image on a cluster, or the right to make it.

        :param undo: what ends the reservation; taken over by a ticket.
        """
        if not cluster.has_labels:
            return None
        flavour = self._flavour(cluster, request, wanted)
        name = goldenrules.name_of(self._owner, image, flavour)
        source = self._look(cluster, flavour.project, name)
        if source is None:
            lock_name = locks.filling_of(name, placed[1].cluster_uuid)
            lock = self._claim(lock_name)
            if lock is None:
                return None
            with contextlib.ExitStack() as release:
                release.callback(locks.release, lock, lock_name)
                source = self._look(
                    cluster, flavour.project, name) or self._copied(
                        cluster, flavour, wanted, image)
                if source is None:
                    # Whoever is here has to get the image onto the cluster,
                    # and the ordinary download is one way to do it.
                    self._enter(request.ref.name_id, Ticket(
                        image, flavour, lock_name, lock, placed,
                        time.monotonic()))
                    release.pop_all()
                    undo.pop_all()
                    return None
        if source.snapshot.size > request.size:
            LOG.info('Volume %s is smaller than the master of image %s on '
                     'cluster %s.', request.ref.name, image.id, cluster.name)
            return None
        return source

    def _flavour(self, cluster: Cluster, request: CreateRequest,
                 wanted: PlacementRequest) -> Flavour:
        spec = request.spec
        compression = spec.compression
        if compression is None:
            compression = self._registry.settings.default_compression
        return Flavour(
            cluster.settings.project(wanted.project), wanted.replicas,
            compression, spec.sector_size.value if spec.sector_size else '')

    def _look(self, cluster: Cluster, project: str, name: str
              ) -> Source | None:
        deadline = self._deadline()
        master = self.masters.find(cluster, project, name, deadline)
        if master is None:
            return None
        source = self.masters.source(cluster, master, deadline)
        if source is not None:
            self.masters.touch(cluster, master, deadline)
        return source

    def _copied(self, cluster: Cluster, flavour: Flavour,
                wanted: PlacementRequest, image: Image) -> Source | None:
        """Copy the master of another cluster, if there is one.

        :returns: None when the image has to be downloaded.
        """
        if self.copy is None or not self.policy.copies:
            return None
        for other in self._others(cluster):
            theirs = dataclasses.replace(
                flavour, project=other.settings.project(wanted.project))
            name = goldenrules.name_of(self._owner, image, flavour)
            try:
                found = self._look(other, theirs.project, goldenrules.name_of(
                    self._owner, image, theirs))
                if found is None:
                    continue
                self.copy(WantedMaster(
                    source=found.snapshot.uuid,
                    source_cluster=found.cluster_uuid,
                    source_project=theirs.project,
                    cluster=cluster.uuid or '', project=wanted.project,
                    name=name, image_id=image.id, size=found.snapshot.size,
                    replicas=flavour.replicas,
                    compression=flavour.compression))
                self.grown.set()
                return self._look(cluster, flavour.project, name)
            except (*TROUBLE, OSError) as exc:
                LOG.warning('The master of image %s is not copied from '
                            'cluster %s to %s: %s', image.id, other.name,
                            cluster.name, exc)
        return None

    def _others(self, cluster: Cluster) -> Iterator[Cluster]:
        for other in self._registry.clusters:
            if (other is not cluster and other.allows(Use.CHANGE)
                    and other.status.connection is Connection.CONNECTED):
                yield other

    def _claim(self, name: str) -> locks.Lock | None:
        """:returns: the lock, None if somebody holds it for too long."""
        try:
            return locks.acquire(
                self._get_lock, name, Deadline.after(self.policy.patience),
                self.expire)
        except DeadlineExceeded as exc:
            LOG.info('Not waiting any longer for a golden image: %s', exc)
            return None

    def _enter(self, name_id: str, ticket: Ticket) -> None:
        with self._guard:
            self._tickets[name_id] = ticket

    def _take(self, name_id: str) -> Ticket | None:
        with self._guard:
            return self._tickets.pop(name_id, None)

    def _keep(self, ref: VolumeRef, ticket: Ticket) -> None:
        deadline = self._deadline()
        try:
            found = self._finder.volume(ref, deadline)
            flavour = dataclasses.replace(ticket.flavour,
                                          project=found.project)
            needed = found.thing.size * found.thing.replicas
            left = room.unpromised(self._placer.view(found.cluster),
                                   self._registry.settings.policy)
            if left is not None and left < needed:
                LOG.info('No master of image %s is made of volume %s: '
                         'cluster %s has no room for it.', ticket.image.id,
                         ref.name, found.cluster.name)
                return
            self.maker.make(
                found, ref, ticket.image,
                goldenrules.name_of(self._owner, ticket.image, flavour),
                deadline)
            self.grown.set()
        except TROUBLE as exc:
            LOG.warning('No master of image %s was made of volume %s on '
                        'cluster %s: %s', ticket.image.id, ref.name,
                        ref.cluster_uuid, exc)

    def _deadline(self) -> Deadline:
        return Deadline.after(self._registry.settings.operation_timeout)
