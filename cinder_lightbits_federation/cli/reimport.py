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

"""``audit export`` and ``audit reimport``: records that outlive a database."""

from __future__ import annotations

import argparse
import datetime
from typing import Any

from cinder import context as cinder_context
from cinder import exception as cinder_exception
from cinder.volume import volume_types

from cinder_lightbits_federation.audit.amend import AmendableDatabase
from cinder_lightbits_federation.audit.amend import now
from cinder_lightbits_federation.audit import changes
from cinder_lightbits_federation.audit.changes import Action
from cinder_lightbits_federation.audit.changes import Done
from cinder_lightbits_federation.audit.changes import Task
from cinder_lightbits_federation.audit.clerk import Clerk
from cinder_lightbits_federation.audit.collect import Report
from cinder_lightbits_federation.audit import exports
from cinder_lightbits_federation.audit.exports import Export
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.journal import Journal
from cinder_lightbits_federation.audit import reimporter
from cinder_lightbits_federation.audit.reimporter import Naming
from cinder_lightbits_federation.audit.reimporter import Reimporter
from cinder_lightbits_federation.audit.repairer import Repairer
from cinder_lightbits_federation.audit.restoring import Circumstances
from cinder_lightbits_federation.audit.scene import Scene
from cinder_lightbits_federation.cli import audit
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli.pool_records import PoolRecords
from cinder_lightbits_federation.cli.progress import over
from cinder_lightbits_federation.cli import reporting
from cinder_lightbits_federation.cli.session import CONF
from cinder_lightbits_federation.cli.session import Session
from cinder_lightbits_federation import files
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation.statistics import FEDERATION_POOL

# What of the repairs is done along the way: access has to wait until
# attachments are right.
REPAIRS = frozenset({Action.PLACE, Action.SIZE, Action.NAME})

Work = list[tuple[Task, Reimporter | Repairer]]


class AuditExport(base.ShowCommand):
    """Write all records of the backend to a file, for audit reimport.

    The file is for its owner alone: it names projects, users and hosts.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the argument of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('file', metavar='FILE',
                            help='Replaced as a whole if it is there.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Read all rows, write the file."""
        session = self.session
        tables = Clerk(session.host, session.cluster_name).everything()
        export = Export(datetime.datetime.now(datetime.UTC).isoformat(),
                        session.owner.federation_id,
                        session.cluster_name or session.host, tables)
        try:
            files.write_atomically(parsed_args.file, export.text().encode(),
                                   mode=files.PRIVATE)
        except OSError as exc:
            raise FailedError(f'{parsed_args.file} cannot be written: '
                              f'{exc.strerror}') from exc
        counts = {name: len(rows) for name, rows in tables.items()}
        return (('file', 'time', *counts),
                (parsed_args.file, export.time, *counts.values()))


class AuditReimport(audit.Auditing):
    """Make Cinder's records what the clusters hold.

    For after the database was restored from a backup. Objects without a
    record get one, records without an object are set to error, sizes, places
    and attachments become what the clusters have. Nothing is deleted there.
    Exit codes as of audit; it is made once more at the end.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        self.add_reading(parser)
        parser.add_argument(
            '--export', action='append', default=[], metavar='FILE',
            help='What "audit export" has written; may be repeated, the '
                 'newest that knows a record counts.')
        parser.add_argument(
            '--since', type=_moment, metavar='TIME',
            help='When the backup of the database was made, ISO 8601, UTC '
                 'unless it says otherwise. Objects that were made before '
                 'had no record then, and get none. Default: all get one.')
        parser.add_argument(
            '--project-id', metavar='ID',
            help='Project, in Cinder, of objects of which neither an export '
                 'nor their labels tell it.')
        parser.add_argument('--user-id', metavar='ID',
                            help='Likewise, the user.')
        parser.add_argument(
            '--type', metavar='NAME',
            help='Likewise, the volume type. Default: the default one.')
        base.add_long(parser)
        consent.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Audit, make records, audit again."""
        # Nothing is in flight while no service runs.
        parsed_args.grace = 0.0
        journal = consent.journal(parsed_args)
        session = self.session
        if journal is not None and PoolRecords(
                session.host, session.cluster_name).service_is_up():
            raise UsageError(
                f'the volume service of {session.host} is up: stop it '
                f'first. It counts as up for service_down_time seconds '
                f'after its end')
        maker = _Maker(session, parsed_args)
        report = self.report(parsed_args)
        rows, changed = self._work(maker, report, journal, parsed_args)
        self.conclude(self.report(parsed_args) if changed else report)
        return reporting.columns(parsed_args), rows

    def _work(self, maker: _Maker, report: Report, journal: Journal | None,
              parsed_args: argparse.Namespace
              ) -> tuple[list[list[Any]], bool]:
        work, others = maker.work(report, None)
        done = self._carried_out(work)
        if journal is not None and work:
            for task, trial in done:
                self.say(reporting.line(task, trial))
            if not consent.ask(self, parsed_args, f'Make these {len(work)} '
                               f'changes of records'):
                self.say('Nothing was changed.')
                return [], False
            done = self._carried_out(maker.work(report, journal)[0])
        reporting.conclude(self, done)
        return (reporting.rows(reporting.columns(parsed_args), done, others),
                reporting.any_done(done))

    def _carried_out(self, work: Work) -> list[tuple[Task, Done]]:
        return [(task, worker.carry_out(task)
                 if isinstance(worker, Reimporter) else worker.repair(task))
                for task, worker in over(self.app.stderr, work, 'changes')]


