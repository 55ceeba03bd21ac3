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

"""A thick clone whose process is killed, or that is cancelled then."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import signal
from typing import Any

from cinder_lightbits_federation.copy.wanted import FREE_CLONE
from cinder_lightbits_federation.copy.wanted import THICK_CLONE
from cinder_lightbits_federation.copy.wanted import Wanted
from cinder_lightbits_federation.jobs.book import Book
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.store.engine import parse
from cinder_lightbits_federation.store.engine import Store
from tests.copying import files
from tests.unit.copy import books
from tests.unit.copy import test_killed
from tests.unit.copy import worker
from tests.unit.driver import base

DATA, CHECKPOINT = test_killed.DATA, test_killed.CHECKPOINT
# To cancel a copy at these is as to cancel any other.
EARLY = {'nothing is made yet', 'the snapshot is taken, not recorded',
         'what was read is removed'}
TOO_LATE = {'Cinder has taken it over', 'the result is written down',
            'the mark is gone', 'it is let go of'}


class KilledCloneTest(test_killed.KilledTestCase):

    def clone_order(self, record: Any, kind: str) -> worker.Order:
        """What the worker is told to clone a volume to the other cluster."""
        home, found = self.on(record)
        self.there, = set(self.arrays) - {home}
        wanted = Wanted(
            source=found['UUID'], snapshot=False,
            source_cluster=self.arrays[home].uuid, source_project='default',
            cluster=self.arrays[self.there].uuid, project='default',
            name='a-clone', size=base.GIB, replicas=1)
        return dataclasses.replace(
            self.order(record), kind=kind, clone=wanted.dump(),
            books=os.path.join(self.folder, 'books'))

    def job(self, order: worker.Order) -> Job:
        """The last job of the worker."""
        store = Store(parse(order.store))
        self.addCleanup(store.close)
        self.book = Book(store, 'mover', worker.LEASE)
        found = self.book.latest(order.kind, order.name_id)
        assert found is not None
        return found

    def begun(self, point: str, kind: str) -> tuple[Any, worker.Order]:
        """A clone whose process was killed."""
        record = self.filled(DATA)
        order = self.clone_order(record, kind)
        pathlib.Path(order.books).unlink(missing_ok=True)
        self.assertEqual(-signal.SIGKILL, self.run_worker(
            dataclasses.replace(order, point=point)), point)
        return record, order

    def check_whole(self, point: str, record: Any, order: worker.Order
                    ) -> None:
        """The clone is there, once, and nothing else is."""
        home, _found = self.on(record)
        self.assertIs(JobState.DONE, self.job(order).state, point)
        made, = (item for item in self.arrays[self.there].state()['volumes']
                 if item['state'] != 'Deleting')
        self.assertEqual(files.content(self.path(record)), files.content(
            self.arrays[self.there].data_path(made['UUID'])), point)
        known = books.Books(self.drv.federation, order.books).all()
        if order.kind == THICK_CLONE:
            (key, row), = known.items()
            self.assertEqual(('available', '', 'a-clone'), (
                row['status'], row['mark'], row['name']), point)
            self.assertIn(made['UUID'], row['location'], point)
            name = f'volume-{key}'
            self.assertEqual(key, self.labels(made)['cinder_id'], point)
        else:
            self.assertEqual({}, known, point)
            name = 'a-clone'
            self.assertNotIn('cinder_owner', self.labels(made), point)
        self.assertEqual({
            home: [f"{record.name} ['ALLOW_NONE']"],
            self.there: [f"{name} ['ALLOW_NONE']"]}, self.objects(), point)

    def clean(self) -> None:
        """Remove all, for the next point."""
        for array in self.arrays.values():
            for item in array.state()['volumes']:
                array.request('DELETE', '/api/v2/projects/default/volumes/'
                              + item['UUID'])
        self.wait(lambda: not any(self.objects().values()) or None)

    def check_goes_on(self, point: str, kind: str) -> None:
        """Kill at a point, and have another host go on."""
        record, order = self.begun(point, kind)
        self.assertEqual(0, self.run_worker(
            dataclasses.replace(order, nqn=base.nqn(9))), point)
        self.check_whole(point, record, order)
        copied = sum(map(int, pathlib.Path(order.moved).read_text().split()))
        self.assertTrue(DATA <= copied <= DATA + CHECKPOINT,
                        f'{point}: {copied}')
        self.clean()

    def check_taken_back(self, point: str, kind: str) -> None:
        """Kill at a point, cancel the job, and have another host end it."""
        record, order = self.begun(point, kind)
        home, _found = self.on(record)
        job = self.job(order)
        self.book.cancel(job.id)
        if point in TOO_LATE:
            self.assertEqual(0, self.run_worker(order), point)
            self.check_whole(point, record, order)
        else:
            self.assertEqual(worker.CANCELLED, self.run_worker(order), point)
            self.assertIs(JobState.CANCELLED, self.job(order).state, point)
            self.assertEqual({home: [f"{record.name} ['ALLOW_NONE']"],
                              self.there: []}, self.objects(), point)
            self.assertEqual({}, books.Books(
                self.drv.federation, order.books).all(), point)
        self.clean()

    def test_another_host_goes_on(self) -> None:
        for point in worker.CLONE_POINTS:
            self.check_goes_on(point, THICK_CLONE)

    def test_it_is_taken_back_if_cancelled(self) -> None:
        for point in worker.CLONE_POINTS.keys() - EARLY:
            self.check_taken_back(point, THICK_CLONE)

    def test_without_cinder(self) -> None:
        for point in worker.FREE_POINTS:
            self.check_goes_on(point, FREE_CLONE)
            self.check_taken_back(point, FREE_CLONE)
