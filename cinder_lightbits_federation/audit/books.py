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

"""The two sides of the comparison: records of Cinder, contents of clusters.

Sizes are bytes. Nothing here is read from anywhere; see `collect` and
`database`.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime

from cinder_lightbits_federation.access import HostAccess
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation.location import recorded_for

# Statuses of a volume (cinder/objects/fields.py, VolumeStatus) in which
# nothing is being done to its data or its place.
AT_REST = frozenset({
    'available', 'in-use', 'reserved', 'attaching', 'awaiting-transfer',
    'error_extending', 'error_restoring', 'error_backing-up'})

# After these the object may be there, half there, or not there at all.
IN_ERROR = frozenset({
    'error', 'error_deleting', 'error_managing', 'error_managing_deleting'})

# While and after these the object at the recorded place may still be what it
# was before somebody asked to have it managed.
ADOPTING = frozenset({
    'managing', 'error_managing', 'error_managing_deleting'})

# Values of a volume's migration_status that mean no migration is under way.
NOT_MIGRATING = frozenset({'', 'none', 'success', 'error'})

# Statuses of an attachment (VolumeAttachStatus). The host of the first has
# access for certain; that of the second is recorded before it is admitted.
ATTACHED = 'attached'
ATTACHING = 'attaching'


class _Record:
    """What the status of a record says of the object."""

    __slots__ = ()
    status: str

    @property
    def in_error(self) -> bool:
        """Whether nobody can say if the object should be there."""
        return self.status in IN_ERROR

    @property
    def adopting(self) -> bool:
        """Whether its object may not have been taken over."""
        return self.status in ADOPTING


@dataclasses.dataclass(frozen=True, slots=True)
class VolumeRecord(_Record):
    """A volume that Cinder knows.

    :param name_id: the id that its object on the array bears.
    :param name: what that object is called, by Cinder's template.
    :param size: bytes.
    :param provider_location: the text as stored.
    :param host: the service and pool that the record names.
    :param migrating: a migration is under way from or to it.
    :param temporary: made by Cinder for its own use; hosts may be connected
        to it without an attachment.
    :param location: what `provider_location` says, if it was written for
        this record.
    """

    id: str
    name_id: str
    name: str
    status: str
    size: int
    provider_location: str | None = None
    host: str = ''
    migrating: bool = False
    temporary: bool = False
    location: Location | None = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'location', recorded_for(
            self.provider_location, self.name_id))

    @property
    def key(self) -> str:
        """What its object on the array is marked with."""
        return self.name_id

    @property
    def in_flight(self) -> bool:
        """Whether something is being done to it."""
        return (self.migrating or self.temporary
                or self.status not in AT_REST | IN_ERROR)


@dataclasses.dataclass(frozen=True, slots=True)
class SnapshotRecord(_Record):
    """A snapshot that Cinder knows; fields as in `VolumeRecord`.

    :param size: bytes of the volume when the snapshot was taken.
    """

    id: str
    volume_id: str
    name: str
    status: str
    size: int
    provider_location: str | None = None
    host: str = ''
    location: Location | None = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'location', recorded_for(
            self.provider_location, self.id))

    @property
    def key(self) -> str:
        """What its object on the array is marked with."""
        return self.id

    @property
    def in_flight(self) -> bool:
        """Whether something is being done to it."""
        return self.status != 'available' and not self.in_error


@dataclasses.dataclass(frozen=True, slots=True)
class AttachmentRecord:
    """A host's claim to a volume.

    :param host: None while nobody is connected by it.
    :param changed_at: when it was last written.
    """

    id: str
    volume_id: str
    status: str
    host: HostAccess | None
    changed_at: datetime.datetime | None = None


Record = VolumeRecord | SnapshotRecord


@dataclasses.dataclass(frozen=True, slots=True)
class Books:
    """What Cinder's database says of one backend.

    :param elsewhere: records of other backends that were asked for because
        an object here bears their id.
    :param use_ip_acl: hosts are admitted by their addresses too.
    """

    volumes: tuple[VolumeRecord, ...] = ()
    snapshots: tuple[SnapshotRecord, ...] = ()
    attachments: tuple[AttachmentRecord, ...] = ()
    elsewhere: tuple[Record, ...] = ()
    use_ip_acl: bool = True

    @property
    def records(self) -> tuple[Record, ...]:
        """Volumes and snapshots of this backend."""
        return (*self.volumes, *self.snapshots)


@dataclasses.dataclass(frozen=True, slots=True)
class Holdings:
    """What a cluster holds, objects that are being deleted included.

    :param cluster: its name in the configuration.
    :param unread: projects that could not be read, and why.
    :param keeps_labels: whether the cluster is known to keep labels.
    """

    cluster: str
    uuid: str
    volumes: tuple[model.Volume, ...] = ()
    snapshots: tuple[model.Snapshot, ...] = ()
    unread: Mapping[str, str] = dataclasses.field(default_factory=dict)
    keeps_labels: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Silent:
    """A cluster that was not asked or did not answer.

    :param uuid: None when it was never reached and its section has none.
    :param lost: declared lost by the operator, so not asked on purpose.
    """

    cluster: str
    uuid: str | None
    reason: str
    lost: bool = False


# By the clusters' UUIDs; a cluster without a known one is under its name.
Seen = Mapping[str, Holdings | Silent]


def age_of(created_at: str, now: datetime.datetime) -> float | None:
    """How old an object is.

    :param created_at: RFC 3339, as clusters report it.
    :param now: with a time zone.
    :returns: seconds, never negative; None when the cluster does not say
        (older ones never do, others not while it is being created).
    """
    try:
        created = datetime.datetime.fromisoformat(created_at)
    except ValueError:
        return None
    if created.tzinfo is None:
        created = created.replace(tzinfo=datetime.UTC)
    return max(0.0, (now - created).total_seconds())
