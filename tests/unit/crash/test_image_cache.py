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

"""Cinder's image cache copies records, and cleans up by them.

The record of a temporary volume starts as a copy of the user's one, with its
``provider_location`` and ``provider_id``. When the clone fails, Cinder has the
driver delete the temporary volume. And when it cannot clone what is in the
cache, it has the driver create the same volume once more.
"""

import datetime
from typing import Any
from unittest import mock

from cinder.image import image_utils
from cinder import objects
from cinder.tests.unit.image import fake as fake_image

from cinder_lightbits_federation import driver as lb_driver
from tests.crash import cloud
from tests.unit.driver import base

IMAGE = '6c9b2b1e-2d38-4b5d-9f6b-0d5f6f6b6a11'
TENANT = 'c0c7ed1b6b0d4a6a8a6a1d7f0f5b2c13'

Fault = tuple[str, str, dict[str, Any]]

# Each fails the next clone, in one way or another.
FAULTS: tuple[Fault, ...] = (
    ('snapshots.create', 'status', {'status': 403}),
    ('volumes.create', 'status', {'status': 400}),
    ('volumes.create', 'fail_create', {}),
    ('snapshots.get', 'status', {'status': 400}))


class ImageCacheTestCase(cloud.CloudTestCase):
    """Volumes are created from an image, with the cache on."""

    CLUSTERS = ('east',)
    BACKEND = {'image_volume_cache_enabled': True,
               'lightbits_operation_timeout': 5}

    def setUp(self) -> None:
        super().setUp()
        self.flags(cinder_internal_tenant_project_id=TENANT,
                   cinder_internal_tenant_user_id=cloud.USER)
        self.east = self.arrays['east']
        self._offer_image()
        self._replace_data_path()

    def _offer_image(self) -> None:
        fake_image.FakeImageService_reset()
        self.addCleanup(fake_image.FakeImageService_reset)
        fake_image.mock_image_service(self)
        fake_image.FakeImageService().create(self.context, {
            'id': IMAGE, 'name': 'raw', 'status': 'active', 'size': 1,
            'container_format': 'bare', 'disk_format': 'raw', 'min_disk': 0,
            'min_ram': 0, 'visibility': 'public', 'owner': cloud.PROJECT,
            'updated_at': datetime.datetime(2026, 1, 1), 'properties': {}})

    def _replace_data_path(self) -> None:
        """Download nothing, and write it only where a volume is."""
        self.mock_object(image_utils, 'check_available_space')
        self.mock_object(image_utils.TemporaryImages, 'fetch')
        self.mock_object(image_utils, 'qemu_img_info',
                         return_value=mock.Mock(virtual_size=base.GIB))
        self.mock_object(
            lb_driver.LightbitsFederationDriver, 'copy_image_to_volume',
            lambda _driver, _context, volume, *_args, **_kwargs:
            self.on(volume))

    def from_image(self) -> Any:
        """Have a volume created from the image."""
        volume = self.volume_record()
        self.ask_to_create(volume, image_id=IMAGE)
        return self.reread(volume)

    def cached(self) -> list[Any]:
        """Records of the volumes in the cache."""
        return [item for item in objects.VolumeList.get_all(self.context)
                if item.project_id == TENANT]

    def deletes(self) -> dict[str, str]:
        """What the driver is asked to delete, with the location it gets."""
        driver = self.service.manager.driver
        delete = type(driver).delete_volume
        asked: dict[str, str] = {}

        def spy(volume: Any) -> None:
            asked[volume.id] = volume.provider_location
            delete(driver, volume)

        self.mock_object(driver, 'delete_volume', spy)
        return asked

    def failing(self, fault: Fault, creates: int = 0) -> None:
        """Let the next clone fail.

        :param creates: how many other volumes are made before.
        """
        route, kind, params = fault
        after = creates if route == 'volumes.create' else 0
        self.east.fault(kind, route=route, count=1, after=after, **params)

    def assert_failed(self) -> None:
        """There was a fault."""
        self.assertEqual([1], [item['hits'] for item in self.east.faults()])
        self.east.clear_faults()

    def test_a_cache_that_works(self) -> None:
        first, second = self.from_image(), self.from_image()

        self.assertEqual(['available'] * 2, [first.status, second.status])
        self.assertEqual(1, len(self.cached()))
        self.assert_sound()

    def test_cleaning_up_a_copied_record_spares_the_user_s_volume(self
                                                                  ) -> None:
        for fault in FAULTS:
            deleted = self.deletes()
            # The user's own volume comes first.
            self.failing(fault, creates=1)
            user = self.from_image()

            self.assert_failed()
            self.assertEqual('available', user.status, fault)
            self.assertEqual(1, len(deleted), fault)
            self.assertNotIn(user.id, deleted)
            if fault[0].startswith('snapshots'):
                # Cinder did ask with the user's own location.
                self.assertIn(user.provider_location, deleted.values())
            self.assertEqual([], self.cached())
            self.on(user)
            self.assert_sound()

    def test_a_cache_that_fails_is_done_without(self) -> None:
        self.from_image()
        for fault in FAULTS:
            self.failing(fault)
            user = self.from_image()

            self.assert_failed()
            self.assertEqual('available', user.status, fault)
            self.assert_sound()

    def test_a_silent_cluster_does_not_make_a_second_volume(self) -> None:
        self.from_image()
        with self.service.life.losing(3):
            user = self.from_image()
        self.assertEqual('error', user.status)

        self.look_again()
        self.delete(user.id)

        self.assert_sound()
