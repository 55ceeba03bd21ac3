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

import io
import os
import threading
from typing import Any

from oslo_config import cfg

from cinder_lightbits_federation.cli import detach
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation import service
from cinder_lightbits_federation.store.services import Known
from tests.unit.cli import test_attach
from tests.unit.driver import base


class Told(io.StringIO):
    """A stream that notes when some words are written to it."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words
        self.seen = threading.Event()

    def write(self, text: str) -> int:
        """Write, and note it."""
        if self._words in text:
            self.seen.set()
        return super().write(text)


class DetachTestCase(test_attach.DropInTestCase):
    """A cluster that the command has attached."""

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

    def serve(self) -> None:
        """Have the service read the folder, and so know the cluster."""
        self.driver.tear_down()
        self.write_config({'east': self.section('east')},
                          lightbits_poll_interval=1)
        cfg.CONF([], default_config_files=[self.path('cinder.conf')],
                 default_config_dirs=[self.drop_ins])
        self.driver.do_setup(self.context)
        self.addCleanup(self.driver.tear_down)

    def volume_there(self, **fields: Any) -> Any:
        """:returns: a volume of ours on the cluster."""
        self.serve()
        return self.made(self.driver, specs={'lightos:cluster': 'north'},
                         **fields)

    @property
    def shared(self) -> Any:
        """What the services share."""
        assert self.driver._service is not None
        return self.driver._service.shared


class ServicesTest(DetachTestCase):
    """What services go by that run meanwhile."""

    def test_one_that_applies_the_state_late(self) -> None:
        """It is waited for: until then it places volumes there."""
        told = Told(f'Waiting for {base.HOST}')
        self.addCleanup(told.seen.set)
        real, there = service.Service._reload, []

        def late(mine: Any) -> bool:
            told.seen.wait(base.PATIENCE)
            there.append(os.path.exists(self.file))
            return real(mine)

        self.stub_out(f'{service.__name__}.Service._reload', late)
        self.serve()
        self.drain()
        found = self.command('cluster', 'detach', 'north', '--yes',
                             stderr=told)
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        self.assertTrue(told.seen.is_set(), found.err)
        self.assertTrue(there[0])
        self.assertFalse(os.path.exists(self.file))

    def test_one_that_does_not_apply_it(self) -> None:
        self.stub_out(f'{detach.__name__}.PATIENCE', 0.1)
        uuid = self.arrays['north'].uuid
        self.drain()
        self.shared.services.tell('stor2@lightbits', {
            'north': Known(uuid, 'enabled')})
        found = self.command('cluster', 'detach', 'north', '--yes')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('stor2@lightbits go by enabled. "cluster status"',
                      found.err)
        self.assertTrue(os.path.exists(self.file))
        job, = self.rows('job', 'list', '--kind', 'detach')
        self.assertEqual('failed', job['state'])
        # That one is another cluster.
        self.shared.services.tell('stor2@lightbits', {
            'north': Known(self.arrays['east'].uuid, 'enabled')})
        self.assertEqual([], self.detach('--yes'))

    def test_a_state_of_the_section(self) -> None:
        """Nothing is set at run time, so nothing is left for others."""
        self.serve()
        found = self.command('cluster', 'detach', 'north', '--yes')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('admin_state = disabled in its section', found.err)
        with open(self.file, 'a', encoding='utf-8') as file:
            file.write('admin_state = disabled\n')
        found = self.command('cluster', 'detach', 'north', '--yes')
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        self.assertNotIn('--reset', found.err)
        self.assertFalse(os.path.exists(self.file))
        self.assertEqual({}, self.shared.states.all())

    def test_a_state_that_other_backends_go_by(self) -> None:
        found = self.command('cluster', 'detach', 'north')
        self.assertIn('holds for all backends of this cloud', found.err)
        self.drain()
        found = self.command('cluster', 'detach', 'north', '--yes')
        self.assertIn('it stays draining until "cluster set north --reset"',
                      found.err)

    def test_nobody_can_tell(self) -> None:
        with open(self.file, 'a', encoding='utf-8') as file:
            file.write('admin_state = disabled\n')
        self.write_config({'east': self.section('east')},
                          lightbits_store_connection='sqlite:////proc/no/store')
        found = self.command('cluster', 'detach', 'north', '--yes')
        self.assertEqual(Outcome.FAILED, found.outcome, found.err)
        self.assertIn('nobody can tell whether services', found.err)
        self.assertTrue(os.path.exists(self.file))


class DetachTest(DetachTestCase):

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
