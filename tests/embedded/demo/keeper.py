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

"""Lets the equipment outlive the command that started it.

The demonstration runs in a child with a session of its own, because the
services end with the process that started them. The command itself returns
as soon as the show is over.
"""

from __future__ import annotations

from collections.abc import Callable
import os
import shlex
import signal
import sys
import threading

from tests.embedded.demo import stage


class Keeper:
    """The child's side of the arrangement; its pipe ends the parent."""

    def __init__(self, report: int) -> None:
        self._report: int | None = report

    def keep(self, on: stage.Stage) -> None:
        """Say how to use what runs, and keep it until SIGTERM arrives."""
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda signum, frame: stop.set())
        print('\nStill running. To use it:\n')
        for name, value in on.cloud.environment().items():
            print(f'  export {name}={shlex.quote(value)}')
        programs = shlex.quote(os.path.dirname(sys.executable))
        print(f'  export PATH={programs}:$PATH')
        print('  openstack volume list\n')
        print(f'Configuration and logs: {on.folder}')
        print(f'To stop and remove it:  kill {os.getpid()}', flush=True)
        _silence(on)
        self.tell(True)
        stop.wait()

    def tell(self, held: bool) -> None:
        """Let the parent end; only the first call counts."""
        if self._report is not None:
            os.write(self._report, b'+' if held else b'-')
            os.close(self._report)
            self._report = None


def detach(run: Callable[[Keeper], bool]) -> int:
    """Run something in a child until it ends or keeps its equipment.

    :returns: the exit status for the calling process: 0 if `run` returned
        true or is keeping.
    """
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        return 0 if os.read(reading, 1) == b'+' else 1
    os.close(reading)
    os.setsid()
    keeper = Keeper(writing)
    held = run(keeper)
    keeper.tell(held)
    return 0 if held else 1


def _silence(on: stage.Stage) -> None:
    """Let go of the terminal or pipe of the command that has returned."""
    log = os.open(on.folder / 'keeper.log', os.O_WRONLY | os.O_CREAT, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
