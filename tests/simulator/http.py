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

"""HTTP/1.1 over TCP or TLS, with a hand on the socket for the faults."""

from __future__ import annotations

import asyncio
import collections
import collections.abc
import contextlib
import dataclasses
import json
import os
import socket
import ssl
import struct
import typing
import urllib.parse

import httptools

MAX_BODY = 1 << 20
JSON_TYPE = 'application/json'

_CHUNK = 1 << 16
_REASONS = {
    200: 'OK',
    400: 'Bad Request',
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'Not Found',
    405: 'Method Not Allowed',
    408: 'Request Timeout',
    409: 'Conflict',
    412: 'Precondition Failed',
    413: 'Content Too Large',
    429: 'Too Many Requests',
    500: 'Internal Server Error',
    501: 'Not Implemented',
    503: 'Service Unavailable',
    504: 'Gateway Timeout',
}


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    :param missing: bytes the announced length exceeds the body by.
    """

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    missing: int = 0

    def encoded(self, *, keep_alive: bool) -> bytes:
        """Return the answer as it goes over the wire."""
        reason = _REASONS.get(self.status, 'Status')
        closing = '' if keep_alive else 'Connection: close\r\n'
        head = (
            f'HTTP/1.1 {self.status} {reason}\r\n'
            f'Content-Type: {self.content_type}\r\n'
            f'Content-Length: {len(self.body) + self.missing}\r\n'
            f'{closing}\r\n'
        )
        return head.encode('latin-1') + self.body


_encoder = json.JSONEncoder(separators=(',', ':'), ensure_ascii=False)


def json_response(status: int, value: object) -> Response:
    """Return an answer with a JSON body."""
    return Response(status, _encoder.encode(value).encode())


def plain_response(status: int) -> Response:
    """Return the plain-text answer of a gateway without a route."""
    reason = _REASONS.get(status, 'Error')
    return Response(status, f'{reason}\n'.encode(), 'text/plain')


@dataclasses.dataclass(slots=True, eq=False)
class Request:
    """A request; header names are in lower case.

    :param target: path and query as they were sent, escapes and all.
    """

    method: str
    target: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


class Application(typing.Protocol):
    """What serves the requests of a listening socket."""

    def connected(self, connection: Connection) -> None:
        """Learn of a connection before anything is read from it."""

    def disconnected(self, connection: Connection) -> None:
        """Learn of the end of a connection."""

    def secured(self, *, resumed: bool) -> None:
        """Learn of a TLS handshake completed."""

    def serve(self, connection: Connection, request: Request) -> None:
        """Answer with one of the connection's methods, now or later."""


