# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""The plans of the fault lab, and what it counts as lost."""

from __future__ import annotations

from oslotest import base

from tests.embedded import records
from tests.faultlab import history
from tests.faultlab import marks
from tests.faultlab import plan

HOUR = 3600.0


def volume(number: int, status: str = 'available', size: int = 1
           ) -> records.Volume:
    return records.Volume(f'v{number}', f'v{number}', status, size, None)


def snapshot(number: int, status: str = 'available') -> records.Snapshot:
    return records.Snapshot(f's{number}', 'v1', status, 1, None)


def books(*volumes: records.Volume,
          snapshots: tuple[records.Snapshot, ...] = ()
          ) -> records.CinderRecords:
    return records.CinderRecords(volumes, snapshots)


class PlanTest(base.BaseTestCase):

    def test_repeated(self) -> None:
        """A seed has one plan, and another seed another one."""
        self.assertEqual(plan.make(7, 600), plan.make(7, 600))
        self.assertNotEqual(plan.make(7, 600).breaks,
                            plan.make(8, 600).breaks)

    def test_everything_happens(self) -> None:
        """An hour has every act, every trouble and every crash point."""
        planned = plan.make(1, HOUR)
        self.assertEqual(11, len(plan.Act))
        self.assertEqual(15, len(plan.Trouble))
        self.assertEqual(set(plan.Act), {item.act for item in planned.steps})
        self.assertEqual(set(plan.Trouble),
                         {item.trouble for item in planned.breaks})
        self.assertEqual(
            set(plan.POINTS),
            {item.detail for item in planned.breaks
             if item.trouble is plan.Trouble.KILL_AT})

    def test_in_order(self) -> None:
        planned = plan.make(3, 60)
        for items in (planned.steps, planned.breaks):
            times = [item.at for item in items]
            self.assertEqual(sorted(times), times)
            self.assertLess(times[-1], 60)

    def test_only_some(self) -> None:
        """What may break can be chosen."""
        planned = plan.make(3, HOUR, {plan.Trouble.PAUSE: 1})
        self.assertEqual({plan.Trouble.PAUSE},
                         {item.trouble for item in planned.breaks})


class HistoryTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.past = history.History()
        self.past.take('s1')
        self.past.observe(books(volume(1, size=2), volume(2, 'creating'),
                                snapshots=(snapshot(1),)))

    def losses(self, *volumes: records.Volume, snapshots: tuple[
            records.Snapshot, ...] = (snapshot(1),)) -> list[str]:
        return list(self.past.losses(books(*volumes, snapshots=snapshots)))

    def test_nothing(self) -> None:
        """What was never usable was promised to nobody."""
        self.assertEqual([], self.losses(volume(1, 'in-use', 3)))

    def test_gone(self) -> None:
        self.assertEqual(
            ['volume v1 was usable, nobody deleted it, and it is gone'],
            self.losses())

    def test_broken(self) -> None:
        found, = self.losses(volume(1, 'error', 2))
        self.assertIn('it is error', found)

    def test_shrunk(self) -> None:
        found, = self.losses(volume(1))
        self.assertEqual('volume v1 had 2 GiB and has 1', found)

    def test_snapshot(self) -> None:
        found, = self.losses(volume(1, size=2), snapshots=())
        self.assertIn('snapshot s1', found)

    def test_snapshots_of_others(self) -> None:
        """Cinder takes some itself and removes them."""
        self.past.observe(books(snapshots=(snapshot(1), snapshot(2))))
        self.assertEqual([], self.losses(volume(1, size=2)))

    def test_deleted(self) -> None:
        """What a user gives up may go, unless the delete is refused."""
        self.past.give_up('v1')
        self.assertEqual([], self.losses())
        self.past.keep('v1')
        self.assertEqual(1, len(self.losses()))
        self.assertEqual({'v1'}, self.past.relied_on)

    def test_deleted_twice(self) -> None:
        """The second request is refused because the first one is not."""
        self.past.give_up('v1')
        self.past.give_up('v1')
        self.past.keep('v1')
        self.assertEqual([], self.losses())
        self.assertEqual({'v1'}, self.past.given_up)


class MarksTest(base.BaseTestCase):

    def test_not_twice(self) -> None:
        broken = marks.Marks()
        with broken.alone('a'):
            with broken.those_left(['a', 'b']) as mine:
                self.assertEqual(['b'], mine)
                self.assertRaises(marks.Busy, self.enter, broken, 'b')
            self.enter(broken, 'b')
            self.assertRaises(marks.Busy, self.enter, broken, 'a')
        self.enter(broken, 'a')

    def enter(self, broken: marks.Marks, name: str) -> None:
        with broken.alone(name):
            pass
