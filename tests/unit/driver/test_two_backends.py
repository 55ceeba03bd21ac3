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

import fixtures

from cinder_lightbits_federation import driver as lb_driver
from cinder_lightbits_federation import placer
from tests.unit.driver import base


class TwoBackendsTestCase(base.FederationTestCase):
    """What they promise is known to both at once."""

    CLUSTERS = ('east', 'west')

    def test_what_one_backend_promised_the_other_counts(self) -> None:
        first, second = self.start_driver(), self.start_driver()
        before = self.load(second)

        # A clone's or a create's bytes, before statistics can show them.
        held = first.federation.placer.reservations.reserve(
            self.arrays['east'].uuid, 5 * base.GIB, time.monotonic())
        self.addCleanup(first.federation.placer.reservations.release, held)

        self.assertEqual(before + 5 * base.GIB, self.load(second))

    def test_what_went_through_one_the_other_takes_into_account(self
                                                                ) -> None:
        # Nothing is known but what was promised.
        self.useFixture(fixtures.MockPatchObject(placer, 'FRESH',
                                                 float('inf')))
        first, second = (self.start_driver(lightbits_poll_interval=600)
                         for _number in range(2))
        for _number in range(6):
            self.made(first, size=100, specs={'lightos:cluster': 'east'})

        found = {self.on(self.made(second, size=100))[0]
                 for _number in range(5)}

        self.assertEqual({'west'}, found)

    def load(self, drv: lb_driver.LightbitsFederationDriver) -> int:
        """What a driver takes east to have promised."""
        return next(view.load for view in drv.federation.placer.views()
                    if view.uuid == self.arrays['east'].uuid)
