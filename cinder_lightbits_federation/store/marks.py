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

"""Facts that are noted for a whole cloud: a name, a value, who and why."""

from __future__ import annotations

import dataclasses
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from cinder_lightbits_federation.store.engine import Store
from cinder_lightbits_federation.store.tables import MARKS


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """A fact.

    :param age: seconds since it was noted.
    :param version: of this entry; whoever changes it has to name it.
    """

    name: str
    value: str
    reason: str
    age: float
    version: int


class Marks:
    """The facts of one cloud.

    :param federation: its id.
    """

    def __init__(self, store: Store, federation: str) -> None:
        self._store = store
        self._federation = federation

    def all(self, prefix: str = '') -> dict[str, Mark]:
        """:returns: what is noted, by name."""
        with self._store.transaction() as connection:
            now = self._store.now(connection)
            rows = connection.execute(sa.select(MARKS).where(
                MARKS.c.federation == self._federation,
                MARKS.c.name.startswith(prefix, autoescape=True))).all()
        return {row.name: Mark(row.name, row.value, row.reason,
                               max(0.0, now - row.since), row.version)
                for row in rows}

    def get(self, name: str) -> Mark | None:
        """:returns: a fact, None if nothing is noted."""
        return self.all(name).get(name)

    def put(self, name: str, value: str, reason: str, before: Mark | None
            ) -> bool:
        """Note a fact.

        :param before: the entry as it was read; None if there was none.
        :returns: False if it was changed meanwhile; nothing was done.
        """
        values: dict[str, Any] = {'value': value, 'reason': reason}
        with self._store.transaction() as connection:
            values['since'] = self._store.now(connection)
            if before is not None:
                done = connection.execute(sa.update(MARKS).where(
                    *self._same(before)).values(
                        version=before.version + 1, **values))
                return done.rowcount == 1
        try:
            with self._store.transaction() as connection:
                connection.execute(sa.insert(MARKS).values(
                    federation=self._federation, name=name, version=1,
                    **values))
        except sa_exc.IntegrityError:
            return False
        return True

    def drop(self, before: Mark) -> bool:
        """Forget a fact.

        :returns: False if it was changed meanwhile; nothing was done.
        """
        with self._store.transaction() as connection:
            done = connection.execute(
                sa.delete(MARKS).where(*self._same(before)))
        return done.rowcount == 1

    def _same(self, before: Mark) -> tuple[sa.ColumnElement[bool], ...]:
        return (MARKS.c.federation == self._federation,
                MARKS.c.name == before.name,
                MARKS.c.version == before.version)
