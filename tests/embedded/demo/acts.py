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

"""The acts of the demonstration while all clusters are up.

Every act runs real commands, checks their outcome on both sides (Cinder's
API and the clusters), and returns a line for the summary.
"""

from __future__ import annotations

from typing import Any

from tests.embedded import arrays
from tests.embedded.demo import console
from tests.embedded.demo import operators
from tests.embedded.demo import places
from tests.embedded.demo import stage

PLAIN, GOLD, PINNED = 'plain', 'gold', 'on-west'
PIN = 'west'

UNTYPED = ('app-1', 'app-2', 'app-3')
TYPED = {'web-1': PLAIN, 'web-2': PLAIN, 'db-1': GOLD, 'db-2': GOLD,
         'log-1': PINNED, 'log-2': PINNED}

_SIZE_GIB = 40
_GROWN_GIB = 60
_CONNECTOR: dict[str, Any] = {'host': 'compute-1', 'ip': '192.0.2.11',
              'host_ips': ['192.0.2.11', '198.51.100.11'],
              'nqn': 'nqn.2014-08.org.nvmexpress:uuid:'
                     '7b1d2f64-0000-4000-8000-0000000000c1',
              'found_dsc': 'found', 'os_type': 'linux2',
              'platform': 'x86_64', 'multipath': False}


class Show:
    """What all acts share."""

    def __init__(self, on: stage.Stage, out: console.Console,
                 operator: operators.Operator, sdk: Any) -> None:
        self.on = on
        self.out = out
        self.operator = operator
        self.sdk = sdk

    def volume_id(self, name: str) -> str:
        """Return the id of a volume by its name."""
        found: str = self.sdk.find_volume(name, ignore_missing=False).id
        return found

    def place(self, name: str) -> places.Place:
        """Return where a volume lives."""
        return places.place(self.on, name, self.volume_id(name))

    def places(self) -> list[places.Place]:
        """Return where every volume that is not in error lives."""
        return [places.place(self.on, volume.name, volume.id)
                for volume in sorted(self.sdk.volumes(),
                                     key=lambda item: str(item.name))
                if not volume.status.startswith('error')]

    def pool(self) -> dict[str, Any]:
        """Return what the scheduler knows of the backend's pool."""
        pools = self.operator.read('volume', 'backend', 'pool', 'list',
                                   '--long')
        console.expect(len(pools) == 1, f'one pool expected: {pools}')
        known: dict[str, Any] = pools[0]['Capabilities']
        return known


def create_types(show: Show) -> str:
    """Three volume types: nothing special, two replicas, pinned."""
    show.operator.run_all([
        ('volume', 'type', 'create', PLAIN),
        ('volume', 'type', 'create',
         '--property', 'lightos:num_replicas=2', GOLD),
        ('volume', 'type', 'create',
         '--property', f'lightos:cluster={PIN}', PINNED)])
    show.operator.run('volume', 'type', 'set',
                      '--property', 'compression=<is> True', GOLD)
    types = {item['Name']: item['Properties'] for item in
             show.operator.read('volume', 'type', 'list', '--long')}
    console.expect(types[PINNED] == {'lightos:cluster': PIN}, str(types))
    console.expect(types[GOLD]['lightos:num_replicas'] == '2', str(types))
    show.out.ok('the types say what was asked for')
    return f'types {PLAIN}, {GOLD} and {PINNED} made'


def create_volumes(show: Show) -> str:
    """Untyped, typed and pinned volumes; the driver finds them a place."""
    size = ('--size', str(_SIZE_GIB))
    show.operator.create_volumes(
        [(name, size) for name in UNTYPED]
        + [(name, (*size, '--type', kind)) for name, kind in TYPED.items()])
    found = show.places()
    show_places(show, found)
    by_name = {item.name: item for item in found}
    for name, kind in TYPED.items():
        _check_type(by_name[name], kind)
    used = {item.cluster for item in found}
    console.expect(len(used) == len(show.on.clusters),
                   f'volumes are only on {sorted(used)}')
    show.out.ok(f'{len(found)} volumes on {len(used)} clusters; pinned ones '
                f'on {PIN}; {GOLD} ones compressed, with 2 replicas')
    return f'{len(found)} volumes placed on {len(used)} clusters'


