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

"""What becomes of figures that were measured."""

import operator
from typing import Any

from oslotest import base

from tests.bench import names
from tests.bench import policies
from tests.bench import profiles
from tests.bench import report
from tests.generated import bounds


def case(contender: str, **figures: Any) -> dict[str, Any]:
    """Return one of the operations of a run."""
    return {'operation': 'create', 'contender': contender, 'delay': 0.0,
            'in_flight': 1, **figures}


class FiguresTestCase(base.BaseTestCase):

    def told(self, what: str, run: dict[str, Any]) -> str:
        """Return what the table says of a run."""
        found = {row[0]: row[2] for row in bounds.rows({'this': run})}
        return found[what]

    def test_the_exponent_of_growth(self) -> None:
        numbers = [10, 100, 1000]

        self.assertAlmostEqual(1, report.exponent(numbers, [2, 20, 200]))
        self.assertAlmostEqual(2, report.exponent(numbers, [1, 100, 10000]))
        self.assertAlmostEqual(0, report.exponent(numbers, [7, 7, 7]))

    def test_policies(self) -> None:
        """The one that ships is next to perfect, and polling is worst."""
        for hosts in policies.HOSTS:
            spreads = {policy: policies.simulate(policy, hosts, 1)[0]
                       for policy in policies.POLICIES}
            self.assertEqual(
                [policies.PERFECT, names.OURS, policies.RANDOM,
                 policies.CHOICES, policies.POLLED],
                sorted(spreads, key=lambda name: spreads[name]))
            self.assertLess(spreads[names.OURS], 2)
            self.assertGreater(spreads[policies.POLLED], 20)
        shown = policies.show({'one': {
            'policy': names.OURS, 'hosts': 3, 'spread': [0.5, 0.25, 1],
            'most': [51, 60, 55]}})
        self.assertIn('0.50 (0.25 to 1.00)', shown)
        self.assertIn('55 (51 to 60)', shown)

    def test_a_ratio_is_of_each_repetition(self) -> None:
        self.assertEqual('3.0 (2.0 to 10.0)',
                         report.ratio([10, 20, 30], [5, 2, 10]))

    def test_whose_a_function_is(self) -> None:
        for place, found in (
                ('/x/cinder_lightbits_federation/placer.py', 'this driver'),
                ('/x/site-packages/sqlalchemy/orm/query.py', 'database'),
                ('/x/lib/python3.11/http/client.py', 'HTTP, TLS'),
                ('/x/lib/python3.11/contextlib.py', profiles.OTHER)):
            self.assertEqual(found, profiles.component((place, 1, 'call')))
        self.assertEqual('HTTP, TLS', profiles.component(
            ('~', 0, "<method 'read' of '_ssl._SSLSocket' objects>")))

    def test_a_bound_is_held_or_missed(self) -> None:
        def run(ours: float) -> dict[str, Any]:
            return {'operations': {
                '1': case(names.OURS, p50_ms=[ours], tls=0.0),
                '2': case(names.IN_TREE, p50_ms=[100.0], tls=3.0)}}

        what = 'create, p50, in-tree : ours'
        self.assertEqual('10.00', self.told(what, run(10.0)))
        self.assertEqual('9.09, missed', self.told(what, run(11.0)))
        self.assertEqual('0.00', self.told('TLS handshakes of an operation',
                                           run(1.0)))

    def test_a_bound_that_was_not_measured_says_so(self) -> None:
        self.assertEqual(
            {'not measured'},
            {row[2] for row in bounds.rows({'this': {}})})

    def test_the_sign_of_a_bound(self) -> None:
        for holds, sign in ((operator.le, '<='), (operator.ge, '>=')):
            one = bounds.Bound('x', 2, lambda _run: 2.0, holds)
            self.assertEqual(('x', f'{sign} 2', '2.00'),
                             one.row({'this': {}}))
