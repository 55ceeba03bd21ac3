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

"""Tokens and permissions."""

from __future__ import annotations

import base64
import time

from tests.simulator import pki
from tests.simulator import tokens
from tests.unit.simulator import base

_OWN = f'{base.PROJECT}/volumes'
_OTHER = '/api/v2/projects/other/volumes'


class TokenTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()

    def status(self, token: str | None) -> int:
        reply = self.cluster.request('GET', '/api/v2/version', token=token)
        if reply.status == 401:
            self.assertEqual(16, reply.json()['code'])
        return reply.status

    def test_installed_tokens(self) -> None:
        for scope, path in self.cluster.token_files.items():
            with open(path, encoding='ascii') as stream:
                self.assertEqual(200, self.status(stream.read()), scope)

    def test_missing_and_malformed(self) -> None:
        good = self.cluster.token()
        header, claims, signature = good.split('.')
        for token in (
            None,
            'x',
            'a.b.c',
            f'{header}.{claims}',
            f'{header}.{claims}.{signature[:-4]}AAAA',
            f'{header}.{tokens.encode(b"[]")}.{signature}',
        ):
            self.assertEqual(401, self.status(token), str(token))
        basic = {'Authorization': 'Basic dTpw'}
        reply = self.cluster.request(
            'GET', '/api/v2/version', token=None, headers=basic
        )
        self.assertEqual(401, reply.status)

    def test_times(self) -> None:
        now = int(time.time())
        self.assertEqual(200, self.status(self.cluster.token(ttl=60)))
        self.assertEqual(401, self.status(self.cluster.token(ttl=-1)))
        self.assertEqual(401, self.status(self.cluster.token(exp=None)))
        self.assertEqual(401, self.status(self.cluster.token(exp='soon')))
        self.assertEqual(401, self.status(self.cluster.token(nbf=now + 60)))
        self.assertEqual(200, self.status(self.cluster.token(nbf=now - 60)))

    def test_clock_skew_and_expiry(self) -> None:
        token = self.cluster.token(ttl=60)
        self.assertEqual(200, self.status(token))
        self.cluster.set_clock_skew(120)
        self.assertEqual(401, self.status(token))
        self.cluster.set_clock_skew(-120)
        self.assertEqual(200, self.status(token))

    def test_subject_is_required(self) -> None:
        self.assertEqual(401, self.status(self.cluster.token(sub=None)))

    def test_other_keys_and_algorithms(self) -> None:
        key = tokens.load_key(self.cluster.private_key_file)
        claims = {'sub': 'x', 'exp': time.time() + 60}
        for header in (
            {'alg': 'none', 'kid': 'system:root'},
            {'alg': 'RS256', 'kid': 'system:other'},
            {'alg': 'RS256', 'kid': 'nowhere:root'},
            {'alg': 'RS256'},
        ):
            self.assertEqual(
                401, self.status(tokens.sign(key, header, claims))
            )
        other = self.make_cluster()
        self.assertEqual(401, self.status(other.token()))

    def test_registered_credentials(self) -> None:
        key = pki.new_signing_key()
        payload = base64.b64encode(pki.public_pem(key)).decode()
        path = f'{base.PROJECT}/credentials'
        body = {'ID': 'mine', 'type': 'RS256PubKey', 'payload': payload}
        token = tokens.mint(key, 'default', credential='mine')
        self.assertEqual(401, self.status(token))
        made = self.call(self.cluster, 'POST', path, body)
        self.assertEqual(payload, made['payload'])
        self.call(self.cluster, 'POST', path, body, 409)
        self.assertEqual(200, self.status(token))
        self.call(self.cluster, 'DELETE', f'{path}/mine')
        self.assertEqual(401, self.status(token))
        for wrong in ({'type': 7}, {'payload': '?'}, {'payload': 'QUJD'}):
            self.call(self.cluster, 'POST', path, {**body, **wrong}, 400)


class PermissionTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster(projects=['default', 'other'])
        self.tokens = {
            'admin': self.cluster.token(),
            'reader': self.cluster.token(roles=['system:cluster-viewer']),
            'tenant': self.cluster.token('default'),
            'viewer': self.cluster.token('default', roles=['default:viewer']),
            'nobody': self.cluster.token(roles=[]),
        }

    def check(
        self, method: str, path: str, body: object, expected: str
    ) -> None:
        """Compare the statuses in the order of `self.tokens`."""
        got = [
            self.cluster.request(method, path, body, token=token).status
            for token in self.tokens.values()
        ]
        self.assertEqual([int(item) for item in expected.split()], got, path)

    def test_matrix_of_reads(self) -> None:
        for path, expected in (
            ('/api/v2/version', '200 200 200 200 200'),
            ('/api/v2/clusterinfo', '200 200 200 200 200'),
            ('/api/v2/cluster', '200 200 403 403 403'),
            ('/api/v2/servers', '200 200 403 403 403'),
            ('/api/v2/connectedHosts', '200 200 403 403 403'),
            ('/api/v2/nodes', '200 200 200 200 403'),
            ('/api/v2/policies', '200 200 200 200 403'),
            (_OWN, '200 200 200 200 403'),
            (_OTHER, '200 200 403 403 403'),
            ('/api/v2/volumes', '200 200 400 400 400'),
            ('/api/v2/volumes?projectName=default', '200 200 200 200 403'),
            (base.PROJECT, '200 200 200 200 403'),
            (f'{base.PROJECT}/credentials', '200 200 200 200 403'),
            ('/api/v2/projects/system/credentials', '200 200 403 403 403'),
            (f'{base.PROJECT}/roles', '200 200 200 200 403'),
        ):
            self.check('GET', path, None, expected)

    def test_matrix_of_writes(self) -> None:
        # A right that is there shows as 400: the bodies are empty.
        for method, path, expected in (
            ('POST', _OWN, '400 403 400 403 403'),
            ('POST', _OTHER, '400 403 403 403 403'),
            ('POST', f'{base.PROJECT}/snapshots', '400 403 400 403 403'),
            ('POST', f'{base.PROJECT}/credentials', '400 403 400 403 403'),
            ('POST', '/api/v2/projects', '400 403 403 403 403'),
            ('POST', '/api/v2/policies', '400 403 403 403 403'),
            ('DELETE', f'{_OWN}/x', '400 403 400 403 403'),
        ):
            self.check(method, path, {}, expected)

    def test_unknown_project_is_denied_to_tenants(self) -> None:
        path = '/api/v2/projects/none/volumes'
        self.check('GET', path, None, '400 400 403 403 403')

    def test_scope_limits_what_a_key_can_grant(self) -> None:
        token = self.cluster.token(
            'default', roles=['system:cluster-admin', 'other:admin']
        )
        for path in ('/api/v2/cluster', _OTHER, _OWN):
            self.call(self.cluster, 'GET', path, status=403, token=token)

    def test_a_system_key_grants_project_roles(self) -> None:
        token = self.cluster.token(roles=['other:viewer'])
        self.call(self.cluster, 'GET', _OTHER, token=token)
        self.call(self.cluster, 'GET', _OWN, status=403, token=token)

    def test_authentication_comes_before_everything(self) -> None:
        self.call(self.cluster, 'POST', _OWN, [], 401, token='x')
        reply = self.cluster.request('GET', '/api/v2/none', token=None)
        self.assertEqual(404, reply.status)
