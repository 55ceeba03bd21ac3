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

"""The life of volumes."""

from __future__ import annotations

from tests.simulator import cluster as clusters
from tests.simulator import conditions
from tests.simulator import errors
from tests.simulator import hosts
from tests.simulator import lookup
from tests.simulator import model
from tests.simulator import placement
from tests.simulator import requests
from tests.simulator import snapshots

_BUSY = (model.State.CREATING, model.State.UPDATING, model.State.ROLLBACK)


def create(
    cluster: clusters.Cluster,
    project: str,
    request: requests.CreateVolume,
    *,
    doomed: bool = False,
) -> model.Volume:
    """Accept a volume; it ends in Available or Failed.

    :param doomed: let it end in Failed.
    :raises ApiError: 400, 404 (source), 409 (name), 429 (limits).
    """
    source = _source(cluster, project, request)
    lookup.check_name_free(cluster, cluster.volumes, project, request.name)
    policy = lookup.policy(
        cluster, project, request.policy_uuid, request.policy_name
    )
    _check_limits(cluster, request)
    fits = placement.fits(cluster, request.size, request.replicas)
    if not fits and cluster.switches.create_overflow != 'failed':
        raise errors.by_status(
            int(cluster.switches.create_overflow),
            f'no room for {request.size} bytes x {request.replicas}',
        )
    volume = _new(cluster, project, request, source)
    volume.policy_uuid = policy.uuid
    volume.doomed = doomed or not fits
    _place(cluster, volume, source)
    cluster.volumes.add(volume)
    if source is not None:
        cluster.clones.setdefault(source.uuid, set()).add(volume.uuid)
    cluster.settle(
        'create', volume, lambda: _finish_create(cluster, volume, source)
    )
    return volume


def _source(
    cluster: clusters.Cluster, project: str, request: requests.CreateVolume
) -> model.Snapshot | None:
    if not (request.source_uuid or request.source_name):
        return None
    source = lookup.by_uuid_or_name(
        cluster,
        cluster.snapshots,
        project,
        request.source_uuid,
        request.source_name,
    )
    if source.state is not model.State.AVAILABLE:
        raise cluster.refuse_state(
            f'snapshot {source.uuid} is in state {source.state}'
        )
    if request.size < source.size:
        raise errors.invalid(
            f"field size: {request.size} is below the snapshot's {source.size}"
        )
    if cluster.switches.clone_must_match:
        _check_match(request, source)
    return source


def _check_match(
    request: requests.CreateVolume, source: model.Snapshot
) -> None:
    pairs = (
        ('replicaCount', request.replicas, source.replicas),
        ('compression', bool(request.compression), source.compression),
        (
            'sectorSize',
            request.sector_size or source.sector_size,
            source.sector_size,
        ),
    )
    for name, given, needed in pairs:
        if given != needed:
            raise errors.invalid(
                f"field {name}: {given} differs from the snapshot's {needed}"
            )


def _check_limits(
    cluster: clusters.Cluster, request: requests.CreateVolume
) -> None:
    most = placement.max_replicas(cluster, current=False)
    if not 1 <= request.replicas <= most:
        raise errors.invalid(
            f'field replicaCount: {request.replicas} is not 1 to {most}'
        )
    limit = cluster.switches.max_volumes
    if limit and len(cluster.volumes) >= limit:
        raise errors.by_status(429, f'there are {limit} volumes already')


def _new(
    cluster: clusters.Cluster,
    project: str,
    request: requests.CreateVolume,
    source: model.Snapshot | None,
) -> model.Volume:
    uuid = cluster.new_uuid()
    labels = request.labels
    if labels is None:
        labels = source.labels if source else ()
    sector = source.sector_size if source else 4096
    return model.Volume(
        uuid=uuid,
        name=request.name,
        project=project,
        size=request.size,
        replicas=request.replicas,
        compression=bool(request.compression),
        sector_size=request.sector_size or sector,
        created=cluster.now(),
        number=cluster.next_number(),
        lineage=source.lineage if source else uuid,
        etag=cluster.switches.first_etag,
        labels=labels,
        acl=request.acl,
        ip_acl=request.ip_acl,
        source_uuid=source.uuid if source else '',
        source_name=source.name if source else '',
        placement=request.placement,
    )


def _place(
    cluster: clusters.Cluster,
    volume: model.Volume,
    source: model.Snapshot | None,
) -> None:
    """Give a volume its nodes and its number, if there are any."""
    if volume.doomed:
        return
    nodes: tuple[int, ...] | None
    if source is not None and source.replicas == volume.replicas:
        nodes = source.nodes
    else:
        nodes = placement.choose(cluster, volume.replicas, volume.placement)
    if nodes is None or not placement.ready(cluster, nodes):
        return
    volume.nodes = nodes
    volume.nsid = cluster.next_nsid()
    volume.layers = source.layers if source else ()
    volume.top = cluster.usage.new_layer(nodes, volume.compression)
    cluster.usage.share(volume.layers)
    cluster.usage.place(nodes, volume.size)
    if source is None:
        cluster.plane.create(volume.uuid, volume.size)
    else:
        cluster.plane.clone(source.uuid, volume.uuid, volume.size)