class Connection(asyncio.Protocol):
    """One connection; requests on it are served one after the other.

    :param context: for TLS, or None for plain HTTP.
    """

    def __init__(
        self, application: Application, context: ssl.SSLContext | None
    ) -> None:
        self._application = application
        self._context = context
        self._tls: _Tls | None = None
        self._waiting: collections.deque[Request] = collections.deque()
        self._busy: Request | None = None
        self._head: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._length = 0
        self._url = b''
        self._held: list[bytes] = []
        self.frozen = False
        self.closed = False
        # Address and port of the other end.
        self.client = ''

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = typing.cast(asyncio.Transport, transport)
        # There is none when the other end has gone already.
        peer = transport.get_extra_info('peername')
        if peer is not None:
            self.client = f'{peer[0]}:{peer[1]}'
        self._parser = httptools.HttpRequestParser(self)
        if self._context is not None:
            self._tls = _Tls(self._context)
        self._application.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, whoever ended it."""
        self.closed = True
        self._application.disconnected(self)

    def data_received(self, data: bytes) -> None:
        """Take what came over the wire."""
        if self.closed:
            return
        if self.frozen:
            # A new connection is read once before it can be paused.
            self._held.append(data)
            self._transport.pause_reading()
            return
        try:
            if self._tls is None:
                self._parser.feed_data(data)
            else:
                self._receive_tls(self._tls, data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._answer(plain_response(400), keep_alive=False)
        except ssl.SSLError:
            self._flush()
            self.drop()

    def _receive_tls(self, tls: _Tls, data: bytes) -> None:
        ready = tls.ready
        for plain in tls.receive(data):
            self._parser.feed_data(plain)
        if tls.ready and not ready:
            self._application.secured(resumed=tls.resumed)
        self._flush()
        if tls.ended:
            self.drop()

    def _flush(self) -> None:
        if self._tls is not None and not (self.closed or self.frozen):
            data = self._tls.outgoing()
            if data:
                self._transport.write(data)

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._head, self._body = [], []
        self._url, self._length = b'', 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._head.append((name, value))

    def on_headers_complete(self) -> None:
        """Invite the body if the client waits for that."""
        for name, value in self._head:
            if name.lower() == b'expect' and value == b'100-continue':
                self._write(b'HTTP/1.1 100 Continue\r\n\r\n')

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._length += len(body)
        if self._length <= MAX_BODY:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Serve the request, or queue it behind the one served."""
        if self._length > MAX_BODY:
            self._answer(plain_response(413), keep_alive=False)
            return
        self._waiting.append(self._request())
        self._next()

    def _request(self) -> Request:
        target = self._url.decode('latin-1')
        path, _, query = target.partition('?')
        pairs = urllib.parse.parse_qsl(query, True) if query else []
        return Request(
            method=self._parser.get_method().decode(),
            target=target,
            path=urllib.parse.unquote(path) if '%' in path else path,
            query=dict(pairs),
            headers={
                name.decode('latin-1').lower(): value.decode('latin-1')
                for name, value in self._head
            },
            body=b''.join(self._body),
            keep_alive=self._parser.should_keep_alive(),
        )

    def _next(self) -> None:
        if self._busy is None and self._waiting and not self.closed:
            self._busy = self._waiting.popleft()
            self._application.serve(self, self._busy)

    # Called by the application.

    def reply(self, response: Response) -> None:
        """Answer the request being served."""
        request, self._busy = self._busy, None
        keep = request is not None and request.keep_alive
        self._answer(response, keep_alive=keep and not response.missing)
        self._next()

    def _answer(self, response: Response, *, keep_alive: bool) -> None:
        self._write(response.encoded(keep_alive=keep_alive))
        if not keep_alive:
            self._waiting.clear()
            self.close()

    def _write(self, data: bytes) -> None:
        if self.closed:
            return
        if self._tls is None:
            self._transport.write(data)
        else:
            self._tls.send(data)
            self._flush()

    def close(self) -> None:
        """Close in order, after what was written."""
        if not self.closed:
            if self._tls is not None:
                self._tls.finish()
                self._flush()
            self.drop()

    def drop(self) -> None:
        """Close without a word of TLS."""
        self.closed = True
        self._transport.close()

    def reset(self) -> None:
        """Let the peer see a connection reset."""
        if self.closed:
            return
        descriptor = self._transport.get_extra_info('socket').fileno()
        with socket.socket(fileno=os.dup(descriptor)) as twin:
            # No lingering: closing discards the connection with RST.
            option = struct.pack('ii', 1, 0)
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
        self.closed = True
        self._transport.abort()

    def freeze(self) -> None:
        """Read no more and send no more over TLS."""
        if not self.closed and not self.frozen:
            self.frozen = True
            self._transport.pause_reading()

    def thaw(self) -> None:
        """Go on with what came and what was answered meanwhile."""
        if self.frozen and not self.closed:
            self.frozen = False
            self._transport.resume_reading()
            self._flush()
            held, self._held = self._held, []
            for data in held:
                self.data_received(data)


class _Tls:
    """One server side of TLS between two memory buffers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=True
        )
        self.ready = False
        self.ended = False

    @property
    def resumed(self) -> bool:
        """Whether the handshake resumed a session."""
        return bool(self._object.session_reused)

    def receive(self, data: bytes) -> collections.abc.Iterator[bytes]:
        """Take encrypted bytes and yield what they hold.

        :raises ssl.SSLError: the peer does not speak TLS properly.
        """
        self._incoming.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            if not self.ready:
                self._object.do_handshake()
                self.ready = True
            while True:
                plain = self._read()
                if not plain:
                    self.ended = True
                    return
                yield plain

    def _read(self) -> bytes:
        try:
            return self._object.read(_CHUNK)
        except ssl.SSLZeroReturnError:
            return b''

    def send(self, data: bytes) -> None:
        """Encrypt `data`."""
        self._object.write(data)

    def finish(self) -> None:
        """Say good-bye."""
        if self.ready:
            with contextlib.suppress(ssl.SSLError):
                self._object.unwrap()

    def outgoing(self) -> bytes:
        """Return the encrypted bytes that are due."""
        return self._outgoing.read()
