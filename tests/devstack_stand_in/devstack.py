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

"""A folder in which DevStack's own libraries run the plugin."""

from __future__ import annotations

from collections.abc import Mapping
import os
import pathlib
import re
import subprocess
import sys
import unittest

from tests.devstack_stand_in import stand_in
from tests.embedded import settings as embedded
from tests.rules import source

#: Names a checkout of DevStack.
VARIABLE = 'DEVSTACK_DIR'
PLUGIN = 'cinder-lightbits-federation'

# What a user has to set, and where everything goes that is not in /etc.
_DEFAULTS = """\
STACK_USER={user}
DEST={folder}/dest
DATA_DIR={folder}/data
DEVSTACK_VENV={folder}
TEMPEST_CONFIG_DIR=/etc
HOST_IP=127.0.0.1
SERVICE_HOST=127.0.0.1
ADMIN_PASSWORD=admin
SERVICE_PASSWORD=service
DATABASE_TYPE=mysql
BASE_SQL_CONN=mysql+pymysql://root:database@127.0.0.1
ENABLED_SERVICES=c-api,c-sch,c-vol,n-cpu,tempest
"""
_VERSION = '.'.join(map(str, sys.version_info[:2]))
# What DevStack's functions for installations come to, and their names.
_FUNCTIONS = (
    (rf'pip install -c \S+ -e \S+/{PLUGIN}\[(\S+)\]',
     rf'setup_develop {source.ROOT} \1'),
    (rf'pip install -c \S+ -e \S+/{PLUGIN}', f'setup_develop {source.ROOT}'),
    (r'pip install -c \S+ ', 'pip_install '),
    (r'pip uninstall -y ', 'pip_uninstall '))
_RECORD = '#!/bin/sh\necho "$(basename "$0") $*" >>"{folder}/calls"\n'


def checkout() -> pathlib.Path:
    """Return the folder that the variable names.

    :raises unittest.SkipTest: there is none, or nothing can be mounted.
    """
    if VARIABLE not in os.environ:
        raise unittest.SkipTest(
            f'{VARIABLE} does not name a checkout of DevStack')
    if subprocess.run(['unshare', '--mount', '--map-root-user', 'true'],
                      capture_output=True, check=False).returncode:
        raise unittest.SkipTest('this user may not unshare mounts')
    return pathlib.Path(os.environ[VARIABLE]).resolve()


class DevStack(stand_in.StandIn):
    """The same machine with DevStack's libraries; see ``libraries.sh``.

    :raises unittest.SkipTest: as :func:`checkout` tells.
    """

    OWN = stand_in.StandIn.OWN | {'dest', 'devstack', 'overlay'}

    def __init__(self, folder: str, settings: Mapping[str, object]) -> None:
        tree = checkout()
        super().__init__(folder, settings)
        _links(tree, self.folder / 'devstack')
        self._sources()
        self._programs()

    @property
    def etc(self) -> str:
        return '/etc'

    def run(self, mode: str) -> subprocess.CompletedProcess[str]:
        """Run ``stack``, ``unstack`` or ``clean`` to its end."""
        localrc = _DEFAULTS.format(
            folder=self.folder, user=os.environ.get('USER', 'root'))
        (self.folder / 'devstack' / 'localrc').write_text(
            f'{localrc}{self._localrc()}\n'
            f'enable_plugin {PLUGIN} {source.ROOT}\n', encoding='utf-8')
        return self._bash('libraries.sh', mode, 'unshare', '--mount',
                          '--map-root-user')

    def program(self, name: str, path: str) -> None:
        """Have a program in the virtual environment of DevStack."""
        _script(self.folder / 'bin' / name, f'#!/bin/sh\nexec {path} "$@"\n')

    def post_config(self, options: str) -> None:
        """Set what ``local.conf`` changes in ``cinder.conf`` at the end."""
        (self.folder / 'devstack' / 'local.conf').write_text(
            f'[[post-config|$CINDER_CONF]]\n{options}', encoding='utf-8')

    def calls(self) -> list[str]:
        """:returns: functions of DevStack that lead to what was run."""
        return [_function(call.removeprefix(f'python{_VERSION} -m '))
                for call in super().calls()
                if not call.startswith('edit-constraints ')]

    def constraints(self) -> list[str]:
        """:returns: packages that were taken out of the constraints."""
        return [call.partition(' -- ')[2] for call in super().calls()
                if call.startswith('edit-constraints ')]

    def _sources(self) -> None:
        """Checkouts that are there are not made anew."""
        destination = self.folder / 'dest'
        configuration = destination / 'cinder' / 'etc'
        configuration.mkdir(parents=True)
        (destination / PLUGIN).symlink_to(source.ROOT)
        (configuration / 'cinder').symlink_to(
            embedded.installed('api-paste.ini').parent)

    def _programs(self) -> None:
        """The virtual environment's, and that of the constraints."""
        constraints = self.folder / 'dest' / 'requirements' / '.venv' / 'bin'
        constraints.mkdir(parents=True)
        programs = self.folder / 'bin'
        record = _RECORD.format(folder=self.folder)
        _script(constraints / 'edit-constraints', record)
        _script(programs / 'pip', record)
        self.program('python3', sys.executable)


def _function(call: str) -> str:
    for pattern, name in _FUNCTIONS:
        call = re.sub(f'^{pattern}', name, call)
    return call


def _script(path: pathlib.Path, text: str) -> None:
    path.write_text(text, encoding='utf-8')
    path.chmod(0o755)


def _links(tree: pathlib.Path, target: pathlib.Path) -> None:
    """Make folders, and links to all files in them."""
    for folder, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if name != '.git']
        inside = target / pathlib.Path(folder).relative_to(tree)
        inside.mkdir()
        for name in files:
            (inside / name).symlink_to(pathlib.Path(folder, name))
