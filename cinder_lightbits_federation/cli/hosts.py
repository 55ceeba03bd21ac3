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

"""``host acl refresh``: after a host has got other addresses."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import json
from typing import Any

from cinder import context as cinder_context
from cinder import objects

from cinder_lightbits_federation.access import InvalidHost
from cinder_lightbits_federation.access import select_addresses
from cinder_lightbits_federation.audit.amend import amend_row
from cinder_lightbits_federation.audit.changes import Done
from cinder_lightbits_federation.audit.changes import Task
from cinder_lightbits_federation.audit.clerk import Clerk
from cinder_lightbits_federation.audit.exports import ATTACHMENTS
from cinder_lightbits_federation.audit.journal import Journal
from cinder_lightbits_federation.audit.rehost import Host
from cinder_lightbits_federation.audit.rehost import Rehoster
from cinder_lightbits_federation.audit.rehost import Use
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli.progress import over
from cinder_lightbits_federation.cli import reporting
from cinder_lightbits_federation.editor import Editor
from cinder_lightbits_federation.finder import Finder
from cinder_lightbits_federation import records


class HostAclRefresh(base.ListCommand):
    """Let a host in at its new addresses, on all volumes it has attached.

    Attachments in Cinder and IP ACLs on the clusters get the addresses that
    are named; its old ones are taken out. May be run again at any time. Exit
    code 4: some volume could not be brought up to date.
    """

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('host', metavar='HOST',
                            help='Name or NQN, as attachments have it.')
        parser.add_argument(
            '--address', action='append', required=True, metavar='ADDRESS',
            help='An address that the host has now; all of them have to be '
                 'named, as its connector would.')
        base.add_long(parser)
        consent.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Find its volumes, ask, bring them up to date."""
        try:
            host = Host(parsed_args.host,
                        select_addresses(parsed_args.address, ()))
        except InvalidHost as exc:
            raise UsageError(f'--address: {exc.value!r} is malformed'
                             ) from exc
        if not host.addresses:
            raise UsageError('--address: none of them is one that a cluster '
                             'could see')
        journal = consent.journal(parsed_args)
        uses = list(self._uses(host))
        if not uses:
            raise FailedError(f'host {host.name} has no volume of '
                              f'{self.session.host} attached')
        self.session.connect()
        done = self._refreshed(host, uses, None)
        todo = [use for use, (_task, trial) in zip(uses, done, strict=True)
                if trial.change is not None]
        if journal is not None and todo:
            for task, trial in done:
                self.say(reporting.line(task, trial))
            if consent.ask(self, parsed_args,
                           f'Bring {len(todo)} volumes up to date'):
                done = self._refreshed(host, uses, journal)
            else:
                self.say('Nothing was changed.')
                self.settle_for(Outcome.FINDINGS)
        reporting.conclude(self, done)
        columns = reporting.columns(parsed_args)
        return columns, reporting.rows(columns, done, ())

    def _uses(self, host: Host) -> Iterator[Use]:
        """:returns: the volumes that the host has attached, by their ID."""
        project = self.session.settings.project
        found = {row['volume_id'] for row
                 in self._clerk.everything()[ATTACHMENTS]
                 if host.has(json.loads(row['connector'] or '{}'))}
        for volume_id in sorted(found):
            volume = objects.Volume.get_by_id(
                cinder_context.get_admin_context(), volume_id)
            yield Use(volume_id, records.volume_ref(volume, project))

    @property
    def _clerk(self) -> Clerk:
        return Clerk(self.session.host, self.session.cluster_name)

    def _refreshed(self, host: Host, uses: Sequence[Use],
                   journal: Journal | None) -> list[tuple[Task, Done]]:
        session, clerk = self.session, self._clerk

        def attached(volume_id: str) -> Sequence[dict[str, Any]]:
            return [dict(row) for row in clerk.of(ATTACHMENTS, 'volume_id',
                                                  [volume_id])]

        rehoster = Rehoster(
            Editor(Finder(session.registry, session.owner), session.owner),
            session.settings, attached, amend_row, host, journal,
            session.deadline().remaining())
        return [rehoster.refresh(use)
                for use in over(self.app.stderr, uses, 'volumes')]
