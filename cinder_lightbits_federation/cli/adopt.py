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

"""``adopt``: take over the volumes of in-tree LightOS backends."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
import contextlib
import shlex
from typing import Any

from cinder_lightbits_federation.adoption.folder import Folder
from cinder_lightbits_federation.adoption.folder import State
from cinder_lightbits_federation.adoption.folder import UnusableFolder
from cinder_lightbits_federation.adoption.plan import Change
from cinder_lightbits_federation.adoption.plan import Direction
from cinder_lightbits_federation.adoption.plan import Plan
from cinder_lightbits_federation.adoption.plan import Source
from cinder_lightbits_federation.adoption.planner import Planner
from cinder_lightbits_federation.adoption.planner import strangers
from cinder_lightbits_federation.adoption.planner import Target
from cinder_lightbits_federation.adoption import rows
from cinder_lightbits_federation.cli import backends
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli import lightos
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.outcome import SilentError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli.progress import over
from cinder_lightbits_federation.cli.progress import Tally
from cinder_lightbits_federation.lightbits import certificates
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation.statistics import FEDERATION_POOL

COLUMNS = ('resource', 'id', 'name', 'before', 'after', 'result', 'problem')

BLOCKED, TO_DO = 'blocked', 'to do'


class AdoptCommand(base.ListCommand):
    """What the steps of an adoption have in common."""

    need_sort_by_cliff = False

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Carry the step out; see `base.CommandMixin.run`."""
        try:
            return super().run(parsed_args)
        except UnusableFolder as exc:
            self.say(str(exc))
            return int(Outcome.FAILED)

    def refuse_while_up(self, sources: Iterable[Source]) -> None:
        """:raises UsageError: a service of an in-tree backend lives."""
        up = [host for source in sources
              for host in rows.services_up(source.host)]
        if up:
            raise UsageError(
                f'the volume service of {", ".join(sorted(set(up)))} is up: '
                f'stop it first. It counts as up for service_down_time '
                f'seconds after its end')

    def carry_out(self, folder: Folder, plan: Plan, direction: Direction
                  ) -> base.Table:
        """Make every change that is not made yet.

        May be interrupted at any moment, and then be called again.
        """
        folder.note(State(direction, False))
        results = [
            (change, rows.apply(change, direction)) for change in over(
                self.app.stderr, list(plan.ordered(direction)), 'records')]
        if direction is Direction.FORWARD:
            folder.keep_after(
                {'resource': change.resource.value, 'id': change.id,
                 'name': change.name, **(rows.current(change) or {})}
                for change, _result in results)
        bad = [(change, result) for change, result in results
               if result not in (rows.Outcome.DONE, rows.Outcome.ALREADY)]
        left: set[rows.Outcome] = {result for _change, result in bad}
        # What is in use waits for another attempt; what was changed is
        # somebody else's, and no attempt will do.
        folder.note(State(direction, rows.Outcome.BUSY not in left))
        done = sum(result is rows.Outcome.DONE for _change, result in results)
        self.say(f'{done} records rewritten, '
                 f'{len(results) - done - len(bad)} were right already, '
                 f'{len(bad)} were not touched')
        if left & {rows.Outcome.BUSY, rows.Outcome.CHANGED}:
            self.settle_for(Outcome.FINDINGS)
        self._advise(direction, left)
        return COLUMNS, [
            _row(change.resource.value, change.id, change.name,
                 *change.ends(direction), result.value, '')
            for change, result in bad]

    def _advise(self, direction: Direction, left: set[rows.Outcome]) -> None:
        """Say what to do about what was not touched."""
        if rows.Outcome.BUSY in left:
            self.say('When nobody works on what is in use: "adopt resume"')
        if rows.Outcome.CHANGED not in left:
            return
        if direction is Direction.BACK:
            self.say('What was changed meanwhile stays as it is')
        else:
            self.say('What was changed meanwhile is not adopted: "adopt run" '
                     'with another --backup-dir plans it anew, and both can '
                     'be taken back')


