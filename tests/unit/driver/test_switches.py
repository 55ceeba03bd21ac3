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

"""The same life on arrays that behave differently, and on slow ones."""

import functools
from typing import Any

from cinder import exception

from tests.unit.driver import base

# No creationTime, labels, rename or pgUUID.
OLD = '3.8.1~b7'

SWITCHES: dict[str, dict[str, Any]] = {
    'old': {'version': OLD},
    'older': {'version': OLD, 'delete_missing': 500, 'round_size': False,
              'old_new_name': '400'},
    'statuses_of_gateways': {
        'etag_mismatch': 400, 'busy_status': 409, 'delete_twice': 412,
        'failed_precondition': 412, 'unknown_project': '403'},
    'other_statuses': {
        'etag_mismatch': 500, 'etag_before_state': True,
        'delete_twice': 200, 'unknown_project': '404'},
    'etags': {'bump_etag_on_state': False, 'first_etag': 1,
              'if_match_star': 'any', 'same_size_update': '400'},
    'replies': {
        'emit_defaults': True, 'acl_order': 'sorted',
        'creation_time_while_creating': False, 'nsid_while_creating': True,
        'list_order': 'creation'},
    'names': {'name_lookup_prefers_live': False,
              'snapshot_of_deleting_name': '409',
              'snapshot_delete_waits_for_clones': True},
    'strict': {'failed_deletable': False, 'update_while_migrating': '503',
               'limit_over_max': '400'},
    'free': {'failed_reserves_name': False, 'clone_must_match': False,
             'replicas_in_logical': False, 'inactive_nodes_counted': False},
    'no_tenancy': {'multi_tenancy': False},
}


class LifeTestCase(base.FederationTestCase):
    """Everything that is done to volumes, once per setting."""

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.east = self.arrays['east']
        self.east.set_delays(create=0.03, update=0.03, delete=0.03,
                             snapshot_create=0.03, snapshot_delete=0.03)

    def live(self, settings: dict[str, Any]) -> None:
        """Live a volume's life on an array with these switches."""
        self.east.set_switches(**settings)
        self.driver = self.start_driver()
        volume = self.made(self.driver, multiattach=True)
        self.attached_life(volume)
        self.copied_life(volume)
        self.driver.delete_volume(self.reread(volume))
        self.driver.delete_volume(self.reread(volume))
        self.wait(lambda: self.nothing_left() or None)

    def attached_life(self, volume: Any) -> None:
        """Hosts come, the volume grows, hosts go."""
        for number in (1, 2):
            self.attach(self.driver, volume, base.connector(number))
            self.driver.initialize_connection(volume, base.connector(number))
        self.driver.extend_volume(volume, 2)
        self.driver.extend_volume(volume, 2)
        found = self.on(volume)[1]
        self.assertEqual((2 * base.GIB, 'Available'),
                         (int(found['size']), found['state']))
        self.assertEqual({base.nqn(1), base.nqn(2)},
                         set(found['acl']['values']))
        for _time in range(2):
            self.driver.terminate_connection(volume, base.connector(1),
                                             force=False)
        self.assertEqual([base.nqn(2)], self.on(volume)[1]['acl']['values'])
        self.driver.terminate_connection(volume, None, force=True)
        self.saved(volume, {'size': 2})

    def copied_life(self, volume: Any) -> None:
        """Snapshots and clones, which outlive what they come from."""
        snapshot = self.snapshot(volume)
        self.saved(snapshot, self.driver.create_snapshot(snapshot))
        copies = [self.volume(2), self.volume(3)]
        self.saved(copies[0], self.driver.create_volume_from_snapshot(
            copies[0], snapshot))
        self.saved(copies[1], self.driver.create_cloned_volume(
            copies[1], volume))
        self.assertEqual(
            [2 * base.GIB, 3 * base.GIB],
            [int(self.on(copy)[1]['size']) for copy in copies])
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_snapshot(snapshot)
        for copy in copies:
            self.driver.delete_volume(copy)

    def nothing_left(self) -> bool:
        """Whether the array is empty."""
        state = self.east.state()
        return not state['volumes'] and not state['snapshots']


for _name, _settings in SWITCHES.items():
    setattr(LifeTestCase, f'test_{_name}',
            functools.partialmethod(LifeTestCase.live, _settings))


