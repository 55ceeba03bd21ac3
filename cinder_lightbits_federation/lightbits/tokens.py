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

"""Where the bearer tokens of a cluster come from.

A token is never part of a message, a repr or a log line.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import enum
import os
import re
import threading
import time
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import rsa
import jwt

from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import keys

LIFETIME = 600
# Seconds for which the token of a file serves on when the file is gone or
# holds none.
GRACE = 30.0
# The clocks of clusters differ a little from ours.
BACK_DATING = 60
RENEW_BEFORE = 60

_TOKEN = re.compile(r'[A-Za-z0-9._~+/=-]+')


class TokenSource(Protocol):
    """Gives the token for a project; thread-safe."""

    def bearer(self, project: str) -> str | None:
        """:returns: the token, or None to send no Authorization header.

        :raises NoCredential: there should be one but it cannot be had.
        """

    def renew(self, project: str) -> bool:
        """Forget the token, because a cluster answered 401 to it.

        :returns: whether `bearer` may give another one now.
        """


class NoToken:
    """For clusters that were installed without multi-tenancy."""

    def bearer(self, project: str) -> str | None:
        """:returns: None."""
        return None

    def renew(self, project: str) -> bool:
        """:returns: False."""
        return False


def claimed_expiry(token: str) -> float | None:
    """:returns: when a token says that it ends, in seconds since 1970.

    None if it does not say. Its signature is the cluster's to verify.
    """
    try:
        claims = jwt.decode(token, options={'verify_signature': False})
        return float(claims['exp'])
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return None


class StaticToken:
    """A token from the configuration.

    :raises NoCredential: `token` cannot be a token.
    """

    def __init__(self, token: str) -> None:
        self._token = _checked(token, 'the configured token')

    def bearer(self, project: str) -> str | None:
        """:returns: the configured token."""
        return self._token

    def renew(self, project: str) -> bool:
        """:returns: False."""
        return False


@dataclasses.dataclass(frozen=True, slots=True)
class _Stamp:
    """Changes when a file is edited or replaced."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, status: os.stat_result) -> _Stamp:
        return cls(status.st_dev, status.st_ino, status.st_size,
                   status.st_mtime_ns)


class FileToken:
    """A token in a file, read again when the file changes.

    Whoever writes the file may not do so at once: while it is gone or holds
    no token, the one of before serves for a moment.

    :param path: a file that holds the token and nothing else.
    :param clock: seconds of monotonic time.
    """

    def __init__(self, path: str,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._bad_since: float | None = None
        self._lock = threading.Lock()
        self._stamp: _Stamp | None = None
        self._token: str | None = None

    def __repr__(self) -> str:
        return f'FileToken({self._path!r})'

    def bearer(self, project: str) -> str | None:
        """:returns: what the file holds now, or held until `GRACE` ago.

        :raises NoCredential: naming the file and what is wrong with it.
        """
        with self._lock:
            try:
                self._refresh()
            except errors.NoCredential:
                if not self._may_be_under_way():
                    raise
            else:
                self._bad_since = None
            return self._token

    def _may_be_under_way(self) -> bool:
        """:returns: whether the file was good a moment ago."""
        now = self._clock()
        if self._bad_since is None:
            self._bad_since = now
        return self._token is not None and now < self._bad_since + GRACE

    def renew(self, project: str) -> bool:
        """:returns: whether the file holds another token than before."""
        with self._lock:
            before, self._stamp = self._token, None
            try:
                self._refresh()
            except errors.NoCredential:
                return False
            return self._token != before

    def _refresh(self) -> None:
        try:
            if self._stamp == _Stamp.of(os.stat(self._path)):
                return
            content, status = keys.read(self._path)
        except OSError as error:
            raise keys.unreadable('token file', self._path, error) from None
        # Undecodable bytes are refused by the check that follows.
        self._token = _checked(content.decode('ascii', 'replace').strip(),
                               f'token file {self._path}')
        self._stamp = _Stamp.of(status)


def expiry_of(source: TokenSource) -> float | None:
    """:returns: when the token of a source ends, in seconds since 1970.

    None for tokens that are made when needed, that do not say, or that
    cannot be read.
    """
    if not isinstance(source, StaticToken | FileToken):
        return None
    try:
        token = source.bearer('')
    except errors.NoCredential:
        return None
    return claimed_expiry(token) if token else None


class TokenScope(enum.Enum):
    """What a minted token may do.

    PROJECT tokens reach one project each; SYSTEM tokens the whole cluster.
    """

    PROJECT = 'project'
    SYSTEM = 'system'


@dataclasses.dataclass(frozen=True, slots=True)
class _Minted:
    token: str
    expires: float


class MintedToken:
    """Tokens that this process signs itself, ten minutes each.

    The public half of the key is registered at the cluster as a credential
    of the project (PROJECT) or of ``system`` (SYSTEM); the header ``kid``
    refers to it.

    :param key_file: RSA private key, PEM, without passphrase.
    :param credential_id: ID of the credential at the cluster.
    :param subject: claim ``sub``, which the cluster's events show.
    :param now: wall clock in seconds; the claims need it.
    """

    def __init__(self, key_file: str, credential_id: str,
                 scope: TokenScope = TokenScope.PROJECT, *,
                 subject: str = 'cinder-lightbits-federation',
                 now: Callable[[], float] = time.time) -> None:
        self._key_file = key_file
        self._credential_id = credential_id
        self._scope = scope
        self._subject = subject
        self._now = now
        self._lock = threading.Lock()
        self._key: rsa.RSAPrivateKey | None = None
        self._minted: dict[str, _Minted] = {}

    @property
    def key_file(self) -> str:
        """Where the private key is."""
        return self._key_file

    def __repr__(self) -> str:
        return (f'MintedToken({self._key_file!r}, {self._credential_id!r}, '
                f'{self._scope})')

    def bearer(self, project: str) -> str | None:
        """:returns: a token that is good for another minute at least.

        :raises NoCredential: naming the key file and what is wrong.
        """
        whose = self._whose(project)
        with self._lock:
            known = self._minted.get(whose)
            if known is None or not self._good(known):
                known = self._minted[whose] = self._mint(whose)
            return known.token

    def renew(self, project: str) -> bool:
        """Mint anew with the key as the file holds it now.

        :returns: True.
        """
        with self._lock:
            self._key = None
            self._minted.pop(self._whose(project), None)
        return True

    def _whose(self, project: str) -> str:
        return 'system' if self._scope is TokenScope.SYSTEM else project

    def _good(self, minted: _Minted) -> bool:
        # Bounded on both sides: a clock that was set back would otherwise
        # keep a token that has long expired for the cluster.
        left = minted.expires - self._now()
        return RENEW_BEFORE < left <= LIFETIME

    def _mint(self, whose: str) -> _Minted:
        now = self._now()
        role = ('cluster-admin' if self._scope is TokenScope.SYSTEM
                else 'admin')
        claims = {'sub': self._subject, 'iat': int(now) - BACK_DATING,
                  'exp': int(now) + LIFETIME, 'roles': [f'{whose}:{role}']}
        token = jwt.encode(
            claims, self._private_key(), algorithm='RS256',
            headers={'kid': f'{whose}:{self._credential_id}'})
        return _Minted(token, int(now) + LIFETIME)

    def _private_key(self) -> rsa.RSAPrivateKey:
        if self._key is None:
            self._key = keys.load(self._key_file)
        return self._key


def _checked(token: str, what: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise errors.NoCredential(
            f'{what} is empty or holds something else than a token')
    return token
