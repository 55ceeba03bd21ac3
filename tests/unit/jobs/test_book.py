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

import sqlalchemy as sa

from unittest import mock

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.jobs import book
from cinder_lightbits_federation.jobs import claims
from cinder_lightbits_federation.jobs import model
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.store.tables import JOBS
from cinder_lightbits_federation.store.tables import SUBJECT_LENGTH
from cinder_lightbits_federation import timing
from tests.unit.jobs import base

# Seconds after which others take a job over.
LEASE = 1.0


class BookTestCase(base.JobsTestCase):

    def claimed(self, subject: str = 'v') -> tuple[model.Job, str]:
        """:returns: a job that this test holds, and its claim."""
        job = self.book.add('copy', subject, {'to': 'east'})
        claim = self.book.claim(job, 'stor1')
        assert claim is not None
        return self.book.get(job.id), claim

    def test_a_new_job(self) -> None:
        job = self.book.add('copy', 'v', {'to': 'east'})
        self.assertEqual(
            ('copy', 'v', JobState.QUEUED, {'to': 'east'}, {}, 0, 0, None),
            (job.kind, job.subject, job.state, job.parameters,
             job.checkpoint, job.done, job.total, job.silent))
        self.assertIsNone(job.share)
        self.assertIsNone(job.started)
        self.assertEqual(job, self.book.get(job.id))

    def test_jobs_of_other_backends_are_not_seen(self) -> None:
        job = self.book.add('copy', 'v', {})
        other = book.Book(self.store, 'other@lightbits')
        self.assertRaises(book.NoSuchJob, other.get, job.id)
        self.assertEqual([], other.claimable(['copy']))
        other.add('copy', 'v', {})

    def test_one_at_a_time_of_a_kind_and_subject(self) -> None:
        job, claim = self.claimed()
        error = self.assertRaises(book.AlreadyUnderWay, self.book.add,
                                  'copy', 'v', {})
        self.assertEqual(job.id, error.job.id)
        self.book.add('drain', 'v', {})
        self.assertTrue(self.book.end(job.id, claim, JobState.DONE))
        self.book.add('copy', 'v', {})

    def test_pages(self) -> None:
        made = [self.book.add('copy', f'v{number}', {}).id
                for number in range(5)][::-1]
        first = self.book.all(limit=2)
        self.assertEqual(made[:2], [job.id for job in first])
        rest = self.book.all(marker=first[-1].id, limit=9)
        self.assertEqual(made[2:], [job.id for job in rest])
        self.assertEqual([], self.book.all(marker=made[-1]))
        self.assertRaises(book.NoSuchJob, self.book.all, marker='no')

    def test_tally(self) -> None:
        self.assertEqual({}, self.book.tally())
        job, claim = self.claimed('v1')
        self.book.end(job.id, claim, JobState.DONE)
        self.claimed('v2')
        for subject in ('v3', 'v4'):
            self.book.add('drain', subject, {})
        book.Book(self.store, 'other@lightbits').add('copy', 'v', {})
        self.assertEqual({('copy', JobState.DONE): 1,
                          ('copy', JobState.RUNNING): 1,
                          ('drain', JobState.QUEUED): 2}, self.book.tally())

    def test_filters(self) -> None:
        job, _claim = self.claimed()
        other = self.book.add('drain', 'east', {})
        self.assertEqual([job.id], [item.id for item in self.book.all(
            [JobState.RUNNING])])
        self.assertEqual([other.id], [item.id for item in self.book.all(
            kind='drain')])

    def test_a_held_job_is_not_given_away(self) -> None:
        job, _claim = self.claimed()
        self.assertIsNone(self.book.claim(job, 'stor2'))
        self.assertEqual([], self.book.claimable(['copy']))
        self.assertIsNotNone(job.silent)

    def test_the_job_of_a_silent_host_is(self) -> None:
        job, claim = self.claimed()
        self.assertEqual([job.id], [item.id for item in
                                    self.hasty.claimable(['copy'])])
        fresh = self.hasty.claim(job, 'stor2')
        assert fresh is not None
        self.assertEqual('stor2', self.book.get(job.id).host)
        self.assertIsNone(self.book.save(job.id, claim, {'at': 9}, 9, 9))
        self.assertFalse(self.book.end(job.id, claim, JobState.DONE))
        self.book.let_go(job.id, claim)
        self.assertEqual(JobState.RUNNING, self.book.save(
            job.id, fresh, {'at': 1}, 1, 2))
        now = self.book.get(job.id)
        self.assertEqual(({'at': 1}, 1, 2, 0.5),
                         (now.checkpoint, now.done, now.total, now.share))

    def test_a_heartbeat_keeps_a_job(self) -> None:
        job, claim = self.claimed()
        with self.store.transaction() as connection:
            connection.execute(sa.update(JOBS).values(
                heartbeat=JOBS.c.heartbeat - 1000))
        self.assertNotEqual([], self.book.claimable(['copy']))
        self.book.beat([claim])
        self.assertEqual([], self.book.claimable(['copy']))
        self.assertIsNone(self.book.claim(job, 'stor2'))

    def test_a_job_that_nobody_has_begun_is_cancelled_at_once(self) -> None:
        job = self.book.add('copy', 'v', {})
        self.assertEqual(JobState.CANCELLED, self.book.cancel(job.id).state)
        self.assertEqual(JobState.CANCELLED, self.book.cancel(job.id).state)
        self.assertIsNone(self.book.claim(job, 'stor1'))
        self.book.add('copy', 'v', {})

    def test_a_running_job_is_told(self) -> None:
        job, claim = self.claimed()
        self.assertEqual(JobState.CANCELLING, self.book.cancel(job.id).state)
        self.assertEqual(JobState.CANCELLING, self.book.save(
            job.id, claim, {}, 0, 0))
        self.assertTrue(self.book.end(job.id, claim, JobState.CANCELLED))
        self.assertEqual('cancelled', self.state(job))

    def test_whoever_takes_over_a_cancelled_job_cleans_up(self) -> None:
        job, _claim = self.claimed()
        seen = self.book.cancel(job.id)
        claim = self.hasty.claim(seen, 'stor2')
        assert claim is not None
        self.assertEqual('cancelling', self.state(job))
        self.assertFalse(self.book.end(job.id, claim, JobState.QUEUED))
        self.assertTrue(self.book.end(job.id, claim, JobState.CANCELLED))

    def test_a_resumed_job_that_waits_is_not_cancelled_at_once(self) -> None:
        """What it has made before is still there."""
        job, claim = self.claimed()
        self.book.end(job.id, claim, JobState.FAILED, 'why')
        self.book.resume(job.id)
        self.assertEqual(JobState.CANCELLING, self.book.cancel(job.id).state)

    def test_a_failed_job_that_has_left_something_is_cancelled(self) -> None:
        job, claim = self.claimed()
        self.book.end(job.id, claim, JobState.FAILED, 'why')
        self.assertRaises(book.NotPossible, self.book.cancel, job.id)
        again = self.book.resume(job.id)
        claim = self.book.claim(again, 'stor1')
        assert claim is not None
        self.book.save(job.id, claim, {'at': 7}, 7, 9)
        self.book.end(job.id, claim, JobState.FAILED, 'why')
        self.assertEqual((JobState.CANCELLING, {'at': 7}), (
            self.book.cancel(job.id).state, self.book.get(job.id).checkpoint))

    def test_a_failed_job_is_resumed_from_where_it_was(self) -> None:
        job, claim = self.claimed()
        self.book.save(job.id, claim, {'at': 7}, 7, 9)
        self.book.end(job.id, claim, JobState.FAILED, 'why')
        failed = self.book.get(job.id)
        self.assertEqual(('why', None), (failed.error, failed.silent))
        self.assertIsNotNone(failed.ended)

        again = self.book.resume(job.id)

        self.assertEqual((JobState.QUEUED, {'at': 7}, '', None),
                         (again.state, again.checkpoint, again.error,
                          again.ended))
        self.assertIsNotNone(self.book.claim(again, 'stor2'))

    def test_a_resumed_job_is_done_as_it_is_wanted_now(self) -> None:
        desk = self.desk()
        held = desk.begin('copy', 'v', {'rate': 2})
        self.book.save(held.job.id, held.claim, {'at': 7}, 7, 9)
        self.book.end(held.job.id, held.claim, JobState.FAILED, 'why')

        again = self.desk('stor2').begin('copy', 'v', {'rate': 3})

        self.assertEqual((held.job.id, {'rate': 3}, {'at': 7}),
                         (again.job.id, again.job.parameters,
                          again.job.checkpoint))

    def test_a_claim_that_came_to_nothing_is_not_kept_alive(self) -> None:
        """The store fails right after the claim: others can have the job."""
        desk = self.desk(lease=LEASE)
        job = self.book.add('copy', 'v', {})
        with mock.patch.object(desk.book, 'get', autospec=True,
                               side_effect=errors.StoreUnavailable('away')):
            self.assertRaises(errors.StoreUnavailable, desk.take, job)
        other = self.desk('stor2', lease=LEASE)

        def take() -> claims.HeldJob | None:
            return other.take(self.book.get(job.id))

        held = timing.wait_until(take, timing.Deadline.after(30), 'job')
        self.assertEqual(job.id, held.job.id)

    def test_subjects_of_any_length(self) -> None:
        """Their column is short, and databases but SQLite mind that."""
        one, two = 'v' * 300, 'v' * 299 + 'w'
        job = self.book.add('copy', one, {})
        self.assertLessEqual(len(job.subject), SUBJECT_LENGTH)
        self.assertTrue(job.subject.startswith('vvv'))
        error = self.assertRaises(book.AlreadyUnderWay, self.book.add,
                                  'copy', one, {})
        self.assertEqual(job.id, error.job.id)
        other = self.book.add('copy', two, {})
        self.assertEqual(
            [job, other, job],
            [self.book.latest('copy', one), self.book.latest('copy', two),
             self.book.unfinished('copy', one)])

    def test_only_one_of_two_is_resumed(self) -> None:
        job, claim = self.claimed()
        self.book.end(job.id, claim, JobState.FAILED, 'why')
        other = self.book.add('copy', 'v', {})
        error = self.assertRaises(book.AlreadyUnderWay, self.book.resume,
                                  job.id)
        self.assertEqual(other.id, error.job.id)

    def test_what_has_ended_well_is_not_resumed(self) -> None:
        job, claim = self.claimed()
        self.assertRaises(book.NotPossible, self.book.resume, job.id)
        self.book.end(job.id, claim, JobState.DONE)
        self.assertRaises(book.NotPossible, self.book.resume, job.id)
        self.assertEqual(1.0, self.book.get(job.id).share)

    def test_no_state_follows_but_those_of_the_table(self) -> None:
        """The table of states is what the changes go by."""
        for before in JobState:
            for after in JobState:
                job, claim = self.claimed(f'{before}-{after}')
                with self.store.transaction() as connection:
                    connection.execute(sa.update(JOBS).where(
                        JOBS.c.id == job.id).values(state=before.value))
                self.assertEqual(after in model.FOLLOWS[before],
                                 self.book.end(job.id, claim, after))

    def test_old_jobs_are_forgotten(self) -> None:
        job, claim = self.claimed()
        self.book.end(job.id, claim, JobState.DONE)
        with self.store.transaction() as connection:
            connection.execute(sa.update(JOBS).values(
                ended=JOBS.c.ended - book.KEPT - 1))
        kept = self.book.add('copy', 'w', {})
        self.assertEqual([kept.id], [item.id for item in self.book.all()])


class EstimateTestCase(base.JobsTestCase):

    def test_the_pace_until_now(self) -> None:
        self.assertEqual(30.0, model.remaining_seconds(50, 100, 25, 15.0))

    def test_nothing_to_go_by(self) -> None:
        for given in ((5, 100, 5, 10.0), (5, 100, 0, 0.0), (9, 5, 0, 1.0)):
            self.assertIsNone(model.remaining_seconds(*given))
