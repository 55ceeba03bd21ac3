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

"""Whether each record has its object, once, where it says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
from typing import Generic

from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.audit.scene import Scene
from cinder_lightbits_federation.audit.scene import Shelf
from cinder_lightbits_federation.audit.scene import Sighting
from cinder_lightbits_federation.audit.scene import T
from cinder_lightbits_federation.ownership import Claim


@dataclasses.dataclass(frozen=True, slots=True)
class Located(Generic[T]):
    """Where a record's object was found.

    :param here: the object that can be examined further, if there is one.
    """

    here: Sighting[T] | None
    findings: tuple[Finding, ...] = ()


def locate(record: Record, shelf: Shelf[T], scene: Scene) -> Located[T]:
    """Find the object of a record and what is wrong with its place.

    A record in error may have an object or none; only a second one is wrong
    then. Where nobody could look, nothing is said.
    """
    location = record.location
    if location is None or location.object_uuid is None:
        return _search(record, shelf, scene)
    here = shelf.at(location)
    if here is not None and not here.thing.state.going:
        return _present(record, here, shelf, scene)
    others = shelf.copies(record)
    recorded = (f'it is recorded as {location.object_uuid} on cluster '
                f'{scene.name_of(location.cluster_uuid)}')
    why = scene.blind(location)
    if why is not None:
        return Located(None, tuple(_duplicates(
            record, others, scene, f'{recorded}, which was not seen ({why})'
        )))
    return Located(None, tuple(_absent(record, here, others, scene)))


def _present(record: Record, here: Sighting[T], shelf: Shelf[T],
             scene: Scene) -> Located[T]:
    return Located(here, (
        *_wrong_project(record, here, scene),
        *_duplicates(record, shelf.copies(record, but=here), scene,
                     f'it is recorded and found as {here}')))


def _search(record: Record, shelf: Shelf[T], scene: Scene) -> Located[T]:
    """The record does not say where: look for the name everywhere."""
    copies = shelf.copies(record)
    if len(copies) > 1:
        first, *others = copies
        return Located(None, tuple(_duplicates(
            record, others, scene, f'its record names no place; it is also '
            f'found as {first}')))
    if copies:
        found = copies[0]
        return Located(found, () if record.in_error else (scene.about(
            Kind.UNRECORDED, Severity.NOTICE, found,
            f'{_stored(record)}; by its name it is {found}', record),))
    if record.in_error or scene.blind(record.location) is not None:
        return Located(None)
    return Located(None, (scene.without(
        Kind.MISSING, Severity.ERROR, record,
        f'{_stored(record)}, and no cluster has {record.name}'),))


def _stored(record: Record) -> str:
    if not record.provider_location:
        return 'its record names no place'
    if record.location is None:
        return ('its record names a place of another record or driver '
                f'({record.provider_location!r:.120})')
    return (f'its record names cluster {record.location.cluster_uuid} but '
            f'not which object there')


def _wrong_project(record: Record, here: Sighting[T], scene: Scene
                   ) -> Iterator[Finding]:
    recorded = record.location.project if record.location else ''
    if here.thing.project != recorded and not record.in_error:
        yield scene.about(
            Kind.WRONG_PLACE, Severity.ERROR, here,
            f'it is in project {here.thing.project}, recorded in project '
            f'{recorded}', record)


def _duplicates(record: Record, others: Iterable[Sighting[T]], scene: Scene,
                beside: str) -> Iterator[Finding]:
    for item in others:
        severity, whose = Severity.ERROR, 'labelled as the same record\'s'
        if item.claim is Claim.UNLABELLED:
            # Also what a copy of this database in another cloud looks like.
            severity, whose = Severity.WARNING, 'without labels'
        if scene.young(item):
            severity = Severity.IN_FLIGHT
        yield scene.about(
            Kind.DUPLICATE, severity, item,
            f'{beside}; another one, {whose}, is {item}', record)


def _absent(record: Record, going: Sighting[T] | None,
            others: Sequence[Sighting[T]], scene: Scene
            ) -> Iterator[Finding]:
    location = record.location
    if location is None or record.in_error:
        yield from _duplicates(record, others[1:], scene,
                               f'it is found as {(*others, "")[0]}')
        return
    recorded = (f'it is recorded as {location.object_uuid} on cluster '
                f'{scene.name_of(location.cluster_uuid)}')
    if location.cluster_uuid not in scene.seen:
        found = ', '.join(map(str, others)) or 'on no other cluster'
        yield scene.without(
            Kind.WRONG_PLACE, Severity.ERROR, record,
            f'it is recorded on cluster {location.cluster_uuid}, which is '
            f'not in the configuration; found: {found}')
    elif others:
        yield scene.about(Kind.WRONG_PLACE, Severity.ERROR, others[0],
                          f'{recorded}, and found as {others[0]}', record)
        yield from _duplicates(record, others[1:], scene,
                               f'it is found as {others[0]}')
    else:
        tail = ('it is being deleted there' if going is not None
                else 'it is not there and on no other cluster')
        unseen = scene.blind(None)
        if unseen is not None:
            tail += f' that was asked (not asked: {unseen})'
        yield scene.without(Kind.MISSING, Severity.ERROR, record,
                            f'{recorded}; {tail}')
