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

"""Comparing the database with the clusters, and what may be left over."""

from __future__ import annotations

from collections.abc import Container, Mapping
import dataclasses
from typing import Any

from cinder import objects

from tests.embedded import arrays
from tests.embedded import federation
from tests.embedded import invariants
from tests.embedded import records
from tests.simulator import client

# An intermediate snapshot has this name, ours as owner, and an end.
INTERMEDIATE = 'for_clone_'


def load(ctxt: Any) -> records.CinderRecords:
    """Read the database that Cinder's objects use."""
    return records.CinderRecords(
        tuple(_volume(item) for item in objects.VolumeList.get_all(ctxt)),
        tuple(_snapshot(item) for item
              in objects.SnapshotList.get_all(ctxt, {})),
        tuple(_attachment(item) for item
              in objects.VolumeAttachmentList.get_all(ctxt)))


def _volume(item: Any) -> records.Volume:
    return records.Volume(item.id, item.name_id, item.status, item.size,
                          item.provider_location, item.host)


def _snapshot(item: Any) -> records.Snapshot:
    return records.Snapshot(item.id, item.volume_id, item.status,
                            item.volume_size, item.provider_location)


def _attachment(item: Any) -> records.Attachment:
    known = item.connector or {}
    return records.Attachment(item.id, item.volume_id, item.attach_status,
                              known.get('nqn'),
                              tuple(known.get('host_ips') or ()))


class Audit:
    """The checker, and what was there before it all began.

    :param clusters: by name.
    """

    def __init__(self, clusters: Mapping[str, client.SimCluster],
                 federation_id: str) -> None:
        self._clusters = clusters
        self._rules = invariants.Rules(federation_id)
        self.before = federation.contents(clusters.values())

    def findings(self, ctxt: Any) -> list[invariants.Finding]:
        """Let the clusters come to rest, and look.

        :returns: what is wrong, intermediate snapshots left out.
        """
        for cluster in self._clusters.values():
            cluster.settle()
        now = [_without_intermediates(cluster) for cluster
               in federation.contents(self._clusters.values())]
        return invariants.check(load(ctxt), now, self.before, self._rules)

    def intermediates(self) -> int:
        """Count the intermediate snapshots; each must have an end."""
        found = [item for cluster in self._clusters.values()
                 for item in cluster.state()['snapshots']
                 if _is_intermediate(item['name'])
                 and item['state'] != 'Deleting']
        endless = [item['name'] for item in found
                   if not item['retentionTime']]
        if endless:
            raise AssertionError(f'{endless} would stay for ever')
        return len(found)

    def wipe(self) -> None:
        """Remove all that was not there before."""
        for cluster, before in zip(self._clusters.values(), self.before,
                                   strict=True):
            _wipe(cluster, {item.uuid for item in before.volumes}
                  | {item.uuid for item in before.snapshots})


def _is_intermediate(name: str) -> bool:
    return name.startswith(INTERMEDIATE)


def _without_intermediates(cluster: arrays.Cluster) -> arrays.Cluster:
    return dataclasses.replace(cluster, snapshots=tuple(
        item for item in cluster.snapshots
        if not _is_intermediate(item.name)))


def _wipe(cluster: client.SimCluster, kept: Container[str]) -> None:
    cluster.settle()
    for kind in ('volumes', 'snapshots'):
        for item in cluster.state()[kind]:
            if item['UUID'] not in kept:
                cluster.request(
                    'DELETE', f'/api/v2/projects/{item["projectName"]}/'
                    f'{kind}/{item["UUID"]}')
    cluster.settle()
