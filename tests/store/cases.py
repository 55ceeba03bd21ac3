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

"""What holds of the store in whatever database it is.

Mixed into the tests of each database, which give a URL.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
import contextlib
import pathlib
import subprocess
import sys
from typing import Any
import uuid

import sqlalchemy as sa

from cinder_lightbits_federation.jobs import book as books
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.store import engine
from cinder_lightbits_federation.store import services
from cinder_lightbits_federation.store import states
from cinder_lightbits_federation.store import tables
from cinder_lightbits_federation.store.tables import SERVICES
from cinder_lightbits_federation import timing
from cinder_lightbits_federation.views import AdminState

FEDERATION = 'd6d0cf02-55a4-4d1c-8f3c-8f0f0a7f7a10'
BACKEND = 'stor@lightbits'
PATIENCE = 60.0
WORKER = pathlib.Path(__file__).with_name('worker.py')
ROOT = WORKER.parents[2]


def wait(probe: Any, what: str) -> Any:
    """:returns: the first answer of `probe` that is true."""
    return timing.wait_until(lambda: probe() or None,
                             timing.Deadline.after(PATIENCE), what)


class StoreCases:
    """Asks for `url`, and for what a test case has."""

    url: str
    folder: pathlib.Path
    addCleanup: Any
    assertEqual: Any
    assertRaises: Any
    assertTrue: Any
    assertFalse: Any
    assertIn: Any
    assertIsNone: Any
    assertIsNotNone: Any
    assertLess: Any

    def open(self) -> engine.Store:
        """:returns: a store of its own over the database."""
        made = engine.Store(engine.parse(self.url))
        self.addCleanup(made.close)
        return made

    @contextlib.contextmanager
    def worker(self, *argv: str) -> Iterator[subprocess.Popen[str]]:
        """Run a process that does jobs until the end of the body."""
        process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', str(WORKER), self.url, BACKEND,
             *argv], cwd=ROOT, text=True, stdin=subprocess.PIPE)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


class SharedCases(StoreCases):

    def test_tables_that_were_half_made(self) -> None:
        made = sa.create_engine(self.url)
        self.addCleanup(made.dispose)
        tables.JOBS.create(made)
        tables.STATES.create(made)
        self.assertEqual({}, states.States(self.open(), FEDERATION).all())
        self.assertEqual([], books.Book(self.open(), BACKEND).all())

    def test_services_that_start_at_once_make_the_tables_once(self) -> None:
        stores = [self.open() for _number in range(6)]
        with futures.ThreadPoolExecutor(len(stores)) as pool:
            found = list(pool.map(
                lambda store: states.States(store, FEDERATION).all(),
                stores))
        self.assertEqual([{}] * len(stores), found)

    def test_a_newer_schema_is_refused(self) -> None:
        store = self.open()
        states.States(store, FEDERATION).all()
        with store.transaction() as connection:
            connection.exec_driver_sql(
                "UPDATE lightbits_versions SET version_num = '9999'")

        error = self.assertRaises(
            engine.errors.StoreUnavailable,
            states.States(self.open(), FEDERATION).all)

        self.assertIn('9999', str(error))

    def test_a_state_is_set_changed_and_reset(self) -> None:
        here, there = (states.States(self.open(), FEDERATION)
                       for _number in range(2))
        self.assertTrue(here.put('east', AdminState.DISABLED, 'why: café',
                                 'stor1', None))

        seen = there.all()['east']
        self.assertEqual(
            (AdminState.DISABLED, 'why: café', 'stor1', 1),
            (seen.state, seen.reason, seen.host, seen.version))
        self.assertTrue(there.put('east', AdminState.DRAINING, 'more',
                                  'stor2', seen))
        self.assertFalse(here.put('east', AdminState.ENABLED, 'late',
                                  'stor1', seen))
        self.assertFalse(here.put('east', AdminState.ENABLED, 'blind',
                                  'stor1', None))
        self.assertFalse(here.reset(seen))
        seen = here.all()['east']
        self.assertEqual((AdminState.DRAINING, 2),
                         (seen.state, seen.version))
        self.assertTrue(here.reset(seen))
        self.assertEqual({}, there.all())

    def test_which_cluster_a_state_is_about(self) -> None:
        here = states.States(self.open(), FEDERATION)
        a_uuid, other = str(uuid.uuid4()), str(uuid.uuid4())
        here.put('west', AdminState.LOST, 'fire', 'stor1', None, other)
        here.put('east', AdminState.LOST, 'fire', 'stor1', None, a_uuid)
        seen = here.all()['east']
        self.assertEqual(a_uuid, seen.uuid)
        self.assertTrue(seen.about(a_uuid))
        self.assertTrue(seen.about(None))
        self.assertFalse(seen.about(other))

        # As the release before does it, which leaves the mark.
        here.put('east', AdminState.DRAINING, 'x', 'stor2', seen)
        self.assertEqual('', here.all()['east'].uuid)
        self.assertTrue(here.all()['east'].about(other))

        here.put('east', AdminState.DRAINING, 'x', 'stor2',
                 here.all()['east'], other)
        self.assertEqual(other, here.all()['east'].uuid)
        here.reset(here.all()['east'])
        here.put('east', AdminState.DISABLED, 'x', 'stor2', None)
        self.assertEqual(('', other), (here.all()['east'].uuid,
                                       here.all()['west'].uuid))

    def test_states_of_other_clouds_are_not_seen(self) -> None:
        store = self.open()
        states.States(store, FEDERATION).put(
            'east', AdminState.DISABLED, '', 'stor1', None)
        self.assertEqual(
            {}, states.States(store, str(uuid.uuid4())).all())

    def test_a_lost_cluster_is_remembered_until_it_is_audited(self) -> None:
        here, there = (states.States(self.open(), FEDERATION)
                       for _number in range(2))
        here.remember_lost('east')
        there.remember_lost('east')
        self.assertEqual({'east'}, here.lost())
        here.forget_lost('east')
        here.forget_lost('east')
        self.assertEqual(frozenset(), there.lost())

    def test_what_services_know(self) -> None:
        store = self.open()
        mine = services.Services(store, BACKEND)
        east = services.Known('e', 'enabled')
        mine.tell('stor1@lightbits', {
            'east': east, 'west': services.Known('w', 'disabled')})
        for _time in range(2):
            mine.tell('stor2@lightbits', {
                'east': east, 'west': services.Known('', 'enabled')})
        services.Services(store, 'other').tell('stor3@other', {})

        found = mine.all()
        self.assertEqual(['stor1@lightbits', 'stor2@lightbits'],
                         [item.host for item in found])
        self.assertTrue(all(item.alive for item in found))
        self.assertEqual(('w', 'disabled'), found[0].clusters['west'])
        self.assertEqual([], services.unknown_to(found, 'east', 'e'))
        self.assertEqual(['stor2@lightbits'],
                         services.unknown_to(found, 'west', 'w'))
        self.assertEqual(['stor1@lightbits', 'stor2@lightbits'],
                         services.unknown_to(found, 'east', 'another'))
        mine.leave('stor2@lightbits')
        self.assertEqual([], services.unknown_to(mine.all(), 'west', 'w'))

    def test_a_silent_service_is_not_asked_for(self) -> None:
        store = self.open()
        mine = services.Services(store, BACKEND)
        mine.tell('stor1@lightbits', {})
        self.assertEqual(['stor1@lightbits'],
                         services.unknown_to(mine.all(), 'east', 'e'))
        self.age(store, services.ALIVE + 1)
        self.assertEqual([], services.unknown_to(mine.all(), 'east', 'e'))
        self.assertEqual(1, len(mine.all()))
        self.age(store, services.KEPT)
        mine.tell('stor2@lightbits', {})
        self.assertEqual(['stor2@lightbits'],
                         [item.host for item in mine.all()])

    def test_services_tell_at_the_same_time(self) -> None:
        """They do not get into each other's way; old ones go meanwhile."""
        self.open()
        told = [services.Services(self.open(), BACKEND)
                for _number in range(6)]

        def tell(number: int) -> None:
            for _time in range(15):
                told[number].tell(f'stor{number}@lightbits', {})

        with futures.ThreadPoolExecutor(len(told)) as pool:
            list(pool.map(tell, range(len(told))))
        self.assertEqual(
            [f'stor{number}@lightbits' for number in range(6)],
            [item.host for item in told[0].all()])

    @staticmethod
    def age(store: engine.Store, seconds: float) -> None:
        """Have all services been silent for so much longer."""
        with store.transaction() as connection:
            connection.execute(sa.update(SERVICES).values(
                heartbeat=SERVICES.c.heartbeat - seconds))


