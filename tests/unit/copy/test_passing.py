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

"""Copies that something comes in the way of for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
from typing import Any
from unittest import mock

from cinder import exception

from cinder_lightbits_federation.attachments import Attachment
from cinder_lightbits_federation.copy.devices import Device
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy.pieces import Pieces
from cinder_lightbits_federation.copy import tries
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.jobs.runner import Stopping
from cinder_lightbits_federation.lightbits import errors as lb_errors
from tests.copying import files
from tests.unit.copy import test_mobility
from tests.unit.copy.test_transfer import CopyTestCase
from tests.unit.copy.test_transfer import Ledger
from tests.unit.driver import base

MIB = files.MIB
# As the privileged helper's end is told.
EOF = OSError('Premature eof waiting for privileged process')


class PassingTestCase(CopyTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.moving_bytes = self.mover.copy

    def fail(self, *batches: int, error: Exception = EOF,
             then: Callable[[], None] = lambda: None) -> None:
        """Have some batches fail, counted from 1; all if none is named.

        :param then: called before a failure.
        """
        moved, calls = self.mover.copy, iter(range(1, 1000))

        def failing(*args: Any) -> int:
            number = next(calls)
            if not batches or number in batches:
                then()
                raise error
            return moved(*args)

        self.mover.copy = failing  # type: ignore[method-assign]

    def works(self) -> None:
        """Nothing fails any more."""
        self.mover.copy = self.moving_bytes  # type: ignore[method-assign]

    def hang_on(self, times: int) -> None:
        """Let devices not go from the host, so many times."""
        plain, left = self.attacher.connected, iter(range(times))

        @contextlib.contextmanager
        def connected(attachment: Attachment) -> Iterator[Device]:
            with plain(attachment) as device:
                yield device
            if next(left, None) is not None:
                raise errors.Interrupted('cannot be detached: busy')

        self.attacher.connected = connected  # type: ignore[method-assign]

    def moved(self) -> int:
        """Bytes that were copied, those of batches that failed apart."""
        return sum(item.length for call in self.mover.calls for item in call)

    def same(self, record: Any, made: Any) -> None:
        """The new volume holds what the old one does."""
        self.assertEqual(
            files.content(self.path(record)), files.content(
                self.arrays[made.cluster].data_path(made.volume.uuid)))


class ThickCopyTest(PassingTestCase):

    def test_a_helper_that_ends(self) -> None:
        record, ledger = self.filled(), Ledger()
        self.fail(3, 5)
        made = self.transfer.thick_copy(self.order(record), ledger)
        self.same(record, made)
        self.assertEqual(4 * MIB, self.moved())
        self.assertEqual([], self.attacher.live)

    def test_a_device_that_does_not_go_at_the_end(self) -> None:
        record, ledger = self.filled(), Ledger()
        self.hang_on(2)
        made = self.transfer.thick_copy(self.order(record), ledger)
        self.same(record, made)
        self.assertEqual(4 * MIB, self.moved())

    def test_one_that_never_goes(self) -> None:
        record, ledger = self.filled(), Ledger()
        order, plain = self.order(record), self.attacher.connected
        self.hang_on(1000)
        self.assertRaisesRegex(errors.Interrupted, 'busy',
                               self.transfer.thick_copy, order, ledger)
        self.attacher.connected = plain  # type: ignore[method-assign]
        self.same(record, self.transfer.thick_copy(order, ledger))
        self.assertEqual(4 * MIB, self.moved())

    def test_what_fails_too_often_is_kept(self) -> None:
        record, ledger = self.filled(), Ledger()
        order = self.order(record)
        self.fail(*range(4, 1000))
        self.assertRaises(OSError, self.transfer.thick_copy, order, ledger)
        kept = self.objects()
        self.assertNotEqual({}, ledger.load())
        self.works()
        made = self.transfer.thick_copy(order, ledger)
        self.same(record, made)
        self.assertEqual(4 * MIB, self.moved())
        self.assertEqual(len(kept[made.cluster]),
                         len(self.objects()[made.cluster]))

    def test_the_tries_begin_anew_with_progress(self) -> None:
        record, ledger = self.filled(), Ledger()
        # Two failures in a row, with two pauses, after each batch.
        self.fail(2, 3, 5, 6, 8, 9)
        made = self.transfer.thick_copy(self.order(record), ledger)
        self.same(record, made)

    def test_where_nothing_was_copied_nothing_is_kept(self) -> None:
        record, ledger = self.filled(), Ledger()
        before = self.objects()
        self.fail()
        self.assertRaises(OSError, self.transfer.thick_copy,
                          self.order(record), ledger)
        self.assertEqual((before, {}), (self.objects(), ledger.load()))

    def test_nothing_is_kept_where_nobody_goes_on(self) -> None:
        record, ledger = self.filled(), Ledger()
        before = self.objects()
        self.fail(*range(3, 1000))
        self.assertRaises(
            OSError, self.transfer.thick_copy, dataclasses.replace(
                self.order(record), kept=False), ledger)
        self.assertEqual((before, {}), (self.objects(), ledger.load()))

    def test_what_is_wrong_for_good_is_not_tried_again(self) -> None:
        for error in (errors.ContentDiffers('at byte 7'),
                      lb_errors.Forbidden('no right', status=403)):
            record, ledger = self.filled(), Ledger()
            before, tried = self.objects(), []
            self.fail(*range(3, 1000), error=error,
                      then=lambda tried=tried: tried.append(1))
            self.assertRaises(type(error), self.transfer.thick_copy,
                              self.order(record), ledger)
            self.assertEqual((before, {}), (self.objects(), ledger.load()))
            self.assertEqual([1], tried)
            self.works()

    def test_it_is_cancelled_while_it_waits(self) -> None:
        record, ledger = self.filled(), Ledger()
        before = self.objects()

        def cancel(number: int) -> None:
            raise errors.Cancelled('asked for')

        self.fail(*range(3, 1000),
                  then=lambda: setattr(ledger, 'end', cancel))
        self.assertRaises(errors.Cancelled, self.transfer.thick_copy,
                          self.order(record), ledger)
        self.assertEqual((before, {}), (self.objects(), ledger.load()))

    def test_a_service_that_stops_and_cannot_detach(self) -> None:
        record, ledger = self.filled(), Ledger()

        def end(number: int) -> None:
            if ledger.done >= 2 * MIB:
                raise Stopping

        ledger.end = end
        order = self.order(record)
        self.assertRaises(Stopping, self.transfer.thick_copy, order, ledger)
        ledger.end = lambda number: None
        self.same(record, self.transfer.thick_copy(order, ledger))
        self.assertEqual(4 * MIB, self.moved())

    def test_a_snapshot_that_goes_as_the_copy_goes_on(self) -> None:
        record = self.filled()
        home, _found = self.on(record)
        ledger, order = Ledger(), self.order(record)

        def lose(number: int) -> None:
            if ledger.done:
                raise errors.Lost('another host has it')

        ledger.end = lose
        self.assertRaises(errors.Lost, self.transfer.thick_copy, order,
                          ledger)
        ledger.end = lambda number: None
        taken, = self.arrays[home].state()['snapshots']
        files.scatter(self.path(record), base.GIB, 2 * MIB, seed=7)
        taking, gone = Pieces.snapshot, [taken['UUID']]

        def snapshot(*args: Any) -> Any:
            if gone:
                self.arrays[home].request(
                    'DELETE',
                    f'/api/v2/projects/default/snapshots/{gone.pop()}')
                self.wait(lambda: not self.arrays[home].state()['snapshots']
                          or None)
            return taking(*args)

        self.mock_object(Pieces, 'snapshot', snapshot)
        made = self.transfer.thick_copy(order, ledger)
        self.assertEqual(files.content(self.path(record)), files.content(
            self.arrays[made.cluster].data_path(made.volume.uuid)))


class MoveTest(PassingTestCase):

    def moving(self, record: Any) -> Any:
        """:returns: an order to move a volume."""
        return self.order(record, moves=True)

    def test_a_cluster_that_answers_again(self) -> None:
        record, ledger = self.filled(), Ledger()
        home, _found = self.on(record)
        moved = self.mover.copy

        def copying(*args: Any) -> int:
            if len(self.mover.calls) == 3:
                self.arrays[home].fault('status', route='snapshots.diff',
                                        status=500, count=1)
            return moved(*args)

        self.mover.copy = copying  # type: ignore[method-assign]
        made = self.transfer.thick_copy(self.moving(record), ledger)
        self.same(record, made)
        self.assertEqual(4 * MIB, self.moved())

    def test_one_that_fails_when_all_is_copied(self) -> None:
        record, ledger = self.filled(), Ledger()
        order = self.moving(record)

        def away(number: int) -> None:
            if ledger.load()['stage'] == 'copied':
                for array in self.arrays.values():
                    array.fault('status', route='volumes.*', status=500)

        ledger.end = away
        self.assertRaises(lb_errors.LightbitsError, self.transfer.thick_copy,
                          order, ledger)
        for array in self.arrays.values():
            array.clear_faults()
        ledger.end = lambda number: None
        self.same(record, self.transfer.thick_copy(order, ledger))
        self.assertEqual(4 * MIB, self.moved())


class MigrateTest(PassingTestCase, test_mobility.MobilityTestCase):
    """What Cinder's migrate leaves when it has failed for now."""

    def failed(self) -> Any:
        """A volume whose migrate has copied half of it and has failed."""
        record = self.filled()
        self.fail(*range(3, 1000))
        self.assertRaises(OSError, self.migrate, record)
        self.works()
        self.mover.calls.clear()
        job, = self.drv.desk.book.all()
        self.assertIs(JobState.FAILED, job.state)
        self.assertEqual(4, len(self.all_objects()))
        return record

    def all_objects(self) -> list[str]:
        """Names of all that is on the clusters."""
        return [name for names in self.objects().values() for name in names]

    def test_asked_for_again_it_goes_on(self) -> None:
        record = self.failed()
        files.scatter(self.path(record), base.GIB, MIB, seed=3)
        content = files.content(self.path(record))
        self.assertIs(True, self.migrate(record))
        self.assertEqual(content, files.content(self.path(record)))
        self.assertLess(self.moved(), 4 * MIB)
        self.assertEqual(1, len(self.all_objects()))

    def given_up(self) -> Any:
        """A volume whose migrate has failed in the second pass."""
        record = self.filled()
        home, _found = self.on(record)

        def copying(*args: Any) -> int:
            result = self.moving_bytes(*args)
            if len(self.mover.calls) == 4:
                self.arrays[home].fault('status', route='snapshots.diff',
                                        status=500)
            return result

        self.mover.copy = copying  # type: ignore[method-assign]
        self.assertRaises(exception.VolumeBackendAPIException, self.migrate,
                          record)
        self.arrays[home].clear_faults()
        self.works()
        job, = self.drv.desk.book.all()
        self.assertEqual('second', job.checkpoint['stage'])
        self.mover.calls.clear()
        return record

    def test_in_the_second_pass(self) -> None:
        record = self.given_up()
        content = files.content(self.path(record))
        self.assertIs(True, self.migrate(record))
        self.assertEqual(content, files.content(self.path(record)))
        self.assertEqual([], self.mover.calls)
        self.assertEqual(1, len(self.all_objects()))

    def test_what_is_written_after_the_second_snapshot_stays(self) -> None:
        record = self.given_up()
        home, _found = self.on(record)
        attachment = self.attach(self.drv, record, base.connector(1))
        files.scatter(self.path(record), base.GIB, MIB, seed=4)
        attachment.destroy()
        self.drv.terminate_connection(self.reread(record),
                                      base.connector(1))
        content = files.content(self.path(record))
        self.assertRaises(exception.CinderException, self.migrate, record)
        self.assertEqual((home, 1), (self.on(record)[0],
                                     len(self.all_objects())))
        self.assertEqual(content, files.content(self.path(record)))
        self.assertIs(True, self.migrate(record))
        self.assertEqual(content, files.content(self.path(record)))

    def test_a_section_that_is_away_for_a_moment(self) -> None:
        record = self.filled()
        content = files.content(self.path(record))
        home, _found = self.on(record)
        federation = self.drv.federation
        full = federation.settings
        some = tuple(item for item in full.clusters if item.name != home)
        acts = [lambda: federation.apply(full),
                lambda: federation.apply(
                    dataclasses.replace(full, clusters=some))]
        moved, rest = self.mover.copy, tries._rest

        def copying(*args: Any) -> int:
            if len(acts) == 2 and len(self.mover.calls) == 2:
                acts.pop()()
            return moved(*args)

        def resting(*args: Any) -> None:
            if len(acts) == 1:
                acts.pop()()
            rest(*args)

        self.mover.copy = copying  # type: ignore[method-assign]
        with mock.patch.object(tries, '_rest', resting):
            self.assertIs(True, self.migrate(record))
        self.assertEqual([], acts)
        self.assertEqual(content, files.content(self.path(record)))
        self.assertEqual(4 * MIB, self.moved())

    def test_one_that_was_extended_meanwhile(self) -> None:
        record = self.failed()
        self.drv.extend_volume(record, 2)
        record.size = 2
        record.save()
        content = files.content(self.path(record))
        self.assertIs(True, self.migrate(record))
        self.assertEqual(content, files.content(self.path(record)))
        self.assertEqual(1, len(self.all_objects()))

    def test_deleting_the_volume_removes_it(self) -> None:
        record = self.failed()
        self.drv.delete_volume(self.reread(record))
        self.assertEqual([], self.all_objects())

    def test_cancelling_its_job_removes_it(self) -> None:
        record = self.failed()
        job, = self.drv.desk.book.all()
        self.drv.desk.book.cancel(job.id)
        self.finished(job)
        self.assertEqual(1, len(self.all_objects()))
        self.assertIs(True, self.migrate(record))
