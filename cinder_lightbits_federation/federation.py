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

"""The use cases over clusters: what a backend does for Cinder.

Knows neither Cinder's objects nor its configuration. Every operation has one
deadline; every destructive one proves first what it is about to destroy.
"""

from __future__ import annotations

from collections.abc import Sequence
import logging
import secrets

from cinder_lightbits_federation import access
from cinder_lightbits_federation.attachments import Attachments
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import conformance
from cinder_lightbits_federation.editor import Editor
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.finder import check_volume
from cinder_lightbits_federation.finder import Finder
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation.golden import Golden
from cinder_lightbits_federation.goldenrules import Image
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import locks
from cinder_lightbits_federation.maker import Maker
from cinder_lightbits_federation.manage import Manage
from cinder_lightbits_federation.memory import EndpointMemory
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.placement import Decision
from cinder_lightbits_federation.placer import Placer
from cinder_lightbits_federation.refs import Created
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import SnapshotRef
from cinder_lightbits_federation.refs import Source
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.remover import remove_volume
from cinder_lightbits_federation.reservations import Reservation
from cinder_lightbits_federation.reverter import Reverter
from cinder_lightbits_federation import room
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.sizes import bytes_to_gib_ceil
from cinder_lightbits_federation.sizes import GIB
from cinder_lightbits_federation.snapshots import Snapshots
from cinder_lightbits_federation.spec import VolumeSpec
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.views import ClusterView
from cinder_lightbits_federation.views import Use

LOG = logging.getLogger(__name__)


