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

"""What clients ask for about volumes and snapshots, parsed and frozen."""

from __future__ import annotations

import dataclasses
import typing

from tests.simulator import errors
from tests.simulator import model
from tests.simulator import switches
from tests.simulator import validate


@dataclasses.dataclass(frozen=True, slots=True)
class CreateVolume:
    """A create call. Sizes are bytes; None and "" mean not given."""

    name: str
    size: int
    acl: tuple[str, ...]
    ip_acl: tuple[str, ...]
    replicas: int
    compression: bool | None
    sector_size: int | None
    source_uuid: str
    source_name: str
    policy_uuid: str
    policy_name: str
    placement: tuple[dict[str, typing.Any], ...]
    labels: model.Labels | None


def create_volume(
    fields: validate.Fields, rules: switches.Switches
) -> CreateVolume:
    """Parse a create call.

    :raises ApiError: 400 naming the field.
    """
    name = validate.name(fields)
    size = validate.size(fields, rules)
    acl = validate.acl(fields, rules)
    replicas = fields.number('replicaCount')
    if size is None or acl is None or replicas is None:
        missing = 'size' if size is None else 'acl'
        if size is not None and acl is not None:
            missing = 'replicaCount'
        raise errors.invalid(f'field {missing} must be provided')
    return CreateVolume(
        name=name,
        size=size,
        acl=acl,
        ip_acl=validate.ip_acl(fields, rules) or (model.ALLOW_ANY,),
        replicas=replicas,
        compression=validate.compression(fields),
        sector_size=validate.sector_size(fields),
        source_uuid=_uuid(fields, 'sourceSnapshotUUID'),
        source_name=fields.text('sourceSnapshotName') or '',
        policy_uuid=_uuid(fields, 'qosPolicyUUID'),
        policy_name=fields.text('qosPolicyName') or '',
        placement=validate.restrictions(fields, replicas),
        labels=validate.labels(fields, rules),
    )


def _uuid(fields: validate.Fields, name: str) -> str:
    text = fields.text(name)
    return validate.uuid(text) if text else ''


@dataclasses.dataclass(frozen=True, slots=True)
class UpdateVolume:
    """An update call; None and "" mean unchanged."""

    size: int | None
    force: bool
    acl: tuple[str, ...] | None
    ip_acl: tuple[str, ...] | None
    compression: bool | None
    policy_uuid: str
    policy_name: str
    labels: model.Labels | None
    new_name: str

    @property
    def empty(self) -> bool:
        """Whether nothing is to change."""
        optional = (self.size, self.acl, self.ip_acl, self.compression)
        named = (self.policy_uuid, self.policy_name, self.new_name)
        unset = all(value is None for value in (*optional, self.labels))
        return unset and not any(named)


def update_volume(
    fields: validate.Fields, rules: switches.Switches
) -> UpdateVolume:
    """Parse an update call.

    :raises ApiError: 400 naming the field.
    """
    return UpdateVolume(
        size=validate.size(fields, rules),
        force=fields.flag('Force'),
        acl=validate.acl(fields, rules),
        ip_acl=validate.ip_acl(fields, rules),
        compression=validate.compression(fields),
        policy_uuid=_uuid(fields, 'qosPolicyUUID'),
        policy_name=fields.text('qosPolicyName') or '',
        labels=validate.labels(fields, rules),
        new_name=_new_name(fields, rules),
    )


def _new_name(fields: validate.Fields, rules: switches.Switches) -> str:
    if not fields.text('newName'):
        return ''
    if rules.has(3, 16):
        return validate.name(fields, 'newName')
    if rules.old_new_name == '400':
        raise errors.invalid('field newName is not known to this release')
    return ''


@dataclasses.dataclass(frozen=True, slots=True)
class CreateSnapshot:
    """A create call. `retention` is in seconds, 0 for ever."""

    name: str
    source_uuid: str
    source_name: str
    retention: float
    description: str


def create_snapshot(fields: validate.Fields) -> CreateSnapshot:
    """Parse a create call.

    :raises ApiError: 400 naming the field.
    """
    request = CreateSnapshot(
        name=validate.name(fields),
        source_uuid=_uuid(fields, 'sourceVolumeUUID'),
        source_name=fields.text('sourceVolumeName') or '',
        retention=validate.duration(fields, 'retentionTime'),
        description=validate.description(fields),
    )
    if not (request.source_uuid or request.source_name):
        raise errors.invalid('field sourceVolumeUUID must be provided')
    return request
