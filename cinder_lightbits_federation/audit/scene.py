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

"""What every rule of the audit works on: objects in order, time, owner."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
import datetime
from typing import Generic, TypeVar

from cinder_lightbits_federation.audit.books import age_of
from cinder_lightbits_federation.audit.books import Holdings
from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.books import Seen
from cinder_lightbits_federation.audit.books import Silent
from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation import goldenrules
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.ownership import Claim

T = TypeVar('T', model.Volume, model.Snapshot)

Place = tuple[str, str]
"""UUIDs of a cluster and of an object on it."""

# What the intermediate snapshots of clones are called, those of the in-tree
# driver too; see `ownership.clone_snapshot_name`.
INTERMEDIATE = 'for_clone_'


@dataclasses.dataclass(frozen=True, slots=True)
class Sighting(Generic[T]):
    """An object and the cluster it was seen on.

    :param marks: what it says of its owner: labels, or a description.
    :param claim: what that means; for an object of ours always OURS, as no
        record is compared yet.
    """

    holdings: Holdings
    thing: T
    marks: Mapping[str, str]
    claim: Claim

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.holdings.uuid, self.thing.uuid

    @property
    def owner(self) -> str:
        """Whom it says it belongs to, empty if nobody."""
        return self.marks.get(ownership.LABEL_OWNER, '')

    @property
    def marked_id(self) -> str:
        """The record it says it was made for, empty if none."""
        return self.marks.get(ownership.LABEL_ID, '')

    @property
    def resource(self) -> str:
        """``volume`` or ``snapshot``."""
        return ('volume' if isinstance(self.thing, model.Volume)
                else 'snapshot')

    @property
    def intermediate(self) -> bool:
        """Whether it is a snapshot that a clone was made of."""
        return (isinstance(self.thing, model.Snapshot)
                and self.thing.name.startswith(INTERMEDIATE))

    @property
    def golden(self) -> bool:
        """Whether it is, or belongs to, the master of a golden image."""
        return (self.claim is Claim.OURS
                and goldenrules.is_golden(self.marked_id))

    @property
    def copying(self) -> bool:
        """Whether it is a volume that a copy between clusters has made."""
        return (isinstance(self.thing, model.Volume)
                and self.claim is Claim.OURS
                and self.thing.name.startswith(ownership.COPY_PREFIX))

    def __str__(self) -> str:
        return f'{self.thing.uuid} on cluster {self.holdings.cluster}'


class Shelf(Generic[T]):
    """All volumes, or all snapshots, of all clusters that answered.

    :ivar placed: by their place.
    :ivar claimed: ours, by the record they are marked with; golden images
        are of none, and what is being copied is not yet.
    :ivar unmarked: those that do not say whose they are, by name.
    """

    def __init__(self, sightings: Iterable[Sighting[T]]) -> None:
        self.placed: dict[Place, Sighting[T]] = {}
        self.claimed: dict[str, list[Sighting[T]]] = {}
        self.unmarked: dict[str, list[Sighting[T]]] = {}
        for item in sightings:
            self.placed[item.place] = item
            if item.thing.state.going or item.intermediate or item.golden:
                continue
            if item.copying:  # Its data may be there in part only.
                continue
            if item.claim is Claim.OURS:
                self.claimed.setdefault(item.marked_id, []).append(item)
            elif item.claim is Claim.UNLABELLED:
                self.unmarked.setdefault(item.thing.name, []).append(item)

    def copies(self, record: Record, but: Sighting[T] | None = None
               ) -> list[Sighting[T]]:
        """:returns: what may be a record's object, labelled ones first."""
        return [item for item in (*self.claimed.get(record.key, ()),
                                  *self.unmarked.get(record.name, ()))
                if item is not but]

    def at(self, location: Location | None) -> Sighting[T] | None:
        """:returns: the object at a recorded place, whatever it is."""
        if location is None or location.object_uuid is None:
            return None
        return self.placed.get((location.cluster_uuid,
                                location.object_uuid))


def _judge(marks: Mapping[str, str], owner: ownership.Owner) -> Claim:
    claim = ownership.claim_of(marks, owner,
                               marks.get(ownership.LABEL_ID, ''))
    return Claim.OURS if claim is Claim.OTHER_RECORD else claim


