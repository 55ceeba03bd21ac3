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

"""Cinder's own create flow, whose first attempt fails.

The flow sends the next attempt to the scheduler and only then has the driver
clean up after the first one. Here the next attempt is over by then, or in the
middle of its work.
"""

from typing import Any

from cinder import exception
from cinder import objects
from cinder.scheduler import rpcapi as scheduler_rpcapi

from tests.crash import cloud
from tests.simulator import client


class RescheduleTestCase(cloud.CloudTestCase):
    """The first of at most three attempts fails."""

    def setUp(self) -> None:
        super().setUp()
        self.cleaned: list[Any] = []
        driver = self.service.manager.driver
        delete = driver.delete_volume

        def spy(volume: Any) -> None:
            self.cleaned.append(volume)
            delete(volume)

        self.mock_object(driver, 'delete_volume', spy)

    def create(self, **fields: Any) -> Any:
        """Have the scheduler have a volume created."""
        volume = self.volume_record(**fields)
        self.schedule(volume)
        return self.reread(volume)

    def schedule(self, volume: Any) -> None:
        """Have the scheduler choose a place and have the volume created."""
        scheduler_rpcapi.SchedulerAPI().create_volume(
            self.context, volume, request_spec=cloud.request_spec(volume))

    def fail_saving(self, times: int = 1) -> None:
        """Let the database refuse what the driver says of a new volume."""
        save = objects.Volume.save
        left = [exception.CinderException('no database')] * times

        def refuse(volume: Any) -> None:
            changed = volume.obj_what_changed()
            if left and 'provider_id' in changed and 'host' not in changed:
                raise left.pop()
            save(volume)

        self.mock_object(objects.Volume, 'save', refuse)

    def assert_made(self, volume: Any, cleanups: int) -> None:
        """There is one volume, and the clean-up was asked for."""
        self.assertEqual('available', volume.status)
        self.assertEqual([volume.id] * cleanups,
                         [item.id for item in self.cleaned])
        self.assertEqual([None] * cleanups,
                         [item.host for item in self.cleaned])
        self.on(volume)
        self.assert_sound()

    def each(self) -> list[client.SimCluster]:
        """All clusters."""
        return list(self.arrays.values())

    def test_no_cluster_takes_it_at_first(self) -> None:
        for array in self.each():
            array.fault('status', route='volumes.create', status=400,
                        count=1)

        self.assert_made(self.create(), cleanups=1)

    def test_every_cluster_fails_at_it_at_first(self) -> None:
        for array in self.each():
            array.fault('fail_create', route='volumes.create', count=1)

        self.assert_made(self.create(), cleanups=1)

    def test_it_is_made_and_cinder_cannot_record_it(self) -> None:
        self.fail_saving()

        self.assert_made(self.create(), cleanups=1)

    def test_that_happens_twice(self) -> None:
        self.fail_saving(times=2)

        self.assert_made(self.create(), cleanups=2)

    def test_it_happens_to_a_clone(self) -> None:
        source = self.make()
        self.fail_saving()

        # The first attempt holds the source's lock until it has cleaned up.
        with self.bus.slow():
            volume = self.volume_record(source_volid=source.id)
            self.schedule(volume)

        self.assert_made(self.reread(volume), cleanups=1)

    def test_after_the_last_attempt_it_can_be_deleted(self) -> None:
        for array in self.each():
            array.fault('status', route='volumes.create', status=400)

        volume = self.create()
        self.assertEqual('error', volume.status)
        self.delete(volume.id)

        self.assert_sound()

    def test_an_unclear_outcome_is_not_tried_elsewhere(self) -> None:
        with self.service.life.losing(4):
            volume = self.create()

        self.assertEqual('error', volume.status)
        self.assertEqual([], self.cleaned)
        made = [name for name in self.arrays
                for item in self.objects_by_uuid(name).values()
                if item['name'] == volume.name]
        self.assertEqual(1, len(made))
        self.look_again()
        self.delete(volume.id)
        self.assert_sound()

    def test_the_clean_up_overtakes_the_next_attempt(self) -> None:
        """It removes what the next attempt is about to take over."""
        volume = self.volume_record()
        with self.service.life.watched('POST volumes.create'):
            self.ask_to_create(volume)
        old = self.service.latest['volume']
        service = self.boot()
        old.host = None
        self.reset(volume, 'creating')

        def clean_up() -> None:
            service.manager.driver_delete_volume(old)

        # The next attempt has looked for it, and will change its labels.
        with service.life.interrupted(1, clean_up) as happened:
            self.ask_to_create(volume)
            self.assertTrue(happened())

        self.assert_made(self.reread(volume), cleanups=0)
