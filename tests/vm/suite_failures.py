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

"""Volumes in use while nodes and clusters fail and change."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import subprocess
import time
from typing import Any
from unittest import mock

from os_brick_ext import native
from os_brick_ext import settings
from tests.vm import load
from tests.vm import report
from tests.vm import suite_cloud



@contextlib.contextmanager
def silence(address: str) -> Iterator[None]:
    """Have no packet arrive at an address of this machine, for a while."""
    route = ['blackhole', f'{address}/32', 'table', 'local']
    subprocess.run(['ip', 'route', 'add', *route], check=True)
    try:
        yield
    finally:
        subprocess.run(['ip', 'route', 'del', *route], check=True)


class FailureTest(suite_cloud.CloudTestCase):

    def busy(self, cluster: str) -> tuple[str, dict[str, Any], load.Load]:
        """:returns: an attached volume and a load on it, not begun."""
        volume = self.create(cluster)
        data = self.attach(volume)
        return volume, data, load.Load(data['device_path'])

    def progress(self, work: load.Load, rounds: int = 20) -> None:
        """Wait until I/O has gone on for a while."""
        wanted = work.rounds + rounds
        self.eventually(lambda: work.rounds >= wanted)

    def told(self, name: str, work: load.Load) -> None:
        """Keep how long I/O stood still."""
        report.sample(name, 'I/O stalls for seconds', work.stall)

    def test_a_node_that_stops(self) -> None:
        volume, data, work = self.busy('east')
        array = self.arrays['east']
        node = self.serving_node(data['uuid'], 'east')
        with work:
            self.progress(work)
            work.mark()
            array.stop_node(node)
            self.progress(work)
            self.told('a node stops', work)
            self.assertNotEqual(
                node, self.serving_node(data['uuid'], 'east'))
            work.mark()
            array.start_node(node)
            self.progress(work)
            self.eventually(lambda: self.states_of(array.nqn)
                            == ['live'] * 3)
            self.told('a node comes back', work)
        self.detach(volume, data)
        self.check_nothing_left(array.nqn)

    def test_a_node_that_falls_silent(self) -> None:
        volume, data, work = self.busy('east')
        array = self.arrays['east']
        node = self.serving_node(data['uuid'], 'east')
        address = self.endpoint(node, 'east').rpartition(':')[0]
        limit = settings.load().keep_alive_timeout
        with work:
            self.progress(work)
            work.mark()
            with silence(address):
                self.progress(work)
                self.told('a node falls silent, keep-alive timeout '
                          f'{limit} s', work)
            self.eventually(lambda: self.states_of(array.nqn)
                            == ['live'] * 3)
        self.detach(volume, data)
        self.check_nothing_left(array.nqn)

    def test_nodes_that_change(self) -> None:
        """A node joins, and the one that serves the volume leaves."""
        volume, data, work = self.busy('west')
        array = self.arrays['west']
        node = self.serving_node(data['uuid'], 'west')
        with work:
            self.progress(work)
            work.mark()
            added = array.add_node()
            endpoint = self.endpoint(added, 'west')
            self.eventually(lambda: endpoint in self.hint('west'))
            other = self.create('west')
            known = self.attach(other)
            self.eventually(lambda: self.states_of(array.nqn)
                            == ['live'] * 4)
            gone = self.endpoint(node, 'west')
            array.remove_node(node, force=True)
            self.progress(work)
            self.told('nodes join and leave', work)
            self.eventually(lambda: gone not in self.hint('west'))
            # With the next volume the host forgets the node, once it has
            # been away for long enough.
            last = self.create('west')
            with mock.patch.object(native, 'FORGET_AFTER', 0.0):
                lasting = self.attach(last)
            self.assertEqual(['live'] * 3, self.states_of(array.nqn))
            self.detach(other, known)
            self.detach(last, lasting)
            self.progress(work)
        self.detach(volume, data)
        self.check_nothing_left(array.nqn)

    def hint(self, cluster: str) -> str:
        """:returns: what hosts are told of a cluster at the moment."""
        # As Cinder does once a minute.
        self.cloud.call('look')
        volume = self.create(cluster)
        host = suite_cloud.OTHER_HOST
        told = str(self.cloud.call('attach', volume=volume, connector=host))
        self.cloud.call('detach', volume=volume, connector=host)
        return told

    def revive(self, cluster: str) -> None:
        """Start a cluster again, and have Cinder notice at once."""
        self.arrays[cluster].start()
        self.assertTrue(self.cloud.call('reach', cluster=cluster))

    def test_another_cluster_that_is_dead(self) -> None:
        """Neither I/O nor attachments of the others notice."""
        lost = self.create('north')
        self.attach(lost)
        volume, data, work = self.busy('east')
        seconds = {}
        with work:
            for case in ('alive', 'dead'):
                if case == 'dead':
                    self.arrays['north'].stop()
                    self.addCleanup(self.revive, 'north')
                other = self.create('west')
                self.progress(work)
                work.mark()
                started = time.monotonic()
                known = self.attach(other)
                seconds[case] = time.monotonic() - started
                self.detach(other, known)
                self.progress(work)
                self.told(f'another cluster is {case}', work)
        self.assertFalse(self.cloud.call('reach', cluster='north'))
        for case, value in seconds.items():
            report.sample(f'another cluster is {case}',
                          'attaching takes seconds', value)
        # Far from any timeout, whatever else this machine has to do.
        self.assertLess(seconds['dead'], seconds['alive'] + 10.0)
        self.detach(volume, data)
