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

"""How far a long command is, for people who look on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import threading
from typing import TextIO, TypeVar

from cinder_lightbits_federation.cli import base

T = TypeVar('T')

WIDTH = 30


def over(stream: TextIO, items: Sequence[T], what: str) -> Iterator[T]:
    """Go through items; a step is done when the next is asked for.

    :param what: they are, in the plural.
    """
    with contextlib.closing(Bar(stream, len(items), what)) as bar:
        for item in items:
            yield item
            bar.step()


class Bar:
    """A line on a terminal; nothing where nobody looks.

    :param total: steps there are.
    :param what: is counted.
    """

    def __init__(self, stream: TextIO, total: int, what: str) -> None:
        self._stream = stream
        self._total = total
        self._what = what
        self._done = 0
        self._shown = base.is_terminal(stream) and total > 0
        self._filled = -1

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        filled = WIDTH * self._done // max(self._total, 1)
        if self._shown and (filled != self._filled
                            or self._done == self._total):
            self._filled = filled
            self._stream.write(
                f'\r\x1b[K[{"#" * filled:<{WIDTH}}] '
                f'{self._done} of {self._total} {self._what}')
            self._stream.flush()

    def close(self) -> None:
        """Clear the line. Idempotent."""
        if self._shown:
            self._shown = False
            self._stream.write('\r\x1b[K')
            self._stream.flush()


class Gauge:
    """How far something long is: a bar on a terminal, lines elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._redraws = base.is_terminal(stream)
        self._last = ''

    def show(self, share: float | None, told: str) -> None:
        """Show it unless nothing has changed.

        :param share: of 1; None if that is not known yet.
        :param told: what there is to say of it.
        """
        filled = int(WIDTH * (share or 0))
        text = (f'\r\x1b[K[{"#" * filled:<{WIDTH}}] {told}'
                if self._redraws else f'{told}\n')
        if text != self._last:
            self._last = text
            self._stream.write(text)
            self._stream.flush()

    def close(self) -> None:
        """Leave what a bar has shown last, as a line. Idempotent."""
        if self._redraws and self._last:
            self._stream.write('\n')
            self._last = ''


class Tally:
    """Counts what was read, on a terminal only. Thread-safe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = base.is_terminal(stream)
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def __call__(self, cluster: str, count: int) -> None:
        with self._lock:
            self._counts[cluster] = self._counts.get(cluster, 0) + count
            if self._shown:
                told = ', '.join(f'{name} {number}' for name, number
                                 in sorted(self._counts.items()))
                self._stream.write(f'\r\x1b[Kobjects read: {told}')
                self._stream.flush()

    def close(self) -> None:
        """Clear the line. Idempotent."""
        if self._shown and self._counts:
            self._shown = False
            self._stream.write('\r\x1b[K')
            self._stream.flush()
