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

"""The life of volumes and snapshots, as Cinder drives it."""

from cinder import exception

from cinder_lightbits_federation import timing
from tests.unit.driver import base


class VolumeTestCase(base.FederationTestCase):
    """Create, clone, extend, delete."""

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()

    def test_create_puts_a_volume_on_the_recorded_cluster(self) -> None:
        volume = self.made(self.driver, 2)

        cluster, found = self.on(volume)
        place = self.location(volume)
        self.assertEqual(self.arrays[cluster].uuid, place.cluster_uuid)
        self.assertEqual(found['UUID'], place.object_uuid)
        self.assertEqual(volume.id, place.name_id)
        self.assertEqual(2 * base.GIB, int(found['size']))
        self.assertEqual(f'default {found["UUID"]}', volume.provider_id)

    def test_volumes_spread_over_the_clusters(self) -> None:
        for _number in range(9):
            self.made(self.driver, 100)

        used = {name: len(array.state()['volumes'])
                for name, array in self.arrays.items()}
        self.assertEqual({'east': 3, 'west': 3, 'north': 3}, used)

    def test_delete_removes_it_and_is_idempotent(self) -> None:
        volume = self.made(self.driver)

        self.driver.delete_volume(volume)
        self.assertEqual([], self.everywhere(volume.name))
        self.driver.delete_volume(volume)

    def test_extend_grows_it(self) -> None:
        volume = self.made(self.driver)

        self.driver.extend_volume(volume, 3)

        self.assertEqual(3 * base.GIB, int(self.on(volume)[1]['size']))

    def test_clone_is_thin_and_carries_its_own_labels(self) -> None:
        source = self.made(self.driver)
        clone = self.volume(2)

        self.saved(clone, self.driver.create_cloned_volume(clone, source))

        cluster, found = self.on(clone)
        self.assertEqual(self.on(source)[0], cluster)
        self.assertEqual(2 * base.GIB, int(found['size']))
        labels = {item['key']: item['value'] for item in found['labels']}
        self.assertEqual(clone.id, labels['cinder_id'])
        self.assertEqual([], self.arrays[cluster].state()['snapshots'])

    def test_volume_from_snapshot_after_which_all_can_go(self) -> None:
        source = self.made(self.driver)
        snapshot = self.snapshot(source)
        self.saved(snapshot, self.driver.create_snapshot(snapshot))
        volume = self.volume(1)
        self.saved(volume, self.driver.create_volume_from_snapshot(
            volume, snapshot))

        self.assertEqual(self.on(source)[0], self.on(volume)[0])
        self.driver.delete_snapshot(snapshot)
        self.assertEqual([], self.everywhere(snapshot.name))
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(source)
        self.on(volume)

    def test_a_missing_source_is_told_as_such(self) -> None:
        source = self.made(self.driver)
        self.driver.delete_volume(source)

        self.assertRaises(exception.VolumeNotFound,
                          self.driver.create_cloned_volume,
                          self.volume(), source)


class AccessTestCase(base.FederationTestCase):
    """Attach and detach."""

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()
        self.subject = self.made(self.driver)

    def test_attach_tells_of_a_node_that_has_joined(self) -> None:
        array = self.arrays['east']
        cluster, = self.driver.federation.registry.clusters

        def told() -> list[str]:
            cluster.refresh(timing.Deadline.after(base.PATIENCE))
            endpoints: list[str] = self.driver.initialize_connection(
                self.subject, base.connector(1))[
                    'data']['lightbits']['nvme_endpoints']
            return endpoints

        self.assertEqual(list(array.data_endpoints), told())
        array.add_node()
        self.assertEqual(4, len(array.data_endpoints))
        self.assertEqual(list(array.data_endpoints), told())
        # Only a cluster that has changed is asked for them.
        self.reset_counters()
        told()
        self.assertNotIn('clusterinfo', array.counters().requests)

    def test_attach_tells_the_stock_properties(self) -> None:
        told = self.driver.initialize_connection(self.subject,
                                                 base.connector(1))

        found = self.on(self.subject)[1]
        self.assertEqual('lightos', told['driver_volume_type'])
        self.assertEqual(found['UUID'], told['data']['uuid'])
        self.assertEqual(self.arrays['east'].nqn, told['data']['subsysnqn'])
        self.assertEqual(self.NODES, len(told['data']['lightos_nodes']))
        self.assertEqual(list(self.arrays['east'].data_endpoints),
                         told['data']['lightbits']['nvme_endpoints'])
        self.assertEqual([base.nqn(1)], found['acl']['values'])
        self.assertEqual(['192.0.2.1'], found['IPAcl']['values'])

    def test_detach_of_the_last_host_closes_the_volume(self) -> None:
        self.attach(self.driver, self.subject, base.connector(1))

        shared = self.driver.terminate_connection(
            self.subject, base.connector(1), force=False)

        found = self.on(self.subject)[1]
        self.assertIs(False, shared)
        self.assertEqual(['ALLOW_NONE'], found['acl']['values'])
        self.assertEqual(['ALLOW_NONE'], found['IPAcl']['values'])

    def test_detach_leaves_the_other_host(self) -> None:
        self.attach(self.driver, self.subject, base.connector(1))
        self.attach(self.driver, self.subject, base.connector(2))

        self.driver.terminate_connection(self.subject, base.connector(1),
                                         force=False)

        found = self.on(self.subject)[1]
        self.assertEqual([base.nqn(2)], found['acl']['values'])
        self.assertEqual(['192.0.2.2'], found['IPAcl']['values'])


class ProviderIdTestCase(base.FederationTestCase):
    """The in-tree driver's form of the place, for people to read."""

    CLUSTERS = ('east',)

    def test_what_was_copied_along_is_put_right(self) -> None:
        driver = self.start_driver()
        right, wrong = self.made(driver), self.made(driver)
        wrong.provider_id = right.provider_id
        blank = self.volume()

        updates = driver.update_provider_info([right, wrong, blank], [])

        place = self.location(wrong)
        self.assertEqual(
            ([{'id': wrong.id,
               'provider_id': f'default {place.object_uuid}'}], []), updates)
