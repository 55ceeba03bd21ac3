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

"""Backends of the in-tree driver: records in Cinder, objects on clusters."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import datetime
import json
from typing import Any

from cinder import objects

from cinder_lightbits_federation.adoption import rows
from cinder_lightbits_federation import cinderdb
from cinder_lightbits_federation.location import Location
from tests import releases
from tests.unit.cli import base
from tests.unit.driver import base as driver_base

WHEN = datetime.datetime(2026, 1, 2, 3, 4, 5)
HOST = 'stor1'
# What an adoption may change, by table.
MAY_CHANGE = {
    'Volume': {'host', 'cluster_name', 'provider_location', 'provider_id'},
    'Snapshot': {'provider_location', 'provider_id'},
    'Group': {'host', 'cluster_name'},
    'ImageVolumeCacheEntry': {'host', 'cluster_name'},
    'VolumeTypeExtraSpecs': {'value'},
    'VolumeAttachment': set(), 'VolumeType': set()}

Picture = dict[str, list[dict[str, Any]]]


class AdoptTestCase(base.CliTestCase):
    """The clusters of two in-tree backends, in a federation of none yet."""

    NODES = 3

    def setUp(self) -> None:
        super().setUp()
        # Nothing but the command is under test, and nothing else asks.
        self.driver.tear_down()
        self.backends = {f'lightos-{name}': name for name in self.arrays}
        self.folder_of_adoption = self.path('adoption')

    def in_tree(self, **options: Any) -> None:
        """Add the sections of the in-tree backends to the files."""
        with open(self.path('service.conf'), 'a', encoding='utf-8') as file:
            for section, name in self.backends.items():
                address, port = self.arrays[name].api_endpoints[0].rsplit(
                    ':', 1)
                values = {
                    'volume_driver': 'cinder.volume.drivers.lightos.'
                                     'LightOSVolumeDriver',
                    'volume_backend_name': section,
                    'lightos_api_address': address,
                    'lightos_api_port': port,
                    'lightos_jwt': self.arrays[name].admin_token, **options}
                file.write(f'[{section}]\n' + ''.join(
                    f'{key} = {value}\n' for key, value in values.items()))

    @property
    def given(self) -> list[str]:
        """Arguments that name the backends."""
        return [text for section, name in self.backends.items()
                for text in ('--from', f'{section}={name}')]

    @property
    def backup(self) -> list[str]:
        """Arguments that name the folder."""
        return ['--backup-dir', self.folder_of_adoption]

    # What the in-tree driver would have made

    def populate(self, section: str, count: int, mark: int,
                 attached: bool = False, **fields: Any) -> list[str]:
        """Make volumes of a backend, on record and on its cluster.

        :param mark: differs for each call.
        :returns: their ids.
        """
        prefix = f'{mark:08d}-0000-4000-8000-00000'
        nqn = driver_base.nqn(mark)
        array = self.arrays[self.backends[section]]
        array.populate(count, prefix=f'volume-{prefix}', size=driver_base.GIB,
                       acl=[nqn] if attached else ['ALLOW_NONE'])
        uuids = {item['name']: item['UUID']
                 for item in array.state()['volumes']}
        ids = [f'{prefix}{number:07d}' for number in range(count)]
        with cinderdb.writing() as session:
            for number, volume_id in enumerate(ids):
                session.add(self._volume(
                    section, volume_id, number,
                    uuids[f'volume-{volume_id}'], attached, fields))
                if attached:
                    session.add(self._attachment(volume_id, nqn))
        return ids

    def _volume(self, section: str, volume_id: str, number: int, uuid: str,
                attached: bool, fields: dict[str, Any]) -> Any:
        # Volumes that are older than the driver's own record of the UUID.
        place = (f'default {uuid}', 'default', None)[number % 3]
        values = {
            'id': volume_id, 'host': f'{HOST}@{section}#{section}',
            'size': 1, 'status': 'in-use' if attached else 'available',
            'attach_status': 'attached' if attached else 'detached',
            'display_name': f'v{number}', 'project_id': 'p', 'user_id': 'u',
            'provider_id': place, 'created_at': WHEN, 'updated_at': WHEN,
            'volume_type_id': self.type_of(section), 'use_quota': True,
            **fields}
        return releases.models.Volume(**values)

    def type_of(self, section: str) -> str:
        """:returns: the volume type that chooses a backend."""
        known: dict[str, str] = self.__dict__.setdefault('types', {})
        if section not in known:
            known[section] = self.volume_type(
                {'volume_backend_name': section})
        return known[section]

    @staticmethod
    def _attachment(volume_id: str, nqn: str) -> Any:
        return releases.models.VolumeAttachment(
            id=volume_id.replace('-4000-', '-4a00-'), volume_id=volume_id,
            attached_host='compute1', attach_status='attached',
            instance_uuid=volume_id, mountpoint='/dev/vdb', attach_mode='rw',
            connector=json.dumps({'nqn': nqn, 'host': 'compute1',
                                  'host_ips': ['192.0.2.1']}),
            connection_info=json.dumps({'driver_volume_type': 'lightos'}),
            created_at=WHEN, updated_at=WHEN)

    def taken_of(self, section: str, volume_id: str) -> str:
        """Make a snapshot of a volume, on record and on its cluster."""
        name = self.backends[section]
        uuid = next(item['UUID'] for item
                    in self.arrays[name].state()['volumes']
                    if item['name'] == f'volume-{volume_id}')
        snapshot_id = volume_id.replace('-4000-', '-4b00-')
        self.ask(name, 'POST', 'snapshots',
                 name=f'snapshot-{snapshot_id}',
                 sourceVolumeUUID=uuid)
        self.settle()
        with cinderdb.writing() as session:
            session.add(releases.models.Snapshot(
                id=snapshot_id, volume_id=volume_id, status='available',
                volume_size=1, project_id='p', created_at=WHEN,
                updated_at=WHEN, use_quota=True,
                volume_type_id=self.type_of(section)))
        return snapshot_id

    # Before and after

    def picture(self) -> Picture:
        """:returns: all rows of the tables that might matter."""
        found = {}
        for name in MAY_CHANGE:
            model = cinderdb.model_of(name)
            columns = [column.key for column in model.__table__.columns]
            with cinderdb.reading() as session:
                found[name] = [
                    dict(zip(columns, row, strict=True)) for row
                    in session.query(*(getattr(model, key) for key
                                       in columns)).order_by(model.id)]
        return found

    def on_clusters(self) -> dict[str, Any]:
        """:returns: all that the clusters hold, ETags included."""
        return {name: {kind: array.state()[kind]
                       for kind in ('volumes', 'snapshots')}
                for name, array in self.arrays.items()}

    def assert_same(self, before: Picture, after: Picture) -> None:
        """What an adoption may not change is as it was."""
        for name, columns in MAY_CHANGE.items():
            self.assertEqual(*([{key: value for key, value in row.items()
                                 if key not in columns} for row in rows_of]
                               for rows_of in (before[name], after[name])))

    def assert_adopted(self, after: Picture) -> None:
        """Every row names our backend and its place on the cluster."""
        for row in after['Volume']:
            self.assertEqual('stor1@lightbits#federation', row['host'])
            place = Location.parse(row['provider_location'])
            self.assertEqual((row['id'], 'default'), (place.name_id,
                                                      place.project))
            self.assertEqual(f'default {place.object_uuid}',
                             row['provider_id'])
        for row in after['Snapshot']:
            Location.parse(row['provider_location'])
        for name in ('Group', 'ImageVolumeCacheEntry'):
            self.assertEqual({'stor1@lightbits#federation'},
                             {row['host'] for row in after[name]})
        self.assertEqual(
            {'lightbits'}, {row['value'] for row
                            in after['VolumeTypeExtraSpecs']
                            if row['key'] == 'volume_backend_name'})

    @contextlib.contextmanager
    def interrupted(self, after: int) -> Iterator[None]:
        """Stop the command in the middle of its work, once."""
        real, calls = rows.apply, [0]

        def stop(*args: Any) -> Any:
            calls[0] += 1
            if calls[0] > after:
                raise KeyboardInterrupt
            return real(*args)

        self.stub_out('cinder_lightbits_federation.adoption.rows.apply',
                      stop)
        yield
        self.stub_out('cinder_lightbits_federation.adoption.rows.apply',
                      real)

    def row_of(self, volume_id: str) -> Any:
        """:returns: the record of a volume."""
        return objects.Volume.get_by_id(self.context, volume_id)
