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
"""Cinder's services as programs."""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
import sys

from tests.stack import daemons
from tests.stack import programs
from tests.stack import settings

API = 'api'
SCHEDULER = 'scheduler'

# What they log when they take requests.
_VOLUME_SERVES = 'Driver post RPC initialization completed successfully'
_SCHEDULER_SERVES = 'Creating RPC server for service cinder-scheduler'

# Switches Cinder's services between eventlet and native threads.
_THREADS = 'OS_CINDER_DISABLE_EVENTLET_PATCHING'


class CinderService(daemons.Daemon):
    """A service that serves when it has logged a certain text.

    :param name: its host.
    :param command: without what tells the configuration.
    :param threads: native threads instead of eventlet.
    """

    def __init__(self, name: str, command: Sequence[str], serves: str,
                 layout: settings.Layout, guard: daemons.Guard,
                 threads: bool) -> None:
        super().__init__(daemons.Program(
            name, [*command, *layout.arguments(name)], layout.output(name),
            self._has_said, {'PYTHONWARNINGS': 'ignore',
                             _THREADS: '1' if threads else '0'}), guard)
        self._own_log = layout.log(name)
        self._serves_text = serves
        self._begin = 0

    def launch(self) -> None:
        """Start the process and do not wait for it."""
        self._begin = (self._own_log.stat().st_size
                       if self._own_log.exists() else 0)
        super().launch()

    def log(self) -> str:
        """Return everything it has logged and printed, all runs together."""
        return _read(self._own_log) + super().log()

    def _has_said(self) -> bool:
        return self._serves_text in _read(self._own_log, self._begin)


class ApiService(daemons.Daemon):
    """The API, which serves when it has written its address."""

    def __init__(self, layout: settings.Layout, guard: daemons.Guard,
                 threads: bool) -> None:
        self._address = layout.folder / 'api-address'
        super().__init__(daemons.Program(
            API, [sys.executable, '-m', 'tests.stack.api',
                  *layout.arguments(API)], layout.output(API),
            self._address.exists,
            {'PYTHONWARNINGS': 'ignore',
             settings.API_ADDRESS: str(self._address),
             _THREADS: '1' if threads else '0'}), guard)
        self._own_log = layout.log(API)

    @property
    def url(self) -> str:
        """Root address, without a path; changes with each launch."""
        return self._address.read_text()

    def launch(self) -> None:
        """Start the process and do not wait for it."""
        self._address.unlink(missing_ok=True)
        super().launch()

    def log(self) -> str:
        """Return everything it has logged and printed, all runs together."""
        return _read(self._own_log) + super().log()


def volume(name: str, layout: settings.Layout, guard: daemons.Guard,
           threads: bool) -> CinderService:
    """Return a ``cinder-volume`` with a host of its own."""
    return CinderService(name, [programs.command('cinder-volume')],
                         _VOLUME_SERVES, layout, guard, threads)


def scheduler(layout: settings.Layout, guard: daemons.Guard,
              threads: bool) -> CinderService:
    """Return the ``cinder-scheduler``."""
    return CinderService(SCHEDULER, [programs.command('cinder-scheduler')],
                         _SCHEDULER_SERVES, layout, guard, threads)


def _read(path: pathlib.Path, begin: int = 0) -> str:
    """Return what a file holds from a byte on, if it is there."""
    if not path.exists():
        return ''
    with open(path, 'rb') as stream:
        stream.seek(begin)
        return stream.read().decode(errors='replace')
