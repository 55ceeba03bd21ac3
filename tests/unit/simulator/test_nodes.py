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

"""Nodes, protection and health."""

from __future__ import annotations

import typing

from tests.simulator import control
from tests.unit.simulator import base


class NodeTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()

    def info(self) -> dict[str, typing.Any]:
        answer: dict[str, typing.Any] = self.call(
            self.cluster, 'GET', '/api/v2/clusterinfo'
        )
        return answer

    def health(self) -> dict[str, typing.Any]:
        answer = self.call(self.cluster, 'GET', '/api/v2/cluster')
        health: dict[str, typing.Any] = answer['health']
        return health

    def test_cluster_info(self) -> None:
        info = self.info()
        self.assertEqual(self.cluster.uuid, info['UUID'])
        self.assertEqual(self.cluster.nqn, info['subsystemNQN'])
        self.assertEqual(
            list(self.cluster.api_endpoints), info['apiEndpoints']
        )
        self.assertEqual(
            list(self.cluster.data_endpoints), info['nvmeEndpoints']
        )
        self.assertEqual(3, len(info['discoveryEndpoints']))
        self.assertEqual(self.cluster.name, info['clusterName'])
        cluster = self.call(self.cluster, 'GET', '/api/v2/cluster')
        self.assertNotIn('nvmeEndpoints', cluster)
        version = self.call(self.cluster, 'GET', '/api/v2/version')
        self.assertEqual({'apiVersion': 'v2.0'}, version)

    def test_nodes_and_servers(self) -> None:
        nodes = self.call(self.cluster, 'GET', '/api/v2/nodes')['nodes']
        self.assertEqual(
            list(self.cluster.data_endpoints),
            [node['nvmeEndpoint'] for node in nodes],
        )
        for query, number in (
            (f'name={nodes[1]["name"]}', 1),
            (f'UUID={nodes[1]["UUID"]}', 1),
            ('failureDomain=server01', 1),
            ('name=other', 0),
        ):
            path = f'/api/v2/nodes?{query}'
            found = self.call(self.cluster, 'GET', path)['nodes']
            self.assertEqual(nodes[1:2][:number], found)
        path = f'/api/v2/nodes?name=a&UUID={nodes[1]["UUID"]}'
        self.call(self.cluster, 'GET', path, status=400)
        one = self.call(
            self.cluster, 'GET', f'/api/v2/nodes/{nodes[0]["UUID"]}'
        )
        self.assertEqual(nodes[0], one)
        path = f'/api/v2/nodes/{base.UNKNOWN}'
        self.call(self.cluster, 'GET', path, status=404)
        servers = self.call(self.cluster, 'GET', '/api/v2/servers')['servers']
        self.assertEqual(
            [[node['UUID']] for node in nodes],
            [server['NodesUUIDs'] for server in servers],
        )
        uuid = nodes[2]['serverUUID']
        self.call(self.cluster, 'GET', f'/api/v2/servers/{uuid}')

    def test_protection_by_replicas_lost(self) -> None:
        made = {
            count: self.create(
                self.cluster, name=f'r{count}', replicaCount=count
            )
            for count in (1, 2, 3)
        }
        nodes = [
            item['UUID']
            for item in self.call(self.cluster, 'GET', '/api/v2/nodes')[
                'nodes'
            ]
        ]
        expected = {
            (1, 0): 'FullyProtected',
            (1, 1): 'NotAvailable',
            (2, 0): 'FullyProtected',
            (2, 1): 'ReadOnly',
            (2, 2): 'NotAvailable',
            (3, 0): 'FullyProtected',
            (3, 1): 'Degraded',
            (3, 2): 'ReadOnly',
            (3, 3): 'NotAvailable',
        }
        stopped: set[str] = set()
        for index in (None, 0, 1, 2):
            if index is not None:
                self.cluster.stop_node(index)
                stopped.add(nodes[index])
            for count, volume in made.items():
                lost = len(stopped & set(volume['nodeList']))
                now = self.volume(self.cluster, volume['UUID'])
                self.assertEqual(expected[count, lost], now['protectionState'])
                self.assertEqual('Available', now['state'])
                self.assertNotIn(now.get('primaryNodeUUID'), stopped)

    def test_health_and_largest_replica_count(self) -> None:
        self.create(self.cluster, replicaCount=3)
        self.assertEqual(
            {'state': 'OK', 'numHealthyVolumes': 1}, self.health()
        )
        self.cluster.stop_node(2)
        self.assertEqual(
            {
                'state': 'Warning',
                'numDegradedVolumes': 1,
                'numInactiveNodes': 1,
            },
            self.health(),
        )
        info = self.info()
        self.assertEqual(2, info['currentMaxReplicas'])
        self.assertEqual(3, info['supportedMaxReplicas'])
        self.cluster.stop_node(1)
        self.assertEqual('Error', self.health()['state'])
        self.assertEqual(1, self.health()['numReadOnlyVolumes'])

    def test_api_outlives_the_data_role(self) -> None:
        self.cluster.stop_node(0)
        self.call(self.cluster, 'GET', '/api/v2/version', node=0)
        self.cluster.start_node(0)
        self.cluster.stop_api(0)
        self.assertRaises(
            ConnectionRefusedError,
            self.cluster.request,
            'GET',
            '/api/v2/version',
            node=0,
        )
        self.assertEqual(
            'OK',
            self.call(self.cluster, 'GET', '/api/v2/cluster', node=1)[
                'health'
            ]['state'],
        )
        self.cluster.start_api(0)
        self.call(self.cluster, 'GET', '/api/v2/version', node=0)

    def test_start_passes_activating(self) -> None:
        self.cluster.set_delays(node_start=60)
        self.cluster.stop_node(0)
        self.assertEqual('Inactive', self.node_state())
        self.cluster.start_node(0)
        self.assertEqual('Activating', self.node_state())
        self.cluster.settle()
        self.assertEqual('Active', self.node_state())

    def node_state(self) -> str:
        nodes = self.call(self.cluster, 'GET', '/api/v2/nodes')['nodes']
        return str(nodes[0]['state'])

    def test_too_few_active_nodes(self) -> None:
        self.cluster.stop_node(1)
        made = self.create(self.cluster, replicaCount=3)
        self.assertEqual('Failed', made['state'])
        self.create(self.cluster, name='two', replicaCount=2)
        self.cluster.stop_node(0)
        made = self.create(self.cluster, name='again', replicaCount=2)
        self.assertEqual('Failed', made['state'])

    def test_node_lost_while_creating(self) -> None:
        self.cluster.set_delays(create=60)
        uuid = self.create(self.cluster, replicaCount=3)['UUID']
        self.cluster.stop_node(0)
        self.cluster.settle()
        self.assertEqual('Failed', self.volume(self.cluster, uuid)['state'])
        usage = self.cluster.state()['usage']
        self.assertEqual([0, 0, 0], usage['provisioned'])

    def test_replicas_are_in_distinct_failure_domains(self) -> None:
        cluster = self.make_cluster(
            4, failure_domains=['rack1', 'rack1', 'rack2', 'rack2']
        )
        made = self.create(cluster, replicaCount=2)
        nodes = self.call(cluster, 'GET', '/api/v2/nodes')['nodes']
        domains = {
            node['failureDomains'][0]
            for node in nodes
            if node['UUID'] in made['nodeList']
        }
        self.assertEqual({'rack1', 'rack2'}, domains)
        self.create(cluster, 400, name='three', replicaCount=3)

    def test_one_node_takes_one_replica(self) -> None:
        cluster = self.make_cluster(1)
        self.create(cluster, 400, replicaCount=2)
        self.create(cluster, replicaCount=1)

    def test_stop_and_start(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.cluster.stop()
        for node in range(3):
            self.assertRaises(
                ConnectionRefusedError,
                self.cluster.request,
                'GET',
                '/api/v2/version',
                node=node,
            )
        self.cluster.start()
        self.assertEqual(
            'FullyProtected',
            self.volume(self.cluster, uuid)['protectionState'],
        )

    def test_start_as_another_cluster(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        before = self.cluster.uuid, self.cluster.nqn
        self.cluster.stop()
        self.cluster.start(uuid=base.UNKNOWN)
        self.assertEqual(base.UNKNOWN, self.info()['UUID'])
        self.assertEqual(base.UNKNOWN, self.cluster.uuid)
        self.assertNotIn(self.info()['subsystemNQN'], before)
        self.volume(self.cluster, uuid)
        self.cluster.start(uuid=before[0], wipe=True)
        self.volume(self.cluster, uuid, 404)
        self.assertRaises(control.SimulatorError, self.cluster.start, uuid='x')
