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

"""Claims that services leave behind, and what becomes of them."""

from __future__ import annotations

import os

from os_brick_ext import locks
from tests.unit.brick import base

VOLUME = base.volume(1)


class NativeTest(base.NativeTestCase):

    def left(self, user: str, number: int = 1) -> None:
        """Have a claim of a service that died."""
        with open(self.claim(user, number), 'w'):
            pass

    def test_claims_of_a_service_that_died(self) -> None:
        """They go when the volume is not here."""
        self.left('cinder')
        self.left('glance', 2)
        nova = self.service('nova')
        nova.connect_volume(self.data)
        self.check_claims('nova')
        self.left('cinder')
        nova.disconnect_volume(self.data, None)
        self.check_claims('cinder')
        self.kernel.withdraw(self.nqn, VOLUME)
        nova.disconnect_volume(self.properties(2, self.nqn), None)
        self.check_claims()
        self.assertEqual(0, self.connected())

    def test_a_lock_that_cannot_be_used(self) -> None:
        """That of a volume which is claimed holds up nobody else's."""
        nova = self.service('nova')
        nova.connect_volume(self.data)
        self.left('cinder', 2)
        os.mkfifo(os.path.join(self.locks, locks.PREFIX + locks.of_volume(
            base.volume(2))))
        nova.disconnect_volume(self.data, None)
        self.assertFalse(os.path.exists(self.claim('nova')))
