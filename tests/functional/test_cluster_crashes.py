# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Services of a cluster die or stand still in the middle of their work."""

from __future__ import annotations

from concurrent import futures
from typing import Any

from openstack import exceptions
from testtools import content

from cinder_lightbits_federation import locks as lock_names
from tests.functional import base
from tests.stack import case
from tests.stack import locks
from tests.stack import settings

CLUSTER = f'{settings.CLUSTER}@lightbits'
# Seconds that clusters take for what is to be in progress.
SLOW = 6


class ThreadsTest(case.StackTest):
    """Services with native threads: two of three die."""

    coordination = 'redis'
    threads = True

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.revive)

    def slow_down(self, seconds: float = SLOW) -> None:
        """Let clusters take their time for what they are asked."""
        for cluster in self.clusters.values():
            cluster.set_delays(create=seconds, snapshot_create=seconds,
                               update=seconds)
        self.addCleanup(self.go_on)

    def go_on(self) -> None:
        """Let clusters be as fast as before."""
        for cluster in self.clusters.values():
            cluster.set_delays(create=0, snapshot_create=0, update=0)
            cluster.settle()

    def attach(self, volume: Any) -> Any:
        """Attach a volume as a host would."""
        sdk = self.stack.sdk()
        made = sdk.create_attachment(volume.id, connector=base.CONNECTOR)
        sdk.complete_attachment(made)
        return made

    def in_progress(self) -> int:
        """Count the volumes that are being made."""
        return len([item for item in self.stack.records().volumes
                    if item.status == 'creating'])

    def test_two_of_three(self) -> None:
        """The last one serves everything, and Cinder's lists say so."""
        first = self.create(self.sdk)
        self.slow_down()
        for _number in range(6):
            self.sdk.create_volume(size=1)
        self.sdk.create_volume(size=1, source_volume_id=first.id)
        self.wait(lambda: self.in_progress() >= 6, 'work to be in progress')
        dead, last = settings.HOSTS[:2], settings.HOSTS[2]
        for host in dead:
            self.stack.volumes[host].kill()
        self.go_on()
        self.wait_for_states({**dict.fromkeys(dead, 'down'), last: 'up'})
        rows = self.stack.openstack.json('volume', 'service', 'list',
                                         '--service', 'cinder-volume')
        self.assertEqual(
            {**{f'{host}@lightbits': 'down' for host in dead},
             f'{last}@lightbits': 'up'},
            {row['Host']: row['State'] for row in rows})
        shown = self.stack.openstack.json('block', 'storage', 'cluster',
                                          'show', CLUSTER)
        self.assertEqual(('up', 3, 2), (shown['State'], shown['Hosts'],
                                        shown['Down Hosts']))
        self.clean_up()
        self.audit()
        self.serve_everything(first)
        self.assertIn('being created', self.fresh_log(last))
        self.remove_all()
        self.audit()

    def serve_everything(self, volume: Any) -> None:
        """Do each operation once, with a volume of before."""
        snapshot = self.snapshot(self.sdk, volume)
        for source in ({}, {'source_volume_id': volume.id},
                       {'snapshot_id': snapshot.id}):
            self.create(self.sdk, **source)
        made = self.attach(volume)
        self.sdk.extend_volume(volume.id, 2)
        self.assertEqual(
            2, self.settled(self.sdk, volume, 'in-use').size)
        self.audit()
        self.sdk.delete_attachment(made.id)
        self.settled(self.sdk, volume)
        self.audit()


