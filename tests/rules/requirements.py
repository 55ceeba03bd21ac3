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

"""Whether the declared dependencies are those the imports ask for."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import pathlib
import re
import sys
import tomllib

from tests.rules.source import imports
from tests.rules.source import Source

# Distributions by the module they are imported as, where the names differ.
# Spelt out rather than asked of the environment, which may hold less or
# more than the project declares.
DISTRIBUTIONS: Mapping[str, str] = {
    'jwt': 'pyjwt',
    'openstack': 'openstacksdk',
    'os_brick': 'os-brick',
    'yaml': 'pyyaml',
}


def normalised(name: str) -> str:
    """A distribution's name in the one spelling used for comparing."""
    return re.sub(r'[-_.]+', '-', name).lower()


def distribution(module: str) -> str:
    """The distribution a top-level module comes from."""
    return normalised(DISTRIBUTIONS.get(module, module))


def declared(pyproject: pathlib.Path) -> tuple[set[str], set[str]]:
    """Names in pyproject.toml: (dependencies, those of the extras)."""
    project = tomllib.loads(pyproject.read_text(encoding='utf-8'))['project']
    extras = project.get('optional-dependencies', {}).values()
    return (_names(project['dependencies']),
            _names(line for extra in extras for line in extra))


def _names(requirements: Iterable[str]) -> set[str]:
    return {
        normalised(re.split(r'[\s\[<>=!~;]', line.strip(), maxsplit=1)[0])
        for line in requirements}


def imported(
        sources: Iterable[Source],
        own: frozenset[str]) -> dict[str, str]:
    """Distributions the files import, each with one place that does.

    :param own: top-level packages of the project itself.
    """
    found: dict[str, str] = {}
    for source in sources:
        for item in imports(source):
            if item.top in own or item.top in sys.stdlib_module_names:
                continue
            found.setdefault(
                distribution(item.top), source.finding(item.line, item.name))
    return found


def check(
        dependencies: set[str], extras: set[str],
        found: Mapping[str, str]) -> Iterator[str]:
    """Findings in both directions.

    :param dependencies: what every installation gets; all must be used.
    :param extras: what an installation may bring; use is optional.
    :param found: what :func:`imported` gave.
    """
    for name in sorted(found.keys() - dependencies - extras):
        yield f'{found[name]}: {name} is not declared in pyproject.toml'
    for name in sorted(dependencies - found.keys()):
        yield f'pyproject.toml: {name} is declared but nothing imports it'
