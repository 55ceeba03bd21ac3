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

"""Answers that get lost: one object, or an error that says what may be."""

from collections.abc import Callable, Iterator
import contextlib
from typing import Any

from cinder import exception

from cinder_lightbits_federation import breaker
from cinder_lightbits_federation import errors
from cinder_lightbits_federation import exception as lb_exception
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation import timing
from tests.unit.driver import base

Fault = tuple[str, dict[str, Any]]

# A gateway in front of the cluster, which knows nothing of its API.
GATEWAY = {'body': 'Bad Gateway', 'content_type': 'text/plain'}

# It was done, and the answer was lost.
DONE: tuple[Fault, ...] = (
    ('apply_then_drop', {}), ('reset', {'applied': True}),
    ('wrong_json', {'mode': 'truncated'}), ('wrong_json', {'mode': 'short'}),
    ('wrong_json', {'mode': 'html'}), ('wrong_json', {'mode': 'empty'}),
    ('wrong_json', {'mode': 'not_object'}),
    ('status', {'status': 500, 'applied': True}),
    ('status', {'status': 502, 'applied': True, **GATEWAY}))

# It was not done, and nobody can know that.
NOT_DONE: tuple[Fault, ...] = (
    ('drop_before', {}), ('reset', {}), ('status', {'status': 500}),
    ('status', {'status': 502, **GATEWAY}),
    ('status', {'status': 504, **GATEWAY}))

FAULTS = DONE + NOT_DONE
FEW = (DONE[0], DONE[2], NOT_DONE[0], NOT_DONE[3])


class LostAnswerTestCase(base.FederationTestCase):
    """One answer is lost; the operation finds out and succeeds."""

    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()

    @contextlib.contextmanager
    def losing(self, fault: Fault, route: str) -> Iterator[None]:
        """Lose one answer of this route, on whichever cluster it is."""
        kind, params = fault
        for array in self.arrays.values():
            array.fault(kind, route=route, count=1, **params)
        yield
        hits = [known['hits'] for array in self.arrays.values()
                for known in array.faults()]
        self.assertIn(1, hits, f'{fault} had no effect')
        for array in self.arrays.values():
            array.clear_faults()

    def total(self) -> int:
        """How many objects there are on all clusters."""
        states = [array.state() for array in self.arrays.values()]
        return sum(len(state['volumes']) + len(state['snapshots'])
                   for state in states)

    def test_create(self) -> None:
        for count, fault in enumerate(FAULTS, 1):
            with self.losing(fault, 'volumes.create'):
                volume = self.made(self.driver)
            cluster, found = self.on(volume)
            place = self.location(volume)
            self.assertEqual((self.arrays[cluster].uuid, found['UUID']),
                             (place.cluster_uuid, place.object_uuid))
            self.assertEqual(place.attempt,
                             self.labels(found)['cinder_attempt'])
            self.assertEqual(count, self.total())

    def test_delete(self) -> None:
        for fault in FAULTS:
            volume = self.made(self.driver)
            with self.losing(fault, 'volumes.delete'):
                self.driver.delete_volume(volume)
            self.assertEqual(0, self.total(), fault)

    def test_extend(self) -> None:
        volume = self.made(self.driver)
        for size, fault in enumerate(FAULTS, 2):
            with self.losing(fault, 'volumes.update'):
                self.driver.extend_volume(volume, size)
            found = self.on(volume)[1]
            self.assertEqual(size * base.GIB, int(found['size']), fault)

    def test_attach_and_detach(self) -> None:
        volume = self.made(self.driver)
        for fault in FAULTS:
            with self.losing(fault, 'volumes.update'):
                self.driver.initialize_connection(volume, base.connector(1))
            acl = self.on(volume)[1]['acl']['values']
            self.assertEqual([base.nqn(1)], acl, fault)
            with self.losing(fault, 'volumes.update'):
                self.driver.terminate_connection(
                    volume, base.connector(1), force=False)
            acl = self.on(volume)[1]['acl']['values']
            self.assertEqual(['ALLOW_NONE'], acl, fault)

    def test_snapshot(self) -> None:
        volume = self.made(self.driver)
        for fault in FAULTS:
            snapshot = self.snapshot(volume)
            with self.losing(fault, 'snapshots.create'):
                self.saved(snapshot, self.driver.create_snapshot(snapshot))
            self.assertEqual(self.on(snapshot)[1]['UUID'],
                             self.location(snapshot).object_uuid)
            self.assertEqual(2, self.total(), fault)
            with self.losing(fault, 'snapshots.delete'):
                self.driver.delete_snapshot(snapshot)
            self.assertEqual(1, self.total(), fault)

    def test_clone(self) -> None:
        source = self.made(self.driver)
        for route in ('snapshots.create', 'volumes.create',
                      'snapshots.delete'):
            for fault in FEW:
                count, clone = self.total(), self.volume()
                with self.losing(fault, route):
                    self.saved(clone, self.driver.create_cloned_volume(
                        clone, source))
                self.assertEqual(self.on(source)[0], self.on(clone)[0])
                self.assertEqual(count + 1, self.total(), (route, fault))

    def test_volume_from_snapshot(self) -> None:
        source = self.made(self.driver)
        snapshot = self.snapshot(source)
        self.saved(snapshot, self.driver.create_snapshot(snapshot))
        for count, fault in enumerate(FAULTS, 3):
            volume = self.volume()
            with self.losing(fault, 'volumes.create'):
                self.saved(volume, self.driver.create_volume_from_snapshot(
                    volume, snapshot))
            self.on(volume)
            self.assertEqual(count, self.total(), fault)


