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

"""A thick copy: a new volume on another cluster with the data of a volume.

A snapshot says what is copied, so the source stays in use. A thin clone of
it is what is read, since a snapshot cannot be attached. The new volume has a
name of the copy's own until somebody gives it a final one. Whoever is killed
in the middle leaves a state that another host goes on from; whoever fails or
is told to stop takes away all that was made.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import logging

from cinder_lightbits_federation.copy.devices import Attacher
from cinder_lightbits_federation.copy.devices import Mover
from cinder_lightbits_federation.copy import discovery
from cinder_lightbits_federation.copy import engine
from cinder_lightbits_federation.copy.engine import Manner
from cinder_lightbits_federation.copy.engine import Progress
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy import extents
from cinder_lightbits_federation.copy.extents import Extent
from cinder_lightbits_federation.copy.ledger import Ledger
from cinder_lightbits_federation.copy import origin
from cinder_lightbits_federation.copy.origin import Origin
from cinder_lightbits_federation.copy.pieces import FIRST_PASS
from cinder_lightbits_federation.copy.pieces import Marks
from cinder_lightbits_federation.copy.pieces import Pieces
from cinder_lightbits_federation.copy.pieces import SECOND_PASS
from cinder_lightbits_federation.copy import slots
from cinder_lightbits_federation.copy.slots import Slots
from cinder_lightbits_federation.copy.state import Stage
from cinder_lightbits_federation.copy.state import State
from cinder_lightbits_federation.copy.state import wish
from cinder_lightbits_federation.copy import tries
from cinder_lightbits_federation import errors as federation_errors
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation.manage import RENAME_SINCE
from cinder_lightbits_federation.refs import Created
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.timing import DeadlineExceeded

LOG = logging.getLogger(__name__)

SECTORS = {512: model.SectorSize.B512, 4096: model.SectorSize.B4096}

_TROUBLE = (federation_errors.FederationError, lb_errors.LightbitsError,
            DeadlineExceeded)


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """What is to be copied, and to what.

    :param source: a volume or a snapshot.
    :param request: the new volume. Its `ref` has the record that the new
        volume is labelled for; name and recorder are not used.
    :param moves: the source is a volume that goes afterwards, so what
        changes while it is copied is copied too.
    :param patience: seconds to wait at most for its turn on the clusters,
        and at a time for trouble to pass.
    :param kept: what has failed for a reason that may pass is gone on with
        when the copy is asked for again; else it is removed.
    """

    source: Found[model.Volume] | Found[model.Snapshot]
    request: CreateRequest
    moves: bool = False
    patience: float = slots.PATIENCE
    kept: bool = True

    @property
    def record(self) -> str:
        """Whom the copy is for."""
        return self.request.ref.name_id


class Transfer:
    """Makes thick copies."""

    def __init__(self, federation: Federation, attacher: Attacher,
                 mover: Mover, slots: Slots, manner: Manner) -> None:
        self.federation = federation
        self.pieces = Pieces(federation, attacher)
        self.mover = mover
        self.slots = slots
        self.manner = manner

    def thick_copy(self, order: Order, ledger: Ledger) -> Created:
        """Copy, or go on with the copy that the ledger is about.

        May take days. Once it has returned, calling it again gives the same
        answer at once. What fails for a while is tried again.

        :returns: the new volume, labelled, open to nobody, still under a
            name of the copy's own; see `Pieces.rename`.
        :raises Cancelled: all that was made is removed.
        :raises Lost: another host has the copy; nothing was removed.
        :raises StoreUnavailable: how far it is cannot be written down;
            nothing was removed, and it can be gone on with.
        :raises Unsuitable: no such copy can be made; of a source that moves
            also that somebody has used it.
        :raises DeadlineExceeded: others were copying for too long.
        :raises FederationError, LightbitsError, OSError: it failed. If it
            may go on when what is in its way is gone (`tries.PASSING`), and
            the order is so, nothing was removed; else what was made is
            removed as far as the clusters answer.
        """
        return _Copy(self, order, ledger).run()

    def copied(self, record: str, state: State) -> Created:
        """Find the new volume of a copy that has all data. Idempotent.

        What it was read from is removed. Of a volume that moves that would
        change the ETag, on some clusters, so it is left until it has moved.

        :raises ObjectMissing: the new volume is gone.
        """
        if not state.moves:
            self.remove_helpers(record, state)
        location = state.target
        if location is None:
            raise federation_errors.ObjectMissing('the copy names no volume')
        found = self.federation.finder.volume_at(
            location, self.federation.deadline())
        return Created(location, found.thing, found.cluster.name, None)

    def undo(self, record: str, ledger: Ledger) -> None:
        """Remove all that a copy has made, however far it came. Idempotent.

        The copy of a volume that moves must be named by no record, now or
        later; see `origin`.

        :param record: whom it was for.
        :raises Lost: another host has the copy.
        :raises FederationError, LightbitsError: something is still there.
        """
        state = State.parse(ledger.load())
        if state is None:
            return
        with contextlib.suppress(errors.Cancelled):
            ledger.save(state.dump(), 0, 0)
        marks = Marks(record, state.attempt)
        if (state.moves and state.stage is not Stage.FIRST
                and not self.federation.finder.lost(state.source[0])):
            # Its source may be sealed by now, or closed.
            Origin(self.federation, state).reopen(ledger.load)
        if state.target is not None:
            self.federation.delete_volume(
                VolumeRef(marks.target, record, state.target.project,
                          state.target), state.target.attempt)
        self.remove_helpers(record, state)
        with contextlib.suppress(errors.Cancelled):
            ledger.save({}, 0, 0)

    def remove_helpers(self, record: str, state: State) -> None:
        """Remove what a copy was read from. Idempotent.

        What is on a lost cluster counts as removed.
        """
        if state.source and not self.federation.finder.lost(state.source[0]):
            uuid, project, _uuid = state.source
            self.pieces.remove_helpers(
                self.federation.registry.by_uuid(uuid), project,
                Marks(record, state.attempt))


class _Copy:
    """One copy, being made by this process."""

    def __init__(self, tools: Transfer, order: Order, ledger: Ledger
                 ) -> None:
        self._tools = tools
        self._order = order
        self._ledger = ledger
        self._source = order.source
        self._size = order.source.thing.size
        self.state = State.parse(ledger.load()) or State.new()

    @property
    def _marks(self) -> Marks:
        return Marks(self._order.record, self.state.attempt)

    def run(self) -> Created:
        """See `Transfer.thick_copy`."""
        pauses = [item for item in self._tools.manner.pauses
                  if item <= self._order.patience]
        try:
            return tries.persist(
                self._run, self._place, self._save, pauses,
                f'The copy of {self._source.thing.name}')
        except (errors.Left, federation_errors.StoreUnavailable):
            # Somebody goes on with it: the claim ends if it cannot be kept.
            raise
        except Exception as exc:
            if isinstance(exc, tries.PASSING) and self._is_kept():
                LOG.warning('The copy of %s ends for now; what it has made '
                            'stays for when it is asked for again: %s',
                            self._source.thing.name, exc)
                raise
            LOG.warning('The copy of %s ends, and what it has made is '
                        'removed: %s', self._source.thing.name, exc)
            self._undo_quietly()
            raise

    def _place(self) -> tuple[int, ...]:
        """:returns: how far it is; what is further on is greater."""
        state = self.state
        return (list(Stage).index(state.stage), len(state.snapshots),
                state.progress.position)

    def _is_kept(self) -> bool:
        """Whether something was copied that is to be gone on with."""
        return self._order.kept and (self.state.stage is not Stage.FIRST
                                     or self.state.progress.done > 0)

    def _undo_quietly(self) -> None:
        try:
            self._tools.undo(self._order.record, self._ledger)
        except _TROUBLE as exc:
            LOG.error('Not all of the copy of %s could be removed; its '
                      'objects are named %s: %s', self._source.thing.name,
                      self._marks.target, exc)

    def record(self, location: Location) -> None:
        """Write down where the new volume is; see `refs.Recorder`."""
        self._save(target=location)

    # Steps

    def _run(self) -> Created:
        if self._expired():
            LOG.warning('The copy of %s begins again: its snapshot is gone.',
                        self._source.thing.name)
            self._tools.undo(self._order.record, self._ledger)
            self.state = State.new()
        if self.state.stage is Stage.COPIED:
            return self._tools.copied(self._order.record, self.state)
        asked = (self.state.asked if self.state.source
                 else wish(self._order.request))
        self._save(
            source=(self._source.cluster.uuid or '', self._source.project,
                    self._source.thing.uuid), moves=self._order.moves,
            asked=asked)
        # Whoever gets no place is to have made nothing.
        cluster = (self._order.request.only
                   or self._target().location.cluster_uuid)
        with self._tools.slots.held(
                [self._source.cluster.uuid or '', cluster], self._save,
                self._order.patience):
            created = self._target()
            self._check(created)
            self._passes(Found(
                self._tools.federation.registry.by_uuid(
                    created.location.cluster_uuid),
                created.location.project, created.volume))
        self._save(stage=Stage.COPIED)
        return self._tools.copied(self._order.record, self.state)

    def _expired(self) -> bool:
        """Whether what this copy goes on with is gone.

        A new snapshot would hold something else than was copied. Of a move
        that a service of before has begun it is not known who came since.
        """
        if not self.state.snapshots or self.state.stage is Stage.COPIED:
            return False
        if self._order.moves and (len(self.state.etags)
                                  < 2 * len(self.state.snapshots) - 1):
            return True
        deadline = self._tools.federation.deadline()
        with self._source.cluster.api(deadline) as client:
            try:
                return any(client.get_snapshot(
                    self._source.project, uuid,
                    deadline=deadline).state.going
                    for uuid in self.state.snapshots)
            except lb_errors.NotFound:
                return True

    def _target(self) -> Created:
        """Make the new volume, or find it made."""
        before = self.state.target
        created = self._tools.federation.create_volume(self._request())
        if before is None or before.object_uuid != created.volume.uuid:
            self._save(stage=Stage.FIRST, progress=Progress(), total=None)
        return created

    def _request(self) -> CreateRequest:
        thing, asked = self._source.thing, self._order.request
        sector = SECTORS.get(thing.sector_size)
        if sector is None or asked.spec.sector_size not in (None, sector):
            raise errors.Unsuitable(
                f'{thing.name} has sectors of {thing.sector_size} bytes; '
                f'what is on it would not be readable with others')
        if asked.size < thing.size:
            raise errors.Unsuitable(
                f'{thing.name} has {thing.size} bytes, more than '
                f'{asked.size}')
        spec = dataclasses.replace(
            asked.spec, sector_size=sector,
            replicas=asked.spec.replicas or thing.replicas,
            compression=(thing.compression if asked.spec.compression is None
                         else asked.spec.compression))
        return dataclasses.replace(asked, ref=self._target_ref(), spec=spec,
                                   recorder=self)

    def _target_ref(self) -> VolumeRef:
        return VolumeRef(self._marks.target, self._order.record,
                         self._order.request.ref.project, self.state.target)

    def _check(self, created: Created) -> None:
        made, thing = created.volume, self._source.thing
        if made.sector_size != thing.sector_size:
            raise errors.Unsuitable(
                f'cluster {created.cluster} makes volumes with sectors of '
                f'{made.sector_size} bytes; {thing.name} has '
                f'{thing.sector_size}')
        vitals = self._tools.federation.registry.by_uuid(
            created.location.cluster_uuid).vitals
        if (vitals is not None and vitals.version is not None
                and vitals.version < RENAME_SINCE):
            raise errors.Unsuitable(
                f'cluster {created.cluster} cannot rename volumes (needs '
                f'3.16 or newer)')

    def _passes(self, target: Found[model.Volume]) -> None:
        first = self._snapshot(FIRST_PASS)
        if self.state.stage is Stage.FIRST:
            self._pass(first, target, FIRST_PASS, None)
        if self._order.moves:
            if self.state.stage is Stage.FIRST:
                self._save(stage=Stage.SECOND, progress=Progress(),
                           total=None)
            second = self._snapshot(SECOND_PASS)
            self._pass(second, target, SECOND_PASS, first.thing.uuid)

    def _snapshot(self, number: int) -> Found[model.Snapshot]:
        source = self._source.thing
        if isinstance(source, model.Snapshot):
            return Found(self._source.cluster, self._source.project, source)
        volume = Found(self._source.cluster, self._source.project, source)
        if not self._order.moves:
            return self._taken(volume, number)
        watched = Origin(self._tools.federation, self.state)
        last = number == SECOND_PASS
        if len(self.state.etags) < 2 * number - 1:
            self._save(etags=watched.before(self.state.etags, last))
        taken = self._taken(volume, number)
        if len(self.state.etags) < 2 * number:
            self._save(etags=watched.after(self.state.etags, last))
        return taken

    def _taken(self, volume: Found[model.Volume], number: int
               ) -> Found[model.Snapshot]:
        taken = self._tools.pieces.snapshot(volume, self._marks, number)
        known = self.state.snapshots[number - 1:number]
        if not known:
            self._save(snapshots=(*self.state.snapshots, taken.thing.uuid))
        elif known[0] != taken.thing.uuid:
            raise errors.Interrupted(f'{taken.thing.name} is a new snapshot')
        return taken

    def _pass(self, snapshot: Found[model.Snapshot],
              target: Found[model.Volume], number: int, base: str | None
              ) -> None:
        changes = self._changes(snapshot, base)
        # Of volumes with small sectors it is not known in which unit their
        # blocks are told.
        told = (snapshot.thing.sector_size == discovery.BLOCK
                and changes.told())
        if base is not None and self._same(changes, told):
            return
        if self.state.total is None:
            self._save(total=extents.total(changes.since(0)) if told
                       else self._size)
        position = self.state.progress.position
        todo = (changes.since(position) if told
                else discovery.everything(self._size, position))
        self._move(snapshot, target, number, todo)

    def _same(self, changes: discovery.Changes, told: bool) -> bool:
        """Whether the second pass has nothing to copy.

        Where the cluster does not tell, only a volume that nobody can have
        written to is the same; any other is copied once more as a whole.
        """
        if told:
            return not any(changes.since(0))
        return origin.untouched(self.state.etags)

    def _changes(self, snapshot: Found[model.Snapshot], base: str | None
                 ) -> discovery.Changes:
        """What a pass has to copy, as the cluster tells it."""
        def ask(lba: int) -> model.ChangedBlocks:
            deadline = self._tools.federation.deadline()
            with snapshot.cluster.api(deadline) as client:
                return client.changed_blocks(
                    snapshot.project, snapshot.thing.uuid, base_uuid=base,
                    offset_lba=lba, deadline=deadline)

        return discovery.Changes(ask, self._size)

    def _move(self, snapshot: Found[model.Snapshot],
              target: Found[model.Volume], number: int,
              todo: Iterator[Extent]) -> None:
        pieces = self._tools.pieces
        reader = pieces.reader(snapshot, self._marks, number)
        with pieces.attached(reader) as source, \
                pieces.attached(target) as device:
            engine.run(self._tools.mover, source, device, todo,
                       self.state.progress, self._tools.manner,
                       self._checkpoint, fresh=number == FIRST_PASS)

    def _checkpoint(self, progress: Progress) -> None:
        self._save(progress=progress)

    def _save(self, **changes: object) -> None:
        """Change the state, durably.

        :raises Cancelled: the end was asked for.
        :raises Lost: another host has the copy.
        """
        # mypy does not follow names of fields that come as keywords.
        self.state = dataclasses.replace(
            self.state, **changes)  # type: ignore[arg-type]
        self._ledger.save(self.state.dump(), self.state.progress.done,
                          self.state.total or 0)
