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

"""Connections through a discovery client, on the real kernel."""

from __future__ import annotations

import os
import stat
import time

from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import options
from tests.simulator import discovery
from tests.vm import base
from tests.vm import guest
from tests.vm import places
from tests.vm import report
from tests.vm import target

MIB = base.MIB
# Of a discovery service that is no node's.
REFERRING = '127.0.98.1'


class DiscoveryTestCase(base.KernelTestCase):
    """Clusters with a discovery service on each node."""

    def stock(self, cluster: target.Cluster,
              volume: target.Volume) -> dict[str, object]:
        """:returns: properties as the in-tree driver gives them."""
        data = self.properties(cluster, volume)
        del data[conn_props.EXTRA_KEY]
        return data


class NativeDiscoveryTest(DiscoveryTestCase):
    """Native connections where only discovery services are known."""

    def test_nodes_are_asked_for(self) -> None:
        for ipv6 in (False, True):
            cluster = self.cluster(ipv6)
            data = self.stock(cluster, cluster.add(node=2))
            self.check_io(self.connector().connect_volume(data)['path'])
            self.assertEqual(['live'] * 3, self.states(cluster))
            self.connector().disconnect_volume(data, None)
            self.assertEqual([], self.states(cluster))

    def test_nodes_that_were_kept_are_completed(self) -> None:
        """A service attaches with what it was told before nodes changed."""
        cluster = self.cluster()
        data = self.properties(cluster, cluster.add(node=2))
        # Of the nodes that it knew, one is left, and serves other volumes.
        kept = [f'127.0.99.1:{target.PORT}', cluster.endpoints[0]]
        data[conn_props.EXTRA_KEY]['nvme_endpoints'] = kept
        self.check_io(self.connector().connect_volume(data)['path'])
        self.assertEqual(['live'] * 3, self.states(cluster))
        self.connector().disconnect_volume(data, None)
        self.assertEqual([], self.states(cluster))

    def test_referrals_are_followed(self) -> None:
        """A service that knows another cluster knows who knows this one."""
        cluster, other = self.cluster(), self.cluster()
        data = self.stock(cluster, cluster.add())
        service = discovery.DiscoveryService(
            REFERRING, other.nqn, [(other.addresses[0], target.PORT)],
            [REFERRING, cluster.addresses[1]])
        self.addCleanup(service.close)
        data['lightos_nodes'] = {REFERRING: {
            'transport_type': 'tcp', 'target_portal': REFERRING,
            'target_port': discovery.PORT}}
        self.check_io(self.connector().connect_volume(data)['path'])
        self.assertEqual(['live'] * 3, self.states(cluster))
        self.assertEqual([], self.states(other))
        self.connector().disconnect_volume(data, None)


class ClientTest(DiscoveryTestCase):

    mode = options.DISCOVERY_CLIENT

    def cluster(self, ipv6: bool = False, nodes: int = 3) -> target.Cluster:
        """Have a cluster that goes when the client is done with it.

        The kernel takes long over a connection that it begins with one that
        is just going, and the client makes one after the other.
        """
        made = super().cluster(ipv6, nodes)
        self.addCleanup(self.eventually, lambda: self.states(made) in (
            [], ['live'] * nodes))
        return made

    def drop_ins(self) -> list[str]:
        return sorted(os.listdir(places.DROP_INS))

    def test_life_of_a_volume(self) -> None:
        self.start_client()
        cluster = self.cluster()
        volume = cluster.add(node=1)
        data = self.stock(cluster, volume)
        path = self.connector().connect_volume(data)['path']
        self.check_io(path)
        # The client connects one after the other.
        self.eventually(lambda: self.states(cluster) == ['live'] * 3)
        self.assertEqual([f'{volume.uuid}.conf'], self.drop_ins())
        told = (places.DROP_INS / f'{volume.uuid}.conf').stat()
        self.assertEqual((0, 0, 0o644), (
            told.st_uid, told.st_gid, stat.S_IMODE(told.st_mode)))
        volume.resize(20 * MIB)
        self.assertEqual(20 * MIB, self.connector().extend_volume(data))
        self.connector().disconnect_volume(data, None)
        self.assertEqual([], self.drop_ins())
        self.assertEqual(['live'] * 3, self.states(cluster))
        volume.hide()
        self.eventually(lambda: not os.path.exists(path))

    def test_several_clusters_side_by_side(self) -> None:
        self.start_client()
        clusters = [self.cluster(), self.cluster(ipv6=True)]
        for cluster in clusters:
            data = self.stock(cluster, cluster.add())
            self.check_io(self.connector().connect_volume(data)['path'])
        self.assertEqual(2, len(self.drop_ins()))

    def test_a_second_volume_of_a_cluster(self) -> None:
        self.start_client()
        cluster = self.cluster()
        volumes = [cluster.add(node=0), cluster.add(node=0)]
        paths = {self.connector().connect_volume(
            self.stock(cluster, volume))['path'] for volume in volumes}
        self.assertEqual(2, len(paths))

    def test_changed_nodes_are_noticed(self) -> None:
        """The first node list leads nowhere."""
        self.start_client()
        cluster = self.cluster()
        volume = cluster.add()
        data = self.stock(cluster, volume)
        wrong = data | {'lightos_nodes': {'127.0.99.1': {
            'transport_type': 'tcp', 'target_portal': '127.0.99.1',
            'target_port': 8009}}}
        file = places.DROP_INS / f'{volume.uuid}.conf'
        with self.assertRaises(errors.NotVisible) as caught:
            self.connector(
                early_failure_timeout=4.0).connect_volume(wrong)
        self.assertIn('127.0.99.1:8009', str(caught.exception))
        self.assertFalse(file.exists())
        file.write_text('# volume\n-t tcp -a 127.0.99.1 -s 8009 '
                        f'-q {guest.HOST_NQN} -n {cluster.nqn}\n')
        self.connector().connect_volume(data)
        self.assertNotIn('127.0.99.1', file.read_text())

    def test_a_device_that_has_vanished(self) -> None:
        self.start_client()
        cluster = self.cluster()
        volume = cluster.add()
        data = self.stock(cluster, volume)
        # The machine may be busy with something else for a while.
        self.assertLess(
            min(self._withdrawn(volume, data) for _round in range(3)), 1.0)

    def _withdrawn(self, volume: target.Volume,
                   data: dict[str, object]) -> float:
        """Attach a volume and have it withdrawn before it is detached.

        :returns: seconds that the latter takes.
        """
        volume.show()
        path = self.connector().connect_volume(data)['path']
        volume.hide()
        self.eventually(lambda: not os.path.exists(path))
        started = time.monotonic()
        self.connector().disconnect_volume(data, None)
        seconds = time.monotonic() - started
        report.sample(
            'detach a device that has vanished', self.mode, seconds)
        self.assertEqual([], self.drop_ins())
        return seconds

    def test_a_dead_client(self) -> None:
        self.stop_client()
        cluster = self.cluster()
        data = self.stock(cluster, cluster.add())
        connector = self.connector(early_failure_timeout=2.0)
        self.assertEqual('', connector.describe_host()['found_dsc'])
        started = time.monotonic()
        with self.assertRaises(errors.NotVisible) as caught:
            connector.connect_volume(data)
        self.assertLess(time.monotonic() - started, 30.0)
        self.assertIn('does not answer', str(caught.exception))
        self.assertEqual([], self.drop_ins())
