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

"""Runs the crash matrix, and writes or checks the reference page."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import logging
import sys
from typing import ClassVar
import unittest

import fixtures

from tests.crash import cloud
from tests.crash import failed_clone
from tests.crash import matrix
from tests.crash import operations
from tests.crash import table


class MatrixRun(cloud.CloudTestCase):
    """The matrix, in the environment of a test."""

    wanted: ClassVar[frozenset[str]]
    check: ClassVar[bool]

    def test_matrix(self) -> None:
        """Run it; fails if an invariant does not hold."""
        self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        rows = []
        for row in self._rows():
            rows.append(row)
            _tell(row)
        if not self.check:
            table.write(rows)
        self.assertEqual([], [text for row in rows for text in row.problems])
        if self.check:
            written = table.outline(table.PAGE.read_text(encoding='utf-8'))
            self.assertEqual(
                {name: written.get(name) for name in self.wanted},
                {name: cells for name, cells
                 in table.outline(table.page(rows)).items()
                 if name in self.wanted},
                f'the page is out of date: {table.COMMAND}')

    def _rows(self) -> Iterator[matrix.Row]:
        yield from matrix.run(self, [
            item for item in operations.OPERATIONS
            if item.title in self.wanted])
        if failed_clone.TITLE in self.wanted:
            yield failed_clone.run(self)


def _tell(row: matrix.Row) -> None:
    runs = sum(cell.runs for cell in row.cells.values())
    print(f'{row.operation}: {len(row.effects) + 1} moments, {runs} '
          f'combinations, {len(row.problems)} problems', flush=True)


def main() -> int:
    """:returns: the exit status, 0 when everything holds."""
    parser = argparse.ArgumentParser(
        prog='python -m tests.crash', description=__doc__)
    parser.add_argument(
        '--check', nargs='*', metavar='OPERATION', choices=table.OPERATIONS,
        help='compare with the page, for these operations or for all, '
        'instead of writing it')
    told = parser.parse_args().check
    MatrixRun.check = told is not None
    MatrixRun.wanted = frozenset(told or table.OPERATIONS)
    result = unittest.TextTestRunner().run(MatrixRun('test_matrix'))
    return 0 if result.wasSuccessful() else 1


if __name__ == '__main__':
    sys.exit(main())