class JobCases(StoreCases):

    def test_a_job_is_claimed_once(self) -> None:
        made = books.Book(self.open(), BACKEND).add('copy', 'v', {'a': 1})
        others = [books.Book(self.open(), BACKEND) for _number in range(8)]
        with futures.ThreadPoolExecutor(len(others)) as pool:
            claims = list(pool.map(
                lambda book: book.claim(made, 'host'), others))
        self.assertEqual(7, claims.count(None))

    def test_jobs_of_one_subject_are_made_once(self) -> None:
        others = [books.Book(self.open(), BACKEND) for _number in range(8)]

        def add(book: books.Book) -> str | None:
            try:
                return book.add('copy', 'v', {}).id
            except books.AlreadyUnderWay as exc:
                return f'already {exc.job.id}'

        with futures.ThreadPoolExecutor(len(others)) as pool:
            made = list(pool.map(add, others))
        winner, = (name for name in made if not name.startswith('already'))
        self.assertEqual(7, made.count(f'already {winner}'))

    def test_each_job_is_done_by_one_process(self) -> None:
        book = books.Book(self.open(), BACKEND)
        jobs = {book.add('write', f'v{number}', {'steps': 1}).id
                for number in range(20)}
        trail = self.folder / 'trail'
        with self.worker(str(trail)), self.worker(str(trail)):
            wait(lambda: not book.all([
                JobState.QUEUED, JobState.RUNNING]), 'all jobs')
        done = [line.split()[0] for line in trail.read_text().splitlines()]
        self.assertEqual(sorted(jobs), sorted(done))
        self.assertEqual({JobState.DONE}, {
            job.state for job in book.all()})

    def test_a_job_of_a_killed_process_goes_on_elsewhere(self) -> None:
        book = books.Book(self.open(), BACKEND)
        job = book.add('write', 'v', {'steps': 5, 'stop_at': 3})
        trail = self.folder / 'trail'
        with self.worker(str(trail), '--first') as process:
            wait(lambda: book.get(job.id).done == 3, 'three steps')
            process.kill()
        with self.worker(str(trail)):
            wait(lambda: book.get(job.id).state is JobState.DONE, 'the rest')
        steps = [line.split()[1] for line in trail.read_text().splitlines()]
        self.assertEqual(['1', '2', '3', '4', '5'], steps)
        self.assertEqual((5, 5), (book.get(job.id).done,
                                  book.get(job.id).total))
