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

"""The audit as a whole: read both sides, compare, look again.

Cinder goes on working meanwhile, so the two sides are never of the same
moment. What disagrees is read once more on both sides, and only what still
disagrees is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Sequence
import dataclasses
import datetime
from typing import Protocol

from cinder_lightbits_federation.audit.arrays import Arrays
from cinder_lightbits_federation.audit.arrays import Doubts
from cinder_lightbits_federation.audit.books import Books
from cinder_lightbits_federation.audit.books import Holdings
from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.books import Seen
from cinder_lightbits_federation.audit.books import Silent
from cinder_lightbits_federation.audit.books import SnapshotRecord
from cinder_lightbits_federation.audit.checker import check
from cinder_lightbits_federation.audit.checker import GRACE
from cinder_lightbits_federation.audit.checker import Tally
from cinder_lightbits_federation.audit.checker import tally
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.ownership import Owner
from cinder_lightbits_federation import timing

# Seconds between the two looks: longer than Cinder takes from a change on
# the array to the record of it.
SETTLE = 3.0

# An object may be where nobody has seen it.
_ELSEWHERE = frozenset({Kind.MISSING, Kind.WRONG_PLACE, Kind.UNRECORDED})

Clock = Callable[[], datetime.datetime]


class Ledger(Protocol):
    """Cinder's records of one backend; only ever read."""

    def read(self) -> Books:
        """:returns: all records of the backend."""

    def again(self, ids: Collection[str]) -> Books:
        """Read some records anew, of whatever backend.

        :param ids: ids of volumes and snapshots, and ``name_id`` of volumes.
        :returns: records of the backend; those of others in `elsewhere`.
            The attachments are those of the volumes.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """The outcome of an audit.

    :param findings: the worst first.
    :param asked: names of the clusters that answered.
    :param silent: names of those that should have and did not, or not for
        every project that records name.
    """

    findings: tuple[Finding, ...]
    tally: Tally
    asked: tuple[str, ...]
    silent: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong with what was seen."""
        return not any(item.severity.counts for item in self.findings
                       if item.kind is not Kind.NOT_ASKED)


class Auditor:
    """Audits one backend.

    :param settle: seconds between the two looks.
    :param grace: see `checker.check`.
    """

    def __init__(self, arrays: Arrays, ledger: Ledger, owner: Owner,
                 settle: float = SETTLE, grace: float = GRACE,
                 clock: Clock = lambda: datetime.datetime.now(datetime.UTC)
                 ) -> None:
        self._arrays = arrays
        self._ledger = ledger
        self._owner = owner
        self._settle = settle
        self._grace = grace
        self._clock = clock

    def run(self) -> Report:
        """Audit; changes nothing anywhere."""
        self._arrays.connect()
        books = self._ledger.read()
        seen = self._arrays.read(books)
        findings = self._check(books, seen)
        suspects = [item for item in findings if _doubtful(item)]
        if suspects:
            timing.pause(self._settle)
            books, seen = self._look_again(suspects, books, seen)
            known = {item.key for item in findings}
            findings = tuple(item for item in self._check(books, seen)
                             if item.key in known
                             or item.kind is Kind.NOT_ASKED)
        return Report(_ordered(findings), tally(books, seen, self._owner),
                      _asked(seen), _silent(seen, findings))

    def _check(self, books: Books, seen: Seen) -> tuple[Finding, ...]:
        return check(books, seen, self._clock(), self._owner, self._grace)

    def _look_again(self, suspects: Sequence[Finding], books: Books,
                    seen: Seen) -> tuple[Books, Seen]:
        ids = {item.cinder_id for item in suspects if item.cinder_id}
        ids |= {record.volume_id for record in books.snapshots
                if record.id in ids}
        merged = merge(books, self._ledger.again(ids), ids)
        doubts = self._doubts(suspects, merged, ids, seen)
        return merged, self._arrays.again(seen, doubts, merged)

    def _doubts(self, suspects: Sequence[Finding], books: Books,
                ids: Collection[str], seen: Seen) -> dict[str, Doubts]:
        """Which objects have to be looked at once more, by cluster."""
        wanted = {(item.cluster_uuid, item.object_uuid) for item in suspects}
        concerned = [record for record in books.records
                     if record.id in ids or record.key in ids]
        lost = {item.cinder_id for item in suspects
                if item.kind in _ELSEWHERE}
        missed = [record for record in concerned if record.id in lost]
        doubts: dict[str, Doubts] = {}
        for item in seen.values():
            if isinstance(item, Holdings):
                doubts[item.uuid] = Doubts(
                    {thing.uuid: thing.project for thing in item.volumes
                     if (item.uuid, thing.uuid) in wanted},
                    {thing.uuid: thing.project for thing in item.snapshots
                     if (item.uuid, thing.uuid) in wanted})
                self._by_name(missed, item, doubts[item.uuid])
        _by_place(concerned, doubts)
        return doubts

    def _by_name(self, records: Sequence[Record], holdings: Holdings,
                 doubt: Doubts) -> None:
        """They may have come to be there meanwhile."""
        projects = self._arrays.projects_of(holdings) if records else ()
        for record in records:
            names = (doubt.snapshot_names
                     if isinstance(record, SnapshotRecord)
                     else doubt.volume_names)
            names.update((project, record.name) for project in projects)


def _doubtful(item: Finding) -> bool:
    """Whether a second look may clear a finding up.

    Work in progress may only disagree again. But an object without a record
    may have one in another backend.
    """
    if item.kind is Kind.ORPHAN:
        return True
    return (item.kind is not Kind.NOT_ASKED
            and item.severity is not Severity.IN_FLIGHT)


def _by_place(records: Iterable[Record], doubts: Mapping[str, Doubts]
              ) -> None:
    """The fresh records may name other places."""
    for record in records:
        place = record.location
        if (place is None or place.object_uuid is None
                or place.cluster_uuid not in doubts):
            continue
        doubt = doubts[place.cluster_uuid]
        into = (doubt.snapshots if isinstance(record, SnapshotRecord)
                else doubt.volumes)
        into.setdefault(place.object_uuid, place.project)


def merge(books: Books, fresh: Books, ids: Collection[str]) -> Books:
    """Put fresh records in the place of older ones.

    :param ids: what was read anew: who is not in `fresh` is gone.
    """
    stale = {record.id for record in books.records
             if record.id in ids or record.key in ids}
    stale |= {record.id for record in fresh.records}
    return dataclasses.replace(
        books, elsewhere=fresh.elsewhere,
        volumes=(*(item for item in books.volumes if item.id not in stale),
                 *fresh.volumes),
        snapshots=(*(item for item in books.snapshots
                     if item.id not in stale), *fresh.snapshots),
        attachments=(*(item for item in books.attachments
                       if item.volume_id not in stale),
                     *fresh.attachments))


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    worst = list(Severity)
    kinds = list(Kind)
    return tuple(sorted(findings, key=lambda item: (
        worst.index(item.severity), kinds.index(item.kind), item.cluster,
        item.key)))


def _asked(seen: Seen) -> tuple[str, ...]:
    return tuple(sorted(item.cluster for item in seen.values()
                        if isinstance(item, Holdings)))


def _silent(seen: Seen, findings: Iterable[Finding]) -> tuple[str, ...]:
    partly = {item.cluster for item in findings
              if item.kind is Kind.NOT_ASKED and item.severity.counts}
    return tuple(sorted(partly | {
        item.cluster for item in seen.values()
        if isinstance(item, Silent) and not item.lost}))
