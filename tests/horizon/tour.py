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
"""What a user and an administrator do with volumes, and what must hold."""

from __future__ import annotations

from collections.abc import Callable
import pathlib
from typing import Any

from tests.copying import files
from tests.embedded.demo import console
from tests.embedded.demo import places
from tests.embedded.demo import stage
from tests.embedded import federation
from tests.embedded import waiting
from tests.horizon import browser
from tests.horizon import cloud
from tests.horizon import pages
from tests.stack import settings

_VOLUMES, _SNAPSHOTS = '/project/volumes/', '/project/snapshots/'
_ALL_VOLUMES, _TYPES = '/admin/volumes/', '/admin/volume_types/'

GOLD, EAST, WEST = 'gold', 'on-east', 'on-west'
DATABASE, SCRATCH = 'database', 'scratch'
MONDAY, RESTORED, COPY = 'monday', 'restored', 'copy'

_MIB = 1024 ** 2
_POOL = f'@{federation.BACKEND}#federation'
_MOVE_SECONDS = 180.0

TITLES = ('Make volume types with the command',
          'Make a volume type with an extra spec in Horizon',
          'Create volumes', 'Extend a volume',
          'Take a snapshot, make a volume from it, clone a volume',
          'Change the type of a volume', 'See what an administrator sees',
          'Migrate a volume',
          'See that the command sees the same', 'Delete everything')


