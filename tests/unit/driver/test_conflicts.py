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

"""Names that are taken, and clusters that say no."""

import threading
import time
from typing import Any

from cinder import exception

from cinder_lightbits_federation import errors
from cinder_lightbits_federation import exception as lb_exception
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.spec import VolumeSpec
from tests.simulator.control import SimCluster
from tests.unit.driver import base

OURS = ownership.Owner(base.FEDERATION_ID)
FOREIGN = ownership.Owner('99999999-0000-4000-8000-000000000009')
EARLIER = 'abcdef012345'
# The last request may be under way when the time is over.
OUT_OF_TIME = (lb_exception.LightbitsBackendError,
               lb_exception.LightbitsFinalError)


def put(array: SimCluster, name: str, labels: dict[str, str],
        size: int = base.GIB) -> dict[str, Any]:
    """:returns: a volume that somebody else has made on an array."""
    reply = array.request(
        'POST', '/api/v2/projects/default/volumes',
        {'name': name, 'size': str(size), 'replicaCount': 1,
         'acl': {'values': ['ALLOW_NONE']}, 'compression': 'false',
         'labels': [{'key': key, 'value': value}
                    for key, value in labels.items()]})
    found: dict[str, Any] = reply.json()
    return found


class NameTakenTestCase(base.FederationTestCase):
    """A volume of this name is there already: whose is it?"""

    NODES = 1
    CLUSTERS = ('east', 'west')

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()
        self.east = self.arrays['east']

    def on_east(self) -> Any:
        """A record of a volume that has to go to east."""
        return self.volume(specs={'lightos:cluster': 'east'})

    def earlier(self, record: Any, **changes: Any) -> dict[str, Any]:
        """What an earlier attempt for this record left on east."""
        return put(self.east, record.name, ownership.labels_for(
            OURS, record.name_id, EARLIER), **changes)

    def test_by_this_attempt(self) -> None:
        volume = self.on_east()
        self.east.fault('apply_then_drop', route='volumes.create', count=1)
        self.east.fault('status', route='volumes.get', status=404, count=1)

        self.saved(volume, self.driver.create_volume(volume))

        self.assertEqual(
            {409: 1, 0: 1},
            self.east.counters().statuses['volumes.create'])
        self.assertEqual(self.on(volume)[1]['UUID'],
                         self.location(volume).object_uuid)

    def test_by_an_earlier_attempt_it_is_taken_over(self) -> None:
        volume = self.on_east()
        left = self.earlier(volume)

        self.saved(volume, self.driver.create_volume(volume))

        found, place = self.on(volume)[1], self.location(volume)
        self.assertEqual(left['UUID'], found['UUID'])
        self.assertEqual(left['UUID'], place.object_uuid)
        self.assertNotEqual(EARLIER, place.attempt)
        self.assertEqual(ownership.labels_for(
            OURS, volume.name_id, place.attempt or ''), self.labels(found))

    def test_by_an_earlier_attempt_of_another_size(self) -> None:
        volume = self.on_east()
        left = self.earlier(volume, size=2 * base.GIB)

        self.saved(volume, self.driver.create_volume(volume))

        found = self.on(volume)[1]
        self.assertNotEqual(left['UUID'], found['UUID'])
        self.assertEqual(base.GIB, int(found['size']))
        self.assertEqual(1, len(self.east.state()['volumes']))

    def test_by_an_earlier_attempt_that_failed(self) -> None:
        volume = self.on_east()
        left = self.earlier(volume)
        self.east.set_volume_state(left['UUID'], 'Failed')

        self.saved(volume, self.driver.create_volume(volume))

        found = self.on(volume)[1]
        self.assertNotEqual(left['UUID'], found['UUID'])
        self.assertEqual('Available', found['state'])

    def test_by_another_cloud_the_next_cluster_is_used(self) -> None:
        volume = self.volume()
        taken = put(self.east, volume.name, ownership.labels_for(
            FOREIGN, volume.name_id, EARLIER))
        # So that east is asked first.
        self.arrays['west'].populate(1, size=1 << 40)
        self.driver.do_setup(self.context)

        self.saved(volume, self.driver.create_volume(volume))

        self.assertEqual(self.arrays['west'].uuid,
                         self.location(volume).cluster_uuid)
        self.assertEqual(
            1, self.east.counters().statuses['volumes.create'][409])
        still, = self.east.state()['volumes']
        self.assertEqual((taken['UUID'], taken['ETag']),
                         (still['UUID'], still['ETag']))

    def test_by_nobody_knows_whom(self) -> None:
        volume = self.on_east()
        taken = put(self.east, volume.name, {})

        error = self.assertRaises(lb_exception.LightbitsFinalError,
                                  self.driver.create_volume, volume)

        self.assertIsInstance(error, exception.MetadataUpdateFailure)
        self.assertIn(taken['UUID'], str(error))
        still, = self.east.state()['volumes']
        self.assertEqual((taken['UUID'], taken['ETag']),
                         (still['UUID'], still['ETag']))

    def test_of_two_that_take_over_one_wins(self) -> None:
        volume = self.on_east()
        left = self.earlier(volume)
        self.east.fault('slow', route='volumes.update', seconds=2, count=2)
        outcomes: list[object] = []
        pinned = VolumeSpec.from_extra_specs({'lightos:cluster': 'east'})

        def compete() -> None:
            try:
                outcomes.append(self.driver.federation.create_volume(
                    CreateRequest(VolumeRef(volume.name, volume.name_id,
                                            'default'),
                                  base.GIB, pinned, base.NoRecord())))
            except errors.RecordLost as exc:
                outcomes.append(exc)

        rivals = [threading.Thread(target=compete) for _one in range(2)]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join()

        lost = [one for one in outcomes
                if isinstance(one, errors.RecordLost)]
        self.assertEqual((2, 1), (len(outcomes), len(lost)), outcomes)
        still, = self.east.state()['volumes']
        self.assertEqual(left['UUID'], still['UUID'])


