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

"""JSON Web Tokens as Lightbits clusters take them (RS256)."""

from __future__ import annotations

import base64
import collections.abc
import json
import time
import typing
import uuid as uuidlib

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization

# Of the tokens an installation leaves behind.
YEAR = 365 * 24 * 3600

# The credential every scope has from installation.
ROOT = 'root'


def encode(data: bytes) -> str:
    """Return unpadded URL-safe base64."""
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def decode(text: str) -> bytes:
    """Return the bytes of unpadded URL-safe base64.

    :raises ValueError: the text is not base64.
    """
    padded = text + '=' * (-len(text) % 4)
    return base64.b64decode(padded.encode(), altchars=b'-_', validate=True)


def load_key(path: str) -> rsa.RSAPrivateKey:
    """Read an RSA private key in PEM.

    :raises ValueError: the file holds something else.
    """
    with open(path, 'rb') as stream:
        key = serialization.load_pem_private_key(stream.read(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f'{path} holds no RSA key')
    return key


def default_roles(scope: str) -> list[str]:
    """Return the roles of the admin of a scope."""
    return [f'{scope}:{"cluster-admin" if scope == "system" else "admin"}']


def mint(
    key: rsa.RSAPrivateKey,
    scope: str,
    *,
    roles: collections.abc.Sequence[str] | None = None,
    ttl: float = YEAR,
    credential: str = ROOT,
    now: float | None = None,
    claims: collections.abc.Mapping[str, object] | None = None,
) -> str:
    """Sign a token.

    :param scope: project name, or ``system``.
    :param roles: ``<scope>:<role>`` strings; the scope's admin by default.
    :param ttl: seconds of life from `now` (seconds since the epoch).
    :param claims: set last; a claim of None is left out.
    """
    issued = int(time.time() if now is None else now)
    body: dict[str, object] = {
        'aud': 'LightOS',
        'exp': issued + int(ttl),
        'iat': issued,
        'iss': 'lightbits-installer',
        'jti': str(uuidlib.uuid4()),
        'roles': default_roles(scope) if roles is None else list(roles),
        'sub': 'lightos-client',
        **(claims or {}),
    }
    header = {'alg': 'RS256', 'typ': 'JWT', 'kid': f'{scope}:{credential}'}
    return sign(key, header, body)


def sign(
    key: rsa.RSAPrivateKey,
    header: collections.abc.Mapping[str, object],
    body: collections.abc.Mapping[str, object],
) -> str:
    """Sign exactly this header and these claims, without those of None."""
    present = {name: item for name, item in body.items() if item is not None}
    text = '.'.join(
        encode(json.dumps(part).encode()) for part in (header, present)
    )
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f'{text}.{encode(signature)}'


def parse_part(text: str) -> dict[str, typing.Any]:
    """Decode the header or the claims of a token.

    :raises ValueError: the part is no base64 of a JSON object.
    """
    value = json.loads(decode(text))
    if not isinstance(value, dict):
        raise ValueError('not a JSON object')
    return value
