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

"""Starting while the cloud that drains need is away, or is not known."""

from __future__ import annotations

import pathlib
import socket

import fixtures

from cinder_lightbits_federation.drain.cloud import CinderCloud
from cinder_lightbits_federation.drain.mover import CloudUnavailable
from cinder_lightbits_federation.exception import LightbitsConfigurationError
from cinder_lightbits_federation.service import Service
from tests.unit.driver import base


class CloudAwayTest(base.FederationTestCase):

    CLUSTERS = ('east',)
    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        # Nobody listens there, and nobody else will.
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(('127.0.0.1', 0))
        clouds = pathlib.Path(self.useFixture(fixtures.TempDir()).path,
                              'clouds.yaml')
        clouds.write_text(f'''
clouds:
  away:
    auth:
      auth_url: http://127.0.0.1:{taken.getsockname()[1]}/v3
      username: cinder
      password: secret
      project_name: service
      user_domain_id: default
      project_domain_id: default
''')
        self.useFixture(fixtures.EnvironmentVariable(
            'OS_CLIENT_CONFIG_FILE', str(clouds)))

    def test_volumes_are_made(self) -> None:
        drv = self.start_driver(lightbits_os_cloud='away')
        self.on(self.made(drv))
        cloud = CinderCloud(drv.cloud, base.HOST, None)
        self.assertRaises(CloudUnavailable, cloud.phase, 'any')
        self.assertRaises(CloudUnavailable, cloud.migrate, 'any')

    def test_a_start_that_fails_leaves_nothing(self) -> None:
        stopped: list[Service] = []
        stop = Service.stop

        def stopping(service: Service) -> None:
            stopped.append(service)
            stop(service)

        self.mock_object(Service, 'stop', stopping)
        drv = self.build_driver(lightbits_os_cloud='unknown')
        self.assertRaises(LightbitsConfigurationError, drv.do_setup,
                          self.context)
        self.assertEqual(1, len(stopped))