class Planning(AdoptCommand):
    """A step that looks at everything first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of planning."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--from', action='append', default=[], dest='sources',
            required=True, metavar='BACKEND=CLUSTER',
            help='A backend of the in-tree driver (its section, or '
                 'HOST@SECTION) and the cluster here that is the same; may '
                 'be repeated.')
        return parser

    def sources(self, given: Sequence[str]) -> list[Source]:
        """:returns: the backends that were named.

        :raises UsageError: one is not of the form, or the cluster is not
            known.
        :raises SilentError: a cluster could not be asked.
        """
        session = self.session
        session.connect()
        service = session.host.partition('@')[0]
        found = []
        for text in given:
            host, equals, name = text.partition('=')
            if not equals or not host or not name:
                raise UsageError(f'--from {text}: not BACKEND=CLUSTER')
            cluster = session.cluster(name)
            if base.is_silent(cluster) or cluster.uuid is None:
                raise SilentError(
                    f'cluster {cluster.name} could not be asked: '
                    f'{cluster.status.reason or "declared lost"}')
            host = host if '@' in host else f'{service}@{host}'
            if host in (session.host, session.cluster_name):
                raise UsageError(f'--from {text}: that is the backend which '
                                 f'is to take over')
            found.append(Source(host, cluster.name, cluster.uuid))
        repeated = [item.host for item in found
                    if [other.host for other in found].count(item.host) > 1]
        if repeated:
            raise UsageError(f'--from: {repeated[0]} is named twice')
        return found

    def plan(self, sources: Sequence[Source]) -> Plan:
        """Look at records and clusters; changes nothing."""
        session = self.session
        section = backends.configuration_of(session.backend)
        names = {}
        for source in sources:
            known = lightos.read(source.backend, source.cluster,
                                 session.files, session.dirs)
            names[source.host] = (known.values['volume_backend_name']
                                  if known else None)
        by_pool = session.settings.pools is PoolMode.CLUSTER
        target = Target(
            session.backend,
            section.safe_get('volume_backend_name') or session.backend,
            session.host, session.cluster_name,
            lambda name: name if by_pool else FEDERATION_POOL)
        clusters = {item.name: item for item in session.registry.clusters}
        with contextlib.closing(Tally(self.app.stderr)) as tally:
            return Planner(target, clusters, tally).plan(sources, names)

    def conclude(self, plan: Plan) -> base.Table:
        """:returns: what is to be done, and what stands against it."""
        for note in plan.notes:
            self.say(f'Note: {note}')
        self.say(f'{len(plan.changes)} records to rewrite, '
                 f'{len(plan.blocked)} blocked')
        if plan.blocked:
            self.settle_for(Outcome.FINDINGS)
        table = [_row(item.resource.value, item.id, item.name, {}, {},
                      BLOCKED, item.problem) for item in plan.blocked]
        table += [_row(item.resource.value, item.id, item.name, item.before,
                       item.after, TO_DO, '') for item in plan.changes]
        return COLUMNS, table


class AdoptPlan(Planning):
    """Show what an adoption would change, or translate the configuration.

    Changes nothing. Exit code 1: something is blocked; 3: a cluster could
    not be asked.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--print-config', action='store_true',
            help='Print the options of the in-tree backends as options of '
                 'this driver instead.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Plan, or translate."""
        if parsed_args.print_config:
            self._print_config(parsed_args.sources)
            return (), []
        return self.conclude(self.plan(self.sources(parsed_args.sources)))

    def produce_output(self, parsed_args: argparse.Namespace,
                       column_names: Sequence[str],
                       data: Iterable[Sequence[Any]]) -> int:
        """Print the table, unless it was the configuration."""
        if parsed_args.print_config:
            return 0
        return super().produce_output(parsed_args, column_names, data)

    def _print_config(self, given: Sequence[str]) -> None:
        session = self.session
        found = []
        for text in given:
            host, _equals, name = text.partition('=')
            section = host.rpartition('@')[2]
            item = lightos.read(section, name or section, session.files,
                                session.dirs)
            if item is None:
                raise UsageError(f'--from {text}: there is no section '
                                 f'[{section}]')
            found.append(item)
        for line in lightos.translated(
                found, session.backend,
                {item.section: self._presented(item) for item in found}):
            self.app.stdout.write(f'{line}\n')

    def _presented(self, item: lightos.InTree) -> list[str]:
        patience = self.session.arguments.connect_timeout
        prints = []
        for endpoint in item.endpoints:
            with contextlib.suppress(lb_errors.Unreachable):
                prints.append(
                    certificates.presented(endpoint, patience).fingerprint)
        return sorted(set(prints))


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--backup-dir', required=True, metavar='DIR',
        help='Folder that keeps the plan, and the rows before and after.')


