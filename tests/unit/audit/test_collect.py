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

"""The audit end to end: a driver, simulated clusters, a real database."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import fixtures

from cinder_lightbits_federation.audit import books
from cinder_lightbits_federation.audit import collect
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from tests.unit.audit import base
from tests.unit.driver import base as driver_base


class Interrupted:
    """A ledger during whose first reading something happens.

    :param meanwhile: what happens after the records were read and before
        the clusters are.
    """

    def __init__(self, ledger: collect.Ledger, meanwhile: Callable[[], Any]
                 ) -> None:
        self._ledger = ledger
        self._meanwhile = meanwhile

    def read(self) -> books.Books:
        """Read, then let it happen."""
        found = self._ledger.read()
        self._meanwhile()
        return found

    def again(self, ids: Collection[str]) -> books.Books:
        """Read again."""
        return self._ledger.again(ids)


class AuditTest(base.AuditTestCase):

    def test_all_is_well(self) -> None:
        volumes = [self.made(self.driver) for _number in range(3)]
        self.taken(volumes[0])
        self.attach(self.driver, volumes[1], driver_base.connector(1))
        self.make('east', 'somebody-elses')

        report = self.audit()

        self.assertEqual((), report.findings)
        self.assertTrue(report.clean)
        self.assertEqual((3, 1, 1, 1, 0), (
            report.tally.volumes, report.tally.snapshots,
            report.tally.attachments, report.tally.foreign_volumes,
            report.tally.foreign_snapshots))
        self.assertEqual((('east', 'west'), ()),
                         (report.asked, report.silent))

    def test_orphan(self) -> None:
        volume = self.made(self.driver)
        cluster, uuid = self.array_of(volume)
        self.forget(volume)

        found = self.only()

        self.assertEqual(
            (Kind.ORPHAN, Severity.WARNING, cluster, uuid, volume.id,
             driver_base.FEDERATION_ID),
            (found.kind, found.severity, found.cluster, found.object_uuid,
             found.cinder_id, found.owner))
        self.assertIsNotNone(found.age)

    def test_a_young_orphan_is_in_flight(self) -> None:
        self.forget(self.made(self.driver))
        report = collect.Auditor(
            self.arrays_seen(), self.ledger(), self.driver.federation.owner,
            settle=0).run()
        self.assertEqual([Severity.IN_FLIGHT],
                         [item.severity for item in report.findings])
        self.assertTrue(report.clean)

    def test_missing(self) -> None:
        volume = self.made(self.driver)
        cluster, uuid = self.array_of(volume)
        self.ask(cluster, 'DELETE', f'volumes/{uuid}')
        self.settle()

        found = self.only()

        self.assertEqual((Kind.MISSING, volume.id),
                         (found.kind, found.cinder_id))

    def test_wrong_size(self) -> None:
        volume = self.made(self.driver)
        self.change(volume, size='2gib')
        self.assertEqual([Kind.WRONG_SIZE], self.kinds())

    def test_wrong_access(self) -> None:
        volume = self.made(self.driver)
        self.change(volume, acl={'values': [driver_base.nqn(7)]})
        found = self.only()
        self.assertEqual((Kind.HOST_EXTRA, driver_base.nqn(7)),
                         (found.kind, found.host))

    def test_detached_by_hand(self) -> None:
        volume = self.made(self.driver)
        self.attach(self.driver, volume, driver_base.connector(1))
        self.change(volume, acl={'values': ['ALLOW_NONE']})
        self.assertEqual([Kind.HOST_MISSING], self.kinds())

    def test_renamed(self) -> None:
        volume = self.made(self.driver)
        self.change(volume, newName='mine')
        self.assertEqual([Kind.MISLABELLED], self.kinds())

    def test_duplicate(self) -> None:
        volume = self.made(self.driver)
        cluster, found = self.on(volume)
        other = {'east': 'west', 'west': 'east'}[cluster]
        self.make(other, volume.name, labels=found['labels'])
        self.assertEqual([Kind.DUPLICATE], self.kinds())

    def test_snapshots(self) -> None:
        volume = self.made(self.driver)
        cluster, uuid = self.array_of(volume)
        self.taken(volume)
        for name in ('daily-1', 'for_clone_x'):
            self.ask(cluster, 'POST', 'snapshots', name=name,
                     sourceVolumeUUID=uuid)
        self.settle()

        found = {item.kind: item for item in self.audit().findings}

        self.assertEqual({Kind.LEFTOVER, Kind.FOREIGN_SNAPSHOT}, set(found))
        self.assertEqual('daily-1',
                         found[Kind.FOREIGN_SNAPSHOT].object_name)

    def test_a_record_of_another_backend(self) -> None:
        """Two backends of one cloud may share a cluster."""
        volume = self.made(self.driver)
        volume.host = 'stor2@lightbits#federation'
        volume.save()
        self.assertEqual([], self.kinds())
        # However young it is.
        report = collect.Auditor(
            self.arrays_seen(), self.ledger(), self.driver.federation.owner,
            settle=0).run()
        self.assertEqual((), report.findings)

    def test_without_a_recorded_place(self) -> None:
        volume = self.made(self.driver)
        volume.provider_location = None
        volume.save()
        self.assertEqual([Kind.UNRECORDED], self.kinds())

    def test_changes_nothing(self) -> None:
        volume = self.made(self.driver)
        self.change(volume, size='2gib')
        self.forget(self.made(self.driver))
        before = {name: array.state() for name, array in self.arrays.items()}
        record = self.reread(volume).provider_location
        self.reset_counters()

        self.audit()

        for name, array in self.arrays.items():
            self.assertEqual(before[name]['volumes'],
                             array.state()['volumes'])
            asked = set(array.counters().requests)
            self.assertIn('volumes.list', asked)
            self.assertEqual(set(), {
                operation for operation in asked
                if operation.partition('.')[2] not in ('', 'get', 'list')})
        self.assertEqual(record, self.reread(volume).provider_location)


class ClustersTest(base.AuditTestCase):

    def test_a_silent_cluster(self) -> None:
        volume = self.made(self.driver, specs={'lightos:cluster': 'west'})
        self.made(self.driver, specs={'lightos:cluster': 'east'})
        self.arrays['west'].stop()

        report = self.audit()

        found, = report.findings
        self.assertEqual((Kind.NOT_ASKED, Severity.WARNING, 'west',
                          self.location(volume).cluster_uuid),
                         (found.kind, found.severity, found.cluster,
                          found.cluster_uuid))
        self.assertIn('1 volumes and 0 snapshots', found.evidence)
        self.assertEqual((('east',), ('west',)),
                         (report.asked, report.silent))
        self.assertTrue(report.clean)

    def test_silent_in_the_second_look(self) -> None:
        volume = self.made(self.driver, specs={'lightos:cluster': 'west'})
        self.change(volume, size='2gib')
        auditor = self.auditor()
        self.useFixture(fixtures.MonkeyPatch(
            'cinder_lightbits_federation.timing.pause',
            lambda seconds, stop=None: self.arrays['west'].stop()))

        report = auditor.run()

        self.assertEqual([Kind.NOT_ASKED],
                         [item.kind for item in report.findings])
        self.assertEqual(('west',), report.silent)

    def restart(self, **sections: dict[str, Any]) -> None:
        """Read a changed configuration."""
        self.driver.tear_down()
        self.driver = self.start_driver({
            name: self.section(name, **sections.get(name, {}))
            for name in self.arrays})

    def test_a_lost_cluster(self) -> None:
        self.made(self.driver, specs={'lightos:cluster': 'west'})
        self.restart(west={'admin_state': 'lost'})

        report = self.audit()

        self.assertEqual([(Kind.NOT_ASKED, Severity.NOTICE)],
                         [(item.kind, item.severity)
                          for item in report.findings])
        self.assertEqual((), report.silent)

    def test_a_broken_section(self) -> None:
        self.made(self.driver, specs={'lightos:cluster': 'west'})
        self.restart(west={'cluster_uuid': 'no-uuid'})

        found = self.only()

        self.assertEqual((Kind.NOT_ASKED, 'west', ''),
                         (found.kind, found.cluster, found.cluster_uuid))
        self.assertIn('cluster_uuid', found.evidence)

    def test_a_cluster_that_left_the_configuration(self) -> None:
        self.made(self.driver, specs={'lightos:cluster': 'west'})
        self.driver.tear_down()
        self.driver = self.start_driver({'east': self.section('east')})
        self.assertEqual([Kind.WRONG_PLACE], self.kinds())

    def test_old_clusters_keep_no_labels(self) -> None:
        self.add_array('old', version='3.9.2')
        self.restart()
        self.made(self.driver, specs={'lightos:cluster': 'old'})
        self.assertEqual([], self.kinds())


class ProjectsTest(base.AuditTestCase):

    def add_array(self, name: str, **options: Any) -> Any:
        """Clusters here have one more project."""
        return super().add_array(name, projects=['default', 'gold'],
                                 **options)

    def orphan(self) -> Any:
        """:returns: a volume in another project, without a record."""
        volume = self.made(self.driver,
                           specs={'lightos:project_name': 'gold'})
        self.forget(volume)
        return volume

    def test_projects_that_records_name(self) -> None:
        self.made(self.driver, specs={'lightos:project_name': 'gold'})
        self.assertEqual([], self.kinds())

    def test_projects_that_are_asked_for(self) -> None:
        self.orphan()
        self.assertEqual([], self.kinds())
        self.assertEqual([Kind.ORPHAN],
                         self.kinds(projects=['gold', 'unknown']))

    def test_every_project(self) -> None:
        self.orphan()
        self.assertEqual([Kind.ORPHAN], self.kinds(every_project=True))

    def test_a_project_that_may_not_be_read(self) -> None:
        self.made(self.driver, specs={'lightos:project_name': 'gold',
                                      'lightos:cluster': 'east'})
        self.driver.tear_down()
        self.driver = self.start_driver({
            name: self.section(name, jwt=array.token(scope='default'))
            for name, array in self.arrays.items()})

        report = self.audit(projects=['gold'])

        found = {item.cluster: item for item in report.findings}
        self.assertEqual(
            {('east', Severity.WARNING), ('west', Severity.NOTICE)},
            {(name, item.severity) for name, item in found.items()})
        self.assertIn('project gold could not be read',
                      found['east'].evidence)
        self.assertEqual(('east',), report.silent)


class SecondLookTest(base.AuditTestCase):
    """What Cinder does meanwhile is no finding."""

    def during(self, meanwhile: Callable[[], Any]) -> list[Kind]:
        """:returns: findings when something happens between the readings."""
        auditor = self.auditor(Interrupted(self.ledger(), meanwhile))
        return [item.kind for item in auditor.run().findings]

    def test_a_volume_is_made(self) -> None:
        self.assertEqual([], self.during(lambda: self.made(self.driver)))

    def test_a_volume_is_deleted(self) -> None:
        volume = self.made(self.driver)

        def delete() -> None:
            self.driver.delete_volume(volume)
            volume.destroy()

        self.assertEqual([], self.during(delete))

    def test_a_volume_is_attached(self) -> None:
        volume = self.made(self.driver)
        self.assertEqual([], self.during(lambda: self.attach(
            self.driver, volume, driver_base.connector(1))))

    def test_a_volume_is_detached(self) -> None:
        volume = self.made(self.driver)
        attachment = self.attach(self.driver, volume,
                                 driver_base.connector(1))

        def detach() -> None:
            self.driver.terminate_connection(volume,
                                             driver_base.connector(1))
            attachment.destroy()

        self.assertEqual([], self.during(detach))

    def test_a_volume_is_extended(self) -> None:
        volume = self.made(self.driver)

        def extend() -> None:
            self.driver.extend_volume(volume, 2)
            volume.size = 2
            volume.save()

        self.assertEqual([], self.during(extend))

    def test_a_snapshot_is_taken_and_deleted(self) -> None:
        volume = self.made(self.driver)
        gone = self.taken(volume)

        def work() -> None:
            self.taken(volume)
            self.driver.delete_snapshot(gone)
            gone.destroy()

        self.assertEqual([], self.during(work))

    def test_a_volume_moves(self) -> None:
        """The record names another object from now on."""
        volume = self.made(self.driver, specs={'lightos:cluster': 'east'})

        def move() -> None:
            self.driver.delete_volume(volume)
            volume.provider_location = None
            volume.save()
            volume.volume_type_id = self.volume_type(
                {'lightos:cluster': 'west'})
            self.saved(volume, self.driver.create_volume(volume))

        self.assertEqual([], self.during(move))

    def test_what_really_is_wrong_is_told(self) -> None:
        volume = self.made(self.driver)
        self.assertEqual([Kind.WRONG_SIZE],
                         self.during(lambda: self.change(volume,
                                                         size='2gib')))
        self.assertEqual([Kind.WRONG_SIZE], self.during(lambda: None))

    def test_many_doubts_are_listed_again(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            'cinder_lightbits_federation.audit.arrays.RELIST', 1))
        for _number in range(4):
            self.forget(self.made(self.driver))
        self.assertEqual([Kind.ORPHAN] * 4,
                         self.during(lambda: self.made(self.driver)))

    def test_progress(self) -> None:
        for _number in range(3):
            self.made(self.driver)
        told: list[tuple[str, int]] = []
        self.audit(progress=lambda name, count: told.append((name, count)))
        self.assertEqual({'east', 'west'}, {name for name, _ in told})
        self.assertEqual(3, sum(count for _, count in told))
