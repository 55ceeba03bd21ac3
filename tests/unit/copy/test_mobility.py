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

"""What the driver does for migrate, retype and clones across clusters."""

from __future__ import annotations

import itertools
from typing import Any
from unittest import mock

from cinder import exception
from cinder import objects

from cinder_lightbits_federation import cinderlocks
from cinder_lightbits_federation.copy.engine import Manner
from cinder_lightbits_federation.copy.relocation import Relocation
from cinder_lightbits_federation.copy.slots import Slots
from cinder_lightbits_federation.copy.transfer import Transfer
from cinder_lightbits_federation.jobs.claims import HeldJob
from cinder_lightbits_federation.jobs.model import JobState
from tests.copying import files
from tests.unit.copy import test_transfer
from tests.unit.driver import base

MIB = files.MIB


class Killed(BaseException):
    """The end of the process, as far as this can be had in a test."""


class MobilityTestCase(test_transfer.CopyTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.equip(self.drv)

    def equip(self, drv: Any) -> None:
        """Let a driver copy between files."""
        drv._relocation = lambda: Relocation(Transfer(
            drv.federation, self.attacher, self.mover,
            Slots(cinderlocks.get_lock, 2), Manner(checkpoint=MIB)),
            (0.01, 0.01))
        # Who is killed is so for long enough.
        drv.desk.book.lease = 0.5

    def restarted(self, **backend: Any) -> Any:
        """The driver with other options."""
        self.drv.tear_down()
        self.drv = self.start_driver(
            **{'lightbits_default_num_replicas': 1, **backend})
        self.equip(self.drv)
        return self.drv

    def host(self, **changes: Any) -> dict[str, Any]:
        """A destination, as the manager passes it: this backend."""
        return {'host': f'{base.HOST}#federation', 'cluster_name': None,
                'capabilities': {}} | changes

    def migrate(self, record: Any, **host: Any) -> Any:
        """Migrate as the manager does, and save what it would."""
        volume = self.reread(record)
        moved, update = self.drv.migrate_volume(
            self.context, volume, self.host(**host))
        if update:
            self.saved(volume, update)
        return moved

    def killed(self, record: Any) -> None:
        """Let the process end in the middle of a migrate."""
        moved = self.mover.copy

        def dying(*args: Any) -> int:
            if self.mover.calls:
                raise Killed
            return moved(*args)

        self.mover.copy = dying  # type: ignore[method-assign]
        self.assertRaises(Killed, self.migrate, record)
        self.mover.copy = moved  # type: ignore[method-assign]
        self.mover.calls.clear()

    def finished(self, job: Any) -> None:
        """Have another service find a job of one that has died."""
        self.drv.tear_down()
        other = self.start_driver(lightbits_default_num_replicas=1)
        self.equip(other)
        self.drv = other
        other._service._runner.look_now()
        self.wait(lambda: other.desk.book.get(job.id).ended)


class MigrateTest(MobilityTestCase):

    def test_within_the_backend(self) -> None:
        record = self.filled()
        home, _found = self.on(record)
        content = files.content(self.path(record))
        self.assertIs(True, self.migrate(record))
        there, found = self.on(record)
        self.assertNotEqual(home, there)
        self.assertEqual(content, files.content(self.path(record)))
        self.assertEqual(f'default {found["UUID"]}',
                         self.reread(record).provider_id)
        job, = self.drv.desk.book.all()
        self.assertEqual(
            ('migrate', record.id, JobState.DONE, 4 * MIB),
            (job.kind, job.subject, job.state, job.parameters and 4 * MIB))
        self.migrate(record)
        self.assertEqual(home, self.on(record)[0])

    def test_it_raises_where_cinder_would_copy_to_the_same_cluster(self
                                                                   ) -> None:
        record = self.filled(MIB, specs={'lightos:cluster': 'east'})
        before = self.objects()
        self.assertRaisesRegex(
            exception.VolumeBackendAPIException, 'no cluster can take',
            self.migrate, record)
        self.assertEqual(before, self.objects())

    def test_in_the_way(self) -> None:
        record = self.filled(MIB)
        snapshot = self.snapshot(record)
        self.assertRaisesRegex(exception.MetadataUpdateFailure,
                               '1 snapshots', self.migrate, record)
        snapshot.destroy()
        self.attach(self.drv, record, base.connector(1))
        self.assertRaisesRegex(exception.MetadataUpdateFailure,
                               'attached', self.migrate, record)

    def test_a_backend_of_others_is_left_to_cinder(self) -> None:
        record = self.filled(MIB)
        other = {'host': 'stor1@other#pool'}
        self.assertEqual((False, None), self.drv.migrate_volume(
            self.context, record, self.host(**other)))
        for info in ('', 'LightbitsFederation:another-cloud:'
                     f'{self.arrays["west"].uuid}',
                     f'LightbitsFederation:{base.FEDERATION_ID}:',
                     f'LightbitsFederation:{base.FEDERATION_ID}:unknown'):
            self.assertIs(False, self.migrate(
                record, capabilities={'location_info': info}, **other))

    def test_another_backend_of_ours(self) -> None:
        record = self.filled(MIB)
        home, _found = self.on(record)
        there, = set(self.arrays) - {home}

        def info(*names: str) -> dict[str, Any]:
            uuids = ','.join(self.arrays[name].uuid for name in names)
            return {'host': 'stor1@other#federation', 'capabilities': {
                'location_info':
                    f'LightbitsFederation:{base.FEDERATION_ID}:{uuids}'}}

        self.assertIs(True, self.migrate(record, **info(there)))
        self.assertEqual(there, self.on(record)[0])
        calls = len(self.mover.calls)
        # It has the cluster that the volume is on: nothing moves.
        self.assertIs(True, self.migrate(record, **info(home, there)))
        self.assertEqual((there, calls),
                         (self.on(record)[0], len(self.mover.calls)))

    def test_statistics_say_what_a_destination_must(self) -> None:
        pool, = self.wait(lambda: [
            item for item in self.drv.get_volume_stats()['pools']
            if item['lightbits_clusters_open'] == 2] or None)
        uuids = ','.join(sorted(item.uuid for item in self.arrays.values()))
        self.assertEqual(
            f'LightbitsFederation:{base.FEDERATION_ID}:{uuids}',
            pool['location_info'])

    def test_goes_on_after_the_service_was_killed(self) -> None:
        record = self.filled()
        content = files.content(self.path(record))
        self.killed(record)
        self.assertIs(True, self.migrate(record))
        self.assertEqual(content, files.content(self.path(record)))
        again = sum(item.length for call in self.mover.calls
                    for item in call)
        self.assertEqual(3 * MIB, again)

    def test_a_volume_whose_migrate_was_killed_is_deleted_whole(self
                                                                ) -> None:
        record = self.filled()
        self.killed(record)
        self.drv.delete_volume(self.reread(record))
        self.assertEqual({name: [] for name in self.arrays}, self.objects())
        job, = self.drv.desk.book.all()
        self.assertIs(JobState.CANCELLED, job.state)

    def test_any_service_takes_back_what_a_dead_one_has_left(self) -> None:
        record = self.filled()
        before = self.objects()
        self.killed(record)
        self.assertNotEqual(before, self.objects())
        job, = self.drv.desk.book.all()
        self.drv.desk.book.cancel(job.id)
        self.finished(job)
        self.assertIs(JobState.CANCELLED,
                      self.drv.desk.book.get(job.id).state)
        self.assertEqual(before, self.objects())

    def test_also_for_a_volume_that_is_gone(self) -> None:
        record = self.filled()
        home, _found = self.on(record)
        before = self.objects()
        self.killed(record)
        job, = self.drv.desk.book.all()
        self.reread(record).destroy()
        self.drv.desk.book.cancel(job.id)
        self.finished(job)
        self.assertEqual(before[home], self.objects()[home])
        self.assertEqual(before, self.objects())

    def test_a_move_that_was_carried_out_is_not_taken_back(self) -> None:
        record = self.filled(MIB)
        home, _found = self.on(record)
        content = files.content(self.path(record))
        with mock.patch.object(Relocation, '_finish', autospec=True,
                               side_effect=Killed):
            self.assertRaises(Killed, self.migrate, record)
        job, = self.drv.desk.book.all()
        self.drv.desk.book.cancel(job.id)
        self.finished(job)
        self.assertIs(JobState.DONE, self.drv.desk.book.get(job.id).state)
        self.assertNotEqual(home, self.on(record)[0])
        self.assertEqual(content, files.content(self.path(record)))
        self.assertEqual([], self.objects()[home])

    def test_a_failure_leaves_all_as_before(self) -> None:
        record = self.filled()
        before = self.objects()
        moved = self.mover.copy

        def failing(*args: Any) -> int:
            raise OSError(5, 'no path')

        self.mover.copy = failing  # type: ignore[method-assign]
        self.assertRaises(OSError, self.migrate, record)
        self.assertEqual(before, self.objects())
        self.mover.copy = moved  # type: ignore[method-assign]
        self.assertIs(True, self.migrate(record))

    def cancelled(self, record: Any, moment: int) -> bool:
        """Migrate, and have the job cancelled at its n-th step.

        :returns: False if it had no such step, and the volume has moved.
        """
        save, steps = HeldJob.save, itertools.count(1)

        def asked(job: HeldJob, *args: Any) -> None:
            if next(steps) == moment:
                job.book.cancel(job.job.id)
            save(job, *args)

        with mock.patch.object(HeldJob, 'save', autospec=True,
                               side_effect=asked):
            try:
                self.migrate(record)
            except exception.CinderException:
                return True
        return False

    def test_cancel_at_any_moment(self) -> None:
        record = self.filled()
        home, _found = self.on(record)
        before = self.objects()
        place = self.reread(record).provider_location
        content = files.content(self.path(record))
        moments = 0
        while self.cancelled(record, moments + 1):
            moments += 1
            self.assertEqual(before, self.objects(), moments)
            self.assertEqual(place, self.reread(record).provider_location)
            self.assertEqual(content, files.content(self.path(record)))
            self.assertEqual([], self.attacher.live)
            job = self.drv.desk.book.latest('migrate', record.id)
            self.assertIs(JobState.CANCELLED, job.state)
        self.assertGreater(moments, 8)
        self.assertNotEqual(home, self.on(record)[0])
        self.assertEqual(content, files.content(self.path(record)))

    def test_with_a_pool_per_cluster(self) -> None:
        drv = self.restarted(lightbits_pools='cluster')
        record = self.made(drv, host=f'{base.HOST}#east')
        files.scatter(self.path(record), base.GIB, MIB)
        self.assertIs(True, self.migrate(record, host=f'{base.HOST}#west'))
        self.assertEqual('west', self.on(record)[0])
        self.assertEqual(f'{base.HOST}#west', self.reread(record).host)


class RetypeTestCase(MobilityTestCase):

    def retype(self, record: Any, specs: dict[str, str]) -> Any:
        """Retype as the manager does."""
        new_type = objects.VolumeType.get_by_id(
            self.context, self.volume_type(specs))
        return self.drv.retype(self.context, self.reread(record), new_type,
                               {'extra_specs': {}, 'encryption': {}},
                               self.host())


class RetypeTest(RetypeTestCase):

    def test_moves_where_the_type_wants_it(self) -> None:
        self.restarted(lightbits_retype_by_copy=True)
        record = self.filled()
        home, _found = self.on(record)
        there, = set(self.arrays) - {home}
        content = files.content(self.path(record))
        done, update = self.retype(record, {'lightos:cluster': there})
        self.assertIs(True, done)
        self.saved(self.reread(record), update)
        self.assertEqual(there, self.on(record)[0])
        self.assertEqual(content, files.content(self.path(record)))
        # In place, where it is now: no bytes.
        calls = len(self.mover.calls)
        self.assertIs(True, self.retype(
            record, {'lightos:cluster': there, 'compression': 'True'}))
        self.assertEqual(calls, len(self.mover.calls))

    def test_is_left_to_cinder_unless_allowed(self) -> None:
        record = self.filled(MIB)
        home, _found = self.on(record)
        there, = set(self.arrays) - {home}
        self.assertIs(False, self.retype(record, {'lightos:cluster': there}))
        self.restarted(lightbits_retype_by_copy=True)
        self.assertIs(False, self.retype(record, {
            'lightos:cluster': there, 'lightos:sector_size': '512'}))
        self.snapshot(record)
        self.assertIs(False, self.retype(record, {'lightos:cluster': there}))
        self.assertEqual(home, self.on(record)[0])


class CloneTest(MobilityTestCase):

    def pinned(self, record: Any) -> tuple[str, Any]:
        """A new volume that is to be on the other cluster."""
        home, _found = self.on(record)
        there, = set(self.arrays) - {home}
        return there, self.volume(specs={'lightos:cluster': there})

    def test_to_the_cluster_that_the_type_names(self) -> None:
        drv = self.restarted(lightbits_cross_cluster_clones=True)
        record = self.filled()
        there, clone = self.pinned(record)
        self.saved(clone, drv.create_cloned_volume(clone, record))
        self.assertEqual(there, self.on(clone)[0])
        self.assertEqual(files.content(self.path(record)),
                         files.content(self.path(clone)))
        snapshot = self.snapshot(record)
        self.saved(snapshot, drv.create_snapshot(snapshot))
        other = self.volume(specs={'lightos:cluster': there})
        self.saved(other, drv.create_volume_from_snapshot(other, snapshot))
        self.assertEqual(there, self.on(other)[0])
        for item in (clone, other):
            drv.delete_volume(self.reread(item))
        self.assertEqual([], self.objects()[there])

    def test_is_refused_unless_allowed(self) -> None:
        record = self.filled(MIB)
        _there, clone = self.pinned(record)
        self.assertRaises(exception.VolumeBackendAPIException,
                          self.drv.create_cloned_volume, clone, record)
        self.assertEqual([], self.mover.calls)

    def test_is_thin_where_the_source_is_right(self) -> None:
        drv = self.restarted(lightbits_cross_cluster_clones=True)
        record = self.filled(MIB)
        home, _found = self.on(record)
        clone = self.volume(specs={'lightos:cluster': home})
        self.saved(clone, drv.create_cloned_volume(clone, record))
        self.assertEqual((home, []), (self.on(clone)[0], self.mover.calls))

    def test_a_killed_one_is_cleaned_up_by_delete(self) -> None:
        drv = self.restarted(lightbits_cross_cluster_clones=True)
        record = self.filled()
        before = self.objects()
        _there, clone = self.pinned(record)

        def dying(*args: Any) -> int:
            raise Killed

        self.mover.copy = dying  # type: ignore[method-assign]
        self.assertRaises(Killed, drv.create_cloned_volume, clone, record)
        self.assertNotEqual(before, self.objects())
        drv.delete_volume(self.reread(clone))
        self.assertEqual(before, self.objects())
