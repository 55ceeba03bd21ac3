#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""The real ``openstack`` command, one process per call.

A process takes about a second to load; :meth:`OpenStackClient.batch` has one
process run several commands, as its interactive mode does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
from typing import Any

_TIMEOUT_SECONDS = 120


class CommandFailed(AssertionError):
    """An ``openstack`` command ended with an error.

    :ivar stderr: what it wrote to its standard error.
    """

    def __init__(self, arguments: tuple[str, ...], stderr: str) -> None:
        super().__init__(f'openstack {" ".join(arguments)}: {stderr}')
        self.stderr = stderr


class OpenStackClient:
    """Runs ``openstack`` against one service.

    :param environment: the ``OS_*`` variables; others of this process that
        begin so are not passed on.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith('OS_')}
        self._environment |= {'PYTHONWARNINGS': 'ignore', **environment}
        self._program = _find_program()

    def text(self, *arguments: str) -> str:
        """Run a command and return what it printed.

        :raises CommandFailed: its status is not 0.
        """
        done = self._run(arguments, None)
        if done.returncode != 0:
            raise CommandFailed(arguments, done.stderr.strip())
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command that shows or lists and return what it printed.

        :raises CommandFailed: its status is not 0.
        """
        return json.loads(self.text(*arguments, '-f', 'json'))

    def batch(self, commands: Iterable[Sequence[str]]) -> str:
        """Have one process run commands in turn; return what it printed.

        In this mode the command takes no words with blanks, quoted or not,
        and its status says nothing: only what fails writes to the standard
        error.

        :raises CommandFailed: one of them failed; the others were run.
        """
        lines = ''.join(f'{shlex.join(words)}\n' for words in commands)
        done = self._run((), lines)
        if done.stderr.strip():
            raise CommandFailed(('<', *lines.splitlines()),
                                done.stderr.strip())
        return done.stdout

    def _run(self, arguments: tuple[str, ...], lines: str | None
             ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *arguments], env=self._environment, text=True,
            input=lines, capture_output=True, timeout=_TIMEOUT_SECONDS,
            check=False)


def _find_program() -> str:
    beside = pathlib.Path(sys.executable).parent / 'openstack'
    found = str(beside) if beside.exists() else shutil.which('openstack')
    if found is None:
        raise FileNotFoundError('the openstack command is not installed')
    return found
