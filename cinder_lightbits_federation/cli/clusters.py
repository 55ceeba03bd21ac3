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

"""``cluster list`` and ``cluster show``: how each cluster is doing."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
import dataclasses
import time
from typing import Any

import futurist

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Age
from cinder_lightbits_federation.cli.columns import Names
from cinder_lightbits_federation.cli.columns import Ratio
from cinder_lightbits_federation.cli.columns import Size
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.expiry import expiries
from cinder_lightbits_federation.expiry import Expiry
from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.settings import BrokenCluster
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.views import Connection
from cinder_lightbits_federation.views import Use

SHORT = ('name', 'uuid', 'admin_state', 'connection', 'reason', 'health',
         'version', 'ratio')
FULL = ('name', 'uuid', 'admin_state', 'connection', 'connection_age',
        'reason', 'health', 'version', 'ratio', 'subsystem_nqn',
        'api_endpoints')

LOST = 'not asked'
# Endpoints of one cluster that are tried at the same time.
TRIED_AT_ONCE = 16


class ClusterList(base.ListCommand):
    """List the clusters of the backend and how they are connected.

    Exit code 3: some cluster could not be asked.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        base.add_long(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Look at all clusters at once."""
        registry = self.session.connect()
        rows = [summary(cluster) for cluster in registry.clusters]
        rows += [_broken(item) for item in registry.broken]
        if base.silent(registry) or registry.broken:
            self.settle_for(Outcome.SILENT)
        columns = FULL if base.in_full(parsed_args) else SHORT
        return columns, [[row.get(column) for column in columns]
                         for row in rows]


class ClusterShow(base.ShowCommand):
    """Show one cluster, each of its API endpoints tried.

    Exit code 3: it could not be asked.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the argument of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('cluster', metavar='NAME',
                            help='Name or UUID of the cluster.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Look at the cluster and at its endpoints."""
        session = self.session
        session.connect()
        cluster = session.cluster(parsed_args.cluster)
        fields = {**summary(cluster), **_details(cluster)}
        if cluster.allows(Use.ASK):
            states = tried(cluster, session.settings.project)
            fields['api_endpoints'] = Names(states)
            if cluster.status.connection is not Connection.CONNECTED:
                self.settle_for(Outcome.SILENT)
        return tuple(fields), tuple(fields.values())


def summary(cluster: Cluster) -> dict[str, Any]:
    """:returns: what is known of a cluster, in columns."""
    view, vitals = cluster.view(0, 0), cluster.vitals
    asked = cluster.allows(Use.ASK)
    return {
        'name': cluster.name, 'uuid': cluster.uuid or '',
        'admin_state': cluster.admin_state.value,
        'connection': view.connection.value if asked else LOST,
        'connection_age': Age(_connection_age(cluster)),
        'reason': view.reason if asked else 'declared lost',
        'health': vitals.health.value if vitals else '',
        'version': _version(cluster), 'ratio': Ratio(view.ratio()),
        'subsystem_nqn': vitals.info.subsystem_nqn if vitals else '',
        'api_endpoints': Names([str(item.endpoint)
                                for item in cluster.client.endpoints()]),
    }


def _broken(item: BrokenCluster) -> dict[str, Any]:
    return {'name': item.name, 'uuid': '', 'admin_state': '',
            'connection': Connection.MISCONFIGURED.value,
            'connection_age': Age(None), 'reason': str(item.problem),
            'health': '', 'version': '', 'ratio': Ratio(None),
            'subsystem_nqn': '', 'api_endpoints': Names(())}


def _details(cluster: Cluster) -> dict[str, Any]:
    view, vitals = cluster.view(0, 0), cluster.vitals
    capacity = view.capacity
    info = vitals.info if vitals else None
    return {
        'expected_uuid': cluster.settings.client.expected_uuid or '',
        'discovery_endpoints': Names(info.discovery_endpoints
                                     if info else ()),
        'nvme_endpoints': Names(info.nvme_endpoints if info else ()),
        'effective': Size(capacity.effective if capacity else None),
        'free_physical': Size(capacity.free_physical if capacity else None),
        'provisioned': Size(capacity.provisioned if capacity else None),
        'capacity_source': capacity.source.value if capacity else '',
        'max_replicas': view.max_replicas,
        'upgrading': view.upgrading,
        'projects': Names(sorted(view.projects or ())),
        'qos_policies': Names(sorted(view.qos_policies or ())),
        'expiries': Names([_ending(item) for item in expiries([cluster])]),
        'failure_domains': Names(sorted(view.failure_domains or ())),
    }


def _ending(item: Expiry) -> str:
    """:returns: what ends when, on a line."""
    when = time.strftime('%Y-%m-%d', time.gmtime(item.ends))
    return (f'{item.kind.value} {item.subject}: {when}, '
            f'{int(item.days_left(time.time()))} days left')


def _version(cluster: Cluster) -> str:
    version = cluster.vitals.version if cluster.vitals else None
    return '.'.join(map(str, version)) if version else ''


def _connection_age(cluster: Cluster) -> float | None:
    """How long ago it was seen to be connected, or found to be down."""
    now = time.monotonic()
    broken = cluster.breaker.state
    if broken is not None:
        return now - broken.since
    return now - cluster.vitals.taken_at if cluster.vitals else None


def tried(cluster: Cluster, project: str) -> list[str]:
    """Ask each API endpoint of a cluster by itself.

    :param project: whose token is used, by its name in Cinder.
    :returns: a line for each: where, how known, and what it said.
    """
    local = cluster.settings.project(project)
    known = cluster.client.endpoints()
    with futurist.ThreadPoolExecutor(max_workers=TRIED_AT_ONCE) as pool:
        futures = [pool.submit(_try, cluster, item.endpoint, local)
                   for item in known]
        states = [future.result() for future in futures]
    return [f'{item.endpoint} ({"seed" if item.seed else "learned"}): '
            f'{state}' for item, state in zip(known, states, strict=True)]


def _try(cluster: Cluster, endpoint: endpoints.Endpoint, project: str
         ) -> str:
    config = dataclasses.replace(
        cluster.settings.client, seeds=(endpoint,), learn_endpoints=False)
    client = lb_client.LightbitsClient(config, cluster.settings.tokens)
    began = time.monotonic()
    try:
        client.cluster_info(project)
    except (lb_errors.LightbitsError, DeadlineExceeded) as exc:
        return f'down, {getattr(exc, "message", exc)}'
    finally:
        client.close()
    return f'up, {(time.monotonic() - began) * 1000:.0f} ms'


def chosen(clusters: Iterable[Cluster], names: Iterable[str]
           ) -> list[Cluster]:
    """:returns: the clusters of some names or UUIDs, all without names."""
    wanted = {form for name in names for form in (name, name.lower())}
    return [cluster for cluster in clusters
            if not wanted or wanted & {cluster.name, cluster.uuid}]
