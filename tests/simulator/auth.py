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

"""Who calls, and what he may do."""

from __future__ import annotations

import dataclasses
import enum
import typing

from cryptography import exceptions
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization

from tests.simulator import errors
from tests.simulator import model
from tests.simulator import tokens

# Verified tokens remembered by one cluster.
_CACHE = 4096


class Access(enum.Enum):
    """What a route demands."""

    ANY = 'any valid token'
    NODES = 'a cluster role, or a project role where tenants read nodes'
    POLICIES = 'a cluster role, or a project role where they may read'
    CLUSTER_READ = 'a cluster role'
    CLUSTER_WRITE = 'the cluster admin'
    PROJECT_READ = 'any role in the project'
    PROJECT_WRITE = 'an admin of the project or the cluster'


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """The roles of a caller, as (scope, role) pairs."""

    subject: str
    roles: frozenset[tuple[str, str]]

    @property
    def cluster_admin(self) -> bool:
        """Whether he may do everything."""
        return (model.SYSTEM, 'cluster-admin') in self.roles

    @property
    def cluster_reader(self) -> bool:
        """Whether he may read everything."""
        viewer = (model.SYSTEM, 'cluster-viewer') in self.roles
        return viewer or self.cluster_admin

    def reads(self, project: str) -> bool:
        """Whether he may read what the project holds."""
        if self.cluster_reader:
            return True
        return self.writes(project) or (project, 'viewer') in self.roles

    def writes(self, project: str) -> bool:
        """Whether he may change what the project holds."""
        return self.cluster_admin or (project, 'admin') in self.roles


# Who calls a cluster that asks for no token.
ANYBODY = Identity('anybody', frozenset({(model.SYSTEM, 'cluster-admin')}))


@dataclasses.dataclass(frozen=True, slots=True)
class _Verified:
    identity: Identity
    expires: float
    valid_from: float


class Authenticator:
    """Verifies tokens with the public keys stored as credentials."""

    def __init__(self) -> None:
        self.credentials: dict[tuple[str, str], model.Credential] = {}
        self._cache: dict[str, _Verified] = {}

    def add(self, credential: model.Credential) -> None:
        """Register a public key."""
        self.credentials[credential.scope, credential.id] = credential

    def remove(self, credential: model.Credential) -> None:
        """Forget a public key and all that was verified with it."""
        del self.credentials[credential.scope, credential.id]
        self._cache.clear()

    def identify(self, header: str | None, now: float) -> Identity:
        """Return who sends the `Authorization` header at time `now`.

        :raises ApiError: 401 for a missing, bad, early or expired token.
        """
        kind, _, token = (header or '').partition(' ')
        if kind.lower() != 'bearer' or not token:
            raise errors.unauthenticated('no bearer token given')
        verified = self._cache.get(token)
        if verified is None:
            verified = self._verify(token.strip())
            if len(self._cache) >= _CACHE:
                self._cache.clear()
            self._cache[token] = verified
        if now >= verified.expires:
            raise errors.unauthenticated('token is expired')
        if now < verified.valid_from:
            raise errors.unauthenticated('token is not valid yet')
        return verified.identity

    def _verify(self, token: str) -> _Verified:
        parts = token.split('.')
        if len(parts) != 3:
            raise errors.unauthenticated('token is malformed')
        try:
            header = tokens.parse_part(parts[0])
            claims = tokens.parse_part(parts[1])
            signature = tokens.decode(parts[2])
        except ValueError as err:
            raise errors.unauthenticated('token is malformed') from err
        credential = self._credential(header)
        signed = token.rpartition('.')[0].encode()
        _check_signature(credential, signature, signed)
        return _read_claims(credential.scope, claims)

    def _credential(self, header: dict[str, typing.Any]) -> model.Credential:
        if header.get('alg') != 'RS256':
            raise errors.unauthenticated('token is not signed with RS256')
        scope, _, name = str(header.get('kid', '')).partition(':')
        credential = self.credentials.get((scope, name))
        if credential is None or credential.type != 'RS256PubKey':
            raise errors.unauthenticated('token is signed by an unknown key')
        return credential


def public_key(payload: bytes) -> rsa.RSAPublicKey:
    """Return the RSA public key of a PEM.

    :raises ApiError: 400, it is none.
    """
    try:
        key = serialization.load_pem_public_key(payload)
    except ValueError as err:
        raise errors.invalid('payload is no public key in PEM') from err
    if not isinstance(key, rsa.RSAPublicKey):
        raise errors.invalid('payload is no RSA public key')
    return key


def _check_signature(
    credential: model.Credential, signature: bytes, signed: bytes
) -> None:
    key = public_key(credential.payload)
    try:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except exceptions.InvalidSignature as err:
        raise errors.unauthenticated('token signature is wrong') from err


def _read_claims(scope: str, claims: dict[str, typing.Any]) -> _Verified:
    subject = claims.get('sub')
    if not isinstance(subject, str) or not subject:
        raise errors.unauthenticated('token has no sub claim')
    identity = Identity(subject, _read_roles(scope, claims.get('roles')))
    expires = _read_time(claims, 'exp', None)
    return _Verified(identity, expires, _read_time(claims, 'nbf', 0.0))


def _read_time(
    claims: dict[str, typing.Any], name: str, default: float | None
) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise errors.unauthenticated(f'token has no usable {name} claim')
    return float(value)


def _read_roles(scope: str, roles: object) -> frozenset[tuple[str, str]]:
    """Return the roles a key of `scope` can grant; others are ignored."""
    found: set[tuple[str, str]] = set()
    for text in roles if isinstance(roles, list) else []:
        where, _, role = str(text).partition(':')
        if scope in (model.SYSTEM, where):
            found.add((where, role))
    return frozenset(found)
