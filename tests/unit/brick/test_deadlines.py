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

"""How long an operation of a host may take, and what counts as its time."""

from __future__ import annotations

import contextlib
import threading
import time
from unittest import mock

from os_brick_ext import locks
from os_brick_ext import timing
from tests.unit.brick import base


class LeavingTest(base.NativeTestCase):

    def test_it_begins_when_the_buffers_are_written(self) -> None:
        """To write them has a limit of its own, which is longer."""
        self.connect()
        connector = self.connector()
        written: list[float] = []
        with mock.patch.object(
                connector, '_flush',
                lambda _node: written.append(time.monotonic())), \
                mock.patch.object(
                    connector._way, 'leave', autospec=True,
                    side_effect=connector._way.leave) as leave:
            connector.disconnect_volume(self.data, None)
        _key, deadline = leave.call_args.args
        self.assertLessEqual(written[0], deadline.started)


class AttachingTest(base.NativeTestCase):
    """An attachment that waits for another operation on the volume."""

    def test_one_deadline_for_the_wait_and_the_rest(self) -> None:
        connector = self.connector()
        lock = locks.of_volume(base.volume(1))
        waiting, let_go = threading.Event(), []
        given: list[timing.Deadline] = []
        held, want = connector.locks.held, connector._way.want

        def hold(name, deadline, shared=False):
            if name == lock:
                given.append(deadline)
                waiting.set()
            return held(name, deadline, shared)

        def wanted(props, deadline):
            given.append(deadline)
            return want(props, deadline)

        with mock.patch.object(connector.locks, 'held', hold), \
                mock.patch.object(connector._way, 'want', wanted), \
                contextlib.ExitStack() as other:
            other.enter_context(self.connector().locks.held(
                lock, timing.Deadline.after(base.PATIENCE)))
            with self.in_background(
                    lambda: connector.connect_volume(self.data)) as outcome:
                waiting.wait(base.PATIENCE)
                let_go.append(time.monotonic())
                other.close()
        self.assertEqual('block', outcome[0]['type'])
        first, second = given
        self.assertEqual(first.end, second.end)
        # The volume is awaited from then on: it is not given up early
        # because somebody else took long.
        self.assertLessEqual(let_go[0], second.started)
