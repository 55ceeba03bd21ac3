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

"""Copies while the database that services share is away."""

from __future__ import annotations

from cinder_lightbits_federation import errors as federation_errors
from tests.copying import files
from tests.unit.copy import test_transfer

MIB = files.MIB


class StoreAwayTest(test_transfer.CopyTestCase):

    def test_it_outlasts_the_store(self) -> None:
        def fail(number: int) -> None:
            if ledger.done:
                raise federation_errors.StoreUnavailable('failing over')

        record = self.filled()
        order, ledger = self.order(record), test_transfer.Ledger()
        ledger.end = fail
        self.assertRaises(federation_errors.StoreUnavailable,
                          self.transfer.thick_copy, order, ledger)
        begun = ledger.done
        self.assertNotEqual({}, ledger.load())
        ledger.end = lambda number: None
        self.mover.calls.clear()
        made = self.transfer.thick_copy(order, ledger)
        self.assertEqual(4 * MIB - begun, sum(
            item.length for call in self.mover.calls for item in call))
        self.assertEqual(
            files.content(self.path(record)), files.content(
                self.arrays[made.cluster].data_path(made.volume.uuid)))
