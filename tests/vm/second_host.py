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

"""Another host, with an NQN of its own, in user space.

The kernel of the guest is one host: two NQNs of it would be two paths to one
device. This one speaks as much NVMe/TCP as it takes to log in, to list
namespaces, and to read and write one.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import types
import uuid as uuidlib

BLOCK = 4096
_TIMEOUT = 30.0

_COMMAND, _RESPONSE, _DATA = 4, 5, 7
_FABRICS, _IDENTIFY, _WRITE, _READ = 0x7F, 0x06, 0x01, 0x02
_SET_PROPERTY, _CONNECT, _GET_PROPERTY = 0, 1, 4
_CC, _CSTS = 0x14, 0x1C
# Enabled, with entries of 64 and 16 bytes.
_ENABLE = 1 | 6 << 16 | 4 << 20
_ACTIVE_NAMESPACES, _DESCRIPTORS = 0x02, 0x03
_UUID_DESCRIPTOR = 3
_IN_CAPSULE, _IN_TRANSPORT = 0x01, 0x5A


class Refused(Exception):
    """The target answered with an error status."""


class _Queue:
    """One queue, which is one connection."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.create_connection((address, port), _TIMEOUT)
        self._number = 0
        self._socket.sendall(struct.pack('<BBBBIHBBI', 0, 0, 128, 0, 128,
                                         0, 0, 0, 0).ljust(128, b'\0'))
        self._receive()

    def close(self) -> None:
        self._socket.close()

    def _exactly(self, count: int) -> bytes:
        data = b''
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise ConnectionError('the target has closed the connection')
            data += piece
        return data

    def _receive(self) -> tuple[int, bytes, bytes]:
        """:returns: type, header behind the common part, and data."""
        kind, _flags, header, offset, total = struct.unpack(
            '<BBBBI', self._exactly(8))
        rest = self._exactly(total - 8)
        return kind, rest[:header - 8], rest[offset - 8:] if offset else b''

    def command(self, opcode: int, words: dict[int, tuple[str, int]],
                send: bytes = b'', expect: int = 0, namespace: int = 0,
                kind: int | None = None) -> tuple[int, bytes]:
        """Send a command and wait for its answer.

        :param words: fields of the command by offset: format and value.
        :param send: data that goes along.
        :param expect: bytes of data to get.
        :param kind: of a fabrics command.
        :returns: the result and the data.
        :raises Refused: by the target.
        """
        self._number += 1
        entry = bytearray(64)
        struct.pack_into('<BBHI', entry, 0, opcode, 0x40, self._number,
                         namespace)
        if kind is not None:
            entry[4] = kind
        struct.pack_into('<QIBBBB', entry, 24, 0, len(send) or expect, 0, 0,
                         0, _IN_CAPSULE if send else _IN_TRANSPORT)
        for offset, (form, value) in words.items():
            struct.pack_into('<' + form, entry, offset, value)
        self._socket.sendall(struct.pack(
            '<BBBBI', _COMMAND, 0, 72, 72 if send else 0, 72 + len(send))
            + bytes(entry) + send)
        data = bytearray(expect)
        while True:
            received, header, piece = self._receive()
            if received == _DATA:
                place, = struct.unpack_from('<I', header, 4)
                data[place:place + len(piece)] = piece
            elif received == _RESPONSE:
                break
        result, status = struct.unpack_from('<Q6xH', header)
        if status >> 1:
            raise Refused(f'command {opcode:#x}: status {status >> 1:#x}')
        return result, bytes(data)

    def connect(self, queue: int, subsystem_nqn: str, host_nqn: str,
                controller: int) -> int:
        """Log in. :returns: number of the controller."""
        data = bytearray(1024)
        data[:16] = uuidlib.uuid5(uuidlib.NAMESPACE_URL, host_nqn).bytes
        struct.pack_into('<H', data, 16, controller)
        for place, nqn in ((256, subsystem_nqn), (512, host_nqn)):
            data[place:place + len(nqn)] = nqn.encode()
        result, _data = self.command(
            _FABRICS, {42: ('H', queue), 44: ('H', 31)}, bytes(data),
            kind=_CONNECT)
        return result & 0xFFFF


class SecondHost:
    """Connected to one node of a cluster, for as long as it is entered.

    :param endpoint: ``address:port`` of the node.
    """

    def __init__(self, endpoint: str, subsystem_nqn: str, host_nqn: str
                 ) -> None:
        self._address, _colon, port = endpoint.rpartition(':')
        self._port = int(port)
        self._nqns = subsystem_nqn, host_nqn
        self._stack = contextlib.ExitStack()
        self._queues: list[_Queue] = []

    def __enter__(self) -> SecondHost:
        """:raises Refused: the cluster does not let this host in."""
        with contextlib.ExitStack() as stack:
            admin = self._queue(stack)
            number = admin.connect(0, *self._nqns, 0xFFFF)
            admin.command(_FABRICS, {44: ('I', _CC), 48: ('Q', _ENABLE)},
                          kind=_SET_PROPERTY)
            ready, _data = admin.command(
                _FABRICS, {44: ('I', _CSTS)}, kind=_GET_PROPERTY)
            assert ready & 1
            self._queue(stack).connect(1, *self._nqns, number)
            self._stack = stack.pop_all()
        return self

    def _queue(self, stack: contextlib.ExitStack) -> _Queue:
        queue = _Queue(self._address.strip('[]'), self._port)
        stack.callback(queue.close)
        self._queues.append(queue)
        return queue

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self._stack.close()

    def namespaces(self) -> dict[str, int]:
        """:returns: numbers of the volumes it sees, by UUID."""
        _result, page = self._queues[0].command(
            _IDENTIFY, {40: ('I', _ACTIVE_NAMESPACES)}, expect=4096)
        numbers = [number for number, in struct.iter_unpack('<I', page)
                   if number]
        return {self._uuid(number): number for number in numbers}

    def _uuid(self, number: int) -> str:
        _result, page = self._queues[0].command(
            _IDENTIFY, {40: ('I', _DESCRIPTORS)}, expect=4096,
            namespace=number)
        place = 0
        while page[place]:
            if page[place] == _UUID_DESCRIPTOR:
                return str(uuidlib.UUID(bytes=page[place + 4:place + 20]))
            place += 4 + page[place + 1]
        raise AssertionError(f'namespace {number} has no UUID')

    def read(self, number: int, block: int = 0) -> bytes:
        """:returns: one block of a volume."""
        return self._queues[1].command(
            _READ, {40: ('Q', block), 48: ('H', 0)}, expect=BLOCK,
            namespace=number)[1]

    def write(self, number: int, data: bytes, block: int = 0) -> None:
        """Write one block of a volume."""
        self._queues[1].command(
            _WRITE, {40: ('Q', block), 48: ('H', 0)}, data,
            namespace=number)
