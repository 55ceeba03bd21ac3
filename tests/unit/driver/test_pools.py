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

"""What the scheduler is told, and volumes that pools decide about."""

import collections
import threading
from typing import Any

from cinder import exception

from cinder_lightbits_federation import exception as lb_exception
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.spec import VolumeSpec
from tests.unit.driver import base

TIB = 1 << 40
POOL = f'{base.HOST}#'


class PoolTestCase(base.FederationTestCase):
    """Three clusters of 1000, 2000 and 3000 GiB, for single replicas."""

    NODES = 1
    CLUSTERS = ()
    SIZES = {'east': 1000, 'west': 2000, 'north': 3000}

    def setUp(self) -> None:
        super().setUp()
        for name, size in self.SIZES.items():
            self.add_array(name, capacity=size * base.GIB)

    @staticmethod
    def pools(drv: Any) -> dict[str, dict[str, Any]]:
        """What the scheduler is told, by pool."""
        return {pool['pool_name']: pool
                for pool in drv.get_volume_stats(refresh=True)['pools']}


class OnePoolTestCase(PoolTestCase):
    """The driver chooses the cluster."""

    def federation(self, drv: Any) -> dict[str, Any]:
        """The one pool there is."""
        pools = self.pools(drv)
        self.assertEqual(['federation'], list(pools))
        return pools['federation']

    def test_figures(self) -> None:
        drv = self.start_driver()
        self.made(drv, 30)

        pool = self.federation(drv)

        # An array keeps a tenth of its room for itself.
        self.assertEqual(
            (6000.0, 5400.0, 30.0),
            (pool['total_capacity_gb'], pool['free_capacity_gb'],
             pool['provisioned_capacity_gb']))
        self.assertEqual((3, ''), (pool['lightbits_clusters_open'],
                                   pool['lightbits_clusters_closed']))
        for key in ('thin_provisioning_support', 'multiattach',
                    'QoS_support', 'online_extend_support'):
            self.assertIs(True, pool[key])

    def test_figures_are_those_of_the_default_replica_count(self) -> None:
        self.add_array('wide', nodes=3, capacity=3000 * base.GIB)
        drv = self.start_driver({'wide': self.section('wide')},
                                lightbits_default_num_replicas=3)
        self.made(drv, 10)

        pool = self.federation(drv)

        self.assertEqual((1000.0, 10.0), (pool['total_capacity_gb'],
                                          pool['provisioned_capacity_gb']))

    def test_a_create_shows_at_once(self) -> None:
        drv = self.start_driver(lightbits_poll_interval=600)
        for count in range(1, 6):
            self.made(drv, 10)
            self.assertEqual(
                10.0 * count,
                self.federation(drv)['provisioned_capacity_gb'])

    def test_the_largest_volume_is_one_that_can_be_made(self) -> None:
        drv = self.start_driver(max_over_subscription_ratio='1.0',
                                reserved_percentage=10)
        largest = self.federation(drv)['lightbits_largest_volume_gb']
        self.assertEqual(2700, largest)

        error = self.assertRaises(lb_exception.LightbitsBackendError,
                                  drv.create_volume,
                                  self.volume(largest + 1))
        self.assertIn('north: needs 2701 GiB with replicas, has room for '
                      '2700', str(error))
        self.assertIn('would find room has 2700 GiB', str(error))
        self.assertEqual('north', self.on(self.made(drv, largest))[0])
        self.assertEqual(
            1800, self.federation(drv)['lightbits_largest_volume_gb'])

    def test_growth_needs_room_on_its_cluster(self) -> None:
        drv = self.start_driver(max_over_subscription_ratio='1.0')
        volume = self.made(drv, 900, specs={'lightos:cluster': 'east'})

        error = self.assertRaises(lb_exception.LightbitsBackendError,
                                  drv.extend_volume, volume, 1100)
        self.assertIn('east', str(error))
        drv.extend_volume(volume, 1000)
        self.assertEqual(1000 * base.GIB, int(self.on(volume)[1]['size']))

    def test_a_dead_cluster_takes_all_its_figures_along(self) -> None:
        drv = self.start_driver(lightbits_poll_interval=1)
        for name, size in (('east', 100), ('west', 200), ('north', 300)):
            self.made(drv, size, specs={'lightos:cluster': name})
        self.arrays['north'].stop()

        def closed() -> dict[str, Any] | None:
            pool = self.federation(drv)
            return pool if pool['lightbits_clusters_open'] == 2 else None

        pool = self.wait(closed)
        self.assertEqual(
            (3000.0, 2700.0, 300.0),
            (pool['total_capacity_gb'], pool['free_capacity_gb'],
             pool['provisioned_capacity_gb']))
        self.assertIn('north: [lightbits_cluster:north] api_endpoints',
                      pool['lightbits_clusters_closed'])

    def test_a_disabled_cluster_is_not_counted(self) -> None:
        drv = self.start_driver({
            'east': self.section('east'),
            'north': self.section('north', admin_state='draining')})

        pool = self.federation(drv)

        self.assertEqual((1000.0, 'north: draining'),
                         (pool['total_capacity_gb'],
                          pool['lightbits_clusters_closed']))

    def test_a_cluster_that_is_physically_full(self) -> None:
        drv = self.start_driver()
        volume = self.made(drv, 2000, specs={'lightos:cluster': 'east'})
        self.arrays['east'].write(self.on(volume)[1]['UUID'],
                                  950 * base.GIB)
        self.wait(lambda: drv.federation.registry.clusters[0].refresh(
            drv.federation.deadline()) or None)

        error = self.assertRaises(
            lb_exception.LightbitsBackendError, drv.create_volume,
            self.volume(specs={'lightos:cluster': 'east'}))

        self.assertIn('east: physically full', str(error))
        self.assertLess(self.federation(drv)['free_capacity_gb'], 5100)

    def test_one_line_tells_what_was_chosen_and_why(self) -> None:
        self.arrays['west'].stop()
        drv = self.start_driver()
        log = self.logged()

        volume = self.made(drv, 10)

        line, = [text for text in log.output.splitlines()
                 if 'placement volume=' in text]
        self.assertRegex(
            line, f'^INFO placement volume={volume.id} size={10 * base.GIB} '
            r'replicas=1 chosen=north ratio=0\.003 '
            r'candidates=east:0\.010 rejected=west\(disconnected: .*\)$')
        self.assertIn(f'INFO Volume {volume.id} is on cluster north.',
                      log.output)


