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

from __future__ import annotations

from typing import Any

from cinder import objects

from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.drain.mover import MoveRefused
from cinder_lightbits_federation.drain.stock import Stock
from cinder_lightbits_federation.timing import Deadline
from tests.unit.cli import base
from tests.unit.cli.test_terminal import Pty


class MovingTestCase(base.CliTestCase):

    def setUp(self) -> None:
        self.stub_out('cinder_lightbits_federation.service.connect_late',
                      lambda name: name)
        super().setUp()

    def write_config(self, clusters: Any, **backend: Any) -> str:
        """A service that may ask Cinder."""
        return super().write_config(
            clusters, **{'lightbits_os_cloud': 'here', **backend})

    def on_east(self, **fields: Any) -> Any:
        """:returns: a volume that is on the cluster "east"."""
        made = self.made(self.driver, specs={
            'lightos:cluster': 'east'}, **fields)
        # The pin was for this test only.
        made.volume_type_id = self.volume_type({})
        made.save()
        return made

    def save(self, record: Any, **fields: Any) -> None:
        """Change a record."""
        record.update(fields)
        record.save()

    def attached(self, volume: Any, server: str | None) -> None:
        """Record an attachment."""
        made = objects.VolumeAttachment(
            context=self.context, volume_id=volume.id,
            attach_status='attached', attached_host='compute9',
            instance_uuid=server)
        made.create()
        self.save(volume, status='in-use')


