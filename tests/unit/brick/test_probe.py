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


"""Whether others answer, and how long that may take to find out."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import errno
import socket
from unittest import mock

from os_brick_ext import probe
from os_brick_ext import timing
from tests.simulator import discovery
from tests.unit.brick import base

SILENT = 'accepts connections, but does not answer'


class ProbeTest(base.BrickTestCase):

    @contextlib.contextmanager
    def dripping(self) -> Iterator[int]:
        """Have a server that gives one byte at a time, for long.

        :returns: a context manager that gives its port.
        """
        server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(server.close)
        over = timing.Deadline.after(base.PATIENCE / 2)

        def drip() -> None:
            connection, _peer = server.accept()
            with connection:
                while not over.expired():
                    try:
                        connection.sendall(b'\1')
                    except OSError:
                        return
                    timing.Quiet().wait(0.02)

        with self.in_background(drip):
            yield server.getsockname()[1]
            self.assertFalse(over.expired())

    def test_a_slow_answer_is_none(self) -> None:
        """One byte at a time must not stretch the time."""
        with self.dripping() as port:
            self.assertFalse(
                probe.http_ok('127.0.0.1', port, '/metrics', 0.2))
        with self.dripping() as port:
            self.assertEqual(
                SILENT, probe.speaks_nvme('127.0.0.1', port, 0.2))

    def test_ipv6(self) -> None:
        server = self.listener(address='::1')
        self.assertTrue(probe.http_ok('::1', server.port, '/x', 5.0))
        self.assertIn(f'Host: [::1]:{server.port}'.encode(),
                      server.requests[0])

    def test_reachable(self) -> None:
        server = self.listener()
        self.assertIsNone(probe.reachable('127.0.0.1', server.port, 5.0))
        server.close()
        self.assertIn(f'Errno {errno.ECONNREFUSED}', probe.reachable(
            '127.0.0.1', server.port, 5.0) or '')

    def test_local_address(self) -> None:
        self.assertEqual('127.0.0.1', probe.local_address('127.0.0.1', 443))
        self.assertEqual('::1', probe.local_address('::1', 443))
        self.assertIsNone(probe.local_address('host.invalid', 443))


    def test_what_cannot_be_a_name(self) -> None:
        for name in ('a..b', f'{"a" * 64}.example', '.'):
            for ask in (probe.reachable, probe.speaks_nvme):
                self.assertTrue(ask(name, 443, 5.0), name)
            self.assertFalse(probe.http_ok(name, 443, '/x', 5.0))
            self.assertIsNone(probe.local_address(name, 443))


class SpeaksNvmeTest(base.BrickTestCase):

    def test_a_discovery_service(self) -> None:
        """One that reads what it is asked, as the kernel's target does."""
        server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(server.close)

        def serve() -> None:
            connection, _peer = server.accept()
            with connection:
                discovery._Session(
                    connection, mock.create_autospec(
                        discovery.DiscoveryService, instance=True)).serve()

        with self.in_background(serve) as ended:
            self.assertIsNone(probe.speaks_nvme(
                '127.0.0.1', server.getsockname()[1], base.PATIENCE))
        # Only by this side's leaving.
        self.assertIn('the host has gone', str(ended))

    def test_what_is_sent(self) -> None:
        server = self.listener()
        self.assertIsNone(probe.speaks_nvme(
            '127.0.0.1', server.port, base.PATIENCE))
        asked, = server.requests
        # Type 0, header and all of 128 bytes; the rest is zero, by which
        # digests are off and data is aligned as the kernel's target wants.
        self.assertEqual(
            bytes.fromhex('0000800080000000').ljust(128, b'\0'), asked)

    def test_nobody_answers(self) -> None:
        mute = self.listener(None)
        self.assertEqual(
            SILENT, probe.speaks_nvme('127.0.0.1', mute.port, 0.1))

    def test_something_else_answers(self) -> None:
        whole = base.INITIALIZED
        for answer in (b'', b'HTTP/1.1 400 Bad Request\r\n\r\n', whole[:100],
                       # TLS tells of an error, NVMe that it ends this.
                       b'\x15\x03\x03\0\2\2\x28', b'\3' + whole[1:],
                       whole[:2] + b'\0' + whole[3:]):
            server = self.listener(answer)
            self.assertEqual(
                'does not speak NVMe over TCP', probe.speaks_nvme(
                    '127.0.0.1', server.port, base.PATIENCE), answer)

    def test_nobody_is_there(self) -> None:
        server = self.listener()
        server.close()
        self.assertIn(f'Errno {errno.ECONNREFUSED}', probe.speaks_nvme(
            '127.0.0.1', server.port, base.PATIENCE) or '')
