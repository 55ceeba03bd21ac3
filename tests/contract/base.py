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

"""What all contract tests share."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from typing import Any, TypeVar
import uuid

from oslotest import base

from cinder_lightbits_federation.lightbits import client
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import timing
from tests.contract import target

MIB = 1 << 20
GIB = 1 << 30
PATIENCE = 60.0

T = TypeVar('T')


class ContractTestCase(base.BaseTestCase):
    """Has a client of a cluster, and removes what it makes there."""

    # Of the simulated cluster; a real one is as it is.
    options: dict[str, Any] = {}

    def setUp(self) -> None:
        super().setUp()
        self.target = self.choose()
        self.addCleanup(self.target.remove)
        self.project = self.target.project
        self.client: client.LightbitsClient = self.target.client()
        self.addCleanup(self.client.close)

    def choose(self) -> target.Target:
        """:returns: the cluster to test with."""
        return target.real() or target.simulated(**self.options)

    @staticmethod
    def name() -> str:
        """:returns: a name that nobody else uses."""
        return f'contract-{uuid.uuid4()}'

    def wait(self, probe: Callable[[], T | None]) -> T:
        """Wait until `probe` answers something."""
        return timing.wait_until(
            probe, timing.Deadline.after(PATIENCE), 'the cluster')

    def create_volume(self, **fields: Any) -> model.Volume:
        """Ask for a volume that is removed at the end."""
        values = {'name': self.name(), 'size': GIB, 'replicas': 1}
        volume = self.client.create_volume(
            self.project, model.NewVolume(**{**values, **fields}))
        self.addCleanup(self._remove, self.client.delete_volume, volume.uuid)
        return volume

    def volume(self, **fields: Any) -> model.Volume:
        """Make a volume that is removed at the end."""
        return self.settled(self.create_volume(**fields).uuid)

    def settled(self, volume_uuid: str) -> model.Volume:
        """Wait until a volume can be used."""
        def probe() -> model.Volume | None:
            volume = self.client.get_volume(self.project, volume_uuid)
            self.assertIsNot(model.VolumeState.FAILED, volume.state)
            return volume if volume.state.settled else None

        return self.wait(probe)

    def snapshot(self, volume: model.Volume, **fields: Any,
                 ) -> model.Snapshot:
        """Make a snapshot that is removed at the end."""
        made = self.client.create_snapshot(self.project, model.NewSnapshot(
            **{'name': self.name(), 'source_volume_uuid': volume.uuid,
               **fields}))
        self.addCleanup(self._remove, self.client.delete_snapshot, made.uuid)

        def probe() -> model.Snapshot | None:
            found = self.client.get_snapshot(self.project, made.uuid)
            self.assertIsNot(model.SnapshotState.FAILED, found.state)
            return (found if found.state is model.SnapshotState.AVAILABLE
                    else None)

        return self.wait(probe)

    def change(self, volume: model.Volume, change: model.VolumeChange,
               done: Callable[[model.Volume], bool]) -> model.Volume:
        """Change a volume and wait until it shows."""
        return self.client.update_volume(
            self.project, volume.uuid,
            lambda found: None if done(found) else change,
            deadline=timing.Deadline.after(PATIENCE))

    def gone(self, read: Callable[[str, str], object],
             object_uuid: str) -> bool:
        """Wait until an object is not found any more."""
        def probe() -> bool | None:
            try:
                read(self.project, object_uuid)
            except errors.NotFound:
                return True
            return None

        return self.wait(probe)

    def _remove(self, delete: Callable[[str, str], None],
                object_uuid: str) -> None:
        # Gone or going already: the test has deleted it.
        with contextlib.suppress(errors.NotFound, errors.BadRequest,
                                 errors.PreconditionFailed):
            delete(self.project, object_uuid)
