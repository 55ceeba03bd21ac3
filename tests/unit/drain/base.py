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

"""A Cinder that moves volumes, and moves that ask it to."""

import threading
from typing import Any

from cinder_lightbits_federation.drain import mover
from cinder_lightbits_federation.drain.mover import Item
from cinder_lightbits_federation.drain.mover import Phase
from cinder_lightbits_federation.drain.mover import Round
from cinder_lightbits_federation.jobs.claims import HeldJob
from cinder_lightbits_federation.jobs import runner
from tests.unit.jobs import base

OLD, NEW = 'old', 'new'


class Cinder:
    """Moves volumes as Cinder does: each takes some looks.

    :param looks: how often a move is seen under way.
    """

    def __init__(self, sizes: dict[str, int], looks: int = 1) -> None:
        self.sizes = sizes
        self.places = dict.fromkeys(sizes, OLD)
        self.moving: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        self.stuck: set[str] = set()
        self.ended_where_it_was: set[str] = set()
        self.looks = looks
        self.begun: list[str] = []
        self.forgotten: list[str] = []
        self.most = 0
        # What it answers 500 for when it is asked about it.
        self.broken: set[str] = set()
        self.away = 0
        self.lost = 0

    def look(self) -> Round:
        """What is left to do."""
        left = [name for name, place in self.places.items() if place == OLD]
        return Round([self.item(name) for name in left
                      if name not in self.moving],
                     [self.item(name) for name in left
                      if name in self.moving],
                     {'kept': 'it has 1 snapshots'})

    def item(self, name: str) -> Item:
        return Item(name, OLD, self.sizes[name])

    def answer(self) -> None:
        """Do so, unless it is away for some more questions."""
        if self.away:
            self.away -= 1
            raise mover.CloudUnavailable('503')

    def migrate(self, volume_id: str) -> None:
        self.answer()
        if volume_id in self.refused:
            raise mover.MoveRefused(self.refused[volume_id])
        self.begun.append(volume_id)
        self.moving[volume_id] = self.looks
        self.most = max(self.most, len(self.moving))
        if self.lost:
            self.lost -= 1
            raise mover.CloudUnavailable('the reply was lost')

    def phase(self, volume_id: str) -> Phase:
        self.answer()
        if volume_id in self.broken:
            raise mover.CloudUnavailable('500')
        if volume_id not in self.moving:
            return (Phase.AT_REST if volume_id in self.places
                    else Phase.GONE)
        if volume_id in self.stuck or self.moving[volume_id]:
            self.moving[volume_id] -= 1
            return Phase.MOVING
        del self.moving[volume_id]
        if volume_id not in self.ended_where_it_was:
            self.places[volume_id] = NEW
        return Phase.AT_REST

    def forget_migration(self, volume_id: str) -> None:
        self.answer()
        self.forgotten.append(volume_id)
        self.stuck.discard(volume_id)
        del self.moving[volume_id]


class MoverTestCase(base.JobsTestCase):

    def run_job(self, cinder: Cinder, at_once: int = 2,
                rate: int | None = None, desk: Any = None) -> Any:
        """Move everything off the cluster; return the job."""
        desk = desk or self.desk()
        with desk.held('drain', OLD, {}) as held:
            mover.Mover(cinder, self.book, cinder.look, cinder.places.get,
                        at_once, rate).run(
                            runner.Task(held, threading.Event()))
        return self.book.get(held.job.id)

    def stopped_after_one(self, cinder: Cinder) -> HeldJob:
        """Begin one move; then the service ends.

        :returns: the job, which nobody has.
        """
        desk = self.desk()
        held = desk.begin('drain', OLD, {})
        stopping = threading.Event()
        before = cinder.migrate

        def migrate(volume_id: str) -> None:
            before(volume_id)
            stopping.set()

        cinder.migrate = migrate  # type: ignore[method-assign]
        moves = mover.Mover(cinder, self.book, cinder.look,
                            cinder.places.get, 1)
        self.assertRaises(runner.Stopping, moves.run,
                          runner.Task(held, stopping))
        cinder.migrate = before  # type: ignore[method-assign]
        desk.let_go(held)
        return held
