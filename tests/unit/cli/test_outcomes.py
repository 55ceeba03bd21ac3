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

"""What the command ends with when something is wrong around its work."""

from __future__ import annotations

from unittest import mock

from cinder_lightbits_federation.cli import clusters
from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import base


class OutcomeTest(base.CliTestCase):

    CLUSTERS = ('east',)

    def test_a_log_that_cannot_be_written(self) -> None:
        path = self.path('no/log')
        found = self.command('--log-file', path, 'cluster', 'list')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn(f'--log-file {path}: No such file', found.err)

    def test_values_of_options_that_are_wrong(self) -> None:
        section = {'east': self.section('east')}
        for name in ('max_over_subscription_ratio', 'reserved_percentage',
                     'lightbits_api_timeout', 'lightbits_copy_rate'):
            self.write_config(section, **{name: 'abc'})
            found = self.command('cluster', 'list')
            self.assertEqual(Outcome.USAGE, found.outcome, name)
            self.assertIn(name, found.err)
            self.assertEqual('', found.out)

    def test_an_option_of_the_service_that_is_wrong(self) -> None:
        self.service(host='$nowhere', enabled_backends=base.base.BACKEND)
        found = self.command('cluster', 'list')
        self.assertEqual(Outcome.USAGE, found.outcome, found.err)
        self.assertIn('host', found.err)

    def test_what_ends_a_command(self) -> None:
        for error, outcome in ((KeyboardInterrupt, Outcome.INTERRUPTED),
                               (BrokenPipeError, Outcome.UNREAD),
                               (AssertionError, Outcome.FAILED)):
            with mock.patch.object(clusters.ClusterList, 'take_action',
                                   autospec=True, side_effect=error):
                found = self.command('cluster', 'list')
            self.assertEqual(outcome, found.outcome)
