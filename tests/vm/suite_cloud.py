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

"""Clusters, Cinder's driver and connectors together, with nothing faked."""

from __future__ import annotations

from collections.abc import Callable
import os
from typing import Any

from os_brick.encryptors import luks
from os_brick.initiator.connectors import lightos

from os_brick_ext import options
from tests.simulator import control
from tests.vm import base
from tests.vm import cloud
from tests.vm import places
from tests.vm import second_host

GIB = 1 << 30
BLOCK = second_host.BLOCK
OTHER_NQN = ('nqn.2014-08.org.nvmexpress:uuid:'
             '77b4c7a3-1d5e-4a66-9d23-000000000002')

OTHER_HOST = {'nqn': OTHER_NQN, 'found_dsc': 'found', 'host': 'other',
              'host_ips': ['198.51.100.8']}


class Key:
    """A key manager that has one key."""

    class _Secret:
        def managed_type(self) -> str:
            return 'symmetric'

        def get_encoded(self) -> bytes:
            return bytes(range(32))

    def get(self, _context: object, _key_id: str) -> _Secret:
        """:returns: the key, whichever is asked for."""
        return self._Secret()


class CloudTestCase(base.KernelTestCase):
    """What Cinder and Nova do with a volume, step by step."""

    def setUp(self) -> None:
        super().setUp()
        self.cloud = cloud.shared()
        self.arrays: dict[str, control.SimCluster] = self.cloud.clusters
        self.doors: list[Callable[[], object]] = []

    def host(self) -> dict[str, Any]:
        """:returns: what Nova tells Cinder of this host."""
        found = self.any_connector().get_connector_properties('sudo')
        return {**found, 'host': 'guest', 'multipath': True}

    def any_connector(self) -> Any:
        """:returns: a connector as a service would have."""
        return self.connector()

    def create(self, cluster: str, **changes: Any) -> str:
        """:returns: id of a volume that is gone after the test."""
        volume = str(self.cloud.call('create', cluster=cluster, **changes))
        self.addCleanup(self.cloud.call, 'delete', volume=volume)
        return volume

    def attach(self, volume: str) -> dict[str, Any]:
        """Attach a volume to this host.

        :returns: the connection's data, with the device's path.
        """
        host = self.host()
        info = self.cloud.call('attach', volume=volume, connector=host)
        self.addCleanup(self._let_go, volume, host)
        data: dict[str, Any] = info['data']
        data['device_path'] = self.any_connector().connect_volume(
            data)['path']
        return data

    def detach(self, volume: str, data: dict[str, Any]) -> None:
        """Take it from this host, as Nova and Cinder do."""
        self.any_connector().disconnect_volume(data, None)
        self.cloud.call('detach', volume=volume, connector=self.host())
        self.eventually(lambda: not os.path.exists(data['device_path']))

    def _let_go(self, volume: str, host: dict[str, Any]) -> None:
        self._leave_all()
        self.cloud.call('detach', volume=volume, connector=host)

    def size(self, path: str) -> int:
        """:returns: size of a device in bytes, as the kernel has it."""
        with open(path, 'rb') as device:
            return device.seek(0, os.SEEK_END)

    def write(self, path: str, block: int = 0) -> bytes:
        """:returns: one block of data that was written past all caches."""
        data = os.urandom(BLOCK)
        descriptor = os.open(path, os.O_RDWR | os.O_SYNC)
        try:
            os.pwrite(descriptor, data, block * BLOCK)
        finally:
            os.close(descriptor)
        return data

    def read(self, path: str, block: int = 0) -> bytes:
        """:returns: one block, as the cluster has it."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            return os.pread(descriptor, BLOCK, block * BLOCK)
        finally:
            os.close(descriptor)

    def serving_node(self, uuid: str, cluster: str) -> int:
        """:returns: index of the node that serves a volume of that UUID."""
        array = self.arrays[cluster]
        volume = array.request('GET', f'/api/v2/volumes/{uuid}').json()
        nodes = array.request('GET', '/api/v2/nodes').json()['nodes']
        place = [node['UUID'] for node in nodes].index(
            volume['primaryNodeUUID'])
        return array.node_indexes[place]

    def endpoint(self, node: int, cluster: str) -> str:
        """:returns: where a node, by its index, takes I/O."""
        array = self.arrays[cluster]
        return array.data_endpoints[array.node_indexes.index(node)]

    def check_nothing_left(self, nqn: str) -> None:
        """Check that the host has forgotten a cluster."""
        self.assertFalse(self.kernel.occupied(nqn))
        self.assertEqual([], self.states_of(nqn))
        self.assertEqual([], os.listdir(places.DROP_INS))

    def states_of(self, nqn: str) -> list[str]:
        """:returns: states of the connections to a cluster."""
        return [one.state for one in self.kernel.controllers(nqn)]


class LifeTest(CloudTestCase):
    """A volume's whole life on two clusters, natively attached."""

    def test_life_of_volumes(self) -> None:
        data, contents = {}, {}
        for name in ('east', 'west'):
            volume = self.create(name)
            data[volume] = self.attach(volume)
            self.assertEqual(self.arrays[name].nqn,
                             data[volume]['subsysnqn'])
        for volume, known in data.items():
            self._extend(volume, known)
            contents[volume] = self._snapshot_and_clone(volume, known)
        for volume, known in data.items():
            self.detach(volume, known)
            self.check_left(known['subsysnqn'])
        for volume, content in contents.items():
            known = self.attach(volume)
            self.assertEqual(content, self.read(known['device_path']))
            self.detach(volume, known)

    def check_left(self, nqn: str) -> None:
        """Check what is left of a cluster after its last volume."""
        self.check_nothing_left(nqn)

    def extended(self, data: dict[str, Any]) -> int:
        """:returns: the size that the host has after an extension."""
        return int(self.any_connector().extend_volume(data))

    def _extend(self, volume: str, data: dict[str, Any]) -> None:
        path = data['device_path']
        self.assertEqual(GIB, self.size(path))
        content = self.write(path)
        self.cloud.call('extend', volume=volume, size=2)
        self.assertEqual(2 * GIB, self.extended(data))
        self.assertEqual(2 * GIB, self.size(path))
        self.assertEqual(content, self.read(path))
        # What was not there before.
        last = 2 * GIB // BLOCK - 1
        self.assertEqual(self.write(path, last), self.read(path, last))

    def _snapshot_and_clone(self, volume: str, known: dict[str, Any]
                            ) -> bytes:
        """:returns: what is in the volume's first block afterwards."""
        path = known['device_path']
        old = self.write(path)
        snapshot = self.cloud.call('snapshot', volume=volume)
        self.addCleanup(self.cloud.call, 'delete_snapshot',
                        snapshot=snapshot)
        new = self.write(path)
        cluster = next(name for name, array in self.arrays.items()
                       if array.nqn == known['subsysnqn'])
        for source, content in (({'snapshot': snapshot}, old),
                                ({'volume': volume}, new)):
            copy = self.create(cluster, size=2, **source)
            data = self.attach(copy)
            self.assertEqual(content, self.read(data['device_path']))
            # Nothing is shared.
            self.write(data['device_path'])
            self.detach(copy, data)
        self.assertEqual(new, self.read(path))
        return new


