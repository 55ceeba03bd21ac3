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

"""Rows of Cinder's: reading all of them, and making lost ones anew.

Cinder's own way to take over an object (managing) makes a record with
another id: users, servers and backups know the volume by the id it had, so
rows are made as they were, by Cinder's own tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import datetime
from typing import Any

from cinder import context as cinder_context
from cinder.db import api as db_api
from oslo_db import exception as db_exception
import sqlalchemy as sa

from cinder_lightbits_federation.audit import exports
from cinder_lightbits_federation.audit.exports import Row
from cinder_lightbits_federation.audit.exports import Tables
from cinder_lightbits_federation import cinderdb
from cinder_lightbits_federation import errors

# Rows that others refer to come first.
ORDER = (exports.VOLUMES, exports.SNAPSHOTS, exports.ATTACHMENTS,
         *exports.OF_VOLUMES, *exports.OF_SNAPSHOTS)


class Clerk:
    """Keeps the rows of one backend.

    :param host: ``host@backend``.
    :param cluster: ``cluster@backend`` of a clustered service, or None.
    """

    def __init__(self, host: str, cluster: str | None) -> None:
        self._host = host
        self._cluster = cluster

    def everything(self) -> Tables:
        """:returns: all rows of volumes, snapshots and what is theirs."""
        volume = cinderdb.model_of('Volume')
        mine = cinderdb.of_backend(volume, self._host, self._cluster)
        volumes = self._rows(exports.VOLUMES, volume.id, sa.and_(
            mine, volume.deleted.is_(False)))
        volume_ids = [row['id'] for row in volumes]
        snapshots = self.of(exports.SNAPSHOTS, 'volume_id', volume_ids)
        snapshot_ids = [row['id'] for row in snapshots]
        found = {exports.VOLUMES: volumes, exports.SNAPSHOTS: snapshots,
                 exports.ATTACHMENTS: self.of(
                     exports.ATTACHMENTS, 'volume_id', volume_ids)}
        for kinds, ids in ((exports.OF_VOLUMES, volume_ids),
                           (exports.OF_SNAPSHOTS, snapshot_ids)):
            for table, column in kinds.items():
                found.setdefault(table, []).extend(
                    self.of(table, column, ids))
        return found

    def fate(self, table: str, row_id: str) -> bool | None:
        """:returns: whether a row is deleted; None if there is none."""
        known = _table(table)
        with cinderdb.reading() as session:
            found = session.execute(sa.select(known.c.deleted).where(
                known.c.id == row_id)).scalar()
        return None if found is None else bool(found)

    def row(self, table: str, row_id: str) -> Row | None:
        """:returns: a row that is not deleted, None if there is none."""
        found = self.of(table, 'id', [row_id])
        return found[0] if found else None

    def insert(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Make rows, all or none.

        References to what is not there are left empty.

        :raises RecordLost: one of them is there.
        """
        try:
            with cinderdb.writing() as session:
                for name in dict.fromkeys(ORDER):
                    _insert(session, name, rows.get(name, ()))
        except db_exception.DBDuplicateEntry as exc:
            raise errors.RecordLost(
                'somebody else has made the record meanwhile') from exc

    def attach(self, volume_id: str, status: str, rows: Sequence[Row]
               ) -> bool:
        """Add attachments to a volume, which then is in use.

        :param status: that the volume must have.
        :returns: whether it had; otherwise nothing was changed.
        """
        known = _table(exports.VOLUMES)
        with cinderdb.writing() as session:
            done = session.execute(sa.update(known).where(
                known.c.id == volume_id, known.c.status == status,
                known.c.deleted.is_(False)).values(
                    status='in-use', attach_status='attached'))
            if done.rowcount != 1:
                return False
            _insert(session, exports.ATTACHMENTS, rows)
        return True

    @staticmethod
    def detach(volume_id: str, attachment_ids: Iterable[str]) -> str | None:
        """Mark attachments as over, as Cinder does. Idempotent.

        :returns: the status that the volume got by that; None if it was
            left as it was.
        """
        status: str | None = None
        for attachment_id in attachment_ids:
            updates, _attachment = db_api.volume_detached(
                cinder_context.get_admin_context(), volume_id, attachment_id)
            status = updates.get('status', status)
        return status

    def of(self, table: str, column: str, ids: Sequence[str]) -> list[Row]:
        """:returns: the rows with one of some values in a column."""
        known = _table(table)
        found: list[Row] = []
        for chunk in cinderdb.chunks(ids):
            found += self._rows(table, known.c.id, sa.and_(
                known.c[column].in_(chunk), known.c.deleted.is_(False)))
        return found

    @staticmethod
    def _rows(table: str, key: Any, condition: Any) -> list[Row]:
        known = _table(table)
        with cinderdb.reading() as session:
            rows = session.execute(sa.select(known).where(
                condition).order_by(key)).mappings().all()
        return [{name: _plain(value) for name, value in row.items()}
                for row in rows]


def _table(name: str) -> sa.Table:
    found: sa.Table = cinderdb.model_of('Volume').__table__.metadata.tables[
        name]
    return found


def _insert(session: Any, name: str, rows: Sequence[Row]) -> None:
    table = _table(name)
    for row in rows:
        session.execute(sa.insert(table).values(_checked(session, table,
                                                         row)))


def _plain(value: Any) -> Any:
    return (value.isoformat() if isinstance(value, datetime.datetime)
            else value)


def _checked(session: Any, table: sa.Table, row: Row) -> dict[str, Any]:
    """Fit a row to a table: times, columns that exist, references."""
    fitted: dict[str, Any] = {}
    for column in table.columns:
        if column.name not in row:
            continue
        value = row[column.name]
        if isinstance(column.type, sa.DateTime) and value is not None:
            value = datetime.datetime.fromisoformat(value)
        if column.nullable and not _there(session, column, value):
            value = None
        fitted[column.name] = value
    return fitted


def _there(session: Any, column: sa.Column[Any], value: Any) -> bool:
    """Whether all that a value refers to is there."""
    return value is None or all(session.execute(
        sa.select(key.column).where(key.column == value)).first() is not None
        for key in column.foreign_keys)
