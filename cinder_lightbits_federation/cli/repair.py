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
from collections.abc import Iterator, Sequence
import datetime
import json
from typing import Any

from cinder_lightbits_federation.audit.amend import AmendableDatabase
from cinder_lightbits_federation.audit.changes import Action
from cinder_lightbits_federation.audit.changes import Change
from cinder_lightbits_federation.audit.changes import Done
from cinder_lightbits_federation.audit.changes import Plan
from cinder_lightbits_federation.audit.changes import plan
from cinder_lightbits_federation.audit.changes import Result
from cinder_lightbits_federation.audit.changes import Task
from cinder_lightbits_federation.audit.collect import Report
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.journal import Journal
from cinder_lightbits_federation.audit.repairer import Repairer
from cinder_lightbits_federation.audit.scene import Scene
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.session import Session

SHORT = ('result', 'action', 'cluster', 'object_name', 'cinder_id', 'change')
FULL = ('result', 'action', 'resource', 'cluster', 'cluster_uuid',
        'object_uuid', 'object_name', 'cinder_id', 'kinds', 'evidence',
        'change', 'before', 'after')
# What is left to a person.
BY_HAND = 'by-hand'


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
        repairer = self._repairer(self._journal)
        return self._told(todo, [(task, repairer.repair(task))
                                 for task in todo.tasks])

    def _agreed(self, todo: Plan) -> bool:
        if self._journal is None or not todo.tasks:
            return True
        trial = self._repairer(None)
        for task in todo.tasks:
            self._command.say(_line(task, trial.repair(task)))
        if consent.ask(self._command, self._args,
                       f'Carry these {len(todo.tasks)} repairs out'):
            return True
        self._command.say('Nothing was changed.')
        return False

    def _repairer(self, journal: Journal | None) -> Repairer:
        session = self._session
        ledger = AmendableDatabase(
            session.host, session.cluster_name,
            session.settings.data_networks, session.settings.use_ip_acl)
        scene = Scene({}, session.owner,
                      datetime.datetime.now(datetime.UTC), self._args.grace)
        return Repairer(session.registry, ledger, scene, journal,
                        session.deadline().remaining(),
                        self._args.expel_connected)

    def _told(self, todo: Plan, done: Sequence[tuple[Task, Done]]
              ) -> tuple[list[list[Any]], bool]:
        columns = self.columns
        rows = [[fields[column] for column in columns]
                for fields in (*_repaired(done), *map(_left, todo.others))]
        results = [item.result for _task, item in done]
        counts = {result: results.count(result) for result in Result}
        self._command.say(', '.join(
            f'{result.value}: {count}' for result, count in counts.items()
            if count) or 'nothing can be repaired')
        if Result.FAILED in results:
            self._command.settle_for(Outcome.FAILED)
        if any(item.change is not None
               and task.action in (Action.SIZE, Action.REIMPORT)
               for task, item in done):
            self._command.say('Sizes in Cinder changed: run "cinder-manage '
                              'quota sync" for the quotas of the projects.')
        return rows, Result.DONE in results

    @property
    def columns(self) -> Sequence[str]:
        """The columns of the rows."""
        return FULL if base.in_full(self._args) else SHORT


def _line(task: Task, trial: Done) -> str:
    finding = task.finding
    return (f'{task.action.value} {finding.resource} '
            f'{finding.cinder_id or finding.object_uuid}: '
            f'{_change(trial.change) or trial}')


def _change(change: Change | None) -> str:
    """What changes, in a line."""
    if change is None:
        return ''
    return '; '.join(f'{key}: {json.dumps(change.before.get(key))} -> '
                     f'{json.dumps(value)}'
                     for key, value in change.after.items())


def _repaired(done: Sequence[tuple[Task, Done]]) -> Iterator[dict[str, Any]]:
    for task, item in done:
        change = item.change
        yield {**_about(task.findings), 'result': str(item),
               'action': task.action.value, 'change': _change(change),
               'before': {} if change is None else {
                   key: change.before.get(key) for key in change.after},
               'after': dict(change.after) if change else {}}


def _left(finding: Finding) -> dict[str, Any]:
    return {**_about((finding,)), 'result': f'{Result.DECLINED.value}: '
            f'{finding.advice}', 'action': BY_HAND, 'change': '',
            'before': {}, 'after': {}}


def _about(findings: Sequence[Finding]) -> dict[str, Any]:
    fields = findings[0].fields()
    return {**fields, 'kinds': [item.kind.value for item in findings],
            'evidence': '; '.join(item.evidence for item in findings)}
