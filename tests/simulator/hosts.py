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

"""Hosts connected to a cluster and the volumes they use."""

from __future__ import annotations

import collections.abc

from tests.simulator import cluster as clusters
from tests.simulator import errors
from tests.simulator import model


def connect(
    cluster: clusters.Cluster,
    nqn: str,
    volumes: collections.abc.Sequence[str],
    address: str,
    hostname: str,
) -> None:
    """Connect a host and let it use volumes.

    The volumes show it after the delay `connected_hosts`.

    :raises ControlError: 404, no such volume; 409, its ACL keeps the host
        out.
    """
    found = [_allowed(cluster, uuid, nqn, address) for uuid in volumes]
    host = cluster.hosts.setdefault(nqn, model.Host(nqn, address, hostname))
    host.address, host.hostname = address, hostname
    for volume in found:
        host.volumes.add(volume.uuid)
        _show(cluster, volume)


def _allowed(
    cluster: clusters.Cluster, uuid: str, nqn: str, address: str
) -> model.Volume:
    volume = cluster.volumes.get(uuid)
    if volume is None:
        raise errors.ControlError(f'no such volume {uuid}', 404)
    for wanted, acl in ((nqn, volume.acl), (address, volume.ip_acl)):
        if model.ALLOW_ANY not in acl and wanted not in acl:
            raise errors.ControlError(
                f'volume {uuid} does not admit {wanted}', 409
            )
    return volume


def disconnect(
    cluster: clusters.Cluster,
    nqn: str,
    volumes: collections.abc.Sequence[str] | None,
) -> None:
    """Let a host give volumes up, or (None) disconnect altogether.

    :raises ControlError: 404, no such host.
    """
    host = cluster.hosts.get(nqn)
    if host is None:
        raise errors.ControlError(f'no such host {nqn}', 404)
    for uuid in list(host.volumes) if volumes is None else volumes:
        host.volumes.discard(uuid)
        volume = cluster.volumes.get(uuid)
        if volume is not None:
            _show(cluster, volume)
    if volumes is None:
        del cluster.hosts[nqn]


def enforce(cluster: clusters.Cluster, volume: model.Volume) -> None:
    """Take a volume from hosts its ACL no longer admits."""
    if model.ALLOW_ANY in volume.acl:
        return
    for host in cluster.hosts.values():
        if host.nqn not in volume.acl and volume.uuid in host.volumes:
            host.volumes.discard(volume.uuid)
            _show(cluster, volume)


def forget_volume(cluster: clusters.Cluster, volume: model.Volume) -> None:
    """Take a volume from all hosts: its namespace disappears."""
    for host in cluster.hosts.values():
        host.volumes.discard(volume.uuid)
    volume.hosts = ()
    cluster.publish()


def _show(cluster: clusters.Cluster, volume: model.Volume) -> None:
    """Let `connectedHosts` follow, now or a little later."""

    def follow() -> None:
        volume.hosts = tuple(
            sorted(
                host.nqn
                for host in cluster.hosts.values()
                if volume.uuid in host.volumes
            )
        )

    delay = cluster.delays.draw('connected_hosts', cluster.rng)
    if delay:
        cluster.changes.after(delay, follow)
    else:
        follow()
