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

"""Moves off clusters that count a snapshot as a change of its volume."""

from __future__ import annotations

from typing import Any

from cinder_lightbits_federation import access
from cinder_lightbits_federation.copy.pieces import Pieces
from cinder_lightbits_federation.lightbits import errors as lb_errors
from tests.copying import files
from tests.unit.copy import test_touched


class CountingTestCase(test_touched.TouchedTestCase):

    def add_array(self, name: str, **options: Any) -> Any:
        """Clusters that count what is asked for."""
        return super().add_array(name, **options, switches={
            'snapshot_changes_volume': self.COUNTS})

    COUNTS = 'taken'

    def setUp(self) -> None:
        super().setUp()
        self.written = files.content(self.source)

    def taken(self, number: int, act: Any) -> None:
        """Have something happen when the n-th snapshot was taken."""
        taking, calls = Pieces.snapshot, iter(range(1, 100))

        def snapshot(*args: Any) -> Any:
            made = taking(*args)
            if next(calls) == number:
                act()
            return made

        self.mock_object(Pieces, 'snapshot', snapshot)

    def interrupted(self) -> None:
        """See that it moves although nothing answers after a snapshot."""
        def fails() -> None:
            raise lb_errors.Unreachable('no path', cluster=self.home)

        for number in (1, 2):
            self.taken(number, fails)
        self.moves()


class TakenTest(CountingTestCase):

    def test_nobody_comes(self) -> None:
        self.moves()

    def test_used_before_the_second_snapshot(self) -> None:
        self.while_copying(self.use)
        self.moves()

    def test_used_right_after_the_first_snapshot(self) -> None:
        self.taken(1, self.use)
        self.moves()

    def test_used_right_after_the_second_snapshot(self) -> None:
        self.taken(2, self.use)
        self.stays()
        self.assertEqual(self.written, files.content(self.source))
        self.moves()

    def test_grown_right_after_the_second_snapshot(self) -> None:
        def grow() -> None:
            volume = self.reread(self.record)
            self.drv.extend_volume(volume, 2)
            volume.size = 2
            volume.save()

        self.taken(2, grow)
        self.stays()
        _home, found = self.on(self.record)
        self.assertNotIn(access.SEAL, str(found))

    def test_interrupted(self) -> None:
        self.interrupted()


class RemovedTest(TakenTest):

    COUNTS = 'taken and removed'


class NotCountedTest(CountingTestCase):

    COUNTS = 'no'

    def test_interrupted(self) -> None:
        self.interrupted()

    def test_used_right_after_a_snapshot(self) -> None:
        """The volume is sealed as well, since it may be counted."""
        self.taken(1, self.use)
        self.moves()

    def test_used_right_after_both(self) -> None:
        self.taken(1, self.use)
        self.taken(2, self.use)
        self.stays()
        self.assertEqual(self.written, files.content(self.source))
