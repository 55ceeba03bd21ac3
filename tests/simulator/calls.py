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

"""Routes, and one call on its way to a handler."""

from __future__ import annotations

import collections.abc
import dataclasses
import typing

from tests.simulator import auth
from tests.simulator import cluster as clusters
from tests.simulator import errors
from tests.simulator import validate

Json = dict[str, typing.Any]

PAGE = 1000

BASE = '/api/v2'
IN_PROJECT = f'{BASE}/projects/{{projectName}}'


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A request that is authenticated and allowed.

    :param params: variables of the path.
    :param project: the project it is about; None is every project.
    :param stale: how many versions back a read answers.
    :param doomed: whether what it creates ends in Failed.
    """

    cluster: clusters.Cluster
    identity: auth.Identity
    params: dict[str, str]
    query: dict[str, str]
    body: validate.Fields
    project: str | None
    if_match: str | None
    stale: int
    doomed: bool

    @property
    def owner(self) -> str:
        """The project, of a call that is about exactly one."""
        if self.project is None:
            raise errors.invalid('ProjectName must be provided')
        return self.project

    def uuid(self) -> str:
        """Return the UUID in the path; empty where a name is asked for."""
        text = self.params['UUID']
        return validate.uuid(text) if text else ''


# Keys no segment of a path can be.
_LEAF = '/leaf'
_VARIABLE = '/variable'

Handler = collections.abc.Callable[[Call], Json]


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """A path template with the handler of one verb on it.

    :param name: how faults and counters know it.
    """

    name: str
    method: str
    template: str
    access: auth.Access
    handler: Handler


class Templated(typing.Protocol):
    """What a router sorts: a verb on a path template."""

    @property
    def method(self) -> str:
        """The HTTP verb."""

    @property
    def template(self) -> str:
        """The path, with `{variables}` for whole segments."""


T = typing.TypeVar('T', bound=Templated)


class Router(typing.Generic[T]):
    """Finds routes by the segments of a path.

    A variable matches any segment, an empty one as well.
    """

    def __init__(self, routes: collections.abc.Iterable[T]) -> None:
        self._root: dict[str, typing.Any] = {}
        for route in routes:
            node = self._root
            for segment in route.template.split('/'):
                variable = segment.startswith('{')
                node = node.setdefault(_VARIABLE if variable else segment, {})
            names = [
                segment[1:-1]
                for segment in route.template.split('/')
                if segment.startswith('{')
            ]
            node.setdefault(_LEAF, {})[route.method] = (route, names)

    def find(
        self, method: str, path: str
    ) -> tuple[T | None, dict[str, str], int]:
        """Return (route, variables of the path, 200).

        Without a route: (None, {}, 404 or 405).
        """
        node = self._root
        values: list[str] = []
        for segment in path.split('/'):
            child = node.get(segment)
            if child is None:
                child = node.get(_VARIABLE)
                if child is None:
                    return None, {}, 404
                values.append(segment)
            node = child
        verbs = node.get(_LEAF)
        if verbs is None:
            return None, {}, 404
        found = verbs.get(method)
        if found is None:
            return None, {}, 405
        route, names = found
        return route, dict(zip(names, values, strict=True)), 200


def page_limit(call: Call) -> int:
    """Return how many objects a list may answer.

    :raises ApiError: 400, a limit that is no number or too high.
    """
    text = call.query.get('limit', '')
    if not text:
        return PAGE
    if not text.isdecimal():
        raise errors.invalid(f'limit {text!r} is no number')
    limit = int(text) or PAGE
    if limit > PAGE and call.cluster.switches.limit_over_max == '400':
        raise errors.invalid(f'limit {limit} exceeds {PAGE}')
    return min(limit, PAGE)


def query_flag(call: Call, name: str) -> bool:
    """Return a boolean of the query string.

    :raises ApiError: 400, it is none.
    """
    text = call.query.get(name, 'false').lower()
    if text not in ('true', 'false', '1', '0', 't', 'f'):
        raise errors.invalid(f'{name} {text!r} is no boolean')
    return text in ('true', '1', 't')
