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
"""Making the master of a golden image of a volume that was just filled.

The master is a thin clone, so it costs no copy and does not depend on the
volume; clones are made of one snapshot of it. It counts from the moment its
labels name that snapshot. What is left when a service dies in between is
whole, and the next who wants a master finishes it.
"""

from __future__ import annotations

import logging
import time

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.finder import Found
from cinder_lightbits_federation import goldenrules
from cinder_lightbits_federation.goldenrules import Image
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.masters import Masters
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.remover import remove_volume
from cinder_lightbits_federation.snapshots import Snapshots
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.timing import wait_until

LOG = logging.getLogger(__name__)


class MasterMaker:
    """Makes masters; several hosts may make the same one at once."""

    def __init__(self, masters: Masters, snapshots: Snapshots,
                 owner: ownership.Owner) -> None:
        self._masters = masters
        self._snapshots = snapshots
        self._owner = owner

    def make(self, found: Found[model.Volume], ref: VolumeRef, image: Image,
             name: str, deadline: Deadline) -> None:
        """Make a master of a volume, or finish the one that is there.

        :param found: filled with the image, and nothing else in it.
        :param ref: of that volume.
        :raises OperationFailed: the cluster failed at it.
        """
        master = self._masters.find(found.cluster, found.project, name,
                                    deadline)
        if master is not None and self._masters.source(
                found.cluster, master, deadline) is not None:
            return
        volume = (master.volume if master is not None
                  else self._clone(found, ref, image, name, deadline))
        volume = self._settled(found.cluster, volume, deadline)
        volume = self._shrunk(found.cluster, volume, image, deadline)
        lost = master.snapshot_uuid if master is not None else None
        if self.finish(found.cluster, volume, lost, deadline):
            LOG.info('Cluster %s has a master of image %s now, of volume %s: '
                     '%s.', found.cluster.name, image.id, ref.name, name)

    def _clone(self, found: Found[model.Volume], ref: VolumeRef,
               image: Image, name: str, deadline: Deadline) -> model.Volume:
        hidden = VolumeRef(name, name, found.project)
        attempt = ownership.new_attempt()
        with self._snapshots.intermediate(ref, found, hidden,
                                          deadline) as snapshot:
            new = model.NewVolume(
                name=name, size=found.thing.size,
                replicas=found.thing.replicas,
                compression=found.thing.compression,
                source_snapshot_uuid=snapshot.uuid,
                labels=goldenrules.labels(self._owner, name, image.id,
                                          attempt, time.time()))
            volume = self._post(found.cluster, found.project, new, deadline)
            # The snapshot is needed until the clone is made.
            return self._settled(found.cluster, volume, deadline)

    def _post(self, cluster: Cluster, project: str, new: model.NewVolume,
              deadline: Deadline) -> model.Volume:
        """Ask for the volume; whoever has made it first has made it.

        :raises OperationFailed: something else has the name.
        """
        try:
            with cluster.api(deadline) as client:
                return client.create_volume(project, new, deadline=deadline)
        except (lb_errors.Conflict, lb_errors.Ambiguous) as exc:
            master = self._masters.find(cluster, project, new.name, deadline)
            if master is None:
                raise errors.OperationFailed(
                    f'master {new.name} was not made: {exc}') from exc
            return master.volume

    def _settled(self, cluster: Cluster, volume: model.Volume,
                 deadline: Deadline) -> model.Volume:
        """Wait until a master can be used; remove one that failed."""
        seen = volume

        def ended() -> bool | None:
            nonlocal seen
            if seen.state.settled or seen.state is model.VolumeState.FAILED:
                return True
            with cluster.api(deadline) as client:
                seen = client.get_volume(volume.project, volume.uuid,
                                         deadline=deadline)
            return None

        wait_until(ended, deadline.before_last_look(),
                   f'master {volume.name} to become Available',
                   lambda: seen.state.value)
        if not seen.state.settled:
            with cluster.api(deadline) as client:
                remove_volume(client, volume.project, seen,
                              self._check_ours, deadline)
            raise errors.OperationFailed(f'making master {volume.name} ended '
                                         f'in state {seen.state.value}')
        return seen

    def _check_ours(self, now: model.Volume) -> None:
        if goldenrules.master_of(now, self._owner) is None:
            raise errors.IdentityMismatch(f'volume {now.uuid} is no master')

    def _shrunk(self, cluster: Cluster, volume: model.Volume, image: Image,
                deadline: Deadline) -> model.Volume:
        """Cut off what the image does not fill, so that all volumes fit.

        A cluster that does not do that keeps a master for larger volumes.
        """
        size = goldenrules.smallest(image)

        def shrink(now: model.Volume) -> model.VolumeChange | None:
            if (size is None or now.size <= size
                    or goldenrules.LABEL_SNAPSHOT in now.labels):
                return None
            return model.VolumeChange(size=size, shrink=True)

        limit = deadline.capped(cluster.settings.client.api_timeout)
        try:
            with cluster.api(limit) as client:
                return client.update_volume(volume.project, volume.uuid,
                                            shrink, deadline=limit)
        except (lb_errors.Rejected, DeadlineExceeded) as exc:
            LOG.info('Master %s on cluster %s keeps its %d bytes: %s',
                     volume.name, cluster.name, volume.size, exc)
            return volume

    def finish(self, cluster: Cluster, volume: model.Volume,
               lost: str | None, deadline: Deadline) -> bool:
        """Take the snapshot and publish it; only one can be published.

        :param lost: UUID of a published snapshot that is not there any more.
        :returns: whether it is this one.
        """
        attempt = ownership.new_attempt()
        taken = self._snapshots.take(
            Found(cluster, volume.project, volume),
            f'{volume.name}-{attempt}', volume.name, attempt, None, deadline)

        def publish(now: model.Volume) -> model.VolumeChange | None:
            self._check_ours(now)
            if now.labels.get(goldenrules.LABEL_SNAPSHOT) not in (None,
                                                                  lost):
                return None
            return model.VolumeChange(
                labels=goldenrules.finished(now, taken.uuid))

        with cluster.api(deadline) as client:
            done = client.update_volume(volume.project, volume.uuid, publish,
                                        deadline=deadline)
        if done.labels.get(goldenrules.LABEL_SNAPSHOT) != taken.uuid:
            self._masters.drop(cluster, volume.project, taken, deadline)
            return False
        return True
