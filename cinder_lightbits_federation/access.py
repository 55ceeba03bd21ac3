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

"""Which hosts may use a volume: arithmetic on its two access lists.

A host has access when its NQN is in the ACL and its address is in the IP ACL
(or the list is ALLOW_ANY). An edit is worked out from the volume as read and
sent with its ETag, so a change made meanwhile by somebody else is seen.

Rules that every edit keeps:

* An address is removed only when everybody in the ACL is accounted for: an
  attached host, with an address of its own in the IP ACL. While somebody
  else is there (being attached by another service at this moment, or granted
  by hand) nobody can say whose the addresses are, and none is taken away.
  The next edit after that removes what is left over.
* An address that an attached host shares with the one that leaves stays.
* Nothing is cut off to make room: too many addresses is an error.
* A volume open to any host (ALLOW_ANY in its ACL, set by hand) is left so by
  `grant` and `revoke`; only `revoke_all` closes it.
* A volume that is being moved to another cluster is closed (MOVING in its
  ACL) from the moment when all of it is copied: `grant` refuses it, `stays`
  tells who would grow it, and no edit for an attachment opens it.
* A seal (SEAL alone in the IP ACL) does not outlast anybody's access.
* Applying an edit and asking again gives None.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import dataclasses
import ipaddress
import re

from cinder_lightbits_federation.lightbits import model

OPTION_NETWORKS = 'lightbits_data_networks'

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# In the ACL of a volume that leaves. It is no host's: with an empty IP ACL
# beside it nobody gets in, and it says why.
MOVING = 'nqn.2010-07.org.openstack:lightbits-federation:being-moved'

# Alone in the IP ACL of a volume that nobody has access to: nobody had since
# then. Whoever is admitted, and whoever leaves last, takes it away. It is an
# address for documentation.
SEAL = '203.0.113.113'

_ANYONE = frozenset({model.ALLOW_ANY})
_NOBODY: frozenset[str] = frozenset()
# The NVMe base specification ends an NQN at 223 bytes.
_NQN = re.compile(r'nqn\.[!-~]{1,219}')


class AccessError(ValueError):
    """A host cannot be given access."""


class InvalidHost(AccessError):
    """A host's NQN or address is malformed.

    :param field: the connector's field.
    """

    def __init__(self, field: str, value: str) -> None:
        self.field = field
        self.value = value
        super().__init__(f'connector: {field} is malformed: {value!r}')


class NoUsableAddress(AccessError):
    """A host has no address that a cluster could see it at."""

    def __init__(self, host: HostAccess) -> None:
        self.host = host.host
        shown = ', '.join(host.others) or 'none'
        super().__init__(
            f'host {host.host or host.nqn} has no usable address: of its '
            f'addresses ({shown}) none is on a network that '
            f'{OPTION_NETWORKS} allows')


class AddressLimitExceeded(AccessError):
    """A volume's IP ACL cannot hold the addresses of all its hosts."""

    def __init__(self, host: HostAccess, count: int) -> None:
        self.host = host.host
        self.count = count
        self.limit = model.MAX_IP_ACL
        super().__init__(
            f'host {host.host or host.nqn} cannot be given access: the '
            f'volume would have {count} addresses in its IP ACL and '
            f'{model.MAX_IP_ACL} is the limit; let {OPTION_NETWORKS} name '
            f'only the networks that carry NVMe/TCP')


class BeingMoved(AccessError):
    """The volume is just leaving its cluster."""

    def __init__(self, volume: model.Volume) -> None:
        super().__init__(
            f'volume {volume.name} is being moved to another cluster; ask '
            f'again when that has ended')


@dataclasses.dataclass(frozen=True, slots=True)
class HostAccess:
    """A host, as the access lists know it.

    :param addresses: what to put in the IP ACL, normalised.
    :param host: its name, for messages.
    :param others: its addresses outside the chosen networks. They are never
        added, but one that is in the IP ACL since the networks were chosen
        differently is still this host's.
    :raises InvalidHost: the NQN is malformed (or is a keyword of the ACL).
    """

    nqn: str
    addresses: tuple[str, ...]
    host: str = ''
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NQN.fullmatch(self.nqn):
            raise InvalidHost('nqn', self.nqn)

    @classmethod
    def of(cls, nqn: str, host_ips: Iterable[str],
           networks: Iterable[Network], host: str = '') -> HostAccess:
        """Make one from a connector's fields.

        :param networks: the option ``lightbits_data_networks``; none means
            every address.
        :raises InvalidHost: NQN or an address is malformed.
        """
        every = select_addresses(host_ips, ())
        chosen = _within(every, tuple(networks))
        return cls(nqn, chosen, host,
                   tuple(one for one in every if one not in chosen))

    @property
    def owned(self) -> frozenset[str]:
        """All addresses that are this host's."""
        return frozenset(self.addresses) | frozenset(self.others)


