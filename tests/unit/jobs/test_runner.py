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

import subprocess
import sys
import threading
from typing import Any

import sqlalchemy as sa

from cinder_lightbits_federation.copy import errors as copy_errors
from cinder_lightbits_federation.copy import ledger
from cinder_lightbits_federation.jobs import book
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.jobs import runner
from cinder_lightbits_federation.store.tables import JOBS
from tests.store.cases import wait
from tests.unit.jobs import base


class DeskTestCase(base.JobsTestCase):

    def test_a_job_ends_as_the_body_does(self) -> None:
        desk = self.desk()
        with desk.held('copy', 'v', {}) as held:
            record: ledger.Ledger = held
            record.save({'at': 1}, 1, 2)
            self.assertEqual({'at': 1}, record.load())
            self.assertEqual('running', self.state(held.job))
        self.assertEqual('done', self.state(held.job))

    def test_an_error_fails_it_and_the_next_goes_on(self) -> None:
        desk = self.desk()

        def fail() -> None:
            with desk.held('copy', 'v', {}) as held:
                held.save({'at': 1}, 1, 2)
                raise ValueError('broken')

        self.assertRaises(ValueError, fail)
        job = self.book.latest('copy', 'v')
        assert job is not None
        self.assertEqual((JobState.FAILED, 'broken'), (job.state, job.error))
        with self.desk('stor2').held('copy', 'v', {}) as held:
            self.assertEqual((job.id, {'at': 1}),
                             (held.job.id, held.load()))

    def test_a_second_process_is_refused(self) -> None:
        with self.desk().held('copy', 'v', {}) as held:
            error = self.assertRaises(
                book.AlreadyUnderWay, self.desk('stor2').begin, 'copy', 'v',
                {})
            self.assertEqual(held.job.id, error.job.id)

    def test_a_cancel_is_seen_at_the_next_checkpoint(self) -> None:
        desk = self.desk()

        def work() -> None:
            with desk.held('copy', 'v', {}) as held:
                self.book.cancel(held.job.id)
                held.save({'at': 1}, 1, 2)

        self.assertRaises(copy_errors.Cancelled, work)
        job = self.book.latest('copy', 'v')
        assert job is not None
        # What was saved is there for whoever cleans up.
        self.assertEqual((JobState.CANCELLED, {'at': 1}),
                         (job.state, job.checkpoint))

    def test_a_job_that_was_taken_over_is_left_alone(self) -> None:
        desk = self.desk()

        def work() -> None:
            with desk.held('copy', 'v', {}) as held:
                self.assertIsNotNone(self.hasty.claim(held.job, 'stor2'))
                for call in (held.load, held.check,
                             lambda: held.save({'at': 9}, 9, 9)):
                    self.assertRaises(copy_errors.Lost, call)
                held.load()

        self.assertRaises(copy_errors.Lost, work)
        job = self.book.latest('copy', 'v')
        assert job is not None
        self.assertEqual((JobState.RUNNING, 'stor2', {}),
                         (job.state, job.host, job.checkpoint))

    def test_a_held_job_is_kept_for_longer_than_the_lease(self) -> None:
        desk = self.desk(lease=1.0)
        with desk.held('copy', 'v', {}) as held:
            seen = held.job.silent
            assert seen is not None
            began = self.beats(held.job)
            wait(lambda: self.beats(held.job) > began + 2.0, 'heartbeats')
            self.assertIsNone(desk.book.claim(held.job, 'stor2'))

    def beats(self, job: Any) -> float:
        """:returns: when the holder of a job was last heard."""
        with self.store.transaction() as connection:
            return float(connection.execute(sa.select(
                JOBS.c.heartbeat).where(JOBS.c.id == job.id)).scalar_one())


# A process that does a job of days and is told to end.
ENDING = '''
import sys
import threading
from cinder_lightbits_federation.jobs import book, claims, runner
from cinder_lightbits_federation.store import engine
made = book.Book(engine.Store(engine.parse(sys.argv[1])), sys.argv[2])
begun = threading.Event()
def work(task):
    begun.set()
    threading.Event().wait(86400)
doing = runner.Runner(claims.Desk(made, 'stor1'), {'copy': work})
doing.start()
if not begun.wait(60):
    sys.exit(3)
doing.stop()
'''


