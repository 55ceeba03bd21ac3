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

"""Whether somebody listens and answers, found out within a given time."""

from __future__ import annotations

import socket
import struct

from os_brick_ext import timing

LONGEST_STATUS_LINE = 1024

# What cannot be a name at all never gets as far as to the system.
_FAILURES = (OSError, UnicodeError)

# Of NVMe/TCP: what opens a connection, and the answer to it. Both begin with
# type, flags, length of the header, offset of data and length of it all.
_HEADER = struct.Struct('<BBBBI')
_REQUEST, _RESPONSE = 0, 1
_LENGTH = 128
# As the kernel asks: format 0, data aligned to 4 bytes, no digests, one R2T.
_INITIALIZE = (_HEADER.pack(_REQUEST, 0, _LENGTH, 0, _LENGTH)
               + struct.pack('<HBBI', 0, 0, 0, 0)).ljust(_LENGTH, b'\0')


def reachable(address: str, port: int, seconds: float) -> str | None:
    """Try to open a TCP connection.

    :returns: None if that works, else why not.
    """
    try:
        socket.create_connection((address, port), seconds).close()
    except _FAILURES as exc:
        return str(exc) or type(exc).__name__
    return None


def speaks_nvme(address: str, port: int, seconds: float) -> str | None:
    """Begin to talk NVMe over TCP, without TLS, and leave it at that.

    A node that hangs may well accept connections: its kernel does. Whoever
    connects to it for more than this waits for about a minute.

    :param seconds: for all of it.
    :returns: None if the other side answers as it should, else why not.
    """
    deadline = timing.Deadline.after(seconds)
    try:
        with socket.create_connection((address, port), seconds) as sock:
            return _initialize(sock, deadline)
    except _FAILURES as exc:
        return str(exc) or type(exc).__name__


def _initialize(sock: socket.socket, deadline: timing.Deadline) -> str | None:
    """:raises OSError: the connection was lost.

    :returns: see :func:`speaks_nvme`.
    """
    sock.sendall(_INITIALIZE)
    try:
        answer = _received(sock, _LENGTH, deadline)
    except TimeoutError:
        return 'accepts connections, but does not answer'
    if (len(answer) < _LENGTH or _HEADER.unpack_from(answer)[::2]
            != (_RESPONSE, _LENGTH, _LENGTH)):
        return 'does not speak NVMe over TCP'
    return None


def local_address(address: str, port: int) -> str | None:
    """:returns: this host's address towards another; None without a route.

    Nothing is sent.
    """
    try:
        family, kind, protocol, _name, target = socket.getaddrinfo(
            address, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.connect(target)
            return str(sock.getsockname()[0])
    except _FAILURES:
        return None


def http_ok(address: str, port: int, path: str, seconds: float) -> bool:
    """Ask a plain HTTP server for a page's head.

    :param seconds: for all of it; a server that never ends its answer, or
        accepts and says nothing, counts as not answering.
    :returns: whether the answer is 200.
    """
    deadline = timing.Deadline.after(seconds)
    host = f'[{address}]' if ':' in address else address
    request = (f'HEAD {path} HTTP/1.1\r\nHost: {host}:{port}\r\n'
               'Connection: close\r\n\r\n')
    try:
        with socket.create_connection((address, port), seconds) as sock:
            sock.sendall(request.encode('ascii'))
            fields = _status_line(sock, deadline).split()
    except _FAILURES:
        return False
    return (len(fields) > 1 and fields[0].startswith(b'HTTP/')
            and fields[1] == b'200')


def _status_line(sock: socket.socket, deadline: timing.Deadline) -> bytes:
    """:raises TimeoutError: it did not come in time.

    :returns: the line, or what came of it before the end.
    """
    seen = b''
    while b'\n' not in seen and len(seen) < LONGEST_STATUS_LINE:
        piece = _piece(sock, LONGEST_STATUS_LINE, deadline)
        if not piece:
            break
        seen += piece
    return seen.partition(b'\n')[0]


def _received(sock: socket.socket, length: int,
              deadline: timing.Deadline) -> bytes:
    """:raises TimeoutError: it did not come in time.

    :returns: as many bytes, or what came of them before the end.
    """
    seen = b''
    while len(seen) < length:
        piece = _piece(sock, length - len(seen), deadline)
        if not piece:
            break
        seen += piece
    return seen


def _piece(sock: socket.socket, most: int,
           deadline: timing.Deadline) -> bytes:
    # Never 0, which would mean not to wait at all, and fail as busy.
    sock.settimeout(max(deadline.remaining(), 0.001))
    return sock.recv(most)
