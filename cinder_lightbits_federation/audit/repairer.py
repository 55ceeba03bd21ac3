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

"""Carrying repairs out, each with proof of its own just before the change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from cinder_lightbits_federation.audit.books import Books
from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.audit.changes import Action
from cinder_lightbits_federation.audit.changes import Done
from cinder_lightbits_federation.audit.changes import plain
from cinder_lightbits_federation.audit.changes import Task
from cinder_lightbits_federation.audit.journal import Journal
from cinder_lightbits_federation.audit import proofs
from cinder_lightbits_federation.audit.proofs import Declined
from cinder_lightbits_federation.audit.scene import Scene
from cinder_lightbits_federation.audit.steps import carry_out
from cinder_lightbits_federation.audit.steps import read
from cinder_lightbits_federation.audit.steps import Step
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import manage
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation import remover
from cinder_lightbits_federation.sizes import bytes_to_gib_floor
from cinder_lightbits_federation.timing import Deadline

class Amender(Protocol):
    """Reads records of Cinder's anew, and changes them."""

    def again(self, ids: Collection[str]) -> Books:
        """See `collect.Ledger`."""

    def amend(self, record: Record, before: Mapping[str, Any],
              after: Mapping[str, Any]) -> bool:
        """Change columns of a record if all of `before` still holds.

        The status must be as in `record`, too.

        :returns: whether it did; otherwise nothing was changed.
        """


