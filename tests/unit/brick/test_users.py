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

"""What one user of a volume does, and what that means for others of it."""

from __future__ import annotations

import threading

from os_brick_ext import errors
from os_brick_ext import timing
from tests.unit.brick import base

VOLUME = base.volume(1)


class FailureTest(base.NativeTestCase):
    """A volume in use is attached once more, and that fails."""

    def check_kept(self) -> None:
        self.assertEqual(3, self.connected())
        self.assertEqual(['nvme0n1'], self.kernel.devices())
        self.assertEqual([], self.calls('delete'))

    def test_while_the_cluster_is_away(self) -> None:
        self.connect()
        self.kernel.set_ana('inaccessible')
        for name in self.kernel.controllers(self.nqn):
            self.kernel.set_state(name, 'connecting')
        self.assertRaises(errors.NotVisible, self.connect,
                          connect_timeout=0.1)
        self.check_kept()

    def test_while_somebody_works_on_the_cluster(self) -> None:
        self.connect()
        way = self.connector()._way
        held = threading.Event()

        def work() -> None:
            with way._locked(self.nqn, timing.Deadline.after(1)):
                held.set()
                timing.Quiet().wait(0.5)

        with self.in_background(work):
            held.wait(base.PATIENCE)
            self.assertRaises(errors.Busy, self.connect, connect_timeout=0.1)
        self.check_kept()

    def test_a_volume_that_was_not_here_leaves_nothing(self) -> None:
        self.kernel.withdraw(self.nqn, VOLUME)
        for _each in range(2):
            self.assertRaises(errors.NotVisible, self.connect,
                              connect_timeout=0.1)
            self.assertEqual(0, self.connected())
