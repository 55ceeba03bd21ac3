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

"""Clusters that grow, change all their nodes, and are upgraded."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import Any

from oslo_config import cfg

from cinder_lightbits_federation.memory import EndpointMemory
from cinder_lightbits_federation.service import memory_folder
from cinder_lightbits_federation.views import Connection
from tests.unit.driver import base

CONF = cfg.CONF


class GrowthTestCase(base.FederationTestCase):

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.array = self.arrays['east']

    def begin(self, **changes: Any) -> Any:
        """Set a driver up that looks at its cluster all the time."""
        return self.start_driver(
            {'east': self.section('east', **changes)},
            lightbits_poll_interval=1, lightbits_default_num_replicas=2,
            lightbits_operation_timeout=50, lightbits_api_timeout=20)

    def knows(self, driver: Any) -> set[str]:
        """:returns: the endpoints that were learned."""
        cluster, = driver.federation.registry.clusters
        return {str(item.endpoint) for item in cluster.client.endpoints()
                if not item.seed}

    def replace_all_nodes(self, driver: Any) -> None:
        """Put a new node in for each, one by one."""
        for index in range(self.NODES):
            self.array.add_node()
            self.array.settle()
            self.array.remove_node(index, force=True)
            self.array.settle()
            wanted = set(self.array.api_endpoints)
            self.wait(lambda wanted=wanted: wanted <= {
                str(item.endpoint) for cluster
                in driver.federation.registry.clusters
                for item in cluster.client.endpoints()} or None)


class EndpointsTest(GrowthTestCase):

    def test_every_node_is_replaced_while_work_goes_on(self) -> None:
        seed = self.array.api_endpoints[0]
        driver = self.begin(api_endpoints=seed)
        volume = self.made(driver)
        place = volume.provider_location
        self.array.add_node()
        stopped = threading.Event()

        def work() -> int:
            number = 0
            while not stopped.is_set():
                number += 1
                self.turn(driver, number)
            return number

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            turns = pool.submit(work)
            try:
                self.replace_all_nodes(driver)
            finally:
                stopped.set()
        self.assertGreater(turns.result(), 0)
        self.assertNotIn(seed, self.array.api_endpoints)
        kept = EndpointMemory(memory_folder(), writable=False)
        self.wait(lambda: set(kept.recall(self.array.uuid))
                  == set(self.array.api_endpoints) or None)

        # A restart: the only configured address is nobody's any more.
        driver.tear_down()
        driver = self.begin(api_endpoints=seed)
        self.assertEqual(set(self.array.api_endpoints), self.knows(driver))
        info = driver.initialize_connection(volume, base.connector(1))
        self.assertEqual(self.data_addresses(),
                         set(info['data']['lightos_nodes']))
        self.assertEqual(place, self.reread(volume).provider_location)
        driver.extend_volume(volume, 2)
        self.assertEqual(2 * base.GIB, int(self.on(volume)[1]['size']))

    def data_addresses(self) -> set[str]:
        """:returns: where the nodes serve data now."""
        return {item['nvmeEndpoint'].rpartition(':')[0].strip('[]')
                for item in self.array.request(
                    'GET', '/api/v2/nodes').json()['nodes']}

    def turn(self, driver: Any, number: int) -> None:
        """Make a volume, attach it, take it away again."""
        volume = self.made(driver)
        host = base.connector(number % 200 + 1)
        driver.initialize_connection(volume, host)
        driver.terminate_connection(volume, host)
        driver.delete_volume(volume)

    def test_a_node_that_moves(self) -> None:
        driver = self.begin()
        before = self.data_addresses()
        self.array.readdress_node(1, port=0, data_address='127.0.0.177')
        self.wait(lambda: set(self.array.api_endpoints) <= {
            *self.knows(driver), self.array.api_endpoints[0]} or None)
        volume = self.made(driver)
        info = driver.initialize_connection(volume, base.connector(1))
        now = set(info['data']['lightos_nodes'])
        self.assertEqual({'127.0.0.177'}, now - before)

    def test_without_an_expected_uuid_nothing_is_recalled(self) -> None:
        driver = self.begin(cluster_uuid=None)
        driver.tear_down()
        self.array.stop()
        driver = self.begin(cluster_uuid=None)
        self.assertEqual(set(), self.knows(driver))

    def test_learning_can_be_off(self) -> None:
        self.begin().tear_down()
        driver = self.begin(learn_endpoints=False)
        self.assertEqual(set(), self.knows(driver))


class UpgradeTest(base.FederationTestCase):

    CLUSTERS = ('east', 'west')
    NODES = 1

    def test_others_are_preferred_and_features_are_looked_at_again(self
                                                                   ) -> None:
        east = self.arrays['east']
        east.set_version('3.10.2')
        driver = self.start_driver(lightbits_poll_interval=1)
        cluster = next(item for item in driver.federation.registry.clusters
                       if item.name == 'east')
        self.assertFalse(cluster.has_labels)
        east.set_upgrade('Upgrading')
        self.wait(lambda: cluster.view(0, 0).upgrading or None)
        self.assertIs(Connection.CONNECTED, cluster.status.connection)
        homes = [self.on(self.made(driver))[0] for _number in range(6)]
        self.assertEqual(['west'] * 6, homes)
        east.request('POST', '/api/v2/projects', json={'name': 'fresh'})
        east.set_version('3.16.1')
        east.set_upgrade('None')
        self.wait(lambda: cluster.has_labels or None)
        self.wait(lambda: 'fresh' in (cluster.view(0, 0).projects or ())
                  or None)
        self.assertFalse(cluster.view(0, 0).upgrading)
