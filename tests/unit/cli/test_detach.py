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

"""Clusters that are taken away while services run."""

from __future__ import annotations

import os
from typing import Any

from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import test_attach


class DetachTest(test_attach.DropInTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.attach(self.north())

    def detach(self, *argv: str, outcome: Outcome = Outcome.CLEAN) -> Any:
        """:returns: what is still there."""
        return self.rows('cluster', 'detach', 'north', *argv,
                         outcome=outcome)

    def drain(self) -> None:
        """Keep new volumes from the cluster."""
        self.rows('cluster', 'set', 'north', '--drain', '--reason', 'old')

    def volume_there(self, **fields: Any) -> Any:
        """:returns: a volume of ours on the cluster."""
        self.driver.tear_down()
        self.driver = self.start_driver()
        self.write_config({'east': self.section('east')})
        return self.made(self.driver, specs={'lightos:cluster': 'north'},
                         **fields)

    def test_empty(self) -> None:
        self.make('north', 'of-somebody-else')
        self.drain()
        self.assertEqual([], self.detach())
        self.assertTrue(os.path.exists(self.file))
        self.assertEqual([], self.detach('--dry-run'))
        self.assertEqual([], self.detach('--yes'))
        self.assertFalse(os.path.exists(self.file))
        self.assertEqual(['east'], [
            row['name'] for row in self.rows('cluster', 'list')])

    def test_one_that_takes_new_volumes(self) -> None:
        for state in ('--drain', '--disable'):
            self.rows('cluster', 'set', 'north', '--enable', '--reason', 'x')
            found = self.command('cluster', 'detach', 'north', '--yes')
            self.assertEqual(Outcome.USAGE, found.outcome)
            self.assertIn('"cluster set north --drain', found.err)
            self.assertTrue(os.path.exists(self.file))
            self.assertEqual([], self.detach())
            self.rows('cluster', 'set', 'north', state, '--reason', 'x')
            self.assertEqual([], self.detach('--yes'))
            self.assertFalse(os.path.exists(self.file))
            self.attach(self.arrays['north'])

    def test_volumes_of_ours(self) -> None:
        volume = self.volume_there()
        snapshot = self.taken(volume)
        self.drain()
        rows = self.detach('--yes', outcome=Outcome.FINDINGS)
        self.assertEqual(
            {('volume', volume.id, 'record'),
             ('snapshot', snapshot.id, 'record')},
            {(row['resource'], row['cinder_id'], row['evidence'])
             for row in rows})
        self.assertTrue(os.path.exists(self.file))
        job, = self.rows('job', 'list', '--kind', 'detach')
        self.assertEqual(('failed', '2 volumes and snapshots are there'),
                         (job['state'], job['error']))

    def test_volumes_that_no_record_places_there(self) -> None:
        marked, named = self.volume_there(), self.volume()
        self.forget(marked)
        self.make('north', named.name)
        rows = self.detach(outcome=Outcome.FINDINGS)
        self.assertEqual(
            {marked.id: 'mark of this cloud',
             named.id: 'name of a record without a place'},
            {row['cinder_id']: row['evidence'] for row in rows})

    def test_silent(self) -> None:
        self.drain()
        self.arrays['north'].stop()
        found = self.command('cluster', 'detach', 'north', '--yes')
        self.assertEqual(Outcome.SILENT, found.outcome)
        self.assertTrue(os.path.exists(self.file))

    def test_lost(self) -> None:
        with open(self.file, 'a', encoding='utf-8') as file:
            file.write('admin_state = lost\n')
        self.arrays['north'].stop()
        self.assertEqual([], self.detach('--yes'))
        self.assertFalse(os.path.exists(self.file))

    def test_a_section_of_somebody_else(self) -> None:
        self.rows('cluster', 'set', 'east', '--disable', '--reason', 'x')
        found = self.command('cluster', 'detach', 'east', '--yes')
        self.assertEqual(Outcome.CLEAN, found.outcome)
        self.assertIn(f'from {self.path("cinder.conf")}', found.err)

    def test_the_last_one(self) -> None:
        self.drain()
        self.write_config({})
        found = self.command('cluster', 'detach', 'north', '--yes')
        self.assertIn('the last cluster', found.err)

    def test_an_explicit_list(self) -> None:
        self.drain()
        self.write_config({'east': self.section('east')},
                          lightbits_clusters='east, north')
        found = self.command('cluster', 'detach', 'north', '--yes')
        self.assertIn('set first: lightbits_clusters = east', found.err)
        self.assertTrue(os.path.exists(self.file))
