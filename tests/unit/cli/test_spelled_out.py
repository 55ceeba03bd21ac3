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

"""Every command that is spelled out somewhere is one, with these options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
import io
import pathlib
import re
import shlex
import typing

from oslotest import base

from cinder_lightbits_federation.cli import main
from cinder_lightbits_federation import options
from tests.rules.source import ROOT

#: Files in which people, or programs, are told commands.
TOLD = ('README.rst', 'CONTRIBUTING.rst', 'doc/**/*.rst',
        'releasenotes/notes/*.yaml', 'etc/**/*', 'devstack/**/*',
        '.zuul.yaml', 'cinder_lightbits_federation/**/*.py')

# A line of a terminal or of a script; it may go on below.
_LINE = re.compile(r'^ *(?:[$#] )?lightbits-federation (.*)$', re.MULTILINE)
# Where the command ends and the shell goes on.
_SHELL = re.compile(r'[|;<>&].*')
# Of an option of the backend, of a statistic or of a figure.
_NAME = re.compile(r'\blightbits_[a-z_]*[a-z]\b')
_PART = re.compile(r'^lightbits_|_(?:bucket|count|info)$')
_INNER = re.compile(r'\$\([^)]*\)')
_LITERAL = re.compile(r'(?<!`)``([^`]+)``(?!`)')
# In the midst of a sentence or of a message.
_SAID = re.compile(rf'{main.NAME} ([a-z][a-z-]*(?: [a-z][a-z-]*){{0,2}})')
#: Words that follow the name and are no command.
PROSE = {'is', 'and', 'in', 'of', 'command', 'to', 'the', 'or', 'static',
         'rules', 'fi'}
#: What cliff has of its own.
GIVEN = {'help', 'complete'}


def files() -> Iterator[pathlib.Path]:
    """:returns: the files that tell commands."""
    for pattern in TOLD:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and path.suffix not in ('.png', '.pyc'):
                yield path


class Refused(Exception):
    """A parser does not take it."""


class SpelledOutTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.shell = main.Shell(stdout=io.StringIO(), stderr=io.StringIO())

    def parse(self, words: list[str]) -> None:
        """Have the parsers read a command line.

        :raises Refused: it is wrong.
        """
        with contextlib.redirect_stderr(io.StringIO()) as told:
            try:
                _known, rest = self.shell.parser.parse_known_args(words)
                if rest and rest[0] not in GIVEN:
                    self.parser(rest).parse_args(self.rest)
            except SystemExit as exc:
                if exc.code:
                    raise Refused(told.getvalue()) from exc
            except ValueError as exc:
                raise Refused(str(exc)) from exc

    def parser(self, words: list[str]) -> argparse.ArgumentParser:
        """:returns: of the command that some words begin with.

        :raises ValueError: they begin with none.
        """
        kind, name, self.rest = (
            self.shell.command_manager.find_command(words))
        found: typing.Any = kind
        made: argparse.ArgumentParser = found(
            self.shell, argparse.Namespace(), cmd_name=name
        ).get_parser(name)
        return made

    def test_what_is_refused(self) -> None:
        for line in ('cluster lsit', 'cluster list --lnog',
                     'cluster attach east', 'job list --limit x',
                     '--tiemout 3 cluster list', 'cluster set east'):
            self.assertRaises(Refused, self.parse, shlex.split(line))
        self.parse(shlex.split('--timeout 3 cluster list --long'))

    def test_lines(self) -> None:
        seen, wrong = 0, []
        for path in files():
            if path.suffix == '.py':
                continue
            text = path.read_text(encoding='utf-8').replace('\\\n', ' ')
            for line in _LINE.findall(text):
                try:
                    self.parse(shlex.split(
                        _SHELL.sub('', _INNER.sub('x', line))))
                except Refused as exc:
                    wrong.append(f'{path.name}: {line}: {exc}')
                seen += 1
        self.assertEqual([], wrong)
        self.assertGreater(seen, 50)

    def test_literals(self) -> None:
        """Of these the arguments that are needed may be left out."""
        seen, wrong = 0, []
        for path in files():
            if path.suffix not in ('.rst', '.yaml'):
                continue
            for literal in _LITERAL.findall(path.read_text('utf-8')):
                words = literal.split()
                if words[0] == main.NAME:
                    words = words[1:]
                if (' '.join(words[:2]) in main.COMMANDS
                        or words[:1] and words[0] in main.COMMANDS):
                    wrong += [f'{path.name}: {literal}: {option}'
                              for option in self.unknown(words)]
                    seen += 1
        self.assertEqual([], wrong)
        self.assertGreater(seen, 100)

    def unknown(self, words: list[str]) -> set[str]:
        """:returns: the options of some words that the command lacks."""
        known = {option
                 for parser in (self.shell.parser, self.parser(words))
                 for action in parser._actions
                 for option in action.option_strings}
        return {option.partition('=')[0] for word in words
                for option in word.strip('[]').split('|')
                if option.startswith('--')} - known

    def test_options_and_figures(self) -> None:
        texts = {path: path.read_text(encoding='utf-8') for path in files()}
        code = '\n'.join(text for path, text in texts.items()
                         if path.suffix == '.py')
        told = {name for path, text in texts.items()
                if path.suffix != '.py' for name in _NAME.findall(text)}
        # Figures are named without what all of them begin with.
        self.assertEqual(set(), {
            name for name in told
            if name not in code and f"'{_PART.sub('', name)}'" not in code})
        self.assertEqual(set(), {opt.name for opt in options.backend_opts
                                 } - told)

    def test_in_sentences(self) -> None:
        groups = {name.partition(' ')[0] for name in main.COMMANDS}
        seen, wrong = 0, []
        for path in files():
            text = ' '.join(path.read_text(encoding='utf-8').split())
            for said in _SAID.findall(text):
                first = said.partition(' ')[0]
                if first in PROSE | GIVEN:
                    continue
                try:
                    if first not in main.COMMANDS and said not in groups:
                        self.parser(said.split())
                except ValueError:
                    wrong.append(f'{path.name}: {said}')
                seen += 1
        self.assertEqual([], wrong)
        self.assertGreater(seen, 50)
