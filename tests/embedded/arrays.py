#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""What the simulated clusters hold, as the invariant checker sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses
from typing import Any

NOBODY = 'ALLOW_NONE'
ANYBODY = 'ALLOW_ANY'

Labels = tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ArrayVolume:
    """A volume of a cluster.

    :ivar size: bytes.
    :ivar etag: changes with every write, so equal values with equal ETags
        were not touched in between.
    """

    uuid: str
    name: str
    project: str
    state: str
    size: int
    acl: frozenset[str] = frozenset({NOBODY})
    ip_acl: frozenset[str] = frozenset({NOBODY})
    labels: Labels = ()
    etag: str = ''

    def label(self, key: str) -> str | None:
        return dict(self.labels).get(key)


@dataclasses.dataclass(frozen=True, slots=True)
class ArraySnapshot:
    """A snapshot of a cluster.

    :ivar size: bytes.
    :ivar labels: those its volume had.
    """

    uuid: str
    name: str
    project: str
    state: str
    size: int
    source_volume_uuid: str = ''
    description: str = ''
    labels: Labels = ()
    etag: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """Everything a cluster holds; objects on their way out left out."""

    name: str
    uuid: str
    volumes: tuple[ArrayVolume, ...] = ()
    snapshots: tuple[ArraySnapshot, ...] = ()


def load(name: str, uuid: str, dump: Mapping[str, Any]) -> Cluster:
    """Read a full state dump of the simulator.

    :param dump: lists ``volumes`` and ``snapshots`` in the form of the
        array's API.
    """
    return Cluster(
        name, uuid,
        tuple(_volume(item) for item in _present(dump['volumes'])),
        tuple(_snapshot(item) for item in _present(dump['snapshots'])))


def _present(items: Iterable[Mapping[str, Any]]
             ) -> Iterable[Mapping[str, Any]]:
    return (item for item in items
            if item['state'] not in ('Deleting', 'Deleted'))


def _volume(item: Mapping[str, Any]) -> ArrayVolume:
    return ArrayVolume(
        uuid=item['UUID'], name=item['name'], project=item['projectName'],
        state=item['state'], size=int(item['size']),
        acl=_entries(item, 'acl'), ip_acl=_entries(item, 'IPAcl'),
        labels=_labels(item), etag=str(item.get('ETag', '')))


def _snapshot(item: Mapping[str, Any]) -> ArraySnapshot:
    return ArraySnapshot(
        uuid=item['UUID'], name=item['name'], project=item['projectName'],
        state=item['state'], size=int(item['size']),
        source_volume_uuid=item.get('sourceVolumeUUID', ''),
        description=item.get('description', ''),
        labels=_labels(item), etag=str(item.get('ETag', '')))


def _entries(item: Mapping[str, Any], field: str) -> frozenset[str]:
    return frozenset((item.get(field) or {}).get('values') or ())


def _labels(item: Mapping[str, Any]) -> Labels:
    return tuple(sorted((pair['key'], pair['value'])
                        for pair in item.get('labels') or ()))
