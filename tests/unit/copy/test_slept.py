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

"""Services that have slept while others have gone on without them."""

from __future__ import annotations

from typing import Any
from unittest import mock

from cinder import exception

from cinder_lightbits_federation import access
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy.origin import Origin
from cinder_lightbits_federation.copy.relocation import Relocation
from cinder_lightbits_federation.records import LocationRecord
from tests.copying import files
from tests.unit.copy import test_mobility
from tests.unit.copy import test_touched
from tests.unit.driver import base


class SleptTestCase(test_touched.TouchedTestCase):

    def kill(self, where: type, name: str) -> None:
        """Migrate, and end the service at some point."""
        with mock.patch.object(where, name, autospec=True,
                               side_effect=test_mobility.Killed):
            self.assertRaises(test_mobility.Killed, self.migrate, self.record)


class MovingTest(SleptTestCase):
    """The one who moves the volume; another one takes its move back."""

    def setUp(self) -> None:
        super().setUp()
        self.before = self.objects()

    def loses(self, where: Any, name: str) -> None:
        """Sleep before a call until the move is taken back."""
        self.at(where, name, lambda: self.take_back(self.known()))
        self.assertRaises(exception.CinderException, self.migrate,
                          self.record)
        self.assertEqual(self.before, self.objects())
        self.at_home()
        self.attach(self.drv, self.reread(self.record), base.connector(1))

    def test_before_the_source_is_closed(self) -> None:
        self.loses(Origin, 'close')

    def test_while_the_source_is_closed(self) -> None:
        """The source was read and not yet written to."""
        self.loses(access, 'close')

    def test_before_the_record_is_written(self) -> None:
        self.loses(LocationRecord, 'record')

    def test_with_a_record_that_says_nothing(self) -> None:
        """As that of a volume that was made by another driver."""
        volume = self.reread(self.record)
        volume.provider_location = None
        volume.save()
        self.loses(LocationRecord, 'record')

    def test_it_moves_afterwards(self) -> None:
        self.written = files.content(self.source)
        self.at(LocationRecord, 'record',
                lambda: self.take_back(self.known()))
        self.assertRaises(exception.CinderException, self.migrate,
                          self.record)
        self.drv.desk.book.dismiss(self.drv.desk.book.all()[0].id)
        self.moves()


class TakingBackTest(SleptTestCase):
    """The one who takes a move back; another one goes on with it."""

    def setUp(self) -> None:
        super().setUp()
        self.written = files.content(self.source)
        self.kill(LocationRecord, 'record')

    def loses(self, where: Any, name: str) -> None:
        """Sleep before a call until the record names the new volume."""
        book = self.drv.desk.book
        held = self.wait(lambda: self.drv.desk.take(book.all()[0]))

        def moved() -> None:
            book.let_go(held.job.id, held.claim)
            self.kill(Relocation, '_finish')

        self.at(where, name, moved)
        self.assertRaises(errors.Lost, self.take_back, held)
        self.assertNotEqual(self.place.cluster_uuid,
                            self.location(self.record).cluster_uuid)
        self.assertIn(access.MOVING, str(self.objects()[self.home]))
        self.moves()

    def test_before_the_source_is_opened(self) -> None:
        self.loses(Origin, 'reopen')

    def test_while_the_source_is_opened(self) -> None:
        """It was read, and the claim was good."""
        self.loses(access, 'reopen')


class StaleTest(SleptTestCase):

    def test_who_has_read_the_record_before(self) -> None:
        """Who then waits for its turn does not copy for nothing."""
        stale = self.reread(self.record)
        self.kill(LocationRecord, 'record')
        held = self.wait(lambda: self.drv.desk.take(
            self.drv.desk.book.all()[0]))
        self.take_back(held)
        self.drv.desk.let_go(held)
        self.assertRaisesRegex(
            exception.CinderException, 'ask again',
            self.drv.migrate_volume, self.context, stale, self.host())
        self.at_home()
        self.written = files.content(self.source)
        self.moves()
