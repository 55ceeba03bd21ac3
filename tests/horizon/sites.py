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
"""Web services as child processes."""

from __future__ import annotations

from collections.abc import Mapping
import pathlib
import sys

from tests.horizon import serve
from tests.stack import daemons
from tests.stack import ports

# Seconds that a service may take to serve, and a command to end: much longer
# than they do, unless the machine has other things to do.
PATIENCE = 300.0


class Site:
    """A WSGI application in a process of its own, on a port that stays.

    :param name: of the service.
    :param application: ``module:name``.
    :param log: file that takes what it prints.
    :param environment: variables beside those of this process.
    """

    def __init__(self, name: str, application: str, log: pathlib.Path,
                 environment: Mapping[str, str],
                 guard: daemons.Guard) -> None:
        self._port = ports.Port()
        self.daemon = daemons.Daemon(daemons.Program(
            name, [sys.executable, '-m', serve.__name__, ports.HOST,
                   str(self._port), application],
            log, self._port.answers, environment), guard)

    @property
    def url(self) -> str:
        """Root address, without a path and without a slash at the end."""
        return f'http://{ports.HOST}:{self._port}'

    def close(self) -> None:
        """End it at once, and give its port up. Idempotent."""
        self.daemon.kill()
        self._port.close()
