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

"""Connection properties of protocol ``lightos``, for both of their ends.

The Cinder driver writes them, the host side reads them. In between they are
stored as JSON by Cinder and Nova, which add keys of their own. The stock
os-brick connector must understand them, so the keys it reads keep their
names, and everything else stands under one key of ours::

    uuid           the volume's UUID on the cluster
    subsysnqn      NQN of the cluster's subsystem
    lightos_nodes  {address: {transport_type, target_portal, target_port}}
    lightbits      {version, cluster_uuid, cluster_name, nvme_endpoints}

The stock connector pastes these values into a file that the discovery client
reads, and they travel through databases of others, so each is checked against
its grammar before it is used or handed out.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
import ipaddress
import re
from typing import Any

DISCOVERY_PORT = 8009
TCP = 'tcp'
EXTRA_KEY = 'lightbits'
EXTRA_VERSION = 1

# Form of the NVMe base specification, at most 223 bytes.
_NQN = re.compile(r'nqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[A-Za-z0-9.-]+'
                  r'(:[A-Za-z0-9._:+=@~-]+)?')
_MAX_NQN = 223
_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_NAME = re.compile(r'[A-Za-z0-9._-]{0,253}')


class InvalidConnectionProperties(ValueError):
    """Connection properties are malformed.

    :param key: which key.
    :param why: what is wrong with it.
    """

    def __init__(self, key: str, why: str) -> None:
        self.key = key
        self.why = why
        # Both, so that it can be rebuilt on the other side of privsep.
        super().__init__(key, why)

    def __str__(self) -> str:
        return f'connection properties: {self.key}: {self.why}'


def check_nqn(value: object, key: str) -> str:
    """:returns: the NQN, if it is one.

    :raises InvalidConnectionProperties: it is not.
    """
    if (not isinstance(value, str) or len(value) > _MAX_NQN
            or not _NQN.fullmatch(value)):
        raise InvalidConnectionProperties(key, f'not an NQN: {value!r}')
    return value


def check_uuid(value: object, key: str) -> str:
    """:returns: the UUID in canonical form.

    :raises InvalidConnectionProperties: it is not one.
    """
    if not isinstance(value, str) or not _UUID.fullmatch(value.lower()):
        raise InvalidConnectionProperties(key, f'not a UUID: {value!r}')
    return value.lower()


def check_address(value: object, key: str) -> str:
    """:returns: the IP address in canonical form, IPv6 without brackets.

    :raises InvalidConnectionProperties: it is not one; zone ids mean nothing
        on another machine and are refused.
    """
    try:
        if isinstance(value, str) and '%' not in value:
            return canonical_address(value)
    except ValueError:
        pass
    raise InvalidConnectionProperties(key, f'not an IP address: {value!r}')


# Those of a cluster come with each of its volumes.
@functools.lru_cache(maxsize=1024)
def canonical_address(text: str) -> str:
    """:returns: an IP address in canonical form, IPv6 without brackets.

    :raises ValueError: it is none.
    """
    return str(ipaddress.ip_address(text))


def check_port(value: object, key: str) -> int:
    """:returns: the TCP port, which may be given in digits.

    :raises InvalidConnectionProperties: it is not one.
    """
    if isinstance(value, str) and re.fullmatch('[0-9]{1,5}', value):
        value = int(value)
    if (not isinstance(value, int) or isinstance(value, bool)
            or not 0 < value < 65536):
        raise InvalidConnectionProperties(key, f'not a port: {value!r}')
    return value


def split_endpoint(value: object, key: str) -> tuple[str, int]:
    """Read ``192.0.2.11:4420`` or ``[2001:db8::11]:4420``.

    :returns: address in canonical form and port.
    :raises InvalidConnectionProperties: it is of another form.
    """
    if not isinstance(value, str):
        raise InvalidConnectionProperties(key, f'not an endpoint: {value!r}')
    address, colon, port = value.rpartition(':')
    bracketed = address.startswith('[') and address.endswith(']')
    if not colon or (':' in address) != bracketed:
        raise InvalidConnectionProperties(key, f'not an endpoint: {value!r}')
    return (check_address(address[1:-1] if bracketed else address, key),
            check_port(port, key))


def join_endpoint(address: str, port: int) -> str:
    """:returns: the endpoint, an IPv6 address in brackets."""
    return f'[{address}]:{port}' if ':' in address else f'{address}:{port}'


@dataclasses.dataclass(frozen=True, slots=True)
class DiscoveryNode:
    """A discovery service of a cluster.

    :param address: IP address in any form; kept in canonical form.
    :raises InvalidConnectionProperties: a part is malformed.
    """

    address: str
    port: int = DISCOVERY_PORT
    transport: str = TCP

    def __post_init__(self) -> None:
        object.__setattr__(self, 'address',
                           check_address(self.address, 'target_portal'))
        object.__setattr__(self, 'port',
                           check_port(self.port, 'target_port'))
        if self.transport != TCP:
            raise InvalidConnectionProperties(
                'transport_type', f'only {TCP} is known, '
                f'not {self.transport!r}')

    @classmethod
    def at(cls, endpoint: str) -> DiscoveryNode:
        """Make one from a cluster's ``discoveryEndpoints``.

        :raises InvalidConnectionProperties: it is malformed.
        """
        return cls(*split_endpoint(endpoint, 'discoveryEndpoints'))


@dataclasses.dataclass(frozen=True, slots=True)
class VolumeKey:
    """Which volume: all that is needed to find it on a host.

    :raises InvalidConnectionProperties: a part is malformed.
    """

    volume_uuid: str
    subsystem_nqn: str

    def __post_init__(self) -> None:
        object.__setattr__(self, 'volume_uuid',
                           check_uuid(self.volume_uuid, 'uuid'))
        check_nqn(self.subsystem_nqn, 'subsysnqn')

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> VolumeKey:
        """Read it from connection properties, whatever else is in them.

        :raises InvalidConnectionProperties: a key is missing or malformed.
        """
        return cls(_required(data, 'uuid'), _required(data, 'subsysnqn'))

    @property
    def wwid(self) -> str:
        """What the kernel calls the volume."""
        return f'uuid.{self.volume_uuid}'


@dataclasses.dataclass(frozen=True, slots=True)
class ConnectionProperties:
    """All a host needs to attach a volume.

    :param nodes: discovery services, one per address.
    :param cluster_uuid: which cluster it is on; None in properties that the
        in-tree driver wrote.
    :param nvme_endpoints: ``address:port`` of its I/O controllers, for hosts
        that connect without a discovery client.
    :raises InvalidConnectionProperties: a part is malformed.
    """

    volume_uuid: str
    subsystem_nqn: str
    nodes: tuple[DiscoveryNode, ...]
    cluster_uuid: str | None = None
    cluster_name: str = ''
    nvme_endpoints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, 'volume_uuid',
                           check_uuid(self.volume_uuid, 'uuid'))
        check_nqn(self.subsystem_nqn, 'subsysnqn')
        addresses = {node.address for node in self.nodes}
        if not addresses or len(addresses) < len(self.nodes):
            raise InvalidConnectionProperties(
                'lightos_nodes', 'no address, or one of them twice')
        if self.cluster_uuid is not None:
            object.__setattr__(self, 'cluster_uuid',
                               check_uuid(self.cluster_uuid, 'cluster_uuid'))
        if not _NAME.fullmatch(self.cluster_name):
            raise InvalidConnectionProperties(
                'cluster_name', f'not a name: {self.cluster_name!r}')
        object.__setattr__(self, 'nvme_endpoints', tuple(
            join_endpoint(*split_endpoint(endpoint, 'nvme_endpoints'))
            for endpoint in self.nvme_endpoints))

    @property
    def key(self) -> VolumeKey:
        """Which volume it is."""
        return VolumeKey(self.volume_uuid, self.subsystem_nqn)

    def to_dict(self) -> dict[str, Any]:
        """:returns: a new dictionary that survives JSON."""
        data: dict[str, Any] = {
            'uuid': self.volume_uuid,
            'subsysnqn': self.subsystem_nqn,
            'lightos_nodes': {
                node.address: {'transport_type': node.transport,
                               'target_portal': node.address,
                               'target_port': node.port}
                for node in self.nodes}}
        if self.cluster_uuid or self.cluster_name or self.nvme_endpoints:
            data[EXTRA_KEY] = {
                'version': EXTRA_VERSION,
                'cluster_uuid': self.cluster_uuid,
                'cluster_name': self.cluster_name,
                'nvme_endpoints': list(self.nvme_endpoints)}
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ConnectionProperties:
        """Read what `to_dict` or the in-tree driver wrote.

        Keys that others added are left alone, as is `data` itself.

        :raises InvalidConnectionProperties: a key is missing or malformed.
        """
        extra = _mapping(data.get(EXTRA_KEY) or {}, EXTRA_KEY)
        endpoints = extra.get('nvme_endpoints') or ()
        if not isinstance(endpoints, (list, tuple)):
            raise InvalidConnectionProperties('nvme_endpoints', 'not a list')
        name = extra.get('cluster_name') or ''
        if not isinstance(name, str):
            raise InvalidConnectionProperties('cluster_name', 'not a name')
        return cls(
            volume_uuid=_required(data, 'uuid'),
            subsystem_nqn=_required(data, 'subsysnqn'),
            nodes=_nodes(_required(data, 'lightos_nodes')),
            cluster_uuid=extra.get('cluster_uuid'), cluster_name=name,
            nvme_endpoints=tuple(endpoints))


def _required(data: Mapping[str, Any], key: str) -> Any:
    if data.get(key) is None:
        raise InvalidConnectionProperties(key, 'missing')
    return data[key]


def _mapping(value: object, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidConnectionProperties(key, 'not a mapping')
    return value


def _nodes(value: object) -> tuple[DiscoveryNode, ...]:
    entries = (_mapping(entry, 'lightos_nodes') for entry
               in _mapping(value, 'lightos_nodes').values())
    return tuple(
        DiscoveryNode(address=_required(entry, 'target_portal'),
                      port=_required(entry, 'target_port'),
                      transport=_required(entry, 'transport_type'))
        for entry in entries)
