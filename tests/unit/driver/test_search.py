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

"""Objects without a usable record, and records that are used again."""

from typing import Any

from cinder import exception

from cinder_lightbits_federation import exception as lb_exception
from cinder_lightbits_federation import ownership
from tests.simulator.control import SimCluster
from tests.unit.driver import base

OURS = ownership.Owner(base.FEDERATION_ID)
FOREIGN = ownership.Owner('99999999-0000-4000-8000-000000000009')
RIVAL = 'abcdef012345'


def put(array: SimCluster, record: Any,
        owner: ownership.Owner | None) -> str:
    """Make a volume of a record's name behind the driver's back.

    :returns: its UUID.
    """
    labels = {} if owner is None else ownership.labels_for(
        owner, record.name_id, RIVAL)
    reply = array.request('POST', '/api/v2/projects/default/volumes', {
        'name': record.name, 'size': '1Gib', 'replicaCount': 1,
        'acl': {'values': ['ALLOW_NONE']},
        'labels': [{'key': key, 'value': value}
                   for key, value in labels.items()]})
    return str(reply.json()['UUID'])


class SearchTestCase(base.FederationTestCase):
    """Nothing is recorded, so every cluster has to be asked."""

    NODES = 1
    CLUSTERS = ('east', 'west')

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()
        self.east, self.west = self.arrays['east'], self.arrays['west']

    def uuids(self) -> set[str]:
        """The UUIDs of all volumes there are."""
        return {item['UUID'] for array in self.arrays.values()
                for item in array.state()['volumes']}

    def forgotten(self, **fields: Any) -> Any:
        """A volume that exists and whose place was never recorded."""
        volume = self.made(self.driver, **fields)
        return self.saved(volume, {'provider_location': None})

    def test_everything_works_without_a_record(self) -> None:
        volume = self.forgotten()

        self.driver.extend_volume(volume, 2)
        self.attach(self.driver, volume, base.connector(1))
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        self.saved(snapshot, {'provider_location': None})
        clone = self.volume(2)
        self.driver.create_volume_from_snapshot(clone, snapshot)

        found = self.on(volume)[1]
        self.assertEqual(2 * base.GIB, int(found['size']))
        self.assertEqual([base.nqn(1)], found['acl']['values'])
        self.assertEqual(self.on(volume)[0], self.on(clone)[0])
        self.driver.terminate_connection(volume, base.connector(1),
                                         force=False)
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(volume)
        self.assertEqual([], self.everywhere(volume.name))
        self.assertEqual([], self.everywhere(snapshot.name))

    def test_a_volume_of_the_in_tree_driver(self) -> None:
        volume = self.volume(provider_id='default 1234')
        put(self.west, volume, None)

        self.attach(self.driver, volume, base.connector(1))
        self.assertEqual([base.nqn(1)],
                         self.on(volume)[1]['acl']['values'])
        self.driver.delete_volume(volume)
        self.assertEqual(set(), self.uuids())

    def test_one_silent_cluster_forbids_it(self) -> None:
        volume = self.forgotten(specs={'lightos:cluster': 'east'})
        self.west.stop()

        for call, arguments in (
                (self.driver.delete_volume, ()),
                (self.driver.extend_volume, (2,)),
                (self.driver.initialize_connection, (base.connector(1),))):
            error = self.assertRaises(lb_exception.LightbitsBackendError,
                                      call, volume, *arguments)
            self.assertIn('west', str(error))
        self.on(volume)

        self.west.start()
        self.wait(lambda: self.retried(volume))
        self.assertEqual([], self.everywhere(volume.name))

    def retried(self, volume: Any) -> bool | None:
        """Whether a delete works by now."""
        try:
            self.driver.delete_volume(volume)
        except lb_exception.LightbitsBackendError:
            return None
        return True

    def test_a_section_that_cannot_be_read_forbids_it(self) -> None:
        volume = self.forgotten(specs={'lightos:cluster': 'east'})
        driver = self.start_driver({
            'east': self.section('east'),
            'west': self.section('west', tls_ca_file='/no/such/file')})

        error = self.assertRaises(lb_exception.LightbitsBackendError,
                                  driver.delete_volume, volume)

        self.assertIn('[lightbits_cluster:west] tls_ca_file', str(error))
        self.on(volume)

    def test_a_lost_cluster_is_passed_over(self) -> None:
        volume = self.forgotten(specs={'lightos:cluster': 'east'})
        self.west.stop()
        driver = self.start_driver({
            'east': self.section('east'),
            'west': self.section('west', admin_state='lost')})

        driver.delete_volume(volume)

        self.assertEqual([], self.everywhere(volume.name))

    def test_what_is_nowhere_is_deleted_and_cannot_be_used(self) -> None:
        volume = self.volume()

        self.driver.delete_volume(volume)
        self.driver.terminate_connection(volume, base.connector(1),
                                         force=False)
        self.assertRaises(exception.VolumeNotFound,
                          self.driver.extend_volume, volume, 2)

    def test_of_two_the_foreign_one_stays(self) -> None:
        volume = self.volume()
        put(self.east, volume, OURS)
        foreign = put(self.west, volume, FOREIGN)

        self.driver.delete_volume(volume)

        self.assertEqual({foreign}, self.uuids())

    def test_of_two_the_labelled_one_is_meant(self) -> None:
        volume = self.volume()
        put(self.east, volume, OURS)
        bare = put(self.west, volume, None)

        self.driver.extend_volume(volume, 2)
        self.driver.delete_volume(volume)

        self.assertEqual({bare}, self.uuids())

    def test_two_of_ours_both_go(self) -> None:
        volume = self.volume()
        for array in (self.east, self.west):
            put(array, volume, OURS)

        error = self.assertRaises(lb_exception.LightbitsFinalError,
                                  self.driver.extend_volume, volume, 2)
        for word in ('east', 'west', 'several'):
            self.assertIn(word, str(error))
        self.driver.delete_volume(volume)
        self.assertEqual(set(), self.uuids())

    def test_two_without_labels_both_stay(self) -> None:
        volume = self.volume()
        both = {put(array, volume, None) for array in (self.east, self.west)}

        for call in (self.driver.delete_volume,
                     lambda one: self.driver.extend_volume(one, 2)):
            error = self.assertRaises(lb_exception.LightbitsFinalError,
                                      call, volume)
            self.assertIn('several', str(error))
        self.assertEqual(both, self.uuids())


