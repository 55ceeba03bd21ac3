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

"""What has to be certain before something is changed.

Each of these looks at what was read just now, and raises `Declined` with the
reason when it is not certain.
"""

from __future__ import annotations

from collections.abc import Mapping

from cinder_lightbits_federation import access
from cinder_lightbits_federation.audit.books import age_of
from cinder_lightbits_federation.audit.books import Books
from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.books import SnapshotRecord
from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.audit.objects import Access
from cinder_lightbits_federation.audit.scene import INTERMEDIATE
from cinder_lightbits_federation.audit.scene import Scene
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.ownership import Claim
from cinder_lightbits_federation.sizes import GIB

Thing = model.Volume | model.Snapshot


class Declined(Exception):
    """Nothing was done; the message says which condition does not hold."""


def marks_of(thing: Thing) -> Mapping[str, str]:
    """:returns: what an object says of its owner."""
    if isinstance(thing, model.Volume):
        return thing.labels
    return ownership.read_description(thing.description)


def prove(record: Record, thing: Thing, owner: ownership.Owner,
          named: bool = True) -> None:
    """An object must be marked as made by this cloud for this record.

    :param named: it must have the record's name, too.
    :raises Declined: it is not.
    """
    claim = ownership.claim_of(marks_of(thing), owner, record.key)
    if claim is Claim.UNLABELLED:
        raise Declined('it bears no mark that proves it ours')
    if claim is not Claim.OURS:
        raise Declined("by its marks it is somebody else's")
    if named and thing.name != record.name:
        raise Declined(f'it is named {thing.name!r}, not {record.name!r}')
    if thing.state.going:
        raise Declined('it is being deleted')


def prove_place(record: Record, cluster_uuid: str, uuid: str) -> None:
    """:raises Declined: the record names another object."""
    place = record.location
    if place is not None and (place.cluster_uuid, place.object_uuid or uuid
                              ) != (cluster_uuid, uuid):
        raise Declined('its record names another object')


def prove_source(record: Record, thing: Thing, books: Books) -> None:
    """:raises Declined: a snapshot is of another volume than recorded."""
    if not (isinstance(record, SnapshotRecord)
            and isinstance(thing, model.Snapshot)):
        return
    for volume in books.volumes:
        place = volume.location
        if (volume.id == record.volume_id and place is not None
                and place.object_uuid not in (None,
                                              thing.source_volume_uuid)):
            raise Declined(f'it is of volume {thing.source_volume_uuid}')


def prove_whole_size(thing: Thing) -> None:
    """:raises Declined: Cinder cannot record its size."""
    if thing.size % GIB or not thing.size:
        raise Declined(f'its {thing.size} bytes are not whole GiB; extend '
                       f'the volume in Cinder')


def prove_intermediate(snapshot: model.Snapshot, books: Books,
                       scene: Scene) -> None:
    """A snapshot must have been made by us for a clone that is over.

    :param books: of the record that it says the clone is for.
    :raises Declined: it was not, or the clone may be under way.
    """
    marks = marks_of(snapshot)
    target = marks.get(ownership.LABEL_ID, '')
    claim = ownership.claim_of(marks, scene.owner, target)
    if claim is not Claim.OURS or not target:
        raise Declined('it bears no mark that proves it ours')
    if not snapshot.name.startswith(INTERMEDIATE):
        raise Declined('it is not an intermediate snapshot')
    age = age_of(snapshot.created_at, scene.now)
    if age is None or age < scene.grace:
        raise Declined('it is too young, or does not tell its age')
    for record in (*books.volumes, *books.elsewhere):
        if isinstance(record, VolumeRecord) and record.in_flight:
            raise Declined(f'the clone may be under way: volume '
                           f'{record.id} is {record.status}')


def conforming(now: model.Volume, books: Books, scene: Scene, expel: bool
               ) -> model.VolumeChange | None:
    """Work out what makes a volume's access what its attachments say.

    :param books: with the attachments of just this volume.
    :param expel: also if a host loses access that is connected.
    :raises Declined: somebody comes just now, or is connected.
    :raises AccessError: the attachments cannot be satisfied.
    """
    wanted = Access(books.attachments, scene)
    if wanted.coming:
        raise Declined('a host is being attached just now')
    change = access.conform(now, wanted.hosts, wanted.perhaps,
                            books.use_ip_acl)
    staying = now.acl if change is None or change.acl is None else change.acl
    losing = sorted(set(now.connected_hosts) - staying)
    if change is not None and losing and not expel:
        raise Declined(f'host {", ".join(losing)} is connected and no '
                       f'attachment names it')
    return change
