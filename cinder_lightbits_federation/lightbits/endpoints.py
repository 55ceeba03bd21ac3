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

"""API endpoints of a cluster: their form, and which one to ask.

Pure: no name is resolved and no clock is read here.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import ipaddress
import re
import threading

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORT = 443
FIRST_BACK_OFF = 1.0
LONGEST_BACK_OFF = 60.0

_HOST_NAME = re.compile(r'[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?')


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where one API service listens; IPv6 addresses are without brackets."""

    host: str
    port: int = DEFAULT_PORT

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``.

        A bare IPv6 address is taken as a host without a port.

        :raises ValueError: `text` is none of these forms.
        """
        host, port = _split(text.strip())
        if not port.isascii() or not port.isdigit():
            raise ValueError(f'API endpoint {text!r}: the port is no number')
        if not 0 < int(port) < 65536:
            raise ValueError(f'API endpoint {text!r}: the port is not within '
                             '1 to 65535')
        return cls(_canonical(host, text), int(port))

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as an address; None for a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    def __str__(self) -> str:
        host = f'[{self.host}]' if ':' in self.host else self.host
        return f'{host}:{self.port}'


def _split(text: str) -> tuple[str, str]:
    if text.startswith('['):
        host, bracket, rest = text[1:].partition(']')
        if not bracket or ':' not in host or (rest and rest[0] != ':'):
            raise ValueError(f'API endpoint {text!r} is not [address]:port')
        return host, rest[1:] if rest else str(DEFAULT_PORT)
    if text.count(':') > 1:
        return text, str(DEFAULT_PORT)
    host, colon, port = text.partition(':')
    return host, port if colon else str(DEFAULT_PORT)


def _canonical(host: str, text: str) -> str:
    if ':' in host:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise ValueError(f'API endpoint {text!r} is neither host:port '
                             'nor an IPv6 address') from None
    if re.fullmatch(r'[0-9.]+', host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError(f'API endpoint {text!r}: {host!r} is not an '
                             'IPv4 address') from None
    if not _HOST_NAME.fullmatch(host):
        raise ValueError(f'API endpoint {text!r}: {host!r} is not a host '
                         'name')
    return host.lower()


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointStatus:
    """What is known of an endpoint.

    :param seed: whether it was configured rather than learned.
    :param current: whether it is asked first.
    :param failures: failures in a row.
    :param sick_until: monotonic time of the end of its back-off, 0 if well.
    :param trouble: why it failed last.
    """

    endpoint: Endpoint
    seed: bool
    current: bool
    failures: int = 0
    sick_until: float = 0.0
    trouble: str = ''


@dataclasses.dataclass(slots=True)
class _Health:
    failures: int = 0
    sick_until: float = 0.0
    trouble: str = ''


class EndpointSelector:
    """Chooses the order in which the endpoints of a cluster are asked.

    One endpoint is kept as long as it works: all services then see the
    same API server, and what was just written can be read. A failed one is
    avoided for a time that doubles from one second to a minute; it stays
    the last resort meanwhile. The order of the seeds is the operator's.

    Thread-safe; every time is monotonic and comes from the caller.

    :param networks: learned endpoints must lie in one of these; none allows
        all. Seeds are not restricted.
    """

    def __init__(self, seeds: Iterable[Endpoint],
                 networks: Iterable[Network] = ()) -> None:
        self._lock = threading.Lock()
        self._seeds = tuple(dict.fromkeys(seeds))
        if not self._seeds:
            raise ValueError('a cluster needs at least one API endpoint')
        self._networks = tuple(networks)
        self._learned: tuple[Endpoint, ...] = ()
        self._health: dict[Endpoint, _Health] = {}
        self._current = self._seeds[0]

    @property
    def known(self) -> frozenset[Endpoint]:
        """Seeds and what was learned last."""
        with self._lock:
            return frozenset((*self._seeds, *self._learned))

    def learn(self, endpoints: Iterable[Endpoint]) -> None:
        """Replace the learned endpoints by `endpoints`, as a set.

        Seeds are kept whatever was learned. An empty set is ignored: a
        cluster that can be asked has endpoints.
        """
        allowed = tuple(endpoint for endpoint in sorted(set(endpoints))
                        if self._allowed(endpoint))
        if not allowed:
            return
        with self._lock:
            self._learned = tuple(endpoint for endpoint in allowed
                                  if endpoint not in self._seeds)
            known = {*self._seeds, *self._learned}
            self._health = {endpoint: health for endpoint, health
                            in self._health.items() if endpoint in known}
            if self._current not in known:
                self._current = self._seeds[0]

    def _allowed(self, endpoint: Endpoint) -> bool:
        if not self._networks:
            return True
        address = endpoint.address
        return address is not None and any(
            address in network for network in self._networks
            if network.version == address.version)

    def candidates(self, now: float) -> tuple[Endpoint, ...]:
        """:returns: every endpoint once, in the order to ask them.

        The current one is first if it is well, then come the others that
        are well, then the sick ones, the soonest to recover first.
        """
        with self._lock:
            known = (*self._seeds, *self._learned)
            ranks = {endpoint: self._rank(endpoint, place, now)
                     for place, endpoint in enumerate(known)}
        return tuple(sorted(known, key=ranks.__getitem__))

    def _rank(self, endpoint: Endpoint, place: int,
              now: float) -> tuple[float, bool, int]:
        health = self._health.get(endpoint, _Health())
        sick_until = health.sick_until if health.sick_until > now else 0.0
        return sick_until, endpoint != self._current, place

    def succeeded(self, endpoint: Endpoint) -> None:
        """Note that `endpoint` answered: it is well and current now."""
        with self._lock:
            if endpoint in self._seeds or endpoint in self._learned:
                self._health.pop(endpoint, None)
                self._current = endpoint

    def failed(self, endpoint: Endpoint, now: float, trouble: str,
               *, quarantine: bool = False) -> None:
        """Note that `endpoint` did not answer, or not as it should.

        :param trouble: why, for the operator.
        :param quarantine: avoid it for the longest time at once.
        """
        with self._lock:
            health = self._health.setdefault(endpoint, _Health())
            health.failures += 1
            back_off = LONGEST_BACK_OFF if quarantine else min(
                LONGEST_BACK_OFF,
                FIRST_BACK_OFF * 2.0 ** min(health.failures - 1, 16))
            health.sick_until = now + back_off
            health.trouble = trouble

    def status(self) -> tuple[EndpointStatus, ...]:
        """:returns: what is known of every endpoint, seeds first."""
        with self._lock:
            return tuple(
                EndpointStatus(
                    endpoint, endpoint in self._seeds,
                    endpoint == self._current,
                    **dataclasses.asdict(
                        self._health.get(endpoint, _Health())))
                for endpoint in (*self._seeds, *self._learned))