class AgainTestCase(base.FederationTestCase):
    """Cinder calls create again, and cleans up behind itself."""

    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()

    def rescheduled(self, volume: Any) -> Any:
        """The record as Cinder has it when it cleans up an attempt."""
        volume.host = None
        return volume

    @staticmethod
    def source(found: dict[str, Any]) -> str:
        """UUID of the snapshot a volume is a clone of, or nothing."""
        return str(found.get('sourceSnapshotUUID') or '')

    def test_the_clean_up_takes_its_own_attempt(self) -> None:
        volume = self.made(self.driver)

        self.driver.delete_volume(self.rescheduled(volume))

        self.assertEqual([], self.everywhere(volume.name))

    def test_the_clean_up_leaves_what_was_taken_over(self) -> None:
        mine = self.made(self.driver)
        # The next attempt, on another host, which finds the volume.
        self.driver.create_volume(self.reread(mine))

        self.driver.delete_volume(self.rescheduled(mine))

        self.assertEqual(self.location(mine).object_uuid,
                         self.on(mine)[1]['UUID'])

    def test_the_clean_up_of_an_attempt_that_recorded_nothing(self) -> None:
        volume = self.volume()
        put(self.arrays['west'], volume, OURS)

        self.driver.delete_volume(self.rescheduled(volume))

        self.on(volume)

    def test_a_create_after_a_clone_that_failed_in_cinder(self) -> None:
        source, volume = self.made(self.driver), self.volume()
        self.driver.create_cloned_volume(volume, source)
        clone = self.on(volume)[1]

        self.saved(volume, self.driver.create_volume(volume))

        found = self.on(volume)[1]
        self.assertNotEqual(clone['UUID'], found['UUID'])
        self.assertEqual('', self.source(found))
        self.assertEqual(found['UUID'], self.location(volume).object_uuid)

    def test_a_create_after_a_clone_of_unknown_outcome(self) -> None:
        source, volume = self.made(self.driver), self.volume()
        cluster = self.arrays[self.on(source)[0]]
        cluster.fault('reset', route='volumes.create', applied=True)
        cluster.fault('reset', route='volumes.get', after=1)
        self.assertRaises(lb_exception.LightbitsFinalError,
                          self.driver.create_cloned_volume, volume, source)
        self.assertTrue(self.location(volume).written_ahead)
        cluster.clear_faults()
        self.wait(lambda: all(
            item.breaker.state is None for item
            in self.driver.federation.registry.clusters) or None)

        self.saved(volume, self.driver.create_volume(volume))

        self.assertEqual('', self.source(self.on(volume)[1]))

    def test_a_create_after_a_create(self) -> None:
        volume = self.made(self.driver)
        first = self.on(volume)[1]

        self.saved(volume, self.driver.create_volume(self.reread(volume)))

        self.assertEqual(first['UUID'], self.on(volume)[1]['UUID'])

    def test_nothing_is_made_while_the_first_place_is_silent(self) -> None:
        volume = self.made(self.driver)
        cluster = self.arrays[self.on(volume)[0]]
        cluster.fault('reset', route='volumes.get')

        error = self.assertRaises(lb_exception.LightbitsFinalError,
                                  self.driver.create_volume,
                                  self.reread(volume))

        self.assertIn('earlier attempt', str(error))
        self.on(volume)

    def test_a_first_place_where_nothing_is_left(self) -> None:
        volume = self.made(self.driver)
        self.driver.delete_volume(volume)

        self.saved(volume, self.driver.create_volume(self.reread(volume)))

        self.assertEqual(self.on(volume)[1]['UUID'],
                         self.location(volume).object_uuid)

    def test_a_clone_after_a_clone(self) -> None:
        source, volume = self.made(self.driver), self.volume()
        self.driver.create_cloned_volume(volume, source)

        self.saved(volume, self.driver.create_cloned_volume(volume, source))

        cluster, found = self.on(volume)
        self.assertNotEqual('', self.source(found))
        self.assertEqual(self.on(source)[0], cluster)
        self.assertEqual([], self.arrays[cluster].state()['snapshots'])


class MigrationTestCase(base.FederationTestCase):
    """The destination of Cinder's own migration leaves the cluster."""

    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()

    def destination(self, source: Any, **fields: Any) -> Any:
        """The record that Cinder makes for the data to move into."""
        return self.volume(migration_status=f'target:{source.id}', **fields)

    def test_it_is_on_another_cluster(self) -> None:
        for name in self.arrays:
            source = self.made(self.driver, specs={'lightos:cluster': name})
            for _time in range(2):
                target = self.destination(source)
                self.saved(target, self.driver.create_volume(target))
                self.assertNotEqual(name, self.on(target)[0])

    def test_it_is_refused_when_there_is_no_other(self) -> None:
        pinned = {'lightos:cluster': 'east'}
        source = self.made(self.driver, specs=pinned)

        error = self.assertRaises(
            lb_exception.LightbitsBackendError, self.driver.create_volume,
            self.destination(source, specs=pinned))

        self.assertIn('east: the volume is being moved off it', str(error))
