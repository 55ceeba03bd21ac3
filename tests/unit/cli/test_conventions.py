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

"""What holds for every command, by looking at all of them."""

from __future__ import annotations

import argparse
import io

from cliff import command as cliff_command
from oslotest import base

from cinder_lightbits_federation.cli import main
from cinder_lightbits_federation.cli import roles

#: They print no result.
SAY_ONLY = frozenset({'exporter', 'freeze', 'thaw'})

#: Nothing is changed by these.
READING = frozenset({
    'adopt plan', 'capacity', 'cluster list', 'cluster show',
    'cluster status', 'credential show', 'drain plan', 'exporter',
    'image list', 'image show', 'job list', 'job show', 'placement explain',
    'placement last', 'rebalance plan', 'snapshot list', 'snapshot show',
    'upgrade status', 'volume list', 'volume show'})

#: They write files that were not there, and nothing else.
MAKING = frozenset({'audit export', 'credential create'})

#: What they change can be changed back by the same command or its
#: counterpart, and nothing is gone meanwhile. ``cluster set --lost`` takes
#: the UUID of the cluster instead, ``adopt resume`` was agreed to before.
UNASKED = frozenset({
    'adopt resume', 'cluster attach', 'cluster refresh', 'cluster set',
    'credential rotate', 'drain run', 'freeze', 'job resume',
    'rebalance run', 'thaw'})

FORMATS = {'json', 'yaml', 'table', 'csv'}


class ConventionsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.shell = main.Shell(stdout=io.StringIO(), stderr=io.StringIO())

    def commands(self) -> dict[str, type[cliff_command.Command]]:
        """:returns: all commands that are ours, as cliff knows them."""
        manager = self.shell.command_manager
        found = {}
        for name, _entry in manager:
            kind, _name, rest = manager.find_command(name.split())
            self.assertEqual([], rest)
            if kind.__module__.startswith('cinder_lightbits_federation.'):
                found[name] = kind
        return found

    def parser(self, name: str) -> argparse.ArgumentParser:
        """:returns: the parser of a command."""
        kind = self.commands()[name]
        return kind(self.shell, argparse.Namespace(),
                    cmd_name=name).get_parser(name)

    def actions(self, name: str) -> dict[str, argparse.Action]:
        """:returns: what a command understands, by what it is called."""
        return {option: action for action in self.parser(name)._actions
                for option in action.option_strings or [action.dest]}

    def test_all_of_them_are_looked_at(self) -> None:
        self.assertEqual(set(main.COMMANDS), set(self.commands()))
        self.assertEqual(set(main.COMMANDS), set(roles.NEEDS))
        for names in (SAY_ONLY, READING, MAKING, UNASKED):
            self.assertEqual(set(), names - set(main.COMMANDS))

    def test_formats(self) -> None:
        for name in set(self.commands()) - SAY_ONLY:
            choices = set(self.actions(name)['--format'].choices or ())
            self.assertEqual(set(), FORMATS - choices, name)

    def test_changes_can_be_tried(self) -> None:
        for name in set(self.commands()) - READING - MAKING:
            self.assertIn('--dry-run', self.actions(name), name)

    def test_changes_for_good_are_agreed_to(self) -> None:
        for name in set(self.commands()) - READING - MAKING - UNASKED:
            self.assertIn('--yes', self.actions(name), name)

    def test_who_reads_has_nothing_to_agree_to(self) -> None:
        for name in READING:
            self.assertEqual(
                set(), {'--dry-run', '--yes'} & set(self.actions(name)),
                name)

    def test_clusters_have_names_and_uuids(self) -> None:
        for name in self.commands():
            for option, action in self.actions(name).items():
                if option in ('cluster', '--cluster'):
                    self.assertIn('UUID', action.help or '',
                                  f'{name} {option}')

    def test_bad_numbers_are_refused(self) -> None:
        for name in self.commands():
            for action in self.actions(name).values():
                if action.type not in (None, int, str, str.lower):
                    for bad in ('-1', 'nan', 'inf', 'x'):
                        self.assertRaises(
                            argparse.ArgumentTypeError, action.type, bad)

    def test_every_option_is_explained(self) -> None:
        for name in self.commands():
            for option, action in self.actions(name).items():
                self.assertTrue(action.help, f'{name} {option}')

    def test_every_command_says_what_it_needs(self) -> None:
        for name, kind in self.commands().items():
            found = kind(self.shell, argparse.Namespace(), cmd_name=name)
            self.assertTrue(found.get_description(), name)
            self.assertTrue(found.get_epilog(), name)

    def test_who_writes_to_the_store_says_so(self) -> None:
        for name in ('cluster attach', 'cluster detach', 'cluster set',
                     'drain run', 'rebalance run', 'volume clone',
                     'snapshot clone', 'job cancel', 'job resume', 'freeze',
                     'thaw', 'upgrade finalize'):
            self.assertRegex(roles.NEEDS[name].store, 'writ', name)

    def test_who_reads_the_store_says_so(self) -> None:
        """What a cluster may be used for is there."""
        for name, needs in roles.NEEDS.items():
            if needs.role is not roles.Role.NONE:
                self.assertNotEqual(roles.UNUSED, needs.store, name)
        self.assertEqual(
            {'adopt back', 'adopt resume', 'credential create'},
            {name for name, needs in roles.NEEDS.items()
             if needs.store == roles.UNUSED})
        self.assertIn("the services' own: read.", roles.of('cluster list'))

    def test_times_and_clouds_are_of_all_commands(self) -> None:
        found = {option: action.default
                 for action in self.shell.parser._actions
                 for option in action.option_strings}
        self.assertEqual((60.0, 5.0), (found['--timeout'],
                                       found['--connect-timeout']))
        for option in ('--config-file', '--config-dir', '--os-cloud'):
            self.assertIn(option, found)
