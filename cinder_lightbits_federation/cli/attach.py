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

"""``cluster attach`` and ``cluster refresh``: the section of a cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
import contextlib
import os
from typing import Any

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli import dropins
from cinder_lightbits_federation.cli import inspection
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.outcome import SilentError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli import recording
from cinder_lightbits_federation.cli.states import prospects
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.jobs import commands
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import transport
from cinder_lightbits_federation.options import CLUSTER_PREFIX
from cinder_lightbits_federation.views import AdminState

COLUMNS = ('check', 'result', 'detail')

# The row that has the section, for programs that read the output.
SECTION, PRINTED, LEFT = 'section', 'printed', 'not written'

# What the command line calls an option of the section.
_FILES = {'ca_file': 'tls_ca_file', 'jwt_file': 'jwt_file',
          'private_key_file': 'private_key_file'}
_PLAIN = {
    'server_name': 'tls_server_name', 'credential_id': 'credential_id',
    'token_scope': 'token_scope', 'admin_state': 'admin_state'}
_LISTS = {'fingerprint': 'tls_fingerprints', 'project_map': 'project_map',
          'endpoint_network': 'endpoint_networks'}


class Undelivered(Exception):
    """The section was wanted in a file, and could not be written."""


class ClusterAttach(base.ListCommand):
    """Check a cluster and write its section, so that the service uses it.

    Exit code 1: nothing was written, since a check has failed or the section
    cannot be; 3: the cluster did not answer.
    """

    need_sort_by_cliff = False
    _section: str | None = None
    _fate = PRINTED

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('name', metavar='NAME',
                            help='What the cluster is to be called.')
        _add_access(parser)
        parser.add_argument(
            '--uuid', metavar='UUID',
            help='The UUID it must have. Default: the one it has.')
        parser.add_argument(
            '--project-map', action='append', default=[],
            metavar='CINDER:CLUSTER',
            help='A project that has another name there; may be repeated.')
        parser.add_argument(
            '--endpoint-network', action='append', default=[],
            metavar='CIDR', help='Network that learned endpoints must be in; '
            'may be repeated.')
        parser.add_argument(
            '--admin-state', choices=[item.value for item in AdminState
                                      if item is not AdminState.LOST],
            help='What the cluster may be used for. Default: enabled.')
        parser.add_argument(
            '--min-nodes', type=base.at_least(1), metavar='N',
            default=inspection.FEWEST_NODES,
            help='How many nodes there must be. Default: %(default)s.')
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            '--print', action='store_true',
            help='Print the section instead of writing it.')
        consent.add_dry_run(group, 'Only check.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Check, then write or print."""
        name = dropins.checked_name(parsed_args.name)
        self._refuse_known(name)
        options = self._options(parsed_args)
        seen = inspection.Inspection(
            self.session.candidate(name, options), self._wanted(parsed_args))
        try:
            with self._job(parsed_args, name, options) as steps:
                seen.told = steps.begin
                seen.run(self.session.deadline())
                seen.judge()
                steps.begin(commands.WRITE)
                self._deliver(parsed_args, name, options, seen.cluster)
        except inspection.Unfit:
            self.say(f'Cluster {name} is not attached; nothing was written.')
            self.settle_for(Outcome.SILENT if seen.unreachable
                            else Outcome.FINDINGS)
        except Undelivered as exc:
            self.say(f'{exc}. Deliver this section to all hosts:')
            self._fate = LEFT
            self.settle_for(Outcome.FINDINGS)
        return COLUMNS, [(item.name, item.result.value, item.detail)
                         for item in seen.checks]

    def produce_output(self, parsed_args: argparse.Namespace,
                       column_names: Sequence[str],
                       data: Iterable[Sequence[Any]]) -> int:
        """Print the checks, or the section if that is what is wanted.

        What a program reads has both, in its own form.
        """
        if self._section is None:
            return super().produce_output(parsed_args, column_names, data)
        if parsed_args.formatter != base.FOR_PEOPLE:
            return super().produce_output(parsed_args, column_names, [
                *data, (SECTION, self._fate, self._section)])
        for check, result, detail in data:
            self.say(f'{check}: {result}{", " if detail else ""}{detail}')
        self.app.stdout.write(self._section)
        return 0

    def _job(self, given: argparse.Namespace, name: str,
             options: dict[str, str]
             ) -> contextlib.AbstractContextManager[recording.Steps]:
        total = inspection.CHECKS + 1
        if given.dry_run or given.print:
            return recording.shown(self, total)
        return recording.recorded(self, commands.ATTACH, name, {
            'api_endpoints': options['api_endpoints']}, total)

    def _refuse_known(self, name: str) -> None:
        session = self.session
        if name in session.sections.names():
            where = dropins.holders(name, session.files, session.dirs)
            raise UsageError(f'there is a cluster {name} already, in '
                             f'{", ".join(where)}')

    def _options(self, given: argparse.Namespace) -> dict[str, str]:
        options = {'api_endpoints': ', '.join(_listed(given.endpoints))}
        if given.uuid:
            options['cluster_uuid'] = given.uuid
        options['backends'] = self.session.backend
        for argument, option in _FILES.items():
            path = getattr(given, argument)
            if path:
                # Services run in folders of their own.
                options[option] = os.path.abspath(path)
        for argument, option in _PLAIN.items():
            value = getattr(given, argument)
            if value:
                options[option] = value
        for argument, option in _LISTS.items():
            values = _listed(getattr(given, argument))
            if values:
                options[option] = ', '.join(values)
        return options

    def _wanted(self, given: argparse.Namespace) -> inspection.Wanted:
        session = self.session
        registry = session.registry
        if any(cluster.uuid is None for cluster in registry.clusters):
            session.connect()
        return inspection.Wanted(
            attached={cluster.uuid: cluster.name
                      for cluster in registry.clusters
                      if cluster.uuid is not None},
            unknown=[cluster.name for cluster in registry.clusters
                     if cluster.uuid is None],
            project=session.settings.project,
            replicas=session.settings.default_replicas,
            nodes=given.min_nodes)

    def _deliver(self, given: argparse.Namespace, name: str,
                 options: dict[str, str], cluster: Cluster) -> None:
        """Write the section, or have it printed.

        :raises Undelivered: it was to be written, and cannot be.
        """
        learned = {**options, 'cluster_uuid': str(cluster.uuid),
                   'api_endpoints': ', '.join(
                       str(item.endpoint)
                       for item in cluster.client.endpoints())}
        if given.dry_run:
            self.say(f'Cluster {name} can be attached.')
            return
        session = self.session
        listed = session.sections.listed(session.backend)
        obstacle = session.drop_ins.obstacle()
        if not given.print and listed is None and obstacle is None:
            path = session.drop_ins.write(name, learned)
            self.say(f'Written: {path}. Services on this host use the '
                     f'cluster within seconds; deliver the file to the '
                     f'others. {prospects(session, name, str(cluster.uuid))}')
            return
        self._section = dropins.render(name, learned)
        if listed is not None:
            self.say(f'In [{session.backend}] set: lightbits_clusters = '
                     f'{", ".join([*listed, name])}')
        if not given.print:
            raise Undelivered('Nothing was written: '
                              + (obstacle or 'lightbits_clusters is set'))


