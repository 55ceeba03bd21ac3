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

"""What the management API v2 is asked for."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from cinder_lightbits_federation.lightbits import states


@dataclasses.dataclass(frozen=True, slots=True)
class PlacementRestriction:
    """A label that the nodes of a single-replica volume must carry."""

    key: str
    value: str


@dataclasses.dataclass(frozen=True, slots=True)
class NewVolume:
    """A create request. Size in bytes; access starts as ALLOW_NONE."""

    name: str
    size: int
    replicas: int
    compression: bool = False
    sector_size: states.SectorSize | None = None
    source_snapshot_uuid: str | None = None
    qos_policy_uuid: str | None = None
    qos_policy_name: str | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    restrictions: tuple[PlacementRestriction, ...] = ()
    acl: frozenset[str] = frozenset()
    ip_acl: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class VolumeChange:
    """What an update changes; None leaves a field as it is.

    :param size: bytes.
    :param labels: the whole new set.
    :param shrink: the size may be smaller than it is; what is beyond is lost.
    """

    acl: frozenset[str] | None = None
    ip_acl: frozenset[str] | None = None
    size: int | None = None
    compression: bool | None = None
    qos_policy_uuid: str | None = None
    qos_policy_name: str | None = None
    labels: Mapping[str, str] | None = None
    new_name: str | None = None
    shrink: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class NewSnapshot:
    """A snapshot request.

    :param retention: seconds after which the cluster removes it itself.
    :param description: at most 256 bytes.
    """

    name: str
    source_volume_uuid: str
    description: str = ''
    retention: int | None = None
