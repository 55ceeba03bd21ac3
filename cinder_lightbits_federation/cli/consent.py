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

"""Asking before something is changed, and keeping what was before."""

from __future__ import annotations

import argparse

from cinder_lightbits_federation.audit.journal import Journal
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import UsageError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what all commands understand that keep backups."""
    add_asking(parser)
    parser.add_argument(
        '--backup-dir', metavar='DIR',
        help='Folder for one file per change, with what was before and what '
             'is after it. Needed unless nothing is changed.')


def add_asking(parser: argparse.ArgumentParser) -> None:
    """Declare what all commands understand that ask before a change."""
    group = parser.add_mutually_exclusive_group()
    add_dry_run(group)
    group.add_argument(
        '--yes', action='store_true', help='Do not ask before changing.')


def add_deciding(parser: argparse.ArgumentParser, yes: str) -> None:
    """Declare what all commands understand that need ``--yes`` to change.

    :param yes: what is done then, as a sentence.
    """
    group = parser.add_mutually_exclusive_group()
    add_dry_run(group, 'Change nothing. This is what is done without --yes.')
    group.add_argument('--yes', action='store_true', help=yes)


def add_dry_run(parser: argparse._ActionsContainer,
                text: str = 'Change nothing, tell what would be changed.'
                ) -> None:
    """Declare the trial run, for commands that neither ask nor destroy.

    :param parser: of a command, or a group of it.
    """
    parser.add_argument('--dry-run', action='store_true', help=text)


def journal(parsed_args: argparse.Namespace) -> Journal | None:
    """:returns: where changes are written down, None in a trial run.

    :raises UsageError: it is not said where.
    :raises FailedError: it cannot be written there.
    """
    if parsed_args.dry_run:
        return None
    if not parsed_args.backup_dir:
        raise UsageError('--backup-dir is needed to change something; or '
                         'see what would be changed with --dry-run')
    try:
        return Journal(parsed_args.backup_dir)
    except OSError as exc:
        raise FailedError(f'--backup-dir: {exc}') from exc


def ask(command: base.CommandMixin, parsed_args: argparse.Namespace,
        question: str) -> bool:
    """Ask the operator, unless ``--yes`` has answered already.

    :param question: without the question mark.
    :raises UsageError: nobody is there to answer.
    """
    if parsed_args.yes:
        return True
    stdin = command.app.stdin
    if not base.is_terminal(stdin):
        raise UsageError('nobody is there to ask: use --yes or --dry-run')
    command.app.stderr.write(f'{question}? [y/N] ')
    command.app.stderr.flush()
    return str(stdin.readline()).strip().lower() in ('y', 'yes')
