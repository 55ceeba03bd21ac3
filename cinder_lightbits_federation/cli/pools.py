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

"""``pools check-switch``: may ``lightbits_pools`` be changed?"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from cinder import context as cinder_context
from cinder import objects

from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli.pool_records import PoolRecords
from cinder_lightbits_federation.cli import switching
from cinder_lightbits_federation.cli.switching import Action
from cinder_lightbits_federation.cli.switching import Move
from cinder_lightbits_federation.cli.switching import Pool
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.finder import Finder
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation import records
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation.statistics import FEDERATION_POOL
from cinder_lightbits_federation.timing import DeadlineExceeded

COLUMNS = ('resource', 'id', 'status', 'host', 'new_host', 'action',
           'problem', 'result')

REWRITTEN = 'rewritten'
CHANGED = 'changed meanwhile'


class PoolsCheckSwitch(base.ListCommand):
    """Check that all records name pools that exist.

    Lists what would not be found under another value of lightbits_pools, and
    with --yes rewrites the pool in the records. Exit code 0: every record is
    right (now); 1: some are not.
    """

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--to', choices=[mode.value for mode in PoolMode],
            help='The value of lightbits_pools to check for. Default: the '
                 'configured one.')
        consent.add_deciding(
            parser, 'Rewrite the pool in the records. The volume service of '
            'the backend must be stopped.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Compare the records with the pools there would be."""
        session = self.session
        mode = (PoolMode(parsed_args.to) if parsed_args.to
                else session.settings.pools)
        store = PoolRecords(session.host, session.cluster_name)
        if parsed_args.yes and store.service_is_up():
            raise UsageError(
                f'the volume service of {session.host} is up: stop it '
                f'first. It counts as up for service_down_time seconds '
                f'after its end')
        moves = self._plan(store, mode)
        todo = switching.due(moves)
        results = self._rewrite(store, todo) if parsed_args.yes else {}
        self._conclude(mode, moves, todo, results, parsed_args.yes)
        return COLUMNS, [_row(move, results) for move in todo]

    def _plan(self, store: PoolRecords, mode: PoolMode) -> list[Move]:
        volumes = list(store.volumes())
        books = self.session.database.read()
        busy = {item.id: f'it is {item.status}: wait until that is over'
                for item in books.volumes
                if item.in_flight and not item.temporary}
        if mode is PoolMode.FEDERATION:
            pools = {item.id: Pool(FEDERATION_POOL) for item in volumes}
            return switching.plan(volumes, store.others(), pools, busy,
                                  FEDERATION_POOL)
        names = self._names()
        known = {item.id: self._cluster_pool(item, names)
                 for item in books.volumes}
        gone = Pool(None, 'it was deleted meanwhile')
        return switching.plan(
            volumes, store.others(),
            {item.id: known.get(item.id, gone) for item in volumes}, busy,
            None)

    def _names(self) -> dict[str, str]:
        """:returns: names of the clusters by their UUIDs."""
        registry = self.session.registry
        if any(cluster.uuid is None for cluster in registry.clusters):
            self.session.connect()
        return {cluster.uuid: cluster.name for cluster in registry.clusters
                if cluster.uuid is not None}

    def _cluster_pool(self, record: VolumeRecord, names: Mapping[str, str]
                      ) -> Pool:
        """The pool of the cluster that a volume is on."""
        place = record.location
        if place is not None:
            name = names.get(place.cluster_uuid)
            return Pool(name) if name else Pool(
                None, f'it is on cluster {place.cluster_uuid}, which is not '
                f'known or could not be asked')
        if record.in_error:
            # It never came to be anywhere; whatever pool it names will do.
            return Pool(switching.pool_of(record.host))
        return self._searched(record)

    def _searched(self, record: VolumeRecord) -> Pool:
        """A volume of the in-tree driver: nobody has recorded its place."""
        session = self.session
        volume = objects.Volume.get_by_id(
            cinder_context.get_admin_context(), record.id)
        ref = records.volume_ref(volume, session.settings.project)
        try:
            found = Finder(session.registry, session.owner).volume(
                ref, session.deadline())
        except (errors.FederationError, lb_errors.LightbitsError,
                DeadlineExceeded) as exc:
            return Pool(None, str(exc))
        return Pool(found.cluster.name)

    def _rewrite(self, store: PoolRecords, todo: Sequence[Move]
                 ) -> dict[Move, str]:
        """Rewrite all or, while any record is blocked, none.

        :returns: what became of the records.
        """
        blocked = sum(move.action is Action.BLOCKED for move in todo)
        if blocked:
            self.say(f'Nothing is rewritten: {blocked} records are blocked.')
            return {}
        return {move: REWRITTEN if store.rewrite(move) else CHANGED
                for move in todo if move.action is Action.REWRITE}

    def _conclude(self, mode: PoolMode, moves: Sequence[Move],
                  todo: Sequence[Move], results: Mapping[Move, str],
                  yes: bool) -> None:
        rewrites = [move for move in todo if move.action is Action.REWRITE]
        blocked = sum(move.action is Action.BLOCKED for move in todo)
        done = sum(result == REWRITTEN for result in results.values())
        self.say(f'lightbits_pools = {mode.value}: {len(moves) - len(todo)} '
                 f'records are right, {len(rewrites)} have to be rewritten, '
                 f'{blocked} are blocked, {done} were rewritten.')
        if blocked or done < len(rewrites):
            self.settle_for(Outcome.FINDINGS)
        if rewrites and not yes:
            self.say('Stop the volume service, set the option, and run this '
                     'with --yes before it starts again.')
            for line in switching.commands(moves):
                self.say(f'For volumes alone the same is: {line}')


def _row(move: Move, results: Mapping[Move, str]) -> list[Any]:
    tenant = move.tenant
    return [tenant.resource, tenant.id, tenant.status, tenant.home.host,
            move.wanted.host if move.wanted else '', move.action.value,
            move.problem, results.get(move, '')]
