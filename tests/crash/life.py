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

"""The life of one service process, and its end at a chosen moment.

What a process does to the world are its *effects*: a write it sends to a
cluster, a transaction it commits. Between two effects nobody else can tell
how far it has come, so killing it after each effect, and before the first,
covers every moment at which it can die. Reads have no effect of their own,
but time passes while a process waits: clusters settle after a read, which
counts as an effect too.

A killed process does nothing any more: what its code still tries on the way
out (``finally``, context managers) never leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
import re
import threading
from typing import Any
from unittest import mock

from sqlalchemy.engine import base as sqla
from sqlalchemy import event

from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import exchange
from cinder_lightbits_federation.lightbits import transport
from tests.simulator import client

_WRITE = re.compile(r'(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(\w+)', re.I)
# Calls on objects; the others only look at a cluster's health, at any time.
_OBJECTS = ('volumes.', 'snapshots.')
_WRITTEN = 'written'

T = dict[str, Any]


class Crash(BaseException):
    """The process is gone. Not an Exception: no code may survive it."""


class Clusters:
    """Lets clusters finish what they began, at the next look at them.

    :param clusters: by their names in the configuration.
    """

    def __init__(self, clusters: Mapping[str, client.SimCluster]) -> None:
        self._clusters = clusters
        self._restless: set[str] = set()

    def written(self, name: str) -> None:
        """Something was asked of a cluster."""
        self._restless.add(name)

    def looked_at(self, name: str) -> bool:
        """Somebody has seen how it is, and the next one sees it done.

        :returns: whether anything changed.
        """
        if name not in self._restless:
            return False
        self._restless.discard(name)
        return bool(self._clusters[name].settle())


class Life:
    """One process.

    :param clusters: all clusters; outlive the process.
    """

    def __init__(self, clusters: Clusters) -> None:
        self.effects: list[str] = []
        self.dead = False
        self._clusters = clusters
        self._end: int | str | None = None
        self._silence: int | None = None
        self._armed = False
        self._calls = self._number = 0
        self._action: Callable[[], None] | None = None
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def watched(self, end: int | str | None = None) -> Iterator[None]:
        """Count effects, and die when that was enough.

        :param end: effects it may have, or the name of the last one; None
            lets it live.
        """
        self.effects.clear()
        self._armed, self._end = True, end
        try:
            yield
        finally:
            self._armed = False

    @contextlib.contextmanager
    def losing(self, number: int | None) -> Iterator[None]:
        """Let the clusters fall silent after so many effects.

        If the last one is a write, its reply is lost already.

        :param number: None lets them answer for ever.
        """
        self.effects.clear()
        self._armed, self._silence = True, number
        try:
            yield
        finally:
            self._armed, self._silence = False, None

    @contextlib.contextmanager
    def interrupted(self, number: int, action: Callable[[], None]
                    ) -> Iterator[Callable[[], bool]]:
        """Let something else happen before a certain call on objects.

        :param number: of the call, from 0.
        :returns: tells whether there was such a call.
        """
        self._calls, self._number, self._action = 0, number, action
        try:
            yield lambda: self._action is None
        finally:
            self._action = None

    def _interrupt(self) -> None:
        action = self._action
        if action is None or self._calls < self._number:
            self._calls += 1
            return
        self._action = None
        action()

    def die(self) -> None:
        """Be killed now, if that has not happened yet."""
        self.dead = True

    def reach(self) -> None:
        """Something is about to leave the process.

        :raises Crash: it does not get that far.
        """
        with self._lock:
            if self._armed and self._end in (len(self.effects),
                                             *self.effects[-1:]):
                self.dead = True
            if self.dead:
                raise Crash

    def happened(self, effect: str) -> None:
        """Something has left the process."""
        with self._lock:
            if self._armed:
                self.effects.append(effect)

    def call(self, cluster: str, call: exchange.Call,
             send: Callable[[], T]) -> T:
        """Do a call of the API.

        :raises Crash: it is not sent.
        """
        if not call.operation.startswith(_OBJECTS):
            if self.dead:
                raise errors.Unreachable('the process is dead')
            return send()
        self.reach()
        self._interrupt()
        if self._silent:
            raise errors.Unreachable('silence')
        try:
            answer = send()
        except errors.Ambiguous:
            self._after(cluster, call)
            raise
        self._after(cluster, call)
        if call.write and self._silent:
            raise errors.Ambiguous('silence')
        return answer

    @property
    def _silent(self) -> bool:
        return self._silence is not None and (
            len(self.effects) >= self._silence)

    def _after(self, cluster: str, call: exchange.Call) -> None:
        with self._lock:
            if call.write:
                self._clusters.written(cluster)
                self.happened(f'{call.method} {call.operation}')
            elif self._clusters.looked_at(cluster):
                self.happened('the cluster settles')


class Wire(transport.HttpsTransport):
    """The transport of a process that may die."""

    def __init__(self, life: Life, config: Any, source: Any) -> None:
        super().__init__(config, source)
        self._life = life
        self._name = config.name

    def request(self, call: exchange.Call, deadline: Any = None) -> T:
        """See `transport.Transport.request`."""
        def send() -> T:
            return super(Wire, self).request(call, deadline)

        return self._life.call(self._name, call, send)


@contextlib.contextmanager
def wired(life: Life) -> Iterator[None]:
    """Every client that is made meanwhile belongs to this process."""
    def make(config: Any, source: Any) -> Wire:
        return Wire(life, config, source)

    with mock.patch.object(transport, 'HttpsTransport', make):
        yield


class Database:
    """Tells processes of their transactions.

    Uncommitted work of a process that dies is rolled back, as by a database
    server that loses the connection.
    """

    def __init__(self, engine: sqla.Engine) -> None:
        self._engine = engine
        self._running = threading.local()
        self._hooks: dict[str, Callable[..., None]] = {
            'before_execute': self._check,
            'before_cursor_execute': self._note, 'commit': self._commit,
            'rollback': self._forget}

    def start(self) -> None:
        """Begin to listen."""
        for name, hook in self._hooks.items():
            event.listen(self._engine, name, hook)

    def stop(self) -> None:
        """Listen no more."""
        for name, hook in self._hooks.items():
            event.remove(self._engine, name, hook)

    @contextlib.contextmanager
    def used_by(self, life: Life | None) -> Iterator[None]:
        """What this thread does meanwhile is done by that process."""
        before = self._life
        self._running.life = life
        try:
            yield
        finally:
            self._running.life = before
            if life is not None and life.dead:
                self._roll_back()

    @property
    def _life(self) -> Life | None:
        return getattr(self._running, 'life', None)

    def _roll_back(self) -> None:
        link = self._engine.raw_connection()
        link.rollback()
        link.close()

    def _check(self, *_args: Any) -> None:
        # Not when the cursor executes: SQLAlchemy then gives up the
        # connection, and with it a database in memory.
        life = self._life
        if life is not None:
            life.reach()

    def _note(self, link: sqla.Connection, _cursor: Any, statement: str,
              *_rest: Any) -> None:
        found = _WRITE.match(statement)
        if self._life is not None and found is not None:
            tables = link.info.setdefault(_WRITTEN, [])
            if found[1] not in tables:
                tables.append(found[1])

    def _commit(self, link: sqla.Connection) -> None:
        life, tables = self._life, link.info.pop(_WRITTEN, None)
        if life is not None and tables:
            life.reach()
            life.happened(f'commit {", ".join(sorted(tables))}')

    @staticmethod
    def _forget(link: sqla.Connection) -> None:
        link.info.pop(_WRITTEN, None)
