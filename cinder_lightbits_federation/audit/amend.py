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

"""Changing records of Cinder's, each only if it is as it was read."""

from __future__ import annotations

from collections.abc import Mapping
import datetime
from typing import Any

from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.audit import database
from cinder_lightbits_federation import cinderdb


class AmendableDatabase(database.Database):
    """The ledger of one backend, to be put right."""

    def amend(self, record: Record, before: Mapping[str, Any],
              after: Mapping[str, Any]) -> bool:
        """See `repairer.Amender`."""
        kind = 'Volume' if isinstance(record, VolumeRecord) else 'Snapshot'
        return amend_row(kind, record.id, {**before, 'status': record.status},
                         after)


def amend_row(kind: str, row_id: str, before: Mapping[str, Any],
              after: Mapping[str, Any]) -> bool:
    """Change columns of one row that is not deleted.

    :param kind: of the table, such as ``Volume``.
    :param before: columns that must be as given.
    :returns: whether they were; otherwise nothing was changed.
    """
    table = cinderdb.model_of(kind)
    same = [getattr(table, name).is_(None) if value is None
            else getattr(table, name) == value
            for name, value in before.items()]
    with cinderdb.writing() as session:
        changed = session.query(table).filter(
            table.id == row_id, table.deleted.is_(False), *same).update(
                {**after, 'updated_at': now()}, synchronize_session=False)
    return bool(changed)


def now() -> datetime.datetime:
    """:returns: the time without a zone, in UTC, as Cinder keeps it."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
