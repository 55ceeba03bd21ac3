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

"""Which cluster a volume goes to, and what the scheduler is told."""

import itertools
import time
from typing import Any

from cinder import exception

from cinder_lightbits_federation import exception as lb_exception
from cinder_lightbits_federation import placer
from cinder_lightbits_federation import timing
from tests.unit.driver import base

TIB = 1 << 40


class PlacementTestCase(base.FederationTestCase):
    """Three clusters of the same size."""

    def where(self, drv: Any, count: int = 3, size: int = 1,
              **fields: Any) -> list[str]:
        """:returns: the clusters that some new volumes went to."""
        return [self.on(self.made(drv, size, **fields))[0]
                for _number in range(count)]

    def assert_nowhere(self, drv: Any, *words: str, **fields: Any) -> None:
        """No cluster takes the volume; the error says why for each."""
        error = self.assertRaises(lb_exception.LightbitsBackendError,
                                  drv.create_volume, self.volume(**fields))
        for word in words:
            self.assertIn(word, str(error))

    def policy(self, name: str, *clusters: str) -> dict[str, str]:
        """Make a QoS policy; returns its UUID by cluster."""
        return {cluster: self.arrays[cluster].request(
            'POST', '/api/v2/policies', {
                'name': name, 'qoSRateLimitPolicy': {'limitIOPS': {
                    'readIOPSLimit': 256, 'writeIOPSLimit': 256}}}
            ).json()['UUID'] for cluster in clusters}


class LotTestCase(PlacementTestCase):
    """Clusters that are as full as each other."""

    def test_lots_hold_for_a_second(self) -> None:
        drv = self.start_driver()
        started = time.monotonic()
        places = self.where(drv, 12)
        seconds = time.monotonic() - started
        changes = sum(one != other for one, other
                      in itertools.pairwise(places))
        self.assertLessEqual(changes, int(seconds) + 1)

    def test_lots_are_drawn_anew(self) -> None:
        drv = self.start_driver()
        seen = set(self.where(drv, 1))
        for _second in range(30):
            if len(seen) > 1:
                break
            timing.pause(placer.LOT)
            seen.update(self.where(drv, 1))
        self.assertGreater(len(seen), 1)


