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

"""Connections that serve only after the peer has proved who it is.

The proof is part of connecting: trust in the certificate first, before any
byte of HTTP, then the cluster's UUID, asked on that very connection. So a
kept-alive connection costs nothing extra, and a new one always leads to the
right cluster, whatever became of the address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
import dataclasses
import http.client
from http import HTTPStatus
import io
import json
import os
import socket
import ssl
import threading
from typing import Any

import urllib3
from urllib3 import connection as urllib3_connection
from urllib3 import exceptions as urllib3_errors

from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import fields
from cinder_lightbits_federation.lightbits import identity
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits import tls
from cinder_lightbits_federation import timing

PROOF_PATH = '/api/v2/clusterinfo'
LARGEST_PROOF = 1 << 20
CHUNK = 1 << 16

# Everything a connection may fail with, below and above TLS.
FAILURES = (OSError, http.client.HTTPException, urllib3_errors.HTTPError)

_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class NotReady(errors.Unreachable):
    """The endpoint is there but says that it cannot serve now."""


@dataclasses.dataclass(frozen=True, slots=True)
class Opening:
    """What a connection needs to open for the call of this thread."""

    headers: Mapping[str, str]
    deadline: timing.Deadline


class Gate:
    """What all connections to one endpoint have in common.

    :param welcome: told what the cluster says of itself, once it is proved
        to be the right one.
    :ivar certificate: what was presented last (DER), trusted or not.
    """

    def __init__(self, endpoint: endpoints.Endpoint, trust: tls.TlsTrust,
                 who: identity.Identity,
                 welcome: Callable[[model.ClusterInfo], None]) -> None:
        self.certificate: bytes | None = None
        self.endpoint = endpoint
        self.trust = trust
        self.who = who
        self.welcome = welcome
        # urllib3 opens connections inside of a call, in its thread, and has
        # no argument to hand this down.
        self._local = threading.local()

    @contextlib.contextmanager
    def opening(self, opening: Opening) -> Iterator[None]:
        """Connections opened by this thread meanwhile use `opening`."""
        self._local.opening = opening
        try:
            yield
        finally:
            del self._local.opening

    @property
    def current(self) -> Opening:
        """What was given to `opening` in this thread."""
        opening: Opening = self._local.opening
        return opening


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a deadline, not for a time per piece.

    A peer that drips its answer byte by byte would never run into the
    timeout of a socket.
    """

    def __init__(self, sock: socket.socket,
                 deadline: timing.Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        # Keeps the socket open when the connection lets go of it early.
        self._raw = sock.makefile('rb', buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline.remaining()
        if not left:
            raise TimeoutError('timed out')
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Timed:
    """What a response sees of the socket."""

    def __init__(self, sock: socket.socket,
                 deadline: timing.Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._deadline))


class ProvenConnection(urllib3_connection.HTTPSConnection):
    """A connection to one cluster's API, see the module.

    :param gate: what the endpoint has to prove.
    """

    def __init__(self, host: str, port: int | None = None, *, gate: Gate,
                 **options: Any) -> None:
        super().__init__(host, port, **options)
        self._gate = gate
        self._budget: timing.Deadline | None = None

    def response_class(  # type: ignore[override]
            self, sock: socket.socket,
            **options: Any) -> http.client.HTTPResponse:
        """Make a response whose reading ends at the call's deadline."""
        deadline = self._budget or self._gate.current.deadline
        return http.client.HTTPResponse(
            _Timed(sock, deadline), **options)  # type: ignore[arg-type]

    def connect(self) -> None:
        """Connect, judge the certificate, and ask for the UUID.

        :raises Unreachable: no connection, no TLS, or no proof.
        :raises Untrusted: the certificate is not the trusted one.
        :raises WrongCluster: another cluster answers.
        :raises Rejected: the token was refused.
        """
        opening = self._gate.current
        self._budget = None
        budget = opening.deadline.capped(float(self.timeout or 0))
        try:
            super().connect()
            self._judge()
            self._prove(opening, budget)
        except errors.LightbitsError:
            self.close()
            raise
        except FAILURES as error:
            self.close()
            raise _as_not_sent(error) from error

    def _judge(self) -> None:
        trust = self._gate.trust
        if not isinstance(self.sock, ssl.SSLSocket):
            raise errors.Untrusted('the connection has no certificate')
        certificate = self.sock.getpeercert(binary_form=True)
        self._gate.certificate = certificate
        if not trust.fingerprints:
            return
        trust.check(certificate)
        self.is_verified = True

    def _prove(self, opening: Opening, budget: timing.Deadline) -> None:
        if budget.expired():
            raise errors.Unreachable('no time left to identify the cluster')
        self._budget = budget
        self.request('GET', PROOF_PATH, headers=opening.headers,
                     preload_content=False)
        response = self.getresponse()
        raw = read_body(response, LARGEST_PROOF)
        self._budget = None
        info = _judged(response.status, raw)
        self._gate.who.check(info.uuid, str(self._gate.endpoint))
        if self.sock is None:
            # What was proved is gone with the connection.
            raise errors.Unreachable(
                'the endpoint closes the connection after each answer')
        self._gate.welcome(info)


def _judged(status: int, raw: bytes) -> model.ClusterInfo:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise errors.for_status(status, 'the token was refused',
                                write=False, documented=False)
    if status in _BUSY:
        raise NotReady(f'the cluster info is not available: HTTP {status}')
    if status != HTTPStatus.OK:
        raise errors.Unreachable(
            f'the cluster info is not available: HTTP {status}')
    try:
        data = json.loads(raw)
        if not isinstance(data, dict):
            raise fields.MalformedField('it is not an object')
        return model.ClusterInfo.from_json(data)
    except ValueError as error:
        raise errors.Unreachable(
            f'the cluster info is not readable: {error}') from None


def read_body(response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
    """Read a whole body.

    :param limit: bytes it may have.
    :raises HTTPError: it is cut short, too long, or too late.
    """
    chunks: list[bytes] = []
    size = 0
    while chunk := response.read(CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise urllib3_errors.HTTPError(
                f'the answer is longer than {limit} bytes')
    return b''.join(chunks)


def _as_not_sent(error: BaseException) -> errors.NotSent:
    """Say what kept a connection from opening."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return errors.Untrusted('the certificate is not trusted: '
                                    f'{cause.verify_message}')
        cause = cause.__cause__ or cause.__context__
    return errors.Unreachable(describe(error))


def timed_out(error: BaseException) -> bool:
    """:returns: whether a failure was to wait in vain."""
    return isinstance(error, (TimeoutError, urllib3_errors.TimeoutError))


def describe(error: BaseException) -> str:
    """:returns: a short text of a failure below HTTP."""
    if timed_out(error) and not isinstance(
            error, urllib3_errors.NewConnectionError):
        return 'timed out'
    if isinstance(error, urllib3_errors.ProtocolError) and len(
            error.args) > 1 and isinstance(error.args[1], BaseException):
        return describe(error.args[1])
    if isinstance(error, urllib3_errors.NewConnectionError) and isinstance(
            error.__cause__, OSError):
        return describe(error.__cause__)
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


class ProvenPool(urllib3.HTTPSConnectionPool):
    """Kept-alive connections to one endpoint; opens none by itself.

    :param size: idle connections to keep; more may be open.
    """

    ConnectionCls = ProvenConnection

    def __init__(self, gate: Gate, context: ssl.SSLContext,
                 size: int) -> None:
        self.gate = gate
        super().__init__(
            gate.endpoint.host, gate.endpoint.port, maxsize=size,
            block=False, retries=False, ssl_context=context,
            server_hostname=gate.trust.server_name, gate=gate)

    @property
    def endpoint(self) -> endpoints.Endpoint:
        """Where its connections lead."""
        return self.gate.endpoint
