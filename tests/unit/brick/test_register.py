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

"""Taking the place of os-brick's own connector, and giving it back."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tomllib

import fixtures
from os_brick import initiator
from os_brick.initiator import connector
from os_brick.initiator.connectors import lightos
from oslo_config import cfg
from oslo_config import fixture as config_fixture
import oslo_messaging
from oslo_messaging import conffixture
from oslotest import base as test_base
import stevedore

from os_brick_ext import connector as ours
from os_brick_ext import options
from os_brick_ext import register
from os_brick_ext import settings
from tests.rules import source as sources


def built() -> type:
    """:returns: the class that serves the protocol."""
    made = connector.InitiatorConnector.factory(
        initiator.LIGHTOS, 'sudo', arch='x86_64', use_multipath=True,
        device_scan_attempts=5, message_queue=None)
    return type(made)


class RegisterTest(test_base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(register.unregister)
        self.useFixture(fixtures.MockPatch(
            'os_brick.utils.get_host_nqn', autospec=True, return_value=None))
        self.list_before = list(connector.unix_connector_list)
        self.table_before = dict(connector._connector_mapping_linux)

    def test_there_and_back(self) -> None:
        self.assertFalse(register.registered())
        self.assertIs(lightos.LightOSConnector, built())
        for _time in range(2):
            register.register()
            self.assertTrue(register.registered())
            self.assertIs(ours.LightbitsConnector, built())
        for _time in range(2):
            register.unregister()
            self.assertFalse(register.registered())
            self.assertIs(lightos.LightOSConnector, built())
        self.assertEqual(self.list_before, connector.unix_connector_list)
        self.assertEqual(self.table_before,
                         connector._connector_mapping_linux)

    def test_nothing_else_changes(self) -> None:
        register.register()
        self.assertEqual(
            [register.OURS if name == register.STOCK else name
             for name in self.list_before], connector.unix_connector_list)
        self.assertEqual(
            self.table_before | {initiator.LIGHTOS: register.OURS},
            connector._connector_mapping_linux)

    def test_it_describes_the_host(self) -> None:
        register.register()
        self.useFixture(fixtures.MockPatchObject(
            connector, 'unix_connector_list', [
                name for name in connector.unix_connector_list
                if name == register.OURS]))
        found = connector.get_connector_properties(
            'sudo', '192.0.2.1', True, False, host='node1')
        self.assertEqual('node1', found['host'])
        # Without NQN it has nothing to say.
        self.assertNotIn('found_dsc', found)

    def test_no_import_registers(self) -> None:
        text = (
            'import pkgutil, importlib, os_brick_ext\n'
            'for module in pkgutil.iter_modules(os_brick_ext.__path__):\n'
            '    importlib.import_module("os_brick_ext." + module.name)\n'
            'print(os_brick_ext.register.registered())\n')
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', text], check=True,
            capture_output=True, text=True)
        self.assertEqual('False', done.stdout.strip())

    def install(self) -> None:
        """Have the entry point found, whatever is installed here."""
        project = tomllib.loads(pathlib.Path(
            sources.ROOT, 'pyproject.toml').read_text())['project']
        group = 'oslo.messaging.notify.drivers'
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        made = folder / 'as_declared-1.dist-info'
        made.mkdir()
        (made / 'METADATA').write_text('Name: as-declared\nVersion: 1\n')
        (made / 'entry_points.txt').write_text('\n'.join(
            [f'[{group}]'] + [
                f'{name} = {where}' for name, where
                in project['entry-points'][group].items()]))
        self.useFixture(fixtures.PythonPathEntry(str(folder)))
        # A process reads them once.
        stevedore.ExtensionManager.ENTRY_POINT_CACHE.pop(group, None)
        self.addCleanup(
            stevedore.ExtensionManager.ENTRY_POINT_CACHE.pop, group, None)

    def test_by_configuration(self) -> None:
        """A service that sends notifications loads it by its name."""
        self.install()
        conf = cfg.ConfigOpts()
        self.useFixture(conffixture.ConfFixture(conf))
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override('transport_url', 'fake:/')
        conf.set_override('driver', ['os_brick_ext'],
                          group='oslo_messaging_notifications')
        notifier = oslo_messaging.Notifier(
            oslo_messaging.get_notification_transport(conf), 'volume.host1')
        self.assertTrue(register.registered())
        notifier.info({}, 'volume.attach', {})


class SettingsTest(test_base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.conf = self.useFixture(config_fixture.Config(cfg.CONF))
        settings.load()

    def test_own_options(self) -> None:
        self.conf.config(group='os_brick_ext', mode=options.NATIVE,
                         connect_timeout=7.5, ctrl_loss_timeout=600)
        found = settings.load()
        self.assertEqual(
            (options.NATIVE, 7.5, 600),
            (found.mode, found.connect_timeout, found.ctrl_loss_timeout))

    def test_options_of_os_brick(self) -> None:
        self.conf.config(
            group='os_brick', lock_path='/locks',
            lightos_discovery_client_address='192.0.2.9',
            lightos_discovery_client_port=6061,
            lightos_discovery_client_dir_path='/folder')
        found = settings.load()
        self.assertEqual(
            ('/locks', '192.0.2.9', 6061, '/folder'),
            (found.lock_folder, found.discovery_address,
             found.discovery_port, found.discovery_folder))

    def test_options_that_os_brick_may_not_have(self) -> None:
        """They are added where missing, the same as where present."""
        own = cfg.ConfigOpts()
        for _again in range(2):
            settings.declare(own)
        own([], default_config_files=[], default_config_dirs=[])
        names = ('lightos_discovery_client_address',
                 'lightos_discovery_client_port',
                 'lightos_discovery_client_dir_path')
        self.assertEqual([cfg.CONF.os_brick[name] for name in names],
                         [own.os_brick[name] for name in names])

    def test_where_locks_are(self) -> None:
        self.conf.config(group='os_brick', lock_path=None)
        self.conf.config(group='oslo_concurrency', lock_path='/common')
        self.assertEqual('/common', settings.load().lock_folder)
        self.conf.config(group='os_brick', lock_path='/brick')
        self.conf.config(group='os_brick_ext', lock_path='/own')
        self.assertEqual('/own', settings.load().lock_folder)
        self.conf.config(group='os_brick_ext', lock_path=None)
        self.assertEqual('/brick', settings.load().lock_folder)
        self.conf.config(group='os_brick', lock_path=None)
        self.conf.config(group='oslo_concurrency', lock_path=None)
        self.assertEqual('', settings.load().lock_folder)

    def test_every_option_is_published(self) -> None:
        self.assertEqual([(options.GROUP, options.OPTS)],
                         options.list_opts())
