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

"""The return of a volume to one of its snapshots."""

from __future__ import annotations

from tests.simulator import cluster as clusters
from tests.simulator import conditions
from tests.simulator import errors
from tests.simulator import model
from tests.simulator import snapshots


def start(
    cluster: clusters.Cluster,
    volume: model.Volume,
    snapshot: model.Snapshot,
    if_match: str | None,
) -> None:
    """Accept a return to a snapshot, whose size the volume takes.

    :raises ApiError: 400, 412 and its like, 503 (busy).
    """
    if not cluster.switches.rollback_checks_etag:
        if_match = None
    foreign = snapshot.source_uuid != volume.uuid
    if foreign and cluster.switches.rollback_foreign == '400':
        raise errors.invalid(
            f'snapshot {snapshot.uuid} is not of volume {volume.uuid}'
        )
    if snapshot.state is not model.State.AVAILABLE:
        raise cluster.refuse_state(
            f'snapshot {snapshot.uuid} is in state {snapshot.state}'
        )
    conditions.check(cluster, volume, if_match, _check_state)
    volume.remember()
    volume.state = model.State.ROLLBACK
    volume.etag += 1
    cluster.settle(
        'rollback',
        volume,
        lambda: _finish(cluster, volume, snapshot),
    )


def _check_state(cluster: clusters.Cluster, volume: model.Volume) -> None:
    if volume.state is model.State.FAILED:
        raise cluster.refuse_state(f'volume {volume.uuid} is Failed')
    if volume.state is not model.State.AVAILABLE:
        raise cluster.busy(volume)


def _finish(
    cluster: clusters.Cluster,
    volume: model.Volume,
    snapshot: model.Snapshot,
) -> None:
    if snapshot.uuid in cluster.snapshots.by_uuid and volume.top:
        cluster.usage.share(snapshot.layers)
        cluster.usage.release((*volume.layers, volume.top))
        volume.layers = snapshot.layers
        volume.top = cluster.usage.new_layer(volume.nodes, volume.compression)
        cluster.usage.resize(volume.nodes, snapshot.size - volume.size)
        volume.size = snapshot.size
        cluster.plane.rollback(volume.uuid, snapshot.uuid)
        if not cluster.switches.rollback_keeps_newer:
            snapshots.remove_newer(cluster, volume, snapshot)
    cluster.arrive(volume, model.State.AVAILABLE)
