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

"""What Cinder knows of the volumes on a cluster, for a plan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
import dataclasses
import functools
from typing import Any

import sqlalchemy as sa

from cinder_lightbits_federation.audit.books import NOT_MIGRATING
from cinder_lightbits_federation.cinderdb import chunks
from cinder_lightbits_federation.cinderdb import model_of
from cinder_lightbits_federation.cinderdb import of_backend
from cinder_lightbits_federation.cinderdb import pages
from cinder_lightbits_federation.cinderdb import reading
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.drain.plan import Resident
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation.location import recorded_for
from cinder_lightbits_federation.location import TAG
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.ownership import Owner
from cinder_lightbits_federation import records
from cinder_lightbits_federation.records import TARGET
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.sizes import gib_to_bytes
from cinder_lightbits_federation.spec import VolumeSpec
from cinder_lightbits_federation.timing import Deadline

Row = Any


class Stock:
    """The volumes of one backend.

    :param host: ``host@backend``.
    :param cluster_name: ``cluster@backend`` of a clustered service, or None.
    """

    def __init__(self, host: str, cluster_name: str | None,
                 settings: FederationSettings, owner: Owner) -> None:
        self._host = host
        self._cluster_name = cluster_name
        self._settings = settings
        self._owner = owner
        self._volume = model_of('Volume')

    def on(self, cluster: Cluster, deadline: Deadline) -> list[Resident]:
        """List the volumes that are recorded on a cluster.

        The cluster is asked for snapshots that Cinder does not know.

        :raises LightbitsError: the cluster does not answer.
        :raises InvalidSpec: an extra spec of a type is wrong.
        """
        rows = {row.id: (row, place) for row, place
                in self._rows(cluster.uuid or '')}
        snapshots = self._snapshots(rows)
        attachments = self._attachments(rows)
        copied = self._copied(row for row, _place in rows.values())
        foreign = self._foreign(
            cluster, [place for _row, place in rows.values()], deadline)
        spec_of = functools.cache(records.spec_of_type)
        return [dataclasses.replace(
            self._resident(row, place, spec_of(row.volume_type_id),
                           snapshots.get(row.id, 0),
                           attachments.get(row.id, ()),
                           foreign.get(place.object_uuid or '', ())),
            copied=row.id in copied) for row, place in rows.values()]

    def place_of(self, volume_id: str) -> str | None:
        """:returns: UUID of the cluster that a volume is recorded on."""
        model = self._volume
        with reading() as session:
            row = session.query(
                model.id, model._name_id, model.provider_location).filter(
                    model.id == volume_id,
                    model.deleted.is_(False)).one_or_none()
        if row is None:
            return None
        place = recorded_for(row.provider_location, row._name_id or row.id)
        return place.cluster_uuid if place else None

    def _rows(self, uuid: str) -> Iterator[tuple[Row, Location]]:
        model = self._volume
        columns = (model.id, model._name_id, model.status, model.size,
                   model.provider_location, model.migration_status,
                   model.use_quota, model.group_id, model.volume_type_id)
        mine = of_backend(model, self._host, self._cluster_name)
        for row in pages(lambda session: session.query(*columns).filter(
                model.deleted.is_(False), mine,
                model.provider_location.startswith(f'{TAG}:{uuid}:')),
                model.id):
            place = recorded_for(row.provider_location,
                                 row._name_id or row.id)
            if place is not None:
                yield row, place

    @staticmethod
    def _snapshots(ids: Collection[str]) -> Mapping[str, int]:
        model = model_of('Snapshot')
        found: dict[str, int] = {}
        for chunk in chunks(ids):
            with reading() as session:
                found.update(session.query(
                    model.volume_id, sa.func.count()).filter(
                        model.deleted.is_(False),
                        model.volume_id.in_(chunk)).group_by(
                            model.volume_id).all())
        return found

    def _copied(self, rows: Iterable[Row]) -> set[str]:
        """Ids of those that Cinder copies, and of what it copies them to."""
        model = self._volume
        moving = {row.id: row.migration_status for row in rows
                  if (row.migration_status or '') not in NOT_MIGRATING}
        found = {volume_id for volume_id, status in moving.items()
                 if status.startswith(TARGET)}
        for chunk in chunks(moving):
            with reading() as session:
                found.update(row.migration_status.removeprefix(TARGET)
                             for row in session.query(
                                 model.migration_status).filter(
                                     model.deleted.is_(False),
                                     model.migration_status.in_(
                                         [TARGET + item for item in chunk])))
        return found

    @staticmethod
    def _attachments(ids: Collection[str]) -> Mapping[str, list[Row]]:
        model = model_of('VolumeAttachment')
        found: dict[str, list[Row]] = {}
        for chunk in chunks(ids):
            with reading() as session:
                rows = session.query(
                    model.volume_id, model.instance_uuid,
                    model.attached_host).filter(
                        model.deleted.is_(False),
                        model.volume_id.in_(chunk)).all()
            for row in rows:
                found.setdefault(row.volume_id, []).append(row)
        return found

    def _foreign(self, cluster: Cluster, places: Iterable[Location],
                 deadline: Deadline) -> Mapping[str, tuple[str, ...]]:
        """Snapshots on the cluster that are not ours, by their volume."""
        found: dict[str, tuple[str, ...]] = {}
        for project in sorted({place.project for place in places}):
            with cluster.api(deadline) as client:
                for item in client.list_snapshots(project,
                                                  deadline=deadline):
                    told = ownership.read_description(item.description)
                    if told.get(
                            ownership.LABEL_OWNER) != (
                                self._owner.federation_id):
                        key = item.source_volume_uuid
                        found[key] = (*found.get(key, ()), item.uuid)
        return found

    def _resident(self, row: Row, place: Location, spec: VolumeSpec,
                  snapshots: int, attachments: Iterable[Row],
                  foreign: tuple[str, ...]) -> Resident:
        used = list(attachments)
        return Resident(
            id=row.id, size=gib_to_bytes(row.size),
            replicas=spec.replica_count(self._settings.default_replicas),
            project=spec.project or self._settings.project, spec=spec,
            status=row.status or '',
            migrating=(row.migration_status or '') not in NOT_MIGRATING,
            group=row.group_id or None, snapshots=snapshots,
            foreign=foreign,
            servers=tuple(item.instance_uuid for item in used
                          if item.instance_uuid),
            hosts=tuple(item.attached_host or 'a host' for item in used
                        if not item.instance_uuid),
            temporary=not row.use_quota)
