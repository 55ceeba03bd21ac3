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
"""Where the servers' programs are."""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

# Distributions keep daemons out of the path of ordinary users, and wrap some
# programs of RabbitMQ so that they need a certain one.
_FOLDERS = ('/usr/lib/rabbitmq/bin', '/usr/sbin', '/usr/local/sbin', '/sbin')


class ProgramMissing(AssertionError):
    """A program is not installed; bindep.txt names the packages."""


def find(name: str) -> str:
    """Return the path of a program of the system.

    :raises ProgramMissing: it is not there.
    """
    places = os.pathsep.join((*_FOLDERS, os.environ.get('PATH', '')))
    found = shutil.which(name, path=places)
    if found is None:
        raise ProgramMissing(f'{name} is not installed; "bindep test" lists '
                             f'the packages that are missing')
    return found


def command(name: str) -> str:
    """Return the path of a command of this Python environment.

    :raises ProgramMissing: it is not there.
    """
    path = pathlib.Path(sys.executable).parent / name
    if not path.exists():
        raise ProgramMissing(f'{path} is not there; the environment needs '
                             f'cinder')
    return str(path)


def is_root() -> bool:
    """Whether this process may do everything."""
    return os.geteuid() == 0
