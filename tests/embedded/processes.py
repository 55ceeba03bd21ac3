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

"""Starting and ending the process of an embedded service."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

from tests.embedded import settings
from tests.embedded import waiting

ROOT = pathlib.Path(__file__).parents[2]
_LOG_TAIL = 4000


class ServiceFailed(AssertionError):
    """The service ended although nobody told it to, or would not end."""


class ServiceProcess:
    """One ``python -m tests.embedded``.

    :param threads: native threads instead of eventlet.
    :param services: which to run, by comma.
    :param data: folder of the simulator, to attach its volumes' files.
    """

    def __init__(self, layout: settings.Layout, *, threads: bool = False,
                 services: str = 'api,scheduler,volume',
                 data: pathlib.Path | None = None) -> None:
        self._layout = layout
        self._threads = threads
        self._services = services
        self._data = data
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """:raises ServiceFailed: it does not run."""
        return self._running().pid

    def start(self, timeout: float = 180.0) -> dict[str, Any]:
        """Start it and return what its ready line says.

        :raises ServiceFailed: it ended instead.
        :raises WaitedTooLong: it was not ready within `timeout` seconds.
        """
        ready = self._layout.state / 'ready.json'
        with open(ready, 'wb') as out, open(self._layout.output, 'ab') as err:
            self._process = subprocess.Popen(
                self._command(), cwd=ROOT, env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            line = waiting.wait_for(lambda: self._ready_line(ready),
                                    'the services to be ready', timeout)
        except BaseException:
            self.kill()
            raise
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self, timeout: float = waiting.PATIENCE) -> None:
        """End it as an init system would; idempotent.

        :raises ServiceFailed: it had to be killed or ended with an error.
        """
        if self._process is None:
            return
        self._process.terminate()
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServiceFailed(
                f'still running {timeout:g} s after SIGTERM') from None
        self._process = None
        if code != 0:
            raise ServiceFailed(
                f'ended with status {code}: {self._output_tail()}')

    def kill(self) -> None:
        """End it as a crash would; idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def reload(self) -> None:
        """Have the service read its configuration again."""
        self._running().send_signal(signal.SIGHUP)

    def _command(self) -> list[str]:
        data = [] if self._data is None else ['--data-dir', str(self._data)]
        return [sys.executable, '-m', 'tests.embedded',
                '--state-dir', str(self._layout.state),
                '--services', self._services,
                '--parent-pid', str(os.getpid()), *data]

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            'OS_CINDER_DISABLE_EVENTLET_PATCHING':
                '1' if self._threads else '0',
            'PYTHONWARNINGS': 'ignore'}

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServiceFailed('not running')
        return self._process

    def _ready_line(self, ready: pathlib.Path) -> str | None:
        line = ready.read_text()
        if line.endswith('\n'):
            return line
        code = self._running().poll()
        if code is not None:
            raise ServiceFailed(
                f'ended with status {code}: {self._output_tail()}')
        return None

    def _output_tail(self) -> str:
        # Logging takes over uncaught exceptions as soon as it is set up.
        texts = [path.read_text(errors='replace')[-_LOG_TAIL:]
                 for path in (self._layout.output, self._layout.log)
                 if path.exists()]
        return '\n'.join(texts)
