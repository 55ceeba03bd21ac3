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

"""A Python file as the rules see it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
import dataclasses
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One file.

    :ivar path: relative to the root of the checkout, as in messages.
    :ivar text: what the file holds.
    """

    path: pathlib.PurePath
    text: str

    @classmethod
    def read(cls, path: pathlib.Path) -> Source:
        """Read a file below the root of the checkout."""
        return cls(path.relative_to(ROOT), path.read_text(encoding='utf-8'))

    @property
    def module(self) -> str:
        """Dotted name of the module; a package has its own name."""
        parts = list(self.path.with_suffix('').parts)
        if parts[-1] == '__init__':
            parts.pop()
        return '.'.join(parts)

    @property
    def package(self) -> str:
        """Dotted name that relative imports of this file start from."""
        return '.'.join(self.path.parts[:-1])

    def tree(self) -> ast.Module:
        """Parse the text.

        :raises SyntaxError: the text is not Python.
        """
        return ast.parse(self.text, filename=str(self.path))

    def finding(self, line: int, message: str) -> str:
        """One finding in the form editors can jump to."""
        return f'{self.path}:{line}: {message}'


@dataclasses.dataclass(frozen=True, slots=True)
class Import:
    """A module that a file imports, and where it does so."""

    name: str
    line: int

    @property
    def top(self) -> str:
        """The part before the first dot."""
        return self.name.partition('.')[0]


def _imported_names(
        node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ''
    if node.level:
        parents = package.split('.')
        kept = parents[:len(parents) - node.level + 1]
        base = '.'.join([*kept, base] if base else kept)
    # "from package import name" may mean a module, so the name is kept.
    return [f'{base}.{alias.name}' for alias in node.names]


def imports(source: Source) -> Iterator[Import]:
    """Every import of a file, those inside functions included.

    ``from a import b`` gives ``a.b``, whether b is a module or not.
    """
    for node in ast.walk(source.tree()):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in _imported_names(node, source.package):
                yield Import(name, node.lineno)


def python_files(*folders: str) -> list[Source]:
    """Every Python file below the given folders of the checkout."""
    return [
        Source.read(path) for folder in folders
        for path in sorted((ROOT / folder).rglob('*.py'))]
