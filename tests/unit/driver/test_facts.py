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

"""Projects, policies and failure domains that are made while we run."""

from collections.abc import Iterator
import concurrent.futures
import contextlib
from unittest import mock

import fixtures

from cinder_lightbits_federation import exception
from cinder_lightbits_federation import placer
from cinder_lightbits_federation import registry as registries
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.views import Connection
from tests.unit.driver import base
from tests.unit.driver import test_placement


class ProjectTestCase(test_placement.PlacementTestCase):

    NODES = 1
    CLUSTERS = ('east', 'west')
    # Fewer than after which everything is read again anyway.
    LOOKS = 8

    def test_the_project_of_the_backend_is_made(self) -> None:
        sections = self.sections()
        sections['west']['project_map'] = 'default:late'
        drv = self.start_driver(sections, lightbits_poll_interval=1)
        west = drv.federation.registry.clusters[1]
        self.assertIs(Connection.MISCONFIGURED, west.status.connection)
        self.arrays['west'].request('POST', '/api/v2/projects',
                                    {'name': 'late'})
        self.arrays['west'].reset_counters()

        self.wait(lambda: west.status.connection is Connection.CONNECTED
                  or None)

        self.assertLess(self.arrays['west'].counters().requests['cluster'],
                        self.LOOKS)
        volume = self.made(drv, specs={'lightos:cluster': 'west'})
        self.assertEqual('late', self.on(volume)[1]['projectName'])


class PlaceTestCase(test_placement.PlacementTestCase):

    NODES = 1
    CLUSTERS = ('east', 'west')

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver(lightbits_poll_interval=600)
        self.useFixture(fixtures.MockPatchObject(placer, 'FACTS_FRESH', 0.0))

    def asked(self, route: str) -> list[int]:
        return [self.arrays[name].counters().requests.get(route, 0)
                for name in self.CLUSTERS]

    def test_a_policy_is_made(self) -> None:
        specs = {'lightos:qos_policy': 'gold'}
        self.assert_nowhere(self.driver, 'no QoS policy gold', specs=specs)
        made = self.policy('gold', 'west')
        volume = self.made(self.driver, specs=specs)
        cluster, found = self.on(volume)
        self.assertEqual(('west', made['west']),
                         (cluster, found['qosPolicyUUID']))

    def test_a_project_is_made(self) -> None:
        specs = {'lightos:project_name': 'gold'}
        self.assert_nowhere(self.driver, 'no project gold', specs=specs)
        self.arrays['east'].request('POST', '/api/v2/projects',
                                    {'name': 'gold'})
        self.assertEqual('east', self.on(self.made(
            self.driver, specs=specs))[0])

    def test_only_those_that_lack_nothing_else_are_asked(self) -> None:
        self.reset_counters()
        self.assert_nowhere(self.driver, 'no QoS policy gold', specs={
            'lightos:qos_policy': 'gold', 'lightos:cluster': 'west'})
        self.assertEqual([0, 1], self.asked('policies.list'))

    def test_who_fits_is_not_asked(self) -> None:
        self.reset_counters()
        self.made(self.driver)
        self.assertEqual([0, 0], self.asked('policies.list'))

    def test_many_creates_ask_once(self) -> None:
        volumes = [self.volume(specs={'lightos:qos_policy': 'gold'})
                   for _number in range(6)]
        self.reset_counters()

        def create(volume: object) -> bool:
            try:
                self.driver.create_volume(volume)
            except exception.LightbitsBackendError:
                return False
            return True

        with mock.patch.object(placer, 'FACTS_FRESH', 60.0), \
                concurrent.futures.ThreadPoolExecutor(6) as pool:
            for cluster in self.driver.federation.registry.clusters:
                cluster._facts.read_at = float('-inf')
            self.assertFalse(any(pool.map(create, volumes)))
        self.assertEqual([1, 1], self.asked('policies.list'))

    @contextlib.contextmanager
    def reading(self, at_once: int) -> Iterator[None]:
        """Have the facts of a cluster be asked for that is slow to tell."""
        self.arrays['east'].fault('slow', route='policies.list', seconds=3)
        registry = self.driver.federation.registry
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            asked = [pool.submit(registry.relearn, registry.clusters[:1], 0,
                                 Deadline.after(base.PATIENCE))
                     for _number in range(at_once)]
            self.wait(lambda: self.arrays['east'].counters().in_flight
                      or None)
            yield
            self.assertFalse(asked[0].done())

    def test_who_waits_for_facts_keeps_nobody_from_looking(self) -> None:
        self.useFixture(fixtures.MockPatchObject(placer, 'FRESH', 0.0))
        for at_once in (1, 2 * registries.FAN_OUT_THREADS):
            with self.reading(at_once):
                self.made(self.driver, specs={'lightos:cluster': 'east'})
                self.made(self.driver)
                for cluster in self.driver.federation.registry.clusters:
                    self.assertFalse(cluster.suspect)
            self.arrays['east'].clear_faults()

    def test_a_look_need_not_wait_for_facts(self) -> None:
        east = self.driver.federation.registry.clusters[0]
        self.arrays['east'].fault('slow', route='policies.list', seconds=3)
        east._facts.doubt()
        self.arrays['east'].reset_counters()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            patient = pool.submit(east.refresh,
                                  Deadline.after(base.PATIENCE))
            self.wait(lambda: self.arrays['east'].counters().requests.get(
                'cluster') or None)
            self.assertTrue(east.refresh(Deadline.after(1)))
            self.assertFalse(patient.done())
            self.assertTrue(patient.result())
        self.assertFalse(east.suspect)
        self.assertFalse(east._facts.doubtful)

    def test_one_that_does_not_answer_costs_the_others_nothing(self) -> None:
        self.policy('gold', 'west')
        fault = self.arrays['east'].fault('status', route='policies.list',
                                          status=500)
        specs = {'lightos:qos_policy': 'gold'}
        self.assertEqual('west', self.on(self.made(
            self.driver, specs=specs))[0])
        self.arrays['east'].clear_fault(fault)
        self.policy('silver', 'east')
        self.assertEqual('east', self.on(self.made(
            self.driver, specs={'lightos:qos_policy': 'silver'}))[0])