class AdoptRun(Planning):
    """Adopt volumes, snapshots, groups and types, where they are.

    Without --yes, only plans. The services of the in-tree backends must be
    stopped; instances keep running. Exit code 1: something is blocked, in
    use, or was changed meanwhile; 2: the folder keeps another adoption.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        _add_folder(parser)
        parser.add_argument(
            '--skip-blocked', action='store_true',
            help='Adopt the others although something is blocked.')
        consent.add_deciding(parser, 'Rewrite the records.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Plan, keep the plan, and make the changes."""
        folder = Folder(parsed_args.backup_dir)
        _check_free(folder)
        sources = self.sources(parsed_args.sources)
        plan = self.plan(sources)
        refused = plan.blocked and not parsed_args.skip_blocked
        if not parsed_args.yes or refused:
            if parsed_args.yes:
                self.say('Nothing was changed, because something is blocked.')
            return self.conclude(plan)
        self.refuse_while_up(sources)
        self.conclude(plan)
        folder.begin(plan)
        table = self.carry_out(folder, plan, Direction.FORWARD)
        for source in sources:
            self.say('When nothing is left there: ' + shlex.join([
                'cinder-manage', 'service', 'remove', 'cinder-volume',
                source.host]))
        return table


class AdoptResume(AdoptCommand):
    """Go on with an adoption, or with taking it back, after it stopped.

    Exit code 1: something is in use, or was changed meanwhile.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        _add_folder(parser)
        consent.add_dry_run(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Make the changes that are left."""
        folder = Folder(parsed_args.backup_dir)
        plan, state = folder.plan(), folder.state()
        _check_home(plan, self.session.host)
        if state is None:
            raise FailedError(f'no adoption was begun in {folder.path}')
        if parsed_args.dry_run:
            return COLUMNS, _to_do(
                (item for item in plan.ordered(state.direction)
                 if rows.current(item) == item.ends(state.direction)[0]),
                state.direction)
        self.refuse_while_up(plan.sources)
        return self.carry_out(folder, plan, state.direction)


class AdoptBack(AdoptCommand):
    """Give what was adopted back to the in-tree backends.

    What was deleted or moved to another cluster since is left alone, and so
    are volumes that were made since. Without --yes, only tells. Exit code 1:
    something is in use, or was changed meanwhile.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        _add_folder(parser)
        consent.add_deciding(parser, 'Rewrite the records.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Make the changes in reverse."""
        folder = Folder(parsed_args.backup_dir)
        plan = folder.plan()
        _check_home(plan, self.session.host)
        staying = list(strangers(plan))
        if staying:
            self.say(f'Made since, and staying: {", ".join(staying)}')
        if not parsed_args.yes:
            self.say(f'{len(plan.changes)} records to take back; --yes does '
                     f'it')
            return COLUMNS, _to_do(plan.ordered(Direction.BACK),
                                   Direction.BACK)
        self.refuse_while_up(plan.sources)
        return self.carry_out(folder, plan, Direction.BACK)


def _check_free(folder: Folder) -> None:
    """See that a folder keeps no way back that is still needed.

    :raises UsageError: an adoption in it goes on, or was not taken back.
    """
    state = folder.state()
    if state is None:
        return
    if not state.finished:
        raise UsageError(f'an adoption in {folder.path} has not ended: '
                         f'use "adopt resume"')
    if state.direction is not Direction.BACK:
        raise UsageError(f'{folder.path} keeps an adoption, and the way '
                         f'back: name another folder for another adoption, '
                         f'or take this one back first ("adopt back")')


def _check_home(plan: Plan, host: str) -> None:
    if plan.host != host:
        raise UsageError(f'this adoption is one of {plan.host}, and not of '
                         f'{host}: is --host or --backend right?')


def _to_do(changes: Iterable[Change], direction: Direction
           ) -> list[list[str]]:
    return [_row(item.resource.value, item.id, item.name,
                 *item.ends(direction), TO_DO, '') for item in changes]


def _row(resource: str, row_id: str, name: str, before: Any, after: Any,
         result: str, problem: str) -> list[str]:
    return [resource, row_id, name, _short(before), _short(after), result,
            problem]


def _short(values: Any) -> str:
    """What says where a row belongs: its host, or else all of it."""
    if 'host' in values:
        return str(values['host'])
    return ' '.join(str(text) for text in values.values() if text)
