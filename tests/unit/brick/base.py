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

"""What tests of the host side have in common."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import contextlib
import dataclasses
import errno
import os
import socket
import struct
import threading
import time
from typing import Any
from unittest import mock
import uuid as uuidlib

import fixtures
from oslotest import base

from os_brick_ext import claims
from os_brick_ext import conn_props
from os_brick_ext import connector
from os_brick_ext import options
from os_brick_ext import parallel
from os_brick_ext import probe
from os_brick_ext import settings
from os_brick_ext import sysfs
from tests.unit.brick import fake_kernel

HOST_NQN = ('nqn.2014-08.org.nvmexpress:uuid:'
            '0f3c2a51-6b1e-4a55-b7a8-1d2f00aa0001')
HOST_ID = '0f3c2a51-6b1e-4a55-b7a8-1d2f00aa0001'
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
# How a node begins to talk NVMe over TCP; byte 0 of the question is 0.
INITIALIZED = struct.pack('<BBBBI', 1, 0, 128, 0, 128).ljust(128, b'\0')
# Seconds that nothing here should ever need.
PATIENCE = 30.0


def nqn(number: int) -> str:
    """:returns: the NQN of a numbered cluster."""
    return ('nqn.2016-01.com.lightbitslabs:uuid:'
            f'{uuidlib.UUID(int=0xc000 + number)}')


def volume(number: int) -> str:
    """:returns: the UUID of a numbered volume."""
    return str(uuidlib.UUID(int=0xd000 + number))


class Listener:
    """A TCP server: a node of a cluster, or a discovery client's HTTP.

    :param answer: to whoever does not speak NVMe over TCP, and to those who
        do as well if it is not the usual one; None to accept and say nothing.
    :param address: where on the loopback to listen.
    """

    def __init__(self, answer: bytes | None = OK,
                 address: str = '127.0.0.1') -> None:
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.bind((address, 0))
        self._socket.listen()
        self.port: int = self._socket.getsockname()[1]
        self.endpoint = conn_props.join_endpoint(address, self.port)
        self.requests: list[bytes] = []
        self.open: list[socket.socket] = []
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _peer = self._socket.accept()
            except OSError:
                return
            if self._answer is None:
                self.open.append(connection)
                continue
            with connection, contextlib.suppress(OSError):
                request = connection.recv(4096)
                self.requests.append(request)
                initializes = request[:1] == b'\0' and self._answer == OK
                connection.sendall(
                    INITIALIZED if initializes else self._answer)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            # A thread that is in accept() keeps a closed socket open.
            self._socket.shutdown(socket.SHUT_RDWR)
        # A green one that still waits for a descriptor when that is closed
        # keeps whoever gets the number next from reading.
        self._thread.join(PATIENCE)
        self._socket.close()
        for connection in self.open:
            connection.close()


class BrickTestCase(base.BaseTestCase):
    """A host with a fake kernel and a real discovery client's answer."""

    mode = options.DISCOVERY_CLIENT
    multipath = True

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.kernel = fake_kernel.FakeKernel(
            os.path.join(self.folder, 'host'), self.multipath)
        self.locks = os.path.join(self.folder, 'locks')
        os.mkdir(self.locks)
        # They are read from, and written to, fixed places below /etc.
        self.get_host_nqn, self.get_host_id = (
            self.useFixture(fixtures.MockPatch(
                f'os_brick.utils.{name}', autospec=True,
                return_value=value)).mock
            for name, value in (('get_host_nqn', HOST_NQN),
                                ('get_nvme_host_id', HOST_ID)))
        self._aside: list[threading.Thread] = []
        self._real_aside = parallel.aside
        self.useFixture(fixtures.MockPatchObject(
            parallel, 'aside', self._noted_aside))
        self.addCleanup(self.tidied)
        self.client = self.listener()
        self.settings = settings.Settings(
            mode=self.mode, connect_timeout=PATIENCE,
            early_failure_timeout=PATIENCE, extend_timeout=PATIENCE,
            disconnect_timeout=PATIENCE, flush_timeout=PATIENCE,
            probe_timeout=PATIENCE, nr_io_queues=0, keep_alive_timeout=5,
            reconnect_delay=5, ctrl_loss_timeout=-1,
            fast_io_fail_timeout=0,
            discovery_folder=str(self.kernel.drop_ins),
            discovery_address='127.0.0.1', discovery_port=self.client.port,
            lock_folder=self.locks)

    def _noted_aside(self, act: Callable[[], object]) -> threading.Thread:
        thread = self._real_aside(act)
        self._aside.append(thread)
        return thread

    def tidied(self) -> None:
        """Wait until what operations left to do is done."""
        # It grows, since what is done aside may have more done.
        for thread in self._aside:
            thread.join(PATIENCE)

    def listener(self, answer: bytes | None = OK,
                 address: str = '127.0.0.1') -> Listener:
        """:returns: a server that is closed after the test."""
        server = Listener(answer, address)
        self.addCleanup(server.close)
        return server

    def connector(self, **changes: Any) -> connector.LightbitsConnector:
        """:returns: what os-brick's factory would build.

        :param changes: settings that differ.
        """
        return connector.LightbitsConnector(
            'sudo', execute=self.kernel.execute,
            chosen=dataclasses.replace(self.settings, **changes),
            kernel=sysfs.Sysfs(str(self.kernel.sys), str(self.kernel.dev)),
            root=self.kernel)

    def service(self, name: str, **changes: Any
                ) -> connector.LightbitsConnector:
        """:returns: the connector of a service."""
        with mock.patch.object(claims, 'service', autospec=True,
                               return_value=name):
            return self.connector(**changes)

    def claim(self, user: str, number: int = 1) -> str:
        """:returns: path of the file of a claim to cluster 1's volume."""
        return os.path.join(self.locks, claims.Claim.of(
            conn_props.VolumeKey(volume(number), nqn(1)),
            user).file_name)

    def left(self, user: str, number: int = 1) -> None:
        """Have a claim of a service that died."""
        with open(self.claim(user, number), 'w'):
            pass

    @contextlib.contextmanager
    def sticky(self, user: str) -> Iterator[None]:
        """Have nobody remove a service's claims, as in a folder of all."""
        unlink = os.unlink

        def refuse(path: Any, **more: Any) -> None:
            if str(path).endswith(f'.{user}'):
                raise PermissionError(errno.EPERM, path)
            unlink(path, **more)

        with mock.patch.object(os, 'unlink', refuse):
            yield

    def check_claims(self, *users: str) -> None:
        """Check who claims volume 1, and that there is no other file."""
        self.tidied()
        self.assertEqual(
            sorted(os.path.basename(self.claim(user)) for user in users),
            sorted(os.listdir(self.locks)))

    def cluster(self, number: int, nodes: int = 2) -> str:
        """Have a cluster whose nodes accept connections.

        :returns: its NQN.
        """
        name = nqn(number)
        self.kernel.add_cluster(
            name, *(self.listener().endpoint for _node in range(nodes)))
        return name

    def properties(self, number: int, cluster: str,
                   **changes: Any) -> dict[str, Any]:
        """:returns: connection properties of a numbered volume."""
        values: dict[str, Any] = {
            'volume_uuid': volume(number), 'subsystem_nqn': cluster,
            'nodes': (conn_props.DiscoveryNode('192.0.2.11'),
                      conn_props.DiscoveryNode('2001:db8::11')),
            'nvme_endpoints': tuple(self.kernel.clusters[cluster].nodes)}
        return conn_props.ConnectionProperties(
            **(values | changes)).to_dict()

    def drop_ins(self) -> list[str]:
        """:returns: names of the files for the discovery client."""
        return sorted(os.listdir(self.kernel.drop_ins))

    @contextlib.contextmanager
    def in_background(self, act: Callable[[], Any]) -> Iterator[list[Any]]:
        """Run something meanwhile, and wait for its end.

        :returns: a context manager that gives a list, which takes up what
            came back or what was raised.
        """
        outcome: list[Any] = []
        with futures.ThreadPoolExecutor(1) as pool:
            pool.submit(act).add_done_callback(
                lambda done: outcome.append(
                    done.exception() or done.result()))
            yield outcome

    @contextlib.contextmanager
    def impatient_with(self, *mute: Listener) -> Iterator[None]:
        """Wait briefly for listeners that say nothing, and long for others.

        A bound that one of the others could miss would make them mute, too,
        whenever this machine is busy.
        """
        ask, ports = probe.speaks_nvme, {one.port for one in mute}

        def briefly(address: str, port: int, seconds: float) -> str | None:
            return ask(address, port, 0.1 if port in ports else seconds)

        with mock.patch.object(probe, 'speaks_nvme', briefly):
            yield

    def eventually(self, probe: Callable[[], Any]) -> None:
        """Wait until something is true."""
        end = time.monotonic() + PATIENCE
        while not probe():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)


class NativeTestCase(BrickTestCase):
    """A host that connects natively to a cluster of three nodes."""

    mode = options.NATIVE

    def setUp(self) -> None:
        super().setUp()
        self.nqn = self.cluster(1, nodes=3)
        self.kernel.grant(self.nqn, volume(1))
        self.fake = self.kernel.clusters[self.nqn]
        self.data = self.properties(1, self.nqn)

    def properties(self, number: int, cluster: str,
                   **changes: Any) -> dict[str, Any]:
        """The same; no discovery service answers, unless one is given."""
        refusing = conn_props.DiscoveryNode.at('127.0.0.1:1')
        return super().properties(
            number, cluster, **({'nodes': (refusing,)} | changes))

    def connect(self, **changes: object) -> str:
        path: str = self.connector(
            **changes).connect_volume(self.data)['path']
        return path

    def calls(self, word: str) -> list[str]:
        return [call for call in self.kernel.calls if call.startswith(word)]

    def connected(self) -> int:
        return len(self.kernel.controllers(self.nqn))
