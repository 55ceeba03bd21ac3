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

"""The comparison itself: a function of records and objects alone.

The same checker serves the operator's audit and the tests. It is linear in
the number of records and objects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import datetime

from cinder_lightbits_federation.audit.books import AttachmentRecord
from cinder_lightbits_federation.audit.books import Books
from cinder_lightbits_federation.audit.books import Holdings
from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.books import Seen
from cinder_lightbits_federation.audit.books import Silent
from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.audit import golden
from cinder_lightbits_federation.audit import objects
from cinder_lightbits_federation.audit.places import locate
from cinder_lightbits_federation.audit.scene import Scene
from cinder_lightbits_federation.audit.scene import Shelf
from cinder_lightbits_federation.audit.scene import snapshot_shelf
from cinder_lightbits_federation.audit.scene import T
from cinder_lightbits_federation.audit.scene import volume_shelf
from cinder_lightbits_federation.audit import strangers
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.ownership import Claim
from cinder_lightbits_federation.ownership import Owner

# An object younger than so many seconds may still be on its way into the
# records.
GRACE = 600.0


def check(books: Books, holdings: Seen, now: datetime.datetime,
          owner: Owner, grace: float = GRACE) -> tuple[Finding, ...]:
    """Return everything on which records and clusters disagree.

    Objects of other owners are never findings, except snapshots that they
    take of our volumes.

    :param books: what Cinder says of one backend.
    :param holdings: what each of its clusters says, or why it says nothing.
    :param now: with a time zone; ages are counted from it.
    :param grace: seconds; younger objects are in flight.
    """
    scene = Scene(holdings, owner, now, grace)
    volumes = volume_shelf(holdings, owner)
    snapshots = snapshot_shelf(holdings, owner)
    return tuple((
        *_volumes(books, volumes, scene),
        *_snapshots(books, snapshots, scene),
        *_strangers(books, volumes, snapshots, scene),
        *_not_asked(books, scene)))


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """How many things were compared, and how many are not ours."""

    volumes: int
    snapshots: int
    attachments: int
    foreign_volumes: int
    foreign_snapshots: int


def tally(books: Books, holdings: Seen, owner: Owner) -> Tally:
    """:returns: what an audit was about.

    Foreign is what neither bears our mark nor is named by a record.
    """
    return Tally(
        len(books.volumes), len(books.snapshots), len(books.attachments),
        _foreign(volume_shelf(holdings, owner), books.records),
        _foreign(snapshot_shelf(holdings, owner), books.records))


def _foreign(shelf: Shelf[T], records: Sequence[Record]) -> int:
    places = strangers.recorded_places(records)
    names = {record.name for record in records}
    return sum(item.claim is not Claim.OURS and item.place not in places
               and item.thing.name not in names
               for item in shelf.placed.values())


def _volumes(books: Books, shelf: Shelf[model.Volume], scene: Scene
             ) -> Iterator[Finding]:
    attachments: dict[str, list[AttachmentRecord]] = {}
    for item in books.attachments:
        attachments.setdefault(item.volume_id, []).append(item)
    for record in books.volumes:
        found = locate(record, shelf, scene)
        yield from found.findings
        if found.here is not None and not record.adopting:
            yield from objects.check_object(record, found.here, scene)
            yield from objects.check_access(
                record, found.here, attachments.get(record.id, ()),
                books.use_ip_acl, scene)


def _snapshots(books: Books, shelf: Shelf[model.Snapshot], scene: Scene
               ) -> Iterator[Finding]:
    volumes = {record.id: record for record in books.volumes}
    for record in books.snapshots:
        found = locate(record, shelf, scene)
        yield from found.findings
        if found.here is not None and not record.adopting:
            yield from objects.check_object(record, found.here, scene)
            yield from objects.check_source(
                record, found.here, volumes.get(record.volume_id), scene)


def _strangers(books: Books, volumes: Shelf[model.Volume],
               snapshots: Shelf[model.Snapshot], scene: Scene
               ) -> Iterator[Finding]:
    volume_places = strangers.recorded_places(books.volumes)
    snapshot_places = strangers.recorded_places(books.snapshots)
    elsewhere: Mapping[str, Record] = {
        record.key: record for record in books.elsewhere}
    ours = strangers.our_volumes(books.volumes, volumes)
    by_name_id = {record.name_id: record for record in books.volumes}
    yield from strangers.orphans(volumes, books.volumes, elsewhere,
                                 volume_places, scene)
    yield from strangers.orphans(snapshots, books.snapshots, elsewhere,
                                 snapshot_places, scene)
    yield from strangers.leftovers(snapshots, by_name_id, ours, scene)
    yield from strangers.foreign_snapshots(snapshots, books, ours,
                                           snapshot_places, scene)
    yield from strangers.copies(volumes, by_name_id, volume_places, scene)
    yield from golden.masters(volumes, snapshots, scene)


def _not_asked(books: Books, scene: Scene) -> Iterator[Finding]:
    counts = _recorded_on(books.records)
    for item in scene.seen.values():
        if isinstance(item, Silent):
            yield _silent(item, counts)
        else:
            yield from _unread(item, counts)


def _recorded_on(records: Sequence[Record]) -> Counter[tuple[str, str]]:
    """Count records by kind and by cluster, and by cluster and project."""
    counts: Counter[tuple[str, str]] = Counter()
    for record in records:
        place = record.location
        if place is not None:
            kind = ('volumes' if isinstance(record, VolumeRecord)
                    else 'snapshots')
            counts[kind, place.cluster_uuid] += 1
            counts[place.cluster_uuid, place.project] += 1
    return counts


def _silent(item: Silent, counts: Counter[tuple[str, str]]) -> Finding:
    uuid = item.uuid or ''
    there = (f'{counts["volumes", uuid]} volumes and '
             f'{counts["snapshots", uuid]} snapshots are recorded there'
             if uuid else 'how many objects are recorded there is not known')
    return Finding(
        Kind.NOT_ASKED, Severity.NOTICE if item.lost else Severity.WARNING,
        'cluster', f'{item.reason}; {there}', cluster=item.cluster,
        cluster_uuid=uuid)


def _unread(item: Holdings, counts: Counter[tuple[str, str]]
            ) -> Iterator[Finding]:
    for project, why in sorted(item.unread.items()):
        there = counts[item.uuid, project]
        yield Finding(
            Kind.NOT_ASKED, Severity.WARNING if there else Severity.NOTICE,
            'cluster', f'project {project} could not be read: {why}; {there} '
            f'objects are recorded there', cluster=item.cluster,
            cluster_uuid=item.uuid, object_name=project)
