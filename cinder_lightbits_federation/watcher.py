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

"""Noticing that configuration files have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import logging
import os
import threading

LOG = logging.getLogger(__name__)

Stamp = tuple[tuple[str, int, int, int, int], ...]


def stamp(files: Iterable[str], dirs: Iterable[str]) -> Stamp:
    """:returns: something that differs when one of the files changed.

    A file that is replaced gets another inode, one that is edited other
    times, as does one that is given to another owner or made readable; a
    drop-in folder's files come and go.
    """
    paths = list(files)
    for folder in dirs:
        paths += sorted(_entries(folder))
    return tuple(found for path in paths
                 if (found := _file_stamp(path)) is not None)


def _entries(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [os.path.join(folder, name) for name in names
            if name.endswith('.conf')]


def _file_stamp(path: str) -> tuple[str, int, int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (path, status.st_ino, status.st_size, status.st_mtime_ns,
            status.st_ctime_ns)


class Watcher:
    """Calls back from a thread of its own when the files changed.

    :param interval: seconds between two looks.
    :param more: gives something that differs, too, when there is something
        to do; asked at every look.
    :param named: gives further files, which the configuration names; asked
        at every look.
    :param changed: what to do; returns whether that is all, else it is asked
        again at the next look. What it raises is logged.
    """

    def __init__(self, files: Sequence[str], dirs: Sequence[str],
                 interval: float, changed: Callable[[], bool],
                 more: Callable[[], object] = tuple,
                 named: Callable[[], Sequence[str]] = tuple) -> None:
        self._files = files
        self._dirs = dirs
        self._interval = interval
        self._changed = changed
        self._more = more
        self._named = named
        self._seen: object = self._stamp()
        self._doubted = False
        self._asked = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start looking."""
        self._thread = threading.Thread(target=self._run, daemon=True,
                                        name='lightbits-configuration')
        self._thread.start()

    def look_now(self) -> None:
        """Take what was seen last for changed, without waiting for a look."""
        self._doubted = True
        self._asked.set()

    def stop(self) -> None:
        """Stop looking. Idempotent."""
        self._stopped.set()
        self._asked.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._asked.wait(self._interval):
                self._asked.clear()
            if not self._stopped.is_set():
                self._look()

    def _look(self) -> None:
        try:
            doubted, self._doubted = self._doubted, False
            found = self._stamp()
            if found == self._seen and not doubted:
                return
            self._seen = found
            if not self._changed():
                self._seen = None
        except Exception:  # A thread's top: the watch must go on.
            LOG.exception('The changed configuration was not applied.')

    def _stamp(self) -> object:
        return (stamp((*self._files, *self._named()), self._dirs),
                self._more())
