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

"""The reference page: what was run, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import itertools
import pathlib
import re

from tests.crash import continuations
from tests.crash import failed_clone
from tests.crash import matrix
from tests.crash import operations
from tests.generated import pages

PAGE = pages.REFERENCE / 'crash-matrix.rst'
COMMAND = 'tox -e venv -- python -m tests.crash'

NOT_APPLICABLE = '-'
HOLDS = 'holds'
FAILS = 'FAILS'

FOLLOWING = (*(item.title for item in continuations.CONTINUATIONS),
             failed_clone.CONTINUATION)
OPERATIONS = (*(item.title for item in operations.OPERATIONS),
              failed_clone.TITLE)

TITLE = 'Crash matrix'
INTRO = """
Every operation is run in Cinder's own volume manager, with the real driver,
a database and simulated clusters, and the service is killed: before the first
effect of the operation, and after each. An effect is a write to a cluster, a
transaction in the database, or a cluster that finishes what it was asked for.
Between two effects nothing outside of the process changes, so these are all
the moments at which it can die. What follows is one of these:

* **restart, then delete**: the service starts again and Cinder clears up
  (a volume that was being created goes to "error", a delete is done again);
  users then detach and delete, or give up a volume they wanted to manage.
* **delete**: nobody clears up; the user deletes, after an operator has reset
  the state where Cinder asks for that ("error_managing" for a volume that is
  "managing", else "error").
* **repeat**: an operator resets the state and the user asks again.
* **reschedule**: another attempt is made, then the first one cleans up with
  the record as it had it. This order is Cinder's.
* **reschedule, racing**: the first attempt cleans up in the middle of the
  next one, before each of its calls in turn.
* **plain create**: the clusters fall silent during a clone and come back,
  and the same process then creates the same volume without a source, as
  Cinder does when it cannot use its image cache.

"Holds" says: every volume and snapshot of Cinder exists exactly once, on the
recorded cluster, with its size; nothing of ours exists that Cinder does not
know; nobody else's object was changed; a host has access exactly if there is
an attachment; and all of it could be deleted afterwards without leaving
anything. What may be left over is named:

* **intermediate snapshot**: the snapshot a clone was made of; the cluster
  removes it by itself when its retention time is over.

The page is written by ``{command}``,
which takes some minutes.
"""


def page(rows: Sequence[matrix.Row]) -> str:
    """:returns: the text of the page."""
    rule = '=' * len(TITLE)
    results = pages.list_table(
        ('Operation', 'Moments', *FOLLOWING), _results(rows),
        (14, 8, *(13 for _title in FOLLOWING)))
    effects = pages.list_table(
        ('Operation', 'Effects'),
        ((row.operation, '; '.join(_merged(row.effects))) for row in rows),
        (20, 80))
    return (f'.. This page is generated: {COMMAND}\n\n'
            f'{rule}\n{TITLE}\n{rule}\n\n{INTRO.format(command=COMMAND).strip()}\n\n{results}\n'
            f'The effects, in order, with the tables a transaction writes '
            f'to:\n\n{effects}')


def outline(text: str) -> dict[str, list[str]]:
    """Read the results of a page without their numbers.

    :returns: by operation: what came of each continuation, in the order of
        `FOLLOWING`; the header is the row of "Operation".
    """
    table = text.partition('.. list-table::')[2].partition(
        'The effects')[0]
    cells = [re.sub(r'\d+', '#', ' '.join(item.split())) for item
             in re.split(r'^ {3}\* -|^ {5}-', table, flags=re.M)[1:]]
    width = 2 + len(FOLLOWING)
    return {cells[start]: cells[start + 2:start + width]
            for start in range(0, len(cells), width)}


def write(rows: Sequence[matrix.Row], path: pathlib.Path = PAGE) -> None:
    """Write the page."""
    path.write_text(page(rows), encoding='utf-8')


def _results(rows: Iterable[matrix.Row]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        yield (row.operation, str(len(row.effects) + 1),
               *(_verdict(row.cells.get(title)) for title in FOLLOWING))


def _verdict(cell: matrix.Cell | None) -> str:
    if cell is None:
        return NOT_APPLICABLE
    if cell.problems:
        return f'{FAILS} ({len(cell.problems)} of {cell.runs})'
    left = [f'{name} at {len(moments)}'
            for name, moments in sorted(cell.left.items())]
    return '; '.join((HOLDS, *left))


def _merged(effects: Iterable[str]) -> Iterator[str]:
    """Say the same thing once, and how often."""
    for name, group in itertools.groupby(effects):
        count = len(list(group))
        yield name if count == 1 else f'{name} ({count} times)'
