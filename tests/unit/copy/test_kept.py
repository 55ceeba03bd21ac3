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

"""What has failed and was kept, and something else is asked for."""

from __future__ import annotations

from typing import Any

from cinder import exception

from cinder_lightbits_federation.copy.origin import Origin
from cinder_lightbits_federation.lightbits import errors as lb_errors
from tests.copying import files
from tests.unit.copy import test_mobility


class OtherTypeTest(test_mobility.RetypeTestCase):
    """A retype has failed, and the volume is moved with its own type."""

    def setUp(self) -> None:
        super().setUp()
        self.restarted(lightbits_retype_by_copy=True)
        self.record = self.filled()
        home, _found = self.on(self.record)
        self.there, = set(self.arrays) - {home}

    def wanted(self) -> dict[str, str]:
        return {'lightos:cluster': self.there, 'compression': 'True'}

    def moves_as_it_is(self) -> None:
        content = files.content(self.path(self.record))
        self.mover.calls.clear()
        self.assertIs(True, self.migrate(self.record))
        self.assertEqual(content, files.content(self.path(self.record)))
        _where, found = self.on(self.record)
        self.assertEqual('false', str(found['compression']).lower())
        self.assertNotEqual([], self.mover.calls)
        self.assertEqual(1, sum(map(len, self.objects().values())))

    def test_when_all_was_copied(self) -> None:
        closing = Origin.close

        def failing(*_args: Any) -> None:
            raise lb_errors.Unreachable('no path', cluster='east')

        self.mock_object(Origin, 'close', failing)
        self.assertRaises(exception.CinderException, self.retype,
                          self.record, self.wanted())
        self.mock_object(Origin, 'close', closing)
        job, = self.drv.desk.book.all()
        self.assertEqual('copied', job.checkpoint['stage'])
        self.moves_as_it_is()

    def test_in_the_first_pass(self) -> None:
        copying = self.mover.copy

        def failing(*args: Any) -> int:
            if len(self.mover.calls) == 2:
                raise OSError(5, 'no path')
            return copying(*args)

        self.mover.copy = failing  # type: ignore[method-assign]
        self.assertRaises(OSError, self.retype, self.record, self.wanted())
        self.mover.copy = copying  # type: ignore[method-assign]
        self.moves_as_it_is()

    def test_one_of_a_service_of_before_goes_on(self) -> None:
        """It has not said what it had begun."""
        self.killed(self.record)
        book = self.drv.desk.book
        held = self.wait(lambda: self.drv.desk.take(book.all()[0]))
        held.save({key: value for key, value in held.load().items()
                   if key != 'asked'}, 0, 0)
        self.drv.desk.let_go(held)
        self.assertIs(True, self.migrate(self.record))
        self.assertLess(sum(item.length for call in self.mover.calls
                            for item in call), 4 * files.MIB)
