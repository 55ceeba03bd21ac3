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

"""The harness itself: what is dead stays dead, and nothing is missed."""

from typing import Any
from unittest import mock

from cinder import objects
from cinder_lightbits_federation import federation
from tests.crash import cloud
from tests.crash import life
from tests.unit.driver import base


class DeathTestCase(cloud.CloudTestCase):
    """A process that dies does nothing any more."""

    CLUSTERS = ('east',)

    def die_in(self, action: Any) -> None:
        """Run something in the service until it dies of it."""
        with self.service.life.watched(0), self.service.active():
            self.assertRaises(life.Crash, action)
        self.assertTrue(self.service.life.dead)

    def test_no_write_to_a_cluster_leaves_it(self) -> None:
        volume = self.make()
        driver = self.service.manager.driver

        self.die_in(lambda: driver.delete_volume(volume))

        self.on(volume)

    def test_clean_up_on_the_way_out_does_not_happen(self) -> None:
        first, second = self.make(), self.make()
        driver = self.service.manager.driver

        def tidy() -> None:
            try:
                driver.delete_volume(first)
            except Exception:  # noqa: BLE001
                driver.delete_volume(second)
            finally:
                driver.delete_volume(second)

        self.die_in(tidy)

        self.on(first)
        self.on(second)

    def test_what_was_not_committed_is_not_there(self) -> None:
        volume = self.make()

        def save() -> None:
            volume.display_name = 'changed'
            volume.save()

        self.die_in(save)

        self.assertNotEqual('changed', self.reread(volume).display_name)

    def test_reading_the_database_is_over_too(self) -> None:
        volume = self.make()

        self.die_in(lambda: objects.Volume.get_by_id(self.context,
                                                     volume.id))

    def test_a_cast_to_the_dead_is_lost_and_a_call_times_out(self) -> None:
        volume = self.make()
        with self.service.life.watched(0):
            self.api.delete(self.context, volume)
        self.assertEqual('deleting', self.reread(volume).status)

        self.assertRaises(
            cloud.bus.oslo_messaging.MessagingTimeout,
            self.api.volume_rpcapi.initialize_connection, self.context,
            volume, base.connector(1))

    def test_threads_of_the_dead_reach_no_cluster(self) -> None:
        volume = self.make()
        volume.provider_location = None
        driver = self.service.manager.driver
        self.arrays['east'].reset_counters()

        self.die_in(lambda: driver.extend_volume(volume, 2))

        asked = self.arrays['east'].counters().requests
        self.assertEqual([], [route for route in asked
                              if route.startswith('volumes')])

    def test_the_restarted_service_finds_the_work_of_its_predecessor(
            self) -> None:
        volume = self.volume_record()
        with self.service.life.watched('POST volumes.create'):
            self.ask_to_create(volume)
        self.assertEqual([volume.id], [
            item.resource_id for item in self.workers()])

        self.boot()

        self.assertEqual('error', self.reread(volume).status)
        self.assertEqual([], self.workers())


class CountingTestCase(cloud.CloudTestCase):
    """Every effect is counted, once."""

    CLUSTERS = ('east',)

    def test_new_calls_are_found(self) -> None:
        volume = self.make()
        delete = federation.Federation.delete_volume

        def twice(itself: Any, ref: Any, **options: Any) -> None:
            itself.extend_volume(ref, 2 * base.GIB)
            delete(itself, ref, **options)

        with mock.patch.object(federation.Federation, 'delete_volume',
                               twice), self.service.life.watched():
            self.api.delete(self.context, volume)

        self.assertEqual(
            ['PUT volumes.update', 'the cluster settles',
             'DELETE volumes.delete'], self.service.life.effects[1:4])

    def test_reads_are_no_effects(self) -> None:
        volume = self.make()
        with self.service.active(), self.service.life.watched():
            self.service.manager.driver.get_volume_stats(refresh=True)
            self.service.manager.driver.extend_volume(volume, 1)

        self.assertEqual([], self.service.life.effects)

    def test_what_the_api_does_is_not_the_service_s(self) -> None:
        volume = self.make()
        with self.service.life.watched():
            self.reset(volume, 'error')

        self.assertEqual([], self.service.life.effects)
