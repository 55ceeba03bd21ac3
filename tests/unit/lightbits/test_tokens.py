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

"""Where tokens come from."""

import os
import pathlib
import tempfile

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives import serialization
import jwt
from oslotest import base

from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import tokens


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
        password: bytes | None = None) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password) if password
        else serialization.NoEncryption())


KEY = rsa.generate_private_key(65537, 2048)


class FileTestCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name: str, content: bytes, mode: int = 0o600) -> str:
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(mode)
        return str(path)


class StaticTokenTestCase(base.BaseTestCase):

    def test_is_given_to_all_projects(self) -> None:
        source = tokens.StaticToken('abc.def')
        self.assertEqual('abc.def', source.bearer('a'))
        self.assertFalse(source.renew('a'))

    def test_repr_hides_it(self) -> None:
        self.assertNotIn('abc.def', repr(tokens.StaticToken('abc.def')))

    def test_what_would_break_a_header_is_refused(self) -> None:
        for text in ('', 'a b', 'a\r\nX: y', 'ключ'):
            error = self.assertRaises(errors.NoCredential,
                                      tokens.StaticToken, text)
            if text:
                self.assertNotIn(text, str(error))

    def test_no_token(self) -> None:
        self.assertIsNone(tokens.NoToken().bearer('a'))
        self.assertFalse(tokens.NoToken().renew('a'))


class FileTokenTestCase(FileTestCase):

    def test_follows_edits_and_replacements(self) -> None:
        path = self.write('jwt', b'one\n')
        source = tokens.FileToken(path)
        self.assertEqual('one', source.bearer('a'))
        self.write('jwt', b'three\n')
        self.assertEqual('three', source.bearer('a'))
        os.replace(self.write('new', b'other\n'), path)
        self.assertEqual('other', source.bearer('a'))

    def test_is_not_read_again_without_need(self) -> None:
        path = self.write('jwt', b'one')
        status = os.stat(path)
        source = tokens.FileToken(path)
        source.bearer('a')
        # The same size, time and inode: not even a change of content shows.
        with open(path, 'r+b') as file:
            file.write(b'two')
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.assertEqual('one', source.bearer('a'))
        self.assertTrue(source.renew('a'))
        self.assertEqual('two', source.bearer('a'))
        self.assertFalse(source.renew('a'))

    def test_missing_file_is_named(self) -> None:
        path = str(self.folder / 'absent')
        source = tokens.FileToken(path)
        error = self.assertRaises(errors.NoCredential, source.bearer, 'a')
        self.assertIn(path, str(error))
        self.assertFalse(source.renew('a'))

    def test_a_file_that_is_being_written(self) -> None:
        """One of before serves while there is none, but not for long."""
        now = [100.0]
        path = self.write('jwt', b'one')
        source = tokens.FileToken(path, lambda: now[0])
        self.assertEqual('one', source.bearer('a'))
        for spoil in (lambda: self.write('jwt', b''),
                      lambda: os.unlink(path)):
            spoil()
            self.assertEqual('one', source.bearer('a'))
            now[0] += tokens.GRACE - 1
            self.assertEqual('one', source.bearer('a'))
            now[0] += 1
            self.assertRaises(errors.NoCredential, source.bearer, 'a')
            self.write('jwt', b'one')
            self.assertEqual('one', source.bearer('a'))

    def test_something_else_than_a_token(self) -> None:
        for content in (b'', b'two tokens', b'\xff\xfe', b'a\nb'):
            path = self.write('jwt', content)
            error = self.assertRaises(errors.NoCredential,
                                      tokens.FileToken(path).bearer, 'a')
            self.assertIn(path, str(error))
            self.assertNotIn('two tokens', str(error))


class MintedTokenTestCase(FileTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.now = 1_000_000.5
        self.path = self.write('key.pem', pem(KEY))

    def source(self, scope: tokens.TokenScope = tokens.TokenScope.PROJECT,
               path: str | None = None) -> tokens.MintedToken:
        return tokens.MintedToken(path or self.path, 'cinder', scope,
                                  now=lambda: self.now)

    def minted(self, source: tokens.MintedToken, project: str) -> str:
        token = source.bearer(project)
        assert token is not None
        return token

    def claims(self, token: str) -> dict[str, object]:
        return jwt.decode(token, KEY.public_key(), algorithms=['RS256'],
                          options={'verify_exp': False, 'verify_iat': False})

    def test_project_scope(self) -> None:
        token = self.minted(self.source(), 'tenant-a')
        self.assertEqual(
            {'alg': 'RS256', 'typ': 'JWT', 'kid': 'tenant-a:cinder'},
            jwt.get_unverified_header(token))
        self.assertEqual(
            {'sub': 'cinder-lightbits-federation', 'iat': 999_940,
             'exp': 1_000_600, 'roles': ['tenant-a:admin']},
            self.claims(token))

    def test_system_scope_is_one_token_for_all(self) -> None:
        source = self.source(tokens.TokenScope.SYSTEM)
        token = self.minted(source, 'tenant-a')
        self.assertEqual(token, source.bearer('tenant-b'))
        self.assertEqual('system:cinder',
                         jwt.get_unverified_header(token)['kid'])
        self.assertEqual(['system:cluster-admin'],
                         self.claims(token)['roles'])

    def test_projects_have_their_own(self) -> None:
        source = self.source()
        self.assertNotEqual(source.bearer('a'), source.bearer('b'))

    def test_minted_again_a_minute_before_it_expires(self) -> None:
        source = self.source()
        first = source.bearer('a')
        self.now += 539
        self.assertEqual(first, source.bearer('a'))
        self.now += 1
        self.assertNotEqual(first, source.bearer('a'))

    def test_a_clock_that_was_set_back(self) -> None:
        source = self.source()
        first = source.bearer('a')
        self.now -= 100_000
        self.assertNotEqual(first, source.bearer('a'))

    def test_renewal_reads_the_key_again(self) -> None:
        source = self.source()
        first = self.minted(source, 'a')
        other = rsa.generate_private_key(65537, 2048)
        self.write('key.pem', pem(other))
        self.assertEqual(first, source.bearer('a'))
        self.assertTrue(source.renew('a'))
        self.assertRaises(jwt.InvalidSignatureError, self.claims,
                          self.minted(source, 'a'))

    def test_unusable_keys_are_named(self) -> None:
        curve = ec.generate_private_key(ec.SECP256R1())
        for content in (b'', b'no key', pem(curve), pem(KEY, b'secret')):
            path = self.write('bad.pem', content)
            error = self.assertRaises(
                errors.NoCredential, self.source(path=path).bearer, 'a')
            self.assertIn(path, str(error))
        error = self.assertRaises(
            errors.NoCredential, self.source(path='/absent').bearer, 'a')
        self.assertIn('/absent', str(error))

    def test_a_key_others_may_read_is_refused(self) -> None:
        for mode in (0o600, 0o400, 0o640, 0o440):
            self.minted(self.source(path=self.write(
                f'{mode:o}.pem', pem(KEY), mode)), 'a')
        for mode in (0o644, 0o604, 0o660, 0o601):
            path = self.write(f'{mode:o}.pem', pem(KEY), mode)
            error = self.assertRaises(
                errors.NoCredential, self.source(path=path).bearer, 'a')
            self.assertIn(f'{path} has mode {mode:04o}', str(error))

    def test_repr_shows_no_key(self) -> None:
        source = self.source()
        token = self.minted(source, 'a')
        self.assertNotIn(token, repr(source))
        self.assertIn(self.path, repr(source))
