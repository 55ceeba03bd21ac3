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

"""Volumes that somebody uses while they are being moved."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import Any
from unittest import mock

from cinder import exception

from cinder_lightbits_federation import access
from cinder_lightbits_federation.copy.origin import Origin
from cinder_lightbits_federation.copy.pieces import Pieces
from cinder_lightbits_federation.copy.relocation import Relocation
from cinder_lightbits_federation.copy.transfer import Transfer
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.records import LocationRecord
from tests.copying import files
from tests.unit.copy import test_mobility
from tests.unit.driver import base

MIB = files.MIB
STAYS = 'stays where it was'


class TouchedTestCase(test_mobility.MobilityTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.record = self.filled()
        self.home, found = self.on(self.record)
        self.source = self.path(self.record)
        self.place = self.recorded()

    def used(self, stay: bool = False) -> None:
        """Attach the volume and write to it; detach it unless it stays."""
        volume = self.reread(self.record)
        attached = self.attach(self.drv, volume, base.connector(1))
        files.scatter(self.source, base.GIB, 2 * MIB, seed=7)
        if not stay:
            self.leave(attached)

    def leave(self, attachment: Any) -> None:
        attachment.destroy()
        self.drv.terminate_connection(self.reread(self.record),
                                      attachment.connector)

    def while_copying(self, act: Callable[[], object], call: int = 1) -> None:
        """Have something happen before the n-th batch is copied."""
        moved = self.mover.copy
        acts = [act]

        def copying(*args: Any) -> int:
            if acts and len(self.mover.calls) == call - 1:
                acts.pop()()
            return moved(*args)

        self.mover.copy = copying  # type: ignore[method-assign]

    def at(self, where: Any, name: str, act: Callable[[], object],
           after: bool = False) -> None:
        """Have something happen once, before or after a call."""
        called = getattr(where, name)
        acts = [act]

        def calling(*args: Any, **kwargs: Any) -> Any:
            if acts and not after:
                acts.pop()()
            result = called(*args, **kwargs)
            if acts:
                acts.pop()()
            return result

        patched = mock.patch.object(where, name, calling)
        patched.start()
        self.addCleanup(patched.stop)

    def known(self) -> Any:
        """What is written down of the move, for another service."""
        ledger = files.Transient()
        ledger.save(self.drv.desk.book.all()[0].checkpoint, 0, 0)
        return ledger

    def take_back(self, ledger: Any) -> None:
        """Take the move back, as another service."""
        volume = self.reread(self.record)
        Relocation(self.transfer).abandon(self.drv._ref(volume), ledger,
                                          LocationRecord(volume))

    def recorded(self) -> Any:
        """The place that the record names, in whatever words."""
        return dataclasses.replace(self.location(self.record), attempt=None)

    def at_home(self) -> None:
        """See that the record names the place where it was."""
        self.assertEqual(self.place, self.recorded())
        self.assertEqual(self.home, self.on(self.record)[0])

    def stays(self) -> None:
        """Migrate, and see that all is where it was."""
        self.assertRaisesRegex(exception.MetadataUpdateFailure, STAYS,
                               self.migrate, self.record)
        there, = set(self.arrays) - {self.home}
        self.assertEqual([], self.objects()[there])
        self.assertEqual(1, len(self.objects()[self.home]))
        self.at_home()
        job, = self.drv.desk.book.all()
        self.assertIs(JobState.FAILED, job.state)
        self.assertEqual({}, job.checkpoint)

    def moves(self) -> None:
        """Migrate, and see that nothing that was written is lost."""
        self.assertIs(True, self.migrate(self.record))
        self.assertNotEqual(self.home, self.on(self.record)[0])
        self.assertEqual([], self.objects()[self.home])
        self.assertEqual(self.written, files.content(self.path(self.record)))

    def use(self) -> None:
        """As `used`, and keep what the volume holds then."""
        self.used()
        self.written = files.content(self.source)


class AttachedTest(TouchedTestCase):

    def test_in_the_first_pass(self) -> None:
        self.while_copying(lambda: self.used(stay=True))
        self.stays()
        self.assertIn(base.nqn(1), self.objects()[self.home][0])

    def test_it_moves_when_it_is_not_used_any_more(self) -> None:
        self.while_copying(lambda: self.used(stay=True))
        self.stays()
        attachment, = self.reread(self.record).volume_attachment
        self.leave(attachment)
        self.written = files.content(self.source)
        self.mover.calls.clear()
        self.moves()

    def test_and_detached_in_the_first_pass(self) -> None:
        self.while_copying(self.use)
        self.moves()

    def test_in_the_second_pass(self) -> None:
        def change() -> None:
            self.use()
            self.while_copying(self.used, len(self.mover.calls) + 5)

        # The first pass has four batches.
        self.while_copying(change)
        self.stays()

    def test_while_the_last_snapshot_is_taken(self) -> None:
        self.at(Transfer, 'thick_copy', lambda: self.at(
            type(self.drv.federation.snapshots), 'take', lambda: self.at(
                type(self.drv.federation.snapshots), 'take', self.used,
                after=True), after=True))
        self.stays()

    def test_when_all_is_copied(self) -> None:
        self.at(Origin, 'close', self.used)
        self.stays()
        self.assertNotIn(access.MOVING, str(self.objects()))

    def test_when_all_is_copied_and_stays_so(self) -> None:
        self.at(Origin, 'close', lambda: self.used(stay=True))
        self.stays()


class HalfTest(TouchedTestCase):
    """A move that was not taken back to the end of that."""

    def test_the_copy_is_gone(self) -> None:
        def fail(*_args: Any) -> None:
            raise lb_errors.Unreachable('no', cluster=self.home)

        def use() -> None:
            self.use()
            self.mock_object(Pieces, 'remove_helpers', fail)

        removing = Pieces.remove_helpers
        self.at(Origin, 'close', use)
        self.assertRaises(exception.CinderException, self.migrate,
                          self.record)
        self.mock_object(Pieces, 'remove_helpers', removing)
        job, = self.drv.desk.book.all()
        self.assertEqual('copied', job.checkpoint['stage'])
        there, = set(self.arrays) - {self.home}
        self.assertEqual([], self.objects()[there])
        self.at_home()
        self.moves()


class UntoldTest(TouchedTestCase):
    """Where the cluster does not tell what has changed."""

    def setUp(self) -> None:
        super().setUp()
        self.written = files.content(self.source)

    def untold(self) -> None:
        self.arrays[self.home].fault('status', route='snapshots.diff',
                                     status=404)

    def read(self) -> int:
        return sum(item.length for call in self.mover.calls for item in call)

    def test_it_is_copied_again_as_a_whole(self) -> None:
        self.untold()
        self.while_copying(self.use)
        self.moves()
        self.assertEqual(2 * base.GIB, self.read())

    def test_only_from_the_second_pass_on(self) -> None:
        def act() -> None:
            self.use()
            self.untold()

        self.while_copying(act)
        self.moves()
        self.assertEqual(4 * MIB + base.GIB, self.read())

    def test_nobody_came_so_once_is_enough(self) -> None:
        self.untold()
        self.moves()
        self.assertEqual(base.GIB, self.read())

    def test_small_sectors(self) -> None:
        self.record = self.filled(specs={'lightos:sector_size': '512'})
        self.home, _found = self.on(self.record)
        self.source = self.path(self.record)
        others = self.objects()[self.home]
        self.while_copying(self.use)
        self.assertIs(True, self.migrate(self.record))
        self.assertEqual(self.written, files.content(self.path(self.record)))
        self.assertEqual(len(others) - 1, len(self.objects()[self.home]))


class ClosedTest(TouchedTestCase):
    """From the moment on when all is copied."""

    def refused(self, record: Any) -> None:
        self.assertRaisesRegex(
            exception.VolumeBackendAPIException, 'is being moved',
            self.drv.initialize_connection, record, base.connector(1))

    def test_before_the_record_is_written(self) -> None:
        self.written = files.content(self.source)
        self.at(LocationRecord, 'record', lambda: self.refused(
            self.reread(self.record)))
        self.moves()

    def test_by_who_has_read_the_record_before(self) -> None:
        self.written = files.content(self.source)
        stale = self.reread(self.record)
        self.at(LocationRecord, 'record', lambda: self.refused(stale),
                after=True)
        self.moves()
        self.assertRaises(
            exception.VolumeNotFound, self.drv.initialize_connection, stale,
            base.connector(1))
        self.assertEqual([], self.objects()[self.home])

    def test_a_late_request_meets_another_version(self) -> None:
        """Who has read the volume before it was closed comes too late."""
        self.written = files.content(self.source)
        grant = access.grant
        graces = [self.moves]

        def granting(*args: Any, **kwargs: Any) -> Any:
            change = grant(*args, **kwargs)
            if graces:
                graces.pop()()
            return change

        with mock.patch.object(access, 'grant', granting):
            self.assertRaises(
                exception.VolumeNotFound, self.drv.initialize_connection,
                self.reread(self.record), base.connector(1))
        self.assertEqual([], self.objects()[self.home])
        self.assertNotIn(base.nqn(1), str(self.objects()))

    def kill(self) -> None:
        with mock.patch.object(LocationRecord, 'record', autospec=True,
                               side_effect=test_mobility.Killed):
            self.assertRaises(test_mobility.Killed, self.migrate, self.record)
        self.refused(self.reread(self.record))
        self.at_home()

    def test_a_killed_move_goes_on(self) -> None:
        self.written = files.content(self.source)
        self.kill()
        self.mover.calls.clear()
        self.moves()
        self.assertEqual([], self.mover.calls)

    def test_a_killed_move_is_taken_back(self) -> None:
        before = self.objects()
        self.kill()
        volume = self.reread(self.record)
        held = self.wait(lambda: self.drv.desk.take(
            self.drv.desk.book.all()[0]))
        self.take_back(held)
        self.assertEqual(before, self.objects())
        self.attach(self.drv, volume, base.connector(1))

    def test_who_has_slept_does_not_cut_over(self) -> None:
        """A move that another service has taken back is not carried out."""
        def undo() -> None:
            self.take_back(self.known())

        self.kill()
        self.at(Origin, 'close', undo)
        self.assertRaises(exception.CinderException, self.migrate,
                          self.record)
        self.at_home()

    def test_detaching_does_not_open_it(self) -> None:
        self.written = files.content(self.source)
        for use_ip_acl in (False, True):
            self.restarted(lightbits_use_ip_acl=use_ip_acl)
            self.home, _found = self.on(self.record)
            self.place = self.recorded()
            self.kill()
            volume = self.reread(self.record)
            self.drv.terminate_connection(volume, None, force=True)
            self.drv.terminate_connection(volume, base.connector(1))
            self.refused(volume)
            # Nor does it look as if somebody had come.
            self.moves()

    def test_what_was_moved_and_is_in_use_is_not_removed(self) -> None:
        """A service of before knows nothing of closed volumes."""
        _home, found = self.on(self.record)

        def admit() -> None:
            self.arrays[self.home].request(
                'PUT', f'/api/v2/projects/default/volumes/{found["UUID"]}',
                {'acl': {'values': [access.MOVING, base.nqn(1)]}})

        self.at(LocationRecord, 'record', admit, after=True)
        self.assertRaisesRegex(exception.VolumeBackendAPIException,
                               f'in use by {base.nqn(1)}', self.migrate,
                               self.record)
        self.assertEqual(1, len(self.objects()[self.home]))


class CheckpointTest(TouchedTestCase):

    def test_one_of_a_service_of_before(self) -> None:
        """It does not say who came, so all is copied anew."""
        self.written = files.content(self.source)
        self.killed(self.record)
        book = self.drv.desk.book
        job, = book.all()
        held = self.wait(lambda: self.drv.desk.take(job))
        held.save({key: value for key, value in job.checkpoint.items()
                   if key != 'etags'}, job.done, job.total)
        self.drv.desk.let_go(held)
        self.moves()
        self.assertEqual(4 * MIB, sum(
            item.length for call in self.mover.calls for item in call))
