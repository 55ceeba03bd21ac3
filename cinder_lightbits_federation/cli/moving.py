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

"""``drain`` and ``rebalance``: plans of moves, and carrying them out."""

from __future__ import annotations

import argparse
import threading
from typing import Any

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Age
from cinder_lightbits_federation.cli.columns import Ratio
from cinder_lightbits_federation.cli.columns import Size
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.outcome import SilentError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli import runs
from cinder_lightbits_federation.cli.states import set_state
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.drain import balance
from cinder_lightbits_federation.drain.plan import Plan
from cinder_lightbits_federation.drain import work
from cinder_lightbits_federation.sizes import GIB
from cinder_lightbits_federation.sizes import MIB
from cinder_lightbits_federation.views import AdminState
from cinder_lightbits_federation.views import Connection
from cinder_lightbits_federation.views import Use

COLUMNS = ('volume', 'size', 'attached', 'action', 'target', 'reason')
SHIFTS = ('volume', 'size', 'attached', 'source', 'target')

MOVE, UNDER_WAY, STAYS = 'move', 'under way', 'stays'

# What one copy moves in a second unless that is configured otherwise.
RATE = 200
AT_ONCE = 2
TOLERANCE = 5.0


class _Moving(base.ListCommand):
    """What plans and runs have in common."""

    need_sort_by_cliff = False

    def works(self) -> work.Works:
        """Look at all clusters.

        :returns: plans over them.
        """
        session = self.session
        self.tell_silent(session.connect(), base.silent(session.registry))
        return runs.works_of(session)


def add_pace(parser: argparse.ArgumentParser) -> None:
    """Have a command that says how many copies run, and how fast."""
    parser.add_argument(
        '--at-once', type=int, default=AT_ONCE, metavar='N',
        help='Volumes that are moved side by side. Default: %(default)s.')
    parser.add_argument(
        '--rate', type=int, default=None, metavar='MIB',
        help='MiB per second on average that moves are begun at. Default: '
             'the next one begins when one has ended.')


def add_run(parser: argparse.ArgumentParser) -> None:
    """Have a command that moves volumes or leaves that to the service."""
    add_pace(parser)
    group = parser.add_mutually_exclusive_group()
    consent.add_dry_run(group, 'Move nothing, show the plan.')
    group.add_argument(
        '--detach', action='store_true',
        help='Leave the job to the volume service, which needs '
             'lightbits_os_cloud for that.')


def pace_of(given: argparse.Namespace) -> dict[str, Any]:
    """:returns: the parameters of a job.

    :raises UsageError: they make no sense.
    """
    if given.at_once < 1 or (given.rate is not None and given.rate < 1):
        raise UsageError('--at-once and --rate have to be positive')
    return {'at_once': given.at_once,
            'rate': given.rate and given.rate * MIB}


class _Drain(_Moving):

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the argument of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('cluster', metavar='NAME',
                            help='Name or UUID of the cluster.')
        return parser

    def planned(self, cluster: Cluster, given: argparse.Namespace
                ) -> base.Table:
        """Plan the drain and say what it comes to.

        :raises SilentError: the cluster does not answer.
        """
        if (not cluster.allows(Use.ASK) or cluster.status.connection
                is not Connection.CONNECTED):
            raise SilentError(
                f'cluster {cluster.name} cannot be asked: '
                f'{cluster.status.reason or cluster.admin_state.value}')
        found = runs.works_of(self.session).plan(cluster)
        rate = (given.rate or RATE) * MIB
        seconds = found.seconds(rate, given.at_once)
        self.say(f'{len(found.moves)} volumes with {found.size / GIB:.6g} '
                 f'GiB can be moved, at most '
                 f'{Age(seconds).human_readable()} at {given.rate or RATE} '
                 f'MiB/s for each copy; {len(found.under_way)} are under '
                 f'way, {len(found.blocked)} stay.')
        if found.blocked:
            self.settle_for(Outcome.FINDINGS)
        return COLUMNS, _rows(found)


