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

"""The certificate authority and the keys of the simulated clusters."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import os
import ssl

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography import x509
from cryptography.x509 import oid

# The name every cluster's certificate is issued to.
SERVER_NAME = 'api.service'

_LIFE = datetime.timedelta(days=365)
_NAMES = ('localhost', SERVER_NAME)
_ADDRESSES = ('127.0.0.1', '::1')


def write_private(path: str, data: bytes) -> None:
    """Write a file only its owner can read, replacing it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, 'wb') as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(data)


def new_signing_key() -> rsa.RSAPrivateKey:
    """Return a key for signing tokens."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
) -> bytes:
    """Return a private key as unencrypted PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    """Return the public half as PEM."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class ServerIdentity:
    """What one cluster presents, and the file that holds it.

    `fingerprint` is the SHA-256 of the certificate in DER, in hex.
    """

    path: str

    context: ssl.SSLContext
    fingerprint: str


class Authority:
    """Issues the certificates of all clusters of one process."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._self_signed()
        self.ca_file = os.path.join(directory, 'ca.pem')
        with open(self.ca_file, 'wb') as stream:
            stream.write(_pem(self._certificate))

    def _self_signed(self) -> x509.Certificate:
        name = _name('Lightbits simulator CA')
        builder = (
            _builder(name, name, self._key.public_key())
            .add_extension(x509.BasicConstraints(True, 0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
        )
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, cluster: str, *, names: bool) -> ServerIdentity:
        """Issue the certificate all nodes of a cluster share.

        :param names: whether it carries subject alternative names.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(
                _name(SERVER_NAME),
                self._certificate.subject,
                key.public_key(),
            )
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.SERVER_AUTH]),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    self._key.public_key()
                ),
                critical=False,
            )
        )
        if names:
            builder = builder.add_extension(_alternatives(), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        path = os.path.join(self._directory, f'{cluster}.server.pem')
        write_private(path, private_pem(key) + _pem(certificate))
        fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
        return ServerIdentity(path, _server_context(path), fingerprint)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFE)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key), critical=False
        )
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives() -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [
            *(x509.DNSName(name) for name in _NAMES),
            *(x509.IPAddress(ipaddress.ip_address(a)) for a in _ADDRESSES),
        ]
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _server_context(path: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(path)
    return context
