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

"""What ``audit export`` writes: rows of Cinder's, as they can be made anew.

Only values here; see `clerk` for the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import json
from typing import Any

VERSION = 1

VOLUMES = 'volumes'
SNAPSHOTS = 'snapshots'
ATTACHMENTS = 'volume_attachment'
# What belongs to a row, and the column that says to which.
OF_VOLUMES = {'volume_metadata': 'volume_id',
              'volume_admin_metadata': 'volume_id',
              'volume_glance_metadata': 'volume_id'}
OF_SNAPSHOTS = {'snapshot_metadata': 'snapshot_id',
                'volume_glance_metadata': 'snapshot_id'}

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]
"""Rows by the name of their table."""


class InvalidExport(ValueError):
    """A file is no export, or one of another cloud."""


@dataclasses.dataclass(frozen=True, slots=True)
class Export:
    """The records of a backend at some time.

    :param time: ISO 8601.
    :param owner: id of the cloud.
    """

    time: str
    owner: str
    backend: str
    tables: Tables

    def text(self) -> str:
        """:returns: what goes into the file."""
        return json.dumps({'version': VERSION, **dataclasses.asdict(self)},
                          indent=1, sort_keys=True)

    @classmethod
    def parse(cls, text: str, owner: str) -> Export:
        """Read a file.

        :param owner: id of the cloud that it must be of.
        :raises InvalidExport: it is of another form, version or cloud.
        """
        try:
            data = json.loads(text)
            version = data.pop('version')
            found = cls(**data) if version == VERSION else None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InvalidExport('it is not what "audit export" writes'
                                ) from None
        if found is None:
            raise InvalidExport(f'version {version} is not known')
        if found.owner != owner:
            raise InvalidExport(f'it is of cloud {found.owner}')
        return found

    def volume(self, name_id: str) -> Row | None:
        """:returns: the volume whose object bears an id."""
        return next((row for row in self.tables.get(VOLUMES, ()) if name_id
                     == (row.get('_name_id') or row['id'])), None)

    def snapshot(self, snapshot_id: str) -> Row | None:
        """:returns: a snapshot."""
        return next((row for row in self.tables.get(SNAPSHOTS, ())
                     if row['id'] == snapshot_id), None)

    def attachments(self, volume_id: str) -> list[Row]:
        """:returns: the attachments of a volume."""
        return [row for row in self.tables.get(ATTACHMENTS, ())
                if row['volume_id'] == volume_id]

    def belonging(self, kinds: Mapping[str, str], row_id: str
                  ) -> dict[str, list[Row]]:
        """:returns: what belongs to a row, by table; without numbers."""
        return {table: [{key: value for key, value in row.items()
                         if key != 'id'}
                        for row in self.tables.get(table, ())
                        if row.get(column) == row_id]
                for table, column in kinds.items()}


def latest(exports: Iterable[Export]) -> list[Export]:
    """:returns: the newest first."""
    return sorted(exports, key=lambda item: item.time, reverse=True)


def connectors(attachments: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """:returns: what hosts told of themselves, by NQN; the last counts."""
    found: dict[str, dict[str, Any]] = {}
    for row in attachments:
        text = row.get('connector')
        connector = json.loads(text) if text else {}
        if connector.get('nqn'):
            found[connector['nqn']] = connector
    return found
