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

"""Moving and cloning volumes to another cluster: copy, then cut over.

The order makes every moment a safe one to be killed in: while the data is
being copied the record names no new place; it names it only when all data is
there, and nobody gets access to the old place any more; and a volume that
moves is removed last from where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
import dataclasses
import logging

from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy.ledger import Ledger
from cinder_lightbits_federation.copy import origin
from cinder_lightbits_federation.copy.origin import Origin
from cinder_lightbits_federation.copy.state import Stage
from cinder_lightbits_federation.copy.state import State
from cinder_lightbits_federation.copy.state import wish
from cinder_lightbits_federation.copy.transfer import Order
from cinder_lightbits_federation.copy.transfer import Transfer
from cinder_lightbits_federation.copy import tries
from cinder_lightbits_federation import errors as federation_errors
from cinder_lightbits_federation.finder import check_volume
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import Created
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import Recorder
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.remover import remove_volume
from cinder_lightbits_federation.timing import DeadlineExceeded

LOG = logging.getLogger(__name__)

LEAVING = 'the volume is being moved off it'

# Seconds between the tries to cut over to what is copied, and to end a move
# that the record tells already; ten minutes in all.
PAUSES = (5.0, 10.0, 20.0, 40.0, 60.0, *(60.0,) * 8)

_TROUBLE = (federation_errors.FederationError, lb_errors.LightbitsError,
            DeadlineExceeded)


class Relocation:
    """Copies volumes to another cluster and puts the copies in their place.

    A volume is where its record says. So the record is written when all data
    is there, and what is left is done by whoever comes next.

    :param pauses: seconds between the tries to cut over, and to do what is
        left then.
    """

    def __init__(self, transfer: Transfer, pauses: Sequence[float] = PAUSES
                 ) -> None:
        self._pauses = pauses
        self._transfer = transfer
        self._federation = transfer.federation

    def move(self, request: CreateRequest, ledger: Ledger,
             again: bool = False, check: Callable[[], None] = lambda: None
             ) -> Created:
        """Move a volume off its cluster, or go on with its move.

        Somebody may attach it meanwhile: it is left where it is then.

        :param request: the volume as it is and what is asked of its new
            place; its own cluster is excluded. Its recorder writes the new
            location, when all data is there.
        :param again: who had asked before was told that it has failed. A
            move that the record tells all the same is ended then, and the
            volume is moved once more; else it is ended, and that is all.
        :param check: raises `Touched` if it cannot be moved any more; called
            when nobody is admitted to the old place any more.
        :returns: the volume where it is now.
        :raises Cancelled: all is as before.
        :raises Lost: another host has the move.
        :raises Unsuitable: the volume cannot be moved, or somebody has used
            it meanwhile; all is as before.
        :raises NoClusterFits: no other cluster takes it.
        """
        if again:
            self._end_earlier(request, ledger)
        return self._complete(request, ledger, lambda: self._move(request),
                              check)

    def clone(self, source: Found[model.Volume] | Found[model.Snapshot],
              request: CreateRequest, ledger: Ledger) -> Created:
        """Make a volume elsewhere with the data of another, or go on.

        :param request: the new volume.
        :returns: the new volume, usable, under its own name.
        :raises: as `move`.
        """
        return self._complete(request, ledger,
                              lambda: Order(source, request), lambda: None)

    def abandon(self, ref: VolumeRef, ledger: Ledger, recorder: Recorder
                ) -> bool:
        """Bring what nobody goes on with to an end. Idempotent.

        What was copied in part is removed. A volume whose record names the
        new place already is there for good.

        :param recorder: of the record that `ref` was read from.
        :returns: whether it is.
        :raises RecordLost: the record has changed since.
        :raises FederationError, LightbitsError: a cluster does not answer.
        """
        state = State.parse(ledger.load())
        if state is None:
            return False
        if not _names(ref.location, state.target):
            self._undo(ref, state, ledger, recorder)
            return False
        self._finish(ref, self._transfer.copied(ref.name_id, state), state)
        return True

    def _undo(self, ref: VolumeRef, state: State, ledger: Ledger,
              recorder: Recorder) -> None:
        """Take back a copy that the record does not name. Idempotent.

        Who was about to have the record name it, and has slept since, might
        still do that. So the record says the same in other words first.

        :raises RecordLost: it names something else; nothing was removed.
        """
        if state.moves and state.stage is Stage.COPIED:
            cluster_uuid, project, uuid = state.source
            place = ref.location or Location(cluster_uuid, ref.name_id,
                                             project, uuid)
            recorder.record(place.reworded(ownership.new_attempt()))
        self._transfer.undo(ref.name_id, ledger)

    def _end_earlier(self, request: CreateRequest, ledger: Ledger) -> None:
        """End a move that the record tells, unless it is the asked one."""
        ref = request.ref
        state = State.parse(ledger.load())
        if (state is None or not _names(ref.location, state.target)
                or request.only == ref.cluster_uuid):
            return
        self._finish(ref, self._transfer.copied(ref.name_id, state), state)
        ledger.save({}, 0, 0)

    def _move(self, request: CreateRequest) -> Order:
        source = self._federation.finder.volume(
            request.ref, self._federation.deadline())
        origin.unused(source.thing)
        return Order(source, dataclasses.replace(request, exclude={
            **request.exclude, source.cluster.uuid or '': LEAVING}),
            moves=True)

    def _complete(self, request: CreateRequest, ledger: Ledger,
                  order: Callable[[], Order], check: Callable[[], None]
                  ) -> Created:
        ref = request.ref
        created = (self._copied(request, ledger)
                   or self._transfer.thick_copy(order(), ledger))
        state = State.parse(ledger.load())
        if state is None:
            raise errors.Lost('what is known of the copy is gone')
        if not _names(ref.location, state.target):
            self._cut_over(request, created, state, ledger, check)
        self._persist(lambda: self._finish(ref, created, state), ledger,
                      ref.name)
        LOG.info('Volume %s is on cluster %s now.', ref.name,
                 created.cluster)
        return created

    def _copied(self, request: CreateRequest, ledger: Ledger
                ) -> Created | None:
        """Find what has all data already, and remove what is of no use.

        :returns: None if there is something to be copied.
        :raises ObjectMissing: the volume is gone.
        """
        ref, state = request.ref, State.parse(ledger.load())
        if state is None:
            return None
        named = _names(ref.location, state.target)
        if not named and not _wanted(request, state):
            LOG.info('Volume %s of cluster %s is to go elsewhere than it was '
                     'going, or to be something else there.', ref.name,
                     ref.cluster_uuid)
            self._undo(ref, state, ledger, request.recorder)
            return None
        if state.stage is not Stage.COPIED:
            return None
        try:
            return self._transfer.copied(ref.name_id, state)
        except federation_errors.ObjectMissing as exc:
            if named:
                raise
            # Who has taken it back did not come to the end of that.
            LOG.warning('The copy of volume %s of cluster %s begins again: '
                        '%s', ref.name, ref.cluster_uuid, exc)
            self._undo(ref, state, ledger, request.recorder)
            return None

    def _cut_over(self, request: CreateRequest, created: Created,
                  state: State, ledger: Ledger, check: Callable[[], None]
                  ) -> None:
        """Have the record name the copy; what fails is tried again.

        :raises Cancelled, NameTaken, Touched: all is as before.
        :raises OutcomeUnknown: the record may name the copy; nobody is
            admitted to the old volume.
        :raises: else nothing has moved; the old volume can be used unless its
            cluster does not answer.
        """
        ref, what = request.ref, f'The end of the move of {request.ref.name}'

        def go_on() -> None:
            ledger.save(state.dump(), state.progress.done, state.total or 0)

        def prepare() -> None:
            self._check_name(ref, created)
            self._transfer.pieces.expel(self._found(created))
            if state.moves:
                self._close_source(ref, state, created.volume.size)
            check()

        try:
            tries.persist(prepare, tuple, go_on, self._pauses, what)
            # From here on the volume is where the copy is.
            tries.persist(lambda: request.recorder.record(created.location),
                          tuple, go_on, self._pauses, what)
        except (errors.Cancelled, federation_errors.NameTaken,
                errors.Touched):
            self._undo(ref, state, ledger, request.recorder)
            raise
        except (errors.Left, federation_errors.StoreUnavailable,
                federation_errors.OutcomeUnknown):
            raise
        except Exception:
            if state.moves:
                self._let_in(ref, state, ledger)
            raise

    def _let_in(self, ref: VolumeRef, state: State, ledger: Ledger) -> None:
        """Let a volume be used that could not be moved, if it is closed.

        Another host that goes on with the move may want it closed.
        """
        try:
            Origin(self._federation, state).let_in(ledger.load)
        except errors.Left as exc:
            LOG.info('Volume %s of cluster %s is left as it is: %s', ref.name,
                     ref.cluster_uuid, exc)
        except _TROUBLE as exc:
            LOG.error('Volume %s of cluster %s may not be attached until its '
                      'move is asked for again, or its job is cancelled: %s',
                      ref.name, ref.cluster_uuid, exc)

    def _check_name(self, ref: VolumeRef, created: Created) -> None:
        """See that the volume can have its name where it goes."""
        cluster = self._federation.finder.place(created.location)
        deadline = self._federation.deadline()
        with cluster.api(deadline) as client:
            found = client.find_volume(created.location.project, ref.name,
                                       deadline=deadline)
        if found is not None and found.uuid != created.volume.uuid:
            raise federation_errors.NameTaken(
                f'a volume {ref.name} ({found.uuid}) is on cluster '
                f'{cluster.name} already; nothing was moved')

    def _close_source(self, ref: VolumeRef, state: State, size: int
                      ) -> None:
        """Keep everybody out of the old volume; see `origin`.

        :param size: of the new one.
        :raises Touched: somebody has used it.
        """
        def check(now: model.Volume) -> None:
            check_volume(ref, self._federation.owner, now)

        Origin(self._federation, state).close(state, size, check)

    def _finish(self, ref: VolumeRef, created: Created, state: State
                ) -> None:
        """Name the new volume, remove one that has moved. Idempotent."""
        self._transfer.pieces.rename(self._found(created), ref.name)
        if state.moves:
            self._transfer.remove_helpers(ref.name_id, state)
            self._remove_source(ref, *state.source)

    def _persist(self, work: Callable[[], None], ledger: Ledger, name: str
                 ) -> None:
        """Do what is left of a move, again if it fails for a while.

        Until then the volume can be used under the name of its copy.

        :raises Lost: another host does it.
        :raises FederationError, LightbitsError: it is to be done later.
        """
        tries.persist(work, tuple, lambda: self._still_mine(ledger),
                      self._pauses, f'What is left of the move of {name}')

    @staticmethod
    def _still_mine(ledger: Ledger) -> None:
        """:raises Lost: another host has it."""
        state = State.parse(ledger.load())
        if state is None:
            raise errors.Lost('what is known of the move is gone')
        # It is too late for an end to be asked for.
        with contextlib.suppress(errors.Cancelled):
            ledger.save(state.dump(), state.progress.done, state.total or 0)

    def _found(self, created: Created) -> Found[model.Volume]:
        return Found(self._federation.finder.place(created.location),
                     created.location.project, created.volume)

    def _remove_source(self, ref: VolumeRef, cluster_uuid: str,
                       project: str, uuid: str) -> None:
        if self._federation.finder.lost(cluster_uuid):
            return
        cluster = self._federation.registry.by_uuid(cluster_uuid)
        deadline = self._federation.deadline()
        left = dataclasses.replace(ref, location=Location(
            cluster_uuid, ref.name_id, project, uuid))

        def check(now: model.Volume) -> None:
            check_volume(left, self._federation.owner, now)
            using = origin.users(now)
            if using:
                raise federation_errors.OperationFailed(
                    f'volume {ref.name} was moved off cluster '
                    f'{cluster.name}, but what is left of it there is in '
                    f'use by {using}; it is not removed')

        with cluster.api(deadline) as client:
            try:
                old = client.get_volume(project, uuid, deadline=deadline)
            except lb_errors.NotFound:
                return
            remove_volume(client, project, old, check, deadline)


def _wanted(request: CreateRequest, state: State) -> bool:
    """Whether a new volume that was begun is what is asked for, and where."""
    target = state.target
    return state.asked in ('', wish(request)) and (target is None or (
        request.only in (None, target.cluster_uuid)
        and target.cluster_uuid not in request.exclude))


def _names(recorded: Location | None, target: Location | None) -> bool:
    """Whether a record names the new volume."""
    return (recorded is not None and target is not None
            and recorded.object_uuid is not None
            and recorded.object_uuid == target.object_uuid)
