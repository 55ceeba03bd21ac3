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

"""Asking discovery services where a cluster's nodes are."""

from __future__ import annotations

import json
from unittest import mock

from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import host
from os_brick_ext import nodes
from os_brick_ext import probe
from os_brick_ext import timing
from tests.unit.brick import base


class NodesTest(base.NativeTestCase):
    """Volumes of the in-tree driver, which does not name the nodes."""

    def stock(self, *nodes: conn_props.DiscoveryNode) -> None:
        """Have properties as the in-tree driver gives them."""
        self.data = self.properties(1, self.nqn, nodes=nodes)
        del self.data[conn_props.EXTRA_KEY]

    def test_stock_properties_are_completed_by_discovery(self) -> None:
        down, up = self.listener(), self.listener(address='::1')
        down.close()
        self.stock(conn_props.DiscoveryNode.at(down.endpoint),
                   conn_props.DiscoveryNode.at(up.endpoint))
        self.connect()
        self.assertEqual([f'discover ::1 {up.port}'], self.calls('discover'))
        self.assertEqual(3, self.connected())

    def test_nodes_that_are_out_of_date_are_completed(self) -> None:
        """Services keep what they were told when they attached."""
        down = self.listener()
        service = self.listener(address='::1')
        down.close()
        self.data = self.properties(
            1, self.nqn, nvme_endpoints=(down.endpoint, self.fake.nodes[0]),
            nodes=(conn_props.DiscoveryNode.at(down.endpoint),
                   conn_props.DiscoveryNode.at(service.endpoint)))
        self.connect()
        self.assertEqual(3, self.connected())
        # Where a node does not answer its discovery service is asked last.
        self.assertEqual(
            [f'discover ::1 {service.port}'], self.calls('discover'))

    def test_services_that_hang_are_passed_over(self) -> None:
        """They accept connections; whoever asks on would wait for long."""
        mute = self.listener(None)
        up = self.listener(address='::1')
        self.stock(conn_props.DiscoveryNode.at(mute.endpoint),
                   conn_props.DiscoveryNode.at(up.endpoint))
        with self.impatient_with(mute):
            self.connect()
        self.assertEqual(
            [f'discover ::1 {up.port}'], self.calls('discover'))

    def test_nodes_that_answer_need_no_discovery(self) -> None:
        self.connect()
        self.assertEqual([], self.calls('discover'))

    def test_discovery_that_knows_another_cluster(self) -> None:
        up = self.listener()
        self.stock(conn_props.DiscoveryNode.at(up.endpoint))
        del self.kernel.clusters[self.nqn]
        self.kernel.add_cluster(base.nqn(7), *self.fake.nodes)
        error = self.assertRaises(
            errors.NotVisible, self.connector().connect_volume, self.data)
        self.assertIn(f'{up.endpoint}: does not know {self.nqn}', str(error))

    def test_referrals_are_followed(self) -> None:
        """Each is asked once, those that are down among them."""
        first, second, last, down = (self.listener() for _one in range(4))
        down.close()
        self.kernel.referring = {
            first.endpoint: [down.endpoint, first.endpoint, second.endpoint],
            second.endpoint: [first.endpoint, down.endpoint, last.endpoint]}
        self.stock(conn_props.DiscoveryNode.at(first.endpoint))
        self.connect()
        self.assertEqual(
            [f'discover 127.0.0.1 {one.port}'
             for one in (first, second, last)], self.calls('discover'))
        self.assertEqual(3, self.connected())

    def test_referrals_that_lead_nowhere(self) -> None:
        first, second = self.listener(), self.listener()
        self.kernel.referring = {first.endpoint: [second.endpoint],
                                 second.endpoint: [first.endpoint]}
        self.stock(conn_props.DiscoveryNode.at(first.endpoint))
        error = self.assertRaises(
            errors.NotVisible, self.connector().connect_volume, self.data)
        for one in (first, second):
            self.assertIn(f'{one.endpoint}: does not know', str(error))

    def test_none_is_asked_when_time_is_over(self) -> None:
        up = self.listener()
        self.stock(conn_props.DiscoveryNode.at(up.endpoint))
        self.assertEqual(set(), nodes.Discovery(self.kernel, 5.0).endpoints(
            conn_props.ConnectionProperties.from_dict(self.data),
            host.identity(), timing.Deadline.after(0), {}))
        self.assertEqual([], self.calls('discover'))

    def test_there_is_a_bound_to_referrals(self) -> None:
        up = self.listener()
        port = up.port

        def log(address: str, *_rest: object) -> str:
            number = int(address.rpartition('.')[2]) + 1
            return json.dumps({'records': [{
                'trtype': 'tcp', 'subtype': 'discovery subsystem',
                'traddr': f'127.0.0.{number}', 'trsvcid': str(port)}]})

        self.stock(conn_props.DiscoveryNode.at(up.endpoint))
        with mock.patch.object(
                self.kernel, 'discovery_log', autospec=True,
                side_effect=log) as asked, mock.patch.object(
                probe, 'speaks_nvme', autospec=True, return_value=None):
            self.assertRaises(
                errors.NotVisible, self.connector().connect_volume,
                self.data)
        self.assertEqual(nodes.MOST_SERVICES, asked.call_count)

    def test_no_discovery_while_connected(self) -> None:
        self.connect()
        down = self.listener()
        down.close()
        self.stock(conn_props.DiscoveryNode.at(down.endpoint))
        self.connect()
