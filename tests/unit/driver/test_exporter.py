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

"""The figures for Prometheus, of real clusters and records."""

from collections.abc import Iterable
import logging
from typing import Any

from prometheus_client import core

from cinder_lightbits_federation.audit.arrays import Arrays
from cinder_lightbits_federation.audit.collect import Auditor
from cinder_lightbits_federation.audit.collect import Report
from cinder_lightbits_federation.audit.database import Database
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.exporter import arrays
from cinder_lightbits_federation.exporter import books
from cinder_lightbits_federation.exporter.collector import Collector
from cinder_lightbits_federation.exporter.rounds import Rounds
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.settings import BrokenCluster
from cinder_lightbits_federation.store import reports
from cinder_lightbits_federation.store.services import Knowledge
from tests.unit.driver import base

WEST = {'lightos:cluster': 'west'}


def read(metrics: Iterable[core.Metric]) -> dict[tuple[str, ...], float]:
    """:returns: figures by name and sorted values of labels."""
    return {(sample.name, *(value for _key, value
                            in sorted(sample.labels.items()))): sample.value
            for family in metrics for sample in family.samples}


class FiguresTestCase(base.FederationTestCase):

    NODES = 1
    CLUSTERS = ('east', 'west')

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()
        self.registry = self.driver.federation.registry

    def report(self) -> Report:
        """An audit of all there is."""
        return Auditor(Arrays(self.registry, ['default'], True),
                       Database(base.HOST, None, (), True),
                       self.driver.federation.owner, grace=0).run()

    def test_of_clusters(self) -> None:
        self.made(self.driver, size=3, specs=WEST)
        west = next(item for item in self.registry.clusters
                    if item.name == 'west')
        west.refresh(self.driver.federation.deadline())
        problem = errors.SettingProblem('x', 'y', 'z')

        found = read(arrays.clusters(self.registry.clusters,
                                     [BrokenCluster('far', problem)]))

        for key, value in {
                ('lightbits_cluster_admin_state', 'west', 'enabled'): 1,
                ('lightbits_cluster_admin_state', 'west', 'lost'): 0,
                ('lightbits_cluster_connection', 'east', 'connected'): 1,
                ('lightbits_cluster_connection', 'far', 'misconfigured'): 1,
                ('lightbits_cluster_bytes', 'west', 'provisioned'):
                    3 * base.GIB,
                ('lightbits_cluster_max_replicas', 'west'): 1,
                ('lightbits_cluster_upgrading', 'west'): 0}.items():
            self.assertEqual(value, found[key], key)
        self.assertLess(found['lightbits_cluster_sample_age_seconds', 'west'],
                        base.PATIENCE)
        self.assertTrue(any(key[0] == 'lightbits_api_request_seconds_count'
                            and value for key, value in found.items()))

    def test_of_a_cluster_that_was_never_reached(self) -> None:
        self.arrays['west'].stop()
        driver = self.start_driver()

        found = read(arrays.clusters(driver.federation.registry.clusters, []))

        self.assertEqual(0, found['lightbits_cluster_connection', 'west',
                                  'connected'])
        self.assertNotIn(('lightbits_cluster_bytes', 'west', 'effective'),
                         found)

    def test_of_the_backend(self) -> None:
        views = self.driver.federation.views(60, 5)

        found = read(arrays.backend(
            views, 1, self.driver.federation.settings.policy))

        self.assertEqual((2, 0), (found['lightbits_backend_clusters', 'yes'],
                                  found['lightbits_backend_clusters', 'no']))
        self.assertGreater(found['lightbits_backend_bytes', 'total'], 0)
        self.assertEqual(0, found['lightbits_backend_bytes', 'provisioned'])

    def test_of_records(self) -> None:
        volume = self.made(self.driver, size=2, specs=WEST)
        snapshot = self.snapshot(volume)
        self.saved(snapshot, self.driver.create_snapshot(snapshot))
        self.volume(size=5)
        tallies = {kind: books.tallies(kind, base.HOST, None)
                   for kind in ('Volume', 'Snapshot')}

        found = read(books.records(tallies,
                                   {self.arrays['west'].uuid: 'west'}))

        for key, value in {
                ('lightbits_records', 'west', 'Volume', 'available'): 1,
                ('lightbits_records', 'none', 'Volume', 'creating'): 1,
                ('lightbits_records', 'west', 'Snapshot', 'creating'): 1,
                ('lightbits_records_bytes', 'west', 'Volume', 'available'):
                    2 * base.GIB}.items():
            self.assertEqual(value, found[key], key)

    def test_of_services_and_jobs(self) -> None:
        def job(state: JobState, **fields: Any) -> Job:
            return Job(**{
                'id': state.value, 'backend': 'b', 'kind': 'copy',
                'subject': 's', 'state': state, 'parameters': {},
                'checkpoint': {}, 'done': 1, 'total': 4, 'host': 'h',
                'created': 0, 'started': None, 'ended': None, 'error': '',
                'silent': None, 'number': 1, **fields})

        found = read([*books.services(
            [Knowledge('stor1', {}, 2.5)],
            {'stor1': reports.Report({'east': 7}, ())}), *books.jobs(
                {('copy', JobState.RUNNING): 1, ('copy', JobState.DONE): 3},
                [job(JobState.RUNNING), job(JobState.QUEUED, total=0)])])

        for key, value in {
                ('lightbits_service_heartbeat_age_seconds', 'stor1'): 2.5,
                ('lightbits_reserved_bytes', 'east', 'stor1'): 7,
                ('lightbits_jobs', 'copy', 'running'): 1,
                ('lightbits_jobs', 'copy', 'done'): 3,
                ('lightbits_job_progress_ratio', 'running', 'copy'): 0.25,
                }.items():
            self.assertEqual(value, found[key], key)
        self.assertNotIn(('lightbits_job_progress_ratio', 'queued', 'copy'),
                         found)

    def test_of_audits(self) -> None:
        volume = self.made(self.driver, specs=WEST)
        volume.destroy()
        rounds = Rounds(self.report, base.PATIENCE)
        self.addCleanup(rounds.stop)

        rounds.start()

        last = self.wait(lambda: rounds.last)
        found = read(books.audit(last.report, last.seconds, last.ended))
        self.assertEqual(1, sum(
            value for key, value in found.items()
            if key[0] == 'lightbits_audit_findings'
            and 'object-without-record' in key))
        self.assertEqual(0, found['lightbits_audit_silent_clusters',])

    def test_an_audit_that_fails_is_not_the_last(self) -> None:
        log = self.logged(logging.ERROR)
        asked: list[int] = []

        def audit() -> Report:
            asked.append(1)
            if len(asked) == 1:
                raise errors.ClusterUnavailable('away')
            return self.report()

        rounds = Rounds(audit, 0.01)
        self.addCleanup(rounds.stop)
        rounds.start()

        self.wait(lambda: rounds.last)
        self.assertIn('The audit failed', log.output)
        self.assertEqual('', rounds.failure)

    def test_a_source_that_fails_late_leaves_what_it_gave(self) -> None:
        def late() -> Iterable[core.Metric]:
            yield arrays.gauge('x', 'y', ['z'])
            raise errors.ClusterUnavailable('away')

        families = {item.name: item
                    for item in Collector({'late': late}).collect()}

        self.assertIn('lightbits_x', families)
        self.assertEqual(0, read(families.values())[
            'lightbits_exporter_source_up', 'late'])

    def test_a_source_that_fails_leaves_the_others(self) -> None:
        def broken() -> Iterable[core.Metric]:
            raise errors.ClusterUnavailable('away')

        found = read(Collector({
            'bad': broken,
            'good': lambda: [arrays.gauge('x', 'y')]}).collect())

        self.assertEqual((0, 1), (
            found['lightbits_exporter_source_up', 'bad'],
            found['lightbits_exporter_source_up', 'good']))
