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

"""The embedded service itself, over a driver of Cinder's own tests."""

from __future__ import annotations

import pathlib
import sys

import fixtures
from openstack import exceptions
from oslotest import base
import requests

from tests.embedded import cli
from tests.embedded import cloud
from tests.embedded import processes
from tests.embedded import settings
from tests.embedded import tokens
from tests.embedded import waiting

CONFIG = """\
[DEFAULT]
enabled_backends = fake
[fake]
volume_driver = cinder.tests.fake_driver.FakeLoggingVolumeDriver
volume_backend_name = fake
"""


class IsolationTest(base.BaseTestCase):
    """Cinder's modules would patch this process, in the middle of it."""

    def test_nothing_of_the_unit_tests_is_loaded(self) -> None:
        self.assertNotIn('tests.unit', sys.modules)


class Base(base.BaseTestCase):

    threads = False

    def start(self, config: str = CONFIG,
              services: str = 'api,scheduler,volume') -> cloud.Cloud:
        folder = self.useFixture(fixtures.TempDir()).path
        started = cloud.Cloud(pathlib.Path(folder), config,
                              threads=self.threads, services=services)
        self.addCleanup(started.stop)
        started.start()
        return started


class HarnessTest(Base):

    def test_client(self) -> None:
        """The whole command works: by SDK, by microversion, admin-only."""
        openstack = self.start().openstack
        openstack.text('volume', 'create', '--size', '1', 'v')
        waiting.wait_for(
            lambda: openstack.json('volume', 'show', 'v')['status']
            == 'available', 'v to be available')
        pools = openstack.json('volume', 'backend', 'pool', 'list', '--long')
        self.assertEqual(['embedded@fake#fake'],
                         [pool['Name'] for pool in pools])
        self.assertEqual([], openstack.json('volume', 'message', 'list'))
        self.assertEqual([], openstack.json('volume', 'attachment', 'list'))
        self.assertEqual([], openstack.json('volume', 'snapshot', 'list'))
        failure = self.assertRaises(cli.CommandFailed, openstack.text,
                                    'volume', 'delete', 'no-such-volume')
        self.assertIn('no-such-volume', failure.stderr)

    def test_services_report(self) -> None:
        """Both services keep their own record up to date."""
        sdk = self.start().sdk()

        def reported() -> dict[str, str]:
            return {item.binary: item.updated_at for item in sdk.services()
                    if item.state == 'up'}

        first = waiting.wait_for(
            lambda: reported() if all(reported().values()) else None,
            'a report of each service')
        self.assertEqual({'cinder-scheduler', 'cinder-volume'}, set(first))
        waiting.wait_for(
            lambda: all(reported()[name] > first[name] for name in first),
            'another report of each service')

    def test_restart(self) -> None:
        """A restart keeps volumes and tokens."""
        service = self.start()
        made = service.sdk().create_volume(size=1, name='kept')
        service.restart()
        self.assertEqual('kept', service.sdk().get_volume(made.id).name)


class ThreadingHarnessTest(HarnessTest):
    """The same under native threads."""

    threads = True


class EnvironmentTest(Base):
    """What does not depend on the threading model."""

    def test_without_volume_service(self) -> None:
        """Services can run alone; nobody takes the volume here."""
        service = self.start(services='api,scheduler')
        sdk = service.sdk()
        made = sdk.create_volume(size=1)
        waiting.wait_for(lambda: sdk.get_volume(made.id).status == 'error',
                         'the scheduler to give up')
        self.assertEqual(
            ['cinder-scheduler'],
            [item.binary for item in sdk.services()])

    def test_access(self) -> None:
        """Only discovery is open; roles and projects are told apart."""
        service = self.start()
        root = f'{service.api}/v3'

        def status(path: str, **headers: str) -> int:
            return requests.get(root + path, headers=headers,
                                timeout=30).status_code

        bob = tokens.Identity('bob', 'other', ('member', 'reader'))
        token = bob.token(service.layout.secret.read_text().strip())
        self.assertEqual(200, status('/'))
        self.assertEqual(401, status('/volumes'))
        self.assertEqual(200, status('/volumes', **{'X-Auth-Token': token}))
        self.assertEqual(403, status('/os-services',
                                     **{'X-Auth-Token': token}))
        # Roles come from the token and from nowhere else.
        self.assertEqual(403, status('/os-services', **{
            'X-Auth-Token': token, 'X-Roles': 'admin', 'X-Role': 'admin'}))
        forged = tokens.ADMIN.token('0' * 32)
        self.assertEqual(401, status('/volumes',
                                     **{'X-Auth-Token': forged}))
        made = service.sdk().create_volume(size=1)
        self.assertRaises(exceptions.NotFoundException,
                          service.sdk(bob).get_volume, made.id)

    def test_broken_configuration(self) -> None:
        """A service that cannot start says why."""
        failure = self.assertRaises(
            processes.ServiceFailed, self.start,
            '[DEFAULT]\nservice_down_time = many\n')
        self.assertIn('service_down_time', str(failure))

    def test_unknown_pipeline(self) -> None:
        """A pipeline that changed must not silently lose its filter."""
        self.assertRaises(ValueError, settings.paste_config, '[filter:x]\n',
                          pathlib.Path('/secret'))
