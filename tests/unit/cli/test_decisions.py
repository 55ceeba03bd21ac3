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
from typing import Any

from oslotest import base as oslotest_base

from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation import recollection
from cinder_lightbits_federation.store.reports import Report
from tests.unit.cli import base
from tests.unit.cli import test_states

OTHER = f'stor2@{base.base.BACKEND}'


class LastTest(test_states.StatesTestCase):
    """What services tell of their decisions."""

    def told(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many decisions were told."""
        def look() -> Any:
            rows = self.rows('placement', 'last')
            return rows if len(rows) >= count else None

        return list(self.wait(look))

    def test_a_service_tells_where_volumes_went(self) -> None:
        first, second = (self.made(self.driver) for _number in range(2))
        rows = self.told(2)
        self.assertEqual([second.id, first.id],
                         [row['volume'] for row in rows])
        self.assertEqual([base.GIB] * 2, [row['size'] for row in rows])
        cluster, _found = self.on(second)
        self.assertIn(f'chosen={cluster}', rows[0]['decision'])

    def test_of_one_service(self) -> None:
        self.made(self.driver)
        mine = self.told(1)[0]['service']
        self.shared.reports.tell(OTHER, Report({'east': 5}, (
            recollection.Decided(1.0, 'v', base.GIB, 'chosen=west'),)))
        row, = self.rows('placement', 'last', '--service', OTHER)
        self.assertEqual(('v', 'chosen=west'),
                         (row['volume'], row['decision']))
        self.assertEqual(
            [mine, OTHER],
            [row['service'] for row in self.rows('placement', 'last')])
        newest, = self.rows('placement', 'last', '--limit', '1')
        self.assertEqual(mine, newest['service'])

    def test_of_a_service_that_told_nothing(self) -> None:
        found = self.command('placement', 'last', '--service', 'nobody')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('--service: nobody has told nothing', found.err)

    def test_a_service_that_ends_takes_its_report_along(self) -> None:
        self.made(self.driver)
        self.told(1)
        self.driver.tear_down()
        self.assertEqual([], self.rows('placement', 'last'))


class RecollectionTest(oslotest_base.BaseTestCase):

    def test_the_oldest_are_forgotten(self) -> None:
        kept = recollection.Recollection()
        for number in range(recollection.LENGTH + 3):
            kept.add(number, 'v', 1, lambda: 'why')
        self.assertEqual(list(range(3, recollection.LENGTH + 3)),
                         [one.at for one in kept.all()])
