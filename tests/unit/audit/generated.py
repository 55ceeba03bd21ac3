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

"""Whole clouds in which everything agrees, of any size."""

from __future__ import annotations

import dataclasses
import random
import uuid as uuidlib

from cinder_lightbits_federation.audit import books
from cinder_lightbits_federation.lightbits import model
from tests.unit.audit import world


def identity(rng: random.Random) -> str:
    """:returns: a random UUID."""
    return str(uuidlib.UUID(int=rng.getrandbits(128), version=4))


@dataclasses.dataclass(slots=True)
class Cloud:
    """Records and objects, to be spoilt.

    :ivar volumes: records with their objects, likewise `snapshots`.
    :ivar foreign: volumes of somebody else, by cluster.
    """

    clusters: list[str]
    volumes: list[tuple[books.VolumeRecord, model.Volume]]
    snapshots: list[tuple[books.SnapshotRecord, model.Snapshot]]
    attachments: list[books.AttachmentRecord]
    foreign: list[tuple[str, model.Volume]]

    def records(self) -> books.Books:
        """:returns: what Cinder says."""
        return books.Books(tuple(item for item, _ in self.volumes),
                           tuple(item for item, _ in self.snapshots),
                           tuple(self.attachments))

    def contents(self) -> books.Seen:
        """:returns: what the clusters say."""
        volumes: dict[str, list[model.Volume]] = {
            uuid: [] for uuid in self.clusters}
        snapshots: dict[str, list[model.Snapshot]] = {
            uuid: [] for uuid in self.clusters}
        for record, volume in self.volumes:
            volumes[_cluster(record)].append(volume)
        for taken, snapshot in self.snapshots:
            snapshots[_cluster(taken)].append(snapshot)
        for uuid, volume in self.foreign:
            volumes[uuid].append(volume)
        return {uuid: books.Holdings(uuid[-2:], uuid, tuple(volumes[uuid]),
                                     tuple(snapshots[uuid]))
                for uuid in self.clusters}


def _cluster(record: books.Record) -> str:
    assert record.location is not None
    return record.location.cluster_uuid


def cloud(rng: random.Random, volumes: int, clusters: int = 4) -> Cloud:
    """Make a cloud in which everything agrees.

    A third of the volumes are attached to one or two hosts, a fifth have a
    snapshot, a tenth are somebody else's.
    """
    names = [identity(rng) for _number in range(clusters)]
    made = Cloud(names, [], [], [], [])
    for number in range(volumes):
        _volume(made, rng, number)
    for _number in range(volumes // 10):
        uuid = identity(rng)
        made.foreign.append((rng.choice(names), dataclasses.replace(
            world.FOREIGN, uuid=uuid, name=f'pvc-{uuid}')))
    return made


def _volume(made: Cloud, rng: random.Random, number: int) -> None:
    cluster, volume_id, uuid = (rng.choice(made.clusters), identity(rng),
                                identity(rng))
    hosts = [world.host(f'{world.NQN}-{rng.randrange(1000)}-{index}',
                        f'192.0.{rng.randrange(256)}.{index + 1}')
             for index in range(max(0, rng.randrange(5) - 2))]
    size = rng.randrange(1, 100) * world.GIB
    record = books.VolumeRecord(
        volume_id, volume_id, f'volume-{volume_id}',
        'in-use' if hosts else 'available', size,
        world.place(volume_id, uuid, cluster))
    made.volumes.append((record, dataclasses.replace(
        world.ON_ARRAY, uuid=uuid, name=record.name, size=size,
        labels=world.labels(volume_id),
        acl=frozenset(host.nqn for host in hosts),
        ip_acl=frozenset(address for host in hosts
                         for address in host.addresses))))
    made.attachments += [
        books.AttachmentRecord(f'{number}-{index}', volume_id, 'attached',
                               host) for index, host in enumerate(hosts)]
    if number % 5 == 0:
        _snapshot(made, rng, record, uuid)


def _snapshot(made: Cloud, rng: random.Random, volume: books.VolumeRecord,
              source: str) -> None:
    snapshot_id, uuid = identity(rng), identity(rng)
    record = books.SnapshotRecord(
        snapshot_id, volume.id, f'snapshot-{snapshot_id}', 'available',
        volume.size, world.place(snapshot_id, uuid, _cluster(volume)))
    made.snapshots.append((record, dataclasses.replace(
        world.SNAPSHOT_ON_ARRAY, uuid=uuid, name=record.name,
        size=volume.size, source_volume_uuid=source,
        description=world.described(snapshot_id))))
