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

"""Whom to believe."""

import os
import ssl
from unittest import mock

from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import tls
from tests.unit.lightbits import wire
from tests.unit.lightbits import wire_base


class TrustTestCase(wire_base.WireTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.ca = str(self.authority.file)
        self.stock = self.authority.certificate('api.service')

    def assert_trusted(self, trust: tls.TlsTrust,
                       certificate: wire.Certificate) -> None:
        server = self.serve(certificate=certificate)
        self.client(server, trust=trust).version('p')
        self.assertEqual(['GET /api/v2/version'], server.served)

    def assert_refused(self, trust: tls.TlsTrust,
                       certificate: wire.Certificate) -> str:
        server = self.serve(certificate=certificate)
        error = self.assertRaises(
            errors.Untrusted, self.client(server, trust=trust).version, 'p')
        # Not even the proof, which carries the token, may have left.
        self.assertEqual([], server.requests)
        return str(error)

    def test_authority_and_address(self) -> None:
        self.assert_trusted(self.trust, self.certificate)
        self.assert_refused(
            self.trust, self.authority.certificate('x', '127.0.0.2'))

    def test_the_common_name_is_no_address(self) -> None:
        self.assert_refused(self.trust,
                            self.authority.certificate('127.0.0.1'))

    def test_the_common_name_is_no_host_name_unless_told(self) -> None:
        server = self.serve(
            certificate=self.authority.certificate('localhost'))
        self.assertRaises(
            errors.Untrusted, self.client(server, host='localhost').version,
            'p')
        named = tls.TlsTrust(ca_file=self.ca, server_name='localhost')
        self.client(server, host='localhost', trust=named).version('p')

    def test_stock_certificate_by_server_name(self) -> None:
        named = tls.TlsTrust(ca_file=self.ca, server_name='api.service')
        self.assert_trusted(named, self.stock)
        self.assert_refused(self.trust, self.stock)
        self.assert_refused(
            tls.TlsTrust(ca_file=self.ca, server_name='other.service'),
            self.stock)

    def test_another_authority(self) -> None:
        other = wire.Authority(self.folder, 'other')
        self.assert_refused(self.trust,
                            other.certificate('x', '127.0.0.1'))
        self.assert_refused(
            tls.TlsTrust(ca_file=self.ca, server_name='api.service'),
            other.certificate('api.service'))

    def test_fingerprints(self) -> None:
        digits = self.stock.fingerprint
        colons = ':'.join(digits[at:at + 2]
                          for at in range(0, 64, 2)).upper()
        for text in (digits, colons, f'SHA256:{digits}', f' {digits} '):
            self.assert_trusted(tls.TlsTrust.pinned([text]), self.stock)
        self.assert_trusted(tls.TlsTrust.pinned(['0' * 64, digits]),
                            self.stock)

    def test_wrong_fingerprint(self) -> None:
        text = self.assert_refused(tls.TlsTrust.pinned(['0' * 64]),
                                   self.stock)
        self.assertIn(self.stock.fingerprint, text)

    def test_no_proof_of_anything(self) -> None:
        self.assert_trusted(tls.TlsTrust(insecure=True), self.stock)

    def test_system_authorities_do_not_know_ours(self) -> None:
        self.assert_refused(tls.TlsTrust(), self.certificate)

    def test_environment_is_ignored(self) -> None:
        names = ('SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE')
        with mock.patch.dict(os.environ, dict.fromkeys(names, self.ca)):
            self.assert_refused(tls.TlsTrust(), self.certificate)

    def test_old_protocols_are_refused(self) -> None:
        self.assertEqual(ssl.TLSVersion.TLSv1_2,
                         self.trust.context().minimum_version)

    def test_ipv6(self) -> None:
        server = self.serve(
            host='::1', certificate=self.authority.certificate('x', '::1'))
        made = self.client(server, host='::1')
        made.version('p')
        self.assertEqual(f'[::1]:{server.port}',
                         server.requests[0].headers['host'])
        self.assertEqual(f'[::1]:{server.port}',
                         str(made.endpoints()[0].endpoint))


class ValidationTestCase(wire_base.WireTestCase):

    def test_good_file(self) -> None:
        self.trust.validate()

    def test_bad_files_are_named(self) -> None:
        empty = self.folder / 'empty.pem'
        empty.write_text('')
        broken = self.folder / 'broken.pem'
        broken.write_text('-----BEGIN CERTIFICATE-----\nAAAA\n'
                          '-----END CERTIFICATE-----\n')
        for path in (self.folder / 'absent.pem', empty, broken, self.folder):
            error = self.assertRaises(
                errors.Untrusted, tls.TlsTrust(ca_file=str(path)).validate)
            self.assertIn(str(path), str(error))

    def test_a_bad_file_at_run_time(self) -> None:
        server = self.serve()
        made = self.client(server, trust=tls.TlsTrust(ca_file='/absent'))
        error = self.assertRaises(errors.Untrusted, made.version, 'p')
        self.assertIn('/absent', str(error))

    def test_bad_fingerprints(self) -> None:
        for text in ('', 'f' * 40, 'g' * 64, 'f' * 63):
            self.assertRaises(ValueError, tls.TlsTrust.pinned, [text])

    def test_contradictions(self) -> None:
        for options in ({'ca_file': 'x', 'insecure': True},
                        {'fingerprints': ('f' * 64,), 'insecure': True},
                        {'fingerprints': ('f' * 64,), 'ca_file': 'x'}):
            self.assertRaises(ValueError, tls.TlsTrust, **options)
