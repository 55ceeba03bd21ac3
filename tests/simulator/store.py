# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Volumes or snapshots of a cluster, by UUID, by name and in order."""

from __future__ import annotations

import bisect
import collections.abc
import operator
import typing

from tests.simulator import model

R = typing.TypeVar('R', bound=model.Resource)


class Store(typing.Generic[R]):
    """An index of one kind of objects.

    Names are not unique in it: an object in Deleting may share its name
    with its successor.
    """

    def __init__(self) -> None:
        self.by_uuid: dict[str, R] = {}
        self._names: dict[tuple[str, str], list[R]] = {}
        # Sorted UUIDs: of all projects under None, and of each project.
        self._order: dict[str | None, list[str]] = {None: []}

    def __len__(self) -> int:
        return len(self.by_uuid)

    def get(self, uuid: str) -> R | None:
        """Return the object, or None."""
        return self.by_uuid.get(uuid)

    def named(self, project: str, name: str) -> list[R]:
        """Return all objects of that name, oldest first."""
        return self._names.get((project, name), [])

    def count(self, project: str) -> int:
        """Return how many objects the project has, in whatever state."""
        return len(self._order.get(project, []))

    def add(self, item: R) -> None:
        """Insert one object."""
        self._insert(item)
        for key in (None, item.project):
            bisect.insort(self._order.setdefault(key, []), item.uuid)

    def extend(self, items: collections.abc.Sequence[R]) -> None:
        """Insert many objects of one project at the price of one sort."""
        for item in items:
            self._insert(item)
        for key in {None, *(item.project for item in items)}:
            order = self._order.setdefault(key, [])
            order.extend(
                item.uuid for item in items if key in (None, item.project)
            )
            order.sort()

    def _insert(self, item: R) -> None:
        self.by_uuid[item.uuid] = item
        self._names.setdefault((item.project, item.name), []).append(item)

    def remove(self, item: R) -> None:
        """Forget an object that is present."""
        del self.by_uuid[item.uuid]
        self._drop_name(item)
        for key in (None, item.project):
            order = self._order[key]
            del order[bisect.bisect_left(order, item.uuid)]

    def rename(self, item: R, name: str) -> None:
        """Give an object that is present another name."""
        self._drop_name(item)
        item.name = name
        self._names.setdefault((item.project, name), []).append(item)

    def _drop_name(self, item: R) -> None:
        key = (item.project, item.name)
        namesakes = self._names[key]
        namesakes.remove(item)
        if not namesakes:
            del self._names[key]

    def by_order(
        self, project: str | None, after: str
    ) -> collections.abc.Iterator[R]:
        """Yield objects by UUID, beginning behind `after` if given."""
        order = self._order.get(project, [])
        first = bisect.bisect_right(order, after) if after else 0
        for index in range(first, len(order)):
            yield self.by_uuid[order[index]]

    def by_creation(
        self, project: str | None, after: str
    ) -> collections.abc.Iterator[R]:
        """Yield objects by age, beginning behind `after` if given.

        An `after` that is gone yields nothing: its place is unknown.
        """
        items = sorted(
            self.by_order(project, ''), key=operator.attrgetter('number')
        )
        if not after:
            yield from items
            return
        mark = self.by_uuid.get(after)
        if mark is not None:
            yield from (item for item in items if item.number > mark.number)
