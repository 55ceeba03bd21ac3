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

"""The text of each generated page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import pathlib
import textwrap

from tests.generated import errors
from tests.generated import figures
from tests.generated import methods
from tests.generated import roles
from tests.generated import states

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFERENCE = ROOT / 'doc' / 'source' / 'reference'

NOTE = """\
.. This page is generated: tox -e venv -- python -m tests.generated

"""


def list_table(header: Sequence[str], rows: Iterable[Sequence[str]],
               widths: Sequence[int]) -> str:
    """:returns: a table whose cells may be long."""
    lines = ['.. list-table::', '   :header-rows: 1',
             f'   :widths: {" ".join(str(width) for width in widths)}', '']
    for row in (header, *rows):
        for number, cell in enumerate(row):
            mark = '   * -' if number == 0 else '     -'
            first, *others = textwrap.wrap(cell, 70) or ['']
            lines.append(f'{mark} {first}'.rstrip())
            lines += [f'       {line}' for line in others]
    return '\n'.join(lines) + '\n'


def page(title: str, intro: str, table: str) -> str:
    """:returns: a whole page."""
    rule = '=' * len(title)
    body = '\n\n'.join(textwrap.fill(part, 78)
                       for part in intro.strip().split('\n\n'))
    return f'{NOTE}{rule}\n{title}\n{rule}\n\n{body}\n\n{table}'


def pages() -> dict[pathlib.Path, str]:
    """:returns: the text of every generated page by its path."""
    return {
        REFERENCE / 'error-table.rst': page(
            errors.TITLE, errors.INTRO,
            list_table(errors.HEADER, errors.rows(), errors.WIDTHS)),
        REFERENCE / 'admin-states.rst': page(
            states.TITLE, states.INTRO,
            list_table(states.HEADER, states.rows(), states.WIDTHS)),
        REFERENCE / 'driver-methods.rst': page(
            methods.TITLE, methods.INTRO,
            list_table(methods.HEADER, methods.rows(), methods.WIDTHS)),
        REFERENCE / 'command-roles.rst': page(
            roles.TITLE, roles.INTRO,
            list_table(roles.HEADER, roles.rows(), roles.WIDTHS)),
        **figures.tables(REFERENCE / 'figures'),
    }