def _finish_create(
    cluster: clusters.Cluster,
    volume: model.Volume,
    source: model.Snapshot | None,
) -> None:
    if volume.nodes and not placement.ready(cluster, volume.nodes):
        _unplace(cluster, volume)
        if source is None or cluster.snapshots.get(source.uuid) is source:
            _place(cluster, volume, source)
    if not volume.nodes:
        cluster.arrive(volume, model.State.FAILED)
        return
    cluster.arrive(volume, model.State.AVAILABLE)


def _unplace(cluster: clusters.Cluster, volume: model.Volume) -> None:
    """Give back all a volume takes."""
    if volume.top is None:
        return
    cluster.usage.release((*volume.layers, volume.top))
    cluster.usage.place(volume.nodes, volume.size, -1)
    cluster.plane.delete(volume.uuid)
    volume.nodes = volume.layers = ()
    volume.top = None


def update(
    cluster: clusters.Cluster,
    volume: model.Volume,
    request: requests.UpdateVolume,
    if_match: str | None,
) -> None:
    """Accept a change; it is visible when the volume is Available again.

    :raises ApiError: 400, 409 (name), 412 and its like, 503 (busy).
    """
    if request.empty:
        raise errors.invalid('nothing to update')
    policy = ''
    if request.policy_uuid or request.policy_name:
        policy = lookup.policy(
            cluster, volume.project, request.policy_uuid, request.policy_name
        ).uuid
    _check_change(cluster, volume, request)
    conditions.check(cluster, volume, if_match, _check_updatable)
    if request.new_name and request.new_name != volume.name:
        lookup.check_name_free(
            cluster, cluster.volumes, volume.project, request.new_name
        )
    volume.remember()
    before, volume.state = volume.state, model.State.UPDATING
    volume.etag += 1

    def finish() -> None:
        _apply(cluster, volume, request, policy)
        cluster.arrive(volume, before)

    cluster.settle('update', volume, finish)


def _check_change(
    cluster: clusters.Cluster,
    volume: model.Volume,
    request: requests.UpdateVolume,
) -> None:
    if request.size is None:
        return
    if request.size < volume.size and not request.force:
        raise errors.invalid(
            f'field size: {request.size} shrinks {volume.size} without Force'
        )
    same = request.size == volume.size
    if same and cluster.switches.same_size_update == '400':
        raise errors.invalid(f'field size: it is {volume.size} already')
    change = request.size - volume.size
    if not placement.fits(cluster, change, volume.replicas):
        raise errors.by_status(429, f'no room for {change} bytes more')


def _check_updatable(cluster: clusters.Cluster, volume: model.Volume) -> None:
    if volume.state in (model.State.DELETING, model.State.FAILED):
        raise cluster.refuse_state(
            f'volume {volume.uuid} is in state {volume.state}'
        )
    migrating = volume.state is model.State.MIGRATING
    refuse = cluster.switches.update_while_migrating == '503'
    if volume.state in _BUSY or (migrating and refuse):
        raise cluster.busy(volume)


def _apply(
    cluster: clusters.Cluster,
    volume: model.Volume,
    request: requests.UpdateVolume,
    policy: str,
) -> None:
    if request.size is not None:
        _resize(cluster, volume, request.size)
    if request.acl is not None:
        volume.acl = request.acl
        hosts.enforce(cluster, volume)
    if request.ip_acl is not None:
        volume.ip_acl = request.ip_acl
    if request.compression is not None:
        volume.compression = request.compression
    if request.labels is not None:
        volume.labels = request.labels
    if request.new_name:
        cluster.volumes.rename(volume, request.new_name)
    volume.policy_uuid = policy or volume.policy_uuid


def _resize(
    cluster: clusters.Cluster, volume: model.Volume, size: int
) -> None:
    cluster.usage.resize(volume.nodes, size - volume.size)
    volume.size = size
    if volume.top is not None:
        cluster.usage.set_used(volume.top, min(volume.top.used, size))
    cluster.plane.resize(volume.uuid, size)


def delete(
    cluster: clusters.Cluster, volume: model.Volume, if_match: str | None
) -> None:
    """Accept the removal; a repetition may be accepted by switch.

    :raises ApiError: 400 (state), 412 and its like, 503 (busy).
    """
    if conditions.repeated_delete(cluster, volume):
        return
    conditions.check(cluster, volume, if_match, _check_deletable)
    volume.remember()
    volume.state = model.State.DELETING
    volume.etag += 1
    hosts.forget_volume(cluster, volume)
    cluster.settle('delete', volume, lambda: _finish_delete(cluster, volume))


def _check_deletable(cluster: clusters.Cluster, volume: model.Volume) -> None:
    failed = volume.state is model.State.FAILED
    if failed and not cluster.switches.failed_deletable:
        raise cluster.refuse_state(f'volume {volume.uuid} is Failed')
    if volume.state in _BUSY:
        raise cluster.busy(volume)
    refuse = cluster.switches.volume_delete_with_snapshots == '400'
    if refuse and snapshots.of_volume(cluster, volume):
        raise cluster.refuse_state(f'volume {volume.uuid} has snapshots')


def _finish_delete(cluster: clusters.Cluster, volume: model.Volume) -> None:
    _unplace(cluster, volume)
    cluster.volumes.remove(volume)
    cluster.depart(volume)
    if volume.source_uuid:
        snapshots.forget_clone(cluster, volume)
    cluster.drained(volume.project)
