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

"""``job``: what is being done that outlives a process."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Age
from cinder_lightbits_federation.cli.columns import Ratio
from cinder_lightbits_federation.cli.columns import Time
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.copy.wanted import FREE_CLONE
from cinder_lightbits_federation.copy.wanted import THICK_CLONE
from cinder_lightbits_federation.drain.work import DRAIN
from cinder_lightbits_federation.drain.work import REBALANCE
from cinder_lightbits_federation.goldencopies import MASTER_COPY
from cinder_lightbits_federation.jobs import commands
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.jobs.model import remaining_seconds

SHORT = ('id', 'kind', 'subject', 'state', 'progress', 'remaining', 'host',
         'created')
FULL = (*SHORT[:5], 'done', 'total', *SHORT[5:], 'started', 'ended',
        'silent', 'error')

PAGE = 100
# What services go on with by themselves.
OF_SERVICES = frozenset(
    {DRAIN, REBALANCE, THICK_CLONE, FREE_CLONE, MASTER_COPY})
# What these have done stays, however they end: nothing is to be taken back.
KEEPING = frozenset({DRAIN, REBALANCE}) | commands.KINDS


class JobList(base.ListCommand):
    """List the jobs of the backend, the newest first."""

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--state', action='append', default=[],
            choices=[state.value for state in JobState],
            help='Only jobs in this state; may be repeated.')
        parser.add_argument('--kind', metavar='KIND',
                            help='Only jobs of this kind.')
        parser.add_argument(
            '--limit', type=base.at_least(0), default=PAGE, metavar='N',
            help='How many at most, 0 for all. Default: %(default)s.')
        parser.add_argument('--marker', metavar='ID',
                            help='List those after this one.')
        base.add_long(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Read a page of the jobs."""
        limit = parsed_args.limit
        found = self.session.shared.book.all(
            [JobState(name) for name in parsed_args.state],
            parsed_args.kind, limit + 1 if limit else None,
            parsed_args.marker)
        page = found[:limit] if limit else found
        if len(found) > len(page):
            self.say(f'There are more: --marker {page[-1].id}')
        columns = FULL if base.in_full(parsed_args) else SHORT
        rows = [fields_of(job) for job in page]
        return columns, [[row[column] for column in columns]
                         for row in rows]


class _OneJob(base.ShowCommand):

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the argument of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('job', metavar='ID', help='ID of the job.')
        return parser

    @staticmethod
    def shown(job: Job) -> base.Fields:
        """:returns: all that is known of a job."""
        fields = {**fields_of(job),
                  'parameters': json.dumps(job.parameters, indent=1),
                  'checkpoint': json.dumps(job.checkpoint, indent=1)}
        return tuple(fields), tuple(fields.values())


class JobShow(_OneJob):
    """Show one job, with what was asked for and how far it is."""

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Read the job."""
        return self.shown(self.session.shared.book.get(parsed_args.job))


class JobCancel(_OneJob):
    """Ask for the end of a job; what it was making is taken back.

    A job that no service has begun ends at once. So does one that has failed
    and left nothing of what it was making: it is dismissed, and no alert
    tells of it any more.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        consent.add_asking(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Ask, and note the wish."""
        book = self.session.shared.book
        job = book.get(parsed_args.job)
        over = job.state is JobState.FAILED and not _has_left(job)
        if parsed_args.dry_run or not consent.ask(
                self, parsed_args, f'{"Dismiss failed" if over else "End"} '
                f'job {job.id} ({job.kind} of {job.subject})'):
            self.say('Nothing was changed.')
            return self.shown(job)
        return self.shown(book.dismiss(job.id) if over
                          else book.cancel(job.id))


class JobResume(_OneJob):
    """Have a failed job gone on with, from where it stopped.

    One of a command, or of a volume that Cinder has asked for, cannot be:
    give the command, or ask Cinder, again.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the option of this command."""
        parser = super().get_parser(prog_name)
        consent.add_dry_run(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Queue the job again."""
        book = self.session.shared.book
        job = book.get(parsed_args.job)
        if job.kind not in OF_SERVICES:
            given = job.parameters.get(commands.COMMAND)
            raise FailedError(
                f'job {job.id} ({job.kind} of {job.subject}) was done by '
                f'whoever asked for it and would be done by nobody now: ask '
                f'for it again, as you did before'
                f'{f" ({given})" if given else ""}; "job cancel" takes back '
                f'what an unfinished one has made')
        if parsed_args.dry_run:
            return self.shown(job)
        return self.shown(book.resume(parsed_args.job))


def _has_left(job: Job) -> bool:
    """Whether a failed job has left something that can be taken back."""
    # A copy that was taken back has no checkpoint any more.
    return job.kind not in KEEPING and bool(job.checkpoint)


def fields_of(job: Job) -> dict[str, Any]:
    """:returns: what is known of a job, in columns."""
    return {
        'id': job.id, 'kind': job.kind, 'subject': job.subject,
        'state': job.state.value, 'progress': Ratio(job.share),
        'done': job.done, 'total': job.total,
        'remaining': Age(_remaining(job)), 'host': job.host,
        'created': Time(job.created), 'started': Time(job.started),
        'ended': Time(job.ended), 'silent': Age(job.silent),
        'error': job.error}


def _remaining(job: Job) -> float | None:
    if job.state is not JobState.RUNNING or job.started is None:
        return None
    return remaining_seconds(job.done, job.total, 0,
                             time.time() - job.started)
