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

"""Makes one SQLite file good enough for concurrent services.

A transaction that has read and then wants to write fails at once with
"database is locked" when another one wrote in between; the databases Cinder
is written for wait instead. Here the process's transactions take turns.
"""

from __future__ import annotations

import threading
from typing import Any

import sqlalchemy


def serialise(engine: sqlalchemy.Engine) -> None:
    """Let only one thread at a time hold a connection of `engine`.

    A thread that holds one may open another. Write-ahead logging lets other
    processes read meanwhile.
    """
    turn = threading.RLock()

    @sqlalchemy.event.listens_for(engine, 'connect')
    def on_connect(link: Any, record: Any) -> None:
        link.execute('PRAGMA journal_mode = WAL')

    @sqlalchemy.event.listens_for(engine, 'checkout')
    def on_checkout(link: Any, record: Any, proxy: Any) -> None:
        turn.acquire()

    @sqlalchemy.event.listens_for(engine, 'checkin')
    def on_checkin(link: Any, record: Any) -> None:
        turn.release()
