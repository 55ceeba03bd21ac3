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

"""What an adoption changes, as values that can be kept in a file.

An adoption changes nothing but columns of Cinder's database. Each change is
written down with the values before and after, so that it can be carried on
after an interruption, proved, and taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
import dataclasses
import enum
from typing import Any

FORMAT = 1

Values = Mapping[str, str | None]


class Resource(enum.Enum):
    """What a row stands for; the order is that of the changes."""

    VOLUME = 'volume'
    SNAPSHOT = 'snapshot'
    GROUP = 'group'
    CACHE_ENTRY = 'image-cache entry'
    TYPE_SPEC = 'volume type'


class Direction(enum.Enum):
    """Which way the rows go."""

    FORWARD = 'adopt'
    BACK = 'back'


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One row.

    :param id: of the row.
    :param name: for people; a volume's id for what hangs on a volume.
    :param before: columns as they were found, `after`: as they are to be.
    """

    resource: Resource
    id: str
    name: str
    before: Values
    after: Values

    def ends(self, direction: Direction) -> tuple[Values, Values]:
        """:returns: values to start from and to end with."""
        if direction is Direction.FORWARD:
            return self.before, self.after
        return self.after, self.before

    def to_json(self) -> dict[str, Any]:
        """:returns: what `from_json` reads."""
        return {'resource': self.resource.value, 'id': self.id,
                'name': self.name, 'before': dict(self.before),
                'after': dict(self.after)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Change:
        """:raises KeyError, ValueError: it is of another form."""
        return cls(Resource(data['resource']), str(data['id']),
                   str(data['name']), dict(data['before']),
                   dict(data['after']))


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A backend of the in-tree driver.

    :param host: ``host@backend``, or the ``cluster@backend`` of clustered
        services.
    :param cluster: name of the cluster in the federation.
    :param cluster_uuid: its UUID.
    """

    host: str
    cluster: str
    cluster_uuid: str

    @property
    def backend(self) -> str:
        """The section of the in-tree driver."""
        return self.host.partition('@')[2]


@dataclasses.dataclass(frozen=True, slots=True)
class Blocked:
    """A row that cannot be adopted as it is, and why."""

    resource: Resource
    id: str
    name: str
    problem: str


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """An adoption as a whole.

    :param backend: section that takes the volumes over.
    :param host: ``host@backend`` of it.
    """

    backend: str
    host: str
    sources: tuple[Source, ...]
    changes: tuple[Change, ...]
    blocked: tuple[Blocked, ...] = ()
    notes: tuple[str, ...] = ()

    def ordered(self, direction: Direction) -> Iterator[Change]:
        """:returns: the changes; volume types come last when adopting.

        So a type leads to the backend only when its volumes are there.
        """
        order = list(Resource)
        yield from sorted(
            self.changes, key=lambda item: order.index(item.resource),
            reverse=direction is Direction.BACK)

    def to_json(self) -> dict[str, Any]:
        """:returns: what `from_json` reads; blocked rows are left out."""
        return {'format': FORMAT, 'backend': self.backend, 'host': self.host,
                'sources': [dataclasses.asdict(item)
                            for item in self.sources],
                'changes': [item.to_json() for item in self.changes]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """:raises KeyError, TypeError, ValueError: it is of another form."""
        if data['format'] != FORMAT:
            raise ValueError(f'format {data["format"]} is not known')
        return cls(str(data['backend']), str(data['host']),
                   tuple(Source(**item) for item in data['sources']),
                   tuple(map(Change.from_json, data['changes'])))


def images(changes: Iterable[Change], which: str) -> list[dict[str, Any]]:
    """:returns: rows before or after, for people and other programs.

    :param which: ``before`` or ``after``.
    """
    return [{'resource': item.resource.value, 'id': item.id,
             'name': item.name, **getattr(item, which)} for item in changes]
