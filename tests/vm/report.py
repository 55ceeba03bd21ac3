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

import time
from typing import Any
import unittest

_FIGURES: dict[str, list[str]] = {}


class Timed(unittest.TextTestResult):
    """Says of each test how many seconds it took."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._started = 0.0

    def startTest(self, test: unittest.TestCase) -> None:
        """Note when it starts."""
        self._started = time.monotonic()
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:
        """Say how long it took, clean-up included."""
        super().stopTest(test)
        self.stream.writeln(
            f'    {time.monotonic() - self._started:.1f} s')
        self.stream.flush()


def figure(name: str, *values: str) -> None:
    """Keep something that was measured, to be printed at the end."""
    _FIGURES.setdefault(name, []).extend(values)


def figures_table() -> str:
    """:returns: all that was measured."""
    return '\n'.join(['', 'Figures:', *(
        f'  {name}: {", ".join(values)}'
        for name, values in _FIGURES.items())])
