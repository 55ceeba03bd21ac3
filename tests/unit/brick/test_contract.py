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

"""What os-brick asks of a connector beside attaching."""

from __future__ import annotations

import os
from unittest import mock

import fixtures
from os_brick.initiator import initiator_connector
from os_brick.privileged import rootwrap
from oslo_config import cfg
from oslo_privsep import comm
from oslo_privsep import daemon

from os_brick_ext import conn_props
from os_brick_ext import connector
from os_brick_ext import errors
from os_brick_ext import host
from os_brick_ext import options
from os_brick_ext import privileged
from os_brick_ext import settings
from os_brick_ext import ways
from tests.unit.brick import base
from tests.unit.brick import fake_kernel

GIB = fake_kernel.GIB
VOLUME = base.volume(1)


class EncryptionTest(base.BrickTestCase):
    """The links that encryptors need, by os-brick's decorators."""

    def setUp(self) -> None:
        super().setUp()
        self.nqn = self.cluster(1)
        self.kernel.client_connects(self.nqn)
        self.kernel.grant(self.nqn, VOLUME)
        self.data = self.properties(1, self.nqn) | {'encrypted': True}
        self.link = self.useFixture(fixtures.MockPatchObject(
            rootwrap, 'link_root', autospec=True)).mock
        self.unlink = self.useFixture(fixtures.MockPatchObject(
            rootwrap, 'unlink_root', autospec=True)).mock

    def test_the_link_comes_and_goes(self) -> None:
        connector = self.connector()
        found = connector.connect_volume(self.data)
        node = str(self.kernel.dev / 'nvme0n1')
        self.link.assert_called_once_with(node, found['path'], force=True)
        self.assertIn('/os-brick', found['path'])
        self.data['device_path'] = found['path']
        self.assertEqual(GIB, connector.extend_volume(self.data))
        self.unlink.assert_not_called()
        connector.disconnect_volume(self.data, found)
        self.unlink.assert_called_once_with(found['path'])
        self.assertIn(f'blockdev --flushbufs {node}', self.kernel.calls)

    def test_a_link_that_cannot_be_made(self) -> None:
        """The decorator disconnects, for which the lock must be free."""
        self.link.side_effect = OSError('no link')
        connector = self.connector(connect_timeout=1.0)
        self.assertRaises(OSError, connector.connect_volume, self.data)
        self.assertEqual([], self.drop_ins())
        self.assertIn(f'remove {VOLUME}', self.kernel.calls)


class PropertiesTest(base.BrickTestCase):
    """What this host says about itself, and what it is told."""

    def test_the_host(self) -> None:
        with mock.patch('os_brick_ext.host.addresses', autospec=True,
                        return_value=['192.0.2.1', '2001:db8::1']):
            self.assertEqual(
                {'nqn': base.HOST_NQN, 'found_dsc': 'found',
                 'host_ips': ['192.0.2.1', '2001:db8::1']},
                self.connector().describe_host())

    def test_no_client(self) -> None:
        self.client.close()
        self.assertEqual(
            '', self.connector(probe_timeout=1.0).describe_host()[
                'found_dsc'])

    def test_native_needs_no_client(self) -> None:
        self.client.close()
        connector = self.connector(mode=options.NATIVE)
        self.assertEqual('found', connector.describe_host()['found_dsc'])
        os.rename(self.kernel.sys / 'module/nvme_fabrics',
                  self.kernel.sys / 'module/other')
        self.assertEqual('', connector.describe_host()['found_dsc'])

    def test_a_host_without_nqn(self) -> None:
        for nothing in (None, '', 'nqn with blanks'):
            self.get_host_nqn.return_value = nothing
            self.assertEqual({}, self.connector().describe_host())

    def test_a_host_that_cannot_say(self) -> None:
        """Volumes of other protocols are to be attached all the same."""
        for problem in (PermissionError(13, 'no'), comm.PrivsepTimeout(),
                        daemon.FailedToDropPrivileges('no')):
            self.get_host_nqn.side_effect = problem
            self.assertEqual({}, self.connector().describe_host())
            # Where it matters, it is an error that others know.
            self.assertRaises(errors.NotReady, host.identity)
        self.get_host_nqn.side_effect = None
        self.get_host_id.side_effect = comm.PrivsepTimeout()
        self.assertRaises(errors.NotReady, host.identity)
        with mock.patch('psutil.net_if_addrs', autospec=True,
                        side_effect=OSError(12, 'no')):
            self.assertEqual({}, self.connector().describe_host())

    def test_options_that_cannot_be_read(self) -> None:
        with mock.patch.object(
                settings, 'load', autospec=True,
                side_effect=cfg.ConfigFileValueError('soon')):
            self.assertEqual(
                {}, connector.LightbitsConnector.get_connector_properties(
                    'sudo'))

    def test_every_key_that_is_needed(self) -> None:
        data = self.properties(1, self.cluster(1))
        for key in ('uuid', 'subsysnqn', 'lightos_nodes'):
            error = self.assertRaises(
                errors.BadProperties, self.connector().connect_volume,
                {name: value for name, value in data.items() if name != key})
            self.assertIn(key, str(error))
        self.assertEqual([], self.kernel.calls)

    def test_automatic_mode(self) -> None:
        def way() -> str:
            return type(self.connector(mode=options.AUTO)._way).__name__

        self.client.close()
        self.assertEqual('DiscoveryClient', way())
        self.kernel.drop_ins.rmdir()
        self.assertEqual('Native', way())

    def test_the_fake_kernel_has_every_privileged_function(self) -> None:
        offered = {name for name in vars(ways.Root)
                   if not name.startswith('_')}
        for name in offered:
            self.assertTrue(privileged.default.is_entrypoint(
                getattr(privileged, name)))
            self.assertTrue(callable(getattr(self.kernel, name)))
        self.assertEqual(
            offered, {name for name, value in vars(privileged).items()
                      if privileged.default.is_entrypoint(value)})

    def test_all_of_the_contract(self) -> None:
        contract = initiator_connector.InitiatorConnector
        for name in contract.__abstractmethods__:
            self.assertTrue(hasattr(self.connector(), name))

    def test_stock_properties_are_enough(self) -> None:
        nqn = self.cluster(1)
        self.kernel.client_connects(nqn)
        self.kernel.grant(nqn, VOLUME)
        data = self.properties(1, nqn)
        del data[conn_props.EXTRA_KEY]
        self.assertEqual('block',
                         self.connector().connect_volume(data)['type'])
