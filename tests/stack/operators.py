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
"""What an operator does after services have crashed.

Only with what Cinder gives: the clean-up of workers, setting the state of
what is stuck, repeating what was asked for, deleting.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from openstack import exceptions

from tests.embedded import waiting
from tests.stack import settings
from tests.stack import stack

# Longer than any operation may take, so that what is still in progress then
# is stuck: nobody works on it.
PATIENCE = float(max(settings.OPERATION_TIMEOUT, settings.RPC_TIMEOUT) + 5)

_ROUNDS = 6
_IN_PROGRESS = frozenset({
    'creating', 'deleting', 'extending', 'attaching', 'detaching',
    'reserved', 'restoring', 'reverting', 'retyping'})
# What has all its data, and nobody works on any more.
_STRANDED = frozenset({'reverting', 'retyping'})
_GROWING = frozenset({'extending', 'error_extending'})
_USABLE = frozenset({'available', 'in-use'})
_BROKEN = frozenset({'creating', 'deleting', 'error', 'error_deleting'})
# Cinder takes such a snapshot before it reverts a volume and deletes it
# afterwards; all the while it is "available".
_BEFORE_REVERT = '[revert] volume '


class StillBroken(AssertionError):
    """What an operator can do was done, and something is not at rest."""


class Operator:
    """Puts right what crashes have left behind.

    :param running: with at least one ``cinder-volume`` up.
    :param patience: seconds after which an operation counts as stuck.
    """

    def __init__(self, running: stack.Stack,
                 patience: float = PATIENCE) -> None:
        self._stack = running
        self._patience = patience
        self.done: list[str] = []

    def clean_up(self, sizes: Mapping[str, int] | None = None,
                 kept: Collection[str] = (),
                 released: Collection[str] = ()) -> list[str]:
        """Bring everything to rest.

        :param sizes: GiB that volumes were asked to grow to, by id; those
            that have not are asked again.
        :param kept: ids of volumes that hold data: one in error is put
            back into use, where any other is deleted.
        :param released: ids of attachments that were to go; a delete that
            has failed is repeated.
        :returns: what was done, one line each.
        :raises StillBroken: something will not come to rest.
        """
        sdk = self._stack.sdk()
        self._clean_workers(sdk)
        self._let_end()
        for _round in range(_ROUNDS):
            if not self._repair(sdk, sizes or {}, kept, released):
                return self.done
            self._let_end()
        raise StillBroken('; '.join(self._unsettled(sdk)))

    def _clean_workers(self, sdk: Any) -> None:
        """Have services that are up clean up after those that are down.

        This is what ``openstack block storage cleanup`` asks for; the
        releases of the client that go through the SDK send something that
        the API does not know.
        """
        reply = sdk.post('/workers/cleanup', json={}, microversion='3.24')
        exceptions.raise_from_response(reply)
        for outcome, services in reply.json().items():
            self._tell(f'{outcome}: ' + (', '.join(
                item['host'] for item in services) or 'none'))

    def _let_end(self) -> None:
        """Wait until nothing is in progress, or what is must be stuck."""
        sdk = self._stack.sdk()
        try:
            waiting.wait_for(lambda: not list(self._unsettled(sdk)),
                             'everything to be at rest', self._patience)
        except waiting.WaitedTooLong:
            self._tell('stuck: ' + ', '.join(self._unsettled(sdk)))

    @staticmethod
    def _unsettled(sdk: Any) -> Iterator[str]:
        for kind, items in (('volume', sdk.volumes()),
                            ('snapshot', sdk.snapshots())):
            for item in items:
                if item.status in _IN_PROGRESS:
                    yield f'{kind} {item.id} {item.status}'

    def _repair(self, sdk: Any, sizes: Mapping[str, int],
                kept: Collection[str], released: Collection[str]) -> int:
        """Do one thing about each broken object; return how many."""
        before = len(self.done)
        for attachment in list(sdk.attachments()):
            if (attachment.status != 'attached'
                    or attachment.id in released):
                self._try(f'detach {attachment.id} ({attachment.status})',
                          sdk.delete_attachment, attachment.id)
        for snapshot in list(sdk.snapshots()):
            if snapshot.status in _BROKEN or (
                    snapshot.status == 'available'
                    and (snapshot.name or '').startswith(_BEFORE_REVERT)):
                self._delete_snapshot(sdk, snapshot)
            elif snapshot.status == 'restoring':
                self._try(f'reset snapshot {snapshot.id} (restoring)',
                          sdk.reset_snapshot_status, snapshot.id,
                          'available')
        for volume in list(sdk.volumes()):
            self._repair_volume(sdk, volume, sizes, kept)
        return len(self.done) - before

    def _repair_volume(self, sdk: Any, volume: Any,
                       sizes: Mapping[str, int],
                       kept: Collection[str]) -> None:
        if volume.status in _STRANDED or (volume.status == 'error'
                                          and volume.id in kept):
            self._put_back(sdk, volume)
            self._tell(f'reset volume {volume.id} ({volume.status})')
        elif volume.status in _BROKEN:
            self._delete_volume(sdk, volume)
        elif volume.status in _GROWING or (
                volume.status in _USABLE
                and volume.size < sizes.get(volume.id, 0)):
            self._grow(sdk, volume, sizes[volume.id])

    @staticmethod
    def _put_back(sdk: Any, volume: Any) -> None:
        """Let a volume be in use or available, as its attachments say."""
        in_use = any(item.status == 'attached' for item
                     in sdk.attachments(volume_id=volume.id))
        sdk.reset_volume_status(
            volume.id, 'in-use' if in_use else 'available', None, None)

    def _delete_volume(self, sdk: Any, volume: Any) -> None:
        if volume.status != 'error':
            sdk.reset_volume_status(volume.id, 'error', None, None)
        self._try(f'delete volume {volume.id} ({volume.status})',
                  sdk.delete_volume, volume.id)

    def _delete_snapshot(self, sdk: Any, snapshot: Any) -> None:
        if snapshot.status != 'error':
            sdk.reset_snapshot_status(snapshot.id, 'error')
        self._try(f'delete snapshot {snapshot.id} ({snapshot.status})',
                  sdk.delete_snapshot, snapshot.id)

    def _grow(self, sdk: Any, volume: Any, size: int) -> None:
        self._put_back(sdk, volume)
        self._try(f'extend {volume.id} to {size} GiB ({volume.status})',
                  sdk.extend_volume, volume.id, size)

    def _try(self, what: str, action: Any, *arguments: object) -> None:
        """Do something that may be refused now and work the next time."""
        try:
            action(*arguments)
        except exceptions.HttpException as exc:
            what += f': {exc}'
        self._tell(what)

    def _tell(self, text: str) -> None:
        self.done.append(text.strip())
