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

"""One cluster in two backends of one cloud."""

import time

from cinder_lightbits_federation import driver as lb_driver
from tests.unit.driver import base


class TwoBackendsTestCase(base.FederationTestCase):

    CLUSTERS = ('east', 'west')

    def test_what_one_backend_promised_the_other_counts(self) -> None:
        first, second = self.start_driver(), self.start_driver()
        before = self.load(second)

        # A clone's or a create's bytes, before statistics can show them.
        held = first.federation.placer.reservations.reserve(
            self.arrays['east'].uuid, 5 * base.GIB, time.monotonic())
        self.addCleanup(first.federation.placer.reservations.release, held)

        self.assertEqual(before + 5 * base.GIB, self.load(second))

    def load(self, drv: lb_driver.LightbitsFederationDriver) -> int:
        """What a driver takes east to have promised."""
        return next(view.load for view in drv.federation.placer.views()
                    if view.uuid == self.arrays['east'].uuid)
