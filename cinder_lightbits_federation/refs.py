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

"""What the adapter hands to the federation: references and requests."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Final, NamedTuple, Protocol

from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation.ownership import Tenant
from cinder_lightbits_federation.placement import Decision
from cinder_lightbits_federation.reservations import Member
from cinder_lightbits_federation.spec import VolumeSpec


class Recorder(Protocol):
    """Writes locations to the record of one object, durably."""

    def record(self, location: Location) -> None:
        """Replace the recorded location if nobody else changed it.

        :raises RecordLost: somebody did, or the record is gone.
        """


class _NotRecorded:
    """For what has no record of Cinder; a job says where it is."""

    def record(self, location: Location) -> None:
        """Do nothing."""


NOT_RECORDED: Final[Recorder] = _NotRecorded()


@dataclasses.dataclass(frozen=True, slots=True)
class VolumeRef:
    """A volume of Cinder.

    :param name: its name on the array, after Cinder's template.
    :param name_id: the record its data belongs to.
    :param project: project to search when there is no location.
    :param location: what is recorded *for this record*, else None.
    :param tenant: whose it is, if that is to be written on what is made.
    """

    name: str
    name_id: str
    project: str
    location: Location | None = None
    tenant: Tenant | None = None

    @property
    def cluster_uuid(self) -> str:
        """UUID of the cluster that is recorded, empty if none is."""
        return self.location.cluster_uuid if self.location else ''


@dataclasses.dataclass(frozen=True, slots=True)
class SnapshotRef:
    """A snapshot of Cinder and the volume it was taken of; see `VolumeRef`."""

    name: str
    snapshot_id: str
    volume: VolumeRef
    location: Location | None = None
    tenant: Tenant | None = None


class Spread(NamedTuple):
    """The volumes of a spread group.

    :param counts: how many there are by cluster UUID, the new one left out.
    :param member: the new one; None when there is no group.
    """

    counts: Mapping[str, int]
    member: Member | None


ALONE: Final = Spread({}, None)


@dataclasses.dataclass(frozen=True, slots=True)
class CreateRequest:
    """What a new volume shall be.

    :param size: bytes.
    :param only: UUID of the cluster it must go to (a pool), or None.
    :param exclude: cluster UUIDs it must not go to, and why.
    :param spread: the others of its spread group.
    """

    ref: VolumeRef
    size: int
    spec: VolumeSpec
    recorder: Recorder
    only: str | None = None
    exclude: Mapping[str, str] = dataclasses.field(default_factory=dict)
    spread: Spread = ALONE


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """What a new volume starts from: a snapshot on some cluster."""

    cluster_uuid: str
    snapshot: model.Snapshot


@dataclasses.dataclass(frozen=True, slots=True)
class Created:
    """A finished create: where, what, and why there."""

    location: Location
    volume: model.Volume
    cluster: str
    decision: Decision | None
