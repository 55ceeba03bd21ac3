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

"""What differs between volumes and snapshots in a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.cli.catalogue import Snapshots
from cinder_lightbits_federation.cli.catalogue import Source
from cinder_lightbits_federation.cli.catalogue import Volumes
from cinder_lightbits_federation.cli.columns import Names
from cinder_lightbits_federation.cli.columns import Size
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import ownership

T = TypeVar('T', bound=model.Volume | model.Snapshot)


class Kind(Generic[T]):
    """What differs between volumes and snapshots in a list."""

    word: str
    short: tuple[str, ...] = ('uuid', 'name', 'cinder_id', 'cluster',
                              'project', 'size', 'state', 'ours')
    # The option that lists what was made of something.
    origin: str
    origin_help: str

    def source(self, show_all: bool, origin: str | None,
               domain: str | None = None) -> Source[T]:
        """:returns: how to read them.

        :param origin: UUID of what they were made of.
        :param domain: failure domain, which only volumes have.
        """
        raise NotImplementedError

    def marks(self, thing: T) -> Mapping[str, str]:
        """:returns: what an object says of its owner."""
        raise NotImplementedError

    def details(self, thing: T) -> dict[str, Any]:
        """:returns: columns that only this kind has."""
        raise NotImplementedError

    def is_record(self, record: Record) -> bool:
        """Whether a record is of this kind."""
        raise NotImplementedError


class VolumeKind(Kind[model.Volume]):
    """Volumes."""

    word = 'volume'
    origin = '--source-snapshot'
    origin_help = ('Only clones of this snapshot: its name, its UUID on the '
                   'cluster, or its ID in Cinder.')

    def source(self, show_all: bool, origin: str | None,
               domain: str | None = None) -> Volumes:
        """See `Kind`."""
        return Volumes(show_all, origin, domain)

    def marks(self, thing: model.Volume) -> Mapping[str, str]:
        """See `Kind`."""
        return thing.labels

    def details(self, thing: model.Volume) -> dict[str, Any]:
        """See `Kind`."""
        return {
            'protection': thing.protection.value,
            'acl': Names(sorted(thing.acl)),
            'ip_acl': Names(sorted(thing.ip_acl)),
            'connected_hosts': Names(thing.connected_hosts),
            'source_snapshot_uuid': thing.source_snapshot_uuid,
            'qos_policy': thing.qos_policy_name or thing.qos_policy_uuid,
            'nsid': thing.nsid, 'logical_used': Size(thing.logical_used)}

    def is_record(self, record: Record) -> bool:
        """See `Kind`."""
        return isinstance(record, VolumeRecord)


class SnapshotKind(Kind[model.Snapshot]):
    """Snapshots."""

    word = 'snapshot'
    short = ('uuid', 'name', 'cinder_id', 'cluster', 'project', 'size',
             'state', 'ours', 'source_volume_uuid')
    origin = '--source-volume'
    origin_help = ('Only snapshots of this volume: its name, its UUID on the '
                   'cluster, or its ID in Cinder.')

    def source(self, show_all: bool, origin: str | None,
               domain: str | None = None) -> Snapshots:
        """See `Kind`."""
        return Snapshots(show_all, origin)

    def marks(self, thing: model.Snapshot) -> Mapping[str, str]:
        """See `Kind`: its labels are those of its volume."""
        return ownership.read_description(thing.description)

    def details(self, thing: model.Snapshot) -> dict[str, Any]:
        """See `Kind`."""
        return {
            'source_volume_uuid': thing.source_volume_uuid,
            'source_volume_name': thing.source_volume_name,
            'description': thing.description,
            'retention': thing.retention}

    def is_record(self, record: Record) -> bool:
        """See `Kind`."""
        return not isinstance(record, VolumeRecord)
