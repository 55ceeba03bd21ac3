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

"""What the tests of the simulator share."""

from __future__ import annotations

import collections.abc
import itertools
import socket
import time
import typing

from oslotest import base

from tests.simulator import control

GIB = 1 << 30
NQN = 'nqn.2014-08.org.nvmexpress:uuid:0f3c2a51-6b1e-4a55-b7a8-1d2f00aa0001'
NOBODY = {'values': ['ALLOW_NONE']}
PROJECT = '/api/v2/projects/default'
UNKNOWN = '00000000-0000-4000-8000-000000000000'

_numbers = itertools.count()


class SimulatorTestCase(base.BaseTestCase):
    """Makes clusters in the process's shared simulator."""

    def setUp(self) -> None:
        super().setUp()
        self.simulator = control.Simulator.shared()

    def make_cluster(
        self, nodes: int = 3, **options: object
    ) -> control.SimCluster:
        """Return a cluster of the test's own."""
        name = f'unit{next(_numbers)}'
        cluster = self.simulator.add_cluster(name, nodes, **options)
        self.addCleanup(cluster.remove)
        return cluster

    def call(
        self,
        cluster: control.SimCluster,
        method: str,
        path: str,
        body: object = None,
        status: int = 200,
        **options: typing.Any,
    ) -> typing.Any:
        """Send a request, check the status and return the parsed body."""
        reply = cluster.request(method, path, body, **options)
        self.assertEqual(status, reply.status, str(reply.body))
        return reply.json()

    def create(
        self, cluster: control.SimCluster, status: int = 200, **fields: object
    ) -> typing.Any:
        """Create a volume of one replica and 1 GiB unless told else."""
        body = {
            'name': 'vol',
            'size': '1 gib',
            'replicaCount': 1,
            'acl': NOBODY,
            **fields,
        }
        return self.call(cluster, 'POST', f'{PROJECT}/volumes', body, status)

    def volume(
        self, cluster: control.SimCluster, uuid: str, status: int = 200
    ) -> typing.Any:
        """Read a volume."""
        return self.call(
            cluster, 'GET', f'{PROJECT}/volumes/{uuid}', status=status
        )

    def update(
        self,
        cluster: control.SimCluster,
        uuid: str,
        status: int = 200,
        etag: str | None = None,
        **fields: object,
    ) -> typing.Any:
        """Update a volume."""
        headers = {} if etag is None else {'If-Match': etag}
        return self.call(
            cluster,
            'PUT',
            f'{PROJECT}/volumes/{uuid}',
            fields,
            status,
            headers=headers,
        )

    def delete(
        self,
        cluster: control.SimCluster,
        uuid: str,
        status: int = 200,
        kind: str = 'volumes',
    ) -> typing.Any:
        """Delete a volume, or what else `kind` says."""
        return self.call(
            cluster, 'DELETE', f'{PROJECT}/{kind}/{uuid}', status=status
        )

    def snap(
        self,
        cluster: control.SimCluster,
        volume: str,
        status: int = 200,
        **fields: object,
    ) -> typing.Any:
        """Create a snapshot."""
        body = {'name': 'snap', 'sourceVolumeUUID': volume, **fields}
        return self.call(cluster, 'POST', f'{PROJECT}/snapshots', body, status)

    def snapshot(
        self, cluster: control.SimCluster, uuid: str, status: int = 200
    ) -> typing.Any:
        """Read a snapshot."""
        return self.call(
            cluster, 'GET', f'{PROJECT}/snapshots/{uuid}', status=status
        )

    def rollback(
        self,
        cluster: control.SimCluster,
        volume: str,
        snapshot: str,
        status: int = 200,
        **options: typing.Any,
    ) -> typing.Any:
        """Roll a volume back."""
        return self.call(
            cluster,
            'PUT',
            f'{PROJECT}/volumes/{volume}/rollback',
            {'srcSnapshotUUID': snapshot},
            status,
            **options,
        )

    def until(
        self, check: collections.abc.Callable[[], object], seconds: float = 10
    ) -> None:
        """Wait until `check` returns something true."""
        end = time.monotonic() + seconds
        while not check():
            self.assertLess(time.monotonic(), end, 'it never came true')
            time.sleep(0.005)


class SwitchTestCase(SimulatorTestCase):
    """Turns the switches of one cluster."""

    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()

    def switch(self, **values: object) -> None:
        """Set switches."""
        self.cluster.set_switches(**values)

    def later(self, **delays: float) -> None:
        """Set delays."""
        self.cluster.set_delays(**delays)


class MembershipTestCase(SimulatorTestCase):
    """Changes the nodes of a cluster and asks it what it has become."""

    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()

    def get(self, name: str, status: int = 200) -> typing.Any:
        return self.call(self.cluster, 'GET', f'/api/v2/{name}', status=status)

    def nodes(self) -> list[dict[str, typing.Any]]:
        found: list[dict[str, typing.Any]] = self.get('nodes')['nodes']
        return found

    def uuids(self) -> list[str]:
        return [node['UUID'] for node in self.nodes()]

    def refused(
        self,
        status: int,
        text: str,
        call: typing.Callable[..., object],
        *arguments: object,
        **options: object,
    ) -> None:
        """Check that a call is refused and changes nothing."""
        before = self.cluster.state(), self.get('clusterinfo')
        error = self.assertRaises(
            control.SimulatorError, call, *arguments, **options
        )
        self.assertEqual(status, error.status, str(error))
        self.assertIn(text, str(error))
        after = self.cluster.state(), self.get('clusterinfo')
        self.assertEqual(before, after)

    def assert_told(self) -> None:
        """Check that all routes tell the addresses the client knows."""
        api = list(self.cluster.api_endpoints)
        data = list(self.cluster.data_endpoints)
        discovery = [text.replace(':4420', ':8009') for text in data]
        info, cluster = self.get('clusterinfo'), self.get('cluster')
        self.assertEqual(data, info['nvmeEndpoints'])
        for answer in (info, cluster):
            self.assertEqual(api, answer['apiEndpoints'])
            self.assertEqual(discovery, answer['discoveryEndpoints'])
        self.assertEqual(data, [node['nvmeEndpoint'] for node in self.nodes()])
        servers = self.get('servers')['servers']
        self.assertEqual(
            [[node] for node in self.uuids()],
            [server['NodesUUIDs'] for server in servers],
        )
        self.assertEqual(
            [[text] for text in api],
            [server['ApiEndpoints'] for server in servers],
        )
        for index in self.cluster.node_indexes:
            self.call(self.cluster, 'GET', '/api/v2/version', node=index)

    def etag(self) -> str:
        return str(self.get('clusterinfo').get('ETag'))

    def port(self, *, busy: bool) -> int:
        """Return a port nobody else takes before the test ends.

        :param busy: whether it is in use, or left for the simulator.
        """
        kept = self.enterContext(socket.socket())
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(('127.0.0.1', 0))
        if busy:
            kept.listen()
        port: int = kept.getsockname()[1]
        return port
