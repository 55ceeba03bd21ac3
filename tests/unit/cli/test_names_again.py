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

"""A name that another cluster has had, with a state that was set for it."""

from __future__ import annotations

from typing import Any

from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import test_attach


class NamesAgainTest(test_attach.DropInTestCase):

    NODES = 1

    def gone(self, *argv: str) -> Any:
        """:returns: a cluster that was attached, set to a state, and gone."""
        array = self.north()
        self.attached(array)
        self.rows('cluster', 'set', 'north', *argv, '--reason', 'old')
        self.rows('cluster', 'detach', 'north', '--yes')
        return array

    def attached(self, array: Any) -> str:
        """:returns: what is told when a cluster is attached."""
        found = self.command('cluster', 'attach', 'north', '--min-nodes', '1',
                             '--admin-state', 'enabled', *self.access(array))
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        return found.err

    def state(self) -> str:
        """:returns: what the cluster may be used for."""
        return {row['name']: str(row['admin_state'])
                for row in self.rows('cluster', 'list')}['north']

    def status(self) -> tuple[dict[str, Any], str]:
        """:returns: the row of the cluster, and what is told."""
        found = self.command('cluster', 'status', '-f', 'json')
        row, = (row for row in found.json() if row['cluster'] == 'north')
        return row, found.err

    def test_another_cluster_goes_by_its_section(self) -> None:
        old = self.gone('--drain')
        new = self.add_array('other')

        told = self.attached(new)

        self.assertIn(f'cluster north is draining was set for {old.uuid}',
                      told)
        self.assertIn('It gets volumes when', told)
        self.assertEqual('enabled', self.state())
        row, told = self.status()
        self.assertEqual(('enabled', ''), (row['state'], row['reason']))
        self.assertIn('"cluster set north --reset" forgets it', told)
        self.assertEqual('disabled', self.rows(
            'cluster', 'set', 'north', '--disable', '--reason', 'new')[
                'state'])
        row, told = self.status()
        self.assertEqual(('disabled', 'new'), (row['state'], row['reason']))
        self.assertNotIn(old.uuid, told)
        self.assertEqual('disabled', self.state())

    def test_what_is_lost_is_another(self) -> None:
        array = self.north()
        self.attached(array)
        self.rows('cluster', 'set', 'north', '--lost', array.uuid,
                  '--reason', 'fire')
        self.rows('cluster', 'detach', 'north', '--yes')
        self.attached(self.add_array('other'))
        self.assertEqual('enabled', self.state())
        reset = self.rows('cluster', 'set', 'north', '--reset')
        self.assertEqual(('enabled', 'enabled'),
                         (reset['state'], reset['was']))
        self.assertNotIn(array.uuid, self.status()[1])

    def test_the_same_cluster_keeps_its_state(self) -> None:
        """It may be leaving another backend at the same time."""
        told = self.attached(self.gone('--drain'))
        self.assertIn('It is draining, as', told)
        self.assertIn('(old): "cluster set north --reset"', told)
        self.assertNotIn('It gets volumes when', told)
        self.assertEqual('draining', self.state())

    def test_a_section_without_a_uuid(self) -> None:
        """What services have told is noted."""
        self.write_config({'east': {
            key: value for key, value in self.section('east').items()
            if key != 'cluster_uuid'}})
        self.rows('cluster', 'set', 'east', '--disable', '--reason', 'x')
        assert self.driver._service is not None
        entry = self.driver._service.shared.states.all()['east']
        self.assertEqual(self.arrays['east'].uuid, entry.uuid)