class _Maker:
    """Builds what does the work from the command line.

    :raises UsageError: an option is wrong.
    """

    def __init__(self, session: Session, parsed_args: argparse.Namespace
                 ) -> None:
        self._session = session
        self._args = parsed_args
        self._clerk = Clerk(session.host, session.cluster_name)
        self._records = AmendableDatabase(
            session.host, session.cluster_name,
            session.settings.data_networks, session.settings.use_ip_acl)
        self._exports = exports.latest(
            _read(name, session.owner.federation_id)
            for name in parsed_args.export)
        self._here = self._circumstances()

    def work(self, report: Report, journal: Journal | None
             ) -> tuple[Work, list[Finding]]:
        """:returns: tasks in order with who does them, and what is left.

        :param journal: None for a trial run.
        """
        session = self._session
        patience = session.deadline().remaining()
        making = Reimporter(
            session.registry, self._records, self._clerk, session.owner,
            Naming(lambda key: str(CONF.volume_name_template % key),
                   lambda key: str(CONF.snapshot_name_template % key)),
            self._exports, self._here, journal, patience, self._args.since)
        mending = Repairer(
            session.registry, self._records,
            Scene({}, session.owner, datetime.datetime.now(datetime.UTC),
                  0.0), journal, patience)
        tasks, others = reimporter.plan(report.findings, report.silent)
        repairs = [task for task in changes.plan(
            report.findings, report.silent).tasks if task.action in REPAIRS]
        mended = {item for task in repairs for item in task.findings}
        work: Work = [*((task, making) for task in tasks),
                      *((task, mending) for task in repairs)]
        order = list(Action)
        work.sort(key=lambda entry: order.index(entry[0].action))
        return work, [item for item in others if item not in mended
                      and item.severity.counts]

    def _circumstances(self) -> Circumstances:
        session, given = self._session, self._args
        only = session.settings.pools is PoolMode.FEDERATION
        attachments = [
            *(row for item in reversed(self._exports)
              for row in item.tables.get(exports.ATTACHMENTS, ())),
            *self._clerk.everything()[exports.ATTACHMENTS]]
        return Circumstances(
            now().isoformat(), session.host, session.cluster_name,
            FEDERATION_POOL if only else None,
            CONF.default_availability_zone or CONF.storage_availability_zone,
            _type_id(given.type), given.project_id, given.user_id,
            exports.connectors(attachments))


def _type_id(name: str | None) -> str:
    context = cinder_context.get_admin_context()
    try:
        found = (volume_types.get_by_name_or_id(context, name) if name
                 else volume_types.get_default_volume_type(context))
    except cinder_exception.CinderException as exc:
        raise UsageError(f'--type: {exc}') from exc
    return str(found['id'])


def _read(name: str, owner: str) -> Export:
    try:
        with open(name, encoding='utf-8') as file:
            return Export.parse(file.read(), owner)
    except (OSError, exports.InvalidExport, UnicodeDecodeError) as exc:
        raise UsageError(f'--export {name}: {exc}') from exc


def _moment(text: str) -> datetime.datetime:
    """Read a time; without a zone it is in UTC."""
    try:
        parsed = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a time in ISO 8601') from None
    return (parsed if parsed.tzinfo is not None
            else parsed.replace(tzinfo=datetime.UTC))
