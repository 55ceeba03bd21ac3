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


"""Nodes that come, go and move."""

from __future__ import annotations

import concurrent.futures
import socket

from tests.unit.simulator import base

TIB = 1 << 40
_VERSION = '/api/v2/version'


class JoinTestCase(base.MembershipTestCase):
    def test_a_node_joins(self) -> None:
        before = self.etag()
        first = self.cluster.api_endpoints

        self.assertEqual(3, self.cluster.add_node())

        self.assertEqual((0, 1, 2, 3), self.cluster.node_indexes)
        self.assertEqual(first, self.cluster.api_endpoints[:3])
        self.assertEqual(4, len(set(self.cluster.api_endpoints)))
        self.assertEqual(4, len(set(self.cluster.data_endpoints)))
        self.assertNotEqual(before, self.etag())
        self.assert_told()
        node = self.nodes()[3]
        self.assertEqual('server03-0', node['name'])
        self.assertEqual(['server03'], node['failureDomains'])
        self.assertEqual('Active', node['state'])

    def test_it_brings_room(self) -> None:
        for name in 'abc':
            self.create(self.cluster, name=name)
        before = self.effective()
        self.cluster.add_node()
        self.assertEqual(before // 3 * 4, self.effective())
        made = self.create(self.cluster, name='d')
        self.assertEqual([self.uuids()[3]], made['nodeList'])
        self.cluster.add_node(capacity=TIB)
        self.assertEqual(before // 3 * 4 + TIB, self.effective())

    def effective(self) -> int:
        statistics = self.get('cluster')['statistics']
        return int(statistics['effectivePhysicalStorage'])

    def test_it_allows_more_replicas(self) -> None:
        self.cluster = self.make_cluster(2)
        self.create(self.cluster, 400, replicaCount=3)
        self.cluster.add_node(failure_domain='server01')
        self.create(self.cluster, 400, replicaCount=3)
        self.cluster.add_node()
        self.assertEqual(3, self.get('clusterinfo')['currentMaxReplicas'])
        self.create(self.cluster, replicaCount=3)

    def test_its_data_role_takes_a_while(self) -> None:
        self.cluster.set_delays(node_start=60)
        index = self.cluster.add_node()
        self.assertEqual('Activating', self.nodes()[index]['state'])
        self.call(self.cluster, 'GET', _VERSION, node=index)
        self.cluster.settle()
        self.assertEqual('Active', self.nodes()[index]['state'])

    def test_it_may_join_a_cluster_that_is_down(self) -> None:
        self.cluster.stop()
        index = self.cluster.add_node()
        self.assertEqual('Inactive', self.cluster.state()['nodes'][index])
        self.assertRaises(
            ConnectionRefusedError,
            self.cluster.request,
            'GET',
            _VERSION,
            node=index,
        )
        self.cluster.start()
        self.assertEqual('Active', self.nodes()[index]['state'])
        self.assert_told()

    def test_options_are_honoured(self) -> None:
        port = self.port(busy=False)
        index = self.cluster.add_node(
            failure_domain='rack9',
            data_address='2001:0db8::0009',
            capacity=TIB,
            port=port,
        )
        self.assertEqual(f'127.0.0.1:{port}', self.cluster.endpoint_of(index))
        node = self.nodes()[index]
        self.assertEqual('[2001:db8::9]:4420', node['nvmeEndpoint'])
        self.assertEqual(['rack9'], node['failureDomains'])
        statistics = node['statistics']
        self.assertEqual(str(TIB), statistics['effectivePhysicalStorage'])
        self.assert_told()

    def test_bad_options_are_refused(self) -> None:
        taken = self.cluster.data_endpoints[1].rpartition(':')[0]
        busy = self.port(busy=True)
        for status, text, options in (
            (400, 'colour', {'colour': 'red'}),
            (400, 'failure_domain', {'failure_domain': ''}),
            (400, 'data_address', {'data_address': 'host'}),
            (409, f'node 1 has {taken}', {'data_address': taken}),
            (400, 'capacity', {'capacity': 0}),
            (400, 'port', {'port': 65536}),
            (400, 'port', {'port': 'https'}),
            (400, 'cannot bind', {'port': busy}),
        ):
            self.refused(status, text, self.cluster.add_node, **options)

    def test_there_is_a_limit(self) -> None:
        self.cluster = self.make_cluster(16)
        self.refused(409, '16 nodes', self.cluster.add_node)
        self.cluster.remove_node(0)
        self.assertEqual(16, self.cluster.add_node())

    def test_addresses_are_never_used_again(self) -> None:
        self.cluster = self.make_cluster(1)
        seen = set(self.cluster.data_endpoints)
        for index in range(1, 250):
            self.assertEqual(index, self.cluster.add_node())
            seen.add(self.cluster.data_endpoints[1])
            self.cluster.remove_node(index)
        self.assertEqual(250, len(seen))
        self.refused(409, '250 nodes', self.cluster.add_node)


class LeaveTestCase(base.MembershipTestCase):
    def test_an_empty_node_leaves(self) -> None:
        gone = self.nodes()[0]
        before = self.etag()
        endpoint = self.cluster.api_endpoints[0]

        with self.cluster.connect(0) as sock:
            self.cluster.remove_node(0)
            self.assertEqual(b'', sock.recv(1))

        self.assertEqual((1, 2), self.cluster.node_indexes)
        self.assertNotIn(endpoint, self.cluster.api_endpoints)
        self.assertNotEqual(before, self.etag())
        self.assert_told()
        host, _, port = endpoint.rpartition(':')
        self.assertRaises(
            ConnectionRefusedError,
            socket.create_connection,
            (host, int(port)),
        )
        self.assertRaises(KeyError, self.cluster.request, 'GET', '/', node=0)
        self.get(f'nodes/{gone["UUID"]}', 404)
        self.get(f'servers/{gone["serverUUID"]}', 404)
        self.assertEqual(2, self.get('clusterinfo')['supportedMaxReplicas'])
        for call in (
            self.cluster.start_node,
            self.cluster.stop_api,
            self.cluster.remove_node,
            self.cluster.readdress_node,
        ):
            self.refused(404, 'no such node 0', call, 0)
        self.assertEqual(3, self.cluster.add_node())
        self.assert_told()

    def test_its_faults_leave_with_it(self) -> None:
        for node in (0, 1, None):
            self.cluster.fault('slow', node=node, seconds=0.0)
        self.cluster.remove_node(0)
        self.assertEqual(
            [1, None], [fault['node'] for fault in self.cluster.faults()]
        )
        self.refused(404, 'no such node', self.cluster.fault, 'slow', node=0)

    def test_the_last_one_stays(self) -> None:
        self.cluster = self.make_cluster(1)
        self.refused(409, 'last one', self.cluster.remove_node, 0, True)

    def test_a_node_with_replicas_stays(self) -> None:
        self.cluster.add_node()
        uuid = self.create(self.cluster, replicaCount=3)['UUID']
        self.snap(self.cluster, uuid)
        self.refused(
            409,
            'replicas of 1 volumes and 1 snapshots',
            self.cluster.remove_node,
            1,
        )
        self.delete(self.cluster, uuid)
        self.refused(
            409, '0 volumes and 1 snapshots', self.cluster.remove_node, 1
        )

    def test_what_waited_for_it_goes_on(self) -> None:
        self.cluster.set_delays(create=60, node_start=60)
        uuid = self.create(self.cluster)['UUID']
        self.cluster.stop()
        self.cluster.settle()
        self.cluster.start()
        self.cluster.stop_node(2)
        self.cluster.settle()
        self.assertEqual('Creating', self.volume(self.cluster, uuid)['state'])
        self.cluster.remove_node(2)
        self.assertEqual('Available', self.volume(self.cluster, uuid)['state'])

    def test_calls_may_overlap(self) -> None:
        def change(_: int) -> None:
            for _ in range(3):
                self.cluster.remove_node(self.cluster.add_node())

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(change, range(4)))
        self.cluster.add_node()
        self.assertEqual((0, 1, 2, 15), self.cluster.node_indexes)
        self.assert_told()


class ReaddressTestCase(base.MembershipTestCase):
    def test_another_port(self) -> None:
        before = self.cluster.api_endpoints
        etag = self.etag()
        with self.cluster.connect(1) as sock:
            self.cluster.readdress_node(1, port=0)
            self.assertEqual(b'', sock.recv(1))
        after = self.cluster.api_endpoints
        self.assertEqual((before[0], before[2]), (after[0], after[2]))
        self.assertNotEqual(before[1], after[1])
        self.assertNotEqual(etag, self.etag())
        self.assert_told()
        host, _, port = before[1].rpartition(':')
        self.assertRaises(
            ConnectionRefusedError,
            socket.create_connection,
            (host, int(port)),
        )

    def test_a_port_of_choice(self) -> None:
        port = self.port(busy=False)
        self.cluster.readdress_node(1, port=port)
        self.assertEqual(f'127.0.0.1:{port}', self.cluster.endpoint_of(1))
        self.assert_told()

    def test_another_data_address(self) -> None:
        api = self.cluster.api_endpoints
        with self.cluster.connect(0):
            self.cluster.readdress_node(0, data_address='192.0.2.7')
            opened = self.cluster.counters().open_connections
        self.assertEqual(1, opened)
        self.assertEqual(api, self.cluster.api_endpoints)
        self.assertEqual('192.0.2.7:4420', self.cluster.data_endpoints[0])
        self.assert_told()
        self.cluster.readdress_node(0, data_address='192.0.2.7')

    def test_both(self) -> None:
        uuid = self.nodes()[2]['UUID']
        before = self.cluster.api_endpoints[2]
        self.cluster.readdress_node(2, 0, '2001:db8::7')
        self.assertNotEqual(before, self.cluster.api_endpoints[2])
        self.assertEqual('[2001:db8::7]:4420', self.cluster.data_endpoints[2])
        self.assertEqual(uuid, self.nodes()[2]['UUID'])
        self.assert_told()

    def test_the_port_it_has(self) -> None:
        port = int(self.cluster.api_endpoints[0].rpartition(':')[2])
        with self.cluster.connect(0):
            self.cluster.readdress_node(0, port)
            self.assertEqual(1, self.cluster.counters().open_connections)
        self.assert_told()

    def test_faults_and_states_stay(self) -> None:
        self.cluster.stop_api(0)
        self.cluster.readdress_node(0, 0)
        self.assertRaises(ConnectionRefusedError, self.cluster.connect, 0)
        self.cluster.start_api(0)
        fault = self.cluster.fault('refuse', node=0)
        self.cluster.readdress_node(0, 0)
        self.assertRaises(ConnectionRefusedError, self.cluster.connect, 0)
        self.cluster.clear_fault(fault)
        self.assert_told()

    def test_bad_addresses_are_refused(self) -> None:
        taken = self.cluster.data_endpoints[1].rpartition(':')[0]
        busy = self.port(busy=True)
        for status, text, options in (
            (400, 'is needed', {}),
            (400, 'data_address', {'data_address': 'host'}),
            (409, 'node 1 has', {'data_address': taken, 'port': 0}),
            (
                400,
                'cannot bind',
                {'data_address': '192.0.2.7', 'port': busy},
            ),
            (400, 'port', {'port': -1}),
        ):
            self.refused(
                status, text, self.cluster.readdress_node, 0, **options
            )
        self.refused(
            404, 'no such node', self.cluster.readdress_node, 3, port=0
        )
