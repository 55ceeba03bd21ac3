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

"""``upgrade``, ``freeze`` and ``thaw``: what all services agree upon."""

from __future__ import annotations

import argparse
import getpass

from cinder import context as cinder_context
from cinder import objects
from cliff import command

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Age
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.formats import Formats
from cinder_lightbits_federation.sharing import here

COLUMNS = ('service', 'newest_format', 'age', 'alive')


class UpgradeStatus(base.ListCommand):
    """Show which format is in use, and what each service can write.

    Exit code 1: a newer format than the one in use could be agreed upon, or
    some live service cannot write it yet.
    """

    need_sort_by_cliff = False

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Read what the services share."""
        shared = self.session.shared
        formats = shared.formats
        level = formats.agreed().level
        self.say(f'Format {level} is written; this release knows formats up '
                 f'to {formats.newest}.')
        if level < formats.newest:
            self.settle_for(Outcome.FINDINGS)
            for told in hindrances(formats, self.session.host,
                                   self.session.cluster_name):
                self.say(told)
        mark = shared.freezing.look()
        if mark is not None:
            self.say(f'The backend is frozen, jobs are paused: '
                     f'{mark.reason}')
        return COLUMNS, [[item.host, item.newest, Age(item.age), item.alive]
                         for item in formats.able()]


class UpgradeFinalize(base.ShowCommand):
    """Write the newest format from now on, for good.

    All services have to run a release that knows it; one that does not is
    refused afterwards. Exit code 4: some service does not.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        consent.add_asking(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """See who hinders, ask, agree."""
        formats = self.session.shared.formats
        before = formats.agreed().level
        hindering = hindrances(formats, self.session.host,
                               self.session.cluster_name)
        if before < formats.newest and hindering:
            raise FailedError(f'Nothing was changed: {"; ".join(hindering)}')
        if not parsed_args.dry_run and before < formats.newest:
            if not consent.ask(
                    self, parsed_args, f'Write format {formats.newest}, '
                    f'which releases that know only format {before} cannot '
                    f'read, from now on'):
                self.say('Nothing was changed.')
                self.settle_for(Outcome.FINDINGS)
            elif not formats.finalize(who()):
                raise FailedError('somebody else has changed it, or a '
                                  'service of an older release has come up '
                                  'just now: look at "upgrade status"')
        return (('format', 'was'), (formats.agreed().level, before))


class Freeze(base.CommandMixin, command.Command):
    """Pause jobs and drains on all services of the backend.

    What "cinder freeze-host" has the driver do, and nothing of what that
    does else.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('--reason', metavar='TEXT', default='',
                            help='Why; shown by "upgrade status".')
        consent.add_dry_run(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Note it."""
        if parsed_args.dry_run:
            self.say('Jobs would be paused.')
            return
        reason = parsed_args.reason.strip()
        self.session.shared.freezing.freeze(
            f'{reason} ({who()})' if reason else who())
        self.say('Jobs are paused within seconds.')


class Thaw(base.CommandMixin, command.Command):
    """Let jobs and drains go on."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the option of this command."""
        parser = super().get_parser(prog_name)
        consent.add_dry_run(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Note it."""
        if parsed_args.dry_run:
            self.say('Jobs would go on.')
            return
        self.session.shared.freezing.thaw(who())
        self.say('Jobs go on within seconds.')


def who() -> str:
    """:returns: who runs the command, and where."""
    return f'{getpass.getuser()}@{here()}'


def hindrances(formats: Formats, host: str, cluster: str | None
               ) -> list[str]:
    """:returns: why the newest format cannot be agreed upon."""
    told = [f'service {item.host} knows formats up to {item.newest}'
            for item in formats.hindering()]
    able = {item.host for item in formats.able() if item.alive}
    silent = sorted(
        item.host for item in objects.ServiceList.get_all_by_binary(
            cinder_context.get_admin_context(), 'cinder-volume')
        if item.is_up and item.host not in able
        and (item.host == host or (cluster is not None
                                   and item.cluster_name == cluster)))
    return told + [f'service {name} is up and has not told what it knows'
                   for name in silent]