class RefusalTestCase(base.FederationTestCase):
    """A clear no moves on inside the same call and leaves nothing."""

    NODES = 1
    GOOD = 'north'
    BAD = ('east', 'west')

    def setUp(self) -> None:
        super().setUp()
        # So that it is asked last.
        self.arrays[self.GOOD].populate(1, size=1 << 40)
        self.driver = self.start_driver(lightbits_api_timeout=2)

    def assert_moved_on(self, left: int = 0) -> None:
        """The volume ends on the good cluster, after asking the others.

        :param left: volumes that stay on each of the others.
        """
        volume = self.made(self.driver)
        self.assertEqual(self.arrays[self.GOOD].uuid,
                         self.location(volume).cluster_uuid)
        for name in self.BAD:
            array = self.arrays[name]
            self.assertEqual(left, len(array.state()['volumes']))
            self.assertIn('volumes.create', array.counters().requests)

    def test_a_creation_that_fails(self) -> None:
        for name in self.BAD:
            self.arrays[name].fault('fail_create')
        self.assert_moved_on()

    def test_a_creation_that_fails_later(self) -> None:
        for name in self.BAD:
            self.arrays[name].set_delays(create=0.1)
            self.arrays[name].fault('fail_create')
        self.assert_moved_on()

    def test_a_failed_volume_that_cannot_be_deleted(self) -> None:
        for name in self.BAD:
            self.arrays[name].set_switches(failed_deletable=False)
            self.arrays[name].fault('fail_create')
        log = self.logged()

        self.assert_moved_on(left=1)

        self.assertIn('could not be removed', log.output)

    def fail_and_keep(self, name: str) -> None:
        """Let creations fail, and what is left be busy for ever."""
        self.arrays[name].fault('fail_create')
        self.arrays[name].fault('status', route='volumes.delete', status=409)

    def test_a_failed_volume_that_is_busy_for_long(self) -> None:
        for name in self.BAD:
            self.fail_and_keep(name)
        self.hurry(self.driver, 20)
        begin = time.monotonic()

        self.assert_moved_on(left=1)

        self.assertLess(time.monotonic() - begin, 10)

    def test_time_that_ends_with_tidying_up(self) -> None:
        for name in self.arrays:
            self.fail_and_keep(name)
        self.hurry(self.driver, 1)
        log = self.logged()

        self.assertRaises(OUT_OF_TIME, self.driver.create_volume,
                          self.volume())

        self.assertNotIn('disconnected', log.output)

    def test_no_right_to_create(self) -> None:
        for name in self.BAD:
            self.arrays[name].fault('status', route='volumes.create',
                                    status=403)
        self.assert_moved_on()

    def test_busy_for_longer_than_a_call_may_take(self) -> None:
        for name, status in zip(self.BAD, (429, 503), strict=True):
            self.arrays[name].fault('status', route='volumes.create',
                                    status=status)
        self.hurry(self.driver, 20)
        begin = time.monotonic()

        self.assert_moved_on()

        self.assertLess(time.monotonic() - begin, 10)

    def test_gone_a_moment_ago(self) -> None:
        for name in self.BAD:
            self.arrays[name].stop()

        volume = self.made(self.driver)

        self.assertEqual(self.GOOD, self.on(volume)[0])

    def test_everybody_refuses(self) -> None:
        for array in self.arrays.values():
            array.fault('status', route='volumes.create', status=400,
                        message='not today')
        log = self.logged()

        error = self.assertRaises(lb_exception.LightbitsBackendError,
                                  self.driver.create_volume, self.volume())

        for name in self.arrays:
            self.assertIn(f'{name}: cluster {name}', str(error))
        self.assertIn('not today', str(error))
        self.assertNotIn('disconnected', log.output)

    def test_no_time_for_the_last_cluster(self) -> None:
        self.hurry(self.driver, 3)
        for array in self.arrays.values():
            array.fault('status', route='volumes.create', status=503)
        log = self.logged()

        self.assertRaises(OUT_OF_TIME, self.driver.create_volume,
                          self.volume())

        self.assertIn('503', log.output)
        self.assertNotIn('disconnected', log.output)
