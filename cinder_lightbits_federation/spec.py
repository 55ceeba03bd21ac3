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

"""Extra specs of a volume type, as one frozen value.

The keys of the in-tree driver keep their meaning. One table, `SPEC_HELP`,
says how each key is read and what the backend publishes about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import re
from typing import Any

from cinder_lightbits_federation.lightbits import model

PREFIX = 'lightos:'
COMPRESSION = 'compression'
NUM_REPLICAS = 'lightos:num_replicas'
PROJECT_NAME = 'lightos:project_name'
QOS_POLICY = 'lightos:qos_policy'
CLUSTER = 'lightos:cluster'
FAILURE_DOMAIN = 'lightos:failure_domain'
PRIMARY_FAILURE_DOMAIN = 'lightos:primary_failure_domain'
SPREAD_GROUP = 'lightos:spread_group'
SECTOR_SIZE = 'lightos:sector_size'

MIN_REPLICAS = 1
MAX_REPLICAS = 3

_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_PROJECT = re.compile(r'[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?')
_LABEL = re.compile(r'[A-Za-z0-9._-]{1,253}')
_POLICY = re.compile(r'[^\x00-\x1f\x7f]{1,253}')
_WORD = re.compile(r'[a-z]+')

_SECTORS = {'512': model.SectorSize.B512, '512b': model.SectorSize.B512,
            '4096': model.SectorSize.B4096, '4k': model.SectorSize.B4096}


class InvalidSpec(ValueError):
    """An extra spec of a volume type cannot be honoured.

    :param key: the extra spec.
    :param value: what it is set to.
    :param why: what is wrong with it.
    """

    def __init__(self, key: str, value: str, why: str) -> None:
        self.key = key
        self.value = value
        self.why = why
        super().__init__(f'extra spec {key}={value!r}: {why}')


def is_uuid(text: str) -> bool:
    """Whether a reference is a UUID rather than a name (any case)."""
    return _UUID.fullmatch(text.lower()) is not None


def _reference(text: str) -> str:
    """UUIDs in lower case as clusters report them, names as they are."""
    return text.lower() if is_uuid(text) else text


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterPin:
    """Which clusters a volume type wants and which it avoids.

    Both sets hold names and UUIDs; an empty `included` means any cluster.
    """

    included: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()

    def admits(self, uuid: str, name: str) -> bool:
        """Whether a cluster may be used."""
        known_as = {uuid, name}
        return (not known_as & self.excluded
                and (not self.included or bool(known_as & self.included)))


@dataclasses.dataclass(frozen=True, slots=True)
class VolumeSpec:
    """What a volume type asks for; None is left to the backend's default.

    :param qos_policy: UUID (lower case) or name; see `is_uuid`.
    """

    replicas: int | None = None
    compression: bool | None = None
    project: str | None = None
    qos_policy: str | None = None
    clusters: ClusterPin = ClusterPin()
    failure_domain: str | None = None
    primary_failure_domain: str | None = None
    spread_group: str | None = None
    sector_size: model.SectorSize | None = None

    @classmethod
    def from_extra_specs(
            cls, extra_specs: Mapping[str, str | None]) -> VolumeSpec:
        """Read the extra specs of a volume type.

        A key without a value says nothing. Keys of other vendors and of
        Cinder itself are left alone.

        :raises InvalidSpec: a value cannot be honoured, or a key with our
            prefix is not one of ours.
        """
        fields: dict[str, Any] = {}
        for key, value in extra_specs.items():
            entry = _BY_KEY.get(key)
            if entry is None:
                _refuse_unknown(key, value)
            elif value is not None and value.strip():
                fields[entry.field] = entry.parse(key, value.strip())
        spec = cls(**fields)
        if spec.replicas is not None:
            spec.replica_count(spec.replicas)
        return spec

    def replica_count(self, default: int) -> int:
        """How many replicas a volume gets.

        :param default: the backend's replica count.
        :raises InvalidSpec: a failure domain is asked for and there would be
            more than one replica; the array places only single ones.
        """
        count = default if self.replicas is None else self.replicas
        for key, value in self._domains():
            if count > 1:
                raise InvalidSpec(
                    key, value, f'needs a single replica, not {count}: set '
                    f'{NUM_REPLICAS}=1')
        return count

    def restrictions(self) -> tuple[model.PlacementRestriction, ...]:
        """:returns: the failure domains, as a create request has them."""
        names = {FAILURE_DOMAIN: 'FD', PRIMARY_FAILURE_DOMAIN: 'PrimaryFD'}
        return tuple(model.PlacementRestriction(names[key], value)
                     for key, value in self._domains())

    def domains(self) -> frozenset[str]:
        """:returns: the failure domains a cluster must have."""
        return frozenset(value for _key, value in self._domains())

    def _domains(self) -> tuple[tuple[str, str], ...]:
        pairs = ((FAILURE_DOMAIN, self.failure_domain),
                 (PRIMARY_FAILURE_DOMAIN, self.primary_failure_domain))
        return tuple((key, value) for key, value in pairs
                     if value is not None)


def _refuse_unknown(key: str, value: str | None) -> None:
    """A misspelt key must not be ignored in silence."""
    if key.startswith(PREFIX):
        known = ', '.join(sorted(_BY_KEY))
        raise InvalidSpec(key, value or '', f'unknown key; known: {known}')


def _boolean(key: str, value: str) -> bool:
    """Read ``true``, ``<is> True`` and the like, as the in-tree driver."""
    words = _WORD.findall(value.lower())
    if 'true' in words:
        return True
    if 'false' in words:
        return False
    raise InvalidSpec(key, value, "expected '<is> True' or '<is> False'")


def _replicas(key: str, value: str) -> int:
    if value not in {str(count) for count
                     in range(MIN_REPLICAS, MAX_REPLICAS + 1)}:
        raise InvalidSpec(key, value, f'expected a number from '
                          f'{MIN_REPLICAS} to {MAX_REPLICAS}')
    return int(value)


def _project(key: str, value: str) -> str:
    if not _PROJECT.fullmatch(value):
        raise InvalidSpec(key, value, 'not a project name: 1 to 63 letters, '
                          'digits, dots, dashes and underscores')
    return value


def _policy(key: str, value: str) -> str:
    if not _POLICY.fullmatch(value):
        raise InvalidSpec(key, value, 'not a name or UUID of a policy')
    return _reference(value)


def _label(key: str, value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise InvalidSpec(key, value, 'expected 1 to 253 letters, digits, '
                          'dots, dashes and underscores')
    return value


def _sector_size(key: str, value: str) -> model.SectorSize:
    size = _SECTORS.get(value.lower())
    if size is None:
        raise InvalidSpec(key, value, 'expected 512 or 4096 bytes')
    return size


def _pin(key: str, value: str) -> ClusterPin:
    included: set[str] = set()
    excluded: set[str] = set()
    for item in value.split(','):
        word = item.strip()
        name = word.removeprefix('!').strip()
        if not _LABEL.fullmatch(name):
            raise InvalidSpec(key, value,
                              f'not a name or UUID of a cluster: {name!r}')
        (excluded if word.startswith('!') else included).add(
            _reference(name))
    both = included & excluded
    if both:
        raise InvalidSpec(key, value, f'both wanted and excluded: '
                          f'{", ".join(sorted(both))}')
    return ClusterPin(frozenset(included), frozenset(excluded))


@dataclasses.dataclass(frozen=True, slots=True)
class SpecKey:
    """One extra spec: how it is read and what users are told about it.

    :param field: the field of `VolumeSpec` it fills.
    :param type: the type Cinder publishes: boolean, integer or string.
    :param parse: takes key and value without blanks around it; raises
        `InvalidSpec`.
    :param allowed: the values there are, when they can be listed.
    """

    key: str
    field: str
    type: str
    title: str
    description: str
    parse: Callable[[str, str], object]
    allowed: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None

    @property
    def vendor(self) -> bool:
        """Whether it is ours to publish; Cinder does it for the others."""
        return self.key.startswith(PREFIX)


SPEC_HELP: tuple[SpecKey, ...] = (
    SpecKey(COMPRESSION, 'compression', 'boolean', 'Compression',
            'Compress the volume on the array.', _boolean),
    SpecKey(NUM_REPLICAS, 'replicas', 'integer', 'Number of replicas',
            'Copies of the data inside the cluster.', _replicas,
            minimum=MIN_REPLICAS, maximum=MAX_REPLICAS),
    SpecKey(PROJECT_NAME, 'project', 'string', 'Lightbits project',
            'Project on the cluster that the volume is made in.', _project),
    SpecKey(QOS_POLICY, 'qos_policy', 'string', 'QoS policy',
            'QoS policy of the cluster, by name or by UUID. UUIDs differ '
            'between clusters, a name serves all that have it.', _policy),
    SpecKey(CLUSTER, 'clusters', 'string', 'Clusters',
            'Clusters to choose from, by name or UUID, separated by commas; '
            'a leading ! excludes one.', _pin),
    SpecKey(FAILURE_DOMAIN, 'failure_domain', 'string', 'Failure domain',
            'Failure domain that must hold the volume; single-replica '
            'volumes only.', _label),
    SpecKey(PRIMARY_FAILURE_DOMAIN, 'primary_failure_domain', 'string',
            'Failure domain of the primary',
            'Failure domain that must serve the volume; single-replica '
            'volumes only.', _label),
    SpecKey(SPREAD_GROUP, 'spread_group', 'string', 'Spread group',
            'Volumes that name the same group are spread over clusters.',
            _label),
    SpecKey(SECTOR_SIZE, 'sector_size', 'string', 'Sector size',
            'Logical block size in bytes that hosts see.', _sector_size,
            allowed=('512', '4096', '512B', '4K')),
)

_BY_KEY: Mapping[str, SpecKey] = {entry.key: entry for entry in SPEC_HELP}
