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

"""One HTTP exchange with one endpoint: what is sent, what comes back."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from http import HTTPStatus
import json
import logging
import time
from typing import Any
from urllib import parse as urlparse

import urllib3

from cinder_lightbits_federation.lightbits import connection
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import redact
from cinder_lightbits_federation import timing

LOG = logging.getLogger(__name__)

LARGEST_REPLY = 64 << 20

Query = Mapping[str, str | int | bool | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A request, the same for every endpoint.

    :param operation: what it is in words such as ``volumes.create``.
    :param project: whose token to use.
    :param path: already escaped, see `path_of`.
    :param query: entries that are None are left out.
    :param body: becomes JSON; None sends no body.
    """

    operation: str
    project: str
    method: str
    path: str
    query: Query = dataclasses.field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def write(self) -> bool:
        """Whether it may change something."""
        return self.method not in ('GET', 'HEAD')

    @property
    def target(self) -> str:
        """Path and query as they are sent."""
        pairs = [(key, _query_text(value))
                 for key, value in self.query.items() if value is not None]
        if not pairs:
            return self.path
        return f'{self.path}?{urlparse.urlencode(pairs)}'

    @property
    def payload(self) -> bytes | None:
        """The body as it is sent."""
        if self.body is None:
            return None
        return json.dumps(self.body).encode()


def _query_text(value: str | int | bool | None) -> str:
    if isinstance(value, bool):
        return 'true' if value else 'false'
    return str(value)


def path_of(*segments: str) -> str:
    """Build a path of the API; every segment is escaped.

    :raises ValueError: a segment is empty or would change the path, so
        that a missing UUID never addresses a whole collection.
    """
    for segment in segments:
        if segment in ('', '.', '..'):
            raise ValueError(f'{segment!r} cannot be part of a path')
    return '/api/v2/' + '/'.join(
        urlparse.quote(segment, safe='') for segment in segments)


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answered, whole."""

    status: int
    body: bytes
    content_type: str = ''

    @property
    def ok(self) -> bool:
        """Whether it is a success; the API only ever uses 200."""
        return self.status in (HTTPStatus.OK, HTTPStatus.CREATED)

    def object(self) -> dict[str, Any] | None:
        """:returns: the body if it is a JSON object, else None."""
        try:
            data = json.loads(self.body)
        except ValueError:
            return None
        return data if isinstance(data, dict) else None

    def error_body(self) -> tuple[str, int | None]:
        """Read the body of an error.

        :returns: its text, and its gRPC code; the code is None unless the
            body has the API's own form for errors.
        """
        data = self.object() or {}
        text = data.get('message', data.get('error'))
        code = data.get('code')
        if isinstance(text, str) and isinstance(code, int):
            return redact.text(text), code
        return redact.text(self.body.decode('utf-8', 'replace')[:500]), None


class LostReply(Exception):
    """The request left, and no whole answer came.

    :param timed_out: whether it was waited for in vain; else the
        connection broke.
    """

    def __init__(self, text: str, *, timed_out: bool) -> None:
        self.timed_out = timed_out
        super().__init__(text)


class PoolClosed(Exception):
    """The pool was closed before the request got a connection from it."""


def exchange(pool: connection.ProvenPool, call: Call,
             headers: Mapping[str, str], connect_timeout: float,
             deadline: timing.Deadline) -> Reply:
    """Send `call` to the endpoint of `pool` and read the answer.

    Opens a connection, with all the proof that this takes, if none is
    idle. One line is logged at DEBUG; headers never are.

    :param headers: Authorization and others, also for the proof.
    :param connect_timeout: seconds, within `deadline`.
    :raises NotSent: no connection, or the wrong one; nothing has left.
    :raises Rejected: the token was refused while connecting.
    :raises LostReply: the request may have arrived.
    :raises PoolClosed: nothing has left; there is a new pool by now.
    """
    started = time.monotonic()
    outcome = 'no connection'
    body: bytes | None = None
    try:
        reply = _exchange(pool, call, headers, connect_timeout, deadline)
        outcome, body = str(reply.status), reply.body
        return reply
    except LostReply as lost:
        outcome = f'lost: {lost}'
        raise
    finally:
        if LOG.isEnabledFor(logging.DEBUG):
            LOG.debug(
                '%s %s at %s: %s in %.1f ms; sent %s; got %s', call.method,
                call.target, pool.endpoint, outcome,
                (time.monotonic() - started) * 1000,
                redact.body(call.payload), redact.body(body))


def _exchange(pool: connection.ProvenPool, call: Call,
              headers: Mapping[str, str], connect_timeout: float,
              deadline: timing.Deadline) -> Reply:
    left = deadline.remaining()
    if not left:
        raise errors.Unreachable('no time left')
    payload = call.payload
    sent = {**headers, **call.headers}
    if payload is not None:
        sent['Content-Type'] = 'application/json'
    try:
        with pool.gate.opening(connection.Opening(headers, deadline)):
            response = pool.urlopen(
                call.method, call.target, body=payload, headers=sent,
                retries=False, redirect=False, assert_same_host=False,
                preload_content=False,
                timeout=urllib3.Timeout(
                    connect=min(connect_timeout, left), read=left,
                    total=left))
        return _reply(response)
    except urllib3.exceptions.ClosedPoolError as error:
        raise PoolClosed from error
    except connection.FAILURES as error:
        # A failure to connect is a LightbitsError and passes by.
        raise LostReply(connection.describe(error),
                        timed_out=connection.timed_out(error)) from error


def _reply(response: urllib3.BaseHTTPResponse) -> Reply:
    raw = None
    try:
        raw = connection.read_body(response, LARGEST_REPLY)
        return Reply(response.status, raw,
                     response.headers.get('Content-Type', ''))
    finally:
        if raw is None:
            # What is left unread would be taken for the next answer.
            response.close()
        response.release_conn()
