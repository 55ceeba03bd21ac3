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

"""Volumes that are copied between clusters, on the real kernel."""

from __future__ import annotations

import time

from tests.vm import report
from tests.vm import suite_cloud

MIB = 1 << 20
# In blocks; the rest of a volume is a hole.
USED = (0, 1, 700 * MIB // suite_cloud.BLOCK)
HOLE = 300 * MIB // suite_cloud.BLOCK
# Bytes: what may be moved of a volume that is a hole but for a few blocks.
LITTLE = 16 * MIB


class MoveTest(suite_cloud.CloudTestCase):
    """Cinder moves a volume over the connections of its own host."""

    def test_what_is_used_is_moved_and_all_is_the_same(self) -> None:
        volume = self.create('')
        data = self.attach(volume)
        home = data['subsysnqn']
        contents = {block: self.write(data['device_path'], block)
                    for block in USED}
        self.detach(volume, data)
        started = time.monotonic()
        written = self.cloud.call('move', volume=volume)
        report.sample('a volume is moved', 'seconds',
                      time.monotonic() - started)
        report.sample('a volume is moved', 'MiB of 1024 written',
                      written / MIB)
        self.assertGreaterEqual(written, len(USED) * suite_cloud.BLOCK)
        self.assertLess(written, LITTLE)
        data = self.attach(volume)
        self.assertNotEqual(home, data['subsysnqn'])
        # Nobody has left anything of where it was.
        self.check_nothing_left(home)
        for block, content in contents.items():
            self.assertEqual(content, self.read(data['device_path'], block))
        self.assertEqual(bytes(suite_cloud.BLOCK),
                         self.read(data['device_path'], HOLE))
        self.assertEqual(suite_cloud.GIB, self.size(data['device_path']))
        self.detach(volume, data)
