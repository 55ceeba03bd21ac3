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

"""Moves that something comes in the way of when all is copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cinder import exception
from oslo_db import exception as db_exception

from cinder_lightbits_federation import access
from cinder_lightbits_federation.copy.origin import Origin
from cinder_lightbits_federation.copy.relocation import Relocation
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.records import LocationRecord
from tests.copying import files
from tests.unit.copy import test_touched
from tests.unit.driver import base


class CutOverTestCase(test_touched.TouchedTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.written = files.content(self.source)

    def fails(self, where: Any, name: str, error: Exception,
              times: int = 1000, first: bool = False,
              then: Callable[[], object] = lambda: None) -> None:
        """Have a call end with an error.

        :param first: it does nothing; else it has done its work.
        :param then: called before the error.
        """
        called, left = getattr(where, name), iter(range(times))

        def failing(*args: Any, **kwargs: Any) -> Any:
            fails = next(left, None) is not None
            if fails and first:
                then()
                raise error
            result = called(*args, **kwargs)
            if fails:
                then()
                raise error
            return result

        self.mock_object(where, name, failing)

    def works(self, where: Any, name: str) -> None:
        """It fails no more."""
        self.mock_object(where, name, PLAIN[name])

    def failed(self) -> None:
        self.assertRaises(exception.CinderException, self.migrate,
                          self.record)
        self.at_home()
        job, = self.drv.desk.book.all()
        self.assertEqual((JobState.FAILED, 'copied'),
                         (job.state, job.checkpoint['stage']))

    def can_be_used(self) -> None:
        self.assertNotIn(access.MOVING, str(self.objects()))
        self.used()
        self.written = files.content(self.source)


PLAIN = {'close': Origin.close, 'record': LocationRecord.record}
LOST = lb_errors.Ambiguous('no reply', cluster='east')
AWAY = db_exception.DBConnectionError()


class ClosingTest(CutOverTestCase):

    def test_an_answer_is_lost(self) -> None:
        self.fails(Origin, 'close', LOST, times=1)
        self.moves()

    def test_the_new_cluster_fails_for_a_while(self) -> None:
        there, = set(self.arrays) - {self.home}
        self.at(Relocation, '_check_name', lambda: self.arrays[there].fault(
            'status', route='volumes.*', status=401, count=2))
        self.moves()

    def test_no_answer_ever_comes(self) -> None:
        self.fails(Origin, 'close', LOST)
        self.failed()
        self.can_be_used()
        self.works(Origin, 'close')
        self.stays()
        self.moves()

    def test_it_was_not_closed(self) -> None:
        """It is as it was, and the move goes on where it is."""
        self.fails(Origin, 'close', LOST, first=True)
        self.failed()
        self.works(Origin, 'close')
        self.mover.calls.clear()
        self.moves()
        self.assertEqual([], self.mover.calls)

    def test_it_is_cancelled(self) -> None:
        before, book = self.objects(), self.drv.desk.book
        self.fails(Origin, 'close', LOST,
                   then=lambda: book.cancel(book.all()[0].id))
        self.assertRaisesRegex(exception.CinderException, 'asked for',
                               self.migrate, self.record)
        self.at_home()
        self.assertEqual(before, self.objects())
        self.assertIs(JobState.CANCELLED, book.all()[0].state)


class RecordTest(CutOverTestCase):

    def test_the_database_fails_once(self) -> None:
        self.fails(LocationRecord, 'record', AWAY, times=1, first=True)
        self.moves()

    def test_it_fails_when_it_has_done_its_work(self) -> None:
        self.fails(LocationRecord, 'record', AWAY, times=1)
        self.moves()

    def test_it_is_away(self) -> None:
        """The record may name the copy: nobody is let in."""
        self.fails(LocationRecord, 'record', AWAY, first=True)
        self.failed()
        self.assertIn(access.MOVING, str(self.objects()))
        self.works(LocationRecord, 'record')
        self.mover.calls.clear()
        self.moves()
        self.assertEqual([], self.mover.calls)

    def change(self) -> None:
        """Somebody else changes the record."""
        volume = self.reread(self.record)
        LocationRecord(volume).record(
            self.location(volume).reworded('0123456789ab'))

    def test_somebody_has_changed_it(self) -> None:
        self.at(LocationRecord, 'record', self.change)
        self.failed()
        self.can_be_used()
        self.attach(self.drv, self.reread(self.record), base.connector(2))
