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

"""Draining a cluster with many volumes in all the ways they are used."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from testtools import content

from tests.functional import base
from tests.functional import test_drain

VOLUMES = 200
# How many cannot leave, by what keeps them.
GROUPED, SNAPPED, HELD = 12, 12, 8
STAY = GROUPED + SNAPPED + HELD
MEANWHILE = 12
AT_ONCE = 6
# Every so many volumes hold data.
WRITTEN = 10
BLOCK = 4096


class FullDrainTest(test_drain.DrainTestCase):

    backend = {'lightbits_copy_jobs_per_cluster': str(AT_ONCE)}

    def grouped(self) -> dict[str, Any]:
        """Make a group; return what a volume in it asks for."""
        kind = self.sdk.create_type(name='grouped')
        group = self.sdk.create_group(
            name='several', volume_types=[kind.id],
            group_type=self.sdk.create_group_type(name='plain').id)
        self.wait(lambda: self.sdk.get_group(group.id).status == 'available',
                  'the group')
        return {'volume_type': kind.id, 'group_id': group.id}

    def block(self, number: int, volume: Any, data: bytes | None = None
              ) -> bytes:
        """Return a block of a volume, with other content if told."""
        with open(self.path(volume), 'r+b') as file:
            file.seek(number * BLOCK * 16)
            if data is not None:
                file.write(data)
                return data
            return file.read(BLOCK)

    def drain(self) -> tuple[list[dict[str, Any]], list[Any]]:
        """Drain, and go on making volumes.

        :returns: what the command says is left, and the new volumes.
        """
        begun = time.monotonic()
        drain = self.process('drain', 'run', 'east', '--at-once',
                             str(AT_ONCE), '--reason', 'a test', '-f', 'json')
        made = [self.create(self.sdk) for _number in range(MEANWHILE)]
        self.assertIsNone(drain.poll(), 'it was over before the creates')
        left = self.printed(drain, test_drain.FINDINGS)
        took = time.monotonic() - begun
        self.addDetail('figures', content.text_content(json.dumps({
            'drained in s': round(took, 1), 'volumes moved': VOLUMES - STAY,
            'by second': round((VOLUMES - STAY) / took, 1)})))
        return left, made

    def test_two_hundred(self) -> None:
        volumes = self.fill([self.grouped()] * GROUPED
                            + [{}] * (VOLUMES - GROUPED))
        data = {number: self.block(number, volumes[number],
                                   os.urandom(BLOCK))
                for number in range(0, VOLUMES, WRITTEN)}
        grouped, snapped = volumes[:GROUPED], volumes[GROUPED:][:SNAPPED]
        held = volumes[GROUPED + SNAPPED:STAY]
        for volume in snapped:
            self.snapshot(self.sdk, volume)
        for volume in held:
            self.sdk.complete_attachment(self.sdk.create_attachment(
                volume.id, connector=base.CONNECTOR))

        left, made = self.drain()

        reasons = {row['volume']: row['reason'] for row in left}
        self.assertEqual({item.id for item in volumes[:STAY]}, set(reasons))
        for items, reason in (
                (grouped, 'it is in group'), (snapped, 'it has 1 snapshots'),
                (held, 'without a server')):
            for volume in items:
                self.assertIn(reason, reasons[volume.id])
        places = self.places(volumes + made)
        self.assertEqual(set(reasons), {
            key for key, place in places.items() if place == 'east'})
        self.assertNotIn('', places.values())
        for number, written in data.items():
            self.assertEqual(written, self.block(number, volumes[number]))
        self.assertRegex(self.progress,
                         r'\d+ volumes moved, 0 to go, 0 failed')
        self.audit()