class PoolPerClusterTestCase(PoolTestCase):
    """The scheduler chooses, and is obeyed."""

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver(lightbits_pools='cluster',
                                        lightbits_poll_interval=1)

    def test_there_is_a_pool_for_each(self) -> None:
        pools = self.pools(self.driver)

        self.assertEqual(
            {name: float(size) for name, size in self.SIZES.items()},
            {name: pool['total_capacity_gb']
             for name, pool in pools.items()})

    def test_a_volume_goes_to_its_pool(self) -> None:
        for name in self.SIZES:
            volume = self.made(self.driver, host=POOL + name)
            self.assertEqual(name, self.on(volume)[0])
            self.assertEqual(name, self.driver.get_pool(volume))

    def test_the_pool_of_a_dead_cluster_is_closed(self) -> None:
        self.arrays['west'].stop()
        volume = self.volume(host=POOL + 'west')

        self.assertRaises(lb_exception.LightbitsBackendError,
                          self.driver.create_volume, volume)

        self.assertEqual([], self.everywhere(volume.name))
        self.wait(lambda: self.pools(self.driver)['west'][
            'total_capacity_gb'] == 0 or None)
        self.assertEqual(
            1000.0, self.pools(self.driver)['east']['total_capacity_gb'])

    def test_a_pool_that_does_not_exist(self) -> None:
        error = self.assertRaises(
            exception.CinderException, self.driver.create_volume,
            self.volume(host=POOL + 'south'))

        self.assertIn('south', str(error))

    def test_another_attempt_in_another_pool(self) -> None:
        volume = self.made(self.driver, host=POOL + 'east')
        volume.host = POOL + 'west'

        self.saved(volume, self.driver.create_volume(volume))

        self.assertEqual('west', self.on(volume)[0])
        self.assertEqual('west', self.driver.get_pool(volume))

    def test_without_a_pool_the_driver_chooses(self) -> None:
        volume = self.made(self.driver, host=base.HOST)

        self.assertEqual(1, len(self.everywhere(volume.name)))

    def test_a_pool_whose_cluster_was_not_reached_yet(self) -> None:
        self.arrays['west'].stop()
        drv = self.start_driver(
            {'east': self.section('east'),
             'west': self.section('west', cluster_uuid=None)},
            lightbits_pools='cluster')

        error = self.assertRaises(
            exception.CinderException, drv.create_volume,
            self.volume(host=POOL + 'west'))

        self.assertIn('west', str(error))
        # Which Cinder sends to another attempt.
        self.assertNotIsInstance(error, exception.MetadataUpdateFailure)

    def test_a_clone_stays_with_its_source(self) -> None:
        source = self.made(self.driver, host=POOL + 'east')
        clone = self.volume(host=POOL + 'east')

        self.saved(clone, self.driver.create_cloned_volume(clone, source))

        self.assertEqual('east', self.on(clone)[0])


class BurstTestCase(base.FederationTestCase):
    """Many creates at once see each other."""

    NODES = 1
    COUNT = 24

    def test_a_burst_levels_what_was_uneven(self) -> None:
        # Alone, every one of them would go to east.
        self.arrays['west'].populate(3, size=100 * base.GIB)
        self.arrays['north'].populate(6, size=100 * base.GIB)
        drv = self.start_driver(lightbits_poll_interval=600)
        for array in self.arrays.values():
            array.set_delays(create=0.3)
        records = [self.volume() for _number in range(self.COUNT)]
        requests = [CreateRequest(
            VolumeRef(record.name, record.name_id, 'default'), 100 * base.GIB,
            VolumeSpec(), base.NoRecord()) for record in records]
        threads = [threading.Thread(
            target=drv.federation.create_volume, args=(request,))
            for request in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        found = collections.Counter(self.on(record)[0] for record in records)

        for name, even in (('east', 11), ('west', 8), ('north', 5)):
            # What is being made may be counted twice for a moment.
            self.assertAlmostEqual(even, found[name], delta=4, msg=found)
