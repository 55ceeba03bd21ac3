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

"""A device in use without pause."""

from __future__ import annotations

import mmap
import os
import threading
import time
import types

BLOCK = 4096


class Load:
    """Writes and reads a device past all caches, for as long as entered.

    An error, or data that is not what was written, is raised at the end.

    :param path: of the device.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._last = 0.0
        self._longest = 0.0
        self.rounds = 0

    def __enter__(self) -> Load:
        """Begin."""
        self._last = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        """:raises Exception: what went wrong with the device."""
        self._over.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def mark(self) -> None:
        """Count stalls from here on."""
        with self._lock:
            self._longest = 0.0
            self._last = time.monotonic()

    @property
    def stall(self) -> float:
        """The longest time without any progress since the mark, in s."""
        with self._lock:
            return max(self._longest, time.monotonic() - self._last)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as exc:
            self._error = exc
            raise

    def _work(self) -> None:
        descriptor = os.open(
            self._path, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
        # Direct I/O wants aligned memory.
        with mmap.mmap(-1, BLOCK) as page:
            try:
                while not self._over.is_set():
                    self._once(descriptor, page)
            finally:
                os.close(descriptor)

    def _once(self, descriptor: int, page: mmap.mmap) -> None:
        data = self.rounds.to_bytes(8, 'big') * (BLOCK // 8)
        place = self.rounds % 64 * BLOCK
        page[:] = data
        os.pwritev(descriptor, [page], place)
        page[:] = bytes(BLOCK)
        os.preadv(descriptor, [page], place)
        if page[:] != data:
            raise AssertionError(f'block {self.rounds} is not what it was')
        with self._lock:
            now = time.monotonic()
            self._longest = max(self._longest, now - self._last)
            self._last = now
        self.rounds += 1