def _sightings(seen: Seen, owner: ownership.Owner,
               things: Callable[[Holdings], Sequence[T]],
               marks: Callable[[T], Mapping[str, str]]
               ) -> Iterable[Sighting[T]]:
    for holdings in seen.values():
        if isinstance(holdings, Silent):
            continue
        for thing in things(holdings):
            told = marks(thing)
            yield Sighting(holdings, thing, told, _judge(told, owner))


def volume_shelf(seen: Seen, owner: ownership.Owner) -> Shelf[model.Volume]:
    """:returns: the volumes of all clusters that answered."""
    return Shelf(_sightings(seen, owner, lambda item: item.volumes,
                            lambda volume: volume.labels))


def snapshot_shelf(seen: Seen, owner: ownership.Owner
                   ) -> Shelf[model.Snapshot]:
    """:returns: the snapshots of all clusters that answered.

    A snapshot inherits the labels of its volume whoever takes it; what this
    project takes says so in its description.
    """
    return Shelf(_sightings(
        seen, owner, lambda item: item.snapshots,
        lambda snapshot: ownership.read_description(snapshot.description)))


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """Whose audit it is, when, and of which clusters.

    :param grace: seconds; an object younger than that is in flight.
    """

    seen: Seen
    owner: ownership.Owner
    now: datetime.datetime
    grace: float

    def age(self, sighting: Sighting[T]) -> float | None:
        """:returns: seconds since it was created, None if not known."""
        return age_of(sighting.thing.created_at, self.now)

    def young(self, sighting: Sighting[T]) -> bool:
        """Whether an object was made so lately that it proves nothing."""
        age = self.age(sighting)
        if age is None:
            return sighting.thing.state.value == 'Creating'
        return age < self.grace

    def recent(self, moment: datetime.datetime | None) -> bool:
        """Whether a record was written so lately that it proves nothing."""
        return (moment is not None
                and (self.now - moment).total_seconds() < self.grace)

    def about(self, kind: Kind, severity: Severity, sighting: Sighting[T],
              evidence: str, record: Record | None = None, host: str = ''
              ) -> Finding:
        """:returns: a finding about an object, and its record if any."""
        thing = sighting.thing
        if record is not None and record.in_flight:
            severity = Severity.IN_FLIGHT
        return Finding(
            kind, severity, sighting.resource, evidence,
            cluster=sighting.holdings.cluster,
            cluster_uuid=sighting.holdings.uuid, object_uuid=thing.uuid,
            object_name=thing.name,
            cinder_id=record.id if record else sighting.marked_id,
            owner=sighting.owner, age=self.age(sighting),
            space=thing.physical_owned, host=host, project=thing.project)

    def without(self, kind: Kind, severity: Severity, record: Record,
                evidence: str) -> Finding:
        """:returns: a finding about a record that has no object."""
        location = record.location
        uuid = location.cluster_uuid if location else ''
        return Finding(
            kind, Severity.IN_FLIGHT if record.in_flight else severity,
            'volume' if isinstance(record, VolumeRecord) else 'snapshot',
            evidence, cluster=self.name_of(uuid), cluster_uuid=uuid,
            object_uuid=(location.object_uuid or '') if location else '',
            object_name=record.name, cinder_id=record.id)

    def name_of(self, uuid: str) -> str:
        """:returns: what a cluster is called, empty if it is not known."""
        found = self.seen.get(uuid)
        return found.cluster if found else ''

    def blind(self, location: Location | None) -> str | None:
        """Whether a record's object may be where nobody could look.

        :param location: None when it may be anywhere; a cluster that is
            declared lost is then taken to hold nothing.
        :returns: what could not be seen and why, None if all that matters
            was seen.
        """
        if location is None:
            return self._blind_anywhere()
        found = self.seen.get(location.cluster_uuid)
        if isinstance(found, Silent):
            return f'cluster {found.cluster}: {found.reason}'
        if found is not None:
            why = found.unread.get(location.project)
            return why and f'project {location.project}: {why}'
        return next((f'cluster {item.cluster}, of unknown UUID: '
                     f'{item.reason}' for item in self.seen.values()
                     if isinstance(item, Silent) and item.uuid is None),
                    None)

    def _blind_anywhere(self) -> str | None:
        for item in self.seen.values():
            if isinstance(item, Silent):
                if not item.lost:
                    return f'cluster {item.cluster}: {item.reason}'
                continue
            for project, why in item.unread.items():
                return f'project {project} of {item.cluster}: {why}'
        return None
