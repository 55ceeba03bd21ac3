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

"""Volumes that snapshots are taken of while they are being moved."""

from __future__ import annotations

from cinder import exception

from cinder_lightbits_federation.copy.origin import Origin
from cinder_lightbits_federation.records import LocationRecord
from tests.copying import files
from tests.unit.copy import test_touched


class SnapshotTest(test_touched.TouchedTestCase):

    def take(self) -> None:
        """Take a snapshot, as Cinder does."""
        self.taken = self.snapshot(self.reread(self.record))
        self.saved(self.taken, self.drv.create_snapshot(self.taken))

    def stays_with_it(self) -> None:
        self.assertRaisesRegex(
            exception.MetadataUpdateFailure, 'has 1 snapshots by now',
            self.migrate, self.record)
        self.at_home()
        there, = set(self.arrays) - {self.home}
        self.assertEqual([], self.objects()[there])
        self.assertEqual(2, len(self.objects()[self.home]))
        self.drv.delete_snapshot(self.reread(self.taken))
        self.taken.destroy()
        self.written = files.content(self.source)
        self.moves()

    def test_while_it_is_copied(self) -> None:
        self.while_copying(self.take)
        self.stays_with_it()

    def test_when_all_is_copied(self) -> None:
        self.at(Origin, 'close', self.take)
        self.stays_with_it()

    def test_when_it_is_closed(self) -> None:
        """It is refused, since who moves the volume may have looked."""
        def refused() -> None:
            self.assertRaisesRegex(
                exception.VolumeBackendAPIException, 'is being moved',
                self.take)

        self.written = files.content(self.source)
        self.at(LocationRecord, 'record', refused)
        self.assertIs(True, self.migrate(self.record))
        self.assertEqual([], self.objects()[self.home])
        self.assertEqual(self.written,
                         files.content(self.path(self.record)))
