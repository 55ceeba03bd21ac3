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

"""What the guest tells of its tests: how long they took, and figures."""

from __future__ import annotations

import json
import pathlib
import statistics
import time
from typing import Any
import unittest

Samples = dict[str, dict[str, list[float]]]
_SAMPLES: Samples = {}


class Timed(unittest.TextTestResult):
    """Says of each test how many seconds it took."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._started = 0.0
        self._told: dict[int, int] = {}
        self.seconds = 0.0

    def startTest(self, test: unittest.TestCase) -> None:
        """Note when it starts."""
        self._started = time.monotonic()
        super().startTest(test)

    def printErrors(self) -> None:
        """Say nothing a second time."""

    def stopTest(self, test: unittest.TestCase) -> None:
        """Say how long it took, clean-up included."""
        super().stopTest(test)
        # At once, since the guest may not live to the end.
        for problems in (self.errors, self.failures):
            for _test, text in problems[self._told.get(id(problems), 0):]:
                self.stream.writeln(text)
            self._told[id(problems)] = len(problems)
        seconds = time.monotonic() - self._started
        self.seconds += seconds
        self.stream.writeln(f'    {seconds:.1f} s')
        self.stream.flush()


def sample(name: str, column: str, value: float) -> None:
    """Keep something that was measured.

    :param column: what was measured, or what it was measured of.
    :param value: in seconds, if it is a time.
    """
    _SAMPLES.setdefault(name, {}).setdefault(column, []).append(value)
    # At once, too, since the guest may not live to the end.
    print(f'{name}, {column}: {value:.2f}', flush=True)


def write(path: pathlib.Path) -> None:
    """Write all that was measured, as JSON."""
    path.write_text(json.dumps(_SAMPLES))


def lines(samples: Samples) -> list[str]:
    """:returns: what was measured, as text: the median and the extremes."""
    return [f'{name}, {column}: {statistics.median(values):.2f} '
            f'({min(values):.2f} to {max(values):.2f})'
            for name, columns in samples.items()
            for column, values in columns.items()]


def finish(path: pathlib.Path, result: Timed) -> None:
    """Write and print what was measured and how many tests there were."""
    write(path)
    print('\n'.join(['', *lines(_SAMPLES)]))
    bad = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    print('Totals\n'
          f' - Passed: {max(0, result.testsRun - bad - skipped)}\n'
          f' - Skipped: {skipped}\n'
          f' - Failed: {bad}\n'
          f'Sum of execute time for each test: {result.seconds:.1f} sec.')
