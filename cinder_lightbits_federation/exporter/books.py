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
"""Metrics of Cinder's records, of jobs and of the audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
import dataclasses

from prometheus_client import core
import sqlalchemy as sa

from cinder_lightbits_federation.audit.collect import Report
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.cinderdb import cluster_recorded
from cinder_lightbits_federation.cinderdb import model_of
from cinder_lightbits_federation.cinderdb import of_backend
from cinder_lightbits_federation.cinderdb import reading
from cinder_lightbits_federation.exporter.arrays import gauge
from cinder_lightbits_federation.exporter.arrays import Metrics
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.sizes import GIB
from cinder_lightbits_federation.store import reports as shared_reports
from cinder_lightbits_federation.store.services import Knowledge


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """Volumes or snapshots on one cluster that are in one status."""

    cluster: str
    status: str
    number: int
    gib: int


def tallies(resource: str, host: str, cluster_name: str | None
            ) -> list[Tally]:
    """Count records by cluster and status, in one question.

    :param resource: ``Volume`` or ``Snapshot``.
    """
    model, volume = model_of(resource), model_of('Volume')
    size = (volume.size if model is volume else model.volume_size)
    recorded = cluster_recorded(model)
    with reading() as session:
        query = session.query(recorded, model.status,
                              sa.func.count(model.id), sa.func.sum(size))
        if model is not volume:
            query = query.join(volume, volume.id == model.volume_id)
        rows = query.filter(
            sa.not_(model.deleted),
            of_backend(volume, host, cluster_name)).group_by(
                recorded, model.status).all()
    return [Tally(row[0], row[1] or '', row[2], int(row[3] or 0))
            for row in rows]


def records(found: Mapping[str, Iterable[Tally]], names: Mapping[str, str]
            ) -> Metrics:
    """:param found: by resource.

    :param names: of clusters by UUID; others are shown by their UUID.
    """
    labels = ['cluster', 'resource', 'status']
    number = gauge('records', 'Volumes and snapshots that Cinder has on a '
                   'cluster; none for those without a place.', labels)
    sizes = gauge('records_bytes', 'Their sizes, replicas not counted.',
                  labels)
    for resource, items in found.items():
        for item in items:
            values = [names.get(item.cluster, item.cluster or 'none'),
                      resource, item.status]
            number.add_metric(values, item.number)
            sizes.add_metric(values, item.gib * GIB)
    yield from (number, sizes)


def services(known: Iterable[Knowledge],
             reports: Mapping[str, shared_reports.Report]) -> Metrics:
    """Which services live, and what they have promised."""
    ages = gauge('service_heartbeat_age_seconds', 'When a volume service was '
                 'heard last.', ['host'])
    for item in known:
        ages.add_metric([item.host], item.age)
    reserved = gauge('reserved_bytes', 'What a service has promised on a '
                     'cluster and statistics do not show yet, replicas '
                     'counted.', ['host', 'cluster'])
    for host, report in reports.items():
        for cluster, size in report.reserved.items():
            reserved.add_metric([host, cluster], size)
    yield from (ages, reserved)


def jobs(counted: Mapping[tuple[str, JobState], int], unfinished: Iterable[Job]
         ) -> Metrics:
    """Jobs by kind and state; how far those are that have not ended."""
    number = gauge('jobs', 'Jobs by kind and state.', ['kind', 'state'])
    share = gauge('job_progress_ratio', 'Part of a job that is done.',
                  ['kind', 'job'])
    for job in unfinished:
        if job.share is not None:
            share.add_metric([job.kind, job.id], job.share)
    for (kind, state), count in sorted(counted.items(),
                                       key=lambda item: str(item[0])):
        number.add_metric([kind, state.value], count)
    yield from (number, share)


def audit(report: Report, seconds: float, ended: float) -> Metrics:
    """What the last audit found.

    :param seconds: that it took.
    :param ended: when, in seconds since the epoch.
    """
    found = gauge('audit_findings', 'Findings of the last audit.',
                  ['severity', 'kind'])
    counted = Counter((item.severity, item.kind.value)
                      for item in report.findings)
    for (severity, kind), count in sorted(counted.items(),
                                          key=lambda item: str(item[0])):
        found.add_metric([severity.value, kind], count)
    for severity in Severity:
        if not any(severity is one for one, _kind in counted):
            found.add_metric([severity.value, ''], 0)
    yield found
    silent = gauge('audit_silent_clusters', 'Clusters that the last audit '
                   'could not ask.')
    silent.add_metric([], len(report.silent))
    took = gauge('audit_duration_seconds', 'How long the last audit took.')
    took.add_metric([], seconds)
    at = core.GaugeMetricFamily(
        'lightbits_audit_timestamp_seconds', 'When the last audit ended.',
        value=ended)
    yield from (silent, took, at)
