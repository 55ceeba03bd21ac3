# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Folders in which the DevStack plugin is run without a cloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import configparser
import contextlib
import os
import pathlib
import random
import shlex
import signal
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PLUGIN = HERE.parent.parent / 'devstack'

# Below the ports that systems hand out by themselves.
PORTS = range(10_000, 32_000)
# So many of them belong to one process at a time.
BLOCK = 1_000
# Holds the first port of the block that is this process's own, and with it
# the block; nobody listens there.
_claim: list[socket.socket] = []

# Seconds after which a run is taken to hang.
_PATIENCE = 400.0

# Waits until it is stopped, as a service does.
_SERVICE = '#!/bin/sh\necho "$@"\nexec sleep 600\n'


def free_ports(count: int) -> int:
    """Find ports for servers that are to be started.

    They stay free until then as far as this function is asked: it gives
    other processes ports of other blocks.

    :returns: the first of `count` loopback ports that are free now.
    """
    if not _claim:
        _claim.append(_claimed())
    begin = _claim[0].getsockname()[1]
    for _attempt in range(100):
        first = random.randrange(begin + 1, begin + BLOCK - count)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(_bound(port))
            except OSError:
                continue
            return first
    raise RuntimeError(f'no {count} free ports in a row')


def _claimed() -> socket.socket:
    """:returns: the socket that says whose a block of ports is."""
    blocks = list(PORTS[::BLOCK])
    random.shuffle(blocks)
    for begin in blocks:
        with contextlib.suppress(OSError):
            return _bound(begin)
    raise RuntimeError('no block of ports is free')


def _bound(port: int) -> socket.socket:
    """:raises OSError: somebody has the port."""
    made = socket.socket()
    try:
        made.bind(('127.0.0.1', port))
    except OSError:
        made.close()
        raise
    return made


class StandIn:
    """One machine's worth of files under a temporary folder.

    :ivar environment: all variables that a run begins with.

    :param folder: must exist; see ``run.sh`` for what is put there.
    :param settings: variables of the file ``localrc``.
    """

    #: What is in the folder without the plugin.
    OWN = frozenset(('bin', 'calls', 'etc', 'localrc', 'types'))

    def __init__(self, folder: str, settings: Mapping[str, object]) -> None:
        self.folder = pathlib.Path(folder)
        self.settings = dict(settings)
        self.environment = {'PATH': os.environ['PATH'],
                            'PYTHON': sys.executable}
        service = self.folder / 'bin' / 'cinder-volume'
        service.parent.mkdir()
        service.write_text(_SERVICE, encoding='utf-8')
        service.chmod(0o755)

    @property
    def etc(self) -> str:
        """Where the plugin sees the folder ``etc``."""
        return str(self.folder / 'etc')

    @property
    def cinder_conf(self) -> pathlib.Path:
        return self.folder / 'etc' / 'cinder' / 'cinder.conf'

    def run(self, mode: str) -> subprocess.CompletedProcess[str]:
        """Run ``stack``, ``unstack`` or ``clean`` to its end."""
        (self.folder / 'localrc').write_text(
            self._localrc(), encoding='utf-8')
        return self._bash('run.sh', mode)

    def _localrc(self) -> str:
        return ''.join(f'{name}={shlex.quote(str(value))}\n'
                       for name, value in self.settings.items())

    def _bash(self, script: str, mode: str, *before: str
              ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, 'bash', str(HERE / script), mode, str(self.folder)],
            capture_output=True, check=False, encoding='utf-8',
            timeout=_PATIENCE, env=self.environment)

    def calls(self) -> list[str]:
        """:returns: what was asked of package managers and the like."""
        path = self.folder / 'calls'
        if not path.exists():
            return []
        return path.read_text(encoding='utf-8').splitlines()

    def section(self, file: str, name: str) -> dict[str, str]:
        """:returns: a section of a file under ``etc``; empty if not there."""
        parser = configparser.RawConfigParser(default_section='', strict=False)
        parser.read(self.folder / 'etc' / file, encoding='utf-8')
        return dict(parser[name]) if name in parser else {}

    def volume_types(self) -> dict[str, set[str]]:
        """:returns: the properties of each volume type of the plugin."""
        folder = self.folder / 'types'
        if not folder.exists():
            return {}
        return {path.name: set(path.read_text(encoding='utf-8').split())
                for path in folder.iterdir()}

    def processes(self) -> dict[str, int]:
        """:returns: process ids of the services that were started."""
        return {path.stem: int(path.read_text(encoding='utf-8'))
                for path in self.folder.glob('*.pid')}

    def kill(self) -> None:
        """End what a failed test has left running, workers as well."""
        for pid in self.processes().values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def left(self) -> Iterator[str]:
        """:returns: files outside of ``etc`` that the plugin may have made."""
        for path in sorted(self.folder.rglob('*')):
            relative = path.relative_to(self.folder)
            if path.is_file() and relative.parts[0] not in self.OWN and (
                    path.suffix != '.log'):
                yield str(relative)