def show_places(show: Show, found: list[places.Place]) -> None:
    """Print the table of where volumes live, and why."""
    log = show.on.cloud.log()
    show.out.table(
        ['volume', 'cluster', 'GiB', 'replicas', 'compressed',
         'why (share of the cluster promised by then)'],
        [[item.name, item.cluster, item.size_gib,
          item.volume['replicaCount'], item.volume['compression'],
          places.reason(log, item.record)] for item in found])


def change_volumes(show: Show) -> str:
    """Extend, snapshot, volume from snapshot, clone."""
    show.operator.run_all([
        ('volume', 'set', '--size', str(_GROWN_GIB), 'app-1'),
        ('volume', 'snapshot', 'create', '--volume', 'db-1', 'db-1-monday')])
    show.operator.settled('app-1', frozenset({'available'}))
    show.operator.snapshot_taken('db-1-monday')
    show.operator.create_volumes([
        ('db-1-copy', ('--snapshot', 'db-1-monday')),
        ('web-1-clone', ('--source', 'web-1'))])
    grown = show.place('app-1')
    console.expect(grown.size_gib == _GROWN_GIB,
                   f'app-1 has {grown.size_gib} GiB on the cluster')
    show.out.ok(f'app-1 has {_GROWN_GIB} GiB on {grown.cluster}')
    for copy, source in (('db-1-copy', 'db-1'), ('web-1-clone', 'web-1')):
        where, origin = show.place(copy), show.place(source)
        console.expect(where.cluster == origin.cluster,
                       f'{copy} is not beside {source}')
        show.out.ok(f'{copy} is a thin copy beside {source} '
                    f'on {where.cluster}')
    leftovers = [item.name for cluster in show.on.contents()
                 for item in cluster.snapshots
                 if item.name.startswith('for_clone')]
    console.expect(not leftovers, f'left behind: {leftovers}')
    return 'extended, took a snapshot, copied from it, cloned'


def attach(show: Show) -> str:
    """Attach a volume as a compute host does, and detach it."""
    name = 'app-1'
    where = show.place(name)
    show.out.say(f'attaching {name} to compute-1 through the attachments '
                 'API, as Nova does')
    attachment = show.sdk.create_attachment(
        show.volume_id(name), connector=_CONNECTOR)
    show.sdk.complete_attachment(attachment)
    show.operator.settled(name, frozenset({'in-use'}))
    listed = show.operator.read('volume', 'attachment', 'list')
    console.expect([item['ID'] for item in listed] == [attachment.id],
                   f'attachments: {listed}')
    info = attachment.connection_info
    cluster = show.on.clusters[where.cluster]
    console.expect(info['driver_volume_type'] == 'lightos', str(info))
    console.expect(info['subsysnqn'] == cluster.nqn, str(info))
    console.expect(info['uuid'] == where.volume['UUID'], str(info))
    show.out.ok(f'compute-1 is told: volume {info["uuid"]} of subsystem '
                f'{info["subsysnqn"]}, {len(info["lightos_nodes"])} nodes')
    admitted = _access(show, name)
    console.expect(
        admitted == ({_CONNECTOR['nqn']}, set(_CONNECTOR['host_ips'])),
        f'the ACLs are {admitted}')
    show.out.ok(f'{where.cluster} admits just compute-1, by NQN and by '
                'address')
    show.operator.run('volume', 'attachment', 'delete', attachment.id)
    show.operator.settled(name, frozenset({'available'}))
    admitted = _access(show, name)
    console.expect(admitted[0] == {arrays.NOBODY}, f'still {admitted}')
    show.out.ok(f'after the detach {where.cluster} admits nobody')
    return 'attached and detached, access given and taken'


def _access(show: Show, name: str) -> tuple[set[str], set[str]]:
    volume = show.place(name).volume
    return set(volume['acl']['values']), set(volume['IPAcl']['values'])


def _check_type(item: places.Place, kind: str) -> None:
    replicas, compression = item.volume['replicaCount'], str(
        item.volume['compression']).lower()
    wanted = (2, 'true') if kind == GOLD else (3, 'false')
    console.expect((replicas, compression) == wanted,
                   f'{item.name}: {replicas} replicas, compression '
                   f'{compression}')
    if kind == PINNED:
        console.expect(item.cluster == PIN,
                       f'{item.name} is on {item.cluster}')