def select_addresses(host_ips: Iterable[str],
                     networks: Iterable[Network]) -> tuple[str, ...]:
    """Normalise the addresses of a host and pick those that matter.

    Loopback, link-local, multicast and unspecified addresses are dropped, a
    zone id is cut off, an IPv4 address inside an IPv6 one is taken out.

    :param networks: keep addresses on these; none means all.
    :returns: IPv4 first, then IPv6, each in numerical order, without
        duplicates.
    :raises InvalidHost: an address is malformed.
    """
    found = {_address(text) for text in host_ips}
    usable = sorted((one for one in found if _routable(one)),
                    key=lambda one: (one.version, int(one)))
    return _within(tuple(str(one) for one in usable), tuple(networks))


def _address(text: str) -> Address:
    try:
        parsed = ipaddress.ip_address(text.strip().partition('%')[0])
    except ValueError:
        raise InvalidHost('host_ips', text) from None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return parsed.ipv4_mapped
    return parsed


def _routable(address: Address) -> bool:
    return not (address.is_loopback or address.is_link_local
                or address.is_multicast or address.is_unspecified)


def _within(addresses: tuple[str, ...],
            networks: tuple[Network, ...]) -> tuple[str, ...]:
    if not networks:
        return addresses
    return tuple(
        text for text in addresses
        if any(ipaddress.ip_address(text) in network
               for network in networks))


def _owners(hosts: Iterable[HostAccess]) -> dict[str, frozenset[str]]:
    """:returns: the addresses of hosts by NQN."""
    owners: dict[str, frozenset[str]] = {}
    for host in hosts:
        owners[host.nqn] = owners.get(host.nqn, _NOBODY) | host.owned
    return owners


def _unaccounted(acl: frozenset[str], ip_acl: frozenset[str],
                 owners: dict[str, frozenset[str]]) -> bool:
    """Whether somebody in the ACL gets in by addresses we do not know."""
    return any(not owners.get(nqn, _NOBODY) & ip_acl for nqn in acl)


def _change(volume: model.Volume, acl: frozenset[str],
            ip_acl: frozenset[str]) -> model.VolumeChange | None:
    if acl == volume.acl and ip_acl == volume.ip_acl:
        return None
    return model.VolumeChange(acl=acl, ip_acl=ip_acl)


def grant(volume: model.Volume, host: HostAccess,
          attached: Sequence[HostAccess],
          use_ip_acl: bool) -> model.VolumeChange | None:
    """Give a host access to a volume.

    :param attached: the hosts that have the volume attached; `host` may be
        one of them.
    :param use_ip_acl: False leaves the IP ACL open to any address.
    :returns: the edit, None when all is as wanted.
    :raises BeingMoved: nobody is admitted any more where it is.
    :raises NoUsableAddress: the host has no address for the IP ACL.
    :raises AddressLimitExceeded: the addresses of all do not fit.
    """
    stays(volume)
    acl = volume.acl
    if model.ALLOW_ANY not in acl:
        acl |= {host.nqn}
    if not use_ip_acl:
        return _change(volume, acl, _ANYONE)
    if not host.addresses:
        raise NoUsableAddress(host)
    ip_acl = _ip_acl_with(volume.ip_acl, acl, host, attached)
    if ip_acl != volume.ip_acl and len(ip_acl) > model.MAX_IP_ACL:
        raise AddressLimitExceeded(host, len(ip_acl))
    return _change(volume, acl, ip_acl)


def stays(volume: model.Volume) -> None:
    """See that a volume is not just leaving its cluster.

    :raises BeingMoved: it is.
    """
    if MOVING in volume.acl:
        raise BeingMoved(volume)


def _ip_acl_with(present: frozenset[str], acl: frozenset[str],
                 host: HostAccess,
                 attached: Sequence[HostAccess]) -> frozenset[str]:
    """The IP ACL after `host` came; see the rules of this module."""
    here = [one for one in (*attached, host) if one.nqn in acl]
    if model.ALLOW_ANY in present:
        wanted = frozenset(address for one in here
                           for address in one.addresses)
        unknown = _unaccounted(acl, wanted, _owners(here))
        return _ANYONE if unknown else wanted
    wanted = present | frozenset(host.addresses)
    if _unaccounted(acl, wanted, _owners(here)):
        return wanted
    # Somebody attached but not in the ACL is leaving or coming right now.
    everybody = frozenset[str]().union(
        *(one.owned for one in (*attached, host)))
    return wanted & everybody


