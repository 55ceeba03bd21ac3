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

"""Options of the simulator and of one cluster, parsed once and frozen."""

from __future__ import annotations

import collections.abc
import dataclasses
import ipaddress
import random
import re
import typing
import uuid as uuidlib

from tests.simulator import errors
from tests.simulator import switches

TIB = 1 << 40
# Nodes a cluster has at one time.
MAX_NODES = 16
DATA_PLANES = ('none', 'sparse', 'nvmet')

_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]{0,62}')
_PROJECT = re.compile(r'[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?')

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Delays:
    """How long each kind of change takes, as (least, most) seconds.

    0 means that the reply already shows the final state.
    """

    create: Range = (0.0, 0.0)
    update: Range = (0.0, 0.0)
    delete: Range = (0.0, 0.0)
    rollback: Range = (0.0, 0.0)
    snapshot_create: Range = (0.0, 0.0)
    snapshot_delete: Range = (0.0, 0.0)
    node_start: Range = (0.0, 0.0)
    project_drain: Range = (0.0, 0.0)
    connected_hosts: Range = (0.0, 0.0)

    def draw(self, kind: str, rng: random.Random) -> float:
        """Return the seconds one change of `kind` takes."""
        least, most = typing.cast(Range, getattr(self, kind))
        return least if least == most else rng.uniform(least, most)

    def replaced(self, values: collections.abc.Mapping[str, object]) -> Delays:
        """Return the delays with `values` set: seconds, or [least, most].

        :raises ControlError: an unknown kind or a value that is no delay.
        """
        known = [item.name for item in dataclasses.fields(self)]
        changes: dict[str, Range] = {}
        for kind, value in values.items():
            if kind not in known:
                raise errors.ControlError(
                    f'unknown delay {kind!r}; known are: {", ".join(known)}'
                )
            changes[kind] = _parse_range(kind, value)
        return dataclasses.replace(self, **changes)


def _parse_range(kind: str, value: object) -> Range:
    ends = value if isinstance(value, list | tuple) else [value, value]
    numbers = [
        float(end)
        for end in ends
        if isinstance(end, int | float) and not isinstance(end, bool)
    ]
    if len(numbers) != 2 or len(ends) != 2:
        raise errors.ControlError(
            f'delay {kind}: {value!r} is neither seconds nor [least, most]'
        )
    least, most = numbers
    if not 0 <= least <= most:
        raise errors.ControlError(
            f'delay {kind}: {value!r} is not 0 <= least <= most'
        )
    return least, most


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterOptions:
    """What one cluster is made of."""

    name: str
    nodes: int = 3
    # Address all API endpoints listen on.
    listen: str = '127.0.0.1'
    # "san": names and addresses in the certificate; "stock": only the
    # common name api.service, as installations come.
    cert: str = 'san'
    # Effective bytes of the whole cluster, evenly over its nodes.
    capacity: int = 48 * TIB
    projects: tuple[str, ...] = ('default',)
    data_plane: str = 'none'
    # Entries the request journal keeps; 0 keeps none.
    journal: int = 0
    # First of the API ports, one a node; 0 takes free ones.
    base_port: int = 0
    uuid: str | None = None
    # Provisioned over effective bytes above which nothing fits; 0 is none.
    overprovision_limit: float = 0.0
    # Share of a node's effective bytes at which it turns read-only.
    read_only_at: float = 0.9
    # How far compressible data shrinks.
    compression_ratio: float = 2.0
    # One a node; by default each server is its own.
    failure_domains: tuple[str, ...] = ()
    # One a node, for data and discovery; loopback addresses by default.
    data_addresses: tuple[str, ...] = ()
    switches: switches.Switches = switches.Switches()
    delays: Delays = Delays()

    def __post_init__(self) -> None:
        for check in (_check_names, _check_numbers, _check_lists):
            check(self)

    @classmethod
    def from_json(
        cls, values: collections.abc.Mapping[str, object]
    ) -> ClusterOptions:
        """Parse what the control API was sent.

        :raises ControlError: naming the option at fault.
        """
        rest = dict(values)
        settings = _mapping(rest.pop('switches', {}), 'switches')
        if 'version' in rest:
            settings = {**settings, 'version': rest.pop('version')}
        delays = _mapping(rest.pop('delays', {}), 'delays')
        parsed: dict[str, typing.Any] = {
            name: _parse_option(name, value) for name, value in rest.items()
        }
        if 'name' not in parsed:
            raise errors.ControlError('option name is required')
        return cls(
            switches=switches.Switches().replaced(settings),
            delays=Delays().replaced(delays),
            **parsed,
        )


_KINDS: dict[str, type] = {
    'name': str,
    'nodes': int,
    'listen': str,
    'cert': str,
    'capacity': int,
    'projects': tuple,
    'data_plane': str,
    'journal': int,
    'base_port': int,
    'uuid': str,
    'overprovision_limit': float,
    'read_only_at': float,
    'compression_ratio': float,
    'failure_domains': tuple,
    'data_addresses': tuple,
}


