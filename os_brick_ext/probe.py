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

"""Whether somebody listens, answered within a given time."""

from __future__ import annotations

import socket

from os_brick_ext import timing

LONGEST_STATUS_LINE = 1024


def reachable(address: str, port: int, seconds: float) -> str | None:
    """Try to open a TCP connection.

    :returns: None if that works, else why not.
    """
    try:
        socket.create_connection((address, port), seconds).close()
    except OSError as exc:
        return str(exc) or type(exc).__name__
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
    except OSError:
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
    except OSError:
        return False
    return (len(fields) > 1 and fields[0].startswith(b'HTTP/')
            and fields[1] == b'200')


def _status_line(sock: socket.socket, deadline: timing.Deadline) -> bytes:
    """:raises TimeoutError: it did not come in time.

    :returns: the line, or what came of it before the end.
    """
    seen = b''
    while b'\n' not in seen and len(seen) < LONGEST_STATUS_LINE:
        # Never 0, which would mean not to wait at all, and fail as busy.
        sock.settimeout(max(deadline.remaining(), 0.001))
        piece = sock.recv(LONGEST_STATUS_LINE)
        if not piece:
            break
        seen += piece
    return seen.partition(b'\n')[0]
