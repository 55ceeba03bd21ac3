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

"""``audit purge``: delete one object that Cinder does not know."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from cinder_lightbits_federation.audit.arrays import projects_on
from cinder_lightbits_federation.audit.changes import Result
from cinder_lightbits_federation.audit.proofs import Thing
from cinder_lightbits_federation.audit.purge import DAY
from cinder_lightbits_federation.audit.purge import DAYS
from cinder_lightbits_federation.audit.purge import Purger
from cinder_lightbits_federation.cinderdb import wanted_projects
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.catalogue import Catalogue
from cinder_lightbits_federation.cli.catalogue import Snapshots
from cinder_lightbits_federation.cli.catalogue import Volumes
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.outcome import SilentError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.spec import is_uuid
from cinder_lightbits_federation.views import Use

COLUMNS = ('result', 'cluster', 'project', 'uuid', 'name', 'created_at',
           'size')


class AuditPurge(base.ShowCommand):
    """Delete one volume or snapshot that no record accounts for.

    It must be marked as this cloud's, be old enough and have no connected
    host; a volume is closed to all hosts before it is deleted. Exit code 4:
    some condition does not hold; all that do not are told.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('uuid', metavar='UUID',
                            help='UUID of the object on its cluster.')
        parser.add_argument(
            '--project', action='append', default=[], metavar='NAME',
            help='Look in this Lightbits project; may be repeated. Default: '
                 'lightbits_project and those that volume types name.')
        parser.add_argument(
            '--older-than', type=base.positive, default=DAYS,
            metavar='DAYS',
            help='How many days old it must be. Default: %(default)g.')
        consent.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Find it, prove it, ask, delete it."""
        journal = consent.journal(parsed_args)
        cluster, thing = self._find(parsed_args)
        session = self.session
        purger = Purger(session.registry, session.database, session.owner,
                        parsed_args.older_than * DAY,
                        session.deadline().remaining())
        done = purger.purge(cluster, thing, None)
        if done.result is Result.PLANNED and journal is not None:
            if consent.ask(self, parsed_args, f'Delete {thing.name} '
                           f'({thing.uuid}) on cluster {cluster.name} for '
                           f'good'):
                done = purger.purge(cluster, thing, journal)
            else:
                self.say('Nothing was changed.')
                self.settle_for(Outcome.FINDINGS)
        if done.result in (Result.DECLINED, Result.FAILED):
            raise FailedError(f'{thing.name} ({thing.uuid}) was not '
                              f'deleted: {done.why}')
        return COLUMNS, (done.result.value, cluster.name, thing.project,
                         thing.uuid, thing.name, thing.created_at,
                         thing.size)

    def _find(self, parsed_args: argparse.Namespace
              ) -> tuple[Cluster, Thing]:
        if not is_uuid(parsed_args.uuid):
            raise UsageError(f'{parsed_args.uuid!r} is not a UUID')
        uuid = parsed_args.uuid.lower()
        silent: dict[str, str] = {}
        found = list(self._everywhere(uuid, parsed_args, silent))
        if len(found) == 1:
            return found[0]
        if silent:
            raise SilentError(f'{uuid} was not found, but not all could be '
                              f'asked: ' + '; '.join(
                                  f'{name}: {why}' for name, why
                                  in sorted(silent.items())))
        raise FailedError(
            f'{uuid} is on several clusters' if found else
            f'{uuid} is on no cluster; what is being deleted does not count')

    def _everywhere(self, uuid: str, parsed_args: argparse.Namespace,
                    silent: dict[str, str]
                    ) -> Iterator[tuple[Cluster, Thing]]:
        registry = self.session.connect()
        projects = set(parsed_args.project) or {
            self.session.settings.project, *wanted_projects()}
        asked = [cluster for cluster in registry.clusters
                 if cluster.allows(Use.ASK)]

        def here(cluster: Cluster) -> set[str]:
            return projects_on(cluster, projects)

        for listing in (
                Catalogue(registry, asked, here, Volumes(),
                          self.session.deadline).by_uuid(uuid),
                Catalogue(registry, asked, here, Snapshots(),
                          self.session.deadline).by_uuid(uuid)):
            silent.update(listing.silent)
            for item in listing.items:
                if not item.thing.state.going:
                    yield item.cluster, item.thing
