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

"""The real ``openstack`` command, one process per call."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

_TIMEOUT_SECONDS = 120


class CommandFailed(AssertionError):
    """An ``openstack`` command ended with an error.

    :ivar stderr: what it wrote to its standard error.
    """

    def __init__(self, arguments: tuple[str, ...], code: int,
                 stderr: str) -> None:
        super().__init__(
            f'openstack {" ".join(arguments)}: status {code}: {stderr}')
        self.stderr = stderr


class OpenStackClient:
    """Runs ``openstack`` against one service.

    :param environment: the ``OS_*`` variables; others of this process that
        begin so are not passed on.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith('OS_')} | dict(environment)
        self._program = _find_program()

    def text(self, *arguments: str) -> str:
        """Run a command and return what it printed.

        :raises CommandFailed: its status is not 0.
        """
        done = subprocess.run(
            [self._program, *arguments], env=self._environment, text=True,
            capture_output=True, timeout=_TIMEOUT_SECONDS, check=False)
        if done.returncode != 0:
            raise CommandFailed(arguments, done.returncode,
                                done.stderr.strip())
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command that shows or lists and return what it printed.

        :raises CommandFailed: its status is not 0.
        """
        return json.loads(self.text(*arguments, '-f', 'json'))


def _find_program() -> str:
    beside = pathlib.Path(sys.executable).parent / 'openstack'
    found = str(beside) if beside.exists() else shutil.which('openstack')
    if found is None:
        raise FileNotFoundError('the openstack command is not installed')
    return found
