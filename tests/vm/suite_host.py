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

"""The host itself, on the real kernel."""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import tempfile
import unittest

from os_brick import initiator
from os_brick.initiator import connector as os_brick_connector

from os_brick_ext import cli
from os_brick_ext import connector
from os_brick_ext import options
from os_brick_ext import privileged
from os_brick_ext import register
from tests.vm import base
from tests.vm import guest


class HostTest(base.KernelTestCase):

    def test_through_os_brick(self) -> None:
        """From the properties of the host to a volume, as services do it."""
        register.register()
        self.addCleanup(register.unregister)
        found = os_brick_connector.get_connector_properties(
            'sudo', guest.ADDRESS, True, True, host='guest')
        self.assertEqual(guest.HOST_NQN, found['nqn'])
        self.assertEqual(guest.HOST_ID, found['nvme_hostid'])
        self.assertIn(guest.ADDRESS, found['host_ips'])
        self.assertIn('fd00::1:1', found['host_ips'])
        self.assertNotIn('127.0.0.1', found['host_ips'])
        made = os_brick_connector.InitiatorConnector.factory(
            initiator.LIGHTOS, 'sudo', use_multipath=True)
        self.assertIsInstance(made, connector.LightbitsConnector)

    def test_found_dsc(self) -> None:
        self.stop_client()
        self.assertEqual('found', self.connector().describe_host()[
            'found_dsc'])
        self.assertEqual('', self.connector(
            mode=options.DISCOVERY_CLIENT).describe_host()['found_dsc'])

    def test_doctor(self) -> None:
        self.stop_client()
        cluster = self.cluster()
        self.connector().connect_volume(
            self.properties(cluster, cluster.add()))
        with tempfile.NamedTemporaryFile('w') as file:
            file.write('[os_brick_ext]\nmode = native\n')
            file.flush()
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                code = cli.main([
                    'doctor', '-f', 'json',
                    f'--config-file={file.name},{guest.CONFIGURATION}',
                    *(f'--endpoint={endpoint}'
                      for endpoint in cluster.endpoints)])
        findings = json.loads(out.getvalue())
        self.assertEqual([], [one for one in findings
                              if one['state'] != 'ok'])
        self.assertEqual(0, code)
        self.assertEqual(3, len([
            one for one in findings if one['check'] == 'connection']))


class DaemonTest(unittest.TestCase):
    """What privsep's daemon refuses, across the real boundary."""

    def test_names_only(self) -> None:
        nqn = guest.HOST_NQN
        with self.assertRaises(ValueError):
            privileged.remove_drop_in('../../etc/passwd')
        with self.assertRaises(ValueError):
            privileged.namespace_size('../sda')
        with self.assertRaises(ValueError):
            privileged.delete_controller('..', nqn)
        with self.assertRaises(ValueError):
            privileged.active_namespaces('../sda', nqn)
        with self.assertRaises(ValueError):
            privileged.connect_controller(
                '127.0.0.1,host_traddr=x', 4420, nqn, nqn, guest.HOST_ID)
        self.assertTrue(pathlib.Path('/etc/passwd').exists())

    def test_errors_keep_their_kind(self) -> None:
        with self.assertRaises(FileNotFoundError):
            privileged.rescan_controller('nvme999', guest.HOST_NQN)
