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

"""Whom to believe to be a cluster.

As shipped, a cluster's certificate names ``api.service``, has no subject
alternative name and is the same on all of its servers. So an address can be
checked against it only by a fixed server name or by a fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import hashlib
import hmac
import os
import re
import ssl

from cinder_lightbits_federation.lightbits import errors

_SHA256_HEX = re.compile(r'[0-9a-f]{64}')


def parse_fingerprint(value: str) -> str:
    """Read a SHA-256 fingerprint; colons, blanks and case do not matter.

    :returns: 64 lower-case hexadecimal digits.
    :raises ValueError: it is not a SHA-256 fingerprint.
    """
    text = re.sub(r'^sha-?256[:=]', '', value.strip().lower())
    text = re.sub(r'[:\s]', '', text)
    if not _SHA256_HEX.fullmatch(text):
        raise ValueError(f'fingerprint {value!r} is not the SHA-256 of a '
                         'certificate (64 hexadecimal digits)')
    return text


@dataclasses.dataclass(frozen=True, slots=True)
class TlsTrust:
    """How the API endpoints of one cluster prove who they are.

    Without any argument: a chain to the system's certificate authorities
    that names the endpoint's host.

    :param ca_file: PEM bundle that replaces the system's authorities.
    :param server_name: name that the certificate must carry instead of the
        endpoint's host; it may stand in the common name (``api.service``).
    :param fingerprints: SHA-256 fingerprints of acceptable certificates,
        several for a rollover; they replace chain and name.
    :param insecure: believe anything. Tokens can then be stolen.
    :param digest: of what `ca_file` holds, where it matters that trust in
        another content is another trust.
    :raises ValueError: the arguments contradict each other.
    """

    ca_file: str | None = None
    server_name: str | None = None
    fingerprints: tuple[str, ...] = ()
    insecure: bool = False
    digest: str = ''

    def __post_init__(self) -> None:
        object.__setattr__(self, 'fingerprints', tuple(
            parse_fingerprint(one) for one in self.fingerprints))
        if self.insecure and (self.ca_file or self.fingerprints):
            raise ValueError('insecure contradicts ca_file and fingerprints')
        if self.ca_file and self.fingerprints:
            raise ValueError('ca_file and fingerprints exclude each other')

    @classmethod
    def pinned(cls, fingerprints: Iterable[str]) -> TlsTrust:
        """:returns: trust in certificates of these fingerprints only."""
        return cls(fingerprints=tuple(fingerprints))

    @property
    def verifies_chain(self) -> bool:
        """Whether the TLS library itself judges the certificate."""
        return not self.insecure and not self.fingerprints

    def validate(self) -> None:
        """Find out early whether the authorities can be loaded.

        :raises Untrusted: naming the file and what is wrong with it.
        """
        self.context()

    def context(self) -> ssl.SSLContext:
        """Make a context; expensive, because it loads the authorities.

        Environment variables that name authorities are ignored on purpose.

        :raises Untrusted: the authorities cannot be loaded.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self.verifies_chain:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        context.hostname_checks_common_name = self.server_name is not None
        if self.ca_file:
            _load_file(context, self.ca_file)
        else:
            _load_system(context)
        return context

    def check(self, certificate: bytes | None) -> None:
        """Judge the peer's certificate by its fingerprint.

        :param certificate: DER form.
        :raises Untrusted: fingerprints were given and none is its.
        """
        if not self.fingerprints:
            return
        found = hashlib.sha256(certificate or b'').hexdigest()
        matches = [hmac.compare_digest(found, one)
                   for one in self.fingerprints]
        if not any(matches):
            raise errors.Untrusted(
                f'the certificate has the SHA-256 fingerprint {found}, '
                'which is not among the configured fingerprints')


def _load_file(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise errors.Untrusted(
            f'CA file {path} holds no usable certificate: '
            f'{error.reason}') from None
    except OSError as error:
        raise errors.Untrusted(
            f'CA file {path} cannot be read: {error.strerror}') from None


def _load_system(context: ssl.SSLContext) -> None:
    paths = ssl.get_default_verify_paths()
    cafile = paths.openssl_cafile
    capath = paths.openssl_capath
    found_file = cafile if os.path.isfile(cafile) else None
    found_path = capath if os.path.isdir(capath) else None
    if found_file is None and found_path is None:
        raise errors.Untrusted(
            f'the system has no certificate authorities at {cafile} or '
            f'{capath}: name a CA file')
    context.load_verify_locations(cafile=found_file, capath=found_path)