class UnknownOutcomeTestCase(base.FederationTestCase):
    """The cluster falls silent; nobody else may get the volume."""

    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver(lightbits_api_timeout=2)

    def silence(self, applied: bool) -> None:
        """Answer nothing about volumes any more, on all clusters."""
        for array in self.arrays.values():
            array.fault('blackhole', route='volumes.create', applied=applied)
            array.fault('drop_before', route='volumes.get')

    def recover(self) -> None:
        """Answer everything again; returns when the driver has noticed."""
        for array in self.arrays.values():
            array.clear_faults()
        registry = self.driver.federation.registry
        for cluster in registry.clusters:
            self.wait(lambda cluster=cluster: cluster.refresh(
                self.driver.federation.deadline()) or None)

    def asked(self) -> list[str]:
        """Which clusters were asked to make a volume."""
        return [name for name, array in self.arrays.items()
                if array.counters().requests.get('volumes.create')]

    def lose_a_create(self, applied: bool) -> Any:
        """A volume in error whose create was never answered."""
        self.reset_counters()
        volume = self.volume()
        self.silence(applied)
        self.assert_final(self.driver.create_volume, volume)
        volume.status = 'error'
        volume.save()
        return volume

    def assert_final(self, call: Callable[..., Any], *args: Any) -> str:
        """It fails and Cinder must not try it elsewhere."""
        error = self.assertRaises(lb_exception.LightbitsFinalError, call,
                                  *args)
        self.assertIsInstance(error, exception.MetadataUpdateFailure)
        return str(error)

    def test_a_create_is_not_repeated_on_another_cluster(self) -> None:
        volume = self.lose_a_create(applied=True)

        asked = self.asked()
        self.assertEqual(1, len(asked), asked)
        place = self.location(volume)
        self.assertEqual(self.arrays[asked[0]].uuid, place.cluster_uuid)
        self.assertTrue(place.written_ahead)
        self.assertEqual(asked, [
            name for name, _found in self.everywhere(volume.name)])

    def test_its_delete_waits_for_the_cluster(self) -> None:
        volume = self.lose_a_create(applied=True)
        # The clean-up works from the database, as another process would.
        volume = self.reread(volume)

        error = self.assertRaises(lb_exception.LightbitsBackendError,
                                  self.driver.delete_volume, volume)

        self.assertIn(self.asked()[0], str(error))
        self.assertEqual(1, len(self.everywhere(volume.name)))
        self.recover()
        self.driver.delete_volume(volume)
        self.assertEqual([], self.everywhere(volume.name))

    def test_a_volume_that_was_never_made_can_be_deleted(self) -> None:
        volume = self.lose_a_create(applied=False)
        self.recover()

        self.driver.delete_volume(self.reread(volume))

        self.assertEqual([], self.everywhere(volume.name))

    def test_it_is_held_against_the_cluster(self) -> None:
        log = self.logged()

        self.lose_a_create(applied=True)

        self.assertIn(f'Cluster {self.asked()[0]} is disconnected',
                      log.output)

    def test_answers_that_never_come_are_held_against_it_in_a_row(
            self) -> None:
        east = self.driver.federation.registry.clusters[0]
        log = self.logged()

        def lose() -> None:
            with east.api():
                raise errors.OutcomeUnknown from timing.DeadlineExceeded(
                    'creating', lb_errors.Ambiguous('no answer'))

        for number in range(breaker.LOST_REPLIES):
            self.assertNotIn('disconnected', log.output, number)
            self.assertRaises(errors.OutcomeUnknown, lose)

        self.assertIn('Cluster east is disconnected', log.output)

    def test_the_cluster_dies_in_the_middle(self) -> None:
        for array in self.arrays.values():
            array.set_delays(create=30)
            array.fault('reset', route='volumes.get')
        volume = self.volume()

        self.assert_final(self.driver.create_volume, volume)

        self.assertEqual(1, len(self.everywhere(volume.name)))
        self.assertTrue(self.location(volume).written_ahead)

    def test_a_snapshot_that_may_have_been_taken_is_kept_in_mind(
            self) -> None:
        volume = self.made(self.driver)
        cluster = self.arrays[self.on(volume)[0]]
        cluster.fault('reset', route='snapshots.create', applied=True)
        cluster.fault('drop_before', route='snapshots.get')
        snapshot = self.snapshot(volume)

        self.assertRaises(lb_exception.LightbitsFinalError,
                          self.driver.create_snapshot, snapshot)

        self.assertTrue(self.location(snapshot).written_ahead)
        self.assertEqual(1, len(self.everywhere(snapshot.name)))
        cluster.clear_faults()
        self.driver.delete_snapshot(self.reread(snapshot))
        self.assertEqual([], self.everywhere(snapshot.name))

    def test_a_clone_leaves_no_snapshot(self) -> None:
        source = self.made(self.driver)
        cluster = self.arrays[self.on(source)[0]]
        cluster.fault('drop_before', route='volumes.create')
        self.hurry(self.driver, 2)
        clone = self.volume()

        self.assert_final(self.driver.create_cloned_volume, clone, source)

        self.assertEqual([], self.everywhere(clone.name))

    def test_the_extend_of_a_dead_cluster_changes_nothing(self) -> None:
        volume = self.made(self.driver)
        cluster = self.arrays[self.on(volume)[0]]
        cluster.fault('drop_before', route='volumes.update')
        self.hurry(self.driver, 2)

        self.assertRaises(exception.VolumeBackendAPIException,
                          self.driver.extend_volume, volume, 2)

        self.assertEqual(base.GIB, int(self.on(volume)[1]['size']))

    def test_a_busy_volume_does_not_bring_its_cluster_down(self) -> None:
        volume = self.made(self.driver)
        cluster = self.arrays[self.on(volume)[0]]
        cluster.fault('status', route='volumes.delete', status=409)
        self.hurry(self.driver, 2)
        log = self.logged()

        error = self.assertRaises(lb_exception.LightbitsBackendError,
                                  self.driver.delete_volume, volume)

        self.assertIn('409', str(error))
        self.assertNotIn('disconnected', log.output)
        self.on(volume)

    def test_slow_answers_do_not_bring_a_cluster_down(self) -> None:
        volume = self.made(self.driver)
        snapshot = self.snapshot(volume)
        self.saved(snapshot, self.driver.create_snapshot(snapshot))
        cluster = self.arrays[self.on(volume)[0]]
        for route in ('volumes.get', 'snapshots.get'):
            cluster.fault('slow', route=route, seconds=3)
        self.hurry(self.driver, 0.3)
        log = self.logged()

        for call, arguments in (
                (self.driver.extend_volume, (volume, 2)),
                (self.driver.delete_volume, (volume,)),
                (self.driver.create_snapshot, (self.snapshot(volume),)),
                (self.driver.delete_snapshot, (snapshot,)),
                (self.driver.initialize_connection, (volume,
                                                     base.connector(1)))):
            self.assertRaises(lb_exception.LightbitsBackendError, call,
                              *arguments)

        self.assertNotIn('disconnected', log.output)
