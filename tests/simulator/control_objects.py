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

"""Control calls on the objects of a cluster."""

from __future__ import annotations

import asyncio
import typing

from tests.simulator import capacity
from tests.simulator import cluster as clusters
from tests.simulator import control_server
from tests.simulator import errors
from tests.simulator import hosts
from tests.simulator import model
from tests.simulator import placement
from tests.simulator import render

Json = dict[str, typing.Any]

# Volumes made between two looks at the sockets.
_BATCH = 5000

_SETTABLE = (model.State.AVAILABLE, model.State.MIGRATING, model.State.FAILED)


async def dump(command: control_server.Command) -> object:
    """Tell everything the cluster holds, at this moment."""
    cluster = command.target.cluster
    return {
        **command.target.info(),
        'volumes': [
            render.volume(cluster, item)
            for item in cluster.volumes.by_order(None, '')
        ],
        'snapshots': [
            render.snapshot(cluster, item)
            for item in cluster.snapshots.by_order(None, '')
        ],
        'projects': [
            render.project(cluster, item) for item in cluster.projects.values()
        ],
        'credentials': [
            {'scope': item.scope, 'id': item.id, 'type': item.type}
            for item in cluster.auth.credentials.values()
        ],
        'policies': [
            render.policy(cluster, item, admin=True)
            for item in cluster.policies.values()
        ],
        'hosts': [
            render.host(cluster, item) for item in cluster.hosts.values()
        ],
        'usage': {
            'provisioned': cluster.usage.provisioned,
            'used': cluster.usage.used,
            'physical': cluster.usage.physical,
        },
    }


async def populate(command: control_server.Command) -> object:
    """Make many volumes in Available at once."""
    cluster = command.target.cluster
    count = command.take(int, 'count', 0)
    project = command.take(str, 'project', 'default')
    if project not in cluster.projects:
        raise errors.ControlError(f'no such project {project!r}', 404)
    first = ''
    for start in range(0, count, _BATCH):
        batch = [
            _ready_volume(cluster, project, command, index)
            for index in range(start, min(count, start + _BATCH))
        ]
        cluster.volumes.extend(batch)
        first = first or batch[0].uuid
        await asyncio.sleep(0)
    return {'count': count, 'first': first}


def _ready_volume(
    cluster: clusters.Cluster,
    project: str,
    command: control_server.Command,
    index: int,
) -> model.Volume:
    size = command.take(int, 'size', 1 << 30)
    replicas = command.take(int, 'replicas', 1)
    labels = command.take(dict, 'labels', {})
    nodes = placement.choose(cluster, replicas)
    if nodes is None:
        raise errors.ControlError(f'no nodes for {replicas} replicas', 409)
    uuid = cluster.new_uuid()
    volume = model.Volume(
        uuid=uuid,
        name=f'{command.take(str, "prefix", "filler-")}{index:07d}',
        project=project,
        size=size,
        replicas=replicas,
        compression=False,
        sector_size=4096,
        created=cluster.now(),
        number=cluster.next_number(),
        lineage=uuid,
        state=model.State.AVAILABLE,
        etag=cluster.switches.first_etag,
        nodes=nodes,
        nsid=cluster.next_nsid(),
        labels=tuple(labels.items()),
        policy_uuid=cluster.default_policy,
        acl=tuple(command.take(list, 'acl', [model.ALLOW_NONE])),
        top=cluster.usage.new_layer(nodes, False),
    )
    cluster.usage.place(nodes, size)
    cluster.plane.create(uuid, size)
    return volume


def _volume(command: control_server.Command) -> model.Volume:
    uuid = command.params['volume']
    found = command.target.cluster.volumes.get(uuid)
    if found is None:
        raise errors.ControlError(f'no such volume {uuid}', 404)
    return found


async def write(command: control_server.Command) -> object:
    """Account for `bytes` written by a host to a volume."""
    cluster = command.target.cluster
    volume = _volume(command)
    count = command.take(int, 'bytes', 0)
    if count < 0:
        raise errors.ControlError('field bytes: it is below 0')
    if cluster.plane.measures:
        raise errors.ControlError(
            "this data plane measures; write to the volume's path", 409
        )
    protection = placement.protection(cluster, volume.nodes)
    writable = (model.Protection.FULL, model.Protection.DEGRADED)
    if volume.top is None or protection not in writable:
        raise errors.ControlError(
            f'volume {volume.uuid} is not writable: {volume.state}, '
            f'{protection}',
            409,
        )
    used = min(volume.size, volume.top.used + count)
    cluster.usage.set_used(volume.top, used)
    layers = capacity.volume_layers(volume)
    return {'used': capacity.logical(layers, volume.size)}


async def path(command: control_server.Command) -> object:
    """Tell where the data of a volume or snapshot is."""
    cluster = command.target.cluster
    uuid = command.params['volume']
    if not (cluster.volumes.get(uuid) or cluster.snapshots.get(uuid)):
        raise errors.ControlError(f'no such volume or snapshot {uuid}', 404)
    return {'path': cluster.plane.path(uuid)}


async def set_state(command: control_server.Command) -> object:
    """Put an idle volume into another idle state."""
    volume = _volume(command)
    state = command.take(str, 'state', '')
    if state not in _SETTABLE or volume.state not in _SETTABLE:
        raise errors.ControlError(
            f'field state: from {volume.state} to {state!r} is not possible'
        )
    volume.remember()
    command.target.cluster.arrive(volume, model.State(state))
    return {}


async def connect(command: control_server.Command) -> object:
    """Connect a host and let it use volumes."""
    hosts.connect(
        command.target.cluster,
        command.take(str, 'nqn', ''),
        command.take(list, 'volumes', []),
        command.take(str, 'address', '192.0.2.1'),
        command.take(str, 'hostname', 'host'),
    )
    return {}


async def disconnect(command: control_server.Command) -> object:
    """Take volumes from a host, or without any disconnect it."""
    hosts.disconnect(
        command.target.cluster,
        command.take(str, 'nqn', ''),
        command.take(list, 'volumes', None),
    )
    return {}


_ONE = control_server.ONE
_VOLUME = f'{_ONE}/volumes/{{volume}}'

ROUTES = [
    control_server.ControlRoute('GET', f'{_ONE}/state', dump),
    control_server.ControlRoute('POST', f'{_ONE}/populate', populate),
    control_server.ControlRoute('POST', f'{_VOLUME}/write', write),
    control_server.ControlRoute('GET', f'{_VOLUME}/path', path),
    control_server.ControlRoute('PUT', f'{_VOLUME}/state', set_state),
    control_server.ControlRoute('POST', f'{_ONE}/hosts/connect', connect),
    control_server.ControlRoute(
        'POST', f'{_ONE}/hosts/disconnect', disconnect
    ),
]
