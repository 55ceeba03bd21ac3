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

"""What a copy makes beside the new volume, and how it is taken away again.

Everything has a name that follows from the copy's state, so that whoever
goes on with it after a crash finds it, and making it again finds it made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import logging

from cinder_lightbits_federation import access
from cinder_lightbits_federation.attachments import Attachment
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.copy.devices import Attacher
from cinder_lightbits_federation.copy.devices import Device
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.creator import Creator
from cinder_lightbits_federation.creator import Recipe
from cinder_lightbits_federation.creator import Refused
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits import volumes
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.remover import remove_snapshot
from cinder_lightbits_federation.remover import remove_volume
from cinder_lightbits_federation.spec import VolumeSpec
from cinder_lightbits_federation.timing import Deadline

LOG = logging.getLogger(__name__)

# The cluster removes the snapshot of a copy that nobody goes on with.
RETENTION = 7 * 86400

FIRST_PASS, SECOND_PASS = 1, 2
PASSES = (FIRST_PASS, SECOND_PASS)


@dataclasses.dataclass(frozen=True, slots=True)
class Marks:
    """What the objects of one copy are called and marked with.

    :param record: the record the copy is for.
    """

    record: str
    attempt: str

    def snapshot(self, number: int) -> str:
        """:returns: name of the snapshot of a pass."""
        return ownership.clone_snapshot_name(
            self.record, f'{self.attempt}_{number}')

    def reader(self, number: int) -> str:
        """:returns: name of the volume that a pass reads from."""
        return ownership.copy_volume_name(
            self.record, f'{self.attempt}_{number}')

    @property
    def target(self) -> str:
        """Name of the new volume while it is not complete."""
        return ownership.copy_volume_name(self.record, self.attempt)


class _Unrecorded:
    """For a volume that is found by its name, whatever happens."""

    def record(self, location: Location) -> None:
        """Do nothing."""


class Pieces:
    """Makes, attaches and removes the objects of copies."""

    def __init__(self, federation: Federation, attacher: Attacher) -> None:
        self._federation = federation
        self._attacher = attacher
        self._creator = Creator(federation.owner)

    def snapshot(self, source: Found[model.Volume], marks: Marks,
                 number: int) -> Found[model.Snapshot]:
        """Take the snapshot of a pass, or find it taken."""
        taken = self._federation.snapshots.take(
            source, marks.snapshot(number), marks.record, marks.attempt,
            RETENTION, self._federation.deadline())
        return Found(source.cluster, source.project, taken)

    def reader(self, snapshot: Found[model.Snapshot], marks: Marks,
               number: int) -> Found[model.Volume]:
        """Make the thin clone that a pass reads, or find it made.

        A snapshot cannot be attached. It is on the cluster that has the
        data, so it is not placed, and takes no room there.

        :raises CopyError: the cluster does not make it.
        """
        thing = snapshot.thing
        new = model.NewVolume(
            name=marks.reader(number), size=thing.size,
            replicas=thing.replicas, compression=thing.compression,
            source_snapshot_uuid=thing.uuid,
            labels=ownership.labels_for(self._federation.owner, marks.record,
                                        marks.attempt))
        request = CreateRequest(
            VolumeRef(new.name, marks.record, snapshot.project), thing.size,
            VolumeSpec(), _Unrecorded())
        try:
            _place, made = self._creator.make(
                snapshot.cluster, request,
                Recipe(snapshot.project, new, marks.attempt),
                self._federation.deadline())
        except Refused as exc:
            raise errors.CopyError(
                f'cluster {snapshot.cluster.name} gives no access to '
                f'snapshot {thing.name}: {exc}') from exc
        return Found(snapshot.cluster, snapshot.project, made)

    @contextlib.contextmanager
    def attached(self, volume: Found[model.Volume]) -> Iterator[Device]:
        """Have a volume of a copy as a device of this host, and nobody else.

        Who had it before, a host that has lost the copy, has it no more.
        After an error access stays: the volume goes, or whoever goes on
        takes it over.
        """
        cluster, thing = volume.cluster, volume.thing
        host = self._attacher.host()
        use_ip_acl = self._federation.settings.use_ip_acl

        def alone(now: model.Volume) -> model.VolumeChange | None:
            return access.conform(now, [host], [], use_ip_acl)

        self._change(volume, alone)
        with cluster.api() as client:
            info = client.cluster_info(volume.project,
                                       deadline=self._federation.deadline())
        attachment = Attachment(thing.uuid, info, cluster.name)
        with self._attacher.connected(attachment) as device:
            yield device
        self._change(volume, access.revoke_all)

    def rename(self, volume: Found[model.Volume], name: str) -> None:
        """Give a volume its final name. Idempotent.

        Who has access keeps it: the volume may be attached by now.
        """
        def renamed(now: model.Volume) -> model.VolumeChange | None:
            return (None if now.name == name
                    else model.VolumeChange(new_name=name))

        self._change(volume, renamed)

    def expel(self, volume: Found[model.Volume]) -> None:
        """Let nobody have access any more. Idempotent."""
        self._change(volume, access.revoke_all)

    def remove_helpers(self, cluster: Cluster, project: str, marks: Marks
                       ) -> None:
        """Remove what was read from. Idempotent.

        :raises LightbitsError: the cluster does not answer.
        """
        deadline = self._federation.deadline()
        with cluster.api(deadline) as client:
            for number in PASSES:
                self._remove_reader(client, project, marks, number, deadline)
                self._remove_snapshot(client, project, marks, number,
                                      deadline)

    def _change(self, volume: Found[model.Volume],
                hook: volumes.Hook) -> None:
        deadline = self._federation.deadline()
        with volume.cluster.api(deadline) as client:
            client.update_volume(volume.project, volume.thing.uuid, hook,
                                 deadline=deadline)

    def _remove_reader(self, client: lb_client.LightbitsClient, project: str,
                       marks: Marks, number: int, deadline: Deadline
                       ) -> None:
        found = client.find_volume(project, marks.reader(number),
                                   deadline=deadline)
        if found is not None and self._mine(found.labels, marks):
            # The name and the marks are this copy's alone.
            remove_volume(client, project, found, _any, deadline)

    def _remove_snapshot(self, client: lb_client.LightbitsClient,
                         project: str, marks: Marks, number: int,
                         deadline: Deadline) -> None:
        found = client.find_snapshot(project, marks.snapshot(number),
                                     deadline=deadline)
        if found is not None and self._mine(
                ownership.read_description(found.description), marks):
            remove_snapshot(client, project, found, _any, deadline)

    def _mine(self, labels: Mapping[str, str], marks: Marks) -> bool:
        return dict(labels).items() >= ownership.labels_for(
            self._federation.owner, marks.record, marks.attempt).items()


def _any(_now: model.Volume | model.Snapshot) -> None:
    """Nothing more has to be proven."""
