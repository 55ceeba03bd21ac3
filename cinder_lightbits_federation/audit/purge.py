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

"""Deleting one object that Cinder does not know, at an operator's word."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
import datetime
from typing import Protocol

from cinder_lightbits_federation import access
from cinder_lightbits_federation.audit.books import age_of
from cinder_lightbits_federation.audit.books import Books
from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.changes import Action
from cinder_lightbits_federation.audit.changes import Done
from cinder_lightbits_federation.audit.changes import plain
from cinder_lightbits_federation.audit.changes import Task
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.audit.journal import Journal
from cinder_lightbits_federation.audit.proofs import Declined
from cinder_lightbits_federation.audit.proofs import marks_of
from cinder_lightbits_federation.audit.proofs import Thing
from cinder_lightbits_federation.audit import steps
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.ownership import Claim
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation import remover
from cinder_lightbits_federation.timing import Deadline

# Days that an object has to be old, and seconds of a day.
DAYS = 7.0
DAY = 86400.0

Clock = Callable[[], datetime.datetime]


class Shelves(Protocol):
    """Finds records of whatever backend."""

    def again(self, ids: Collection[str]) -> Books:
        """See `collect.Ledger`."""

    def at(self, places: Collection[tuple[str, str]]) -> Books:
        """:returns: the records that name places (cluster, object)."""


class Purger:
    """Deletes one object of ours that no record accounts for.

    :param min_age: seconds that the object has to be old.
    :param patience: seconds for the whole.
    """

    def __init__(self, registry: Registry, shelves: Shelves,
                 owner: ownership.Owner, min_age: float, patience: float,
                 clock: Clock = lambda: datetime.datetime.now(datetime.UTC)
                 ) -> None:
        self._registry = registry
        self._shelves = shelves
        self._owner = owner
        self._min_age = min_age
        self._patience = patience
        self._clock = clock

    def purge(self, cluster: Cluster, thing: Thing, journal: Journal | None
              ) -> Done:
        """Close an object to all hosts, then delete it.

        Everything is proven anew before each of the two, and they are
        conditional on what was read.

        :param thing: as it was found.
        :param journal: None for a trial run, which changes nothing.
        :returns: what became of it; the reasons if it was refused.
        """
        deadline = Deadline.after(self._patience)
        return steps.carry_out(
            _task(cluster, thing), journal,
            lambda step: self._purge(step, cluster, thing, deadline))

    def _purge(self, step: steps.Step, cluster: Cluster, found: Thing,
               deadline: Deadline) -> None:
        is_volume = isinstance(found, model.Volume)
        thing = steps.read(cluster, found.project, found.uuid, is_volume,
                           deadline)

        def prove(now: Thing) -> None:
            self._prove(cluster, now, deadline)

        prove(thing)
        closed: dict[str, list[str]] = {}
        if is_volume:
            closed = {'acl': [], 'ip_acl': []}
        step.about_to(plain(thing), {**closed, 'state': 'deleted'})
        with cluster.api(deadline) as client:
            if isinstance(thing, model.Snapshot):
                remover.remove_snapshot(client, thing.project, thing, prove,
                                        deadline)
                return

            def close(now: model.Volume) -> model.VolumeChange | None:
                prove(now)
                return access.revoke_all(now)

            remover.remove_volume(client, thing.project, client.update_volume(
                thing.project, thing.uuid, close, deadline=deadline), prove,
                deadline)

    def _prove(self, cluster: Cluster, thing: Thing, deadline: Deadline
               ) -> None:
        """:raises Declined: with all conditions that do not hold."""
        reasons = [*self._of_object(thing),
                   *self._of_records(cluster, thing, deadline)]
        if reasons:
            raise Declined('; '.join(reasons))

    def _of_object(self, thing: Thing) -> Iterator[str]:
        marks = marks_of(thing)
        claim = ownership.claim_of(marks, self._owner,
                                   marks.get(ownership.LABEL_ID, ''))
        if claim is not Claim.OURS:
            owner = marks.get(ownership.LABEL_OWNER) or 'nobody'
            yield f'it is not marked as this cloud\'s, but {owner}\'s'
        age = age_of(thing.created_at, self._clock())
        if age is None:
            yield 'it does not tell its age'
        elif age < self._min_age:
            yield (f'it is {age / DAY:.1f} days old, less than '
                   f'{self._min_age / DAY:g}')
        if isinstance(thing, model.Volume) and thing.connected_hosts:
            yield (f'hosts are connected: '
                   f'{", ".join(sorted(thing.connected_hosts))}')

    def _of_records(self, cluster: Cluster, thing: Thing, deadline: Deadline
                    ) -> Iterator[str]:
        at = self._shelves.at({(cluster.uuid or '', thing.uuid)})
        for record in (*at.records, *at.elsewhere):
            yield f'the record of {record.id} names it'
        marked = marks_of(thing).get(ownership.LABEL_ID, '')
        if not marked:
            return
        books = self._shelves.again({marked})
        for record in (*books.records, *books.elsewhere):
            if record.key == marked and not self._is_copy(
                    thing, record, deadline):
                yield (f'it is marked as that of {record.id}, which Cinder '
                       f'has, and that one is nowhere else')

    def _is_copy(self, thing: Thing, record: Record, deadline: Deadline
                 ) -> bool:
        """Whether a record's object is another one, and is there."""
        place = record.location
        if (place is None or place.object_uuid is None
                or place.object_uuid == thing.uuid):
            return False
        try:
            other = steps.read(
                self._registry.by_uuid(place.cluster_uuid), place.project,
                place.object_uuid, isinstance(thing, model.Volume), deadline)
        except (errors.UnknownCluster, lb_errors.NotFound):
            return False
        return not other.state.going and ownership.claim_of(
            marks_of(other), self._owner, record.key) is Claim.OURS


def _task(cluster: Cluster, thing: Thing) -> Task:
    marks = marks_of(thing)
    return Task(Action.PURGE, (Finding(
        Kind.ORPHAN, Severity.WARNING,
        'volume' if isinstance(thing, model.Volume) else 'snapshot',
        'purged by its UUID', cluster=cluster.name,
        cluster_uuid=cluster.uuid or '', object_uuid=thing.uuid,
        object_name=thing.name,
        cinder_id=marks.get(ownership.LABEL_ID, ''),
        owner=marks.get(ownership.LABEL_OWNER, ''), project=thing.project),))
