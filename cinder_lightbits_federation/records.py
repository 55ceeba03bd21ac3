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

"""Cinder's records: references from them, and locations into them."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import time
from typing import Any, TypeVar

from cinder import context as cinder_context
from cinder import exception
from cinder import objects
from cinder.volume import volume_types
from oslo_db import exception as db_exception

from cinder_lightbits_federation.access import HostAccess
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation.location import recorded_for
from cinder_lightbits_federation.ownership import Tenant
from cinder_lightbits_federation.refs import ALONE
from cinder_lightbits_federation.refs import SnapshotRef
from cinder_lightbits_federation.refs import Spread
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.reservations import Member
from cinder_lightbits_federation.settings import Network
from cinder_lightbits_federation.spec import SPREAD_GROUP
from cinder_lightbits_federation.spec import VolumeSpec

T = TypeVar('T', SnapshotRef, VolumeRef)

TARGET = 'target:'
# The first format with labels that say whose an object is.
TENANTS_SINCE = 2


class LocationRecord:
    """Writes the location of one volume or snapshot.

    A conditional update on the old value: a plain ``save()`` writes all that
    is dirty and fails on a grouped volume, and it would overwrite what
    another attempt for the same record has written.
    """

    def __init__(self, record: Any) -> None:
        self._record = record

    def record(self, location: Location) -> None:
        """:raises RecordLost: the row was changed, or is gone."""
        before = self._record.provider_location
        done = self._record.conditional_update(
            {'provider_location': str(location)},
            {'provider_location': before})
        if not done:
            raise errors.RecordLost(
                f'the record of {self._record.id} was changed or deleted by '
                f'somebody else')


class MoveRecord(LocationRecord):
    """As `LocationRecord`, and may be asked again; of a volume."""

    def record(self, location: Location) -> None:
        """:raises RecordLost: the row has something else, or is gone.

        :raises OutcomeUnknown: the database does not say what the row has.
        """
        try:
            try:
                super().record(location)
            except errors.RecordLost:
                if self._stored() != str(location):
                    raise
        except db_exception.DBError as exc:
            raise errors.OutcomeUnknown(
                f'the record of {self._record.id} may have been changed; the '
                f'database fails: {exc}') from exc

    def _stored(self) -> str | None:
        try:
            found: Any = objects.Volume.get_by_id(
                cinder_context.get_admin_context(), self._record.id)
        except exception.VolumeNotFound:
            return None
        text: str | None = found.provider_location
        return text


def spec_of(volume: Any) -> VolumeSpec:
    """Read the extra specs of a volume's type; no type is no specs.

    Cinder's service hands over volumes whose type is loaded already.

    :raises InvalidSpec: a value cannot be honoured.
    """
    type_id = volume.volume_type_id
    if type_id and volume.obj_attr_is_set('volume_type'):
        loaded = volume.volume_type
        if (loaded is not None and loaded.id == type_id
                and loaded.obj_attr_is_set('extra_specs')):
            return VolumeSpec.from_extra_specs(loaded.extra_specs or {})
    return spec_of_type(type_id)


def spec_of_type(type_id: str | None) -> VolumeSpec:
    """Read the extra specs of a volume type; no type is no specs.

    :raises InvalidSpec: a value cannot be honoured.
    """
    if not type_id:
        return VolumeSpec()
    specs = volume_types.get_volume_type_extra_specs(type_id)
    return VolumeSpec.from_extra_specs(specs or {})


def volume_ref(volume: Any, default_project: str,
               spec: VolumeSpec | None = None) -> VolumeRef:
    """Make a reference; the type is only read when the record says nothing.

    :raises InvalidSpec: the type is needed and wrong.
    """
    location = recorded_for(volume.provider_location, volume.name_id)
    if location is not None:
        project = location.project
    else:
        project = (spec or spec_of(volume)).project or default_project
    return VolumeRef(volume.name, volume.name_id, project, location)


def snapshot_ref(snapshot: Any, default_project: str) -> SnapshotRef:
    """Make a reference to a snapshot and its volume."""
    return SnapshotRef(
        snapshot.name, snapshot.id,
        volume_ref(snapshot.volume, default_project),
        recorded_for(snapshot.provider_location, snapshot.id))


def model_update(location: Location) -> dict[str, str]:
    """What Cinder saves after a create.

    ``provider_id`` is in the form of the in-tree driver, for people and for
    the way back to it; it is never read here.
    """
    return {'provider_location': str(location),
            'provider_id': f'{location.project} {location.object_uuid}'}


def marked(ref: T, record: Any, level: int) -> T:
    """Say in a reference whose it is, if that is to be written.

    :param record: a volume or a snapshot.
    :param level: format of what is stored; only those from the second on
        have a place for it.
    """
    if level < TENANTS_SINCE:
        return ref
    return dataclasses.replace(ref, tenant=Tenant(
        str(record.project_id or ''), str(record.user_id or '')))


def migration_source(volume: Any) -> Mapping[str, str]:
    """Clusters that the destination of a migration must not be on.

    :returns: cluster UUIDs and why; empty when it is no destination.
    """
    status = volume.migration_status or ''
    if not status.startswith(TARGET):
        return {}
    context = cinder_context.get_admin_context()
    source = objects.Volume.get_by_id(context, status.removeprefix(TARGET))
    location = recorded_for(source.provider_location, source.name_id)
    if location is None:
        return {}
    return {location.cluster_uuid: 'the volume is being moved off it'}


def spread(volume: Any, group: str | None) -> Spread:
    """Count the volumes of a spread group.

    A group is what all types of that spec value have in one project.

    :param volume: the one that is to be made.
    """
    if group is None:
        return ALONE
    context = cinder_context.get_admin_context()
    began = time.monotonic()
    types = volume_types.get_all_types(context).values()
    places: dict[str, str] = {}
    for item in types:
        if (item.get('extra_specs') or {}).get(SPREAD_GROUP) != group:
            continue
        members = objects.VolumeList.get_all(context, filters={
            'volume_type_id': item['id'], 'project_id': volume.project_id})
        for member in members:
            place = recorded_for(member.provider_location, member.name_id)
            if place is not None and member.id != volume.id:
                places[member.id] = place.cluster_uuid
    return Spread(collections.Counter(places.values()), Member(
        (str(volume.project_id), group), volume.id, frozenset(places),
        began))


def host_of(connector: Mapping[str, Any], networks: Sequence[Network]
            ) -> HostAccess:
    """Read a host's connector properties.

    :raises AccessError: the NQN or an address is missing or malformed.
    """
    addresses = connector.get('host_ips') or [
        connector[key] for key in ('ip',) if connector.get(key)]
    return HostAccess.of(str(connector.get('nqn') or ''),
                         [str(item) for item in addresses], networks,
                         str(connector.get('host') or ''))


def volumes_on(host: str, cluster_name: str | None, cluster_uuid: str
               ) -> list[str]:
    """List a backend's volumes that are recorded on a Lightbits cluster.

    :param cluster_name: of the services that share the backend; their
        volumes bear the host of any of them. None when `host` is alone.
    :returns: ids.
    """
    mine = {'cluster_name': cluster_name} if cluster_name else {'host': host}
    volumes = objects.VolumeList.get_all(
        cinder_context.get_admin_context(), filters=mine)
    found = []
    for volume in volumes:
        place = recorded_for(volume.provider_location, volume.name_id)
        if place is not None and place.cluster_uuid == cluster_uuid:
            found.append(str(volume.id))
    return found


def restamped(volumes: Iterable[Any]) -> list[dict[str, str]]:
    """Find the volumes whose ``provider_id`` is not that of their location.

    :returns: updates of just those, with their ``id``.
    """
    updates = []
    for volume in volumes:
        place = recorded_for(volume.provider_location, volume.name_id)
        if place is None or place.object_uuid is None:
            continue
        wanted = model_update(place)['provider_id']
        if volume.provider_id != wanted:
            updates.append({'id': volume.id, 'provider_id': wanted})
    return updates