class Federation:
    """One backend. Thread-safe after `start`.

    :param get_lock: gives a tooz lock by name.
    :param memory: keeps the endpoints of clusters over restarts.
    """

    def __init__(self, settings: FederationSettings,
                 get_lock: locks.GetLock,
                 memory: EndpointMemory | None = None) -> None:
        self.owner = ownership.Owner(settings.federation_id)
        self.registry = Registry(settings, memory)
        self.placer = Placer(self.registry, secrets.randbits(64))
        self.finder = Finder(self.registry, self.owner)
        self._editor = Editor(self.finder, self.owner)
        self.attachments = Attachments(self._editor, self.registry)
        self.manage = Manage(self.registry, self.finder, self._editor,
                             self.owner)
        self.reverter = Reverter(self.finder, self._editor, self.owner)
        self.snapshots = Snapshots(self.finder, self.owner, get_lock)
        self.golden = Golden(self.registry, self.placer, self.finder,
                             self.snapshots, self.owner, get_lock)
        self._maker = Maker(self.registry, self.placer, self.finder,
                            self.golden, self.owner)

    @property
    def settings(self) -> FederationSettings:
        """The configuration as it is applied now."""
        return self.registry.settings

    def apply(self, settings: FederationSettings) -> None:
        """Apply a changed configuration, at run time."""
        self.registry.apply(settings)

    def start(self) -> None:
        """Connect to the clusters; those that are down join later."""
        self.registry.start()

    def stop(self) -> None:
        """End all threads and connections. Idempotent."""
        self.golden.stop()
        self.registry.stop()

    def deadline(self) -> Deadline:
        """:returns: the deadline of an operation that starts now."""
        return Deadline.after(self.settings.operation_timeout)

    # Volumes

    def create_volume(self, request: CreateRequest) -> Created:
        """Make an empty volume on the best cluster.

        :raises NoClusterFits: no cluster took it; nothing is left.
        :raises OutcomeUnknown: it may exist where it is recorded.
        """
        with self.golden.making(request.ref):
            return self._maker.create(request, None, self.deadline())

    def create_from_image(self, request: CreateRequest, image: Image
                          ) -> Created | None:
        """Make a thin clone of an image's master, on the best cluster.

        :returns: None when it has to be made and filled in the ordinary way;
            `golden.filling` is then to be around the filling.
        :raises FederationError: as `create_volume`; the ordinary way may
            still be tried.
        """
        attempt = ownership.new_attempt()

        def make(decision: Decision, held: Reservation, source: Source
                 ) -> Created:
            return self._maker.make(decision, held, request, source, attempt,
                                    self.deadline())

        return self.golden.create(
            request, self._maker.wanted(request, None), image, make)

    def create_from_snapshot(self, request: CreateRequest,
                             snapshot: SnapshotRef) -> Created:
        """Make a thin clone of a snapshot, on the snapshot's cluster."""
        deadline = self.deadline()
        found = self.finder.snapshot(snapshot, deadline)
        return self._maker.create(
            request, _source(found.cluster, found.thing), deadline)

    def clone_volume(self, request: CreateRequest, source: VolumeRef
                     ) -> Created:
        """Make a thin clone of a volume, on that volume's cluster."""
        deadline = self.deadline()
        found = self.finder.volume(source, deadline)
        with self.snapshots.intermediate(source, found, request.ref,
                                         deadline) as snapshot:
            return self._maker.create(
                request, _source(found.cluster, snapshot), deadline)

    def delete_volume(self, ref: VolumeRef, attempt: str | None = None
                      ) -> None:
        """Delete a volume; one that is proven gone is no error.

        :param attempt: only delete what this create attempt made; what
            another attempt has taken over is left alone.
        :raises ClusterUnavailable: a cluster that may have it is silent.
        :raises IdentityMismatch: what is there is not the recorded one.
        """
        self.golden.forget(ref.name_id)
        deadline = self.deadline()
        for found in self._to_delete(ref, deadline):
            if attempt is not None and ownership.attempt_of(
                    found.thing.labels) not in (attempt, None):
                LOG.info('Volume %s on cluster %s was taken over by another '
                         'attempt.', ref.name, found.cluster.name)
                continue

            def check(now: model.Volume) -> None:
                check_volume(ref, self.owner, now)
                if attempt is not None and ownership.attempt_of(
                        now.labels) not in (attempt, None):
                    raise errors.RecordLost(
                        f'another attempt took over volume {now.name}')

            with found.cluster.api(deadline) as client:
                remove_volume(client, found.project, found.thing, check,
                              deadline)

    def extend_volume(self, ref: VolumeRef, size: int) -> None:
        """Grow a volume; returns when the new size can be used.

        Idempotent: a volume of that size or larger is left as it is.

        :param size: bytes.
        :raises NoClusterFits: its cluster has no room for the growth.
        :raises BeingMoved: it leaves its cluster, with the size it has.
        :raises DeadlineExceeded: the cluster did not finish in time.
        """
        def grow(cluster: Cluster, now: model.Volume
                 ) -> model.VolumeChange | None:
            if now.size >= size:
                return None
            access.stays(now)
            self._check_room(cluster, now, size - now.size)
            return model.VolumeChange(size=size)

        self._editor.change(ref, grow, self.deadline())

    def retype_volume(self, ref: VolumeRef, spec: VolumeSpec) -> bool:
        """Give a volume the properties of another type, where it is.

        :returns: False when that needs another place, another replica count
            or something else that cannot be changed; nothing was changed.
        """
        deadline = self.deadline()
        found = self.finder.volume(ref, deadline)
        misfit = conformance.misfit(
            found.thing, found.cluster.uuid or '', found.cluster.name,
            found.project == found.cluster.settings.project(
                spec.project or self.settings.project),
            spec, self.settings.default_replicas)
        if misfit is not None:
            LOG.info('Volume %s cannot be retyped on cluster %s: %s',
                     ref.name, found.cluster.name, misfit)
            return False

        def adjust(_cluster: Cluster, now: model.Volume
                   ) -> model.VolumeChange | None:
            return conformance.adjustment(
                now, spec, self.settings.default_compression)

        self._editor.change(ref, adjust, deadline)
        return True

    def cluster_of(self, ref: VolumeRef) -> str:
        """:returns: name of the cluster a volume is on.

        Costs no call when the record says it.
        """
        if ref.location is not None:
            return self.finder.place(ref.location).name
        return self.finder.volume(ref, self.deadline()).cluster.name

    # Figures

    def views(self, max_age: float, patience: float
              ) -> tuple[ClusterView, ...]:
        """Pictures of all clusters, at most `max_age` seconds old.

        :param patience: seconds to wait for clusters that are asked again;
            those that stay silent are shown as they were seen last.
        """
        self.registry.refresh(
            [cluster for cluster in self.registry.clusters
             if cluster.allows(Use.ASK)],
            max_age, Deadline.after(patience))
        return self.placer.views()

    # Inside

    def _to_delete(self, ref: VolumeRef, deadline: Deadline
                   ) -> Sequence[Found[model.Volume]]:
        if ref.location is None:
            return self.finder.search_volumes(ref, deadline)
        try:
            return [self.finder.volume(ref, deadline)]
        except errors.ObjectMissing as exc:
            LOG.info('Nothing to delete of volume %s: %s', ref.name, exc)
            return []

    def _check_room(self, cluster: Cluster, volume: model.Volume,
                    growth: int) -> None:
        view = self.placer.view(cluster)
        left = room.unpromised(view, self.settings.policy)
        needed = growth * volume.replicas
        if left is not None and needed > left:
            raise errors.NoClusterFits(
                f'the growth of volume {volume.name}',
                [f'{view.name}: needs {bytes_to_gib_ceil(needed)} GiB with '
                 f'replicas, has room for {left // GIB}'])


def _source(cluster: Cluster, snapshot: model.Snapshot) -> Source:
    if cluster.uuid is None:
        raise errors.ClusterUnavailable(
            f'cluster {cluster.name} was not reached yet')
    return Source(cluster.uuid, snapshot)
