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

"""The records that name a pool: reading them, and rewriting the pool."""

from __future__ import annotations

from collections.abc import Iterator
import datetime
import itertools
from typing import Any

from cinder import context as cinder_context
from cinder import objects

from cinder_lightbits_federation import cinderdb
from cinder_lightbits_federation.cli.switching import CACHE_ENTRY
from cinder_lightbits_federation.cli.switching import GROUP
from cinder_lightbits_federation.cli.switching import Home
from cinder_lightbits_federation.cli.switching import Move
from cinder_lightbits_federation.cli.switching import SNAPSHOT
from cinder_lightbits_federation.cli.switching import Tenant
from cinder_lightbits_federation.cli.switching import VOLUME

Row = Any

TABLES = {VOLUME: 'Volume', GROUP: 'Group',
          CACHE_ENTRY: 'ImageVolumeCacheEntry'}



class PoolRecords:
    """The records of one backend, in whatever pool.

    :param host: ``host@backend``.
    :param cluster: ``cluster@backend`` of a clustered service, or None.
    """

    def __init__(self, host: str, cluster: str | None) -> None:
        self._host = host
        self._cluster = cluster

    def volumes(self) -> Iterator[Tenant]:
        """:returns: all volumes."""
        model = cinderdb.model_of(TABLES[VOLUME])
        for row in self._rows(model, model.status, model.group_id):
            yield Tenant(VOLUME, row.id, _home(row), row.status or '',
                         group_id=row.group_id)

    def others(self) -> Iterator[Tenant]:
        """:returns: snapshots, groups and entries of the image cache."""
        return itertools.chain(self._snapshots(), self._groups(),
                               self._cache_entries())

    def service_is_up(self) -> bool:
        """Whether a volume service of the backend lives."""
        services = objects.ServiceList.get_all_by_binary(
            cinder_context.get_admin_context(), 'cinder-volume')
        return any(item.is_up for item in services
                   if item.host == self._host or (
                       self._cluster is not None
                       and item.cluster_name == self._cluster))

    def rewrite(self, move: Move) -> bool:
        """Give a record its new pool, if it is still as it was read.

        :returns: whether it was.
        """
        wanted = move.wanted
        if wanted is None:
            return False
        tenant = move.tenant
        model = cinderdb.model_of(TABLES[tenant.resource])
        unchanged = [model.id == tenant.id, model.host == tenant.home.host,
                     model.cluster_name == tenant.home.cluster_name]
        values: dict[str, Any] = {'host': wanted.host,
                                  'cluster_name': wanted.cluster_name}
        if tenant.resource != CACHE_ENTRY:
            unchanged += [model.deleted.is_(False),
                          model.status == tenant.status]
            # Without a time zone, in UTC, as Cinder has it.
            values['updated_at'] = datetime.datetime.now(
                datetime.UTC).replace(tzinfo=None)
        with cinderdb.writing() as session:
            changed = session.query(model).filter(*unchanged).update(
                values, synchronize_session=False)
        return bool(changed)

    def _rows(self, model: Any, *columns: Any) -> Iterator[Row]:
        condition = cinderdb.of_backend(model, self._host, self._cluster)
        alive = [model.deleted.is_(False)] if hasattr(model, 'deleted') else []
        return cinderdb.pages(
            lambda session: session.query(
                model.id, model.host, model.cluster_name, *columns).filter(
                    condition, *alive), model.id)

    def _snapshots(self) -> Iterator[Tenant]:
        volume = cinderdb.model_of(TABLES[VOLUME])
        model = cinderdb.model_of('Snapshot')
        condition = cinderdb.of_backend(volume, self._host, self._cluster)
        rows = cinderdb.pages(
            lambda session: session.query(
                model.id, model.volume_id, model.status, volume.host,
                volume.cluster_name).filter(
                    condition, model.deleted.is_(False)).join(
                        volume, volume.id == model.volume_id), model.id)
        for row in rows:
            yield Tenant(SNAPSHOT, row.id, _home(row), row.status or '',
                         volume_id=row.volume_id)

    def _groups(self) -> Iterator[Tenant]:
        model = cinderdb.model_of(TABLES[GROUP])
        for row in self._rows(model, model.status):
            yield Tenant(GROUP, row.id, _home(row), row.status or '')

    def _cache_entries(self) -> Iterator[Tenant]:
        model = cinderdb.model_of(TABLES[CACHE_ENTRY])
        for row in self._rows(model, model.volume_id):
            yield Tenant(CACHE_ENTRY, str(row.id), _home(row),
                         volume_id=row.volume_id)


def _home(row: Row) -> Home:
    return Home(row.host or '', row.cluster_name)
