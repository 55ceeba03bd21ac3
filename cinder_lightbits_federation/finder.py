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

"""Where an object of Cinder is, proven before anything is done to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Generic, TypeVar

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.lightbits.client import LightbitsClient
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.ownership import Claim
from cinder_lightbits_federation.refs import SnapshotRef
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.views import Use

T = TypeVar('T', model.Volume, model.Snapshot)


@dataclasses.dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """An object that is proven to be the one that was asked for."""

    cluster: Cluster
    project: str
    thing: T


def check_volume(ref: VolumeRef, owner: ownership.Owner,
                 volume: model.Volume) -> None:
    """Prove that a volume read by its recorded UUID is the recorded one.

    The new volume of a move is the recorded one from the moment when the
    record names it, which is before it can get its final name.

    :raises IdentityMismatch: its name or its labels say otherwise.
    """
    claim = ownership.claim_of(volume.labels, owner, ref.name_id)
    if volume.name != ref.name and not (
            claim is Claim.OURS and _is_copy(ref, volume)):
        raise errors.IdentityMismatch(
            f'volume {volume.uuid} is named {volume.name!r}, expected '
            f'{ref.name!r}; it was left alone')
    if claim in (Claim.FOREIGN, Claim.OTHER_RECORD):
        raise errors.IdentityMismatch(
            f'volume {volume.uuid} ({volume.name}) belongs to somebody else '
            f'by its labels; it was left alone')


def _is_copy(ref: VolumeRef, volume: model.Volume) -> bool:
    """Whether a move has made it for this record, which names it by now."""
    place = ref.location
    return (place is not None and place.object_uuid == volume.uuid
            and volume.name.startswith(
                ownership.copy_volume_name(ref.name_id, '')))


def check_snapshot(ref: SnapshotRef, owner: ownership.Owner,
                   snapshot: model.Snapshot) -> None:
    """Prove that a snapshot read by its recorded UUID is the recorded one.

    A snapshot cannot be renamed or labelled; its description says whose it
    is, and it belongs to the volume that Cinder has it of.

    :raises IdentityMismatch: its source or description says otherwise.
    """
    source = ref.volume.location
    if (source is not None and source.object_uuid is not None
            and snapshot.source_volume_uuid != source.object_uuid):
        raise errors.IdentityMismatch(
            f'snapshot {snapshot.uuid} is of volume '
            f'{snapshot.source_volume_uuid}, expected '
            f'{source.object_uuid}; it was left alone')
    marks = ownership.read_description(snapshot.description)
    claim = ownership.claim_of(marks, owner, ref.snapshot_id)
    if claim in (Claim.FOREIGN, Claim.OTHER_RECORD):
        raise errors.IdentityMismatch(
            f'snapshot {snapshot.uuid} ({snapshot.name}) belongs to '
            f'somebody else by its description; it was left alone')


class Finder:
    """Finds objects by their recorded place, else on all clusters."""

    def __init__(self, registry: Registry, owner: ownership.Owner) -> None:
        self._registry = registry
        self._owner = owner

    def place(self, location: Location) -> Cluster:
        """:returns: the cluster of a recorded place.

        :raises UnknownCluster: it is not known here.
        :raises ObjectMissing: it is declared lost, and with it all that was
            on it.
        """
        cluster = self._registry.by_uuid(location.cluster_uuid)
        if not cluster.allows(Use.ASK):
            raise errors.ObjectMissing(
                f'cluster {cluster.name} ({cluster.uuid}) is declared lost')
        return cluster

    def lost(self, cluster_uuid: str) -> bool:
        """Whether a cluster is declared lost, and with it all that it had.

        :raises UnknownCluster: it is not known here.
        """
        return not self._registry.by_uuid(cluster_uuid).allows(Use.ASK)

    def volume(self, ref: VolumeRef, deadline: Deadline
               ) -> Found[model.Volume]:
        """Find the one volume of a record.

        :raises ObjectMissing: it is proven not to exist.
        :raises IdentityMismatch: something else is at the recorded place.
        :raises ClusterUnavailable: a cluster that may have it is silent.
        :raises LightbitsError: the recorded cluster refused.
        """
        if ref.location is not None:
            return self._recorded_volume(ref, ref.location, deadline)
        found = self.search_volumes(ref, deadline)
        return self._single(found, f'volume {ref.name}')

    def snapshot(self, ref: SnapshotRef, deadline: Deadline
                 ) -> Found[model.Snapshot]:
        """Find the one snapshot of a record; raises as `volume` does."""
        if ref.location is not None:
            return self._recorded_snapshot(ref, ref.location, deadline)
        found = self.search_snapshots(ref, deadline)
        return self._single(found, f'snapshot {ref.name}')

    def volume_at(self, location: Location, deadline: Deadline
                  ) -> Found[model.Volume]:
        """Read the volume at a place, whosever it is.

        :raises ObjectMissing: there is none, or none was made yet.
        """
        return self._at(location, lambda client, uuid: client.get_volume(
            location.project, uuid, deadline=deadline), deadline)

    def snapshot_at(self, location: Location, deadline: Deadline
                    ) -> Found[model.Snapshot]:
        """Read the snapshot at a place; raises as `volume_at` does."""
        return self._at(location, lambda client, uuid: client.get_snapshot(
            location.project, uuid, deadline=deadline), deadline)

    def _at(self, location: Location,
            read: Callable[[LightbitsClient, str], T], deadline: Deadline
            ) -> Found[T]:
        cluster = self.place(location)
        if location.object_uuid is None:
            raise errors.ObjectMissing(
                f'nothing was made on cluster {cluster.name} yet')
        try:
            with cluster.api(deadline) as client:
                return Found(cluster, location.project,
                             read(client, location.object_uuid))
        except lb_errors.NotFound as exc:
            raise errors.ObjectMissing(
                f'{location.object_uuid} is not on cluster {cluster.name} '
                f'any more: {exc}') from exc

    def search_volumes(self, ref: VolumeRef, deadline: Deadline
                       ) -> tuple[Found[model.Volume], ...]:
        """All volumes with the record's name that may be its own.

        Ours by label first. One without labels counts only when none is
        labelled: older arrays and adopted volumes have none.

        :raises IdentityMismatch: several have no labels.
        :raises ClusterUnavailable: not every cluster answered.
        """
        def ask(cluster: Cluster, project: str) -> model.Volume | None:
            with cluster.api(deadline) as client:
                return client.find_volume(project, ref.name,
                                          deadline=deadline)

        return self._claimed(
            self._search(ref.project, ask, deadline), ref.name_id,
            lambda volume: volume.labels)

    def search_snapshots(self, ref: SnapshotRef, deadline: Deadline
                         ) -> tuple[Found[model.Snapshot], ...]:
        """All snapshots with the record's name that may be its own.

        :raises IdentityMismatch: several say nothing of their owner.
        :raises ClusterUnavailable: not every cluster answered.
        """
        def ask(cluster: Cluster, project: str) -> model.Snapshot | None:
            with cluster.api(deadline) as client:
                return client.find_snapshot(project, ref.name,
                                            deadline=deadline)

        source = ref.volume.location
        found = [item for item in self._search(ref.volume.project, ask,
                                               deadline)
                 if source is None or source.object_uuid is None
                 or item.thing.source_volume_uuid == source.object_uuid]
        return self._claimed(
            found, ref.snapshot_id,
            lambda item: ownership.read_description(item.description))

    def _recorded_volume(self, ref: VolumeRef, location: Location,
                         deadline: Deadline) -> Found[model.Volume]:
        cluster = self.place(location)
        with cluster.api(deadline) as client:
            volume = self._read(
                lambda uuid: client.get_volume(location.project, uuid,
                                               deadline=deadline),
                lambda: client.find_volume(location.project, ref.name,
                                           deadline=deadline),
                location)
        if volume is None:
            raise errors.ObjectMissing(
                f'volume {ref.name} is not on cluster {cluster.name}')
        if location.written_ahead:
            self._check_made(cluster, ref.name, ownership.claim_of(
                volume.labels, self._owner, ref.name_id), False)
        check_volume(ref, self._owner, volume)
        return Found(cluster, location.project, volume)

    def _recorded_snapshot(self, ref: SnapshotRef, location: Location,
                           deadline: Deadline) -> Found[model.Snapshot]:
        cluster = self.place(location)
        with cluster.api(deadline) as client:
            snapshot = self._read(
                lambda uuid: client.get_snapshot(location.project, uuid,
                                                 deadline=deadline),
                lambda: client.find_snapshot(location.project, ref.name,
                                             deadline=deadline),
                location)
        if snapshot is None:
            raise errors.ObjectMissing(
                f'snapshot {ref.name} is not on cluster {cluster.name}')
        if location.written_ahead:
            self._check_made(cluster, ref.name, ownership.claim_of(
                ownership.read_description(snapshot.description),
                self._owner, ref.snapshot_id), True)
        check_snapshot(ref, self._owner, snapshot)
        return Found(cluster, location.project, snapshot)

    @staticmethod
    def _check_made(cluster: Cluster, name: str, claim: Claim,
                    always_marked: bool) -> None:
        """Prove that what has the name is what was about to be made.

        :param always_marked: whether what we make says so on any cluster;
            else on those that keep labels.
        :raises ObjectMissing: it is somebody else's, ours was never made.
        :raises ClusterUnavailable: too little is known of the cluster.
        """
        if claim is Claim.OURS:
            return
        if claim is Claim.UNLABELLED and not always_marked:
            if cluster.vitals is None:
                raise errors.ClusterUnavailable(
                    f'cluster {cluster.name} was not looked at yet')
            if not cluster.has_labels:
                return
        raise errors.ObjectMissing(
            f'{name} on cluster {cluster.name} is not ours; ours was never '
            f'made')

    @staticmethod
    def _read(by_uuid: Callable[[str], T], by_name: Callable[[], T | None],
              location: Location) -> T | None:
        if location.object_uuid is None:
            return by_name()
        try:
            return by_uuid(location.object_uuid)
        except lb_errors.NotFound:
            return None

    def _search(self, project: str,
                ask: Callable[[Cluster, str], T | None],
                deadline: Deadline) -> list[Found[T]]:
        clusters = [cluster for cluster in self._registry.clusters
                    if cluster.allows(Use.ASK)]

        def question(cluster: Cluster) -> Found[T] | None:
            local = cluster.settings.project(project)
            try:
                thing = ask(cluster, local)
            except lb_errors.Rejected:
                if cluster.lacks(local, deadline):
                    return None
                raise
            return Found(cluster, local, thing) if thing else None

        answers = self._registry.ask(clusters, question, deadline)
        # A section that cannot be read may stand for a cluster that has it.
        silent = dict(answers.silent) | {
            item.name: str(item.problem) for item in self._registry.broken}
        if silent:
            told = '; '.join(f'{name}: {why}'
                             for name, why in sorted(silent.items()))
            raise errors.ClusterUnavailable(
                f'not every cluster could be asked: {told}')
        return [found for found in answers.given.values() if found]

    def _claimed(self, found: Sequence[Found[T]], name_id: str,
                 marks: Callable[[T], Mapping[str, str]]
                 ) -> tuple[Found[T], ...]:
        by_claim: dict[Claim, list[Found[T]]] = {}
        for item in found:
            claim = ownership.claim_of(marks(item.thing), self._owner,
                                       name_id)
            by_claim.setdefault(claim, []).append(item)
        ours = by_claim.get(Claim.OURS)
        if ours:
            return tuple(ours)
        bare = by_claim.get(Claim.UNLABELLED, [])
        if len(bare) > 1:
            raise _undecided(bare, bare[0].thing.name)
        return tuple(bare)

    @staticmethod
    def _single(found: Sequence[Found[T]], what: str) -> Found[T]:
        if not found:
            raise errors.ObjectMissing(f'{what} is on no cluster')
        if len(found) > 1:
            raise _undecided(found, what)
        return found[0]


def _undecided(found: Sequence[Found[T]], what: str
               ) -> errors.IdentityMismatch:
    names = ', '.join(item.cluster.name for item in found)
    return errors.IdentityMismatch(
        f'{what} is on several clusters ({names}) and nothing tells which '
        f'one is right; all were left alone')
