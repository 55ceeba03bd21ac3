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

"""Nova's own volume driver, with os-brick's connector and with ours."""

from __future__ import annotations

import importlib
import os
from typing import Any

from os_brick.initiator.connectors import lightos

from os_brick_ext import connector
from os_brick_ext import options
from os_brick_ext import register
from tests.vm import suite_cloud


class NovaTest(suite_cloud.CloudTestCase):

    mode = options.DISCOVERY_CLIENT

    def setUp(self) -> None:
        super().setUp()
        # Nova would patch itself at import.
        os.environ['OS_NOVA_DISABLE_EVENTLET_PATCHING'] = '1'
        self.nova: Any = importlib.import_module(
            'nova.virt.libvirt.volume.lightos')
        self.start_client()

    def use(self, kind: type) -> None:
        """Attach, use, extend and detach a volume as nova-compute does.

        :param kind: of the connector that it must come to.
        """
        driver = self.nova.LibvirtLightOSVolumeDriver('guest')
        self.assertIs(kind, type(driver.connector))
        volume = self.create('east')
        host = self.host()
        info = self.cloud.call('attach', volume=volume, connector=host)
        self.addCleanup(self._let_go, volume, host)
        driver.connect_volume(info, None)
        path = info['data']['device_path']
        disk = driver.get_config(
            info, {'type': 'disk', 'dev': 'vda', 'bus': 'virtio'})
        self.assertEqual(path, disk.source_path)
        content = self.write(path)
        self.cloud.call('extend', volume=volume, size=2)
        self.assertIn(
            driver.extend_volume(info, None, 2 * suite_cloud.GIB),
            (2 * suite_cloud.GIB,) if kind is connector.LightbitsConnector
            else (suite_cloud.GIB, 2 * suite_cloud.GIB))
        self.eventually(lambda: self.size(path) == 2 * suite_cloud.GIB)
        self.assertEqual(content, self.read(path))
        driver.disconnect_volume(info, None)
        self.cloud.call('detach', volume=volume, connector=host)
        self.eventually(lambda: not os.path.exists(path))

    def test_with_the_connector_of_os_brick(self) -> None:
        self.use(lightos.LightOSConnector)

    def test_with_the_connector_of_this_project(self) -> None:
        register.register()
        self.addCleanup(register.unregister)
        self.use(connector.LightbitsConnector)
