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

"""What all commands have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
import math
import re
from typing import Any, Protocol, TextIO

from cliff.formatters import base as formatters
from cliff import lister
from cliff import show
from oslo_config import cfg
from oslo_db import exception as db_exception
import stevedore
from stevedore import extension

from cinder_lightbits_federation.cli import formats
from cinder_lightbits_federation.cli.outcome import CommandError
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli import roles
from cinder_lightbits_federation.cli.session import Session
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation import spec
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.views import Connection
from cinder_lightbits_federation.views import Use

# What a program reads it gets in full; people get what fits a line.
FOR_PEOPLE = 'table'

Table = tuple[Sequence[str], Iterable[Sequence[Any]]]
Fields = tuple[Sequence[str], Sequence[Any]]

# What to end with when this comes up from below. The first that fits.
OUTCOMES: tuple[tuple[type[Exception], Outcome], ...] = (
    (errors.InvalidConfiguration, Outcome.USAGE),
    (cfg.Error, Outcome.USAGE),
    (spec.InvalidSpec, Outcome.USAGE),
    (errors.ClusterUnavailable, Outcome.SILENT),
    (errors.FederationError, Outcome.FAILED),
    (lb_errors.NotSent, Outcome.SILENT),
    (lb_errors.Ambiguous, Outcome.SILENT),
    (DeadlineExceeded, Outcome.SILENT),
    (lb_errors.LightbitsError, Outcome.FAILED),
    (db_exception.DBError, Outcome.FAILED),
)
# Where stevedore would have found it.
_ENTRY = metadata.EntryPoint(
    'csv', f'{formats.__name__}:{formats.CsvOne.__qualname__}',
    'cliff.formatter.show')
_KNOWN = tuple(known for known, _outcome in OUTCOMES)


class Application(Protocol):
    """What a command sees of the application."""

    stdout: TextIO
    stderr: TextIO
    given: str

    @property
    def session(self) -> Session:
        """:raises UsageError: the configuration cannot be read."""


class CommandMixin:
    """Ends with an outcome; errors become one line and an exit code.

    :ivar outcome: what the command ends with, if nothing goes wrong.
    """

    app: Any
    outcome = Outcome.CLEAN

    def get_epilog(self) -> str:
        """:returns: what the command needs, for the end of its help."""
        return roles.of(str(getattr(self, 'cmd_name', '') or ''))

    @property
    def session(self) -> Session:
        """What the command works with."""
        application: Application = self.app
        return application.session

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Carry the command out.

        :returns: the exit code, one of `Outcome`.
        """
        try:
            super().run(parsed_args)  # type: ignore[misc]
        except CommandError as exc:
            return self._failed(exc, exc.outcome)
        except _KNOWN as exc:
            return self._failed(exc, next(
                outcome for known, outcome in OUTCOMES
                if isinstance(exc, known)))
        return int(self.outcome)

    def say(self, text: str) -> None:
        """Tell the operator something that is not the result."""
        self.app.stderr.write(f'{text}\n')

    def settle_for(self, outcome: Outcome) -> None:
        """End with this, unless it is worse already."""
        self.outcome = max(self.outcome, outcome)

    def tell_silent(self, registry: Registry, told: dict[str, str]) -> None:
        """Say which clusters did not answer; the result is incomplete.

        :param told: why, by name.
        """
        reasons = dict(told)
        for item in registry.broken:
            reasons.setdefault(item.name, str(item.problem))
        for name, why in sorted(reasons.items()):
            self.say(f'Cluster {name} could not be asked: {why}')
        if reasons:
            self.settle_for(Outcome.SILENT)

    def _failed(self, exc: Exception, outcome: Outcome) -> int:
        # A database says with an error what it was asked; one line is enough.
        self.say(str(exc).partition('\n')[0] or type(exc).__name__)
        return int(outcome)


class ListCommand(CommandMixin, lister.Lister):
    """A command that prints a table."""

    need_sort_by_cliff = True


class ShowCommand(CommandMixin, show.ShowOne):
    """A command that prints one thing."""

    def _load_formatter_plugins(
            self) -> stevedore.ExtensionManager[formatters.SingleFormatter]:
        """Have CSV, too, which cliff has for lists alone."""
        found = [*super()._load_formatter_plugins()]
        return stevedore.ExtensionManager.make_test_instance([
            *found, extension.Extension(
                'csv', _ENTRY, formats.CsvOne, formats.CsvOne())])


def in_full(parsed_args: argparse.Namespace) -> bool:
    """Whether all columns are wanted."""
    return (parsed_args.formatter != FOR_PEOPLE
            or bool(getattr(parsed_args, 'long', False)))


def add_long(parser: argparse.ArgumentParser) -> None:
    """Have a command that shows fewer columns to people."""
    parser.add_argument('--long', action='store_true',
                        help='Show all columns in a table, too.')


def silent(registry: Registry) -> dict[str, str]:
    """:returns: the clusters that were asked in vain, and why."""
    return {cluster.name: cluster.status.reason or 'no answer in time'
            for cluster in registry.clusters if is_silent(cluster)}


def is_silent(cluster: Cluster) -> bool:
    """Whether a cluster was asked in vain."""
    return (cluster.allows(Use.ASK)
            and cluster.status.connection is not Connection.CONNECTED)


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody is looking on."""
    return bool(getattr(stream, 'isatty', lambda: False)())


def positive(text: str) -> float:
    """Read a number for an option of the command line."""
    value = not_negative(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f'{text} is not positive')
    return value


def not_negative(text: str) -> float:
    """Read a number, which may be 0, for an option."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is no number') from None
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f'{text} is not positive')
    return value


def at_least(least: int) -> Callable[[str], int]:
    """:returns: what reads a whole number for an option."""
    def read(text: str) -> int:
        if not re.fullmatch(r'[+-]?[0-9]+', text):
            raise argparse.ArgumentTypeError(f'{text!r} is no whole number')
        if int(text) < least:
            raise argparse.ArgumentTypeError(f'{text} is less than {least}')
        return int(text)

    return read