class OldArrayTestCase(base.FederationTestCase):
    """No labels, so less can be proven."""

    NODES = 1
    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.east = self.arrays['east']
        self.east.set_switches(version=OLD)
        self.driver = self.start_driver()

    def test_a_lost_answer(self) -> None:
        self.east.fault('apply_then_drop', route='volumes.create', count=1)

        volume = self.made(self.driver)

        self.assertEqual(self.on(volume)[1]['UUID'],
                         self.location(volume).object_uuid)
        self.assertEqual(1, len(self.east.state()['volumes']))

    def test_a_name_that_is_taken(self) -> None:
        volume = self.volume()
        taken = self.east.request(
            'POST', '/api/v2/projects/default/volumes', {
                'name': volume.name, 'size': '1Gib', 'replicaCount': 1,
                'acl': {'values': ['ALLOW_NONE']}}).json()

        self.assertRaises(exception.MetadataUpdateFailure,
                          self.driver.create_volume, volume)

        self.assertEqual(taken['UUID'], self.on(volume)[1]['UUID'])

    def test_a_create_after_a_clone_that_failed_in_cinder(self) -> None:
        source, volume = self.made(self.driver), self.volume()
        self.driver.create_cloned_volume(volume, source)
        clone = self.on(volume)[1]

        self.saved(volume, self.driver.create_volume(volume))

        found = self.on(volume)[1]
        self.assertNotEqual(clone['UUID'], found['UUID'])
        self.assertEqual(found['UUID'], self.location(volume).object_uuid)

    def test_the_clean_up_of_an_attempt(self) -> None:
        volume = self.made(self.driver)
        volume.host = None

        self.driver.delete_volume(volume)

        self.assertEqual([], self.everywhere(volume.name))


class StaleTestCase(base.FederationTestCase):
    """Another API server is a little behind."""

    NODES = 1
    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.east = self.arrays['east']
        self.driver = self.start_driver()

    def stale(self, route: str, **delays: float) -> None:
        """Let the next two reads answer what was so before."""
        self.east.clear_faults()
        self.east.set_delays(**delays)
        self.east.fault('stale', route=route, count=2, versions=1)

    def test_volumes(self) -> None:
        self.stale('volumes.get', create=0.05)
        volume = self.made(self.driver)
        self.assertEqual('Available', self.on(volume)[1]['state'])

        self.stale('volumes.get', update=0.05)
        self.driver.extend_volume(volume, 2)
        self.assertEqual(2 * base.GIB, int(self.on(volume)[1]['size']))

        self.stale('volumes.get')
        self.driver.initialize_connection(volume, base.connector(1))
        self.assertEqual([base.nqn(1)],
                         self.on(volume)[1]['acl']['values'])

        self.stale('volumes.get')
        self.driver.terminate_connection(volume, base.connector(1),
                                         force=False)
        self.assertEqual(['ALLOW_NONE'],
                         self.on(volume)[1]['acl']['values'])

        self.stale('volumes.get', delete=0.05)
        self.driver.delete_volume(volume)
        self.driver.delete_volume(volume)
        self.assertEqual([], self.everywhere(volume.name))

    def test_snapshots(self) -> None:
        volume = self.made(self.driver)
        snapshot = self.snapshot(volume)

        self.stale('snapshots.get', snapshot_create=0.05)
        self.saved(snapshot, self.driver.create_snapshot(snapshot))
        self.assertEqual('Available', self.on(snapshot)[1]['state'])

        self.stale('snapshots.get', snapshot_delete=0.05)
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_snapshot(snapshot)
        self.assertEqual([], self.everywhere(snapshot.name))

    def test_a_rollback(self) -> None:
        volume = self.made(self.driver)
        snapshot = self.snapshot(volume)
        self.saved(snapshot, self.driver.create_snapshot(snapshot))
        self.driver.extend_volume(volume, 2)
        volume.size = 2
        self.east.set_delays(rollback=0.3)
        # Those that look for the volume are not.
        self.east.fault('stale', route='volumes.get', after=2, count=2,
                        versions=1)

        self.driver.revert_to_snapshot(self.context, volume, snapshot)

        found = self.on(volume)[1]
        self.assertEqual((2 * base.GIB, 'Available'),
                         (int(found['size']), found['state']))

    def test_a_lost_answer_that_cannot_be_seen_yet(self) -> None:
        self.east.fault('apply_then_drop', route='volumes.create', count=1)
        self.east.fault('status', route='volumes.get', status=404, count=2)

        volume = self.made(self.driver)

        self.assertEqual(1, len(self.east.state()['volumes']))
        self.on(volume)