class DrainPlan(_Drain):
    """Show what can leave a cluster, and what cannot and why.

    Where it would go and how long that takes, too. Changes nothing. Exit
    code 1: something cannot leave.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        add_pace(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Look and plan."""
        pace_of(parsed_args)
        self.works()
        return self.planned(self.session.cluster(parsed_args.cluster),
                            parsed_args)


class DrainRun(_Drain):
    """Move all volumes off a cluster that can be moved.

    The cluster is set to draining. Goes on with a drain that was
    interrupted. Exit code 1: something stays; 4: something could not be
    moved.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('--reason', metavar='TEXT', default='drain run',
                            help='Why; told by "cluster status".')
        add_run(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Set the state, and move or leave it to the service."""
        pace = pace_of(parsed_args)
        self.works()
        session = self.session
        cluster = session.cluster(parsed_args.cluster)
        if parsed_args.dry_run:
            return self.planned(cluster, parsed_args)
        cloud = runs.cloud_of(self, parsed_args.detach)
        if cluster.allows(Use.CREATE):
            set_state(session, cluster.name, AdminState.DRAINING,
                      parsed_args.reason, cluster.uuid or '')
        runs.run(self, work.DRAIN, cluster.name, pace, cloud,
                 threading.Event())
        return self.planned(cluster, parsed_args)


class _Rebalance(_Moving):

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the option of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--tolerance', type=base.not_negative, default=TOLERANCE,
            metavar='PERCENT',
            help='How far above the mean of all a cluster may stay, in '
                 'points of its ratio. Default: %(default)s.')
        return parser

    def planned(self, given: argparse.Namespace) -> base.Table:
        """Plan the moves and say what they come to."""
        found = runs.works_of(self.session).balance(given.tolerance / 100)
        names = {cluster.uuid: cluster.name
                 for cluster in self.session.registry.clusters}
        for uuid, before in found.before.items():
            self.say(f'Cluster {names[uuid]}: '
                     f'{Ratio(before).human_readable()}, then '
                     f'{Ratio(found.after[uuid]).human_readable()}')
        self.say(f'{len(found.shifts)} volumes with {found.size / GIB:.6g} '
                 f'GiB are to be moved.')
        return SHIFTS, [_shift_row(item, names) for item in found.shifts]


class RebalancePlan(_Rebalance):
    """Show which volumes to move so that clusters are evenly full.

    Changes nothing. The ratios count what was promised, replicas included.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Look and plan."""
        self.works()
        return self.planned(parsed_args)


class RebalanceRun(_Rebalance):
    """Move volumes so that clusters are evenly full.

    Shows what a further run would move. Exit code 4: something could not be
    moved.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        add_run(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Move, or leave it to the service."""
        pace = pace_of(parsed_args)
        self.works()
        if not parsed_args.dry_run:
            cloud = runs.cloud_of(self, parsed_args.detach)
            runs.run(self, work.REBALANCE, work.ALL,
                     {**pace, 'tolerance': parsed_args.tolerance / 100},
                     cloud, threading.Event())
        return self.planned(parsed_args)


def _rows(found: Plan) -> list[list[Any]]:
    rows = [[move.resident.id, Size(move.resident.size),
             move.resident.attached, MOVE, move.target, '']
            for move in found.moves]
    rows += [[item.id, Size(item.size), item.attached, UNDER_WAY, '', '']
             for item in found.under_way]
    return rows + [[item.resident.id, Size(item.resident.size),
                    item.resident.attached, STAYS, '',
                    '; '.join(item.reasons)] for item in found.blocked]


def _shift_row(item: balance.Shift, names: dict[str | None, str]
               ) -> list[Any]:
    return [item.resident.id, Size(item.resident.size),
            item.resident.attached, names[item.source], names[item.target]]
