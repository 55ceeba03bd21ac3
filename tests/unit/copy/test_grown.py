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

"""Volumes that grow while they are being moved."""

from __future__ import annotations

from unittest import mock

from cinder import exception

from cinder_lightbits_federation import access
from cinder_lightbits_federation.copy.origin import Origin
from cinder_lightbits_federation.records import LocationRecord
from tests.copying import files
from tests.unit.copy import test_mobility
from tests.unit.copy import test_touched
from tests.unit.driver import base


class GrownTest(test_touched.TouchedTestCase):

    def extend(self) -> None:
        """Grow the volume to 2 GiB, as Cinder does."""
        volume = self.reread(self.record)
        self.drv.extend_volume(volume, 2)
        volume.size = 2
        volume.save()
        self.written = files.content(self.path(self.record))

    def sizes(self) -> tuple[int, int]:
        """Of the record and of the volume, in GiB."""
        _where, found = self.on(self.record)
        return (self.reread(self.record).size,
                int(found['size']) // base.GIB)

    def grown(self) -> None:
        """See that it stays with its new size, and moves the next time."""
        self.stays()
        self.assertEqual((2, 2), self.sizes())
        self.moves()
        self.assertEqual((2, 2), self.sizes())

    def test_in_the_first_pass(self) -> None:
        self.while_copying(self.extend)
        self.grown()

    def test_when_all_is_copied(self) -> None:
        self.at(Origin, 'close', self.extend)
        self.grown()

    def refused(self) -> None:
        self.assertRaisesRegex(exception.VolumeBackendAPIException,
                               'is being moved', self.extend)

    def test_before_the_record_is_written(self) -> None:
        self.written = files.content(self.source)
        self.at(LocationRecord, 'record', self.refused)
        self.moves()
        self.assertEqual((1, 1), self.sizes())
        self.extend()
        self.assertEqual((2, 2), self.sizes())

    def test_by_a_service_that_heeds_no_move(self) -> None:
        """It grows the volume although that is closed."""
        with mock.patch.object(LocationRecord, 'record', autospec=True,
                               side_effect=test_mobility.Killed):
            self.assertRaises(test_mobility.Killed, self.migrate, self.record)
        self.refused()
        volume = self.reread(self.record)
        with mock.patch.object(access, 'stays', autospec=True):
            self.drv.extend_volume(volume, 2)
        # Before Cinder has written the new size down.
        self.stays()
        volume.size = 2
        volume.save()
        self.written = files.content(self.source)
        self.moves()
        self.assertEqual((2, 2), self.sizes())

    def test_before_it_is_asked_for_again(self) -> None:
        """A copy of another size is not gone on with."""
        self.while_copying(self.extend)
        self.killed(self.record)
        self.moves()
        self.assertEqual((2, 2), self.sizes())
