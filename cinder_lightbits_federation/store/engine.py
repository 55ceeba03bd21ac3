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

"""The connection to the store: opened, migrated, errors told without secrets.

Nothing is opened before the first use: services fork after their start.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import logging
import os
import pathlib
import threading
import time
from typing import Any

from alembic import command
from alembic import config as alembic_config
from alembic.runtime import migration
from alembic import script as alembic_script
from alembic.util import exc as alembic_exc
import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.store import patience
from cinder_lightbits_federation.store import tables
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.timing import wait_until

LOG = logging.getLogger(__name__)

MIGRATIONS = 'cinder_lightbits_federation.store:migrations'

# Seconds for services that start at once to agree on who migrates.
MIGRATION_LIMIT = 60.0
# Seconds to wait for another process that writes to the same file.
BUSY_LIMIT = 30.0
# Idle connections are closed by servers; take new ones after this.
RECYCLE = 1800
POOL = 5
SURGE = 20
FILE_MODE = 0o640
# SQLite's word for a file that another process is preparing.
LOCKED = 'locked'

SQLITE = 'sqlite'
# What alembic is doing it keeps in its modules, for all threads.
_MIGRATING = threading.Lock()
# How to ask each database for its clock, in seconds since the epoch.
CLOCKS = {
    'mysql': 'SELECT UNIX_TIMESTAMP(NOW(6))',
    'mariadb': 'SELECT UNIX_TIMESTAMP(NOW(6))',
    'postgresql': 'SELECT EXTRACT(EPOCH FROM clock_timestamp())'}


def parse(url: str) -> sa.URL:
    """Read a connection URL.

    :raises ValueError: it cannot be used; says why, without the URL.
    """
    try:
        found = sa.make_url(url)
    except sa_exc.ArgumentError:
        # SQLAlchemy repeats the text, and it may have a password.
        raise ValueError('not a database URL, such as '
                         'mysql+pymysql://user:password@host/name') from None
    kind = found.get_backend_name()
    if kind != SQLITE and kind not in CLOCKS:
        raise ValueError(f'{kind} is not supported: sqlite, mysql, mariadb '
                         f'or postgresql')
    if kind == SQLITE and not found.database:
        raise ValueError('a SQLite database in memory cannot be shared')
    return found


def is_file(url: sa.URL) -> bool:
    """Whether only processes of one host can share the database."""
    return url.get_backend_name() == SQLITE


class Store:
    """A database, usable by many threads.

    :param url: from `parse`.
    """

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._engine: sa.Engine | None = None
        # The last attempt to open it that failed: when, monotonic seconds.
        self._failed_at = float('-inf')
        self._failure = ''

    def __str__(self) -> str:
        return self._url.render_as_string(hide_password=True)

    @property
    def missing(self) -> bool:
        """Whether it is a file that does not exist."""
        return (is_file(self._url)
                and not pathlib.Path(self._url.database or '').exists())

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """One short transaction, committed unless the body raises.

        Do nothing inside but talk to the database. An answer of it is waited
        for no longer than `patience` says.

        :raises StoreUnavailable: the database does not work or is silent.
        """
        engine = self._open()
        with self._told(), engine.begin() as connection:
            yield connection

    def now(self, connection: sa.Connection) -> float:
        """:returns: the time by the one clock that all services share."""
        question = CLOCKS.get(connection.dialect.name)
        if question is None:
            return time.time()
        return float(connection.execute(sa.text(question)).scalar_one())

    def close(self) -> None:
        """Close all connections. Idempotent; a later use opens it again."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _open(self) -> sa.Engine:
        """:returns: the engine; the tables are of this release."""
        asked_at = time.monotonic()
        with self._lock:
            if self._engine is None:
                if self._failed_at >= asked_at:
                    # Each trying in turn would wait as often as there are
                    # threads.
                    raise errors.StoreUnavailable(self._failure)
                try:
                    self._engine = self._prepare()
                except errors.StoreUnavailable as exc:
                    self._failure = str(exc)
                    self._failed_at = time.monotonic()
                    raise
            return self._engine

    def _prepare(self) -> sa.Engine:
        """Bring the tables up to date; `_lock` is held.

        :returns: the engine for normal work.
        """
        with self._told():
            engine = self._make(patience.WORK)
            try:
                if not _is_current(engine):
                    self._migrate()
            except BaseException:
                engine.dispose()
                raise
            return engine

    def _migrate(self) -> None:
        engine = self._make(patience.MIGRATION)
        try:
            _migrate(engine)
        finally:
            engine.dispose()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sa_exc.IntegrityError:
            # The caller's business: somebody else was faster.
            raise
        except sa_exc.DBAPIError as exc:
            # Without the statement and its values.
            raise errors.StoreUnavailable(f'{self}: {exc.orig}') from None
        except (sa_exc.SQLAlchemyError, alembic_exc.CommandError,
                DeadlineExceeded, ImportError, OSError) as exc:
            raise errors.StoreUnavailable(f'{self}: {exc}') from None

    def _make(self, seconds: int) -> sa.Engine:
        """:param seconds: to wait for an answer."""
        if not is_file(self._url):
            engine = sa.create_engine(
                self._url, pool_pre_ping=True, pool_recycle=RECYCLE,
                pool_size=POOL, max_overflow=SURGE, pool_timeout=seconds,
                connect_args=patience.connect_args(self._url, seconds))
            patience.bound_statements(engine, self._url, seconds)
            return engine
        _make_file(pathlib.Path(self._url.database or ''))
        engine = sa.create_engine(self._url,
                                  connect_args={'timeout': BUSY_LIMIT})
        sa.event.listen(engine, 'connect', _prepare_file)
        sa.event.listen(engine, 'begin', _begin_file)
        return engine


