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

"""``audit --repair``: put right what the labels prove to be ours."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import datetime
from typing import Any

from cinder_lightbits_federation.audit.amend import AmendableDatabase
from cinder_lightbits_federation.audit.changes import Plan
from cinder_lightbits_federation.audit.changes import plan
from cinder_lightbits_federation.audit.collect import Report
from cinder_lightbits_federation.audit.journal import Journal
from cinder_lightbits_federation.audit.repairer import Repairer
from cinder_lightbits_federation.audit.scene import Scene
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.progress import over
from cinder_lightbits_federation.cli import reporting
from cinder_lightbits_federation.cli.session import Session


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the repairing half."""
    parser.add_argument(
        '--repair', action='store_true',
        help='Put records, access and left-over intermediate snapshots '
             'right that labels prove to be ours. Volumes and snapshots of '
             'users are never deleted.')
    parser.add_argument(
        '--expel-connected', action='store_true',
        help='With --repair: take access also from hosts that are connected '
             'to a volume without an attachment.')
    consent.add_options(parser)


class Repairs:
    """The repairs of one run of the command."""

    def __init__(self, command: base.CommandMixin,
                 parsed_args: argparse.Namespace) -> None:
        self._command = command
        self._session: Session = command.session
        self._args = parsed_args
        self._journal = consent.journal(parsed_args)

    def run(self, report: Report) -> tuple[list[list[Any]], bool]:
        """Repair what can be repaired.

        :returns: rows, and whether anything was changed.
        """
        todo = plan(report.findings, report.silent)
        if not self._agreed(todo):
            return [], False
        repairer = self.repairer(self._journal)
        done = [(task, repairer.repair(task)) for task in over(
            self._command.app.stderr, todo.tasks, 'repairs')]
        reporting.conclude(self._command, done)
        return (reporting.rows(self.columns, done, todo.others),
                reporting.any_done(done))

    @property
    def columns(self) -> Sequence[str]:
        """The columns of the rows."""
        return reporting.columns(self._args)

    def _agreed(self, todo: Plan) -> bool:
        if self._journal is None or not todo.tasks:
            return True
        trial = self.repairer(None)
        for task in todo.tasks:
            self._command.say(reporting.line(
                task, trial.repair(task)))
        if consent.ask(self._command, self._args,
                       f'Carry these {len(todo.tasks)} repairs out'):
            return True
        self._command.say('Nothing was changed.')
        return False

    def repairer(self, journal: Journal | None) -> Repairer:
        """:param journal: None for a trial run."""
        session = self._session
        ledger = AmendableDatabase(
            session.host, session.cluster_name,
            session.settings.data_networks, session.settings.use_ip_acl)
        scene = Scene({}, session.owner,
                      datetime.datetime.now(datetime.UTC), self._args.grace)
        return Repairer(session.registry, ledger, scene, journal,
                        session.deadline().remaining(),
                        self._args.expel_connected)
