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

"""Cinder's records of one backend, as an audit compares them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
import datetime
import json
from typing import Any

from oslo_config import cfg

from cinder_lightbits_federation.access import AccessError
from cinder_lightbits_federation.access import HostAccess
from cinder_lightbits_federation.audit.books import AttachmentRecord
from cinder_lightbits_federation.audit.books import Books
from cinder_lightbits_federation.audit.books import NOT_MIGRATING
from cinder_lightbits_federation.audit.books import SnapshotRecord
from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.cinderdb import chunks
from cinder_lightbits_federation.cinderdb import model_of
from cinder_lightbits_federation.cinderdb import of_backend
from cinder_lightbits_federation.cinderdb import PAGE
from cinder_lightbits_federation.cinderdb import pages
from cinder_lightbits_federation.cinderdb import reading
from cinder_lightbits_federation.cinderdb import Row
from cinder_lightbits_federation.location import TAG
from cinder_lightbits_federation.records import host_of
from cinder_lightbits_federation.settings import Network
from cinder_lightbits_federation.sizes import gib_to_bytes

CONF = cfg.CONF


class Database:
    """The ledger of one backend.

    :param host: ``host@backend``, as records have it without the pool.
    :param cluster: ``cluster@backend`` of a clustered service, or None.
    :param networks: those that count in a host's addresses.
    """

    def __init__(self, host: str, cluster: str | None,
                 networks: Sequence[Network] = (), use_ip_acl: bool = True,
                 page: int = PAGE) -> None:
        self._host = host
        self._cluster = cluster
        self._networks = tuple(networks)
        self._use_ip_acl = use_ip_acl
        self._page = page
        self._volume = model_of('Volume')
        self._snapshot = model_of('Snapshot')
        self._attachment = model_of('VolumeAttachment')

    def read(self) -> Books:
        """:returns: all records of the backend."""
        mine = of_backend(self._volume, self._host, self._cluster)
        return Books(
            tuple(map(_volume, self._pages(
                self._volume, self._volume_columns(), mine))),
            tuple(map(_snapshot, self._pages(
                self._snapshot, self._snapshot_columns(), mine,
                joined=True))),
            tuple(map(self._host_row, self._pages(
                self._attachment, self._attachment_columns(), mine,
                joined=True))),
            use_ip_acl=self._use_ip_acl)

    def again(self, ids: Collection[str]) -> Books:
        """See `collect.Ledger`."""
        volumes = self._volume_rows(ids)
        snapshots = self._snapshot_rows(ids)
        mine = {item.id for item in volumes if self._is_ours(item)}
        return Books(
            tuple(_volume(item) for item in volumes if item.id in mine),
            tuple(_snapshot(item) for item in snapshots
                  if self._is_ours(item)),
            tuple(map(self._host_row, self._attachment_rows(mine))),
            (*(_volume(item) for item in volumes if item.id not in mine),
             *(_snapshot(item) for item in snapshots
               if not self._is_ours(item))),
            self._use_ip_acl)

    def at(self, places: Collection[tuple[str, str]]) -> Books:
        """Find the records that name certain places, of any backend.

        Costs a look at all records of a cluster: places have no index.

        :param places: UUIDs of a cluster and of an object on it.
        """
        wanted = frozenset(places)
        found: set[str] = set()
        for model in (self._volume, self._snapshot):
            for cluster in {cluster for cluster, _uuid in wanted}:
                rows = self._pages(
                    model, (model.id, model.provider_location),
                    model.provider_location.startswith(f'{TAG}:{cluster}:'))
                found.update(
                    row.id for row in rows
                    if (cluster, _object_in(row.provider_location)) in wanted)
        return self.again(found)

    def _is_ours(self, row: Row) -> bool:
        host = (row.host or '').partition('#')[0]
        cluster = (row.cluster_name or '').partition('#')[0]
        return host == self._host or (
            self._cluster is not None and cluster == self._cluster)

    def _volume_columns(self) -> tuple[Any, ...]:
        model = self._volume
        return (model.id, model._name_id, model.status, model.size,
                model.provider_location, model.host, model.cluster_name,
                model.migration_status, model.use_quota)

    def _snapshot_columns(self) -> tuple[Any, ...]:
        model = self._snapshot
        return (model.id, model.volume_id, model.status, model.volume_size,
                model.provider_location, self._volume.host,
                self._volume.cluster_name)

    def _attachment_columns(self) -> tuple[Any, ...]:
        model = self._attachment
        return (model.id, model.volume_id, model.attach_status,
                model.connector, model.created_at, model.updated_at)

    def _pages(self, model: Any, columns: Sequence[Any], condition: Any,
               joined: bool = False) -> Iterator[Row]:
        """:param joined: the condition is on the volume that a row is of."""
        return pages(lambda session: self._query(
            session, model, columns, joined).filter(condition), model.id,
            self._page)

    def _query(self, session: Any, model: Any, columns: Sequence[Any],
               joined: bool) -> Any:
        query = session.query(*columns).filter(model.deleted.is_(False))
        if joined:
            query = query.join(self._volume,
                               self._volume.id == model.volume_id)
        return query

    def _volume_rows(self, ids: Collection[str]) -> list[Row]:
        model = self._volume
        found: dict[str, Row] = {}
        for chunk in chunks(ids):
            with reading() as session:
                query = self._query(session, model, self._volume_columns(),
                                    False)
                for column in (model.id, model._name_id):
                    found.update((row.id, row) for row in query.filter(
                        column.in_(chunk)))
        return list(found.values())

    def _snapshot_rows(self, ids: Collection[str]) -> list[Row]:
        return self._rows(self._snapshot, self._snapshot.id,
                          self._snapshot_columns(), ids, joined=True)

    def _attachment_rows(self, volumes: Collection[str]) -> list[Row]:
        return self._rows(self._attachment, self._attachment.volume_id,
                          self._attachment_columns(), volumes)

    def _rows(self, model: Any, column: Any, columns: Sequence[Any],
              ids: Collection[str], joined: bool = False) -> list[Row]:
        found: list[Row] = []
        for chunk in chunks(ids):
            with reading() as session:
                found += self._query(session, model, columns, joined).filter(
                    column.in_(chunk)).all()
        return found

    def _host_row(self, row: Row) -> AttachmentRecord:
        changed = row.updated_at or row.created_at
        return AttachmentRecord(
            row.id, row.volume_id, row.attach_status or '',
            self._connected(row.connector),
            changed and changed.replace(tzinfo=datetime.UTC))

    def _connected(self, text: str | None) -> HostAccess | None:
        """Read a connector; one that nobody was admitted by is none."""
        connector = json.loads(text) if text else {}
        if not connector or not connector.get('nqn'):
            return None
        try:
            return host_of(connector, self._networks)
        except AccessError:
            return None


def _object_in(provider_location: str) -> str:
    """:returns: the object's UUID in the text of a location."""
    return (*provider_location.split(':'), '', '', '')[3]


def _volume(row: Row) -> VolumeRecord:
    name_id = row._name_id or row.id
    return VolumeRecord(
        row.id, name_id, CONF.volume_name_template % name_id,
        row.status or '', gib_to_bytes(row.size or 0), row.provider_location,
        row.host or '',
        migrating=(row.migration_status or '') not in NOT_MIGRATING,
        temporary=not row.use_quota)


def _snapshot(row: Row) -> SnapshotRecord:
    return SnapshotRecord(
        row.id, row.volume_id, CONF.snapshot_name_template % row.id,
        row.status or '', gib_to_bytes(row.volume_size or 0),
        row.provider_location, row.host or '')
