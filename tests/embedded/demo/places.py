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

"""Where volumes live, by Cinder's database and by the clusters."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import re
import textwrap
from typing import Any

from cinder_lightbits_federation import location
from tests.embedded.demo import stage
from tests.embedded import records
from tests.simulator import control

# Characters of the column that says why.
_WIDTH = 90


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where one volume lives.

    :ivar volume: the object in the form of the array's API.
    """

    name: str
    record: records.Volume
    cluster: str
    volume: dict[str, Any]

    @property
    def size_gib(self) -> int:
        """GiB, by the cluster."""
        return int(self.volume['size']) // stage.GIB


def place(on: stage.Stage, name: str, volume_id: str) -> Place:
    """Return where a volume lives.

    :raises LookupError: the cluster does not have what Cinder recorded.
    """
    return find(name, volume_id, on.cloud.records(), on.clusters.values())


def find(name: str, volume_id: str, known: records.CinderRecords,
         clusters: Iterable[control.SimCluster]) -> Place:
    """Return where a volume lives, by what Cinder has recorded.

    :raises LookupError: the cluster does not have what Cinder recorded.
    """
    record = next(item for item in known.volumes if item.id == volume_id)
    where = location.recorded_for(record.provider_location, record.name_id)
    if where is None:
        raise LookupError(f'{name}: no location is recorded')
    for cluster in clusters:
        if cluster.uuid == where.cluster_uuid:
            for volume in cluster.state()['volumes']:
                if volume['UUID'] == where.object_uuid:
                    return Place(name, record, cluster.name, volume)
    raise LookupError(f'{name}: nothing is at {where}')


def reason(log: str, record: records.Volume) -> str:
    """Return what the service logged about placing a volume, in short."""
    lines = re.findall(
        rf'placement volume={re.escape(record.name_id)} [^\n]*', log)
    if not lines:
        return 'not logged'
    text = lines[-1].partition(' ratio=')[2]
    chosen, _candidates, rest = text.partition(' candidates=')
    candidates, _rejected, rejected = rest.partition(' rejected=')
    words = [chosen]
    if candidates != '-':
        words.append(f'before {candidates}')
    if rejected != '-':
        words.append(f'not {rejected}')
    return textwrap.shorten('; '.join(words), _WIDTH, placeholder=' ...')
