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

"""``placement explain``: the driver's choices, without their effects."""

from __future__ import annotations

from typing import Any

from cinder.volume import volume_types

from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation import placer
from tests.unit.cli import base

TIB = 1024 * base.GIB


class ExplainTest(base.CliTestCase):

    CLUSTERS = ('east', 'west', 'north')

    def explain(self, *argv: str, outcome: Outcome = Outcome.CLEAN
                ) -> dict[str, dict[str, Any]]:
        """:returns: what is said of each cluster."""
        rows = self.rows('placement', 'explain', *argv, outcome=outcome)
        return {row['cluster']: row for row in rows}

    def test_the_emptiest_is_chosen(self) -> None:
        for name in ('east', 'north'):
            self.made(self.driver, 2000, specs={'lightos:cluster': name})

        found = self.explain('--size', '10')

        self.assertEqual((1, 'chosen', 1), tuple(
            found['west'][key] for key in ('rank', 'verdict', 'placed')))
        self.assertEqual({'candidate'}, {
            found[name]['verdict'] for name in ('east', 'north')})
        self.assertLess(found['west']['ratio'], found['east']['ratio'])

    def test_rejections_have_reasons(self) -> None:
        self.write_config({
            'east': self.section('east', admin_state='disabled'),
            'west': self.section('west'), 'north': self.section('north')})
        self.arrays['north'].stop()
        found = self.explain('--size', '1')
        self.assertEqual('disabled', found['east']['reason'])
        self.assertIn('disconnected', found['north']['reason'])
        self.assertEqual('chosen', found['west']['verdict'])

    def test_nothing_fits(self) -> None:
        found = self.command('placement', 'explain', '--size', '99000000',
                             '-f', 'json')
        self.assertEqual(Outcome.FINDINGS, found.outcome)
        self.assertEqual({'rejected'}, {row['verdict']
                                        for row in found.json()})
        self.assertIn('1 of 1 volumes find no cluster', found.err)
        self.assertIn('chosen=none', found.err)

    def test_a_burst_is_spread(self) -> None:
        found = self.explain('--size', '100', '--count', '60')
        placed = [row['placed'] for row in found.values()]
        self.assertEqual(60, sum(placed))
        self.assertLessEqual(max(placed) - min(placed), 2)

    def test_a_burst_that_does_not_fit(self) -> None:
        largest = min(row['largest_volume'] for row in self.rows('capacity')
                      if row['scope'] == 'cluster') // base.GIB
        found = self.command('placement', 'explain', '--size',
                             str(largest), '--count', '5', '-f', 'json')
        self.assertEqual(Outcome.FINDINGS, found.outcome)
        self.assertEqual([1, 1, 1], [row['placed'] for row in found.json()])
        self.assertIn('2 of 5 volumes find no cluster', found.err)
        self.assertIn('has room for 0', found.err)

    def test_nothing_is_created_or_kept(self) -> None:
        self.explain('--size', '100', '--count', '20')
        for array in self.arrays.values():
            self.assertEqual([], array.state()['volumes'])
            self.assertEqual(0, placer.PROMISED.outstanding(
                array.uuid, None, 0.0))

    def test_properties(self) -> None:
        found = self.explain('--size', '1', '--type-properties',
                             'lightos:cluster=!east', 'compression=true')
        self.assertEqual('not admitted by lightos:cluster',
                         found['east']['reason'])

    def test_type(self) -> None:
        self.volume_type({'lightos:cluster': 'north'})
        name = next(name for name, item in volume_types.get_all_types(
            self.context).items() if (item['extra_specs'] or {}).get(
                'lightos:cluster'))
        found = self.explain('--size', '1', '--type', name)
        self.assertEqual('chosen', found['north']['verdict'])

    def test_replicas_of_a_type(self) -> None:
        one = self.explain('--size', '1000', '--type-properties',
                           'lightos:num_replicas=1')
        three = self.explain('--size', '1000')
        self.assertAlmostEqual(3 * one['east']['ratio'],
                               three['east']['ratio'], places=4)

    def test_spread_group(self) -> None:
        spec = {'lightos:spread_group': 'db'}
        volumes = [self.made(self.driver, specs=spec, project_id='mine')
                   for _number in range(2)]
        used = {self.on(item)[0] for item in volumes}
        free = set(self.CLUSTERS) - used
        argv = ('--size', '1', '--type-properties',
                'lightos:spread_group=db')

        found = self.explain(*argv, '--project', 'mine')

        self.assertEqual(free, {name for name, row in found.items()
                                if row['verdict'] == 'chosen'})
        self.assertIn('spread group db', found[used.pop()]['reason'])
        # In another project it starts anew.
        self.assertEqual([1, 1, 1], [
            row['placed'] for row in self.explain(
                *argv, '--project', 'other', '--count', '3').values()])

    def test_pools_are_the_schedulers(self) -> None:
        self.write_config(self.sections(), lightbits_pools='cluster')
        found = self.command('placement', 'explain', '--size', '1')
        self.assertIn('the scheduler chooses', found.err)

    def test_bad_arguments(self) -> None:
        for argv, word in (
                (('--size', '0'), '--size'),
                (('--size', '1', '--count', '0'), '--count'),
                (('--size', '1', '--type', 'none'), '--type'),
                (('--size', '1', '--type-properties', 'x'), 'KEY=VALUE'),
                (('--size', '1', '--type-properties',
                  'lightos:num_replicas=9'), 'lightos:num_replicas')):
            found = self.command('placement', 'explain', *argv)
            self.assertEqual(Outcome.USAGE, found.outcome, argv)
            self.assertIn(word, found.err)
