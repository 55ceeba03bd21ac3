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

"""``cluster set`` and ``cluster status``: states of clusters at run time."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import getpass
from typing import Any

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Age
from cinder_lightbits_federation.cli.columns import Names
from cinder_lightbits_federation.cli.columns import Time
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli.session import Session
from cinder_lightbits_federation.settings import ClusterSettings
from cinder_lightbits_federation.sharing import here
from cinder_lightbits_federation.store.services import Knowledge
from cinder_lightbits_federation.store.states import SetState
from cinder_lightbits_federation.views import AdminState

COLUMNS = ('cluster', 'state', 'configured', 'reason', 'since', 'set_by',
           'known_by', 'differs_on')
SERVICES = ('service', 'age', 'alive', 'clusters')

UNDECLARED = 'not configured here'


class ClusterSet(base.ShowCommand):
    """Set what a cluster may be used for, on all services, at run time.

    It wins over the configuration until it is reset. Running services apply
    it within seconds. It is about the cluster that has the name now: another
    one that gets the name later goes by the configuration.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('cluster', metavar='NAME',
                            help='Name or UUID of the cluster.')
        group = parser.add_mutually_exclusive_group(required=True)
        group.add_argument('--enable', action='store_true',
                           help='It takes new volumes.')
        group.add_argument('--disable', action='store_true',
                           help='No new volumes; all else works.')
        group.add_argument(
            '--drain', action='store_true',
            help='No new volumes; volumes are to be moved away ("drain '
                 'run" moves them).')
        group.add_argument(
            '--lost', metavar='UUID',
            help='The cluster of this UUID will not come back: it is never '
                 'asked, and what may only be there counts as gone.')
        group.add_argument('--reset', action='store_true',
                           help='The configuration counts again.')
        parser.add_argument('--reason', metavar='TEXT', default='',
                            help='Why; needed except with --reset.')
        consent.add_dry_run(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Write the state down."""
        session = self.session
        item = session.declared(parsed_args.cluster)
        states = session.shared.states
        before = states.all().get(item.name)
        uuid = session.uuid_of(item)
        wanted = _wanted(parsed_args, item)
        if wanted is not None and not parsed_args.reason.strip():
            raise UsageError('--reason is needed: others will want to know')
        if not parsed_args.dry_run:
            self._write(item.name, wanted, parsed_args.reason, before, uuid)
        was = (before.state if before and before.about(uuid)
               else item.admin_state)
        becomes = wanted or item.admin_state
        self.say(f'Cluster {item.name}: {becomes.value}, was {was.value}'
                 f'{" (nothing was changed)" if parsed_args.dry_run else ""}'
                 f'.')
        fields = {'cluster': item.name, 'state': becomes.value,
                  'was': was.value, 'configured': item.admin_state.value,
                  'reason': parsed_args.reason}
        return tuple(fields), tuple(fields.values())

    def _write(self, name: str, wanted: AdminState | None, reason: str,
               before: SetState | None, uuid: str) -> None:
        if wanted is not None:
            set_state(self.session, name, wanted, reason.strip(), uuid)
        elif before and not self.session.shared.states.reset(before):
            raise FailedError(f'the state of cluster {name} was changed by '
                              f'somebody else just now; look at it first')


class ClusterStatus(base.ListCommand):
    """Show the states of clusters, who has set them, and who knows them.

    Exit code 1: live services differ in the clusters they know or in the
    states they go by; a cluster that one of them is without gets no new
    volumes.
    """

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('--services', action='store_true',
                            help='List the services instead.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Read what the services share."""
        sight = self.session.shared.look()
        live = [item for item in sight.services if item.alive]
        configured = {item.name: item
                      for item in self.session.configured.clusters}
        names = [*configured, *sorted(_names(live) - configured.keys())]
        rows = [_row(name, configured.get(name), sight.states, live)
                for name in names]
        if not live:
            self.say('No service of the backend is live.')
        if any(row['differs_on'].machine_readable() for row in rows):
            self.settle_for(Outcome.FINDINGS)
        for name in names:
            self._tell_left(configured.get(name), sight.states.get(name))
        for name in sorted(sight.lost - {
                row['cluster'] for row in rows
                if row['state'] == AdminState.LOST.value}):
            self.say(f'Cluster {name} was lost and serves when it has been '
                     f'audited.')
        if parsed_args.services:
            return SERVICES, [_service(item) for item in sight.services]
        return COLUMNS, [[row[column] for column in COLUMNS]
                         for row in rows]

    def _tell_left(self, item: ClusterSettings | None,
                   entry: SetState | None) -> None:
        if item and entry and not entry.about(item.client.expected_uuid):
            self.say(f'{_of_another(item.name, entry)} "cluster set '
                     f'{item.name} --reset" forgets it.')


def prospects(session: Session, name: str, uuid: str) -> str:
    """:returns: what a cluster may expect that gets a name now.

    :param uuid: of the cluster.
    """
    usual = ('It gets volumes when all live services know it ("cluster '
             'status").')
    entry = session.shared.seen.states.get(name)
    if entry is None:
        return usual
    if not entry.about(uuid):
        return f'{_of_another(name, entry)} {usual}'
    if entry.state is AdminState.ENABLED:
        return usual
    return (f'It is {entry.state.value}, as {entry.host} has set it '
            f'({entry.reason}): "cluster set {name} --reset" has the '
            f'configuration count again.')


def _of_another(name: str, entry: SetState) -> str:
    return (f'That a cluster {name} is {entry.state.value} was set for '
            f'{entry.uuid} and is not applied to another.')


def set_state(session: Session, name: str, state: AdminState, reason: str,
              uuid: str) -> None:
    """Set the state of a cluster on all services.

    :param uuid: of the cluster; empty if it is not known.
    :raises FailedError: somebody else has changed it at the same moment.
    """
    states = session.shared.states
    if not states.put(name, state, reason, _who(), states.all().get(name),
                      uuid):
        raise FailedError(f'the state of cluster {name} was changed by '
                          f'somebody else just now; look at it first')


def _wanted(given: argparse.Namespace, item: ClusterSettings
            ) -> AdminState | None:
    """:returns: the state to set; None for that of the configuration."""
    if given.reset:
        return None
    if given.lost is None:
        return (AdminState.ENABLED if given.enable else
                AdminState.DISABLED if given.disable else
                AdminState.DRAINING)
    uuid = item.client.expected_uuid
    if uuid is None:
        raise UsageError(
            f'[{item.section}] cluster_uuid must be set to declare the '
            f'cluster lost: what is only there counts as gone then')
    if given.lost.strip().lower() != uuid:
        raise UsageError(f'the UUID of cluster {item.name} is {uuid}: '
                         f'nothing was changed')
    return AdminState.LOST


def _who() -> str:
    return f'{getpass.getuser()}@{here()}'


def _names(services: list[Knowledge]) -> set[str]:
    return {name for item in services for name in item.clusters}


def _row(name: str, item: ClusterSettings | None,
         states: Mapping[str, SetState], live: list[Knowledge]
         ) -> dict[str, Any]:
    entry = states.get(name)
    if entry and item and not entry.about(item.client.expected_uuid):
        entry = None
    configured = item.admin_state if item else None
    state = entry.state if entry else configured
    return {
        'cluster': name, 'state': state.value if state else '',
        'configured': configured.value if configured else UNDECLARED,
        'reason': entry.reason if entry else '',
        'since': Time(entry.since if entry else None),
        'set_by': entry.host if entry else '',
        'known_by': f'{sum(name in one.clusters for one in live)} of '
                    f'{len(live)}',
        'differs_on': Names(_differing(name, item, state, live))}


def _differing(name: str, item: ClusterSettings | None,
               state: AdminState | None, live: list[Knowledge]) -> list[str]:
    """:returns: the live services that see a cluster otherwise, and how."""
    expected = item.client.expected_uuid if item else None
    uuids = {one.clusters[name].uuid for one in live
             if name in one.clusters} - {''}
    found = []
    for one in live:
        known = one.clusters.get(name)
        if known is None:
            found.append(f'{one.host}: not known')
        elif not known.uuid:
            found.append(f'{one.host}: not reached yet')
        elif known.uuid != expected if expected else len(uuids) > 1:
            found.append(f'{one.host}: is {known.uuid}')
        elif state is not None and known.state != state.value:
            found.append(f'{one.host}: goes by {known.state}')
    return found


def _service(item: Knowledge) -> list[Any]:
    return [item.host, Age(item.age), item.alive, Names(
        [f'{name} {known.uuid or "(not reached)"} {known.state}'
         for name, known in sorted(item.clusters.items())])]
