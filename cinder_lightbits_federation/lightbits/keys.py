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

"""RSA key pairs that tokens are signed and verified with.

The private half never leaves its file, and is no part of a message.
"""

from __future__ import annotations

import hashlib
import os
import stat

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives import serialization

from cinder_lightbits_federation import files
from cinder_lightbits_federation.lightbits import errors

LARGEST_FILE = 65536
DEFAULT_BITS = 3072
FEWEST_BITS = 2048
EXPONENT = 65537

PRIVATE_SUFFIX = '.key'
PUBLIC_SUFFIX = '.pub'


def generate(bits: int = DEFAULT_BITS) -> rsa.RSAPrivateKey:
    """:returns: a new private key."""
    return rsa.generate_private_key(EXPONENT, bits)


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    """:returns: the private half as a file holds it."""
    return key.private_bytes(serialization.Encoding.PEM,
                             serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    """:returns: the public half as a cluster takes it."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: rsa.RSAPrivateKey) -> str:
    """:returns: SHA-256 of the public half (DER), 64 hexadecimal digits."""
    return hashlib.sha256(key.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def key_id(key: rsa.RSAPrivateKey) -> str:
    """:returns: an ID for the key at clusters, made from the key itself."""
    return f'cinder-{fingerprint(key)[:12]}'


def load(path: str) -> rsa.RSAPrivateKey:
    """Read a private key.

    :raises NoCredential: naming the file and what is wrong with it: it
        cannot be read, others than its owner and his group can read it, or
        it holds something else.
    """
    try:
        content, status = read(path)
    except OSError as error:
        raise unreadable('key file', path, error) from None
    if not files.is_private(status):
        raise errors.NoCredential(
            f'key file {path} has mode {stat.S_IMODE(status.st_mode):04o}: '
            f'others must not read it, nor the group write it (chmod 0640 '
            f'or 0600)')
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise errors.NoCredential(
            f'key file {path} does not hold an RSA private key '
            'in PEM form without a passphrase')
    return key


def read(path: str) -> tuple[bytes, os.stat_result]:
    """:returns: content and status of one and the same file.

    :raises OSError: it cannot be read.
    """
    with open(path, 'rb') as file:
        status = os.fstat(file.fileno())
        return file.read(LARGEST_FILE), status


def unreadable(what: str, path: str, error: OSError) -> errors.NoCredential:
    """:returns: the error of a file that cannot be read."""
    return errors.NoCredential(
        f'{what} {path} cannot be read: {error.strerror}')
