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

"""Volumes from images through the driver, the data left out."""

from collections.abc import Callable, Mapping
import datetime
from typing import Any

from cinder.volume import driver as cinder_driver

from cinder_lightbits_federation import driver as lb_driver
from cinder_lightbits_federation import goldenrules
from cinder_lightbits_federation import sweeper
from tests.unit.driver import base

GIB = base.GIB
IMAGE = '0b5f8a2e-0d37-4d5c-8f67-5a2e1c9b7d10'
DIGEST = 'ab' * 64
OPTIONS = {'lightbits_golden_images': True,
           'lightbits_golden_image_patience': 30}


def meta(**changes: Any) -> dict[str, Any]:
    """:returns: an image, as Cinder's image service shows it."""
    return {'id': IMAGE, 'name': 'bootable', 'status': 'active',
            'size': 1000, 'virtual_size': GIB, 'min_disk': 0,
            'disk_format': 'qcow2', 'container_format': 'bare',
            'visibility': 'public', 'owner': 'somebody',
            'checksum': 'c0ffee', 'os_hash_algo': 'sha512',
            'os_hash_value': DIGEST,
            'updated_at': datetime.datetime(2026, 1, 1), 'properties': {},
            **changes}


class GoldenTestCase(base.FederationTestCase):
    """A driver that is asked for volumes from images."""

    def setUp(self) -> None:
        super().setUp()
        self.downloads: list[str] = []
        self.during: Callable[[], None] = lambda: None
        # Its thread would be faster than some tests.
        self.start_thread = sweeper.Sweeper.start
        self.mock_object(sweeper.Sweeper, 'start')
        self.mock_object(cinder_driver.VolumeDriver, 'copy_image_to_volume',
                         autospec=True, side_effect=self.download)

    def download(self, _drv: Any, _context: Any, volume: Any, *_args: Any,
                 **_kwargs: Any) -> None:
        """Stands for the data path."""
        self.downloads.append(volume.id)
        self.during()

    def golden_driver(self, **backend: Any
                      ) -> lb_driver.LightbitsFederationDriver:
        """A driver with golden images."""
        return self.start_driver(**{**OPTIONS, **backend})

    def boot(self, drv: lb_driver.LightbitsFederationDriver,
             image: Mapping[str, Any] | None = None, size: int = 2,
             **fields: Any) -> Any:
        """Have a volume made of an image, as Cinder's flow does it.

        :returns: the record of the volume.
        """
        record = self.volume(size, **fields)
        self.fill(drv, record, meta() if image is None else image)
        return record

    def fill(self, drv: lb_driver.LightbitsFederationDriver, record: Any,
             image: Mapping[str, Any]) -> None:
        """See cinder/volume/flows/manager/create_volume.py."""
        update, cloned = drv.clone_image(self.context, record, None, image,
                                         None)
        if not cloned:
            update = drv.create_volume(record)
        self.saved(record, update or {})
        if not cloned:
            drv.copy_image_to_volume(self.context, record, None, IMAGE)
        record.status = 'available'
        record.launched_at = datetime.datetime(2026, 1, 2)
        record.save()

    def hidden(self) -> list[tuple[str, dict[str, Any]]]:
        """The masters on all clusters."""
        return [(name, item) for name, array in self.arrays.items()
                for item in array.state()['volumes']
                if item['name'].startswith(goldenrules.PREFIX)
                and item['state'] != 'Deleting']

    def snapshots(self) -> list[tuple[str, dict[str, Any]]]:
        """The snapshots on all clusters."""
        return [(name, item) for name, array in self.arrays.items()
                for item in array.state()['snapshots']
                if item['state'] != 'Deleting']

    def assert_usual(self, drv: lb_driver.LightbitsFederationDriver,
                     image: Mapping[str, Any], size: int = 2,
                     **fields: Any) -> None:
        """A volume of that image is downloaded, and nothing is kept."""
        before = len(self.downloads), len(self.hidden())
        record = self.boot(drv, image, size, **fields)
        self.assertEqual(before[0] + 1, len(self.downloads))
        self.assertEqual(before[1], len(self.hidden()))
        self.on(record)
