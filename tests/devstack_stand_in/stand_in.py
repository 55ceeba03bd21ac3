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
_PORTS = range(10_000, 32_000)

# Seconds after which a run is taken to hang.
_PATIENCE = 180.0

# Waits until it is stopped, as a service does.
_SERVICE = '#!/bin/sh\necho "$@"\nexec sleep 600\n'


def free_ports(count: int) -> int:
    """:returns: the first of `count` loopback ports that are free now."""
    for _attempt in range(100):
        first = random.randrange(_PORTS.start, _PORTS.stop - count)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    holder = stack.enter_context(socket.socket())
                    holder.bind(('127.0.0.1', port))
            except OSError:
                continue
            return first
    raise RuntimeError(f'no {count} free ports in a row')


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
