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

"""The section of a cluster in a file of its own, beside ``cinder.conf``.

Only files that this command has written are ever changed or removed by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import configparser
import io
import os
import re

from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation import files
from cinder_lightbits_federation.options import CLUSTER_PREFIX

MARK = '# Written by lightbits-federation, which rewrites it as a whole.'

# Where oslo.config looks for a folder of the service by itself.
USUAL_FOLDER = '/etc/cinder/cinder.conf.d'

# As far as pools, extra specs and file names can bear it.
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,62}')

Options = Mapping[str, str]


def checked_name(name: str) -> str:
    """:raises UsageError: a cluster cannot be called that."""
    if not _NAME.fullmatch(name):
        raise UsageError(f'{name!r} is not a name for a cluster: letters, '
                         f'digits, dots, dashes and underscores only')
    return name


def render(name: str, options: Options) -> str:
    """:returns: the text of a section."""
    parser = _parser()
    parser[CLUSTER_PREFIX + name] = dict(options)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue().rstrip('\n') + '\n'


def holders(name: str, paths: Sequence[str], folders: Sequence[str]
            ) -> list[str]:
    """:returns: the files that have a section for a cluster."""
    found = []
    for path in (*paths, *(os.path.join(folder, item) for folder in folders
                           for item in _names_in(folder))):
        try:
            with open(path, encoding='utf-8', errors='replace') as file:
                lines = [line.strip() for line in file]
        except OSError:
            continue
        if f'[{CLUSTER_PREFIX}{name}]' in lines:
            found.append(path)
    return found


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder)
                      if name.endswith('.conf'))
    except OSError:
        return []


class DropIns:
    """The folder that takes the files of clusters.

    :param folders: where the service reads files ``*.conf``; the last one
        is used, whose files win over those of the others.
    :param sample: a file of the service, whose owner and group new files
        get.
    """

    def __init__(self, folders: Sequence[str], sample: str | None) -> None:
        self.folder = folders[-1] if folders else None
        self._sample = sample

    def path(self, name: str) -> str | None:
        """:returns: the file of a cluster, None where no folder is read."""
        if self.folder is None:
            return None
        return os.path.join(self.folder, f'lightbits-{name}.conf')

    def obstacle(self) -> str | None:
        """:returns: why no file can be written, None if one can."""
        if self.folder is None:
            return (f'the service reads no folder of configuration files '
                    f'(make {USUAL_FOLDER}, which it reads from its next '
                    f'start on)')
        if not os.path.isdir(self.folder):
            return f'{self.folder} is not there'
        if not files.may_write(os.path.join(self.folder, '-')):
            return f'{self.folder} cannot be written'
        return None

    def read(self, name: str) -> dict[str, str] | None:
        """:returns: the options in the file of a cluster.

        None if there is no such file, or if it is not of this command's
        making.
        """
        path = self.path(name)
        try:
            with open(path or '', encoding='utf-8') as file:
                text = file.read()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise FailedError(f'{path} cannot be read: {exc.strerror}'
                              ) from exc
        section = CLUSTER_PREFIX + name
        if not text.startswith(MARK):
            return None
        parser = _parser()
        try:
            parser.read_string(text)
        except configparser.Error:
            return None
        if parser.sections() != [section] or parser.defaults():
            return None
        return dict(parser[section])

    def write(self, name: str, options: Options) -> str:
        """Write the file of a cluster, mode 0640.

        :returns: its path.
        :raises FailedError: it cannot be written.
        """
        path = self._writable(name)
        text = f'{MARK}\n\n{render(name, options)}'
        try:
            files.write_atomically(path, text.encode(), like=self._sample)
        except OSError as exc:
            raise FailedError(f'{path} cannot be written: {exc.strerror}'
                              ) from exc
        return path

    def remove(self, name: str) -> str:
        """Remove the file of a cluster.

        :returns: its path.
        :raises FailedError: it cannot be removed.
        """
        path = self._writable(name)
        try:
            files.remove(path)
        except OSError as exc:
            raise FailedError(f'{path} cannot be removed: {exc.strerror}'
                              ) from exc
        return path

    def _writable(self, name: str) -> str:
        path, obstacle = self.path(name), self.obstacle()
        if path is None or obstacle is not None:
            raise FailedError(str(obstacle))
        return path


def _parser() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(
        delimiters=('=',), comment_prefixes=('#',), strict=True)
    # Options keep their case, as oslo.config reads them.
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    return parser
