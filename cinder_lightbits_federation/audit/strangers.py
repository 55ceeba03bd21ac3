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

"""Objects that no record accounts for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
import re

from cinder_lightbits_federation.audit.books import Books
from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.audit.scene import Place
from cinder_lightbits_federation.audit.scene import Scene
from cinder_lightbits_federation.audit.scene import Shelf
from cinder_lightbits_federation.audit.scene import Sighting
from cinder_lightbits_federation.audit.scene import T
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.ownership import Claim
from cinder_lightbits_federation.sizes import GIB

_SECONDS = re.compile(r'(\d+)(?:\.\d+)?s')


def recorded_places(records: Iterable[Record]) -> frozenset[Place]:
    """:returns: every place that a record names."""
    return frozenset(
        (place.cluster_uuid, place.object_uuid)
        for place in (record.location for record in records)
        if place is not None and place.object_uuid is not None)


def orphans(shelf: Shelf[T], records: Iterable[Record],
            elsewhere: Mapping[str, Record], places: frozenset[Place],
            scene: Scene) -> Iterator[Finding]:
    """Objects of ours that are marked for a record that is not there.

    :param records: of this backend.
    :param elsewhere: of other backends, by what their objects bear.
    :param places: that records name; what is there is accounted for.
    """
    known = {record.key for record in records}
    for key, sightings in shelf.claimed.items():
        if key in known:
            continue
        other = elsewhere.get(key)
        for item in sightings:
            if item.place in places or _lives_there(item, other):
                continue
            severity = (Severity.IN_FLIGHT if scene.young(item)
                        else Severity.WARNING)
            yield scene.about(Kind.ORPHAN, severity, item,
                              _whose(item, other))


def _lives_there(item: Sighting[T], record: Record | None) -> bool:
    """Whether a record of another backend accounts for an object."""
    if record is None:
        return False
    place = record.location
    return (place is None or place.object_uuid is None
            or (place.cluster_uuid, place.object_uuid) == item.place)


def _whose(item: Sighting[T], other: Record | None) -> str:
    if other is not None:
        said = (f'its record {other.id} is of {other.host or "no host"} and '
                f'names another place')
    elif item.marked_id:
        said = f'Cinder has no record {item.marked_id}'
    else:
        said = 'it is ours but does not say for which record'
    thing = item.thing
    users = (f', open to {", ".join(sorted(thing.acl))}'
             if isinstance(thing, model.Volume) and thing.acl else '')
    return f'{said}; {thing.size / GIB:g} GiB, {thing.state.value}{users}'


def leftovers(shelf: Shelf[model.Snapshot], volumes: Mapping[str,
              VolumeRecord], ours: frozenset[Place], scene: Scene
              ) -> Iterator[Finding]:
    """Snapshots that clones were made of, after the clone is done.

    :param volumes: records by ``name_id``: whom clones are made for.
    :param ours: places of our volumes; the in-tree driver's intermediate
        snapshots say nothing of their owner but are of these.
    """
    for item in shelf.placed.values():
        if not item.intermediate or item.thing.state.going:
            continue
        source = (item.holdings.uuid, item.thing.source_volume_uuid)
        if item.claim is Claim.OURS or (item.claim is Claim.UNLABELLED
                                        and source in ours):
            target = volumes.get(item.marked_id)
            yield _leftover(item, target, scene)


def _leftover(item: Sighting[model.Snapshot], target: VolumeRecord | None,
              scene: Scene) -> Finding:
    age, keeps = scene.age(item), _retention(item.thing.retention)
    if scene.young(item) or (target is not None and target.in_flight):
        severity, said = Severity.IN_FLIGHT, 'the clone may be under way'
    elif keeps and age is not None and age < keeps + scene.grace:
        severity = Severity.NOTICE
        said = f'the cluster removes it {keeps} s after it was taken'
    else:
        severity, said = Severity.WARNING, 'the clone it was for is over'
    return scene.about(
        Kind.LEFTOVER, severity, item,
        f'{said}; it is of volume {item.thing.source_volume_uuid}')


def copies(shelf: Shelf[model.Volume], volumes: Mapping[str, VolumeRecord],
           places: frozenset[Place], scene: Scene) -> Iterator[Finding]:
    """Volumes that copies between clusters have made and not yet named.

    :param volumes: records by ``name_id``: whom copies are made for.
    :param places: that records name; what is there is complete.
    """
    for item in shelf.placed.values():
        if (not item.copying or item.thing.state.going
                or item.place in places):
            continue
        target = volumes.get(item.marked_id)
        busy = target is not None and target.in_flight
        yield scene.about(
            Kind.COPY, Severity.IN_FLIGHT if busy or scene.young(item)
            else Severity.WARNING, item,
            f'a copy for {item.marked_id} between clusters has made it; it '
            f'takes {item.thing.physical_owned} bytes')


def _retention(text: str) -> int:
    """:returns: seconds of a duration such as ``3600s``, 0 without."""
    found = _SECONDS.fullmatch(text)
    return int(found[1]) if found else 0


def foreign_snapshots(shelf: Shelf[model.Snapshot], books: Books,
                      ours: frozenset[Place], places: frozenset[Place],
                      scene: Scene) -> Iterator[Finding]:
    """Snapshots of our volumes that Cinder has not taken.

    Mostly those of a schedule on the array. They take room, and Cinder does
    not know.

    :param ours: places of our volumes.
    :param places: that records of snapshots name.
    """
    names = {record.name for record in books.snapshots}
    for item in shelf.placed.values():
        thing = item.thing
        source = (item.holdings.uuid, thing.source_volume_uuid)
        if (item.claim is Claim.OURS or source not in ours
                or item.place in places or thing.state.going
                or (item.claim is Claim.UNLABELLED
                    and (item.intermediate or thing.name in names))):
            continue
        yield scene.about(
            Kind.FOREIGN_SNAPSHOT, Severity.NOTICE, item,
            f'it is of our volume {thing.source_volume_uuid} '
            f'({thing.source_volume_name}) and was not taken by Cinder; '
            f'deleting it frees {thing.physical_owned} bytes')


def our_volumes(records: Iterable[VolumeRecord], shelf: Shelf[model.Volume]
                ) -> frozenset[Place]:
    """:returns: places of our volumes: by record, by label, or by name."""
    labelled = {item.place for items in shelf.claimed.values()
                for item in items}
    kept = tuple(records)
    named = {item.place for record in kept if record.location is None
             for item in shelf.copies(record)}
    return recorded_places(kept) | labelled | named
