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

"""The pages say all that the command has, and nothing else."""

from __future__ import annotations

import argparse
import io
import re

from oslotest import base

from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.cli import main
from cinder_lightbits_federation.cli.outcome import Outcome
from tests.rules.source import ROOT

CLI = ROOT / 'doc' / 'source' / 'reference' / 'cli.rst'
AUDIT = ROOT / 'doc' / 'source' / 'admin' / 'audit.rst'

# Options that cliff gives to every list.
SORTING = {'--sort-column', '--sort-ascending', '--sort-descending',
           '--quote'}


def sections(text: str) -> dict[str, str]:
    """:returns: what stands below each heading."""
    parts = re.split(r'^(\S.*)\n=+$', text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def options(parser: argparse.ArgumentParser) -> set[str]:
    """:returns: the long options of a parser."""
    return {option for action in parser._actions
            for option in action.option_strings
            if option.startswith('--')}


def named(text: str) -> set[str]:
    """:returns: the options that a text describes."""
    terms = re.findall(r'^``--.*$', text, flags=re.MULTILINE)
    return {name for term in terms
            for name in re.findall(r'``(--[a-z-]+)', term)}


class CliPageTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.page = sections(CLI.read_text(encoding='utf-8'))
        self.shell = main.Shell()

    def test_every_command_has_a_section(self) -> None:
        self.assertEqual(set(), set(main.COMMANDS) - set(self.page))

    def test_options_of_each_command(self) -> None:
        plain = options(self.parser('snapshot show')) | SORTING
        for name in main.COMMANDS:
            told = named(self.page[name])
            if name == 'snapshot list':
                told = named(self.page['volume list']) - {
                    '--source-snapshot', '--failure-domain'} | {
                        '--source-volume'}
            elif name == 'cluster list':
                self.assertIn('``--long``', self.page[name])
                told.add('--long')
            self.assertEqual(options(self.parser(name)) - plain, told, name)

    def test_exit_codes_of_each_command(self) -> None:
        for name, kind in main.COMMANDS.items():
            if name == 'audit':  # Has a table of its own.
                continue
            told = ' '.join((kind.__doc__ or '').split())
            _before, _phrase, codes = told.partition('Exit code ')
            where = 'volume list' if name == 'snapshot list' else name
            self.assertEqual(
                set(), set(re.findall(r'\b([1-4]):', codes)) - set(
                    re.findall(r'Exit\s+code\s+(\d)', self.page[where])), name)

    def test_interrupts_have_a_code_of_their_own(self) -> None:
        for name, text in self.page.items():
            told = [code for code, meaning in re.findall(
                r'Exit\s+code\s+(\d+):(.*?)(?=Exit\s+code|\n\n|\Z)', text,
                flags=re.DOTALL) if 'interrupt' in meaning]
            self.assertEqual(
                set(), set(told) - {str(int(Outcome.INTERRUPTED))}, name)

    def parser(self, name: str) -> argparse.ArgumentParser:
        """:returns: the parser of a command."""
        command = main.COMMANDS[name](self.shell, argparse.Namespace())
        return command.get_parser(name)

    def test_manual_page(self) -> None:
        text = (ROOT / 'doc' / 'source' / 'conf.py').read_text(
            encoding='utf-8')
        self.assertIn("('reference/cli', 'lightbits-federation'", text)

    def test_completion(self) -> None:
        out = io.StringIO()
        self.assertEqual(0, main.Shell(stdout=out).run(['complete']))
        for name in main.COMMANDS:
            verb, _blank, rest = name.partition(' ')
            self.assertIn(verb, out.getvalue())
            self.assertIn(rest.replace(' ', '_').partition('_')[0],
                          out.getvalue())
        self.assertIn('--fingerprint', out.getvalue())

    def test_options_of_all_commands(self) -> None:
        told = named(self.page['Options of all commands'])
        found = options(self.shell.parser) - {'--help', '--quiet',
                                              '--verbose'}
        self.assertEqual(found, told)


class AuditPageTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.page = sections(AUDIT.read_text(encoding='utf-8'))

    def test_every_kind_is_described_in_order(self) -> None:
        table = re.findall(r'^   \* - ``([a-z-]+)``$',
                           self.page['What it finds'], flags=re.MULTILINE)
        self.assertEqual([kind.value for kind in Kind], table)

    def test_severities(self) -> None:
        told = set(re.findall(r'^     - (error|warning|notice)$',
                              self.page['What it finds'],
                              flags=re.MULTILINE))
        self.assertEqual({item.value for item in Severity}, told | {
            Severity.IN_FLIGHT.value})

    def test_exit_codes(self) -> None:
        own = [item for item in Outcome if item <= Outcome.FAILED]
        for page, codes in ((AUDIT, own), (CLI, list(Outcome))):
            told = re.findall(r'^   \* - (\d+)$', sections(page.read_text(
                encoding='utf-8'))['Exit codes'], flags=re.MULTILINE)
            self.assertEqual([str(int(item)) for item in codes], told)
