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

"""The volume that a move reads from, which nobody may write to unseen.

Cinder lets a volume be attached while it is migrated unless it was locked.
What is written after the last snapshot would be lost with the source, so two
things are seen to.

*What is copied is all there is.* Whoever gets access, or loses it, changes
the ETag. It is noted before and after each snapshot, when nobody has access.
If nobody had between the two, the last snapshot is all there is for as long as
the ETag stays what it was after it. What comes between the two of an earlier
snapshot is in the next one.

Nobody had access if both are the same. A cluster may count a snapshot as a
change of its volume, though. Where they differ with the first snapshot, that
may be so, and the volume is sealed before the last one is taken: with an
address in its IP ACL that is nobody's, and that no access to it outlasts.

*Nobody comes any more.* When all is copied, and before the record names the
new place, the source is closed: a write to its ACL, on the condition that its
ETag is still the noted one. A grant is such a write, too, so the cluster
itself puts the two in an order, whatever services do at the same time:

* The grant came first: closing finds another ETag, also if the host has left
  again. Nothing is moved.
* Closing came first: the cluster refuses the grant, which was worked out from
  a version that is no more. It reads again and finds a closed volume.
* A grant that was late, from a service which had read the record before it
  was changed: it finds the source closed, or gone, and nobody is admitted.
* A grant for the record as it is afterwards: it goes to the new volume.

Growing the source is such a write as well. Its ETag alone does not tell of one
from before the last snapshot, or of one while it was closed by a service that
heeded nothing of this; so it moves only if it is no larger than the copy.

A source stays closed while a move that was killed in just that moment is not
gone on with, and while it is not known what the record names. Undoing the move
opens it, and so does who cannot have the record name the copy; that move ends,
since its ETag is another one then.

Nobody who has slept cuts over a move that was taken back meanwhile. Undoing it
writes two things before it removes the copy, each of which a sleeper has read
and would replace on the condition that it is as it was: the record, which says
the same in other words then, and the source, also where that is not closed.
The record is first: nobody may be admitted to a source that it still could
stop to name. Closing the source, which may be closed already, writes to it as
well: who was about to open it, and has slept, does not do that any more.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib

from cinder_lightbits_federation import access
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy.state import State
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation import fences
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model

Check = Callable[[model.Volume], None]
Hook = Callable[[model.Volume], model.VolumeChange | None]
Etags = tuple[str, ...]

# Of the two snapshots of a move, before and after each.
ALL = 4


class Origin:
    """The source of a move.

    :param state: names the source.
    """

    def __init__(self, federation: Federation, state: State) -> None:
        self._federation = federation
        cluster_uuid, self._project, self._uuid = state.source
        self._cluster = federation.registry.by_uuid(cluster_uuid)

    def before(self, noted: Etags, last: bool) -> Etags:
        """Note its ETag before a snapshot is taken.

        :param noted: those of the earlier snapshots.
        :param last: it is the last one, and not the first.
        :returns: all, of moments when nothing was under way.
        :raises Touched: somebody has access, or is connected.
        """
        return (*noted, self._idle(last and noted[0] != noted[1]).etag)

    def after(self, noted: Etags, last: bool) -> Etags:
        """Note its ETag when a snapshot was taken; see `before`.

        :returns: all; those of the last snapshot are the same.
        :raises Touched: somebody has, or had since before the last snapshot.
        """
        now = self._idle(False)
        if not last:
            return (*noted, now.etag)
        if now.etag != noted[-1] and not access.sealed(now):
            raise errors.Touched(
                f'volume {now.name} was attached or changed while a snapshot '
                f'of it was taken; it stays where it was')
        return (*noted[:-1], now.etag, now.etag)

    def _idle(self, seal: bool) -> model.Volume:
        def look(now: model.Volume) -> model.VolumeChange | None:
            unused(now)
            return access.seal(now) if seal else None

        return self._edit(look)

    def close(self, state: State, size: int, check: Check) -> None:
        """Let nobody use it any more, if nobody has. Idempotent.

        :param size: of the copy, in bytes.
        :param check: raises if it is not the volume of the record.
        :raises Touched: somebody has, since the last snapshot, or it has
            grown since the copy was begun.
        """
        mark = _mark(state.etags)

        def closed(now: model.Volume) -> model.VolumeChange | None:
            if now.size > size:
                raise errors.Touched(
                    f'volume {now.name} has grown to {now.size} bytes while '
                    f'it was copied; it stays where it was')
            change = access.close(now)
            if change is None:
                # The last one who went on with this move has closed it.
                return None
            check(now)
            unused(now)
            if now.etag != mark:
                raise errors.Touched(
                    f'volume {now.name} was attached or changed after the '
                    f'last of it was copied; it stays where it was')
            return change

        self._edit(fences.writing(closed))

    def reopen(self, mine: Callable[[], object]) -> None:
        """Let it be used again. Idempotent, also where it is gone.

        It is written to in any case: whoever was about to close it, and has
        slept, does not do that any more.

        :param mine: raises if another host has the move.
        """
        with contextlib.suppress(lb_errors.NotFound):
            self._edit(fences.writing(_opened(mine)))

    def let_in(self, mine: Callable[[], object]) -> None:
        """As `reopen`, but one that is not closed is left as it is."""
        opened = _opened(mine)

        def let_in(now: model.Volume) -> model.VolumeChange | None:
            return opened(now) if access.MOVING in now.acl else None

        with contextlib.suppress(lb_errors.NotFound):
            self._edit(let_in)

    def _edit(self, hook: Hook) -> model.Volume:
        deadline = self._federation.deadline()
        with self._cluster.api(deadline) as client:
            return client.update_volume(self._project, self._uuid, hook,
                                        deadline=deadline)


def _opened(mine: Callable[[], object]) -> Hook:
    def opened(now: model.Volume) -> model.VolumeChange | None:
        # After the volume was read: another host that goes on with the move
        # writes to it first.
        mine()
        return access.reopen(now)

    return opened


def users(volume: model.Volume) -> str:
    """:returns: which hosts use a volume, or may; empty if none does."""
    return ', '.join(sorted(
        volume.acl - {access.MOVING} | set(volume.connected_hosts)))


def unused(volume: model.Volume) -> None:
    """See that nobody uses a volume that is to move.

    :raises Touched: somebody does, or may.
    """
    using = users(volume)
    if using:
        raise errors.Touched(
            f'volume {volume.name} is in use by {using}; it stays where it '
            f'was')
    if access.MOVING in volume.acl:
        raise errors.Touched(
            f'volume {volume.name} was closed by a move of which nothing is '
            f'known any more; lightbits-federation audit --repair opens it')


def untouched(etags: tuple[str, ...]) -> bool:
    """Whether nobody came since before the last snapshot but one.

    :param etags: those noted of all snapshots, two of each.
    """
    return len(set(etags[-4:-1])) == 1


def _mark(etags: Etags) -> str | None:
    """:returns: the ETag of a source that nobody has used; None if unknown."""
    if len(etags) != ALL or len(set(etags[-2:])) != 1:
        return None
    return etags[-1]
