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

"""Nothing secret gets into a log."""

import json

from oslotest import base

from cinder_lightbits_federation.lightbits import redact

JWT = ('eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhIn0.'
       'c2lnbmF0dXJlLXNpZ25hdHVyZQ')
PEM = ('-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n'
       '-----END PRIVATE KEY-----')


class RedactTestCase(base.BaseTestCase):

    def test_tokens_and_keys_in_texts(self) -> None:
        for secret, text in (
                (JWT, f'token {JWT} expired'),
                (JWT, f'{{"idToken":"{JWT}"'),
                ('c2VjcmV0', 'Authorization: Bearer c2VjcmV0'),
                ('c2VjcmV0', '{"payload": "c2VjcmV0", "cut'),
                ('c2VjcmV0', '{"cut": 1, "payload": "c2VjcmV0'),
                ('MIIEvQ', f'key {PEM} end'),
                ('MIIEvQ', PEM[:50])):
            self.assertIn(secret, text)
            self.assertNotIn(secret, redact.text(text))

    def test_the_rest_stays(self) -> None:
        self.assertEqual('token *** expired',
                         redact.text(f'token {JWT} expired'))

    def test_bodies(self) -> None:
        body = {'ID': 'cred-1', 'payload': 'c2VjcmV0',
                'deep': [{'hostSecret': 'c2VjcmV0'}], 'size': '1b'}
        shown = redact.body(json.dumps(body).encode())
        self.assertNotIn('c2VjcmV0', shown)
        self.assertEqual(
            {'ID': 'cred-1', 'payload': '***', 'deep': [{'hostSecret': '***'}],
             'size': '1b'}, json.loads(shown))

    def test_labels_are_no_secrets(self) -> None:
        body = {'labels': [{'key': 'owner', 'value': 'x'}]}
        self.assertEqual(body,
                         json.loads(redact.body(json.dumps(body).encode())))

    def test_no_body_and_no_json(self) -> None:
        self.assertEqual('-', redact.body(None))
        self.assertEqual('-', redact.body(b''))
        self.assertEqual('<html>\ufffd', redact.body(b'<html>\xff'))

    def test_long_bodies_are_cut(self) -> None:
        shown = redact.body(b'x' * 100_000)
        self.assertLess(len(shown), 2100)
        self.assertIn('100000', shown)
