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

"""Bringing records up to what clusters hold, after the database went back.

The clusters are what counts here: objects without a record get one, records
without an object are set to error, and attachments become what the access
lists say. Nothing is deleted on any cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
import datetime
from typing import Any, Protocol

from cinder_lightbits_federation.audit.books import age_of
from cinder_lightbits_federation.audit.books import Books
from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.books import SnapshotRecord
from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.audit.changes import Action
from cinder_lightbits_federation.audit.changes import Done
from cinder_lightbits_federation.audit.changes import Task
from cinder_lightbits_federation.audit import exports
from cinder_lightbits_federation.audit.exports import Export
from cinder_lightbits_federation.audit.exports import Row
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.journal import Journal
from cinder_lightbits_federation.audit.proofs import Declined
from cinder_lightbits_federation.audit.proofs import marks_of
from cinder_lightbits_federation.audit.proofs import prove
from cinder_lightbits_federation.audit.proofs import prove_place
from cinder_lightbits_federation.audit.proofs import Thing
from cinder_lightbits_federation.audit.repairer import Amender
from cinder_lightbits_federation.audit import restoring
from cinder_lightbits_federation.audit.restoring import Circumstances
from cinder_lightbits_federation.audit.restoring import Rows
from cinder_lightbits_federation.audit import steps
from cinder_lightbits_federation.audit.steps import Step
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.ownership import Claim
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.spec import is_uuid
from cinder_lightbits_federation.timing import Deadline

ACTIONS = {
    Kind.ORPHAN: Action.REIMPORT,
    Kind.MISSING: Action.CONDEMN,
    Kind.HOST_EXTRA: Action.ATTACH,
    Kind.HOST_MISSING: Action.DETACH,
}
_ADDRESSES = frozenset({Kind.ADDRESS_EXTRA, Kind.ADDRESS_MISSING})


class Clerk(Protocol):
    """Makes rows; see `clerk.Clerk`."""

    def fate(self, table: str, row_id: str) -> bool | None:
        """:returns: whether a row is deleted; None if there is none."""

    def row(self, table: str, row_id: str) -> Row | None:
        """:returns: a row that is not deleted, None if there is none."""

    def insert(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Make rows, all or none."""

    def attach(self, volume_id: str, status: str, rows: Sequence[Row]
               ) -> bool:
        """Add attachments to a volume of that status."""

    def detach(self, volume_id: str, attachment_ids: Iterable[str]
               ) -> str | None:
        """Mark attachments as over.

        :returns: the status that the volume got by that; None if it was
            left as it was.
        """


class Records(Amender, Protocol):
    """Reads records, changes them, and finds them by their places."""

    def at(self, places: set[tuple[str, str]]) -> Books:
        """:returns: the records that name places (cluster, object)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Naming:
    """What objects are called, by Cinder's templates."""

    volume: Callable[[str], str]
    snapshot: Callable[[str], str]


def plan(findings: Sequence[Finding], silent: Sequence[str]
         ) -> tuple[tuple[Task, ...], tuple[Finding, ...]]:
    """Sort findings into tasks, those of volumes first.

    :param silent: while one is, nothing is known to be missing.
    :returns: tasks, and what they do nothing about.
    """
    groups: dict[tuple[Action, str, str], list[Finding]] = {}
    others = []
    doubled = _doubled(findings)
    for item in findings:
        action = ACTIONS.get(item.kind)
        if (action is None or (silent and action is Action.CONDEMN)
                or (action is Action.REIMPORT and item.cinder_id in doubled)):
            others.append(item)
        else:
            key = (action, item.resource, item.object_uuid or item.cinder_id)
            groups.setdefault(key, []).append(item)
    handled = {item.object_uuid for key, items in groups.items()
               for item in items if key[0] in (Action.ATTACH, Action.DETACH)}
    # Which addresses are right follows from the hosts.
    others = [item for item in others if item.kind not in _ADDRESSES
              or item.object_uuid not in handled]
    order = list(Action)
    tasks = sorted(groups.items(), key=lambda entry: (
        order.index(entry[0][0]), entry[0][1] != 'volume'))
    return tuple(Task(key[0], tuple(items)) for key, items in tasks
                 ), tuple(others)


def _doubled(findings: Sequence[Finding]) -> set[str]:
    """:returns: ids that several objects without a record are marked with."""
    once: set[str] = set()
    twice: set[str] = set()
    for item in findings:
        if item.kind is Kind.ORPHAN:
            (twice if item.cinder_id in once else once).add(item.cinder_id)
    return twice


