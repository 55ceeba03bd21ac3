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

"""What is logged, and that no secret is."""

import base64
import logging

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives import serialization
import fixtures

from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import tokens
from tests.unit.lightbits import sim_base

PROJECT = sim_base.PROJECT


class LoggingTestCase(sim_base.SimTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.east = self.cluster(1)
        self.secret = self.east.token()
        self.made = self.client(self.east,
                                source=tokens.StaticToken(self.secret))
        # Of all libraries, not only ours.
        self.log = self.useFixture(fixtures.FakeLogger(
            level=logging.DEBUG, format='%(name)s %(message)s'))

    def lines(self) -> list[str]:
        """Ours."""
        return [line for line in self.log.output.splitlines()
                if line.startswith('cinder_lightbits_federation')]

    def test_one_line_for_a_call(self) -> None:
        volume = self.volume(self.made)
        before = len(self.lines())
        self.made.get_volume(PROJECT, volume.uuid)
        line, = self.lines()[before:]
        self.assertRegex(line, (
            rf'GET /api/v2/projects/default/volumes/{volume.uuid} at '
            rf'{self.east.api_endpoints[0]}: 200 in [0-9.]+ ms; sent -; '
            r'got \{.*\}'))

    def test_failures_are_lines_too(self) -> None:
        self.made.version(PROJECT)
        self.east.fault('drop_before', route='volumes.delete')
        self.assertRaises(errors.Ambiguous, self.made.delete_volume, PROJECT,
                          'u')
        self.assertIn('lost: ', self.lines()[-1])
        self.east.stop()
        self.assertRaises(errors.Unreachable, self.made.version, PROJECT)
        self.assertIn('no connection', self.lines()[-1])

    def test_no_secret_anywhere(self) -> None:
        raised: list[errors.LightbitsError] = []
        key = rsa.generate_private_key(65537, 2048).public_key()
        pem = key.public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo)
        self.made.create_credential(PROJECT, 'mine', pem)
        self.made.list_credentials(PROJECT)
        for fault in ({'kind': 'drop_before'}, {'kind': 'wrong_json'},
                      {'kind': 'status', 'status': 500, 'body': self.secret},
                      {'kind': 'status', 'status': 400,
                       'message': f'bad token {self.secret}'}):
            made = self.east.fault(route='credentials.create', **fault)
            raised.append(self.assertRaises(
                errors.LightbitsError, self.made.create_credential, PROJECT,
                'other', pem))
            self.east.clear_fault(made)
        shown = self.log.output + ''.join(
            f'{error} {error!r} {error.__cause__!r}' for error in raised)
        self.assertIn('POST /api/v2/projects/default/credentials', shown)
        # The signature is what makes a token one.
        self.assertNotIn(self.secret.rpartition('.')[2], shown)
        self.assertNotIn(self.secret, shown)
        self.assertNotIn(base64.b64encode(pem)[:40].decode(), shown)

    def test_nothing_but_debug(self) -> None:
        log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.made.version(PROJECT)
        self.east.fault('drop_before', route='version', count=1)
        self.made.version(PROJECT)
        self.assertEqual('', log.output)
