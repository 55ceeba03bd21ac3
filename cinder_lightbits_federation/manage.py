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

"""Taking over objects that exist already, and letting go of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import logging
from typing import TypeVar

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.editor import Editor
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.finder import Finder
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.ownership import Claim
from cinder_lightbits_federation.refs import Recorder
from cinder_lightbits_federation.refs import SnapshotRef
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.spec import is_uuid
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.views import Use

LOG = logging.getLogger(__name__)

T = TypeVar('T', model.Volume, model.Snapshot)

NAME = 'source-name'
UUID = 'source-id'
CLUSTER = 'cluster'
PROJECT = 'project'
KEYS = (NAME, UUID, CLUSTER, PROJECT)

# What an object that was let go of is marked with, instead of its owner.
LABEL_RELEASED = 'cinder_released'
RENAME_SINCE = (3, 16)
RENAME_ATTEMPTS = 3


class InvalidReference(errors.FederationError):
    """A reference to an existing object is malformed or leads nowhere."""


class NotManageable(errors.FederationError):
    """The object is there but must not be taken over."""


@dataclasses.dataclass(frozen=True, slots=True)
class Existing:
    """Which object an operator means: by name or UUID.

    :param cluster: name or UUID of the cluster to look on; None for all.
    """

    name: str | None
    uuid: str | None
    project: str
    cluster: str | None = None

    @classmethod
    def parse(cls, reference: Mapping[str, object], default_project: str
              ) -> Existing:
        """Read ``{'source-name': ..., 'cluster': ...}``.

        :raises InvalidReference: a key is missing or not known.
        """
        unknown = sorted(set(reference) - set(KEYS))
        if unknown:
            raise InvalidReference(
                f'unknown key {", ".join(unknown)}; known are '
                f'{", ".join(KEYS)}')
        texts = {key: str(value).strip() for key, value in reference.items()
                 if value}
        if (NAME in texts) == (UUID in texts):
            raise InvalidReference(f'either {NAME} or {UUID} is needed')
        if UUID in texts and not is_uuid(texts[UUID]):
            raise InvalidReference(f'{UUID} is not a UUID: {texts[UUID]!r}')
        return cls(name=texts.get(NAME),
                   uuid=texts.get(UUID, '').lower() or None,
                   project=texts.get(PROJECT, default_project),
                   cluster=texts.get(CLUSTER))


class Manage:
    """Use cases of objects that were not made by Cinder."""

    def __init__(self, registry: Registry, finder: Finder, editor: Editor,
                 owner: ownership.Owner) -> None:
        self._registry = registry
        self._finder = finder
        self._editor = editor
        self._owner = owner

    def find_volume(self, existing: Existing, deadline: Deadline
                    ) -> Found[model.Volume]:
        """Find the volume an operator means.

        :raises InvalidReference: it is on no cluster, or on several.
        :raises ClusterUnavailable: a cluster that may have it is silent.
        """
        def ask(cluster: Cluster, project: str) -> model.Volume | None:
            with cluster.api(deadline) as client:
                if existing.uuid is None:
                    return client.find_volume(project, existing.name or '',
                                              deadline=deadline)
                return client.get_volume(project, existing.uuid,
                                         deadline=deadline)

        return self._find(existing, ask, deadline)

    def find_snapshot(self, existing: Existing, deadline: Deadline
                      ) -> Found[model.Snapshot]:
        """Find the snapshot an operator means; raises as `find_volume`."""
        def ask(cluster: Cluster, project: str) -> model.Snapshot | None:
            with cluster.api(deadline) as client:
                if existing.uuid is None:
                    return client.find_snapshot(project, existing.name or '',
                                                deadline=deadline)
                return client.get_snapshot(project, existing.uuid,
                                           deadline=deadline)

        return self._find(existing, ask, deadline)

    def adopt_volume(self, found: Found[model.Volume], target: VolumeRef,
                     size: int, recorder: Recorder, deadline: Deadline
                     ) -> Location:
        """Make an existing volume the one of a record: name and labels.

        The place is recorded first: should this break off, the record names
        the volume, whose name does not match yet, so nothing destroys it,
        and `release_volume` can tell how far it came.

        :param size: bytes it shall have, its own rounded up to whole GiB.
        :raises NotManageable: it is in use, is somebody else's, or the
            cluster cannot rename.
        """
        def check(now: model.Volume) -> None:
            reason = self.why_not_volume(dataclasses.replace(found,
                                                             thing=now))
            if reason:
                raise NotManageable(f'volume {now.name}: {reason}')

        check(found.thing)
        attempt = ownership.new_attempt()
        location = self._location(found, target.name_id, attempt)
        recorder.record(location)
        labels = ownership.labels_for(self._owner, target.name_id, attempt,
                                      target.tenant)
        hook = _Takeover(target.name, labels, size, check)
        with found.cluster.api(deadline) as client:
            client.update_volume(found.project, found.thing.uuid, hook,
                                 deadline=deadline)
        return location

    def release_volume(self, ref: VolumeRef, deadline: Deadline) -> None:
        """Let go of a volume: it stays, unowned. Idempotent.

        One that is proven gone, or was not taken over after all, is left
        as it is.
        """
        def let_go(_cluster: Cluster, now: model.Volume
                   ) -> model.VolumeChange | None:
            # Labels can be replaced but not emptied; a cluster that keeps
            # none has nothing to replace.
            claim = ownership.claim_of(now.labels, self._owner, ref.name_id)
            if claim is not Claim.OURS:
                return None
            return model.VolumeChange(labels={LABEL_RELEASED: ref.name_id})

        try:
            self._editor.change_unproven(ref, let_go, deadline)
        except errors.ObjectMissing as exc:
            LOG.warning('Nothing of volume %s to let go of: %s', ref.name,
                        exc)

    def adopt_snapshot(self, found: Found[model.Snapshot], ref: SnapshotRef,
                       recorder: Recorder) -> Location:
        """Record an existing snapshot; it keeps its name.

        :raises NotManageable: it is of another volume or somebody else's.
        """
        reason = self.why_not_snapshot(found)
        source = ref.volume.location
        if reason is None and (
                source is None or source.object_uuid is None
                or source.object_uuid != found.thing.source_volume_uuid):
            reason = (f'it is of volume {found.thing.source_volume_uuid}, '
                      f'not of {ref.volume.name}')
        if reason:
            raise NotManageable(f'snapshot {found.thing.name}: {reason}')
        location = self._location(found, ref.snapshot_id, None)
        recorder.record(location)
        return location

    def why_not_volume(self, found: Found[model.Volume]) -> str | None:
        """:returns: why a volume cannot be taken over, None if it can."""
        volume, version = found.thing, None
        if found.cluster.vitals is not None:
            version = found.cluster.vitals.version
        if version is not None and version < RENAME_SINCE:
            return 'its cluster cannot rename volumes (needs 3.16 or newer)'
        if not volume.state.settled:
            return f'it is {volume.state.value}'
        hosts = volume.acl - {model.ALLOW_ANY}
        if hosts or volume.connected_hosts:
            using = sorted(hosts | set(volume.connected_hosts))
            return f'it is in use by {", ".join(using)}'
        return self._owned(volume.labels)

    def why_not_snapshot(self, found: Found[model.Snapshot]) -> str | None:
        """:returns: why a snapshot cannot be taken over, None if it can."""
        snapshot = found.thing
        if snapshot.state is not model.SnapshotState.AVAILABLE:
            return f'it is {snapshot.state.value}'
        if snapshot.retention:
            return (f'the cluster removes it itself after '
                    f'{snapshot.retention}')
        return self._owned(ownership.read_description(snapshot.description))

    def volumes(self, project: str, deadline: Deadline
                ) -> list[Found[model.Volume]]:
        """All volumes of a project on all clusters that answer."""
        def pages(cluster: Cluster, local: str) -> list[model.Volume]:
            with cluster.api(deadline) as client:
                return list(client.list_volumes(local, deadline=deadline))

        return list(self._list(project, pages, deadline))

    def snapshots(self, project: str, deadline: Deadline
                  ) -> list[Found[model.Snapshot]]:
        """All snapshots of a project on all clusters that answer."""
        def pages(cluster: Cluster, local: str) -> list[model.Snapshot]:
            with cluster.api(deadline) as client:
                return list(client.list_snapshots(local, deadline=deadline))

        return list(self._list(project, pages, deadline))

    def _owned(self, marks: Mapping[str, str]) -> str | None:
        owner = marks.get(ownership.LABEL_OWNER)
        if owner == self._owner.federation_id:
            if ownership.LABEL_OFFERED in marks:
                return None
            return (f'it belongs to this cloud already, to record '
                    f'{marks.get(ownership.LABEL_ID)}')
        if owner or marks.get(ownership.LABEL_ID):
            return f'it belongs to somebody else ({owner or "unnamed"})'
        return None

    def _clusters(self, wanted: str | None) -> Sequence[Cluster]:
        usable = [cluster for cluster in self._registry.clusters
                  if cluster.allows(Use.ASK)]
        if wanted is None:
            return usable
        chosen = [cluster for cluster in usable
                  if wanted in (cluster.name, cluster.uuid)]
        if not chosen:
            raise InvalidReference(
                f'{CLUSTER} {wanted!r} is not known; known are '
                f'{", ".join(item.name for item in usable)}')
        return chosen

    def _find(self, existing: Existing,
              ask: Callable[[Cluster, str], T | None], deadline: Deadline
              ) -> Found[T]:
        def question(cluster: Cluster) -> Found[T] | None:
            local = cluster.settings.project(existing.project)
            try:
                thing = ask(cluster, local)
            except lb_errors.NotFound:
                return None
            return Found(cluster, local, thing) if thing else None

        answers = self._registry.ask(self._clusters(existing.cluster),
                                     question, deadline)
        found = [item for item in answers.given.values() if item]
        what = existing.uuid or existing.name
        if len(found) > 1:
            names = ', '.join(item.cluster.name for item in found)
            raise InvalidReference(f'{what} is on several clusters '
                                   f'({names}); say which with {CLUSTER}')
        if answers.silent:
            told = '; '.join(f'{name}: {why}' for name, why
                             in sorted(answers.silent.items()))
            raise errors.ClusterUnavailable(
                f'not every cluster could be asked for {what}: {told}')
        if not found:
            raise InvalidReference(
                f'{what} is on no cluster, in project {existing.project}')
        return found[0]

    def _list(self, project: str,
              pages: Callable[[Cluster, str], list[T]], deadline: Deadline
              ) -> Iterator[Found[T]]:
        def question(cluster: Cluster) -> list[Found[T]]:
            local = cluster.settings.project(project)
            return [Found(cluster, local, thing)
                    for thing in pages(cluster, local)]

        answers = self._registry.ask(self._clusters(None), question,
                                     deadline)
        for found in answers.given.values():
            yield from found

    @staticmethod
    def _location(found: Found[T], record: str, attempt: str | None
                  ) -> Location:
        if found.cluster.uuid is None:
            raise errors.ClusterUnavailable(
                f'cluster {found.cluster.name} was not reached yet')
        return Location(found.cluster.uuid, record, found.project,
                        found.thing.uuid, attempt)


class _Takeover:
    """The edit that makes a volume ours; gives up when renames are lost.

    A cluster that does not know the field for the new name ignores it.

    :param check: raises when a volume must not be taken over, or not any
        more.
    """

    def __init__(self, name: str, labels: Mapping[str, str], size: int,
                 check: Callable[[model.Volume], None]) -> None:
        self._name = name
        self._labels = labels
        self._size = size
        self._check = check
        self._asked = 0

    def __call__(self, now: model.Volume) -> model.VolumeChange | None:
        if now.name == self._name:
            return self._rest(now)
        if now.state.settled and not self._labels.items() <= (
                now.labels.items()):
            self._check(now)
        if self._asked >= RENAME_ATTEMPTS:
            raise NotManageable(
                f'volume {now.name}: its cluster does not rename it (needs '
                f'3.16 or newer)')
        self._asked += 1
        return model.VolumeChange(new_name=self._name, labels=self._labels,
                                  acl=frozenset(), ip_acl=frozenset(),
                                  size=self._grown(now))

    def _rest(self, now: model.Volume) -> model.VolumeChange | None:
        size = self._grown(now)
        return None if size is None else model.VolumeChange(size=size)

    def _grown(self, now: model.Volume) -> int | None:
        return self._size if now.size < self._size else None
