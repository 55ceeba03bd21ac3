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

"""When certificates, authorities, tokens and keys of clusters end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import dataclasses
import enum
import logging
import os
import time

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.lightbits import certificates
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import tokens

LOG = logging.getLogger(__name__)

DAY = 86400.0
# From so many days before the end on, it is warned of, once a day.
SOON = 30.0
LOOK_EVERY = 3600.0


class Kind(enum.Enum):
    """What ends."""

    CERTIFICATE = 'certificate'
    """Of an API endpoint, as it was presented last."""

    AUTHORITY = 'ca'
    """In the file of ``tls_ca_file``."""

    TOKEN = 'token'  # noqa: S105
    """Of ``jwt`` or ``jwt_file``; minted ones are renewed in time."""

    CREDENTIAL = 'credential'
    """A key that was due to be replaced (``credential_lifetime``)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Expiry:
    """The end of one thing.

    :param cluster: name of the cluster.
    :param subject: which of its kind: a name, a file, or an option.
    :param ends: seconds since 1970.
    """

    cluster: str
    kind: Kind
    subject: str
    ends: float

    def days_left(self, now: float) -> float:
        """:returns: days until the end, negative after it."""
        return (self.ends - now) / DAY


def expiries(clusters: Iterable[Cluster]) -> list[Expiry]:
    """:returns: all ends that are known, the soonest first.

    Certificates are known once a cluster was connected; no cluster is asked
    anything here.
    """
    found = [item for cluster in clusters for item in _of(cluster)]
    return sorted(found, key=lambda item: item.ends)


def _of(cluster: Cluster) -> Iterator[Expiry]:
    settings = cluster.settings
    yield from _certificates(cluster)
    ca_file = settings.client.tls.ca_file
    if ca_file:
        yield from _authorities(cluster.name, ca_file)
    ends = tokens.expiry_of(settings.tokens)
    if ends is not None:
        yield Expiry(cluster.name, Kind.TOKEN, settings.token_option, ends)
    if (isinstance(settings.tokens, tokens.MintedToken)
            and settings.credential_lifetime):
        yield from _credential(cluster.name, settings.tokens,
                               settings.credential_lifetime)


def _certificates(cluster: Cluster) -> Iterator[Expiry]:
    seen: set[str] = set()
    for der in cluster.client.certificates():
        try:
            found = certificates.Certificate.read(der)
        except ValueError:
            continue
        if found.fingerprint not in seen:
            seen.add(found.fingerprint)
            yield Expiry(cluster.name, Kind.CERTIFICATE,
                         f'{found.subject} {found.fingerprint[:12]}',
                         found.not_after.timestamp())


def _authorities(name: str, path: str) -> Iterator[Expiry]:
    try:
        found = certificates.in_file(path)
    except lb_errors.Untrusted:
        return
    for item in found:
        yield Expiry(name, Kind.AUTHORITY, f'{item.subject} in {path}',
                     item.not_after.timestamp())


def _credential(name: str, source: tokens.MintedToken, days: int
                ) -> Iterator[Expiry]:
    try:
        made = os.stat(source.key_file).st_mtime
    except OSError:
        return
    yield Expiry(name, Kind.CREDENTIAL, source.key_file, made + days * DAY)


class ExpiryWatch:
    """Warns of what ends within a month, once a day for each.

    For one thread.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._looked: float | None = None
        self._told: dict[tuple[Kind, str], float] = {}

    def look(self) -> None:
        """Look, unless that was done within the hour."""
        now = time.monotonic()
        if self._looked is not None and now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        for item in expiries([self._cluster]):
            key = item.kind, item.subject
            left = item.days_left(time.time())
            told = self._told.get(key)
            if left < SOON and (told is None or now - told >= DAY):
                self._told[key] = now
                self._warn(item, left)

    @staticmethod
    def _warn(item: Expiry, left: float) -> None:
        when = time.strftime('%Y-%m-%d', time.gmtime(item.ends))
        if left < 0:
            LOG.warning('Cluster %s: the %s (%s) has ended on %s.',
                        item.cluster, item.kind.value, item.subject, when)
        else:
            LOG.warning('Cluster %s: the %s (%s) ends on %s, in %d days.',
                        item.cluster, item.kind.value, item.subject, when,
                        int(left))
