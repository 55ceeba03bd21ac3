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

import time
from unittest import mock

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
