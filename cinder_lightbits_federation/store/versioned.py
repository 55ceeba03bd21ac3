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

"""Rows of one cloud that are changed only as they were read.

Every row has a version. Whoever changes or drops one names the version that
was seen, so that of two who decide at the same time one is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from cinder_lightbits_federation.store.engine import Store


class Versioned:
    """One table's rows of one cloud.

    :param table: with columns `federation`, `since` (seconds since the
        epoch, by the store's clock) and `version` beside the key.
    :param key: the name of the column that tells the rows of a cloud apart.
    :param federation: the cloud's id.
    """

    def __init__(self, store: Store, table: sa.Table, key: str,
                 federation: str) -> None:
        self._store = store
        self._table = table
        self._key = table.c[key]
        self._federation = federation

    def read(self, *conditions: sa.ColumnElement[bool]
             ) -> tuple[float, list[Any]]:
        """:returns: the store's time, and the rows that meet conditions."""
        with self._store.transaction() as connection:
            now = self._store.now(connection)
            rows = connection.execute(sa.select(self._table).where(
                self._table.c.federation == self._federation,
                *conditions)).all()
        return now, list(rows)

    def put(self, key: str, values: Mapping[str, Any],
            version: int | None) -> bool:
        """Write a row.

        :param values: what it says, without key, time and version.
        :param version: of the row as it was read; None if there was none.
        :returns: False if it was changed meanwhile; nothing was done.
        """
        try:
            with self._store.transaction() as connection:
                values = {**values, 'since': self._store.now(connection)}
                if version is None:
                    connection.execute(sa.insert(self._table).values(
                        {'federation': self._federation,
                         self._key.name: key, 'version': 1, **values}))
                    return True
                done = connection.execute(sa.update(self._table).where(
                    *self._same(key, version)).values(
                        {'version': version + 1, **values}))
        except sa_exc.IntegrityError:
            return False
        return done.rowcount == 1

    def drop(self, key: str, version: int) -> bool:
        """Remove a row.

        :returns: False if it was changed meanwhile; nothing was done.
        """
        with self._store.transaction() as connection:
            done = connection.execute(
                sa.delete(self._table).where(*self._same(key, version)))
        return done.rowcount == 1

    def _same(self, key: str, version: int
              ) -> tuple[sa.ColumnElement[bool], ...]:
        return (self._table.c.federation == self._federation,
                self._key == key, self._table.c.version == version)
