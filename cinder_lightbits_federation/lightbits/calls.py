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

"""What the groups of calls share: one call, and the reading of answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import exchange
from cinder_lightbits_federation.lightbits import fields
from cinder_lightbits_federation.lightbits import transport
from cinder_lightbits_federation import timing

# The API's own default and maximum.
PAGE = 1000


class Identified(Protocol):
    """An object of the API with a UUID."""

    @property
    def uuid(self) -> str:
        """In lower case."""


T = TypeVar('T')
I = TypeVar('I', bound=Identified)  # noqa: E741


class Calls:
    """Base of the groups of calls of `client.LightbitsClient`.

    Every call takes the `project` whose token is used and a `deadline`
    (None: the cluster's `api_timeout` from now), and raises what
    `transport.Transport.request` raises.

    :param name: the cluster's name, for messages.
    """

    def __init__(self, channel: transport.Transport, name: str) -> None:
        self._channel = channel
        self._name = name

    @property
    def name(self) -> str:
        """What the operator calls the cluster."""
        return self._name

    def _call(self, operation: str, project: str, method: str, path: str,
              deadline: timing.Deadline | None, *,
              query: exchange.Query | None = None,
              body: Mapping[str, Any] | None = None,
              etag: str | None = None) -> dict[str, Any]:
        """Do one call.

        :param etag: apply only if the object still has this ETag.
        """
        headers = {} if etag is None else {'If-Match': etag}
        return self._channel.request(
            exchange.Call(operation, project, method, path, query or {},
                          body, headers), deadline)

    def _read(self, operation: str, parse: Callable[[fields.Json], T],
              data: fields.Json, *, write: bool = False) -> T:
        """Parse an answer.

        :raises InvalidReply: a read was answered with something else.
        :raises Ambiguous: a write was; it may well have been applied.
        """
        try:
            return parse(data)
        except (fields.MalformedField, AttributeError, TypeError) as error:
            kind = errors.Ambiguous if write else errors.InvalidReply
            raise kind(f'unexpected answer: {error}', cluster=self._name,
                       operation=operation) from None

    def _list(self, operation: str, parse: Callable[[fields.Json], T],
              data: fields.Json, key: str) -> tuple[T, ...]:
        """Parse a list that is missing when it is empty."""
        return self._read(
            operation,
            lambda answer: tuple(parse(item) for item in
                                 answer.get(key) or ()), data)

    def _same(self, operation: str, wanted: str, found: str) -> None:
        """Make sure that the answer is about what was asked for.

        :raises InvalidReply: it is not.
        """
        if wanted != found:
            raise errors.InvalidReply(
                f'asked for {wanted!r} but got {found!r}',
                cluster=self._name, operation=operation)

    def _pages(self, operation: str,
               page: Callable[[str | None], tuple[I, ...]],
               limit: int) -> Iterator[I]:
        """Go through a list page by page, by the last UUID received.

        :raises InvalidReply: a page does not go on after the one before.
        """
        after: str | None = None
        while True:
            items = page(after)
            yield from items
            if len(items) < limit:
                return
            if items[-1].uuid == after:
                raise errors.InvalidReply(
                    f'the list does not go on after {after}',
                    cluster=self._name, operation=operation)
            after = items[-1].uuid