_OTHERS = ('switches', 'delays', 'version')


def _parse_option(
    name: str,
    value: object,
    kinds: collections.abc.Mapping[str, type] = _KINDS,
    others: tuple[str, ...] = _OTHERS,
) -> object:
    kind = kinds.get(name)
    if kind is None:
        raise errors.ControlError(
            f'unknown option {name!r}; known are: '
            + ', '.join([*kinds, *others])
        )
    if kind is tuple and isinstance(value, list | tuple):
        return tuple(str(item) for item in value)
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise errors.ControlError(
            f'option {name}: {value!r} is not a {kind.__name__}'
        )
    return value


def _mapping(value: object, name: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise errors.ControlError(f'option {name}: {value!r} is no object')
    return value


def _refuse(condition: bool, message: str) -> None:
    if condition:
        raise errors.ControlError(message)


def _check_names(options: ClusterOptions) -> None:
    _refuse(
        not _NAME.fullmatch(options.name),
        f'option name: {options.name!r} is no cluster name',
    )
    for project in options.projects:
        _refuse(
            not _PROJECT.fullmatch(project) or project == 'system',
            f'option projects: {project!r} is no project name',
        )
    _refuse(
        options.cert not in ('san', 'stock'),
        f'option cert: {options.cert!r} is neither san nor stock',
    )
    _refuse(
        options.data_plane not in DATA_PLANES,
        f'option data_plane: {options.data_plane!r} is none of '
        + ', '.join(DATA_PLANES),
    )
    if options.uuid is not None:
        parse_uuid(options.uuid)


def parse_uuid(text: str) -> str:
    """Return `text` as a lower-case UUID, or raise ControlError."""
    try:
        return str(uuidlib.UUID(text))
    except ValueError as err:
        raise errors.ControlError(f'{text!r} is no UUID') from err


def _check_numbers(options: ClusterOptions) -> None:
    _refuse(
        not 1 <= options.nodes <= MAX_NODES,
        f'option nodes: {options.nodes} is not 1 to {MAX_NODES}',
    )
    for name in ('capacity', 'read_only_at', 'compression_ratio'):
        _refuse(getattr(options, name) <= 0, f'option {name} is not above 0')
    for name in ('journal', 'base_port', 'overprovision_limit'):
        _refuse(getattr(options, name) < 0, f'option {name} is below 0')


def _check_lists(options: ClusterOptions) -> None:
    for name in ('failure_domains', 'data_addresses'):
        values = getattr(options, name)
        _refuse(
            bool(values) and len(values) != options.nodes,
            f'option {name}: one is needed for each of the '
            f'{options.nodes} nodes',
        )


_ADDRESS_KINDS: dict[str, type] = {'data_address': str, 'port': int}
_NODE_KINDS: dict[str, type] = {
    **_ADDRESS_KINDS,
    'failure_domain': str,
    'capacity': int,
}


@dataclasses.dataclass(frozen=True, slots=True)
class NodeOptions:
    """What one node is made of; each has a default."""

    # Its server's name by default.
    failure_domain: str | None = None
    # For data and discovery; a loopback address of its own by default.
    data_address: str | None = None
    # Effective bytes; by default what a first node has.
    capacity: int | None = None
    # Of its API; by default the next one from `base_port` on, or a free
    # one. 0 is a free one.
    port: int | None = None

    def __post_init__(self) -> None:
        _refuse(self.failure_domain == '', 'option failure_domain is empty')
        _refuse(
            self.capacity is not None and self.capacity <= 0,
            'option capacity is not above 0',
        )
        _refuse(
            self.port is not None and not 0 <= self.port < 1 << 16,
            f'option port: {self.port} is not 0 to 65535',
        )

    @classmethod
    def from_json(
        cls,
        values: collections.abc.Mapping[str, object],
        *,
        addresses: bool = False,
    ) -> NodeOptions:
        """Parse what the control API was sent.

        :param addresses: whether nothing but addresses may be given.
        :raises ControlError: naming the option at fault.
        """
        kinds = _ADDRESS_KINDS if addresses else _NODE_KINDS
        parsed: dict[str, typing.Any] = {
            name: _parse_option(name, value, kinds, ())
            for name, value in values.items()
        }
        if 'data_address' in parsed:
            parsed['data_address'] = _parse_address(parsed['data_address'])
        return cls(**parsed)


def _parse_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as err:
        raise errors.ControlError(
            f'option data_address: {text!r} is no IP address'
        ) from err


def first_nodes(options: ClusterOptions) -> list[NodeOptions]:
    """Return the nodes a cluster is made with."""
    nothing = (None,) * options.nodes
    return [
        NodeOptions(failure_domain=domain, data_address=address)
        for domain, address in zip(
            options.failure_domains or nothing,
            options.data_addresses or nothing,
            strict=True,
        )
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """What all clusters of one process share."""

    state_dir: str
    control_port: int
    # Of UUIDs and random delays.
    seed: int
