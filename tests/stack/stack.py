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
"""Start everything, talk to it, end it.

::

    with stack.Stack(folder, config) as running:
        running.start()
        running.openstack.json('volume', 'create', '--size', '1', 'v')
        running.volumes['stor1'].kill()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent import futures
import pathlib
import time
import types

from tests.embedded import clients
from tests.embedded import records
from tests.stack import daemons
from tests.stack import locks
from tests.stack import mariadb
from tests.stack import programs
from tests.stack import rabbitmq
from tests.stack import services
from tests.stack import settings

_START_SECONDS = 300.0


class Stack(clients.Clients):
    """Database, broker, lock service and Cinder over them.

    :param folder: is made, and takes all files. Keep its path short: it
        holds a socket.
    :param config: the operator's ``cinder.conf``: ``enabled_backends`` and
        the sections it names.
    :param coordination: a key of :data:`locks.KINDS`.
    :param threads: native threads instead of eventlet.
    :param hosts: one ``cinder-volume`` for each.
    """

    def __init__(self, folder: pathlib.Path, config: str, *,
                 coordination: str = 'etcd', threads: bool = False,
                 hosts: Iterable[str] = settings.HOSTS) -> None:
        self.folder = folder.resolve()
        self.layout = settings.Layout(self.folder / 'cinder')
        self._config = config
        self._guard = daemons.Guard()
        self.database = mariadb.MariaDb(self.folder / 'mariadb', self._guard)
        self.broker = rabbitmq.RabbitMq(self.folder / 'rabbitmq',
                                        self._guard)
        self.locks = locks.KINDS[coordination](self.folder / coordination,
                                               self._guard)
        self.scheduler = services.scheduler(self.layout, self._guard,
                                            threads)
        self.volumes = {
            host: services.volume(host, self.layout, self._guard, threads)
            for host in hosts}
        self._api = services.ApiService(self.layout, self._guard, threads)

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self.close()

    @property
    def api(self) -> str:
        """Root address of the running API, without a path."""
        return self._api.url

    @property
    def secret(self) -> str:
        """The secret part of every token."""
        return self.layout.secret.read_text().strip()

    @property
    def cinder(self) -> list[daemons.Daemon]:
        """Cinder's services, in the order they are started in."""
        return [*self.volumes.values(), self.scheduler, self._api]

    def start(self, timeout: float = _START_SECONDS) -> float:
        """Start everything over an empty database.

        :returns: seconds until all of it served.
        :raises DaemonFailed: something ended instead.
        """
        begin = time.monotonic()
        self.folder.mkdir(mode=0o700)
        settings.prepare(self.layout, self._config, settings.Urls(
            self.database.url, self.broker.url, self.locks.url))
        for name in (*self.volumes, services.SCHEDULER, services.API):
            settings.prepare_service(self.layout, name)
        _together(self._start_database, self._start_broker,
                  self._start_locks)
        for service in self.cinder:
            service.launch()
        for service in self.cinder:
            service.wait(timeout)
        return time.monotonic() - begin

    def stop(self) -> None:
        """End everything in order, and check that it was. Idempotent.

        :raises DaemonFailed: something had ended before, or would not end.
        """
        told = daemons.stop_all(self.cinder)
        told += daemons.stop_all([self.database.daemon, self.broker.daemon,
                                  self.locks.daemon])
        if told:
            raise daemons.DaemonFailed('\n'.join(told))

    def close(self) -> None:
        """End what still runs, at once. Idempotent."""
        for daemon in (*self.cinder, self.database.daemon,
                       self.broker.daemon, self.locks.daemon):
            daemon.kill()
        self.broker.close()
        self.locks.close()
        self._guard.close()

    def records(self) -> records.CinderRecords:
        """Read volumes, snapshots and attachments from the database."""
        return self.database.records()

    def logs(self) -> dict[str, str]:
        """Return what Cinder's services have logged, by host."""
        return {daemon.program.name: daemon.log() for daemon in self.cinder}

    def _start_database(self) -> None:
        self.database.prepare()
        self.database.daemon.start()
        daemons.run([programs.command('cinder-manage'),
                     *self.layout.arguments(services.API), 'db', 'sync'],
                    self.folder / 'db-sync.log')

    def _start_broker(self) -> None:
        self.broker.prepare()
        self.broker.daemon.start()

    def _start_locks(self) -> None:
        self.locks.prepare()
        self.locks.daemon.start()


def _together(*actions: Callable[[], None]) -> None:
    """Do things side by side; raise what the first to fail raised."""
    with futures.ThreadPoolExecutor(len(actions)) as pool:
        for done in [pool.submit(action) for action in actions]:
            done.result()
