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

"""Runs the whole matrix and writes the reference page."""

from __future__ import annotations

import argparse
import logging
import pathlib
import sys
import unittest

import fixtures

from tests.crash import cloud
from tests.crash import failed_clone
from tests.crash import matrix
from tests.crash import table


class WholeMatrix(cloud.CloudTestCase):
    """The matrix, in the environment of a test."""

    path = table.PAGE

    def test_everything(self) -> None:
        """Run it and write the page; fails if an invariant does not hold."""
        self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        rows = []
        for row in matrix.run(self):
            rows.append(row)
            _tell(row)
        rows.append(failed_clone.run(self))
        _tell(rows[-1])
        table.write(rows, self.path)
        self.assertEqual([], [text for row in rows for text in row.problems])


def _tell(row: matrix.Row) -> None:
    runs = sum(cell.runs for cell in row.cells.values())
    print(f'{row.operation}: {len(row.effects) + 1} moments, {runs} '
          f'combinations, {len(row.problems)} problems', flush=True)


def main() -> int:
    """:returns: the exit status, 0 when everything holds."""
    parser = argparse.ArgumentParser(
        prog='python -m tests.crash', description=__doc__)
    parser.add_argument('--output', type=pathlib.Path, default=table.PAGE,
                        help='where to write the page')
    WholeMatrix.path = parser.parse_args().output
    result = unittest.TextTestRunner().run(WholeMatrix('test_everything'))
    return 0 if result.wasSuccessful() else 1


if __name__ == '__main__':
    sys.exit(main())
