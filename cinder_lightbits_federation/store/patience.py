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

"""How long a database is waited for.

Drivers of databases wait for ever unless told otherwise, and a server that is
cut off, or whose disk hangs, does not answer at all. What the operator's URL
says of these times wins.

The library of PostgreSQL has no limit for an answer. It finds out that a
server cannot be reached, and the server itself ends statements that take too
long. One that hangs as a whole, while its kernel or a proxy keeps the
connection alive, is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

# Seconds for an answer in normal work: each is a matter of milliseconds.
WORK = 10
# Seconds for an answer while tables are made. The right to do that is waited
# for inside the database, for as long as another service may take.
MIGRATION = 75

_MYSQL = ('connect_timeout', 'read_timeout', 'write_timeout')
_MYSQL_DRIVERS = ('pymysql', 'mysqldb', 'mariadbconnector')
_POSTGRESQL_DRIVERS = ('psycopg2', 'psycopg')


def connect_args(url: sa.URL, seconds: int) -> Mapping[str, int]:
    """Choose what tells a driver how long to wait.

    :param seconds: to wait for a connection, and for each answer; that of
        PostgreSQL is waited for without end, once it has what was sent.
    :returns: what to hand to the driver beside the URL; nothing for a driver
        whose options are not known.
    """
    driver = url.get_driver_name()
    if driver in _MYSQL_DRIVERS:
        made = dict.fromkeys(_MYSQL, seconds)
        # The server greets at once, whatever it may be asked later.
        made['connect_timeout'] = min(seconds, WORK)
    elif driver in _POSTGRESQL_DRIVERS:
        made = {'connect_timeout': min(seconds, WORK),
                # Milliseconds for what was sent to arrive.
                'tcp_user_timeout': WORK * 1000,
                # Finds out that a server has gone which owes an answer.
                'keepalives_idle': WORK, 'keepalives_interval': 3,
                'keepalives_count': 3}
    else:
        made = {}
    return {name: value for name, value in made.items()
            if name not in url.query}


def bound_statements(engine: sa.Engine, url: sa.URL, seconds: int) -> None:
    """Have PostgreSQL give up what takes longer than `seconds`.

    It does so itself, so this bounds no wait for a server that hangs.

    For each transaction, not for the connection: proxies refuse that when a
    connection is made, or hand the setting on to other users.
    """
    if (url.get_backend_name() != 'postgresql'
            or 'options' in url.query):
        return

    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(
            f'SET LOCAL statement_timeout = {seconds * 1000}')

    sa.event.listen(engine, 'begin', begin)
