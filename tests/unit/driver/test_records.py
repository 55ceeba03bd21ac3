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

"""What is recorded, when, and what a record is believed."""

from collections.abc import Callable
import threading
from typing import Any

from cinder import exception
from cinder.tests.unit import utils

from cinder_lightbits_federation import exception as lb_exception
from cinder_lightbits_federation import ownership
from tests.simulator.control import SimCluster
from tests.unit.driver import base

OURS = ownership.Owner(base.FEDERATION_ID)
RIVAL = 'abcdef012345'


class WriteAheadTestCase(base.FederationTestCase):
    """The place is in the database before the cluster is asked."""

    CLUSTERS = ('east',)
    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()
        self.east = self.arrays['east']

    def change(self, record: Any, text: str = 'changed') -> None:
        """Somebody else writes into the row."""
        other = self.reread(record)
        other.provider_location = text
        other.save()

    def meanwhile(self, call: Callable[[Any], Any], record: Any,
                  route: str, disturb: Callable[[], Any],
                  busy: float = 2.0) -> Any:
        """Call the driver and do something while the cluster is busy.

        :param busy: for how many seconds.
        :returns: what the call raised, or else returned.
        """
        self.reset_counters()
        self.east.fault('slow', route=route, seconds=busy, count=1)
        outcome: list[Any] = []

        def run() -> None:
            try:
                outcome.append(call(record))
            except exception.CinderException as exc:
                outcome.append(exc)

        thread = threading.Thread(target=run)
        thread.start()
        self.wait(lambda: self.east.counters().requests.get(route))
        disturb()
        thread.join()
        return outcome[0]

    def test_it_names_cluster_and_attempt_while_the_cluster_works(
            self) -> None:
        volume = self.volume()
        seen = []

        made = self.meanwhile(
            self.driver.create_volume, volume, 'volumes.create',
            lambda: seen.append(self.location(volume)))

        ahead, done = seen[0], self.location(volume)
        self.assertTrue(ahead.written_ahead)
        self.assertEqual(ahead.completed(done.object_uuid or ''), done)
        self.assertEqual(str(done), made['provider_location'])

    def test_nothing_is_sent_when_the_row_was_changed(self) -> None:
        volume = self.volume()
        self.change(volume)

        self.assertRaises(lb_exception.LightbitsFinalError,
                          self.driver.create_volume, volume)

        self.assertNotIn('volumes.create', self.east.counters().requests)
        self.assertEqual('changed', self.reread(volume).provider_location)

    def test_nothing_is_left_when_the_row_changes_meanwhile(self) -> None:
        volume = self.volume()

        error = self.meanwhile(
            self.driver.create_volume, volume, 'volumes.create',
            lambda: self.change(volume))

        self.assertIsInstance(error, exception.MetadataUpdateFailure)
        self.assertEqual('changed', self.reread(volume).provider_location)
        self.assertEqual([], self.everywhere(volume.name))

    def test_nothing_is_left_when_the_row_is_deleted_meanwhile(self) -> None:
        volume = self.volume()

        error = self.meanwhile(
            self.driver.create_volume, volume, 'volumes.create',
            self.reread(volume).destroy)

        self.assertIsInstance(error, exception.MetadataUpdateFailure)
        self.assertEqual([], self.everywhere(volume.name))

    def test_what_a_rival_took_over_meanwhile_is_left(self) -> None:
        volume = self.volume()
        self.east.set_delays(create=0.3)

        def take_over() -> None:
            self.change(volume)
            self.wait(lambda: self.everywhere(volume.name)
                      and self.on(volume)[1]['state'] == 'Available'
                      or None)
            relabel(self.east, self.on(volume)[1], volume.name_id)

        error = self.meanwhile(self.driver.create_volume, volume,
                               'volumes.get', take_over, busy=3.0)

        self.assertIsInstance(error, exception.MetadataUpdateFailure)
        self.assertEqual(
            RIVAL, self.labels(self.on(volume)[1])['cinder_attempt'])

    def test_no_snapshot_is_left_when_its_row_is_deleted(self) -> None:
        snapshot = self.snapshot(self.made(self.driver))

        error = self.meanwhile(
            self.driver.create_snapshot, snapshot, 'snapshots.create',
            self.reread(snapshot).destroy)

        self.assertIsInstance(error, exception.MetadataUpdateFailure)
        self.assertEqual([], self.everywhere(snapshot.name))

    def test_a_volume_of_a_group(self) -> None:
        group = utils.create_group(
            self.context, group_type_id=utils.fake.GROUP_TYPE_ID,
            volume_type_ids=[self.volume_type({})])
        volume = self.volume(group_id=group.id)
        # What Cinder does around the driver's calls.
        self.assertEqual(group.id, volume.group.id)
        volume.populate_consistencygroup()
        self.assertRaises(exception.ObjectActionError, volume.save)

        update = self.driver.create_volume(volume)

        self.assertEqual(update['provider_location'],
                         self.reread(volume).provider_location)
        self.on(volume)


