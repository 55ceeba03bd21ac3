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
"""Metrics of the clusters, from what is known of them; no calls here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import time

from prometheus_client import core

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.expiry import expiries
from cinder_lightbits_federation.lightbits import meter
from cinder_lightbits_federation.room import PlacementPolicy
from cinder_lightbits_federation.room import pool_figures
from cinder_lightbits_federation.settings import BrokenCluster
from cinder_lightbits_federation.views import AdminState
from cinder_lightbits_federation.views import ClusterView
from cinder_lightbits_federation.views import Connection

PREFIX = 'lightbits_'

Metrics = Iterator[core.Metric]


def gauge(name: str, text: str, labels: Sequence[str] = ()
          ) -> core.GaugeMetricFamily:
    """:returns: an empty family of ours."""
    return core.GaugeMetricFamily(PREFIX + name, text, labels=labels)


def clusters(known: Sequence[Cluster], broken: Sequence[BrokenCluster]
             ) -> Metrics:
    """State, connection and capacity of each cluster, and its requests."""
    yield _info(known)
    yield _states(known)
    yield _connections(known, broken)
    yield _ages(known)
    yield from _capacities(known)
    yield _requests(known)
    yield _expiries(known)


def backend(views: Sequence[ClusterView], replicas: int,
            policy: PlacementPolicy) -> Metrics:
    """The sums that the scheduler gets.

    :param replicas: the count that the figures are divided by.
    """
    figures = pool_figures(views, replicas, policy)
    room = gauge('backend_bytes', 'Room for data of the clusters that accept '
                 'volumes, at the default replica count.', ['kind'])
    for kind in ('total', 'free', 'provisioned', 'largest'):
        room.add_metric([kind], getattr(figures, kind))
    yield room
    number = gauge('backend_clusters', 'Clusters that accept volumes, and '
                   'those that do not.', ['accepting'])
    accepting = sum(view.accepts_volumes for view in views)
    number.add_metric(['yes'], accepting)
    number.add_metric(['no'], len(views) - accepting)
    yield number


def _info(known: Iterable[Cluster]) -> core.Metric:
    found = core.InfoMetricFamily(
        PREFIX + 'cluster', 'What a cluster is.', labels=['cluster'])
    for cluster in known:
        vitals = cluster.vitals
        version = vitals.version if vitals else None
        found.add_metric([cluster.name], {
            'uuid': cluster.uuid or '',
            'version': '.'.join(map(str, version)) if version else '',
            'subsystem_nqn': vitals.info.subsystem_nqn if vitals else ''})
    return found


def _states(known: Iterable[Cluster]) -> core.Metric:
    found = core.StateSetMetricFamily(
        PREFIX + 'cluster_admin_state', 'What a cluster may be used for.',
        labels=['cluster'])
    for cluster in known:
        found.add_metric([cluster.name], {
            state.value: cluster.admin_state is state
            for state in AdminState})
    return found


def _connections(known: Iterable[Cluster],
                 broken: Iterable[BrokenCluster]) -> core.Metric:
    found = core.StateSetMetricFamily(
        PREFIX + 'cluster_connection', 'How a cluster can be used now.',
        labels=['cluster'])
    told = {cluster.name: cluster.status.connection for cluster in known}
    told.update({item.name: Connection.MISCONFIGURED for item in broken})
    for name, now in told.items():
        found.add_metric([name], {
            state.value: now is state for state in Connection})
    return found


def _ages(known: Iterable[Cluster]) -> core.Metric:
    found = gauge('cluster_sample_age_seconds', 'Age of the last sample of '
                  'a cluster.', ['cluster'])
    now = time.monotonic()
    for cluster in known:
        if cluster.vitals is not None:
            found.add_metric([cluster.name], now - cluster.vitals.taken_at)
    return found


def _capacities(known: Iterable[Cluster]) -> Metrics:
    sizes = gauge('cluster_bytes', 'Room of a cluster, replicas counted.',
                  ['cluster', 'kind'])
    ratio = gauge('cluster_provisioned_ratio', 'Promised of what there is.',
                  ['cluster'])
    healthy = core.StateSetMetricFamily(
        PREFIX + 'cluster_health', 'Health as the cluster tells it.',
        labels=['cluster'])
    upgrading = gauge('cluster_upgrading', 'Whether the software of a '
                      'cluster is being upgraded.', ['cluster'])
    replicas = gauge('cluster_max_replicas', 'Replica count that a cluster '
                     'can serve now.', ['cluster'])
    for cluster in known:
        vitals = cluster.vitals
        if vitals is None:
            continue
        for kind in ('effective', 'free_physical', 'provisioned'):
            size = getattr(vitals.capacity, kind)
            if size is not None:
                sizes.add_metric([cluster.name, kind], size)
        share = vitals.capacity.ratio()
        if share is not None:
            ratio.add_metric([cluster.name], share)
        healthy.add_metric([cluster.name], {
            state.value: vitals.health is state
            for state in type(vitals.health)})
        view = cluster.view(0, 0)
        upgrading.add_metric([cluster.name], view.upgrading)
        replicas.add_metric([cluster.name], view.max_replicas or 0)
    yield from (sizes, ratio, healthy, upgrading, replicas)


def _requests(known: Iterable[Cluster]) -> core.Metric:
    found = core.HistogramMetricFamily(
        PREFIX + 'api_request_seconds', 'Requests of this exporter to a '
        'cluster, by what became of them.', labels=['cluster', 'outcome'])
    for cluster in known:
        for outcome, reading in cluster.client.meter.read().items():
            found.add_metric([cluster.name, outcome], _buckets(reading),
                             sum_value=reading.seconds)
    return found


def _expiries(known: Iterable[Cluster]) -> core.Metric:
    found = gauge('expiry_timestamp_seconds', 'When a certificate, an '
                  'authority, a token or a key ends.',
                  ['cluster', 'kind', 'subject'])
    for item in expiries(known):
        found.add_metric([item.cluster, item.kind.value, item.subject],
                         item.ends)
    return found


def _buckets(reading: meter.Reading) -> list[tuple[str, float]]:
    """:returns: cumulative counts by upper bound."""
    bounds = [*(str(bound) for bound in meter.BOUNDS), '+Inf']
    total = 0
    found: list[tuple[str, float]] = []
    for bound, count in zip(bounds, reading.counts, strict=True):
        total += count
        found.append((bound, total))
    return found
