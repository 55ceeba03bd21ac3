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

"""Start an embedded Block Storage service and talk to it.

::

    cloud = Cloud(state, config)
    cloud.start()
    volume = cloud.openstack.json('volume', 'create', '--size', '1', 'v')
    cloud.stop()

Needs nothing of Cinder in the calling process and works in patched and
unpatched ones.
"""

from __future__ import annotations

import pathlib
import re

from tests.embedded import clients
from tests.embedded import processes
from tests.embedded import records
from tests.embedded import settings
from tests.embedded import waiting
from tests import replacing


class Cloud(clients.Clients):
    """One embedded service over a state folder.

    :param state: an own folder; files of an earlier run there are used
        again, which is how a restart keeps its volumes.
    :param config: the operator's ``cinder.conf``: ``enabled_backends`` and
        the sections it names.
    :param threads: native threads instead of eventlet.
    :param services: which to run, by comma.
    :param data: folder of the simulator, to attach its volumes' files.
    """

    def __init__(self, state: pathlib.Path, config: str, *,
                 threads: bool = False,
                 services: str = 'api,scheduler,volume',
                 data: pathlib.Path | None = None) -> None:
        self.layout = settings.Layout(state.resolve())
        settings.prepare(self.layout)
        self.layout.config.write_text(config)
        self.process = processes.ServiceProcess(
            self.layout, threads=threads, services=services, data=data)
        self._api: str | None = None

    def start(self) -> float:
        """Start the services and return the seconds until they answered.

        :raises ServiceFailed: the process ended instead.
        """
        ready = self.process.start()
        self._api = ready['api']
        return float(ready['seconds'])

    def stop(self) -> None:
        """Stop the services, work in progress first; idempotent."""
        self.process.stop()
        self._api = None

    def restart(self) -> float:
        """Stop and start again over the same files."""
        self.stop()
        return self.start()

    @property
    def api(self) -> str:
        """Root address of the running API, without a path."""
        if self._api is None:
            raise processes.ServiceFailed('not running')
        return self._api

    @property
    def secret(self) -> str:
        """The secret part of every token."""
        return self.layout.secret.read_text().strip()

    def records(self) -> records.CinderRecords:
        """Read volumes, snapshots and attachments from the database."""
        return records.load(self.layout.database)

    def log(self) -> str:
        """Return everything the services have logged so far."""
        path = self.layout.log
        return path.read_text(errors='replace') if path.exists() else ''

    def wait_for_log(self, pattern: str, since: int = 0,
                     timeout: float = waiting.PATIENCE) -> str:
        """Return the first log line that `pattern` is found in.

        :param since: number of characters of the log to leave out.
        """
        expression = re.compile(f'.*(?:{pattern}).*')

        def look() -> str | None:
            found = expression.search(self.log(), since)
            return found.group(0) if found else None

        return waiting.wait_for(look, f'a log line with {pattern!r}', timeout)

    def drop_in(self, name: str, text: str | None) -> None:
        """Write a file of the drop-in folder, or remove it with None."""
        path = self.layout.config_dir / f'{name}.conf'
        if text is None:
            path.unlink()
        else:
            replacing.replace(path, text)