def relabel(array: SimCluster, found: Any, name_id: str) -> None:
    """Let a rival attempt take a volume over."""
    labels = ownership.labels_for(OURS, name_id, RIVAL)
    array.request(
        'PUT', f'/api/v2/projects/default/volumes/{found["UUID"]}',
        {'labels': [{'key': key, 'value': value}
                    for key, value in labels.items()]})


class BeliefTestCase(base.FederationTestCase):
    """What a record says is believed as far as it can be proven."""

    CLUSTERS = ('east', 'west')
    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()

    def assert_refused(self, volume: Any, *words: str) -> None:
        """No operation touches what is there."""
        calls: tuple[tuple[Callable[..., Any], tuple[Any, ...]], ...] = (
            (self.driver.delete_volume, (volume,)),
            (self.driver.extend_volume, (volume, 5)),
            (self.driver.initialize_connection, (volume,
                                                 base.connector(1))),
            (self.driver.create_cloned_volume, (self.volume(), volume)))
        before = [array.state() for array in self.arrays.values()]
        for call, arguments in calls:
            error = self.assertRaises(lb_exception.LightbitsFinalError,
                                      call, *arguments)
            for word in words:
                self.assertIn(word, str(error))
        after = [array.state() for array in self.arrays.values()]
        for old, new in zip(before, after, strict=True):
            self.assertEqual(old['volumes'], new['volumes'])
            self.assertEqual(old['snapshots'], new['snapshots'])

    def test_of_an_unknown_cluster(self) -> None:
        volume = self.made(self.driver)
        stranger = '77777777-0000-4000-8000-000000000007'
        self.saved(volume, {'provider_location':
                            volume.provider_location.replace(
                                self.location(volume).cluster_uuid,
                                stranger)})

        self.assert_refused(volume, stranger)

    def test_of_a_uuid_that_is_another_volume_s(self) -> None:
        volume, other = self.made(self.driver), self.made(
            self.driver)
        place = self.location(other)
        wrong = self.location(volume).completed(place.object_uuid or '')
        self.saved(volume, {'provider_location': str(wrong).replace(
            wrong.cluster_uuid, place.cluster_uuid)})

        self.assert_refused(volume, other.name, volume.name)

    def test_of_a_volume_that_somebody_else_has_labelled(self) -> None:
        volume = self.made(self.driver)
        cluster, found = self.on(volume)
        relabel(self.arrays[cluster], found,
                '55555555-0000-4000-8000-000000000005')

        self.assert_refused(volume, found['UUID'], 'labels')

    def test_of_a_volume_that_was_made_anew_by_hand(self) -> None:
        volume = self.made(self.driver)
        cluster, found = self.on(volume)
        array = self.arrays[cluster]
        place = f'/api/v2/projects/default/volumes/{found["UUID"]}'
        self.assertEqual(200, array.request('DELETE', place).status)
        array.request('POST', '/api/v2/projects/default/volumes', {
            'name': volume.name, 'size': '1Gib', 'replicaCount': 1,
            'acl': {'values': ['ALLOW_NONE']}})

        self.driver.delete_volume(volume)

        self.assertNotEqual(found['UUID'], self.on(volume)[1]['UUID'])

    def test_of_data_that_a_migration_has_brought(self) -> None:
        moved, new = self.made(self.driver), self.made(self.driver)
        self.driver.delete_volume(moved)
        self.saved(moved, {'_name_id': new.id,
                           'provider_location': new.provider_location})

        self.driver.extend_volume(self.reread(moved), 3)

        self.assertEqual(3 * base.GIB, int(self.on(new)[1]['size']))

    def test_a_location_that_the_data_has_left_behind(self) -> None:
        moved, new = self.made(self.driver), self.made(self.driver)
        self.saved(moved, {'_name_id': new.id})
        stale = self.location(moved).object_uuid

        self.driver.delete_volume(self.reread(moved))

        self.assertEqual([], self.everywhere(new.name))
        self.assertEqual(
            [stale], [item['UUID'] for array in self.arrays.values()
                      for item in array.state()['volumes']])

    def test_an_attach_of_a_volume_that_is_gone(self) -> None:
        volume = self.made(self.driver)
        self.driver.delete_volume(volume)

        for call, argument in (
                (self.driver.initialize_connection, base.connector(1)),
                (self.driver.extend_volume, 3)):
            self.assertRaises(exception.VolumeNotFound, call, volume,
                              argument)
