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

"""What tests use: start a simulator, make clusters, break them.

The server is always a process of its own, because tests also run under
eventlet's monkey patching. This module blocks, works under eventlet and
with threads, and depends on no test framework.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import typing

from tests.simulator import client
from tests.simulator.client import Counters
from tests.simulator.client import Reply
from tests.simulator.client import SimCluster
from tests.simulator import link
from tests.simulator.link import SimulatorError

__all__ = ['Counters', 'Reply', 'SimCluster', 'Simulator', 'SimulatorError']

_ROOT = pathlib.Path(__file__).resolve().parents[2]

# Seconds the process has to end in order.
_PATIENCE = 10


class Simulator:
    """A simulator process and its clusters.

    Made by :meth:`start` or :meth:`shared`. Ends with the process that
    made it.
    """

    _shared: typing.ClassVar[Simulator | None] = None
    _lock: typing.ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self, process: subprocess.Popen[bytes], log: typing.IO[bytes]
    ) -> None:
        self._process = process
        self._log = log
        self._owner = os.getpid()
        ready = self._read_ready()
        self.control_address: str = ready['control']
        self.state_dir: str = ready['state_dir']
        self.ca_file: str = ready['ca_file']
        self._control = link.Control(self.control_address)
        # Of the clusters it has made, for another process to use.
        self.infos: list[dict[str, typing.Any]] = ready['clusters']
        self.clusters: dict[str, SimCluster] = {
            info['name']: client.SimCluster(self._control, self.ca_file, info)
            for info in self.infos
        }

    def _read_ready(self) -> dict[str, typing.Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise SimulatorError('the simulator did not start:\n' + self.log())
        ready: dict[str, typing.Any] = json.loads(line)
        return ready

    @classmethod
    def start(
        cls, state_dir: str | None = None, **options: object
    ) -> Simulator:
        """Start a process of one's own, without clusters by default.

        :param state_dir: for its files; by default a temporary directory
            that goes with the process.
        :param options: those of the command line, such as
            ``clusters="east,west"``, ``nodes=3``, ``data_plane="sparse"``
            or ``seed=1``; mappings become JSON.
        :raises SimulatorError: it does not start; tells why.
        """
        given: dict[str, object] = {'clusters': '', **options}
        if state_dir is not None:
            given['state_dir'] = state_dir
        command = [
            sys.executable,
            '-m',
            'tests.simulator',
            '--exit-with-stdin',
            f'--parent-pid={os.getpid()}',
            *(_argument(name, value) for name, value in given.items()),
        ]
        # No name and no litter: it goes with its last user.
        log = tempfile.TemporaryFile()  # noqa: SIM115
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        made = cls(process, log)
        atexit.register(made.stop)
        return made

    @classmethod
    def shared(cls) -> Simulator:
        """Return the one simulator of this process, started when needed.

        A fork makes no second one, but only the first process ends it.
        """
        with cls._lock:
            if cls._shared is None or not cls._shared.alive:
                cls._shared = cls.start()
            return cls._shared

    @property
    def alive(self) -> bool:
        """Whether the process runs, as far as its parent can tell."""
        if os.getpid() != self._owner:
            return True
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process, to see what it costs."""
        return self._process.pid

    def log(self) -> str:
        """Return what the process logged."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode()

    def stop(self) -> None:
        """End the process and remove what is temporary; idempotent.

        Does nothing in a fork of the process that started it.
        """
        if os.getpid() != self._owner:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        atexit.unregister(self.stop)

    def add_cluster(
        self, name: str, nodes: int = 3, **options: object
    ) -> SimCluster:
        """Make a cluster and return it when it listens.

        :param options: ``cert`` (``san`` or ``stock``), ``listen``,
            ``capacity`` (effective bytes of the cluster), ``projects``,
            ``version``, ``switches`` and ``delays`` (mappings),
            ``data_plane``, ``journal``, ``uuid``, ``failure_domains``,
            ``data_addresses``, ``overprovision_limit``, ``read_only_at``,
            ``compression_ratio``, ``base_port``.
        :raises SimulatorError: an option is wrong, or the name taken.
        """
        body = {'name': name, 'nodes': nodes, **options}
        info = self._control.call('POST', '/control/clusters', body)
        self.infos.append(info)
        made = client.SimCluster(self._control, self.ca_file, info)
        self.clusters[name] = made
        return made

    def switches(self) -> dict[str, dict[str, typing.Any]]:
        """Return every switch: its default, choices and description."""
        known: dict[str, dict[str, typing.Any]] = self._control.call(
            'GET', '/control/switches'
        )
        return known


def _argument(name: str, value: object) -> str:
    if isinstance(value, dict):
        value = json.dumps(value)
    elif isinstance(value, list | tuple):
        value = ','.join(str(item) for item in value)
    return f'--{name.replace("_", "-")}={value}'
