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

"""Capacity, and the hosts that use it."""

from __future__ import annotations

from tests.simulator import control
from tests.unit.simulator import base


class CapacityTestCase(base.SimulatorTestCase):
    def statistics(self, cluster: control.SimCluster) -> dict[str, int]:
        answer = self.call(cluster, 'GET', '/api/v2/cluster')
        return {
            name: int(value)
            for name, value in answer['statistics'].items()
            if isinstance(value, str)
        }

    def test_figures(self) -> None:
        cluster = self.make_cluster(capacity=300 * base.GIB)
        uuid = self.create(
            cluster, replicaCount=3, size='10gib', compression='true'
        )['UUID']
        found = self.statistics(cluster)
        self.assertEqual(300 * base.GIB, found['effectivePhysicalStorage'])
        self.assertEqual(270 * base.GIB, found['freePhysicalStorage'])
        self.assertEqual(30 * base.GIB, found['logicalStorage'])
        self.assertNotIn('logicalUsedStorage', found)
        self.assertEqual(2 * base.GIB, cluster.write(uuid, 2 * base.GIB))
        found = self.statistics(cluster)
        self.assertEqual(6 * base.GIB, found['logicalUsedStorage'])
        self.assertEqual(3 * base.GIB, found['physicalUsedStorage'])
        self.assertEqual(267 * base.GIB, found['freePhysicalStorage'])
        self.assertEqual(534 * base.GIB, found['estimatedFreeLogicalStorage'])
        nodes = self.call(cluster, 'GET', '/api/v2/nodes')['nodes']
        for node in nodes:
            statistics = node['statistics']
            self.assertEqual(str(10 * base.GIB), statistics['logicalStorage'])
            self.assertEqual(str(base.GIB), statistics['physicalUsedStorage'])
        volume = self.volume(cluster, uuid)['statistics']
        self.assertEqual(str(2 * base.GIB), volume['logicalUsedStorage'])
        self.assertEqual(str(base.GIB), volume['physicalOwnedCapacity'])
        self.assertEqual(2, volume['compressionRatio'])

    def test_everything_is_given_back(self) -> None:
        cluster = self.make_cluster()
        empty = self.statistics(cluster)
        uuid = self.create(cluster, size='2gib')['UUID']
        cluster.write(uuid, base.GIB)
        snapshot = self.snap(cluster, uuid)['UUID']
        clone = self.create(
            cluster, name='c', size='4gib', sourceSnapshotUUID=snapshot
        )['UUID']
        cluster.write(clone, base.GIB)
        self.update(cluster, uuid, size='5gib')
        self.rollback(cluster, uuid, snapshot)
        self.assertEqual(
            6 * base.GIB, self.statistics(cluster)['logicalStorage']
        )
        self.delete(cluster, uuid)
        self.delete(cluster, snapshot, 200, 'snapshots')
        self.assertEqual(
            2 * base.GIB, self.statistics(cluster)['logicalUsedStorage']
        )
        self.delete(cluster, clone)
        self.assertEqual(empty, self.statistics(cluster))

    def test_snapshots_and_clones_share_blocks(self) -> None:
        cluster = self.make_cluster()
        uuid = self.create(cluster)['UUID']
        cluster.write(uuid, base.GIB // 2)
        snapshot = self.snap(cluster, uuid)['UUID']
        self.create(cluster, name='c', sourceSnapshotUUID=snapshot)
        self.assertEqual(
            base.GIB // 2, self.statistics(cluster)['physicalUsedStorage']
        )
        found = self.snapshot(cluster, snapshot)['statistics']
        self.assertEqual(str(base.GIB // 2), found['physicalCapacity'])
        self.assertNotIn('physicalOwnedCapacity', found)

    def test_a_full_node_turns_read_only(self) -> None:
        cluster = self.make_cluster(capacity=30 * base.GIB)
        uuid = self.create(cluster, size='20gib')['UUID']
        cluster.write(uuid, 9 * base.GIB)
        volume = self.volume(cluster, uuid)
        self.assertEqual('ReadOnly', volume['protectionState'])
        nodes = self.call(cluster, 'GET', '/api/v2/nodes')['nodes']
        self.assertEqual(
            [True],
            [node['readOnly'] for node in nodes if 'readOnly' in node],
        )
        error = self.assertRaises(
            control.SimulatorError, cluster.write, uuid, 1
        )
        self.assertEqual(409, error.status)
        # The two nodes left take no volume of three replicas.
        made = self.create(cluster, name='wide', replicaCount=3)
        self.assertEqual('Failed', made['state'])

    def test_growth_beyond_the_limit(self) -> None:
        cluster = self.make_cluster(
            capacity=3 * base.GIB, overprovision_limit=2.0
        )
        uuid = self.create(cluster, size='5gib')['UUID']
        self.update(cluster, uuid, 429, size='7gib')
        self.update(cluster, uuid, size='6gib')

    def test_writes_end_at_the_size(self) -> None:
        cluster = self.make_cluster()
        uuid = self.create(cluster)['UUID']
        self.assertEqual(base.GIB, cluster.write(uuid, 5 * base.GIB))
        self.update(cluster, uuid, size='512mib', Force=True)
        self.assertEqual(
            base.GIB // 2, self.statistics(cluster)['logicalUsedStorage']
        )


class HostTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()
        self.uuid = self.create(
            self.cluster,
            acl={'values': [base.NQN]},
            IPAcl={'values': ['192.0.2.1']},
        )['UUID']

    def hosts(self) -> list[str]:
        volume = self.volume(self.cluster, self.uuid)
        found: list[str] = volume.get('connectedHosts', [])
        return found

    def test_connect_and_disconnect(self) -> None:
        self.cluster.connect_host(base.NQN, self.uuid)
        self.assertEqual([base.NQN], self.hosts())
        path = '/api/v2/connectedHosts'
        query = f'{path}?volumeUUID={self.uuid}'
        for call in (path, query):
            found = self.call(self.cluster, 'GET', call)['connectedHosts']
            self.assertEqual(
                {
                    'hostNQN': base.NQN,
                    'iPAddress': '192.0.2.1',
                    'hostname': 'host',
                    'volumeUUIDs': [self.uuid],
                },
                found[0],
            )
        one = self.call(self.cluster, 'GET', f'{path}/{base.NQN}')
        self.assertEqual(base.NQN, one['hostNQN'])
        self.call(self.cluster, 'GET', f'{path}/nqn.x', status=404)
        query = f'{path}?volumeUUID={base.UNKNOWN}'
        self.call(self.cluster, 'GET', query, status=404)
        self.cluster.disconnect_host(base.NQN, self.uuid)
        self.assertEqual([], self.hosts())
        self.cluster.disconnect_host(base.NQN)
        self.assertEqual({}, self.call(self.cluster, 'GET', path))

    def test_acl_keeps_hosts_out(self) -> None:
        for nqn, address in (
            ('nqn.other', '192.0.2.1'),
            (base.NQN, '192.0.2.2'),
        ):
            error = self.assertRaises(
                control.SimulatorError,
                self.cluster.connect_host,
                nqn,
                self.uuid,
                address=address,
            )
            self.assertEqual(409, error.status)
        self.assertEqual([], self.hosts())

    def test_acl_update_takes_the_volume_away(self) -> None:
        self.cluster.connect_host(base.NQN, self.uuid)
        self.update(self.cluster, self.uuid, acl=base.NOBODY)
        self.assertEqual([], self.hosts())

    def test_shown_late(self) -> None:
        self.cluster.set_delays(connected_hosts=60)
        self.cluster.connect_host(base.NQN, self.uuid)
        self.assertEqual([], self.hosts())
        self.cluster.settle()
        self.assertEqual([base.NQN], self.hosts())
