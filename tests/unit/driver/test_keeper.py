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

from unittest import mock

from cinder_lightbits_federation import keeper
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
