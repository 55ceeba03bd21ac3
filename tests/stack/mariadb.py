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
"""A MariaDB of one's own, reached through a socket file."""

from __future__ import annotations

from collections.abc import Iterable
import contextlib
import pathlib
from typing import Any

import pymysql

from tests.embedded import records
from tests.stack import daemons
from tests.stack import programs

DATABASE = 'cinder'
_USER = 'root'


def url_of(folder: pathlib.Path, database: str = DATABASE) -> str:
    """Return how to connect to a database of a server in a folder."""
    return (f'mysql+pymysql://{_USER}@localhost/{database}'
            f'?unix_socket={_socket(folder)}&charset=utf8mb4')


def _socket(folder: pathlib.Path) -> pathlib.Path:
    return folder / 'socket'


class MariaDb:
    """The server and its one database.

    :param folder: takes all files; its path must be short enough for a
        socket's.
    """

    def __init__(self, folder: pathlib.Path, guard: daemons.Guard) -> None:
        self._folder = folder
        self._socket = _socket(folder)
        # A server that starts removes what others have in the same place.
        self._scratch = folder / 'tmp'
        self.daemon = daemons.Daemon(daemons.Program(
            'mariadb', self._command(), folder / 'mariadb.log',
            self._answers), guard)

    @property
    def url(self) -> str:
        """What ``[database] connection`` is set to."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Return how to connect to a database of any name."""
        return url_of(self._folder, database)

    def access(self) -> list[str]:
        """What tells MariaDB's own programs where the server is."""
        return [f'--socket={self._socket}', f'--user={_USER}']

    def prepare(self) -> None:
        """Make the data folder, which takes some seconds."""
        self._folder.mkdir(mode=0o700)
        self._scratch.mkdir()
        (self._folder / 'init.sql').write_text(
            f'CREATE DATABASE IF NOT EXISTS {DATABASE} '
            f'CHARACTER SET utf8mb4;\n')
        daemons.run(
            [programs.find('mariadb-install-db'), '--no-defaults',
             f'--datadir={self._folder / "data"}', '--skip-test-db',
             '--auth-root-authentication-method=normal',
             f'--tmpdir={self._scratch}', *_as_root()],
            self._folder / 'install.log')

    def records(self) -> records.CinderRecords:
        """Read volumes, snapshots and attachments, all of one moment."""
        with contextlib.closing(self._connect(DATABASE)) as link, \
                link.cursor() as cursor:
            cursor.execute('START TRANSACTION WITH CONSISTENT SNAPSHOT')

            def query(statement: str) -> Iterable[tuple[Any, ...]]:
                cursor.execute(statement)
                rows: Iterable[tuple[Any, ...]] = cursor.fetchall()
                return rows

            return records.read(query)

    def create(self, database: str) -> None:
        """Make another database; the server has to run."""
        self.query(f'CREATE DATABASE {database} CHARACTER SET utf8mb4')

    def query(self, statement: str, *values: object
              ) -> list[tuple[Any, ...]]:
        """Run one statement, committed at once, and return its rows."""
        with contextlib.closing(self._connect(DATABASE)) as link, \
                link.cursor() as cursor:
            cursor.execute(statement, values)
            rows: list[tuple[Any, ...]] = list(cursor.fetchall())
            return rows

    def _command(self) -> list[str]:
        return [programs.find('mariadbd'), '--no-defaults',
                f'--datadir={self._folder / "data"}',
                f'--socket={self._socket}', '--skip-networking',
                f'--tmpdir={self._scratch}',
                f'--pid-file={self._folder / "pid"}',
                f'--init-file={self._folder / "init.sql"}',
                '--max-connections=2000', '--skip-name-resolve',
                # A crash of the process loses nothing, one of the machine
                # may: it is the process that tests kill.
                '--innodb-flush-log-at-trx-commit=2',
                '--innodb-buffer-pool-size=64M', *_as_root()]

    def _connect(self, database: str | None) -> Any:
        return pymysql.connect(unix_socket=str(self._socket), user=_USER,
                               database=database, autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect(DATABASE).close()
        except pymysql.Error:
            return False
        return True


def _as_root() -> list[str]:
    # It refuses to run as root unless told to; others cannot say so.
    return ['--user=root'] if programs.is_root() else []