class Ipv6Test(CloudTestCase):
    """A cluster whose nodes have IPv6 addresses, natively attached."""

    def test_life_of_a_volume(self) -> None:
        volume = self.create(cloud.IPV6)
        array = self.arrays[cloud.IPV6]
        data = self.attach(volume)
        self.assertEqual(set(places.CLOUD_IPV6), set(data['lightos_nodes']))
        self.assertEqual(
            sorted(f'[{address}]:4420' for address in places.CLOUD_IPV6),
            sorted(one.endpoint for one
                   in self.kernel.controllers(array.nqn)))
        content = self.write(data['device_path'], 3)
        self.assertEqual(content, self.read(data['device_path'], 3))
        self.detach(volume, data)
        self.check_nothing_left(array.nqn)
        data = self.attach(volume)
        self.assertEqual(content, self.read(data['device_path'], 3))
        self.detach(volume, data)


class ClientLifeTest(LifeTest):
    """The same through the discovery client."""

    mode = options.DISCOVERY_CLIENT

    def setUp(self) -> None:
        super().setUp()
        self.start_client()

    def check_left(self, nqn: str) -> None:
        """The client keeps its connections.

        The kernel takes a device away before what it tells of it.
        """
        self.eventually(lambda: not self.kernel.occupied(nqn))
        nodes = next(len(array.node_indexes)
                     for array in self.arrays.values() if array.nqn == nqn)
        self.eventually(lambda: self.states_of(nqn) == ['live'] * nodes)