class Repairer:
    """Repairs what an audit has found, one task at a time.

    Never deletes a volume or a snapshot of a user's. May be interrupted
    between any two changes, and run again.

    :param journal: None for a trial run, which changes nothing.
    :param scene: owner, time and grace; what it has seen is not used.
    :param patience: seconds for one task.
    :param expel: take access also from hosts that are connected.
    """

    def __init__(self, registry: Registry, amender: Amender, scene: Scene,
                 journal: Journal | None, patience: float,
                 expel: bool = False) -> None:
        self._registry = registry
        self._amender = amender
        self._scene = scene
        self._owner = scene.owner
        self._journal = journal
        self._patience = patience
        self._expel = expel
        self._actions: dict[Action, Callable[[Step, Deadline], None]] = {
            Action.PLACE: self._record_place,
            Action.SIZE: self._set_size,
            Action.NAME: self._rename,
            Action.ACCESS: self._set_access,
            Action.INTERMEDIATE: self._delete_intermediate}

    def repair(self, task: Task) -> Done:
        """:returns: what became of it; raises nothing a cluster does."""
        deadline = Deadline.after(self._patience)
        return carry_out(task, self._journal, lambda step: self._actions[
            task.action](step, deadline))

    # Records

    def _record_place(self, step: Step, deadline: Deadline) -> None:
        record, books = self._record(step.task)
        thing = self._object(step.task, deadline)
        proofs.prove(record, thing, self._owner)
        proofs.prove_source(record, thing, books)
        self._prove_away(record, thing, deadline)
        marks = proofs.marks_of(thing)
        finding = step.task.finding
        location = Location(finding.cluster_uuid, record.key, thing.project,
                            thing.uuid, ownership.attempt_of(marks))
        if record.provider_location != str(location):
            self._amend(step, record,
                        {'provider_location': record.provider_location},
                        {'provider_location': str(location),
                         'provider_id': f'{thing.project} {thing.uuid}'})

    def _prove_away(self, record: Record, thing: model.Volume
                    | model.Snapshot, deadline: Deadline) -> None:
        """Nothing may be where the record says now, if it does."""
        old = record.location
        if (old is None or old.object_uuid is None
                or old.object_uuid == thing.uuid):
            return
        cluster = self._registry.by_uuid(old.cluster_uuid)
        try:
            there = read(cluster, old.project, old.object_uuid,
                         isinstance(thing, model.Volume), deadline)
        except lb_errors.NotFound:
            return
        if not there.state.going:
            raise Declined(f'{old.object_uuid} is at the recorded place')

    def _set_size(self, step: Step, deadline: Deadline) -> None:
        record, _books = self._record(step.task)
        thing = self._object(step.task, deadline)
        proofs.prove(record, thing, self._owner)
        if thing.size < record.size and isinstance(record, VolumeRecord):
            self._edit(step, record, lambda now: (
                model.VolumeChange(size=record.size)
                if now.size < record.size else None), deadline)
            return
        proofs.prove_whole_size(thing)
        if thing.size != record.size:
            column = ('size' if isinstance(record, VolumeRecord)
                      else 'volume_size')
            self._amend(step, record,
                        {column: bytes_to_gib_floor(record.size)},
                        {column: bytes_to_gib_floor(thing.size)})

    def _amend(self, step: Step, record: Record, before: Mapping[str, Any],
               after: Mapping[str, Any]) -> None:
        step.about_to(before, after)
        if not self._amender.amend(record, before, after):
            raise Declined('its record was changed meanwhile')

    # Objects

    def _rename(self, step: Step, deadline: Deadline) -> None:
        record, _books = self._record(step.task)
        asked = 0

        def named(now: model.Volume) -> model.VolumeChange | None:
            nonlocal asked
            if now.name == record.name:
                return None
            if asked >= manage.RENAME_ATTEMPTS:
                raise Declined('its cluster cannot rename volumes')
            asked += 1
            return model.VolumeChange(new_name=record.name)

        self._edit(step, record, named, deadline, named=False)

    def _set_access(self, step: Step, deadline: Deadline) -> None:
        record, _books = self._record(step.task)

        def wanted(now: model.Volume) -> model.VolumeChange | None:
            # Read after the volume: whoever is admitted later changes it.
            return proofs.conforming(
                now, self._amender.again({record.id}), self._scene,
                self._expel)

        self._edit(step, record, wanted, deadline)

    def _edit(self, step: Step, record: Record,
              hook: Callable[[model.Volume], model.VolumeChange | None],
              deadline: Deadline, named: bool = True) -> None:
        """Change a volume if it still is proven to be the record's.

        :param named: its name has to be right, too.
        """
        finding = step.task.finding
        cluster = self._registry.by_uuid(finding.cluster_uuid)

        def checked(now: model.Volume) -> model.VolumeChange | None:
            proofs.prove(record, now, self._owner, named)
            proofs.prove_place(record, finding.cluster_uuid, now.uuid)
            change = hook(now)
            if change is not None:
                step.about_to(plain(now), plain(change))
            return change

        with cluster.api(deadline) as client:
            client.update_volume(finding.project, finding.object_uuid,
                                 checked, deadline=deadline)

    def _delete_intermediate(self, step: Step, deadline: Deadline) -> None:
        finding = step.task.finding
        cluster = self._registry.by_uuid(finding.cluster_uuid)

        def prove(now: model.Snapshot) -> None:
            proofs.prove_intermediate(
                now, self._amender.again(
                    {proofs.marks_of(now).get(ownership.LABEL_ID, '')}),
                self._scene)

        with cluster.api(deadline) as client:
            try:
                snapshot = client.get_snapshot(
                    finding.project, finding.object_uuid, deadline=deadline)
            except lb_errors.NotFound:
                return
            prove(snapshot)
            step.about_to(plain(snapshot), {'state': 'deleted'})
            remover.remove_snapshot(client, finding.project, snapshot, prove,
                                    deadline)

    # What is there now

    def _record(self, task: Task) -> tuple[Record, Books]:
        finding = task.finding
        books = self._amender.again({finding.cinder_id})
        for record in books.records:
            if record.id != finding.cinder_id:
                continue
            if record.in_flight or record.adopting:
                raise Declined(f'Cinder is working on its record '
                               f'({record.status})')
            if not isinstance(record, VolumeRecord):
                books = self._amender.again({record.id, record.volume_id})
            return record, books
        raise Declined('its record is gone')

    def _object(self, task: Task, deadline: Deadline
                ) -> model.Volume | model.Snapshot:
        finding = task.finding
        return read(self._registry.by_uuid(finding.cluster_uuid),
                    finding.project, finding.object_uuid,
                    finding.resource == 'volume', deadline)
