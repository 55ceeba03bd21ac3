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

import argparse
from collections.abc import Iterable, Mapping, Sequence
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


def refresh(made: Mapping[pathlib.Path, str], check: bool
            ) -> list[pathlib.Path]:
    """Write pages that are not as the code makes them.

    :param made: the text of each page by its path.
    :param check: write nothing.
    :returns: the pages that were out of date.
    """
    stale = [path for path, text in made.items()
             if not path.exists() or path.read_text(encoding='utf-8') != text]
    for path in () if check else stale:
        path.write_text(made[path], encoding='utf-8')
    return stale


def main(argv: Sequence[str]) -> int:
    """Write the pages, or tell which would be written.

    :returns: the exit code: 1 if ``--check`` has found one out of date.
    """
    parser = argparse.ArgumentParser(prog='python -m tests.generated')
    parser.add_argument('--check', action='store_true',
                        help='Write nothing; fail if a page is out of date.')
    check = parser.parse_args(argv).check
    stale = refresh(pages(), check)
    for path in stale:
        print(f'{"out of date:" if check else "wrote"} {path}')
    return int(check and bool(stale))