def revoke(volume: model.Volume, host: HostAccess,
           remaining: Sequence[HostAccess],
           use_ip_acl: bool) -> model.VolumeChange | None:
    """Take a host's access to a volume away.

    :param remaining: the hosts that keep the volume attached. When `host`
        is one of them (it has the volume twice) nothing is taken away.
    :returns: the edit, None when all is as wanted.
    """
    if model.ALLOW_ANY in volume.acl or any(
            one.nqn == host.nqn for one in remaining):
        return None
    acl = volume.acl - {host.nqn}
    if not acl - {MOVING}:
        # One that is closed stays as its move has left it: any other change
        # would tell that somebody came.
        return _change(volume, acl, _NOBODY)
    if not use_ip_acl:
        return _change(volume, acl, _ANYONE)
    here = [one for one in remaining if one.nqn in acl]
    if (model.ALLOW_ANY in volume.ip_acl
            or _unaccounted(acl, volume.ip_acl, _owners(here))):
        return _change(volume, acl, volume.ip_acl)
    everybody = frozenset[str]().union(*(one.owned for one in remaining))
    return _change(volume, acl, volume.ip_acl & everybody)


def absent(volume: model.Volume, host: HostAccess) -> bool:
    """Whether a host has no access to a volume."""
    return not volume.acl & {host.nqn, model.ALLOW_ANY}


def conform(volume: model.Volume, hosts: Sequence[HostAccess],
            perhaps: Sequence[HostAccess],
            use_ip_acl: bool) -> model.VolumeChange | None:
    """Make the access lists what attachments say, whoever is there.

    Unlike `grant` and `revoke` it needs all attachments to be known and
    trusted, and so also closes what is open to any host or address.

    :param hosts: those that must have access.
    :param perhaps: those that come or go just now: they keep what they have.
    :returns: the edit, None when all is as wanted.
    :raises NoUsableAddress: a host has no address for the IP ACL.
    :raises AddressLimitExceeded: the addresses of all do not fit.
    """
    leaving = volume.acl & {one.nqn for one in perhaps}
    acl = frozenset(one.nqn for one in hosts) | leaving
    if not acl:
        return _change(volume, acl, _NOBODY)
    if not use_ip_acl:
        return _change(volume, acl, _ANYONE)
    for one in hosts:
        if not one.addresses:
            raise NoUsableAddress(one)
    if model.ALLOW_ANY in volume.ip_acl:
        kept = _union(one.addresses for one in perhaps
                      if one.nqn in leaving)
    else:
        kept = volume.ip_acl & _union(one.owned for one in (*hosts, *perhaps))
    ip_acl = kept | _union(one.addresses for one in hosts)
    if len(ip_acl) > max(model.MAX_IP_ACL, len(volume.ip_acl)):
        raise AddressLimitExceeded((*hosts, *perhaps)[0], len(ip_acl))
    return _change(volume, acl, ip_acl)


def readdress(volume: model.Volume, host: HostAccess, old: frozenset[str],
              others: Sequence[HostAccess], use_ip_acl: bool
              ) -> model.VolumeChange | None:
    """Give a host that has access its new addresses, and take the old.

    :param host: with its new addresses.
    :param old: addresses that it had; those that it or another attached host
        has stay. Empty to take none away.
    :param others: the other attached hosts.
    :returns: the edit, None when all is as wanted: also where the host has
        no access, or addresses do not matter.
    :raises NoUsableAddress: the host has no address for the IP ACL.
    :raises AddressLimitExceeded: the addresses of all do not fit.
    """
    if (not use_ip_acl or model.ALLOW_ANY in volume.ip_acl
            or host.nqn not in volume.acl):
        return None
    if not host.addresses:
        raise NoUsableAddress(host)
    gone = old - host.owned - _union(one.owned for one in others)
    ip_acl = (volume.ip_acl - gone) | frozenset(host.addresses)
    if ip_acl != volume.ip_acl and len(ip_acl) > model.MAX_IP_ACL:
        raise AddressLimitExceeded(host, len(ip_acl))
    return _change(volume, volume.acl, ip_acl)


def _union(parts: Iterable[Iterable[str]]) -> frozenset[str]:
    return frozenset(item for part in parts for item in part)


def revoke_all(volume: model.Volume) -> model.VolumeChange | None:
    """Take everybody's access away, whoever gave it.

    A volume that is being moved stays closed.

    :returns: the edit, None when nobody has access.
    """
    return _change(volume, volume.acl & {MOVING}, _NOBODY)


def close(volume: model.Volume) -> model.VolumeChange | None:
    """Keep everybody out of a volume that leaves.

    :returns: the edit, None when it is closed.
    """
    return _change(volume, frozenset({MOVING}), _NOBODY)


def reopen(volume: model.Volume) -> model.VolumeChange | None:
    """Let a volume that stays be attached again; no seal is left.

    :returns: the edit, None when it is not closed.
    """
    return _change(volume, volume.acl - {MOVING}, volume.ip_acl - {SEAL})


def seal(volume: model.Volume) -> model.VolumeChange | None:
    """Have it be seen later whether anybody had access meanwhile.

    :param volume: one that nobody has access to.
    :returns: the edit, None when it is sealed.
    """
    return _change(volume, volume.acl, frozenset({SEAL}))


def sealed(volume: model.Volume) -> bool:
    """Whether nobody has, or had, access to a volume since it was sealed."""
    return not volume.acl and volume.ip_acl == {SEAL}
