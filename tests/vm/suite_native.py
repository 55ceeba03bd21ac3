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

"""Native connections on the real kernel."""

from __future__ import annotations

from concurrent import futures
import os
import pathlib
import subprocess
import threading
import time
from unittest import mock

from os_brick_ext import attach
from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import timing
from tests.vm import base
from tests.vm import guest
from tests.vm import target

MIB = base.MIB


class NativeTest(base.KernelTestCase):

    def test_connect_and_disconnect(self) -> None:
        cluster = self.cluster()
        volume = cluster.add()
        data = self.properties(cluster, volume)
        path = self.connector().connect_volume(data)['path']
        self.assertRegex(path, '^/dev/nvme[0-9]+n[0-9]+$')
        self.assertEqual(['live'] * 3, self.states(cluster))
        self.check_io(path)
        self.assertEqual([path], self.connector().get_volume_paths(data))
        self.assertTrue(self.connector().check_valid_device(path))
        self.connector().disconnect_volume(data, None)
        self.assertEqual([], self.states(cluster))
        self.assertFalse(os.path.exists(path))
        self.assertEqual([], self.connector().get_volume_paths(data))
        self.connector().disconnect_volume(data, None)

    def test_only_the_last_volume_takes_the_connections(self) -> None:
        cluster = self.cluster()
        first, second = cluster.add(), cluster.add(node=1)
        one, two = (self.properties(cluster, volume)
                    for volume in (first, second))
        self.connector().connect_volume(one)
        path = self.connector().connect_volume(two)['path']
        self.connector().disconnect_volume(one, None)
        self.check_io(path)
        first.hide()
        self.eventually(lambda: not self.connector().get_volume_paths(one))
        self.assertEqual(['live'] * 3, self.states(cluster))
        self.connector().disconnect_volume(two, None)
        self.assertEqual([], self.states(cluster))

    def test_an_event_ends_the_wait(self) -> None:
        """With pauses as long as the wait, nothing else could."""
        cluster = self.cluster()
        # So that something is connected all the time.
        cluster.add()
        volume = cluster.add(shown=False)
        timer = threading.Timer(3.0, volume.show)
        with mock.patch.object(attach, 'HEARD_PAUSE', 50.0), \
                mock.patch.object(timing, 'LONGEST_PAUSE', 50.0):
            timer.start()
            started = time.monotonic()
            self.connector().connect_volume(
                self.properties(cluster, volume))
        timer.join()
        self.assertLess(time.monotonic() - started, 30.0)

    def test_extend_gives_the_new_size_at_once(self) -> None:
        cluster = self.cluster()
        volume = cluster.add()
        data = self.properties(cluster, volume)
        path = self.connector().connect_volume(data)['path']
        for size in range(17, 27):
            volume.resize(size * MIB)
            self.assertEqual(
                size * MIB, self.connector().extend_volume(data))
            self.assertEqual(str(size * MIB), subprocess.run(
                ['blockdev', '--getsize64', path], check=True,
                capture_output=True, text=True).stdout.strip())

    def test_several_clusters_at_the_same_time(self) -> None:
        clusters = [self.cluster(), self.cluster(), self.cluster(ipv6=True)]
        wanted = [self.properties(cluster, cluster.add(node=node))
                  for cluster in clusters for node in range(3)]
        with futures.ThreadPoolExecutor(len(wanted)) as pool:
            paths = [found['path'] for found in pool.map(
                lambda data: self.connector().connect_volume(data), wanted)]
        self.assertEqual(len(wanted), len(set(paths)))
        for path in paths:
            self.check_io(path)
        with futures.ThreadPoolExecutor(len(wanted)) as pool:
            list(pool.map(lambda data: self.connector().disconnect_volume(
                data, None), wanted))
        for cluster in clusters:
            # The array has not withdrawn the volumes, so whichever went
            # last still saw the others.
            self.assertIn(self.states(cluster), ([], ['live'] * 3))

    def test_ipv6(self) -> None:
        cluster = self.cluster(ipv6=True)
        data = self.properties(cluster, cluster.add())
        self.check_io(self.connector().connect_volume(data)['path'])
        self.connector().connect_volume(data)
        self.assertEqual(['live'] * 3, self.states(cluster))

    def test_a_volume_that_never_appears_fails_alone(self) -> None:
        cluster = self.cluster()
        hidden = self.properties(cluster, cluster.add(shown=False))
        data = self.properties(cluster, cluster.add())
        with futures.ThreadPoolExecutor(1) as pool:
            failing = pool.submit(self.connector(
                connect_timeout=15.0).connect_volume, hidden)
            path = self.connector().connect_volume(data)['path']
            self.assertFalse(failing.done())
            error = failing.exception()
        self.assertIsInstance(error, errors.NotVisible)
        self.assertIn('does not show it to this host', str(error))
        self.check_io(path)

    def test_a_cluster_that_is_down_fails_at_once(self) -> None:
        cluster = self.cluster()
        data = self.properties(cluster, cluster.add())
        for node in range(3):
            cluster.stop(node)
        started = time.monotonic()
        with self.assertRaises(errors.NotVisible) as caught:
            self.connector().connect_volume(data)
        self.assertLess(time.monotonic() - started, 30.0)
        for endpoint in cluster.endpoints:
            self.assertIn(endpoint, str(caught.exception))
        self.assertEqual([], self.states(cluster))

    def test_a_host_without_access(self) -> None:
        cluster = self.cluster()
        data = self.properties(cluster, cluster.add())
        cluster.refuse_hosts()
        with self.assertRaises(errors.NotVisible) as caught:
            self.connector().connect_volume(data)
        self.assertIn(f'grant access to {guest.HOST_NQN}',
                      str(caught.exception))
        self.assertEqual([], self.states(cluster))

    def test_a_volume_that_no_node_shows_fails_early(self) -> None:
        """The cluster is connected for the sake of another volume."""
        cluster = self.cluster()
        shown = self.properties(cluster, cluster.add())
        hidden = self.properties(cluster, cluster.add(shown=False))
        path = self.connector().connect_volume(shown)['path']
        started = time.monotonic()
        with self.assertRaises(errors.NotVisible) as caught:
            self.connector(early_failure_timeout=2.0,
                           connect_timeout=90.0).connect_volume(hidden)
        self.assertLess(time.monotonic() - started, 30.0)
        self.assertIn('on none of 3 nodes; does it grant access to '
                      f'{guest.HOST_NQN}?', str(caught.exception))
        self.check_io(path)

    def test_a_node_that_is_down_is_passed_over_and_added_later(
            self) -> None:
        cluster = self.cluster()
        data = self.properties(cluster, cluster.add(node=1))
        cluster.stop(0)
        path = self.connector().connect_volume(data)['path']
        self.assertEqual(['live'] * 2, self.states(cluster))
        cluster.start(0)
        self.assertEqual(path, self.connector().connect_volume(data)['path'])
        self.assertEqual(['live'] * 3, self.states(cluster))

    def test_failover(self) -> None:
        cluster = self.cluster()
        volume = cluster.add(node=0)
        data = self.properties(cluster, volume)
        path = self.connector().connect_volume(data)['path']
        volume.move(1)
        cluster.stop(0)
        self.check_io(path)
        self.assertEqual([path], self.connector().get_volume_paths(data))
        cluster.start(0)
        self.eventually(lambda: self.states(cluster) == ['live'] * 3)

    def test_a_volume_without_paths(self) -> None:
        cluster = self.cluster()
        data = self.properties(cluster, cluster.add())
        path = self.connector().connect_volume(data)['path']
        for node in range(3):
            cluster.stop(node)
        self.eventually(lambda: 'live' not in self.states(cluster))
        started = time.monotonic()
        with self.assertRaises(errors.NoPath):
            self.connector().disconnect_volume(data, None)
        self.assertLess(time.monotonic() - started, 10.0)
        self.assertTrue(os.path.exists(path))
        self.connector().disconnect_volume(
            data, None, force=True, ignore_errors=True)
        self.assertEqual([], self.states(cluster))
        self.assertFalse(os.path.exists(path))

    def test_a_volume_that_something_is_built_upon(self) -> None:
        cluster = self.cluster()
        data = self.properties(cluster, cluster.add())
        path = self.connector().connect_volume(data)['path']
        subprocess.run(
            ['dmsetup', 'create', 'built', '--table',
             f'0 1024 linear {path} 0'], check=True)
        try:
            with self.assertRaises(errors.InUse) as caught:
                self.connector().disconnect_volume(data, None)
        finally:
            subprocess.run(['dmsetup', 'remove', 'built'],
                           check=True)
        self.assertIn('dm-', str(caught.exception))
        self.check_io(path)
        self.connector().disconnect_volume(data, None)
        self.assertEqual([], self.states(cluster))

    def test_encrypted(self) -> None:
        cluster = self.cluster()
        data = self.properties(cluster, cluster.add()) | {'encrypted': True}
        connector = self.connector()
        link = connector.connect_volume(data)['path']
        self.assertTrue(os.path.islink(link))
        self.check_io(link)
        data['device_path'] = link
        self.assertEqual(16 * MIB, connector.extend_volume(data))
        connector.disconnect_volume(data, None)
        self.assertFalse(os.path.lexists(link))

    def test_services_that_come_and_go(self) -> None:
        """Two volumes of a cluster, of which each may be its last."""
        cluster = self.cluster()
        volumes = [cluster.add(shown=False, node=node) for node in (0, 1)]

        def use(volume: target.Volume) -> None:
            data = self.properties(cluster, volume)
            key = conn_props.VolumeKey(volume.uuid, cluster.nqn)
            for _round in range(6):
                volume.show()
                path = self.connector().connect_volume(data)['path']
                self.check_io(path)
                self.connector().disconnect_volume(data, None)
                volume.hide()
                # Else the next round might find what is on its way out.
                self.eventually(lambda: not self.kernel.find(key))

        with futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(use, volumes))
        # Whichever left last may still have seen the other, whose end the
        # cluster has yet to tell.
        self.eventually(lambda: not self.kernel.occupied(cluster.nqn))

    def test_no_lock_file_is_left(self) -> None:
        cluster = self.cluster()
        data = self.properties(cluster, cluster.add())
        connector = self.connector()
        connector.connect_volume(data)
        connector.disconnect_volume(data, None)
        # Connections are looked after aside, with locks for a moment.
        self.eventually(lambda: not list(pathlib.Path(
            connector.settings.lock_folder).glob('os-brick-ext-*')))
