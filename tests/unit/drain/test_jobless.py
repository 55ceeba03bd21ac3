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

"""Moves that Cinder says are under way, and that nobody has a job for."""

import dataclasses

import fixtures

from cinder_lightbits_federation.drain import mover
from tests.unit.drain import base
from tests.unit.drain.base import Cinder
from tests.unit.drain.base import NEW
from tests.unit.drain.base import OLD


class JoblessTestCase(base.MoverTestCase):

    def no_job(self, finished: float = 3600, unclaimed: float = 3600) -> None:
        """Set how long a move may have no job."""
        self.useFixture(fixtures.MonkeyPatch(f'{mover.__name__}.FINISHED',
                                             finished))
        self.useFixture(fixtures.MonkeyPatch(f'{mover.__name__}.UNCLAIMED',
                                             unclaimed))
        self.book.lease = 0

    def test_one_that_no_service_moves_has_failed(self) -> None:
        """Its request was lost, whoever has made it."""
        self.no_job(unclaimed=0.3)
        for begun in (True, False):
            cinder = Cinder({'a': 1, 'b': 1})
            cinder.stuck.add('a')
            if begun:
                cinder.migrate('a')
            error = self.assertRaises(mover.MovesFailed, self.run_job,
                                      cinder)
            self.assertIn('a: Cinder says that it is being moved, but no '
                          'service moves it', str(error))
            self.assertEqual({'a': OLD, 'b': NEW}, cinder.places)
            # The request may come to be heard: nobody else gets hold of it.
            self.assertEqual([], cinder.forgotten)

    def test_one_that_waits_for_its_service_has_not(self) -> None:
        """Its request waits on the message bus for longer than usual."""
        self.no_job(finished=0)
        cinder = Cinder({'a': 1}, looks=5)
        self.assertEqual(1, self.run_job(cinder).done)
        self.assertEqual([], cinder.forgotten)

    def test_one_that_cinder_copies_is_waited_for(self) -> None:
        """Nobody has a job for that."""
        self.no_job(0, 0)
        cinder = Cinder({'a': 1}, looks=5)
        before = cinder.item

        def item(name: str) -> mover.Item:
            return dataclasses.replace(before(name), by_cinder=True)

        cinder.item = item  # type: ignore[method-assign]
        self.assertEqual(1, self.run_job(cinder).done)
        self.assertEqual([], cinder.forgotten)

    def test_one_that_has_moved_without_cinder_knowing(self) -> None:
        """The service died between the end of its job and Cinder's."""
        self.no_job(finished=0.3)
        cinder = Cinder({'a': 1, 'b': 1})
        cinder.stuck.add('a')
        before = cinder.migrate

        def migrate(volume_id: str) -> None:
            before(volume_id)
            if volume_id == 'a':
                cinder.places['a'] = NEW

        cinder.migrate = migrate  # type: ignore[method-assign]
        job = self.run_job(cinder)
        self.assertEqual((2, {}), (job.done, job.checkpoint['failed']))
        self.assertEqual((['a'], ['a', 'b']), (cinder.forgotten,
                                               cinder.begun))

    def test_one_that_has_moved_without_the_drain_knowing(self) -> None:
        """The service died that did both, and another one drains on."""
        self.no_job(finished=0.3)
        cinder = Cinder({'a': 1, 'b': 1})
        cinder.stuck.add('a')
        self.stopped_after_one(cinder)
        cinder.places['a'] = NEW
        job = self.run_job(cinder, desk=self.desk('stor2'))
        self.assertEqual((2, ['a'], ['a', 'b']), (job.done, cinder.forgotten,
                                                  cinder.begun))
