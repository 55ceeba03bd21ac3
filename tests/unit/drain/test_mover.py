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

import itertools
import threading
import time
import types

import fixtures
import sqlalchemy as sa

from cinder_lightbits_federation.copy import errors as copy_errors
from cinder_lightbits_federation.drain import mover
from cinder_lightbits_federation.drain.mover import Phase
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.jobs import runner
from cinder_lightbits_federation.store.tables import JOBS
from tests.unit.drain import base
from tests.unit.drain.base import Cinder
from tests.unit.drain.base import NEW
from tests.unit.drain.base import OLD


class MoverTestCase(base.MoverTestCase):

    def test_all_is_moved(self) -> None:
        cinder = Cinder({f'v{number}': 10 for number in range(7)}, looks=2)
        job = self.run_job(cinder, at_once=3)
        self.assertEqual({NEW}, set(cinder.places.values()))
        self.assertEqual(3, cinder.most)
        self.assertEqual(('done', 70, 70), (job.state.value, job.done,
                                            job.total))
        self.assertEqual(
            (7, 0, {}, {'kept': 'it has 1 snapshots'}),
            tuple(job.checkpoint[key] for key in (
                'moved', 'left', 'failed', 'blocked')))

    def test_what_is_refused_does_not_keep_the_others(self) -> None:
        cinder = Cinder({'a': 1, 'b': 1, 'c': 1})
        cinder.refused['b'] = 'it is being extended'
        error = self.assertRaises(mover.MovesFailed, self.run_job, cinder)
        self.assertIn('1 volumes could not be moved: b: it is being '
                      'extended', str(error))
        self.assertEqual({'a': NEW, 'b': OLD, 'c': NEW}, cinder.places)
        job = self.book.latest('drain', OLD)
        assert job is not None
        self.assertEqual('failed', job.state.value)
        # Asked again when the reason is gone, it goes on.
        cinder.refused.clear()
        again = self.run_job(cinder)
        self.assertEqual((job.id, 3, 3), (again.id, again.done,
                                          again.checkpoint['moved']))

    def test_an_outage_fails_nothing(self) -> None:
        cinder = Cinder({f'v{number}': 10 for number in range(5)}, looks=2)
        cinder.away = 3
        before = cinder.migrate

        def migrate(volume_id: str) -> None:
            before(volume_id)
            # While this one is under way.
            cinder.away = 1

        cinder.migrate = migrate  # type: ignore[method-assign]
        job = self.run_job(cinder)
        self.assertEqual((5, {}), (job.checkpoint['moved'],
                                   job.checkpoint['failed']))
        self.assertEqual(5, len(cinder.begun))

    def test_an_outage_is_not_hammered(self) -> None:
        cinder = Cinder({f'v{number}': 1 for number in range(50)})
        cinder.away = 10 ** 6
        held = self.desk().begin('drain', OLD, {})
        stopping = threading.Event()
        timer = threading.Timer(1, stopping.set)
        timer.start()
        self.addCleanup(timer.cancel)
        moves = mover.Mover(cinder, self.book, cinder.look,
                            cinder.places.get, 10)
        self.assertRaises(runner.Stopping, moves.run,
                          runner.Task(held, stopping))
        self.assertGreater(50, 10 ** 6 - cinder.away)
        self.assertEqual({}, held.load()['failed'])

    def test_a_move_whose_reply_was_lost_is_not_asked_for_again(self) -> None:
        for looks in (0, 3):
            cinder = Cinder({'a': 1, 'b': 1}, looks=looks)
            cinder.lost = 2
            job = self.run_job(cinder)
            self.assertEqual(['a', 'b'], cinder.begun)
            self.assertEqual((2, {}), (job.checkpoint['moved'],
                                       job.checkpoint['failed']))

    def test_what_is_never_begun_has_failed(self) -> None:
        """Cinder answers for it, but cannot begin its move."""
        self.useFixture(fixtures.MonkeyPatch(f'{mover.__name__}.DOUBT', 0))
        cinder = Cinder({'a': 1, 'b': 1})
        before = cinder.migrate

        def migrate(volume_id: str) -> None:
            if volume_id == 'a':
                raise mover.CloudUnavailable('500')
            before(volume_id)

        cinder.migrate = migrate  # type: ignore[method-assign]
        error = self.assertRaises(mover.MovesFailed, self.run_job, cinder)
        self.assertIn('1 volumes could not be moved: a: Cinder does not '
                      'answer for it: 500', str(error))
        self.assertEqual({'a': OLD, 'b': NEW}, cinder.places)

    def test_one_that_cinder_never_answers_for_keeps_no_other(self) -> None:
        """Its move may be under way, or in doubt; others come after it."""
        for lost in (0, 1):
            self.useFixture(fixtures.MonkeyPatch(f'{mover.__name__}.DOUBT',
                                                 0.5))
            cinder = Cinder(dict.fromkeys('abcd', 1))
            cinder.lost = lost
            cinder.broken.add('a')
            error = self.assertRaises(mover.MovesFailed, self.run_job,
                                      cinder, 1)
            self.assertIn('1 volumes could not be moved: a: Cinder does not '
                          'answer for it: 500', str(error))
            self.assertEqual({'a': OLD, 'b': NEW, 'c': NEW, 'd': NEW},
                             cinder.places)
            self.assertEqual(list('abcd'), cinder.begun)

    def test_one_that_cinder_does_not_answer_for_for_a_while(self) -> None:
        cinder = Cinder({'a': 1, 'b': 1})
        cinder.broken.add('a')
        before = cinder.migrate

        def migrate(volume_id: str) -> None:
            before(volume_id)
            if volume_id == 'c':
                cinder.broken.clear()

        cinder.migrate = migrate  # type: ignore[method-assign]
        cinder.sizes['c'], cinder.places['c'] = 1, OLD
        self.assertEqual(3, self.run_job(cinder).done)
        self.assertEqual(list('abc'), cinder.begun)

    def test_an_outage_is_no_fault_of_a_volume(self) -> None:
        """What was held against one before it is void after it."""
        moments = itertools.count(0, mover.DOUBT)
        now = [next(moments)]
        self.useFixture(fixtures.MonkeyPatch(
            f'{mover.__name__}.time',
            types.SimpleNamespace(monotonic=lambda: now[0])))
        cinder = Cinder({'a': 1})
        before = cinder.phase
        # For the volume and for one that nobody has, by turns.
        faults = ['500', '', '503', '503', '500', '']

        def phase(volume_id: str) -> Phase:
            now[0] = next(moments)
            fault = faults.pop(0) if faults else ''
            if fault:
                raise mover.CloudUnavailable(fault)
            return before(volume_id)

        cinder.phase = phase  # type: ignore[method-assign]
        self.assertEqual(1, self.run_job(cinder).done)
        self.assertEqual([], faults)

    def test_what_comes_back_has_failed(self) -> None:
        cinder = Cinder({'a': 1, 'b': 1})
        cinder.ended_where_it_was.add('a')
        error = self.assertRaises(mover.MovesFailed, self.run_job, cinder)
        self.assertIn('a: Cinder has ended its migration and it is where it '
                      'was', str(error))
        self.assertEqual(1, cinder.begun.count('a'))

    def test_a_volume_that_is_deleted_meanwhile(self) -> None:
        cinder = Cinder({'a': 1, 'b': 1})
        before = cinder.migrate

        def migrate(volume_id: str) -> None:
            before(volume_id)
            if volume_id == 'a':
                del cinder.places['a'], cinder.moving['a']

        cinder.migrate = migrate  # type: ignore[method-assign]
        self.assertEqual(1, self.run_job(cinder).done)

    def test_a_move_of_somebody_else_is_waited_for(self) -> None:
        cinder = Cinder({'a': 1}, looks=3)
        cinder.migrate('a')
        cinder.begun.clear()
        self.assertEqual(1, self.run_job(cinder).done)
        self.assertEqual([], cinder.begun)

    def left(self, cinder: Cinder) -> Job:
        """Have a volume be moved by a service that has died.

        :returns: the driver's job of it, which has no heartbeat any more.
        """
        cinder.migrate('a')
        cinder.stuck.add('a')
        left = self.book.add(mover.MIGRATE, 'a', {})
        self.assertIsNotNone(self.book.claim(left, 'dead'))
        with self.store.transaction() as connection:
            connection.execute(sa.update(JOBS).values(
                heartbeat=JOBS.c.heartbeat - 1000))
        return left

    def test_one_whose_service_has_died_is_begun_anew(self) -> None:
        cinder = Cinder({'a': 1})
        self.left(cinder)
        self.run_job(cinder)
        self.assertEqual((['a'], ['a', 'a'], NEW),
                         (cinder.forgotten, cinder.begun,
                          cinder.places['a']))

    def recorded(self, cinder: Cinder) -> Job:
        """As `left`; the record is written when the drain has listed it."""
        left, before = self.left(cinder), cinder.phase

        def phase(volume_id: str) -> Phase:
            cinder.places['a'] = NEW
            return before(volume_id)

        cinder.phase = phase  # type: ignore[method-assign]
        return left

    def test_one_whose_service_has_died_when_it_had_moved(self) -> None:
        """What is left of its move is done; it is not begun once more."""
        cinder = Cinder({'a': 1, 'b': 1})
        left = self.recorded(cinder)
        job = self.run_job(cinder)
        self.assertEqual((2, 2, {}), (job.done, job.checkpoint['moved'],
                                      job.checkpoint['failed']))
        self.assertEqual((['a'], ['a', 'b']), (cinder.forgotten,
                                               cinder.begun))
        self.assertIs(JobState.CANCELLING, self.book.get(left.id).state)

    def slow_to_forget(self, forgets: bool) -> None:
        """Let Cinder not answer once, while another service ends the move.

        :param forgets: it has forgotten the migration all the same.
        """
        cinder = Cinder({'a': 1, 'b': 1})
        left, forget = self.recorded(cinder), cinder.forget_migration
        replies = ['503']

        def forgetting(volume_id: str) -> None:
            if forgets or not replies:
                forget(volume_id)
            if replies:
                asked = self.book.get(left.id)
                claim = self.book.claim(asked, 'other')
                assert claim is not None
                self.book.end(asked.id, claim, JobState.DONE)
                raise mover.CloudUnavailable(replies.pop())

        cinder.forget_migration = forgetting  # type: ignore[method-assign]
        self.assertEqual(2, self.run_job(cinder).done)
        self.assertEqual(['a'], cinder.forgotten)

    def test_cinder_may_be_slow_to_forget_it(self) -> None:
        for forgets in (True, False):
            self.slow_to_forget(forgets)

    def test_one_that_is_being_done_is_not(self) -> None:
        cinder = Cinder({'a': 1}, looks=4)
        desk = self.desk('stor2')
        with desk.held(mover.MIGRATE, 'a', {}):
            self.run_job(cinder)
        self.assertEqual(['a'], cinder.begun)
        self.assertEqual([], cinder.forgotten)

    def unclaimed(self, looks: int) -> Cinder:
        """Have a volume be moved whose job nobody has claimed."""
        cinder = Cinder({'a': 1}, looks=looks)
        cinder.migrate('a')
        self.book.add(mover.MIGRATE, 'a', {})
        return cinder

    def test_one_whose_job_is_just_being_claimed_is_not_dead(self) -> None:
        cinder = self.unclaimed(4)
        self.run_job(cinder)
        self.assertEqual((['a'], []), (cinder.begun, cinder.forgotten))

    def test_one_whose_job_nobody_claims_is(self) -> None:
        self.book.lease = 0.3
        cinder = self.unclaimed(4)
        cinder.stuck.add('a')
        self.run_job(cinder)
        self.assertEqual((['a', 'a'], ['a']), (cinder.begun,
                                               cinder.forgotten))

    def test_cancelled(self) -> None:
        cinder = Cinder({f'v{number}': 1 for number in range(5)})
        before = cinder.migrate

        def migrate(volume_id: str) -> None:
            before(volume_id)
            job = self.book.latest('drain', OLD)
            assert job is not None
            self.book.cancel(job.id)

        cinder.migrate = migrate  # type: ignore[method-assign]
        self.assertRaises(copy_errors.Cancelled, self.run_job, cinder, 1)
        self.assertEqual(1, len(cinder.begun))
        job = self.book.latest('drain', OLD)
        assert job is not None
        self.assertEqual('cancelled', job.state.value)

    def test_another_process_goes_on(self) -> None:
        cinder = Cinder({'a': 1, 'b': 1}, looks=2)
        held = self.stopped_after_one(cinder)
        job = self.run_job(cinder, desk=self.desk('stor2'))
        self.assertEqual((held.job.id, 2), (job.id, job.done))
        self.assertEqual(['a', 'b'], cinder.begun)

    def test_the_pace(self) -> None:
        """Three volumes of 10 bytes at 20 bytes per second."""
        cinder = Cinder({'a': 10, 'b': 10, 'c': 10}, looks=0)
        began = time.monotonic()
        self.run_job(cinder, at_once=3, rate=20)
        self.assertGreaterEqual(time.monotonic() - began, 1.0)
