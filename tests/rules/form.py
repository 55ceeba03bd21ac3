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

"""The outward form of files: licence, length, release notes."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import yaml

from tests.rules.source import Source

MAX_LINES = 450

LICENCE = (
    # Broken early, so that no tool takes this text for a file's own header.
    'Licensed under the '
    'Apache License, Version 2.0 (the "License"); you may not use this file '
    'except in compliance with the License. You may obtain a copy of the '
    'License at http://www.apache.org/licenses/LICENSE-2.0 Unless required '
    'by applicable law or agreed to in writing, software distributed under '
    'the License is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR '
    'CONDITIONS OF ANY KIND, either express or implied. See the License for '
    'the specific language governing permissions and limitations under the '
    'License.')

# The sections of reno that hold a list; the prelude is one text.
NOTE_LISTS = frozenset({
    'features', 'issues', 'upgrade', 'deprecations', 'critical', 'security',
    'fixes', 'other'})


def licence(source: Source) -> Iterator[str]:
    """The licence must come first, and nobody's name with it."""
    words: list[str] = []
    for line in source.text.splitlines():
        if line.startswith('#!'):
            continue
        if not line.startswith('#'):
            break
        words += line.lstrip('#').split()
    if ' '.join(words) != LICENCE:
        yield source.finding(1, 'does not start with the licence header')


def length(source: Source) -> Iterator[str]:
    """A file is about one thing; a long one is about several."""
    lines = len(source.text.splitlines())
    if lines > MAX_LINES:
        yield source.finding(
            MAX_LINES, f'{lines} lines, at most {MAX_LINES} are allowed')


def _note_problems(note: object) -> Iterator[str]:
    if not isinstance(note, dict) or not note:
        yield 'is not a mapping of sections'
        return
    for section, value in note.items():
        if section == 'prelude':
            if not isinstance(value, str):
                yield 'prelude is not a text'
        elif section not in NOTE_LISTS:
            yield f'unknown section {section}'
        elif (not isinstance(value, list) or not value
              or not all(isinstance(item, str) for item in value)):
            # An entry with ": " in it is a mapping to YAML; reno would then
            # print it as code.
            yield f'{section} is not a list of texts'


def release_note(path: pathlib.PurePath, text: str) -> Iterator[str]:
    """What reno would refuse, or render as something not meant."""
    try:
        note = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        yield f'{path}: {exc}'
        return
    yield from (f'{path}: {problem}' for problem in _note_problems(note))
