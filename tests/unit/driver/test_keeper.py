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

"""The thread that looks after a cluster, when looking goes wrong."""

import concurrent.futures
import threading
import time
from unittest import mock

from cinder_lightbits_federation import keeper
from cinder_lightbits_federation import timing
from tests.unit.driver import base


class KeeperTestCase(base.FederationTestCase):

    NODES = 1
    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver(lightbits_poll_interval=600)
        self.cluster, = self.driver.federation.registry.clusters

    def test_an_error_of_the_program_does_not_end_it(self) -> None:
        looks: list[str] = []

        def refresh(*_arguments: object) -> bool:
            looks.append('one')
            raise ValueError('that was not foreseen')

        log = self.logged()
        with mock.patch.object(type(self.cluster), 'refresh', refresh):
            self.cluster.wanted.set()
            self.wait(lambda: len(looks) >= 2 or None)

        self.assertIn('that was not foreseen', log.output)

    def test_a_cluster_that_stays_down_is_told_of_again(self) -> None:
        log = self.logged()
        with mock.patch.object(keeper, 'STILL_DOWN_EVERY', 0.0):
            self.arrays['east'].stop()
            self.cluster.wanted.set()
            self.wait(lambda: 'Cluster east is still' in log.output or None)


class RefreshTestCase(base.FederationTestCase):
    """Looks that somebody waits for."""

    NODES = 1
    CLUSTERS = ('east', 'west')
    AT_ONCE = 24
    AGE = 2.0

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver(lightbits_poll_interval=600)
        self.registry = self.driver.federation.registry

    def looks(self) -> list[int]:
        """:returns: how often each cluster was asked for statistics."""
        return [self.arrays[name].counters().requests.get('cluster', 0)
                for name in self.CLUSTERS]

    def test_many_who_ask_at_once_share_one_look(self) -> None:
        timing.pause(self.AGE)
        for name in self.CLUSTERS:
            self.arrays[name].reset_counters()
        barrier = threading.Barrier(self.AT_ONCE)

        def ask() -> None:
            barrier.wait(30)
            self.registry.refresh(self.registry.clusters, self.AGE,
                                  timing.Deadline.after(30))

        with concurrent.futures.ThreadPoolExecutor(self.AT_ONCE) as pool:
            for future in [pool.submit(ask) for _one in range(self.AT_ONCE)]:
                future.result()
        self.assertEqual([1, 1], self.looks())

    def test_a_look_that_began_in_time_will_do(self) -> None:
        cluster = self.registry.clusters[0]
        since = time.monotonic()
        self.arrays['east'].reset_counters()
        for expected in (1, 1):
            self.assertTrue(cluster.refresh(timing.Deadline.after(30), since))
            self.assertEqual(expected, self.looks()[0])
        self.assertTrue(cluster.refresh(timing.Deadline.after(30)))
        self.assertEqual(2, self.looks()[0])
