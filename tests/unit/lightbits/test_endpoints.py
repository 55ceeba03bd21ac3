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

"""Reading endpoints and choosing among them."""

import ipaddress

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation.lightbits import endpoints
from tests.unit import properties

Endpoint = endpoints.Endpoint

HOSTS = st.one_of(
    st.ip_addresses().map(str),
    st.from_regex(r'\A[a-z][a-z0-9-]{0,10}(\.[a-z][a-z0-9]{0,5})?\Z').filter(
        lambda name: not name.split('.')[0].endswith('-')))
ENDPOINTS = st.builds(Endpoint, HOSTS, st.integers(1, 65535))
FLEETS = st.lists(ENDPOINTS, min_size=1, max_size=5, unique=True)


class EndpointTestCase(base.BaseTestCase):

    def test_forms(self) -> None:
        for text, host, port in (
                ('192.0.2.1:8443', '192.0.2.1', 8443),
                ('192.0.2.1', '192.0.2.1', 443),
                (' api.Example.ORG:1 ', 'api.example.org', 1),
                ('[2001:DB8::1]:444', '2001:db8::1', 444),
                ('[2001:db8::1]', '2001:db8::1', 443),
                ('2001:db8:0::1', '2001:db8::1', 443)):
            self.assertEqual(Endpoint(host, port), Endpoint.parse(text))

    def test_bad_forms_are_named(self) -> None:
        for text in ('', ':443', 'host:', 'host:0', 'host:65536', 'host:x',
                     'host:-1', 'host:٣', '[::1', '[::1]443', '[host]:1',
                     '::g', 'https://host:443', 'host/path', 'a b',
                     '192.0.2.256', '192.0.2:443', '[192.0.2.1]:1',
                     'host\x00'):
            error = self.assertRaises(ValueError, Endpoint.parse, text)
            self.assertIn(repr(text), str(error))

    @properties.PROPERTY
    @hypothesis.given(ENDPOINTS)
    def test_text_can_be_read_back(self, endpoint: Endpoint) -> None:
        self.assertEqual(endpoint, Endpoint.parse(str(endpoint)))

    def test_address(self) -> None:
        self.assertEqual(ipaddress.ip_address('::1'), Endpoint('::1').address)
        self.assertIsNone(Endpoint('east').address)


A, B, C, D = (Endpoint(f'192.0.2.{last}') for last in range(1, 5))


class SelectorTestCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.selector = endpoints.EndpointSelector((A, B))

    def test_needs_a_seed(self) -> None:
        self.assertRaises(ValueError, endpoints.EndpointSelector, ())

    def test_seeds_come_in_order(self) -> None:
        self.assertEqual((A, B), self.selector.candidates(0))

    def test_sticks_to_what_works(self) -> None:
        self.selector.failed(A, 0, 'refused')
        self.selector.succeeded(B)
        self.assertEqual((B, A), self.selector.candidates(1000))

    def test_the_sick_are_the_last_resort(self) -> None:
        self.selector.failed(A, 0, 'refused')
        self.assertEqual((B, A), self.selector.candidates(0.5))
        self.selector.failed(B, 0.7, 'refused')
        self.assertEqual((A, B), self.selector.candidates(0.8))

    def test_back_off_doubles_up_to_a_minute(self) -> None:
        waits = []
        for _ in range(9):
            self.selector.failed(A, 100, 'refused')
            waits.append(self.selector.status()[0].sick_until - 100)
        self.assertEqual([1, 2, 4, 8, 16, 32, 60, 60, 60], waits)

    def test_quarantine_is_the_longest_back_off(self) -> None:
        self.selector.failed(A, 100, 'another cluster', quarantine=True)
        self.assertEqual(160, self.selector.status()[0].sick_until)

    def test_success_forgets_failures(self) -> None:
        self.selector.failed(A, 0, 'refused')
        self.selector.succeeded(A)
        status = self.selector.status()[0]
        self.assertEqual((0, 0.0, ''), (status.failures, status.sick_until,
                                        status.trouble))

    def test_learned_endpoints_are_replaced_as_a_set(self) -> None:
        self.selector.learn((C, A))
        self.assertEqual((A, B, C), self.selector.candidates(0))
        self.selector.learn((D,))
        self.assertEqual((A, B, D), self.selector.candidates(0))

    def test_nothing_learned_changes_nothing(self) -> None:
        self.selector.learn((C,))
        self.selector.learn(())
        self.assertEqual((A, B, C), self.selector.candidates(0))

    def test_a_forgotten_endpoint_is_not_current_any_more(self) -> None:
        self.selector.learn((C,))
        self.selector.succeeded(C)
        self.selector.failed(C, 0, 'refused')
        self.selector.learn((D,))
        self.assertEqual((A, B, D), self.selector.candidates(0))
        self.selector.succeeded(C)
        self.assertEqual((A, B, D), self.selector.candidates(0))
        self.selector.learn((C,))
        self.assertEqual(0, self.selector.status()[2].failures)

    def test_networks_restrict_what_is_learned(self) -> None:
        selector = endpoints.EndpointSelector(
            (Endpoint('198.51.100.1'),),
            (ipaddress.ip_network('192.0.2.0/25'),
             ipaddress.ip_network('2001:db8::/32')))
        inside = (A, Endpoint('2001:db8::7'))
        selector.learn((*inside, Endpoint('192.0.2.200'),
                        Endpoint('2001:db9::1'), Endpoint('east')))
        self.assertEqual(
            {Endpoint('198.51.100.1'), *inside},
            set(selector.candidates(0)))

    def test_status(self) -> None:
        self.selector.learn((C,))
        self.selector.failed(C, 5, 'timed out')
        self.assertEqual(
            (endpoints.EndpointStatus(A, True, True),
             endpoints.EndpointStatus(B, True, False),
             endpoints.EndpointStatus(C, False, False, 1, 6.0, 'timed out')),
            self.selector.status())


STEPS = st.lists(st.tuples(
    st.sampled_from(['fail', 'succeed', 'learn']),
    st.integers(0, 4), FLEETS, st.floats(0, 100)), max_size=20)


class SelectorPropertiesTestCase(base.BaseTestCase):

    @properties.PROPERTY
    @hypothesis.given(FLEETS, STEPS)
    def test_every_endpoint_once_and_seeds_always(
            self, seeds: list[Endpoint],
            steps: list[tuple[str, int, list[Endpoint], float]]) -> None:
        selector = endpoints.EndpointSelector(seeds)
        now = 0.0
        for what, index, fleet, passed in steps:
            now += passed
            known = selector.candidates(now)
            chosen = known[index % len(known)]
            if what == 'fail':
                selector.failed(chosen, now, 'x')
                self.assertNotIn(
                    chosen, [one for one in selector.candidates(now)[:1]
                             if self._well(selector, now)])
            elif what == 'succeed':
                selector.succeeded(chosen)
                self.assertEqual(chosen, selector.candidates(now)[0])
            else:
                selector.learn(fleet)
                self.assertEqual({*seeds, *fleet},
                                 set(selector.candidates(now)))
            order = selector.candidates(now)
            self.assertEqual(len(set(order)), len(order))
            self.assertLessEqual(set(seeds), set(order))
            self.assertEqual(1, sum(one.current
                                    for one in selector.status()))

    @staticmethod
    def _well(selector: endpoints.EndpointSelector, now: float) -> bool:
        """Whether any endpoint is well."""
        return any(one.sick_until <= now for one in selector.status())
