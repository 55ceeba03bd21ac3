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

"""What the demonstration prints."""

from __future__ import annotations

from collections.abc import Sequence
import shlex
import sys
import time


class Deviation(AssertionError):
    """Something did not turn out as the demonstration says it does."""


def expect(true: object, otherwise: str) -> None:
    """Go on only if `true`.

    :raises Deviation: with the text `otherwise`.
    """
    if not true:
        raise Deviation(otherwise)


class Console:
    """Prints progress with the time since the start."""

    def __init__(self, acts: int) -> None:
        self._begin = time.monotonic()
        self._acts = acts
        self._act = 0
        self._bold = ('\033[1m', '\033[0m') if sys.stdout.isatty() else (
            '', '')

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begin

    def act(self, title: str) -> None:
        """Begin the next act."""
        self._act += 1
        on, off = self._bold
        self._line('')
        self._line(f'{on}[{self._stamp()}] {self._act}/{self._acts} '
                   f'{title}{off}')

    def say(self, text: str) -> None:
        """Print what is going on."""
        self._line(f'  {text}')

    def command(self, words: Sequence[str], seconds: float) -> None:
        """Print a command that was run, as one would type it."""
        self._line(f'  $ {shlex.join(words)}   ({seconds:.1f} s)')

    def batch(self, commands: Sequence[Sequence[str]],
              seconds: float) -> None:
        """Print commands that one process read from its standard input."""
        self._line('  $ openstack <<END')
        for words in commands:
            self._line(f'  {shlex.join(words)}')
        self._line(f'  END   ({seconds:.1f} s)')

    def ok(self, text: str) -> None:
        """Print something that was checked and is right."""
        self._line(f'  ok: {text}')

    def block(self, text: str) -> None:
        """Print several lines as they are."""
        for line in text.rstrip('\n').splitlines():
            self._line(f'    {line}')

    def table(self, head: Sequence[str],
              rows: Sequence[Sequence[object]]) -> None:
        """Print rows in columns as wide as needed."""
        texts = [[str(cell) for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in [list(head), *texts])
                  for column in range(len(head))]
        for row in [list(head), ['-' * width for width in widths], *texts]:
            cells = [cell.ljust(width)
                     for cell, width in zip(row, widths, strict=True)]
            self._line('    ' + '  '.join(cells).rstrip())

    def summary(self, rows: Sequence[tuple[str, str, float]]) -> None:
        """Print what was shown: title, outcome, seconds."""
        self._line('')
        self._line(f'Shown in {self.elapsed:.0f} s:')
        self.table(['', 'outcome', 'seconds'],
                   [(title, outcome, f'{seconds:.1f}')
                    for title, outcome, seconds in rows])

    def _stamp(self) -> str:
        minutes, seconds = divmod(int(self.elapsed), 60)
        return f'{minutes:02d}:{seconds:02d}'

    def _line(self, text: str) -> None:
        print(text, flush=True)
