# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""A cluster that works, but whose state cannot be read."""

from unittest import mock

from cinder import exception

from cinder_lightbits_federation import cluster as clusters
from cinder_lightbits_federation import keeper
from cinder_lightbits_federation.views import Connection
from tests.unit.driver import base


class BlindTestCase(base.FederationTestCase):

    NODES = 1
    CLUSTERS = ('east', 'west')
    WHY = 'disk of the statistics is full'

    def setUp(self) -> None:
        super().setUp()
        self.log = self.logged()
        self.driver = self.start_driver(lightbits_poll_interval=1)
        self.cluster = self.driver.federation.registry.clusters[0]
        self.volume_there = self.made(self.driver, specs={
            'lightos:cluster': 'east'})

    def become(self, wanted: Connection) -> None:
        self.wait(lambda: self.cluster.status.connection is wanted or None)

    def blind(self, status: int = 500) -> None:
        self.arrays['east'].fault('status', route='cluster', status=status,
                                  message=self.WHY)

    def test_new_volumes_go_elsewhere(self) -> None:
        # What is read of it the emptier cluster would be.
        self.arrays['west'].populate(8, size=100 * base.GIB)
        for status in (500, 503):
            self.arrays['east'].clear_faults()
            self.become(Connection.CONNECTED)
            with mock.patch.object(clusters, 'BLIND', 0.5):
                self.blind(status)
                self.become(Connection.DISCONNECTED)
            self.assertEqual({'west'}, {
                self.on(self.made(self.driver))[0] for _one in range(3)})
            error = self.assertRaises(
                exception.VolumeBackendAPIException,
                self.driver.create_volume,
                self.volume(specs={'lightos:cluster': 'east'}))
            self.assertIn('its state cannot be read', str(error))
            self.assertIn(self.WHY, str(error))
        line, *_more = [line for line in self.log.output.splitlines()
                        if 'Cluster east is disconnected' in line]
        self.assertIn('ERROR', line)
        self.assertIn(self.WHY, line)

    def test_an_answer_that_makes_no_sense(self) -> None:
        with mock.patch.object(clusters, 'BLIND', 0.5):
            self.arrays['east'].fault('wrong_json', route='cluster',
                                      mode='html')
            self.become(Connection.DISCONNECTED)
        self.assertIn('its state cannot be read', self.cluster.status.reason)

    def test_volumes_there_keep_working(self) -> None:
        with mock.patch.object(clusters, 'BLIND', 0.5):
            self.blind()
            self.become(Connection.DISCONNECTED)
        self.assertIsNone(self.cluster.breaker.state)
        self.driver.extend_volume(self.volume_there, 2)
        self.driver.initialize_connection(self.volume_there,
                                          base.connector(1))
        self.driver.delete_volume(self.volume_there)
        self.assertEqual([], self.everywhere(self.volume_there.name))

    def test_a_good_look_mends_it(self) -> None:
        with mock.patch.object(clusters, 'BLIND', 0.5):
            self.blind()
            self.become(Connection.DISCONNECTED)
        self.arrays['east'].clear_faults()
        self.become(Connection.CONNECTED)
        self.made(self.driver, specs={'lightos:cluster': 'east'})

    def test_a_short_while_is_told_and_changes_nothing(self) -> None:
        with mock.patch.object(keeper, 'STILL_DOWN_EVERY', 0.0):
            self.blind()
            self.wait(lambda: 'its state cannot be read' in self.log.output
                      or None)
        self.assertIn(self.WHY, self.log.output)
        self.assertIs(Connection.CONNECTED, self.cluster.status.connection)
        self.made(self.driver, specs={'lightos:cluster': 'east'})

    def unread(self) -> None:
        """Let projects and policies not be read, the state is."""
        self.arrays['east'].fault('status', route='policies.list',
                                  status=500, message=self.WHY)
        self.cluster._facts.doubt()

    def looked(self, times: int = 2) -> None:
        """Let the keeper look some times."""
        self.arrays['east'].reset_counters()
        self.wait(lambda: self.arrays['east'].counters().requests.get(
            'policies.list', 0) > times or None)

    def test_projects_that_cannot_be_read_hide_nothing(self) -> None:
        with mock.patch.object(clusters, 'BLIND', 0.0):
            self.unread()
            self.looked()
        self.assertEqual((Connection.CONNECTED, ''),
                         (self.cluster.status.connection,
                          self.cluster.unread))
        vitals = self.cluster.vitals
        self.looked()
        self.assertIsNot(vitals, self.cluster.vitals)
        self.made(self.driver, specs={'lightos:cluster': 'east'})
        told = [line for line in self.log.output.splitlines()
                if 'Projects and policies of cluster east' in line]
        self.assertIn(self.WHY, told[0])
        self.assertEqual(1, sum('WARNING' in line for line in told))

    def test_projects_are_read_when_they_can_be(self) -> None:
        self.unread()
        self.looked()
        self.arrays['east'].clear_faults()
        self.wait(lambda: not self.cluster._facts.doubtful or None)


class BlindAtTheStartTestCase(base.FederationTestCase):

    NODES = 1
    CLUSTERS = ('east', 'west')

    def test_it_is_told_at_once(self) -> None:
        self.arrays['east'].fault('status', route='cluster', status=500)
        log = self.logged()
        driver = self.start_driver(lightbits_poll_interval=600)
        self.wait(lambda: 'Cluster east is disconnected' in log.output
                  or None)
        self.assertEqual('west', self.on(self.made(driver))[0])
