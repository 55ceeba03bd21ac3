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

"""The snippets of the documentation, for tests that run them."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import pathlib
import re
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = ROOT / 'README.rst'
INSTALL = ROOT / 'doc' / 'source' / 'install' / 'index.rst'
FIRST_STEPS = ROOT / 'doc' / 'source' / 'install' / 'first-steps.rst'

_PROMPT = '$ '
_TITLE = re.compile(r'^(\S.*)\n(=+)$', re.MULTILINE)
_BLOCK = re.compile(
    r'^(?:\.\. code-block:: (?P<language>\w+)|(?!\.\. ).*::)\n\n'
    r'(?P<text>(?:(?:[ ]+.*)?\n)+)', re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True)
class Snippet:
    """A block of a page.

    :param title: the heading that it stands below.
    :param language: as the page says; ``console`` if it says nothing.
    """

    title: str
    language: str
    text: str

    def commands(self) -> list[str]:
        """:returns: what a shell runs: lines that go on are one command."""
        joined = self.text.replace('\\\n', ' ').splitlines()
        return [' '.join(line.removeprefix(_PROMPT).split())
                for line in joined if line.strip()]


def read(page: pathlib.Path) -> Iterator[Snippet]:
    """:returns: the blocks of a page, in their order."""
    text = page.read_text(encoding='utf-8')
    titles = [(found.start(), found[1]) for found in _TITLE.finditer(text)]
    for found in _BLOCK.finditer(text):
        above = [title for at, title in titles if at < found.start()]
        yield Snippet(above[-1] if above else '',
                      found['language'] or 'console',
                      textwrap.dedent(found['text']).strip('\n'))


def commands(page: pathlib.Path) -> list[str]:
    """:returns: all that a reader of the page would have a shell run."""
    return [command for snippet in read(page)
            if snippet.language in ('console', 'bash', 'shell')
            for command in snippet.commands()]