class Reimporter:
    """Carries the tasks out, one at a time.

    Each makes all of its rows or none. It may be interrupted, and run again.

    :param known: exports, the newest first.
    :param since: objects made before had their records in the database
        when it was backed up, and are left alone; None for all.
    :param journal: None for a trial run, which changes nothing.
    """

    def __init__(self, registry: Registry, records: Records, clerk: Clerk,
                 owner: ownership.Owner, naming: Naming,
                 known: Sequence[Export], here: Circumstances,
                 journal: Journal | None, patience: float,
                 since: datetime.datetime | None = None
                 ) -> None:
        self._registry = registry
        self._records = records
        self._clerk = clerk
        self._owner = owner
        self._naming = naming
        self._known = known
        self._here = here
        self._journal = journal
        self._patience = patience
        self._since = since
        self._planned: dict[tuple[str, str], Row] = {}
        self._actions: dict[Action, Callable[[Step, Deadline], None]] = {
            Action.REIMPORT: self._make, Action.CONDEMN: self._condemn,
            Action.ATTACH: self._attach, Action.DETACH: self._detach}

    def carry_out(self, task: Task) -> Done:
        """:returns: what became of it; raises nothing a cluster does."""
        deadline = Deadline.after(self._patience)
        return steps.carry_out(task, self._journal, lambda step: (
            self._actions[task.action](step, deadline)))

    # Objects without a record

    def _make(self, step: Step, deadline: Deadline) -> None:
        finding = step.task.finding
        thing = self._object(finding, deadline)
        record_id = self._prove_ours(thing)
        self._prove_unrecorded(finding, record_id)
        location = Location(
            finding.cluster_uuid, record_id, thing.project, thing.uuid,
            ownership.attempt_of(marks_of(thing)))
        rows = self._typed(self._rows(finding, thing, location))
        main = rows[exports.VOLUMES if isinstance(thing, model.Volume)
                    else exports.SNAPSHOTS][0]
        if isinstance(thing, model.Volume):
            self._planned[finding.cluster_uuid, thing.uuid] = main
        step.about_to({}, rows)
        self._clerk.insert(rows)

    def _rows(self, finding: Finding, thing: Thing, location: Location
              ) -> Rows:
        if isinstance(thing, model.Volume):
            return restoring.volume_rows(thing, location, finding.cluster,
                                         self._known, self._here)
        place = location.cluster_uuid, thing.source_volume_uuid
        volume = self._planned.get(place)
        for record in self._records.at({place}).volumes:
            volume = self._clerk.row(exports.VOLUMES, record.id)
        if volume is None:
            raise Declined(f'its volume {thing.source_volume_uuid} has no '
                           f'record')
        return restoring.snapshot_rows(thing, location, volume, self._known,
                                       self._here)

    def _prove_ours(self, thing: Thing) -> str:
        """:returns: the id that it was made for."""
        marks = marks_of(thing)
        record_id = marks.get(ownership.LABEL_ID, '')
        claim = ownership.claim_of(marks, self._owner, record_id)
        name = (self._naming.volume(record_id)
                if isinstance(thing, model.Volume)
                else self._naming.snapshot(record_id))
        if claim is not Claim.OURS or not is_uuid(record_id):
            raise Declined('it bears no mark that proves it ours')
        if thing.name != name:
            raise Declined(f'it is named {thing.name!r}, not {name!r}')
        if thing.state.value != 'Available':
            raise Declined(f'it is {thing.state.value}')
        if self._since and age_of(thing.created_at, self._since) != 0:
            raise Declined(f'it was made before {self._since.isoformat()}, '
                           f'at {thing.created_at or "an unknown time"}')
        return record_id

    def _prove_unrecorded(self, finding: Finding, record_id: str) -> None:
        table = (exports.VOLUMES if finding.resource == 'volume'
                 else exports.SNAPSHOTS)
        fate = self._clerk.fate(table, record_id)
        if fate:
            raise Declined(f'{record_id} was deleted in Cinder: purge it if '
                           f'nobody needs it')
        if fate is not None:
            raise Declined(f'{record_id} has a record')
        books = self._records.again({record_id})
        if books.records or books.elsewhere:
            raise Declined(f'a volume has the data of {record_id}')

    def _typed(self, rows: Rows) -> Rows:
        """A volume type may have been lost, too."""
        for table in (exports.VOLUMES, exports.SNAPSHOTS):
            for row in rows.get(table, ()):
                if self._clerk.fate('volume_types',
                                    row['volume_type_id']) is not False:
                    row['volume_type_id'] = self._here.type_id
        return rows

    # Records

    def _condemn(self, step: Step, deadline: Deadline) -> None:
        record, books = self._record(step.task.finding)
        if record.status == 'error':
            return
        place = record.location
        if place is not None and place.object_uuid is not None:
            self._prove_gone(record, place, deadline)
        attached = ([item.id for item in books.attachments]
                    if isinstance(record, VolumeRecord) else [])
        before, after = {'status': record.status}, {'status': 'error'}
        if not attached:
            step.about_to(before, after)
            if not self._records.amend(record, {}, after):
                raise Declined('its record was changed meanwhile')
            return
        step.about_to(
            {**before, exports.ATTACHMENTS: self._attachments(attached)},
            {**after, exports.ATTACHMENTS: []})
        # Last: it counts as found until its status is set.
        status = self._clerk.detach(record.id, attached) or record.status
        self._condemn_detached(dataclasses.replace(record, status=status),
                               after)

    def _condemn_detached(self, left: Record, after: Mapping[str, Any]
                          ) -> None:
        """Set the status of a volume whose attachments are over by now.

        :param left: the record as the end of the attachments has left it.
            It is not read anew: what somebody has set since must stay.
        :raises RecordLost: somebody else has changed or deleted it; nothing
            takes the end of the attachments back.
        """
        if not self._records.amend(left, {}, after):
            raise errors.RecordLost('its attachments were ended, and then '
                                    'its record was changed or deleted by '
                                    'somebody else')

    def _attachments(self, ids: Iterable[str]) -> list[Row]:
        """:returns: the rows of attachments, for the way back."""
        found = (self._clerk.row(exports.ATTACHMENTS, row_id)
                 for row_id in ids)
        return [row for row in found if row is not None]

    def _prove_gone(self, record: Record, place: Location,
                    deadline: Deadline) -> None:
        try:
            there = steps.read(
                self._registry.by_uuid(place.cluster_uuid), place.project,
                place.object_uuid or '', isinstance(record, VolumeRecord),
                deadline)
        except lb_errors.NotFound:
            return
        if not there.state.going:
            raise Declined('it is there after all')

    def _attach(self, step: Step, deadline: Deadline) -> None:
        record, books, thing = self._used(step.task.finding, deadline)
        if model.ALLOW_ANY in thing.acl:
            raise Declined('any host has access; set the ACL on the cluster')
        old = [row for item in self._known
               for row in item.attachments(record.id)]
        named = frozenset(item.host.nqn for item in books.attachments
                          if item.host is not None)
        rows = [row for row in restoring.attachment_rows(
            thing, record.id, old, self._here, but=named)
            if self._clerk.fate(exports.ATTACHMENTS, row['id']) is None]
        if not rows:
            return
        step.about_to({'status': record.status},
                      {'status': 'in-use', exports.ATTACHMENTS: rows})
        if not self._clerk.attach(record.id, record.status, rows):
            raise Declined('its record was changed meanwhile')

    def _detach(self, step: Step, deadline: Deadline) -> None:
        record, books, thing = self._used(step.task.finding, deadline)
        gone = [item.id for item in books.attachments
                if item.host is not None and item.host.nqn not in thing.acl]
        if not gone or model.ALLOW_ANY in thing.acl:
            return
        step.about_to({exports.ATTACHMENTS: self._attachments(gone)},
                      {exports.ATTACHMENTS: []})
        self._clerk.detach(record.id, gone)

    # What is there now

    def _used(self, finding: Finding, deadline: Deadline
              ) -> tuple[VolumeRecord, Books, model.Volume]:
        record, books = self._record(finding)
        thing = self._object(finding, deadline)
        if (isinstance(record, SnapshotRecord)
                or isinstance(thing, model.Snapshot)):
            raise Declined('snapshots have no access')
        prove(record, thing, self._owner)
        prove_place(record, finding.cluster_uuid, thing.uuid)
        return record, books, thing

    def _record(self, finding: Finding) -> tuple[Record, Books]:
        books = self._records.again({finding.cinder_id})
        for record in books.records:
            if record.id == finding.cinder_id:
                return record, books
        raise Declined('its record is gone')

    def _object(self, finding: Finding, deadline: Deadline) -> Thing:
        return steps.read(
            self._registry.by_uuid(finding.cluster_uuid), finding.project,
            finding.object_uuid, finding.resource == 'volume', deadline)
