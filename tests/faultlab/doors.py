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
"""Whether hosts get to volumes: by trying, not by reading lists."""

from __future__ import annotations

from collections.abc import Iterator

from cinder_lightbits_federation import ownership
from tests.embedded import records
from tests.faultlab import plan
from tests.faultlab import users
from tests.simulator import control
from tests.stack import bed

_REFUSED = 409


def findings(lab: bed.Bed, books: records.CinderRecords) -> Iterator[str]:
    """Let every host try to connect to every volume of a record.

    :returns: who gets in without an attachment, or has one and does not.
    """
    attached = {(item.volume_id, item.nqn) for item in books.attachments}
    names = {f'volume-{item.name_id}': item.id for item in books.volumes}
    held = {cluster.name: cluster for cluster in lab.contents()}
    for name, cluster in lab.clusters.items():
        for volume in held[name].volumes:
            if (volume.label(ownership.LABEL_OWNER)
                    != lab.federation_id):
                continue
            volume_id = names.get(volume.name)
            for number in range(1, plan.HOSTS + 1):
                nqn = users.connector(number)['nqn']
                admitted = _gets_in(cluster, volume.uuid, number)
                if admitted != ((volume_id, nqn) in attached):
                    yield (f'volume {volume_id} ({volume.name} on {name}): '
                           f'{nqn} ' + ('gets in without an attachment'
                                        if admitted else
                                        'is attached and does not get in'))


def _gets_in(cluster: control.SimCluster, uuid: str, number: int) -> bool:
    host = users.connector(number)
    try:
        cluster.connect_host(host['nqn'], uuid, address=host['ip'],
                             hostname=host['host'])
    except control.SimulatorError as exc:
        if exc.status != _REFUSED:
            raise
        return False
    cluster.disconnect_host(host['nqn'])
    return True