class CrashTest(ThreadsTest):
    """Nothing is lost, nothing is doubled, and somebody goes on."""

    threads = False

    def test_one_of_three(self) -> None:
        """What it was doing is cleaned up; the others do the rest."""
        volumes = [self.create(self.sdk) for _number in range(4)]
        snapshot = self.snapshot(self.sdk, volumes[0])
        self.slow_down()
        new = [self.sdk.create_volume(size=1) for _number in range(6)]
        new += [self.sdk.create_volume(size=1, source_volume_id=volumes[0].id),
                self.sdk.create_volume(size=1, snapshot_id=snapshot.id)]
        self.sdk.create_snapshot(volume_id=volumes[1].id)
        self.sdk.extend_volume(volumes[2].id, 2)
        workers = [self.worker_of(volume) for volume in new]
        victim = max(set(workers), key=workers.count)
        self.stack.volumes[victim].kill()
        self.go_on()
        self.wait_for_states({victim: 'down'})
        self.clean_up(sizes={volumes[2].id: 2})
        lost = {volume.id for volume, worker in zip(new, workers, strict=True)
                if worker == victim}
        left = {item.id for item in self.stack.records().volumes}
        # A volume whose worker has lived is there.
        self.assertEqual(set(), {item.id for item in new} - lost - left)
        self.audit()
        self.assertEqual(2, self.sdk.get_volume(volumes[2].id).size)
        self.remove_all()
        self.audit()

    def test_deletes_are_finished(self) -> None:
        """The clean-up repeats deletes that nobody has finished."""
        volumes = [self.create(self.sdk) for _number in range(6)]
        for cluster in self.clusters.values():
            cluster.fault('slow', route='volumes.delete', seconds=SLOW)
            self.addCleanup(cluster.clear_faults)
        for volume in volumes:
            self.sdk.delete_volume(volume.id)
        # Each of the services that will die has at least one at hand.
        dead = settings.HOSTS[:2]
        self.wait(lambda: all(self.deletes(host) for host in dead),
                  'services to be deleting')
        for host in dead:
            self.stack.volumes[host].kill()
        for cluster in self.clusters.values():
            cluster.clear_faults()
        self.wait_for_states(dict.fromkeys(dead, 'down'))
        done = self.clean_up()
        self.assertEqual([], list(self.sdk.volumes()), str(done))
        self.audit()

    def test_revert(self) -> None:
        """Cinder forgets a snapshot of its own, of which a record stays."""
        volume = self.create(self.sdk)
        taken = self.snapshot(self.sdk, volume)
        for cluster in self.clusters.values():
            cluster.fault('slow', route='snapshots.delete', seconds=SLOW,
                          after_apply=True)
            self.addCleanup(cluster.clear_faults)
        self.sdk.revert_volume_to_snapshot(volume.id, taken.id)
        self.wait(lambda: any(fault['hits'] for cluster
                              in self.clusters.values()
                              for fault in cluster.faults()),
                  'the snapshot of before to go')
        worker, = (host for host in self.stack.volumes
                   if 'Start to perform revert' in self.fresh_log(host))
        self.stack.volumes[worker].kill()
        for cluster in self.clusters.values():
            cluster.clear_faults()
        self.assertNotEqual([], self.bed.findings())
        self.clean_up()
        left, = self.stack.records().snapshots
        self.assertEqual(taken.id, left.id)
        self.revive()
        self.audit()
        self.remove_all()
        self.audit()

    def deletes(self, host: str) -> int:
        """Count the services' deletes that are in progress."""
        return len(self.stack.database.query(
            'SELECT w.id FROM workers w JOIN services s ON s.id = '
            'w.service_id WHERE s.host = %s AND w.status = %s',
            f'{host}@lightbits', 'deleting'))

    def test_attachments(self) -> None:
        """Who is attached has access, and nobody else, whoever died."""
        volumes = [self.create(self.sdk) for _number in range(8)]
        detached = [self.attach(volume) for volume in volumes[:4]]
        for cluster in self.clusters.values():
            # Done at once, and the answer takes its time.
            cluster.fault('slow', route='volumes.update', seconds=SLOW,
                          after_apply=True)
            self.addCleanup(cluster.clear_faults)
        with futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(self.attach, volume)
                     for volume in volumes[4:]]
            asked += [pool.submit(self.stack.sdk().delete_attachment,
                                  made.id) for made in detached]
            self.wait(lambda: sum(
                fault['hits'] for cluster in self.clusters.values()
                for fault in cluster.faults()) >= len(asked),
                'the clusters to be asked')
            for host in settings.HOSTS[:2]:
                self.stack.volumes[host].kill()
            for cluster in self.clusters.values():
                cluster.clear_faults()
            outcomes = [item.exception() for item in asked]
        self.assertTrue(any(outcomes), 'no request was lost')
        for outcome in filter(None, outcomes):
            self.assertIsInstance(outcome, exceptions.HttpException)
        for made in detached:
            # Whoever was not told repeats it.
            self.sdk.delete_attachment(made.id)
        self.clean_up()
        self.audit()
        self.remove_all()
        self.audit()


class LostLockTest(case.StackTest):
    """A service stands still for longer than its locks live."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.revive)

    def test_clone(self) -> None:
        source = self.create(self.sdk)
        lock = lock_names.snapshots_of(source.id)
        for cluster in self.clusters.values():
            cluster.set_delays(snapshot_create=15)
            self.addCleanup(cluster.set_delays, snapshot_create=0)
        copy = self.sdk.create_volume(size=1, source_volume_id=source.id)
        victim = self.stack.volumes[self.worker_of(copy)]
        self.wait(lambda: self.stack.locks.held(lock), 'the lock to be held')
        victim.pause()
        self.addCleanup(victim.resume)
        for cluster in self.clusters.values():
            cluster.set_delays(snapshot_create=0)
            cluster.settle()
        self.wait(lambda: not self.stack.locks.held(lock),
                  'the lock to be lost', locks.LEASE * 2)
        # Meanwhile others take snapshots of the same volume.
        others = [self.sdk.create_snapshot(volume_id=source.id)
                  for _number in range(4)]
        self.wait(lambda: self.available(others), 'snapshots by others', 180)
        victim.resume()
        found = self.settled(self.sdk, copy, 'available', 'error')
        self.addDetail('copy', content.text_content(found.status))
        self.wait_for_states(dict.fromkeys(settings.HOSTS, 'up'))
        self.clean_up()
        self.audit()
        self.remove_all()
        self.audit()

    def available(self, snapshots: list[Any]) -> bool:
        """Whether one of the services still up has taken a snapshot.

        Every third request waits for the service that stands still.
        """
        wanted = {item.id for item in snapshots}
        return any(item.status == 'available'
                   for item in self.stack.records().snapshots
                   if item.id in wanted)


class LostRedisLockTest(LostLockTest):
    """The same with Redis."""

    coordination = 'redis'