class Tour:
    """The steps, in order; each returns what has been seen."""

    def __init__(self, on: cloud.Cloud, window: browser.Browser) -> None:
        self._on = on
        self._window = window
        self._sdk = on.volumes(on.user)
        self._volumes = pages.Table(window, _VOLUMES, 'volumes')
        self._snapshots = pages.Table(window, _SNAPSHOTS,
                                      'volume_snapshots')
        self._all = pages.Table(window, _ALL_VOLUMES, 'volumes')
        self._types = pages.Table(window, _TYPES, 'volume_types')

    def steps(self) -> list[Callable[[], str]]:
        """Return what to call, one for each title."""
        return [self.types_by_command, self.type_in_horizon, self.create,
                self.extend, self.derive, self.retype, self.administrate,
                self.migrate, self.compare, self.delete]

    def types_by_command(self) -> str:
        """Make types with the ``openstack`` command, as administrator."""
        client = self._on.client(self._on.keystone.admin)
        client.text('volume', 'type', 'create', GOLD,
                    '--description', 'Two replicas, compressed',
                    '--property', 'lightos:num_replicas=2',
                    '--property', 'compression=<is> True')
        client.text('volume', 'type', 'create', EAST,
                    '--property', 'lightos:cluster=east')
        return f'{GOLD} and {EAST}'

    def type_in_horizon(self) -> str:
        """Make a type and its extra spec in the admin panel."""
        pages.log_in(self._window, self._on.keystone.admin, _TYPES)
        dialog = self._types.begin('create')
        dialog.fill(name=WEST, vol_type_description='On the cluster west')
        dialog.submit()
        self._specs(WEST, {'lightos:cluster': 'west'})
        shown = self._shown_specs(GOLD)
        console.expect(shown == {'lightos:num_replicas': '2',
                                 'compression': '<is> True'}, str(shown))
        self._window.picture('type-extra-specs')
        return f'{WEST} pinned; Horizon shows the extra specs of {GOLD}'

    def create(self) -> str:
        """Create volumes of two types."""
        pages.log_in(self._window, self._on.user, _VOLUMES)
        dialog = self._volumes.begin('create')
        offered = dialog.offers('type')
        console.expect({GOLD, EAST, WEST} <= set(offered), str(offered))
        dialog.fill(name=DATABASE, size='10')
        dialog.choose('type', GOLD)
        self._window.picture('create-volume')
        dialog.submit()
        dialog = self._volumes.begin('create')
        dialog.fill(name=SCRATCH, size='4')
        dialog.choose('type', EAST)
        dialog.submit()
        for name, kind, size in ((DATABASE, GOLD, '10GiB'),
                                 (SCRATCH, EAST, '4GiB')):
            self._volumes.wait(name, Status='Available', Type=kind,
                               Size=size)
        gold, east = self._place(DATABASE), self._place(SCRATCH)
        console.expect(gold.volume['replicaCount'] == 2
                       and str(gold.volume['compression']).lower() == 'true',
                       f'{DATABASE} is {gold.volume}')
        console.expect(east.cluster == 'east', f'{SCRATCH} is on {east}')
        return (f'{DATABASE} on {gold.cluster} with 2 replicas, compressed; '
                f'{SCRATCH} on east')

    def extend(self) -> str:
        """Make a volume larger."""
        dialog = self._volumes.act(SCRATCH, 'extend')
        dialog.fill(new_size='6')
        dialog.submit()
        self._volumes.wait(SCRATCH, Status='Available', Size='6GiB')
        console.expect(self._place(SCRATCH).size_gib == 6,
                       'the cluster has another size')
        return f'{SCRATCH} has 6 GiB on its cluster'

    def derive(self) -> str:
        """Take a snapshot, make a volume from it, and clone a volume."""
        dialog = self._volumes.act(DATABASE, 'snapshots')
        dialog.fill(name=MONDAY)
        dialog.submit()
        self._snapshots.open()
        self._snapshots.wait(MONDAY, Status='Available')
        dialog = self._snapshots.act(MONDAY, 'create_from_snapshot')
        dialog.fill(name=RESTORED)
        dialog.submit()
        self._volumes.open()
        dialog = self._volumes.begin('create')
        dialog.fill(name=COPY)
        dialog.choose('volume_source_type', 'Volume')
        dialog.choose('volume_source', f'{DATABASE} (10 GiB)')
        dialog.submit()
        home = self._place(DATABASE).cluster
        for name in (RESTORED, COPY):
            self._volumes.wait(name, Status='Available', Size='10GiB')
            console.expect(self._place(name).cluster == home,
                           f'{name} is not beside {DATABASE}')
        self._volumes.open()
        self._window.picture('volumes')
        return f'{RESTORED} and {COPY} are beside {DATABASE} on {home}'

    def retype(self) -> str:
        """Give a volume a type that wants another cluster."""
        files.scatter(self._file(SCRATCH), 6 * stage.GIB, 8 * _MIB)
        before = self._content(SCRATCH)
        dialog = self._volumes.act(SCRATCH, 'retype')
        dialog.choose('volume_type', WEST)
        dialog.choose('migration_policy', 'On Demand')
        dialog.submit()
        self._volumes.wait(SCRATCH, _MOVE_SECONDS,
                           Status='Available', Type=WEST)
        console.expect(self._place(SCRATCH).cluster == 'west',
                       f'{SCRATCH} is not on west')
        console.expect(self._content(SCRATCH) == before,
                       f'{SCRATCH} has other data than before')
        self._volumes.follow(SCRATCH)
        self._window.find('.detail dl')
        self._window.picture('volume')
        return f'{SCRATCH} has moved to west, with its data'

    def administrate(self) -> str:
        """Look at all volumes, and at where they could go."""
        pages.log_in(self._window, self._on.keystone.admin, _ALL_VOLUMES)
        pages.expect_no_complaint(self._window)
        hosts = {self._all.cells(name).get('Host', '')
                 for name in (DATABASE, SCRATCH, RESTORED, COPY)}
        hosts = {host.replace('\n', '') for host in hosts}
        console.expect(all(host.endswith(_POOL)
                           for host in hosts), str(hosts))
        self._window.picture('admin-volumes')
        for name in (DATABASE, SCRATCH):
            place = self._place(name)
            told = self._on.operate('volume', 'show', place.record.id)
            console.expect(told['cluster'] == place.cluster, str(told))
        return f'four volumes of one pool, on {", ".join(sorted(hosts))}'

    def migrate(self) -> str:
        """Move a volume as administrator, away from where it is.

        Of a clustered service Horizon offers what Cinder's API does not
        take, so the command asks for it.
        """
        dialog = self._all.act(COPY, 'migrate')
        offered = dialog.offers('host')[1:]
        console.expect(offered == [f'{settings.CLUSTER}{_POOL}'],
                       str(offered))
        dialog.choose('host', offered[0])
        try:
            dialog.submit()
        except console.Deviation as exc:
            console.expect('Failed to migrate volume' in str(exc), str(exc))
        else:
            raise console.Deviation('the administration page can migrate')
        files.scatter(self._file(COPY), 10 * stage.GIB, 8 * _MIB)
        before, content = self._place(COPY), self._content(COPY)
        host = f'{settings.HOSTS[0]}{_POOL}'.partition('#')[0]
        self._on.client(self._on.keystone.admin).text(
            'volume', 'migrate', '--host', host, before.record.id)
        waiting.wait_for(
            lambda: self._place(COPY).cluster != before.cluster,
            f'{COPY} to leave {before.cluster}', _MOVE_SECONDS)
        self._all.open()
        self._all.wait(COPY, _MOVE_SECONDS, Status='Available')
        console.expect(self._content(COPY) == content,
                       f'{COPY} has other data than before')
        return (f'{COPY} has moved to {self._place(COPY).cluster}, '
                f'with its data')

    def compare(self) -> str:
        """List the user's volumes with the command."""
        client = self._on.client(self._on.user)
        listed = {item['Name']: (item['Status'], item['Size'])
                  for item in client.json('volume', 'list')}
        wanted = dict.fromkeys((DATABASE, RESTORED, COPY), ('available', 10))
        console.expect(listed == {**wanted, SCRATCH: ('available', 6)},
                       str(listed))
        self._audit()
        return 'four volumes; Cinder and the clusters agree'

    def delete(self) -> str:
        """Delete the snapshot and all volumes."""
        pages.log_in(self._window, self._on.user, _SNAPSHOTS)
        self._snapshots.act(MONDAY, 'delete').submit()
        self._snapshots.wait_gone(MONDAY)
        self._volumes.open()
        for name in (DATABASE, SCRATCH, RESTORED, COPY):
            self._volumes.act(name, 'delete').submit()
            self._volumes.wait_gone(name)
        self._audit()
        left = [item.id for item in self._on.bed.stack.records().volumes]
        console.expect(not left, f'Cinder still has {left}')
        return 'nothing of ours is left on any cluster'

    def _specs(self, kind: str, specs: dict[str, str]) -> None:
        """Add extra specs to a type; the page is that of types."""
        for key, value in specs.items():
            self._types.open()
            self._types.act(kind, 'extras')
            self._window.click('#extras__action_create')
            self._window.find('.modal-dialog [name="key"]')
            dialog = pages.Dialog(self._window)
            dialog.fill(key=key, value=value)
            dialog.submit()

    def _shown_specs(self, kind: str) -> dict[str, str]:
        """Return what the dialog of a type shows; it stays open."""
        self._types.open()
        self._types.act(kind, 'extras')
        self._window.find('table#extras tr[data-object-id]')
        cells = self._window.texts('table#extras tr[data-object-id] td')
        # A box to tick, key, value, actions.
        return dict(zip(cells[1::4], cells[2::4], strict=True))

    def _place(self, name: str) -> places.Place:
        volume: Any = self._sdk.find_volume(name, ignore_missing=False)
        return places.find(name, volume.id, self._on.bed.stack.records(),
                           self._on.bed.clusters.values())

    def _file(self, name: str) -> pathlib.Path:
        """Return where the cluster keeps the data of a volume."""
        place = self._place(name)
        path = self._on.bed.clusters[place.cluster].data_path(
            place.volume['UUID'])
        return pathlib.Path(str(path))

    def _content(self, name: str) -> tuple[int, str]:
        """Return size and digest of the data of a volume."""
        return files.content(self._file(name))

    def _audit(self) -> None:
        """Nothing is wrong between Cinder and the clusters."""
        self._on.bed.let_time_pass()
        found = self._on.bed.findings()
        console.expect(not found, '\n'.join(found))
