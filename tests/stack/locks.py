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
"""The services that keep locks: etcd, or Redis."""

from __future__ import annotations

import abc
import base64
import pathlib
import socket
from typing import Any

import requests

from tests.stack import daemons
from tests.stack import ports
from tests.stack import programs

# Seconds a lock outlives its silent holder. The services' default is 30; at
# a third of it, tests need not wait so long for what happens then.
LEASE = 10


class LockService(abc.ABC):
    """A lock service of one's own.

    :param folder: takes all files.
    """

    def __init__(self, folder: pathlib.Path, guard: daemons.Guard) -> None:
        self._folder = folder
        self._ports = (ports.Port(), ports.Port())
        self.daemon = daemons.Daemon(self._program(), guard)

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """What ``[coordination] backend_url`` is set to."""

    @abc.abstractmethod
    def held(self, name: str) -> bool:
        """Whether somebody holds a lock.

        :param name: as the driver names it.
        """

    def prepare(self) -> None:
        """Make the folder."""
        self._folder.mkdir(mode=0o700)

    def close(self) -> None:
        """Give the ports up; the server is ended."""
        for port in self._ports:
            port.close()

    @abc.abstractmethod
    def _program(self) -> daemons.Program:
        """How to run it."""


class Etcd(LockService):
    """An etcd with one member."""

    @property
    def url(self) -> str:
        """What ``[coordination] backend_url`` is set to."""
        return f'etcd3+http://{ports.HOST}:{self._ports[0]}?timeout={LEASE}'

    def held(self, name: str) -> bool:
        """Whether somebody holds a lock."""
        key = base64.b64encode(f'/tooz/lockscinder-{name}'.encode())
        found = self._ask('kv/range', {'key': key.decode(),
                                       'count_only': True})
        return int(found.get('count', 0)) > 0

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = requests.post(
            f'http://{ports.HOST}:{self._ports[0]}/v3/{path}', json=body,
            timeout=5)
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer

    def _program(self) -> daemons.Program:
        client = f'http://{ports.HOST}:{self._ports[0]}'
        peer = f'http://{ports.HOST}:{self._ports[1]}'
        return daemons.Program(
            'etcd', [programs.find('etcd'), '--name=stack',
                     f'--data-dir={self._folder / "data"}',
                     f'--listen-client-urls={client}',
                     f'--advertise-client-urls={client}',
                     f'--listen-peer-urls={peer}',
                     f'--initial-advertise-peer-urls={peer}',
                     f'--initial-cluster=stack={peer}',
                     '--log-level=warn'],
            self._folder / 'etcd.log', self._answers)

    def _answers(self) -> bool:
        try:
            self._ask('maintenance/status', {})
        except requests.RequestException:
            return False
        return True


class Redis(LockService):
    """A Redis that keeps what it has acknowledged."""

    @property
    def url(self) -> str:
        """What ``[coordination] backend_url`` is set to."""
        return f'redis://{ports.HOST}:{self._ports[0]}?timeout={LEASE}'

    def held(self, name: str) -> bool:
        """Whether somebody holds a lock."""
        return self._ask(f'EXISTS _tooz_cinder-{name}_lock') == ':1'

    def _ask(self, command: str) -> str:
        with socket.create_connection(
                (ports.HOST, self._ports[0].number), 5) as link:
            link.sendall(f'{command}\r\n'.encode())
            return link.recv(100).decode().strip()

    def _program(self) -> daemons.Program:
        return daemons.Program(
            'redis', [programs.find('redis-server'), '--bind', ports.HOST,
                      '--port', str(self._ports[0]),
                      '--dir', str(self._folder), '--save', '',
                      '--appendonly', 'yes', '--appendfsync', 'no'],
            self._folder / 'redis.log', self._answers)

    def _answers(self) -> bool:
        try:
            return self._ask('PING') == '+PONG'
        except OSError:
            return False


KINDS: dict[str, type[LockService]] = {'etcd': Etcd, 'redis': Redis}