class StockLifeTest(ClientLifeTest):
    """The same with the connector that os-brick has."""

    def any_connector(self) -> Any:
        """:returns: os-brick's own."""
        return lightos.LightOSConnector('sudo')

    def extended(self, data: dict[str, Any]) -> int:
        """It tells a size that may be the former one."""
        self.assertIn(self.any_connector().extend_volume(data),
                      (GIB, 2 * GIB))
        self.eventually(
            lambda: self.size(data['device_path']) == 2 * GIB)
        return 2 * GIB


class TwoHostsTest(CloudTestCase):

    def second(self, uuid: str, cluster: str) -> second_host.SecondHost:
        """:returns: the other host, to be entered, at a volume's node."""
        return second_host.SecondHost(
            self.endpoint(self.serving_node(uuid, cluster), cluster),
            self.arrays[cluster].nqn, OTHER_NQN)

    def test_attached_to_two_hosts(self) -> None:
        volume = self.create('east')
        data = self.attach(volume)
        with (self.assertRaises(second_host.Refused),
              self.second(data['uuid'], 'east')):
            pass
        other = OTHER_HOST
        self.cloud.call('attach', volume=volume, connector=other)
        content = self.write(data['device_path'])
        with self.second(data['uuid'], 'east') as second:
            number = second.namespaces()[data['uuid']]
            self.assertEqual(content, second.read(number))
            answer = os.urandom(BLOCK)
            second.write(number, answer, 7)
            self.assertEqual(answer, self.read(data['device_path'], 7))
            # Gone from the one, kept by the other.
            self.cloud.call('detach', volume=volume, connector=other)
        with (self.assertRaises(second_host.Refused),
              self.second(data['uuid'], 'east')):
            pass
        self.assertEqual(content, self.read(data['device_path']))
        self.detach(volume, data)

    def test_live_migration(self) -> None:
        """The destination attaches before the source detaches."""
        volume = self.create('west')
        data = self.attach(volume)
        content = self.write(data['device_path'])
        other = OTHER_HOST
        self.cloud.call('attach', volume=volume, connector=other)
        with self.second(data['uuid'], 'west') as second:
            number = second.namespaces()[data['uuid']]
            self.detach(volume, data)
            self.check_nothing_left(data['subsysnqn'])
            self.assertEqual(content, second.read(number))
            second.write(number, os.urandom(BLOCK))
        self.cloud.call('detach', volume=volume, connector=other)


class EncryptedTest(CloudTestCase):

    def test_luks(self) -> None:
        volume = self.create('east')
        info = self.cloud.call('attach', volume=volume,
                               connector=self.host())
        self.addCleanup(self._let_go, volume, self.host())
        data = info['data'] | {'encrypted': True}
        content = b''
        for _round in range(2):
            link = self.any_connector().connect_volume(data)['path']
            data['device_path'] = link
            info['data'] = data
            encryptor = luks.LuksEncryptor('sudo', info, Key())
            encryptor.attach_volume(
                None, cipher='aes-xts-plain64', key_size=256,
                encryption_key_id='one')
            self.assertTrue(os.readlink(link).startswith('/dev/mapper/'))
            if content:
                self.assertEqual(content, self.read(link))
            content = self.write(link)
            encryptor.detach_volume()
            self.any_connector().disconnect_volume(data, None)
            self.assertFalse(os.path.lexists(link))
        self.cloud.call('detach', volume=volume, connector=self.host())
        self.check_nothing_left(data['subsysnqn'])
