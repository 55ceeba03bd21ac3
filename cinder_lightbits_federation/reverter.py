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

"""Pointing a volume back to one of its snapshots."""

from __future__ import annotations

import contextlib

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.editor import Editor
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.finder import check_volume
from cinder_lightbits_federation.finder import Finder
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import SnapshotRef
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.timing import wait_until

# Seconds that what is read of a volume may lag behind.
LONGEST_LAG = 2.0


class Reverter:
    """The array's rollback: in place, no copy, takes the snapshot's size."""

    def __init__(self, finder: Finder, editor: Editor,
                 owner: ownership.Owner) -> None:
        self._finder = finder
        self._editor = editor
        self._owner = owner

    def revert(self, ref: VolumeRef, snapshot: SnapshotRef, size: int,
               deadline: Deadline) -> None:
        """Give a detached volume the content of its snapshot.

        Repeating it is harmless as nobody writes in between, so an unclear
        outcome is asked for again.

        :param size: bytes the volume must have afterwards: a snapshot taken
            before the volume grew makes it shrink.
        :raises OperationFailed: the snapshot is not of this volume.
        """
        found = self._finder.volume(ref, deadline)
        target = self._finder.snapshot(snapshot, deadline)
        if target.thing.source_volume_uuid != found.thing.uuid:
            raise errors.OperationFailed(
                f'snapshot {target.thing.name} is not of volume '
                f'{found.thing.name}')
        with found.cluster.api(deadline) as client:
            before = self._roll_back(client, ref, found, target.thing,
                                     deadline)
            self._see_it(client, found, before, deadline)

        def grow(_cluster: Cluster, now: model.Volume
                 ) -> model.VolumeChange | None:
            return (None if now.size >= size
                    else model.VolumeChange(size=size))

        self._editor.change(ref, grow, deadline)

    def _roll_back(self, client: lb_client.LightbitsClient, ref: VolumeRef,
                   found: Found[model.Volume], snapshot: model.Snapshot,
                   deadline: Deadline) -> str:
        """:returns: the ETag of the volume before."""
        doubt: lb_errors.LightbitsError | None = None

        def once() -> str | None:
            nonlocal doubt
            now = client.get_volume(found.project, found.thing.uuid,
                                    deadline=deadline)
            check_volume(ref, self._owner, now)
            if not now.state.settled:
                return None
            try:
                client.rollback(found.project, now.uuid, snapshot.uuid,
                                etag=now.etag, deadline=deadline)
            except (lb_errors.Ambiguous, lb_errors.Conflict,
                    lb_errors.PreconditionFailed) as exc:
                doubt = exc
                return None
            return now.etag

        return wait_until(once, deadline.before_last_look(),
                          f'rolling back {found.thing.name}', lambda: doubt)

    @staticmethod
    def _see_it(client: lb_client.LightbitsClient,
                found: Found[model.Volume], before: str, deadline: Deadline
                ) -> None:
        """Wait until what was accepted shows.

        What is read may lag behind, and would look like a volume that is
        done. Whether a rollback changes the ETag is documented nowhere, so
        this does not wait for long.
        """
        def changed() -> bool | None:
            now = client.get_volume(found.project, found.thing.uuid,
                                    deadline=deadline)
            return now.etag != before or None

        with contextlib.suppress(DeadlineExceeded):
            wait_until(changed, deadline.capped(LONGEST_LAG),
                       f'the rollback of {found.thing.name} to show')