class RunnerTestCase(base.JobsTestCase):

    def runner(self, handler: runner.Handler, **options: Any
               ) -> runner.Runner:
        """:returns: a runner that has begun to look."""
        made = runner.Runner(self.desk(), {'copy': handler},
                             interval=0.05, **options)
        self.addCleanup(made.stop)
        made.start()
        return made

    def until(self, job: Any, state: str) -> None:
        """Wait until a job is in a state."""
        wait(lambda: self.state(job) == state, f'the job to be {state}')

    def test_what_is_queued_is_done(self) -> None:
        seen = []
        self.runner(lambda task: seen.append(task.job.parameters))
        job = self.book.add('copy', 'v', {'a': 1})
        self.until(job, 'done')
        self.assertEqual([{'a': 1}], seen)

    def test_other_kinds_are_left_alone(self) -> None:
        other = self.book.add('drain', 'v', {})
        self.runner(lambda task: None)
        self.until(self.book.add('copy', 'v', {}), 'done')
        self.assertEqual('queued', self.state(other))

    def test_of_further_kinds_only_cancelled_ones_are_finished(self) -> None:
        seen: list[str] = []

        def finish(task: runner.Task) -> None:
            seen.append(task.job.subject)
            raise copy_errors.Cancelled('it was asked for')

        left = self.left('v')
        cancelled = self.left('w')
        self.book.cancel(cancelled.id)
        alive = self.book.add('migrate', 'x', {})
        self.assertIsNotNone(self.book.claim(alive, 'stor2'))
        self.book.cancel(alive.id)
        made = runner.Runner(self.desk(), {}, interval=0.05,
                             finishers={'migrate': finish})
        self.addCleanup(made.stop)
        made.start()
        self.until(cancelled, 'cancelled')
        self.assertEqual(('running', 'cancelling'),
                         (self.state(left), self.state(alive)))
        self.assertEqual(['w'], seen)

    def left(self, subject: str) -> Any:
        """:returns: a job that a service has begun and nobody has now."""
        job = self.book.add('migrate', subject, {})
        claim = self.book.claim(job, 'stor2')
        assert claim is not None
        self.book.let_go(job.id, claim)
        return job

    def test_an_error_is_noted_and_the_next_job_is_done(self) -> None:
        def handler(task: runner.Task) -> None:
            if task.job.subject == 'bad':
                raise RuntimeError('broken')

        self.runner(handler, workers=1)
        bad = self.book.add('copy', 'bad', {})
        self.until(bad, 'failed')
        self.assertEqual('broken', self.book.get(bad.id).error)
        self.until(self.book.add('copy', 'v', {}), 'done')

    def test_a_process_does_not_wait_for_its_jobs_to_end(self) -> None:
        job = self.book.add('copy', 'v', {})
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', ENDING, self.url,
             base.BACKEND], timeout=120, check=False)
        self.assertEqual(0, done.returncode)
        # Another goes on.
        self.assertEqual('running', self.state(job))
        self.assertIsNotNone(self.hasty.claim(self.book.get(job.id),
                                              'stor2'))

    def test_a_running_job_is_cancelled(self) -> None:
        def handler(task: runner.Task) -> None:
            while not task.stopping.wait(0.01):
                task.held.save({}, 0, 0)

        self.runner(handler)
        job = self.book.add('copy', 'v', {})
        self.until(job, 'running')
        self.book.cancel(job.id)
        self.until(job, 'cancelled')

    def test_no_more_are_done_than_there_are_workers(self) -> None:
        going = threading.Event()
        running = []

        def handler(task: runner.Task) -> None:
            running.append(task.job.id)
            going.wait(60)

        self.addCleanup(going.set)
        self.runner(handler, workers=2)
        jobs = [self.book.add('copy', f'v{number}', {})
                for number in range(4)]
        wait(lambda: len(running) == 2, 'two jobs')
        self.assertEqual(['running', 'running', 'queued', 'queued'],
                         [self.state(job) for job in jobs])
        going.set()
        for job in jobs:
            self.until(job, 'done')

    def test_no_kind_waits_for_another(self) -> None:
        """Nor does what is to be cleaned up; a copy may take days."""
        going = threading.Event()
        self.addCleanup(going.set)
        doing = runner.Runner(
            self.desk(), {'copy': lambda task: going.wait(60) and None,
                          'drain': lambda task: None},
            interval=0.05, workers=1, finishers={'migrate': lambda task: None})
        self.addCleanup(doing.stop)
        held = self.book.add('copy', 'v1', {})
        doing.start()
        self.until(held, 'running')
        waiting = self.book.add('copy', 'v2', {})
        left = self.left('v')
        self.book.cancel(left.id)
        self.until(self.book.add('drain', 'east', {}), 'done')
        self.until(left, 'done')
        self.assertEqual('queued', self.state(waiting))
        going.set()
        self.until(waiting, 'done')

    def test_a_service_that_ends_gives_its_jobs_back(self) -> None:
        begun = threading.Event()

        def handler(task: runner.Task) -> None:
            if task.held.load():
                return
            task.held.save({'at': 1}, 1, 2)
            begun.set()
            task.stopping.wait(60)
            task.check()

        first = self.runner(handler)
        job = self.book.add('copy', 'v', {})
        self.assertTrue(begun.wait(60))
        first.stop()
        wait(lambda: self.book.get(job.id).silent is None, 'its release')
        self.assertEqual('running', self.state(job))
        self.runner(handler)
        self.until(job, 'done')
