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

"""What users do, with the waiting they do it with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import testtools

from tests.embedded import waiting


class Work(testtools.TestCase):
    """Operations that end when the service has done them."""

    def wait(self, look: Callable[[], Any], what: str,
             timeout: float = waiting.PATIENCE) -> Any:
        """See `waiting.wait_for`."""
        return waiting.wait_for(look, what, timeout)

    def settled(self, sdk: Any, volume: Any, *wanted: str) -> Any:
        """Wait until a volume has one of the wanted states; return it.

        :param wanted: ``available`` when none is given.
        """
        states = wanted or ('available',)
        ends = {*states, 'error', 'error_deleting'}

        def look() -> Any:
            now = sdk.get_volume(volume.id)
            return now if now.status in ends else None

        found = self.wait(look, f'volume {volume.id} to be {states}')
        self.assertIn(found.status, states)
        return found

    def charged(self, sdk: Any) -> dict[str, int]:
        """Return what a project's quota is charged, by resource."""
        used = sdk.get_quota_set('demo', usage=True).usage
        return {name: used[name]
                for name in ('volumes', 'snapshots', 'gigabytes')}

    def create(self, sdk: Any, **attributes: Any) -> Any:
        """Create a volume of 1 GiB, or as told, and wait for it."""
        made = sdk.create_volume(**{'size': 1, **attributes})
        return self.settled(sdk, made)

    def delete(self, sdk: Any, *volumes: Any) -> None:
        """Delete volumes and wait until they are gone."""
        for volume in volumes:
            sdk.delete_volume(volume.id)
        wanted = {volume.id for volume in volumes}

        def look() -> bool:
            left = [item for item in sdk.volumes() if item.id in wanted]
            self.assertNotIn('error_deleting',
                             [item.status for item in left])
            return not left

        self.wait(look, f'{len(wanted)} volumes to be gone')

    def migrated(self, sdk: Any, volume: Any) -> str:
        """Ask for a migrate within the backend; return how it ended."""
        host = sdk.get_volume(volume.id).host.partition('#')[0]
        sdk.migrate_volume(volume.id, host=host)

        def ended() -> str | None:
            status = sdk.get_volume(volume.id).migration_status
            return status if status in ('success', 'error') else None

        return str(self.wait(ended, 'the migrate to end', 180))

    def snapshot(self, sdk: Any, volume: Any) -> Any:
        """Take a snapshot and wait for it."""
        made = sdk.create_snapshot(volume_id=volume.id)

        def look() -> Any:
            now = sdk.get_snapshot(made.id)
            return now if now.status != 'creating' else None

        found = self.wait(look, f'snapshot {made.id}')
        self.assertEqual('available', found.status)
        return found
