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

"""``upgrade``, ``freeze`` and ``thaw``, as operators run them."""

from __future__ import annotations

from typing import Any

from cinder import objects

from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation import formats
from tests.unit.cli import base
from tests.unit.driver import base as driver_base


class UpgradeTest(base.CliTestCase):

    CLUSTERS = ('east',)
    NODES = 1

    @property
    def shared(self) -> Any:
        """What the driver shares with the command."""
        return self.driver._service.shared

    def older(self, host: str = 'stor2@lightbits') -> None:
        """Have a service of an older release tell what it knows."""
        formats.Formats(self.shared.formats._marks, newest=1).take_part(host)

    def test_status(self) -> None:
        found = self.command('upgrade', 'status', '-f', 'json')
        self.assertEqual(Outcome.FINDINGS, found.outcome)
        self.assertIn('Format 1 is written; this release knows formats up '
                      'to 2', found.err)
        self.assertEqual([(driver_base.HOST, 2, True)], [
            (row['service'], row['newest_format'], row['alive'])
            for row in found.json()])

    def test_finalize(self) -> None:
        found = self.rows('upgrade', 'finalize', '--yes')
        self.assertEqual({'format': 2, 'was': 1}, found)
        self.assertEqual(Outcome.CLEAN,
                         self.command('upgrade', 'status').outcome)
        self.assertEqual({'format': 2, 'was': 2},
                         self.rows('upgrade', 'finalize', '--yes'))

    def test_not_while_an_older_one_runs(self) -> None:
        self.older()
        told = 'service stor2@lightbits knows formats up to 1'
        found = self.command('upgrade', 'finalize', '--yes')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn(told, found.err)
        self.assertIn(told, self.command('upgrade', 'status').err)
        self.assertEqual(1, self.shared.formats.agreed().level)

    def test_not_while_one_has_not_told(self) -> None:
        self.driver.tear_down()
        objects.Service(context=self.context, host=driver_base.HOST,
                        binary='cinder-volume', topic='cinder-volume',
                        report_count=1).create()
        found = self.command('upgrade', 'finalize', '--yes')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn(f'{driver_base.HOST} is up and has not told',
                      found.err)

    def test_asked(self) -> None:
        found = self.command('upgrade', 'finalize',
                             stdin=base.Terminal('n\n'))
        self.assertEqual(Outcome.FINDINGS, found.outcome)
        self.assertIn('from now on? [y/N]', found.err)
        self.rows('upgrade', 'finalize', '--dry-run')
        self.assertEqual(1, self.shared.formats.agreed().level)

    def test_freeze_and_thaw(self) -> None:
        found = self.command('freeze', '--reason', 'works on the network')
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        self.assertIn('works on the network', self.shared.freezing.look()
                      .reason)
        self.assertIn('The backend is frozen',
                      self.command('upgrade', 'status').err)
        self.assertEqual(Outcome.CLEAN, self.command('thaw').outcome)
        self.assertIsNone(self.shared.freezing.look())
