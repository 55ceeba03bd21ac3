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

"""The life of snapshots."""

from __future__ import annotations

from tests.simulator import cluster as clusters
from tests.simulator import conditions
from tests.simulator import errors
from tests.simulator import lookup
from tests.simulator import model
from tests.simulator import placement
from tests.simulator import requests


def create(
    cluster: clusters.Cluster,
    project: str,
    request: requests.CreateSnapshot,
    *,
    doomed: bool = False,
) -> model.Snapshot:
    """Accept a snapshot; it ends in Available or Failed.

    :param doomed: let it end in Failed.
    :raises ApiError: 400, 404 (source), 409 (name).
    """
    volume = lookup.by_uuid_or_name(
        cluster,
        cluster.volumes,
        project,
        request.source_uuid,
        request.source_name,
    )
    lookup.check_name_free(cluster, cluster.snapshots, project, request.name)
    deleting = any(
        item.state is model.State.DELETING
        for item in cluster.snapshots.named(project, request.name)
    )
    if deleting and cluster.switches.snapshot_of_deleting_name == '409':
        raise errors.exists(f'snapshot {request.name!r} is being deleted')
    if volume.state not in (model.State.AVAILABLE, model.State.MIGRATING):
        raise cluster.refuse_state(
            f'volume {volume.uuid} is in state {volume.state}'
        )
    snapshot = _new(cluster, volume, request)
    snapshot.doomed = doomed or deleting
    cluster.snapshots.add(snapshot)
    if not snapshot.doomed:
        _freeze(cluster, volume, snapshot)
    if cluster.switches.snapshot_changes_volume != 'no':
        volume.etag += 1
    cluster.settle(
        'snapshot_create', snapshot, lambda: _finish_create(cluster, snapshot)
    )
    return snapshot


def _new(
    cluster: clusters.Cluster,
    volume: model.Volume,
    request: requests.CreateSnapshot,
) -> model.Snapshot:
    return model.Snapshot(
        uuid=cluster.new_uuid(),
        name=request.name,
        project=volume.project,
        size=volume.size,
        replicas=volume.replicas,
        compression=volume.compression,
        sector_size=volume.sector_size,
        created=cluster.now(),
        number=cluster.next_number(),
        lineage=volume.lineage,
        etag=cluster.switches.first_etag,
        nodes=volume.nodes,
        nsid=cluster.next_nsid(),
        labels=volume.labels,
        source_uuid=volume.uuid,
        source_name=volume.name,
        description=request.description,
        retention=request.retention,
    )


def _freeze(
    cluster: clusters.Cluster, volume: model.Volume, snapshot: model.Snapshot
) -> None:
    """Let volume and snapshot share what the volume holds."""
    top = volume.top
    if top is None:
        return
    cluster.sync_usage(volume)
    if top.used:
        volume.layers = (*volume.layers, top)
        volume.top = cluster.usage.new_layer(volume.nodes, volume.compression)
    snapshot.layers = volume.layers
    cluster.usage.share(snapshot.layers)
    cluster.plane.snapshot(volume.uuid, snapshot.uuid)


def _finish_create(
    cluster: clusters.Cluster, snapshot: model.Snapshot
) -> None:
    ready = placement.primary(cluster, snapshot.nodes) is not None
    if snapshot.doomed or not ready:
        cluster.arrive(snapshot, model.State.FAILED)
        return
    snapshot.created = cluster.now()
    cluster.arrive(snapshot, model.State.AVAILABLE)
    if snapshot.retention:
        cluster.timeline.after(
            snapshot.retention, lambda: _expire(cluster, snapshot)
        )


def _expire(cluster: clusters.Cluster, snapshot: model.Snapshot) -> None:
    if snapshot.state is model.State.AVAILABLE:
        _begin_delete(cluster, snapshot)


def delete(
    cluster: clusters.Cluster, snapshot: model.Snapshot, if_match: str | None
) -> None:
    """Accept the removal; a repetition may be accepted by switch.

    :raises ApiError: 400 (state), 412 and its like, 503 (busy).
    """
    if conditions.repeated_delete(cluster, snapshot):
        return
    conditions.check(cluster, snapshot, if_match, _check_deletable)
    _begin_delete(cluster, snapshot)


def _check_deletable(
    cluster: clusters.Cluster, snapshot: model.Snapshot
) -> None:
    failed = snapshot.state is model.State.FAILED
    if failed and not cluster.switches.failed_deletable:
        raise cluster.refuse_state(f'snapshot {snapshot.uuid} is Failed')
    if snapshot.state is model.State.CREATING:
        raise cluster.busy(snapshot)
    volume = cluster.volumes.get(snapshot.source_uuid)
    if volume is not None and volume.state is model.State.UPDATING:
        raise cluster.busy(volume)


def _begin_delete(cluster: clusters.Cluster, snapshot: model.Snapshot) -> None:
    snapshot.remember()
    snapshot.state = model.State.DELETING
    snapshot.etag += 1
    cluster.settle(
        'snapshot_delete', snapshot, lambda: _finish_delete(cluster, snapshot)
    )


def _finish_delete(
    cluster: clusters.Cluster, snapshot: model.Snapshot
) -> None:
    waits = cluster.switches.snapshot_delete_waits_for_clones
    if waits and cluster.clones.get(snapshot.uuid):
        cluster.waiting.add(snapshot.uuid)
        return
    cluster.waiting.discard(snapshot.uuid)
    cluster.usage.release(snapshot.layers)
    snapshot.layers = ()
    volume = cluster.volumes.get(snapshot.source_uuid)
    counts = cluster.switches.snapshot_changes_volume == 'taken and removed'
    if counts and volume is not None:
        volume.etag += 1
    cluster.snapshots.remove(snapshot)
    cluster.depart(snapshot)
    cluster.plane.delete(snapshot.uuid)
    cluster.drained(snapshot.project)


def forget_clone(cluster: clusters.Cluster, volume: model.Volume) -> None:
    """Complete the removal of a snapshot that waited for its last clone."""
    clones = cluster.clones.get(volume.source_uuid, set())
    clones.discard(volume.uuid)
    if clones:
        return
    cluster.clones.pop(volume.source_uuid, None)
    if volume.source_uuid in cluster.waiting:
        _finish_delete(cluster, cluster.snapshots.by_uuid[volume.source_uuid])


def of_volume(
    cluster: clusters.Cluster, volume: model.Volume
) -> list[model.Snapshot]:
    """Return the snapshots of a volume that are not being deleted."""
    return [
        item
        for item in cluster.snapshots.by_uuid.values()
        if item.source_uuid == volume.uuid
        and item.state is not model.State.DELETING
    ]


def remove_newer(
    cluster: clusters.Cluster, volume: model.Volume, mark: model.Snapshot
) -> None:
    """Remove the snapshots of a volume taken after `mark`."""
    for item in of_volume(cluster, volume):
        if item.number > mark.number:
            _begin_delete(cluster, item)
