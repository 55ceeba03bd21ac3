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

"""No command waits longer for a cluster than it was told."""

from __future__ import annotations

import time

from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import base

# A loaded machine takes its time; what is configured below is far more.
LIMIT = 20.0

ASKING = (
    ('audit', '--second-look', '0'), ('capacity',), ('cluster', 'list'),
    ('cluster', 'show', 'east'), ('cluster', 'refresh', 'east'),
    ('cluster', 'detach', 'east'), ('credential', 'show', 'east'),
    ('image', 'list'), ('volume', 'list'), ('snapshot', 'list'),
    ('volume', 'show', 'nothing'), ('adopt', 'plan', '--from', 'x=east'),
    ('drain', 'plan', 'east'))


class PatienceTest(base.CliTestCase):

    CLUSTERS = ('east',)
    NODES = 1

    def test_a_cluster_that_takes_calls_and_never_answers(self) -> None:
        self.driver.tear_down()
        self.write_config(
            self.sections(), lightbits_api_timeout=60,
            lightbits_connect_timeout=50, lightbits_operation_timeout=120)
        self.arrays['east'].fault('blackhole')
        for argv in ASKING:
            began = time.monotonic()
            found = self.command('--timeout', '1', '--connect-timeout', '1',
                                 *argv)
            taken = time.monotonic() - began
            self.assertEqual(Outcome.SILENT, found.outcome,
                             f'{argv}: {found.err}')
            self.assertLess(taken, LIMIT, argv)
