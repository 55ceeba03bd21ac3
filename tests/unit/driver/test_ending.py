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

"""Operations that are under way when Cinder ends the service."""

from __future__ import annotations

import threading

from cinder import coordination

from cinder_lightbits_federation import cinderlocks
from tests.unit.driver import base


class EndingTestCase(base.FederationTestCase):

    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(cinderlocks.LAST.close)

    def close(self) -> None:
        """Do what Cinder does before it waits for what is under way."""
        self.addCleanup(coordination.COORDINATOR.start)
        coordination.COORDINATOR.stop()

    def test_a_snapshot_is_still_made(self) -> None:
        drv = self.start_driver()
        volume = self.made(drv)
        snapshot = self.snapshot(volume)
        self.close()

        drv.create_snapshot(snapshot)

        drv.delete_snapshot(snapshot)
        drv.delete_volume(volume)

    def test_it_is_the_lock_that_others_see(self) -> None:
        self.close()
        theirs = coordination.Coordinator(
            prefix=coordination.COORDINATOR.prefix)
        theirs.start()
        self.addCleanup(theirs.stop)

        mine = cinderlocks.get_lock('it')

        self.assertTrue(mine.acquire(blocking=False))
        self.assertFalse(theirs.get_lock('it').acquire(blocking=False))
        mine.release()
        self.assertTrue(theirs.get_lock('it').acquire(blocking=False))

    def test_a_slow_start_keeps_nobody_else(self) -> None:
        """One thread asks a lock service that does not answer."""
        self.close()
        slow, begun = threading.Event(), threading.Event()
        start = coordination.Coordinator.start

        def starting(coordinator: coordination.Coordinator) -> None:
            if not begun.is_set():
                begun.set()
                slow.wait(30)
            start(coordinator)

        self.mock_object(coordination.Coordinator, 'start', starting)
        first = threading.Thread(target=cinderlocks.get_lock, args=('it',))
        first.start()
        self.addCleanup(first.join)
        self.addCleanup(slow.set)
        self.assertTrue(begun.wait(30))
        second = threading.Thread(target=cinderlocks.get_lock, args=('it',))
        second.start()
        second.join(20)
        self.assertFalse(second.is_alive())
        # The slow one uses what the other has started.
        kept = cinderlocks.LAST._coordinator
        slow.set()
        first.join()
        self.assertIs(kept, cinderlocks.LAST._coordinator)

    def test_cinders_own_is_used_while_it_is_there(self) -> None:
        self.close()
        cinderlocks.get_lock('it')
        coordination.COORDINATOR.start()

        cinderlocks.LAST.close()
        log = self.logged()

        cinderlocks.get_lock('it')

        self.assertEqual('', log.output)
