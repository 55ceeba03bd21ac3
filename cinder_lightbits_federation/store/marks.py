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

from cinder_lightbits_federation.store.engine import Store
from cinder_lightbits_federation.store.tables import MARKS
from cinder_lightbits_federation.store.versioned import Versioned


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
        self._rows = Versioned(store, MARKS, 'name', federation)

    def all(self, prefix: str = '') -> dict[str, Mark]:
        """:returns: what is noted, by name."""
        now, rows = self._rows.read(
            MARKS.c.name.startswith(prefix, autoescape=True))
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
        return self._rows.put(name, {'value': value, 'reason': reason},
                              None if before is None else before.version)

    def drop(self, before: Mark) -> bool:
        """Forget a fact.

        :returns: False if it was changed meanwhile; nothing was done.
        """
        return self._rows.drop(before.name, before.version)
