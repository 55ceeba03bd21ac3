# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What certificates say, of clusters and of authorities."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import socket
import ssl

from cryptography.hazmat.primitives import serialization
from cryptography import x509

from cinder_lightbits_federation.lightbits import connection
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import errors


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, without its key.

    :param not_after: when it ends.
    :param fingerprint: SHA-256, 64 hexadecimal digits.
    """

    subject: str
    not_after: datetime.datetime
    fingerprint: str

    @classmethod
    def read(cls, der: bytes) -> Certificate:
        """:raises ValueError: it is not a certificate in DER form."""
        return cls._of(x509.load_der_x509_certificate(der), der)

    @classmethod
    def _of(cls, found: x509.Certificate, der: bytes) -> Certificate:
        return cls(found.subject.rfc4514_string(), found.not_valid_after_utc,
                   hashlib.sha256(der).hexdigest())


def presented(endpoint: endpoints.Endpoint, timeout: float) -> Certificate:
    """Look at the certificate of an endpoint, whether trusted or not.

    Nothing is sent there beyond what TLS itself takes.

    :param timeout: seconds to connect, and for each step of TLS.
    :raises Unreachable: there is no TLS to be had, or no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(
                (endpoint.host, endpoint.port), timeout) as raw, \
                context.wrap_socket(raw) as tls:
            der = tls.getpeercert(binary_form=True)
        return Certificate.read(der or b'')
    except (OSError, ValueError) as error:
        raise errors.Unreachable(connection.describe(error)) from error


def in_file(path: str) -> list[Certificate]:
    """:returns: the certificates in a PEM file, such as a CA's.

    :raises Untrusted: it cannot be read, or holds something else.
    """
    try:
        with open(path, 'rb') as file:
            found = x509.load_pem_x509_certificates(file.read())
    except OSError as error:
        raise errors.Untrusted(
            f'CA file {path} cannot be read: {error.strerror}') from None
    except ValueError:
        raise errors.Untrusted(
            f'CA file {path} holds no certificate') from None
    return [Certificate._of(item, item.public_bytes(
        serialization.Encoding.DER))
            for item in found]
