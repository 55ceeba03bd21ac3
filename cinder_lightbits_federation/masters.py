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
"""Masters of golden images on one cluster: found, listed, used, removed.

Everything known of a master is in its labels, so every host and the command
see the same. What two might do at once is decided by compare-and-swap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import datetime
import logging
import time

from cinder_lightbits_federation.audit.books import age_of
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation import goldenrules
from cinder_lightbits_federation.goldenrules import Master
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import Source
from cinder_lightbits_federation.remover import remove_snapshot
from cinder_lightbits_federation.remover import remove_volume
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded

LOG = logging.getLogger(__name__)

# How exact the time of the last use is: noting it is a write.
USE_EXACT = goldenrules.HOUR

# What may go wrong with a master; nobody's volume depends on it.
TROUBLE = (errors.FederationError, lb_errors.LightbitsError,
           DeadlineExceeded)


class Masters:
    """The masters of one cloud."""

    def __init__(self, owner: ownership.Owner) -> None:
        self._owner = owner

    def find(self, cluster: Cluster, project: str, name: str,
             deadline: Deadline) -> Master | None:
        """Look a master up by its name; finished or not."""
        with cluster.api(deadline) as client:
            volume = client.find_volume(project, name, deadline=deadline)
        if volume is None:
            return None
        return goldenrules.master_of(volume, self._owner)

    def source(self, cluster: Cluster, master: Master, deadline: Deadline
               ) -> Source | None:
        """What a clone of a master starts from.

        :returns: None when it cannot be cloned (any more).
        """
        uuid = master.snapshot_uuid
        if uuid is None or not master.ready or cluster.uuid is None:
            return None
        try:
            with cluster.api(deadline) as client:
                snapshot = client.get_snapshot(master.volume.project, uuid,
                                               deadline=deadline)
        except lb_errors.NotFound:
            return None
        if (snapshot.source_volume_uuid != master.volume.uuid
                or snapshot.state is not model.SnapshotState.AVAILABLE):
            return None
        return Source(cluster.uuid, snapshot)

    def touch(self, cluster: Cluster, master: Master, deadline: Deadline
              ) -> None:
        """Note that a master is used; now and then is enough."""
        now = time.time()
        if master.idle(now) < USE_EXACT:
            return

        def stamp(volume: model.Volume) -> model.VolumeChange | None:
            seen = goldenrules.master_of(volume, self._owner)
            if seen is None or seen.idle(now) < USE_EXACT:
                return None
            return model.VolumeChange(labels=goldenrules.used(volume, now))

        try:
            with cluster.api(deadline) as client:
                client.update_volume(master.volume.project,
                                     master.volume.uuid, stamp,
                                     deadline=deadline)
        except TROUBLE as exc:
            LOG.info('That master %s on cluster %s is used was not noted: '
                     '%s', master.volume.name, cluster.name, exc)

    def all(self, cluster: Cluster, projects: Iterable[str],
            deadline: Deadline | None = None) -> list[Master]:
        """List the masters on a cluster.

        :param projects: by the cluster's names; what is not there has none.
        """
        found = []
        with cluster.api(deadline) as client:
            for project in sorted(set(projects)):
                try:
                    volumes = list(client.list_volumes(project,
                                                       deadline=deadline))
                except lb_errors.NO_PROJECT:
                    continue
                found += [master for master in (
                    goldenrules.master_of(volume, self._owner)
                    for volume in volumes) if master is not None]
        return found

    def clones(self, cluster: Cluster, master: Master,
               deadline: Deadline | None = None) -> Sequence[model.Volume]:
        """:returns: the volumes that were cloned from a master."""
        if master.snapshot_uuid is None:
            return ()
        with cluster.api(deadline) as client:
            return tuple(client.list_volumes(
                master.volume.project, snapshot_uuid=master.snapshot_uuid,
                deadline=deadline))

    def remove(self, cluster: Cluster, master: Master, deadline: Deadline
               ) -> None:
        """Remove a master and what clones were made of; idempotent.

        Finished clones do not depend on it. The volume goes first, so that
        nobody finds it any more; it does not go if it was used since
        `master` was read.

        :raises OperationFailed: it is being cloned, or was used again.
        """
        if any(clone.state is model.VolumeState.CREATING
               for clone in self.clones(cluster, master, deadline)):
            raise errors.OperationFailed(
                f'master {master.volume.name} is being cloned')

        def unused(now: model.Volume) -> None:
            if dict(now.labels) != dict(master.volume.labels):
                raise errors.OperationFailed(
                    f'master {master.volume.name} was used again')

        project = master.volume.project
        with cluster.api(deadline) as client:
            remove_volume(client, project, master.volume, unused, deadline)
        LOG.info('Master %s of image %s was removed from cluster %s.',
                 master.volume.name, master.image_id, cluster.name)
        for snapshot in self._snapshots(cluster, master, deadline):
            self.drop(cluster, project, snapshot, deadline)

    def strays(self, cluster: Cluster, project: str, deadline: Deadline
               ) -> list[model.Snapshot]:
        """Snapshots of masters that no master needs (any more).

        One that was taken within the last hour may yet be needed, and so
        may one whose cluster does not say when it was taken.
        """
        now = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
        kept = {master.snapshot_uuid
                for master in self.all(cluster, (project,), deadline)}
        with cluster.api(deadline) as client:
            snapshots = list(client.list_snapshots(project,
                                                   deadline=deadline))
        return [item for item in snapshots
                if self._is_ours(item) and item.uuid not in kept
                and (age_of(item.created_at, now) or 0) > goldenrules.HOUR]

    def drop(self, cluster: Cluster, project: str, snapshot: model.Snapshot,
             deadline: Deadline) -> None:
        """Remove a snapshot of a master."""
        def check(now: model.Snapshot) -> None:
            if not self._is_ours(now):
                raise errors.IdentityMismatch(
                    f'snapshot {now.uuid} is of no master')

        with cluster.api(deadline) as client:
            remove_snapshot(client, project, snapshot, check, deadline)

    def _snapshots(self, cluster: Cluster, master: Master,
                   deadline: Deadline) -> list[model.Snapshot]:
        if master.snapshot_uuid is None:
            return []
        try:
            with cluster.api(deadline) as client:
                return [client.get_snapshot(
                    master.volume.project, master.snapshot_uuid,
                    deadline=deadline)]
        except lb_errors.NotFound:
            return []

    def _is_ours(self, snapshot: model.Snapshot) -> bool:
        marks = ownership.read_description(snapshot.description)
        return (marks.get(ownership.LABEL_OWNER) == self._owner.federation_id
                and goldenrules.is_golden(
                    marks.get(ownership.LABEL_ID, ''))
                and not snapshot.retention)