def _add_access(parser: argparse.ArgumentParser) -> None:
    """Add how to reach a cluster, and by what right."""
    parser.add_argument(
        '--endpoints', action='append', required=True,
        metavar='HOST[:PORT],...', help='API endpoints; one is enough.')
    parser.add_argument('--ca-file', metavar='FILE',
                        help='CA certificate of the cluster (PEM).')
    parser.add_argument('--server-name', metavar='NAME',
                        help='Name in its certificate, for the one it comes '
                             'with api.service.')
    parser.add_argument('--fingerprint', action='append', default=[],
                        metavar='SHA256',
                        help='Fingerprint of its certificate; may be '
                             'repeated.')
    parser.add_argument('--jwt-file', metavar='FILE',
                        help='File with a token.')
    parser.add_argument('--private-key-file', metavar='FILE',
                        help='Key that signs tokens, with --credential-id.')
    parser.add_argument('--credential-id', metavar='ID',
                        help='What the cluster knows the key by.')
    parser.add_argument('--token-scope', choices=['project', 'system'],
                        help='Where the key was uploaded. Default: project.')


def _listed(values: Iterable[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(',')
            if part.strip()]


class ClusterRefresh(base.ListCommand):
    """Bring the section of a cluster to what the cluster is now.

    Puts in its UUID, if it is missing, and the API endpoints that it lists.
    The service learns endpoints by itself; this is for a section that was
    delivered long ago. Exit code 3: the cluster could not be asked.
    """

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('cluster', metavar='NAME',
                            help='Name or UUID of the cluster.')
        consent.add_dry_run(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Compare the section with the cluster, and write it."""
        session = self.session
        session.connect()
        cluster = session.cluster(parsed_args.cluster)
        if base.is_silent(cluster) or cluster.vitals is None:
            raise SilentError(f'cluster {cluster.name} could not be asked: '
                              f'{cluster.status.reason or "declared lost"}')
        changes = self._changes(cluster)
        if not parsed_args.dry_run and changes:
            self._write(cluster.name, changes)
        elif not changes:
            self.say(f'The section of {cluster.name} is up to date.')
        return ('option', 'before', 'now'), [
            (option, before, now)
            for option, (before, now) in changes.items()]

    def _changes(self, cluster: Cluster) -> dict[str, tuple[str, str]]:
        seeds = cluster.settings.client.seeds
        found = {
            'cluster_uuid': (cluster.settings.client.expected_uuid or '',
                             str(cluster.uuid)),
            'api_endpoints': (_joined(seeds),
                              _joined(_current(cluster)))}
        return {option: pair for option, pair in found.items()
                if pair[0] != pair[1]}

    def _write(self, name: str, changes: dict[str, tuple[str, str]]) -> None:
        session = self.session
        options = session.drop_ins.read(name)
        if options is None or session.drop_ins.obstacle() is not None:
            where = dropins.holders(name, session.files, session.dirs)
            lines = '; '.join(f'{option} = {now}' for option, (_before, now)
                              in changes.items())
            self.say(f'Not written by this command, so to be changed by '
                     f'hand: {", ".join(where)}: in '
                     f'[{CLUSTER_PREFIX}{name}] {lines}')
            return
        path = session.drop_ins.write(name, {
            **options, **{option: now for option, (_before, now)
                          in changes.items()}})
        self.say(f'Written: {path}')


def _joined(found: Iterable[endpoints.Endpoint]) -> str:
    return ', '.join(map(str, found))


def _current(cluster: Cluster) -> list[endpoints.Endpoint]:
    """The endpoints there are, those of the section in their order.

    Names are kept, and so are addresses that are not the cluster's own but
    answer: a virtual address is in no list of endpoints.
    """
    config = cluster.settings.client
    if not config.learn_endpoints or cluster.vitals is None:
        return list(config.seeds)
    own = set(transport.parsed(cluster.vitals.info.api_endpoints))
    known = cluster.client.endpoints()
    return [item.endpoint for item in known
            if not item.seed or item.endpoint in own
            or item.endpoint.address is None or item.current]
