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

"""Lost endpoints, against simulated clusters."""

import time

from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits import tls
from cinder_lightbits_federation import timing
from tests.unit.lightbits import sim_base

PROJECT = sim_base.PROJECT
NEW = model.NewVolume(name='new', size=sim_base.GIB, replicas=1)


class EndpointsTestCase(sim_base.SimTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.east = self.cluster()
        self.made = self.client(self.east)

    def test_refused_goes_on_with_any_call(self) -> None:
        self.east.fault('refuse', node=0)
        self.made.create_volume(PROJECT, NEW)
        self.assertEqual('v2.0', self.made.version(PROJECT))
        self.assertEqual([1, 0, 0],
                         [one.failures for one in self.made.endpoints()])
        self.assertEqual(endpoints.Endpoint.parse(self.east.api_endpoints[1]),
                         [one.endpoint for one in self.made.endpoints()
                          if one.current][0])

    def test_none_left(self) -> None:
        self.east.stop()
        with sim_base.Clock() as clock:
            error = self.assertRaises(errors.Unreachable,
                                      self.made.create_volume, PROJECT, NEW)
        for endpoint in self.east.api_endpoints:
            self.assertIn(endpoint, str(error))
        self.assertIn('Connection refused', str(error))
        self.assertLess(clock.seconds, 3)

    def test_comes_back(self) -> None:
        self.made.version(PROJECT)
        self.east.stop()
        self.assertRaises(errors.Unreachable, self.made.version, PROJECT)
        self.east.start()
        self.assertEqual('v2.0', self.made.version(PROJECT))

    def test_another_cluster_comes_back(self) -> None:
        self.made.version(PROJECT)
        self.east.stop()
        self.east.start(uuid='5cb2e0bf-20fa-5720-8cc2-1a11fe3e9850')
        self.assertRaises(errors.WrongCluster, self.made.version, PROJECT)

    def test_learned_endpoints_serve(self) -> None:
        made = self.client(self.east, seeds=self.east.api_endpoints[:1])
        made.version(PROJECT)
        self.assertEqual(3, len(made.endpoints()))
        self.east.stop_api(0)
        self.assertEqual('v2.0', made.version(PROJECT))

    def test_learning_can_be_switched_off(self) -> None:
        made = self.client(self.east, seeds=self.east.api_endpoints[:1],
                           learn_endpoints=False)
        made.version(PROJECT)
        self.assertEqual(1, len(made.endpoints()))

    def test_keep_alive_means_no_handshake(self) -> None:
        self.made.version(PROJECT)
        self.east.reset_counters()
        for _ in range(10):
            self.made.cluster_info(PROJECT)
        counters = self.east.counters()
        self.assertEqual((0, 0), (counters.tcp, counters.tls))
        self.assertEqual({'clusterinfo': 10}, counters.requests)

    def test_closing_is_not_the_end(self) -> None:
        self.made.version(PROJECT)
        self.made.close()
        self.assertEqual('v2.0', self.made.version(PROJECT))

    def test_ipv6(self) -> None:
        six = self.cluster(listen='::1')
        made = self.client(six)
        self.assertEqual(six.uuid, made.cluster_info(PROJECT).uuid)
        self.assertTrue(str(made.endpoints()[0].endpoint).startswith('[::1]'))

    def test_stock_certificate(self) -> None:
        stock = self.cluster(cert='stock')
        for trust in (
                tls.TlsTrust(ca_file=stock.ca_file,
                             server_name=stock.server_name),
                tls.TlsTrust.pinned([stock.fingerprint])):
            made = self.client(stock, trust=trust)
            self.assertEqual(stock.uuid, made.cluster_info(PROJECT).uuid)
        for trust in (tls.TlsTrust(ca_file=stock.ca_file),
                      tls.TlsTrust.pinned([self.east.fingerprint])):
            made = self.client(stock, trust=trust)
            self.assertRaises(errors.Untrusted, made.version, PROJECT)


class FrozenTestCase(sim_base.SimTestCase):
    """Endpoints that neither answer nor refuse."""

    def setUp(self) -> None:
        super().setUp()
        self.east = self.cluster()

    def test_connecting_is_given_up(self) -> None:
        made = self.client(self.east, connect_timeout=1)
        self.east.fault('blackhole', node=0)
        made.create_volume(PROJECT, NEW)
        made.version(PROJECT)
        self.assertEqual([1, 0, 0],
                         [one.failures for one in made.endpoints()])

    def test_a_read_leaves_a_frozen_connection(self) -> None:
        made = self.client(self.east, api_timeout=2)
        made.version(PROJECT)
        self.east.fault('blackhole', node=0)
        self.assertEqual('v2.0', made.version(PROJECT))
        self.assertEqual([1, 0, 0],
                         [one.failures for one in made.endpoints()])

    def test_a_write_ends_in_doubt(self) -> None:
        made = self.client(self.east, api_timeout=1)
        made.version(PROJECT)
        self.east.fault('blackhole', node=0)
        with sim_base.Clock() as clock:
            error = self.assertRaises(errors.Ambiguous, made.create_volume,
                                      PROJECT, NEW)
        self.assertIn('timed out', str(error))
        self.assertLess(clock.seconds, 3)

    def test_a_deadline_ends_everything(self) -> None:
        made = self.client(self.east)
        self.east.fault('blackhole')
        with sim_base.Clock() as clock:
            self.assertRaises(errors.Unreachable, made.version, PROJECT,
                              deadline=timing.Deadline.after(0.5))
        self.assertLess(clock.seconds, 3)
        self.assertGreater(clock.seconds, 0.4)

    def test_a_deadline_ends_reads_that_have_left(self) -> None:
        made = self.client(self.east)
        self.east.fault('blackhole', route='version')
        with sim_base.Clock() as clock:
            self.assertRaises(errors.Unreachable, made.version, PROJECT,
                              deadline=timing.Deadline.after(0.5))
        self.assertLess(clock.seconds, 3)

    def test_no_time_left(self) -> None:
        made = self.client(self.east)
        made.version(PROJECT)
        self.east.reset_counters()
        self.assertRaises(errors.NotSent, made.create_volume, PROJECT, NEW,
                          deadline=timing.Deadline(time.monotonic() - 1))
        self.assertEqual(0, self.east.counters().total)

    def test_one_call_never_takes_longer_than_its_share(self) -> None:
        made = self.client(self.east, api_timeout=1)
        self.east.fault('slow', route='volumes.create', seconds=10)
        with sim_base.Clock() as clock:
            self.assertRaises(errors.Ambiguous, made.create_volume, PROJECT,
                              NEW, deadline=timing.Deadline.after(60))
        self.assertLess(clock.seconds, 5)

    def test_a_silent_cluster_takes_one_call_s_time(self) -> None:
        made = self.client(self.east, api_timeout=2)
        made.version(PROJECT)
        self.east.fault('blackhole', route='version')
        with sim_base.Clock() as clock:
            self.assertRaises(errors.Unreachable, made.version, PROJECT,
                              deadline=timing.Deadline.after(60))
        # Two, and not two for each of three endpoints.
        self.assertLess(clock.seconds, 5)

    def test_slow_is_not_lost(self) -> None:
        made = self.client(self.east, api_timeout=5)
        self.east.fault('slow', route='version', seconds=0.5)
        made.version(PROJECT)
        self.assertEqual(1, self.east.counters().requests['version'])
