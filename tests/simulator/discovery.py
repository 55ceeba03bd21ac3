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

"""A discovery service over NVMe/TCP, as each node of a cluster has one.

The kernel's own would tell of one port only. This one speaks as much of the
protocol as the kernel's host needs of a discovery controller.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import ipaddress
import socket
import struct
import threading

PORT = 8009
DISCOVERY_NQN = b'nqn.2014-08.org.nvmexpress.discovery'

# Types of protocol data units, and flags of one.
_IC_REQUEST, _IC_RESPONSE, _COMMAND, _RESPONSE, _DATA = 0, 1, 4, 5, 7
_LAST = 0x04
# Commands.
_GET_LOG, _IDENTIFY, _EVENT, _FABRICS = 0x02, 0x06, 0x0C, 0x7F
_SET_PROPERTY, _CONNECT, _GET_PROPERTY = 0x00, 0x01, 0x04
# Properties: capabilities, version, configuration, status.
_CAP, _VS, _CC, _CSTS = 0x00, 0x08, 0x14, 0x1C
_CAPABILITIES = 127 | 1 << 16 | 15 << 24 | 1 << 37
_VERSION = 0x00010300
_DISCOVERY_LOG = 0x70
_INVALID_FIELD = 0x4002
_CONTROLLER = 1
# What an entry of a log page is about.
_REFERRAL, _IO = 1, 2


def log_page(
    nqn: str,
    endpoints: list[tuple[str, int]],
    others: Sequence[str] = (),
) -> bytes:
    """:returns: a discovery log page with the I/O controllers.

    :param others: addresses of the discovery services of other nodes, to
        which it refers.
    """
    entries = [
        *((address, port, _IO, nqn) for address, port in endpoints),
        *((address, PORT, _REFERRAL, DISCOVERY_NQN.decode())
          for address in others)]
    page = struct.pack('<QQH', 1, len(entries), 0).ljust(1024, b'\0')
    for number, (address, port, kind, name) in enumerate(entries):
        family = 1 if ipaddress.ip_address(address).version == 4 else 2
        entry = bytearray(1024)
        struct.pack_into('<BBBBHHH', entry, 0, 3, family, kind, 0, number,
                         0xFFFF, 32)
        for place, text in ((32, str(port)), (256, name), (512, address)):
            entry[place:place + len(text)] = text.encode()
        page += entry
    return page


def identity() -> bytes:
    """:returns: an Identify Controller data structure."""
    data = bytearray(4096)
    for place, length, text in ((4, 20, 'DISCOVERY'), (24, 40, 'Test'),
                                (64, 8, '1')):
        data[place:place + length] = text.encode().ljust(length)
    struct.pack_into('<HI', data, 78, _CONTROLLER, _VERSION)
    struct.pack_into('<I', data, 92, 1 << 31)
    # Controller type: discovery.
    data[111] = 2
    struct.pack_into('<H', data, 514, 128)
    # Scatter-gather lists, without which the kernel goes no further.
    struct.pack_into('<I', data, 536, 1 | 1 << 20)
    data[768:768 + len(DISCOVERY_NQN)] = DISCOVERY_NQN
    return bytes(data)


class _Session:
    """One connection of a host."""

    def __init__(
        self, sock: socket.socket, service: DiscoveryService
    ) -> None:
        self._socket = sock
        self._service = service
        self._configuration = 0

    def _exactly(self, count: int) -> bytes:
        data = b''
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise ConnectionError('the host has gone')
            data += piece
        return data

    def serve(self) -> None:
        """Answer until the host goes.

        :raises OSError: it has gone.
        """
        while True:
            kind, _flags, _length, _offset, total = struct.unpack(
                '<BBBBI', self._exactly(8))
            body = self._exactly(total - 8)
            if kind == _IC_REQUEST:
                self._socket.sendall(struct.pack(
                    '<BBBBIHBBI', _IC_RESPONSE, 0, 128, 0, 128, 0, 0, 0,
                    131072).ljust(128, b'\0'))
            elif kind == _COMMAND:
                self._command(body[:64])

    def _command(self, entry: bytes) -> None:
        opcode, number = entry[0], struct.unpack_from('<H', entry, 2)[0]
        if opcode == _FABRICS:
            self._respond(number, self._fabrics(entry))
        elif opcode == _IDENTIFY:
            self._send(number, identity())
        elif opcode == _GET_LOG and entry[40] == _DISCOVERY_LOG:
            self._send(number, self._piece(entry))
        elif opcode == _GET_LOG:
            self._respond(number, 0, _INVALID_FIELD)
        elif opcode != _EVENT:
            # Keep-alive and features. Events would be answered with one.
            self._respond(number, 0)

    def _piece(self, entry: bytes) -> bytes:
        low, = struct.unpack_from('<H', entry, 42)
        high, = struct.unpack_from('<H', entry, 44)
        offset, = struct.unpack_from('<Q', entry, 48)
        count = ((high << 16 | low) + 1) * 4
        page = self._service.page
        return page[offset:offset + count].ljust(count, b'\0')

    def _fabrics(self, entry: bytes) -> int:
        kind = entry[4]
        offset, value = struct.unpack_from('<IQ', entry, 44)
        if kind == _CONNECT:
            return _CONTROLLER
        if kind == _SET_PROPERTY and offset == _CC:
            self._configuration = value
        if kind != _GET_PROPERTY:
            return 0
        # Ready once enabled, and shut down once told to.
        status = (self._configuration & 1
                  | (8 if self._configuration >> 14 & 3 else 0))
        return {_CAP: _CAPABILITIES, _VS: _VERSION, _CSTS: status,
                _CC: self._configuration}.get(offset, 0)

    def _send(self, number: int, data: bytes) -> None:
        self._socket.sendall(struct.pack(
            '<BBBBIHHIII', _DATA, _LAST, 24, 24, 24 + len(data), number, 0,
            0, len(data), 0) + data)
        self._respond(number, 0)

    def _respond(self, number: int, result: int, status: int = 0) -> None:
        self._socket.sendall(struct.pack(
            '<BBBBIQHHHH', _RESPONSE, 0, 24, 0, 24, result, 0, 0, number,
            status << 1))


class DiscoveryService:
    """Listens on one address and tells of a cluster.

    :param endpoints: (address, port) of its I/O controllers.
    :param others: see :func:`log_page`.
    """

    def __init__(self, address: str, nqn: str,
                 endpoints: list[tuple[str, int]],
                 others: Sequence[str] = ()) -> None:
        self.page = log_page(nqn, endpoints, others)
        self._socket = socket.create_server(
            (address, PORT),
            family=socket.AF_INET6 if ':' in address else socket.AF_INET)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _peer = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,),
                             daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            _Session(connection, self).serve()
