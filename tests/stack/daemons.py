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
"""Servers as child processes: started, waited for, ended, hurt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

from tests.embedded import waiting
from tests.stack import guard

ROOT = pathlib.Path(__file__).parents[2]

_LOG_TAIL = 4000


class DaemonFailed(AssertionError):
    """A server ended although nobody told it to, or would not end."""


class Guard:
    """Has what is left killed when this process dies, in whatever way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, '-I', '-S', guard.__file__], text=True,
            stdin=subprocess.PIPE, start_new_session=True, bufsize=1)

    def watch(self, group: int) -> None:
        """Count a process group among what is to be killed."""
        self._say(f'+{group}\n')

    def forget(self, group: int) -> None:
        """Take a process group out again."""
        self._say(f'-{group}\n')

    def close(self) -> None:
        """Kill what is left, and end. Idempotent."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(line)


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """How to run a server.

    :ivar log: file that takes what it prints.
    :ivar ready: whether it serves; called again and again.
    :ivar environment: variables beside those of this process.
    """

    name: str
    command: Sequence[str]
    log: pathlib.Path
    ready: Callable[[], bool]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Daemon:
    """A server in a process group of its own, from one run to the next."""

    def __init__(self, program: Program, keeper: Guard) -> None:
        self.program = program
        self._guard = keeper
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def pid(self) -> int:
        """Number of the process and of its group; it must run."""
        assert self._process is not None, f'{self.program.name} does not run'
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process and do not wait for it."""
        with open(self.program.log, 'ab') as log:
            self._process = subprocess.Popen(
                self.program.command, cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env=os.environ | dict(self.program.environment))
        self._guard.watch(self._process.pid)

    def wait(self, timeout: float = 180.0) -> None:
        """Wait until it serves.

        :param timeout: seconds.
        :raises DaemonFailed: it ended instead.
        :raises WaitedTooLong: it does neither.
        """
        waiting.wait_for(self._serves, f'{self.program.name} to serve',
                         timeout)

    def start(self, timeout: float = 180.0) -> None:
        """Start the process and wait until it serves; see `wait`."""
        self.launch()
        self.wait(timeout)

    def stop(self, timeout: float = waiting.PATIENCE) -> None:
        """End it as an init system would. Idempotent.

        :raises DaemonFailed: it had to be killed, or had ended before.
        """
        if self._process is None:
            return
        self.resume()
        ended = self._process.poll()
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DaemonFailed(f'{self.program.name} still ran {timeout:g} '
                               f's after SIGTERM') from None
        self.kill()
        if ended is not None:
            raise DaemonFailed(self._ended(ended))

    def kill(self) -> None:
        """End it and its children as a crash would. Idempotent."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._guard.forget(self._process.pid)
        self._process = None
        self._paused = False

    def pause(self) -> None:
        """Let it and its children stand still; returns when they do."""
        self._paused = True
        self._signal(signal.SIGSTOP)
        waiting.wait_for(lambda: stands_still(self.pid),
                         f'{self.program.name} to stand still')

    def resume(self) -> None:
        """Let it go on; nothing happens if it was not paused."""
        if self._paused:
            self._signal(signal.SIGCONT)
            self._paused = False

    def log(self) -> str:
        """Return everything it has printed, all runs together."""
        path = self.program.log
        return path.read_text(errors='replace') if path.exists() else ''

    def _signal(self, number: int) -> None:
        # The group may be empty already.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _serves(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            raise DaemonFailed(self._ended(code))
        return self.program.ready()

    def _ended(self, code: int) -> str:
        return (f'{self.program.name} ended with status {code}: '
                f'{self.log()[-_LOG_TAIL:]}')


def stands_still(group: int) -> bool:
    """Whether no thread of a process group runs or is about to.

    A thread that is on a processor goes on for a moment when it is stopped.
    """
    for process in pathlib.Path('/proc').glob('[0-9]*'):
        # What ends meanwhile does not run either.
        with contextlib.suppress(OSError):
            if _stat(process)[2] == str(group) and any(
                    _stat(thread)[0] not in 'TXZ'
                    for thread in (process / 'task').iterdir()):
                return False
    return True


def _stat(folder: pathlib.Path) -> list[str]:
    """What the kernel says of a thread: state, parent, group, ..."""
    # The name before may have blanks and brackets.
    return (folder / 'stat').read_text().rpartition(')')[2].split()


def stop_all(daemons: Iterable[Daemon],
             timeout: float = waiting.PATIENCE) -> list[str]:
    """End servers side by side.

    :param timeout: seconds for each.
    :returns: what was not in order, one line per server.
    """
    told: list[str] = []

    def stop(daemon: Daemon) -> None:
        try:
            daemon.stop(timeout)
        except DaemonFailed as exc:
            told.append(str(exc))

    threads = [threading.Thread(target=stop, args=(daemon,))
               for daemon in daemons]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def run(command: Sequence[str], log: pathlib.Path,
        timeout: float = 120.0) -> None:
    """Run a command to its end.

    :param log: takes what it prints.
    :raises DaemonFailed: its status is not 0; with the end of the log.
    """
    begin = time.monotonic()
    with open(log, 'ab') as stream:
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stream,
            stderr=subprocess.STDOUT, timeout=timeout, check=False)
    if done.returncode != 0:
        raise DaemonFailed(
            f'{command[0]} ended with status {done.returncode} after '
            f'{time.monotonic() - begin:.1f} s: '
            f'{log.read_text(errors="replace")[-_LOG_TAIL:]}')