class TypeTestCase(PlacementTestCase):
    """What types ask for."""

    def test_the_name_of_a_cluster(self) -> None:
        drv = self.start_driver()
        self.assertEqual({'west'}, set(self.where(
            drv, specs={'lightos:cluster': 'west'})))

    def test_the_uuid_of_a_cluster(self) -> None:
        drv = self.start_driver()
        self.assertEqual({'north'}, set(self.where(drv, specs={
            'lightos:cluster': self.arrays['north'].uuid.upper()})))

    def test_clusters_excluded(self) -> None:
        drv = self.start_driver()
        self.assertEqual({'north'}, set(self.where(
            drv, specs={'lightos:cluster': '!east, !west'})))

    def test_a_cluster_that_does_not_exist(self) -> None:
        self.assert_nowhere(
            self.start_driver(), 'east: not admitted by lightos:cluster',
            specs={'lightos:cluster': 'south'})

    def test_a_type_that_makes_no_sense(self) -> None:
        drv = self.start_driver()
        for key, value in (('lightos:num_replicas', '7'),
                           ('lightos:clusters', 'west'),
                           ('lightos:failure_domain', 'rack1')):
            error = self.assertRaises(
                exception.MetadataUpdateFailure, drv.create_volume,
                self.volume(specs={key: value}))
            self.assertIn(key, str(error))

    def test_replicas(self) -> None:
        drv = self.start_driver()
        for count in (1, 2, 3):
            volume = self.made(drv, specs={
                'lightos:num_replicas': str(count)})
            self.assertEqual(count, self.on(volume)[1]['replicaCount'])

    def test_replicas_that_a_cluster_cannot_serve_now(self) -> None:
        for name in ('east', 'west'):
            self.arrays[name].stop_node(0)
        drv = self.start_driver()

        self.assertEqual({'north'}, set(self.where(drv)))
        self.assert_nowhere(
            drv, 'east: 3 replicas asked for, it serves 2 now',
            specs={'lightos:cluster': 'east'})

    def test_compression(self) -> None:
        drv = self.start_driver(lightbits_default_compression=True)
        for specs, wanted in (({}, 'true'),
                              ({'compression': '<is> False'}, 'false')):
            volume = self.made(drv, specs=specs)
            self.assertEqual(wanted, self.on(volume)[1]['compression'])

    def test_a_policy_by_name(self) -> None:
        uuids = self.policy('gold', 'east', 'north')
        drv = self.start_driver()
        for _number in range(3):
            volume = self.made(drv, specs={'lightos:qos_policy': 'gold'})
            cluster, found = self.on(volume)
            self.assertEqual(uuids[cluster], found['qosPolicyUUID'])
        self.assert_nowhere(drv, 'west: no QoS policy silver',
                            specs={'lightos:qos_policy': 'silver'})

    def test_a_policy_by_the_uuid_it_has_on_one_cluster(self) -> None:
        uuids = self.policy('gold', 'east', 'west')
        drv = self.start_driver()
        self.assertEqual({'west'}, set(self.where(
            drv, specs={'lightos:qos_policy': uuids['west']})))

    def test_a_project_under_another_name(self) -> None:
        self.add_array('far', projects=['default', 'gold-team'])
        drv = self.start_driver({
            'east': self.section('east'),
            'far': self.section('far', project_map='gold:gold-team')})

        volume = self.made(drv, specs={'lightos:project_name': 'gold'})

        cluster, found = self.on(volume)
        self.assertEqual(('far', 'gold-team'),
                         (cluster, found['projectName']))
        self.assertEqual('gold-team', self.location(volume).project)
        clone = self.volume(specs={'lightos:project_name': 'gold'})
        self.saved(clone, drv.create_cloned_volume(clone, volume))
        self.assertEqual('gold-team', self.on(clone)[1]['projectName'])

    def test_a_search_where_some_lack_the_project(self) -> None:
        self.add_array('far', projects=['default', 'gold'])
        drv = self.start_driver()
        for status in ('400', '403', '404'):
            self.arrays['east'].set_switches(unknown_project=status)
            volume = self.made(drv, specs={'lightos:project_name': 'gold'})
            self.saved(volume, {'provider_location': None})

            drv.delete_volume(volume)

            self.assertEqual([], self.everywhere(volume.name))

    def test_a_failure_domain(self) -> None:
        for name in ('near', 'far'):
            self.add_array(name, failure_domains=[
                f'{name}-{number}' for number in range(self.NODES)])
        drv = self.start_driver()
        single = {'lightos:num_replicas': '1'}

        for key in ('failure_domain', 'primary_failure_domain'):
            self.assertEqual({'far'}, set(self.where(drv, 2, specs={
                **single, f'lightos:{key}': 'far-2'})))
        self.assert_nowhere(
            drv, 'near: no failure domain far-9',
            specs={**single, 'lightos:failure_domain': 'far-9'})

    def test_a_spread_group(self) -> None:
        # Lowest fullness alone would never choose it.
        self.arrays['west'].populate(8, size=TIB)
        drv = self.start_driver()
        specs = {'lightos:spread_group': 'db'}

        self.assertEqual(set(self.arrays), set(self.where(drv, specs=specs)))
        self.assertEqual(set(self.arrays), set(self.where(drv, specs=specs)))
        self.assertNotIn('west', self.where(drv))

    def test_members_of_a_group_that_are_made_at_once(self) -> None:
        self.arrays['west'].populate(8, size=TIB)
        drv = self.start_driver()
        volumes = [self.volume(specs={'lightos:spread_group': 'db'})
                   for _cluster in self.CLUSTERS]
        # None is recorded before all were counted.
        requests = [drv._request(volume) for volume in volumes]
        for request in requests:
            drv.federation.create_volume(request)
        self.assertEqual(set(self.arrays),
                         {self.on(volume)[0] for volume in volumes})

    def test_a_spread_group_is_that_of_one_project(self) -> None:
        drv = self.start_driver()
        specs = {'lightos:spread_group': 'db'}
        self.made(drv, specs={**specs, 'lightos:cluster': 'east'})

        found = self.where(drv, 1, project_id='another', specs={
            **specs, 'lightos:cluster': 'east'})

        self.assertEqual(['east'], found)

    def test_a_copy_stays_where_its_type_would_not_put_it(self) -> None:
        drv = self.start_driver()
        source = self.made(drv, specs={'lightos:cluster': 'east'})
        elsewhere = {'lightos:cluster': 'west'}

        error = self.assertRaises(
            exception.VolumeBackendAPIException, drv.create_cloned_volume,
            self.volume(specs=elsewhere), source)
        self.assertIn('east: not admitted by lightos:cluster', str(error))

        temporary = self.volume(specs=elsewhere, use_quota=False)
        self.saved(temporary, drv.create_cloned_volume(temporary, source))
        self.assertEqual('east', self.on(temporary)[0])


class StateTestCase(PlacementTestCase):
    """Administrative states, full and dead clusters."""

    def test_only_enabled_clusters_take_new_volumes(self) -> None:
        for state in ('disabled', 'draining', 'lost'):
            drv = self.start_driver({
                'east': self.section('east', admin_state=state),
                'west': self.section('west')})
            self.assertEqual({'west'}, set(self.where(drv)))
            self.assert_nowhere(drv, f'east: {state}',
                                specs={'lightos:cluster': 'east'})
            drv.tear_down()

    def test_a_draining_cluster_still_takes_copies(self) -> None:
        source = self.made(self.start_driver(),
                           specs={'lightos:cluster': 'east'})
        for state in ('disabled', 'draining'):
            drv = self.start_driver({
                'east': self.section('east', admin_state=state),
                'west': self.section('west')})
            clone = self.volume()
            self.saved(clone, drv.create_cloned_volume(clone, source))
            self.assertEqual('east', self.on(clone)[0])
            drv.extend_volume(clone, 2)
            drv.initialize_connection(clone, base.connector(1))
            drv.delete_volume(clone)
            drv.tear_down()

    def test_a_cluster_that_is_full(self) -> None:
        for how in ('failed', '400', '429'):
            self.add_array(f'full-{how}', capacity=30 * base.GIB,
                           overprovision_limit=0.5,
                           switches={'create_overflow': how})
        self.arrays = {name: array for name, array in self.arrays.items()
                       if name == 'north' or name.startswith('full-')}
        # So that it is asked last.
        self.arrays['north'].populate(40, size=TIB)
        # One of them is asked until a call's time is over.
        drv = self.start_driver(lightbits_api_timeout=4)
        self.hurry(drv, base.PATIENCE)

        self.assertEqual(['north'], self.where(drv, 1, size=6))