def _make_file(path: pathlib.Path) -> None:
    """Make the file, for whom the folder belongs to.

    The command may be run by root before the service ever was.
    """
    if path.exists():
        return
    path.touch(mode=FILE_MODE)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _prepare_file(connection: Any, _record: Any) -> None:
    """Leave transactions to `_begin_file`; readers do not block writers."""
    connection.isolation_level = None
    connection.execute('PRAGMA journal_mode=WAL')


def _begin_file(connection: sa.Connection) -> None:
    """Wait for the right to write at the start, where waiting is possible.

    A transaction that reads first and then wants to write is refused at once
    if another has written meanwhile.
    """
    connection.exec_driver_sql('BEGIN IMMEDIATE')


def _is_current(engine: sa.Engine) -> bool:
    """Whether the tables are of this release.

    Fails at once where there is no database: nobody is making tables there.

    :raises StoreUnavailable: they are of a newer release.
    """
    _config, scripts = _scripts()
    reached = False
    try:
        with engine.connect() as connection:
            reached = True
            found = _revision(connection)
    except sa_exc.DBAPIError as exc:
        # Somebody may be at it just now.
        if (reached and not exc.connection_invalidated
                or LOCKED in str(exc.orig)):
            return False
        raise
    _check_known(scripts, found)
    return found == scripts.get_current_head()


def _scripts() -> tuple[alembic_config.Config,
                        alembic_script.ScriptDirectory]:
    config = alembic_config.Config()
    config.set_main_option('script_location', MIGRATIONS)
    return config, alembic_script.ScriptDirectory.from_config(config)


def _migrate(engine: sa.Engine) -> None:
    """Bring the tables to this release's form, whoever else tries, too.

    :raises StoreUnavailable: they are of a newer release.
    """
    config, scripts = _scripts()
    head = scripts.get_current_head()
    problems: list[str] = []

    def attempt() -> bool | None:
        try:
            with _MIGRATING, engine.connect() as connection:
                found = _revision(connection)
                if found == head:
                    return True
                _check_known(scripts, found)
                with _alone(connection):
                    # Whoever had the right before may have done it.
                    if _revision(connection) != head:
                        config.attributes['connection'] = connection
                        command.upgrade(config, 'head')
                    connection.commit()
        except sa_exc.DBAPIError as exc:
            # Another service does the same; look again.
            problems.append(str(exc.orig))
            return None
        LOG.info('The store is at version %s, was %s.', head, found)
        return True

    wait_until(attempt, Deadline.after(MIGRATION_LIMIT),
               'making the tables of the store',
               lambda: problems[-1] if problems else None)


def _revision(connection: sa.Connection) -> str | None:
    return migration.MigrationContext.configure(
        connection, opts={'version_table': tables.VERSIONS}
    ).get_current_revision()


@contextlib.contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """Have the right to change the tables, of all services.

    Not all databases can take back a change of a schema that stops halfway,
    so several at once get in each other's way. Who writes to a file is alone
    already.

    :raises StoreUnavailable: another has had the right for too long.
    """
    kind = connection.dialect.name
    if kind == 'postgresql':
        # Ends with the transaction.
        connection.execute(sa.text(
            'SELECT pg_advisory_xact_lock(hashtext(:name))'),
            {'name': tables.VERSIONS})
    if kind not in ('mysql', 'mariadb'):
        yield
        return
    # A transaction that has looked at a table holds on to its form.
    connection.commit()
    given = connection.execute(
        sa.text('SELECT GET_LOCK(:name, :seconds)'),
        {'name': tables.VERSIONS, 'seconds': MIGRATION_LIMIT}).scalar_one()
    if given != 1:
        raise errors.StoreUnavailable(
            'another service has been making its tables for too long')
    try:
        yield
    finally:
        connection.execute(sa.text('SELECT RELEASE_LOCK(:name)'),
                           {'name': tables.VERSIONS})


def _check_known(scripts: alembic_script.ScriptDirectory,
                 found: str | None) -> None:
    known = {item.revision for item in scripts.walk_revisions()}
    if found is not None and found not in known:
        raise errors.StoreUnavailable(
            f'its tables are of version {found}, made by a newer release '
            f'than this one')
