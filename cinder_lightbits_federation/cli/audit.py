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

"""``audit``: compare Cinder's records with all clusters."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

from cinder_lightbits_federation.audit.arrays import Arrays
from cinder_lightbits_federation.audit.checker import GRACE
from cinder_lightbits_federation.audit.collect import Auditor
from cinder_lightbits_federation.audit.collect import Report
from cinder_lightbits_federation.audit.collect import SETTLE
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.cinderdb import wanted_projects
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Age
from cinder_lightbits_federation.cli.columns import Size
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.progress import Tally
from cinder_lightbits_federation.cli import repair

SHORT = ('severity', 'kind', 'cluster', 'object_name', 'cinder_id', 'age',
         'evidence')
FULL = ('severity', 'kind', 'resource', 'cluster', 'cluster_uuid',
        'object_uuid', 'object_name', 'cinder_id', 'owner', 'host', 'age',
        'space', 'evidence', 'advice')

SEVERITIES = [severity.value for severity in Severity]


class Auditing(base.ListCommand):
    """What commands have in common that audit."""

    need_sort_by_cliff = False

    @staticmethod
    def add_reading(parser: argparse.ArgumentParser) -> None:
        """Declare what is read, and how often."""
        parser.add_argument(
            '--all-projects', action='store_true',
            help='Read all projects that clusters tell of, not only those '
                 'that records, volume types and lightbits_project name.')
        parser.add_argument(
            '--second-look', type=base.not_negative, default=SETTLE,
            metavar='SECONDS',
            help='Seconds after which what disagrees is read again; only '
                 'what still disagrees is told. Default: %(default)s.')

    def report(self, parsed_args: argparse.Namespace) -> Report:
        """Audit, and tell the figures."""
        with contextlib.closing(Tally(self.app.stderr)) as tally:
            report = self._auditor(parsed_args, tally).run()
        self._summarise(report)
        return report

    def conclude(self, report: Report) -> None:
        """End with what an audit says."""
        if not report.clean:
            self.settle_for(Outcome.FINDINGS)
        if report.silent:
            self.settle_for(Outcome.SILENT)

    def _auditor(self, parsed_args: argparse.Namespace, tally: Tally
                 ) -> Auditor:
        session = self.session
        projects = {session.settings.project, *wanted_projects()}
        return Auditor(
            Arrays(session.registry, projects, parsed_args.all_projects,
                   tally),
            session.database, session.owner,
            settle=parsed_args.second_look,
            grace=parsed_args.grace)

    def _summarise(self, report: Report) -> None:
        tally = report.tally
        if not tally.volumes:
            self.say(f'Cinder has no volume of {self.session.host}; is '
                     f'--host right?')
        counts = {severity: sum(item.severity is severity
                                for item in report.findings)
                  for severity in Severity}
        self.say(
            f'{tally.volumes} volumes, {tally.snapshots} snapshots and '
            f'{tally.attachments} attachments compared with '
            f'{len(report.asked)} clusters; {tally.foreign_volumes} volumes '
            f'and {tally.foreign_snapshots} snapshots there are not ours')
        self.say(', '.join(f'{severity.value}: {number}'
                           for severity, number in counts.items()))
        if report.silent:
            self.say(f'Incomplete: {", ".join(report.silent)} could not be '
                     f'asked for all')


class Audit(Auditing):
    """Compare Cinder's records with what all clusters hold.

    Changes nothing without --repair. Exit code 0: nothing is wrong (any
    more); 1: there are errors or warnings; 3: some cluster could not be
    asked, so there may be more; 4: a repair has failed.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--severity', choices=SEVERITIES, default=SEVERITIES[-1],
            help='List findings of this severity and worse ones. The exit '
                 'code is about all of them. Default: %(default)s.')
        self.add_reading(parser)
        parser.add_argument(
            '--grace', type=base.not_negative, default=GRACE,
            metavar='SECONDS',
            help='Objects younger than that are in flight. Default: '
                 '%(default)s.')
        base.add_long(parser)
        repair.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Audit, tell the figures, list the findings or the repairs."""
        if parsed_args.repair:
            return self._repair(parsed_args)
        report = self.report(parsed_args)
        self.conclude(report)
        columns = FULL if base.in_full(parsed_args) else SHORT
        worst = SEVERITIES[:SEVERITIES.index(parsed_args.severity) + 1]
        return columns, [
            [_cell(item, column) for column in columns]
            for item in report.findings if item.severity.value in worst]

    def _repair(self, parsed_args: argparse.Namespace) -> base.Table:
        """Audit, repair, and audit again what was changed."""
        repairs = repair.Repairs(self, parsed_args)
        report = self.report(parsed_args)
        rows, changed = repairs.run(report)
        self.conclude(self.report(parsed_args) if changed else report)
        return repairs.columns, rows


def _cell(item: Finding, column: str) -> Any:
    fields = {**item.fields(), 'age': Age(item.age),
              'space': Size(item.space)}
    return fields[column]