class Migrations:
    """A cloud that refuses to move anything.

    :ivar asked: ids of volumes.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []

    def migrate(self, volume_id: str) -> None:
        """See `Cloud`."""
        self.asked.append(volume_id)
        raise MoveRefused('not now')


class DrainPlanTest(MovingTestCase):

    def test_what_moves_and_what_stays(self) -> None:
        free = self.on_east(size=3)
        served = self.on_east()
        self.attached(served, self.unique_id(1))
        hosted = self.on_east()
        self.attached(hosted, None)
        snapped = self.on_east()
        self.taken(snapped)
        foreign = self.on_east()
        uuid = self.ask('east', 'POST', 'snapshots', name='theirs',
                        sourceVolumeUUID=self.array_of(foreign)[1])['UUID']
        grouped = self.on_east()
        self.save(grouped, group_id=self.unique_id(2))
        moving = self.on_east()
        self.save(moving, migration_status='migrating',
                  status='maintenance')
        elsewhere = self.made(self.driver, specs={'lightos:cluster': 'west'})

        found = self.command('drain', 'plan', 'east', '-f', 'json')

        self.assertEqual(Outcome.FINDINGS, found.outcome, found.err)
        rows = {row['volume']: row for row in found.json()}
        self.assertNotIn(elsewhere.id, rows)
        for volume, action, told in (
                (free, 'move', ''), (served, 'move', ''),
                (hosted, 'stays', 'attached to compute9 without a server'),
                (snapped, 'stays', 'it has 1 snapshots'),
                (foreign, 'stays', f'does not know: {uuid}'),
                (grouped, 'stays', 'it is in group'),
                (moving, 'under way', '')):
            row = rows[volume.id]
            self.assertEqual(action, row['action'], row)
            self.assertIn(told, row['reason'])
        self.assertEqual(('west', True, False), (
            rows[free.id]['target'], rows[served.id]['attached'],
            rows[free.id]['attached']))
        self.assertIn('2 volumes with 4 GiB can be moved, at most 15 s at '
                      '200 MiB/s for each copy; 1 are under way, 4 stay.',
                      found.err)

    def test_what_cinder_copies(self) -> None:
        """A move between backends, or one that Nova takes part in."""
        copied, moved = self.on_east(), self.on_east()
        for volume in (copied, moved):
            self.save(volume, migration_status='migrating')
        target = self.on_east()
        self.save(target, migration_status=f'target:{copied.id}')
        federation = self.driver.federation
        cluster = next(item for item in federation.registry.clusters
                       if item.name == 'east')
        found = Stock(self.driver.host, None, federation.settings,
                      federation.owner).on(cluster, Deadline.after(30))
        self.assertEqual(
            {copied.id: True, target.id: True, moved.id: False},
            {item.id: item.copied for item in found})

    def test_no_other_cluster(self) -> None:
        volume = self.on_east()
        self.rows('cluster', 'set', 'west', '--disable', '--reason', 'x')
        row, = self.rows('drain', 'plan', 'east', outcome=Outcome.FINDINGS)
        self.assertEqual((volume.id, 'stays'), (row['volume'],
                                                row['action']))
        self.assertIn('west(disabled)', row['reason'])

    def test_a_silent_cluster(self) -> None:
        self.arrays['east'].stop()
        found = self.command('drain', 'plan', 'east')
        self.assertEqual(Outcome.SILENT, found.outcome)
        self.assertIn('cluster east cannot be asked', found.err)

    def test_nothing_is_there(self) -> None:
        self.assertEqual([], self.rows('drain', 'plan', 'east'))

    @staticmethod
    def unique_id(number: int) -> str:
        """:returns: an id."""
        return f'00000000-0000-4000-8000-{number:012d}'


class DrainRunTest(MovingTestCase):

    def test_left_to_the_service(self) -> None:
        self.on_east()
        found = self.command('drain', 'run', 'east', '--detach', '--rate',
                             '50', '--reason', 'old', '-f', 'json')
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        assert self.driver._service is not None
        shared = self.driver._service.shared
        job, = shared.book.all()
        self.assertEqual(
            ('drain', 'east', {'at_once': 2, 'rate': 50 << 20}),
            (job.kind, job.subject, job.parameters))
        self.assertIn(job.id, found.err)
        entry = shared.states.all()['east']
        self.assertEqual(('draining', 'old'), (entry.state.value,
                                               entry.reason))
        again = self.command('drain', 'run', 'east', '--detach', '--rate',
                             '50')
        self.assertEqual(Outcome.CLEAN, again.outcome, again.err)
        self.assertIn(job.id, again.err)
        otherwise = self.command('drain', 'run', 'east', '--detach')
        self.assertEqual(Outcome.FAILED, otherwise.outcome)
        self.assertIn(f'job {job.id} (drain east) is queued', otherwise.err)
        self.assertEqual([job], shared.book.all())

    def test_progress(self) -> None:
        """A bar where somebody looks on, lines elsewhere."""
        self.on_east()
        self.stub_out('cinder_lightbits_federation.cli.runs.cloud_of',
                      lambda command, left: Migrations())
        told = r'0 volumes moved, 1 to go, 0 failed: 0 of 1 GiB'
        found = self.command('drain', 'run', 'east')
        self.assertRegex(found.err, rf'(?m)^{told}$')
        self.assertNotIn('\r', found.err)
        pty = Pty()
        self.command('drain', 'run', 'east', stderr=pty.stream)
        self.assertRegex(pty.text(), rf'\r\x1b\[K\[ {{30}}\] {told}')

    def test_a_frozen_backend(self) -> None:
        volume = self.on_east()
        cloud = Migrations()
        self.stub_out('cinder_lightbits_federation.cli.runs.cloud_of',
                      lambda command, left: cloud)
        self.command('freeze')
        found = self.command('drain', 'run', 'east')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn('the backend is frozen', found.err)
        self.assertEqual([], cloud.asked)

        self.command('thaw')
        found = self.command('drain', 'run', 'east')
        self.assertEqual([volume.id], cloud.asked)
        # The same job was gone on with.
        assert self.driver._service is not None
        job, = self.driver._service.shared.book.all()
        self.assertIn(job.id, found.err)

    def test_a_trial_changes_nothing(self) -> None:
        self.on_east()
        row, = self.rows('drain', 'run', 'east', '--dry-run')
        self.assertEqual('move', row['action'])
        assert self.driver._service is not None
        self.assertEqual({}, self.driver._service.shared.states.all())

    def test_wrong_pace(self) -> None:
        for option in ('--at-once', '--rate'):
            found = self.command('drain', 'plan', 'east', option, '0')
            self.assertEqual(Outcome.USAGE, found.outcome)


class WithoutCloudTest(MovingTestCase):

    def write_config(self, clusters: Any, **backend: Any) -> str:
        """A service that cannot ask Cinder to move volumes."""
        return super().write_config(clusters, lightbits_os_cloud=None)

    def test_nothing_is_left_to_the_service(self) -> None:
        for argv in (('drain', 'run', 'east'), ('rebalance', 'run')):
            found = self.command(*argv, '--detach')
            self.assertEqual(Outcome.USAGE, found.outcome)
            self.assertIn('lightbits_os_cloud names no cloud', found.err)
        self.assertEqual([], self.rows('job', 'list'))
        state, = (row['admin_state'] for row in self.rows('cluster', 'list')
                  if row['name'] == 'east')
        self.assertEqual('enabled', state)


class RebalanceTest(MovingTestCase):

    def test_plan(self) -> None:
        even = self.rows('rebalance', 'plan')
        self.assertEqual([], even)
        volumes = {self.on_east(size=200).id for _number in range(4)}
        found = self.command('rebalance', 'plan', '--tolerance', '0.1',
                             '-f', 'json')
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        rows = found.json()
        self.assertEqual(2, len(rows), found.err)
        self.assertEqual({('east', 'west')}, {
            (row['source'], row['target']) for row in rows})
        self.assertLess({row['volume'] for row in rows}, volumes)
        self.assertIn('2 volumes with 400 GiB are to be moved.', found.err)

    def test_left_to_the_service(self) -> None:
        found = self.command('rebalance', 'run', '--detach', '--tolerance',
                             '2')
        self.assertEqual(Outcome.CLEAN, found.outcome, found.err)
        row, = self.rows('job', 'list', '--kind', 'rebalance')
        self.assertEqual('all clusters', row['subject'])
