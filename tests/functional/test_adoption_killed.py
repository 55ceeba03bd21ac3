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

"""An adoption of 1,000 volumes whose process is killed, and killed again."""

from __future__ import annotations

from collections.abc import Mapping
import datetime
import json
import os
import signal
import subprocess
from typing import Any

import sqlalchemy as sa

from tests.embedded import command
from tests.embedded import federation
from tests.embedded import waiting
from tests.functional import test_observability as observed
from tests.simulator.control import Simulator

EACH = 500
ATTACHED = 100
WHEN = datetime.datetime(2026, 1, 2, 3, 4, 5)
NQN = 'nqn.2014-08.org.nvmexpress:uuid:7b1d2f64-0000-4000-8000-0000000000c1'
HERE = 'stor1@lightbits#federation'

#: What an adoption may change, by table.
MAY_CHANGE: dict[str, frozenset[str]] = {
    'volumes': frozenset({'host', 'provider_location', 'provider_id'}),
    'volume_attachment': frozenset(),
    'volume_types': frozenset(),
    'volume_type_extra_specs': frozenset({'value'})}

Picture = dict[str, list[dict[str, Any]]]


class KilledTest(observed.ObservedTestCase):

    def add_array(self, name: str) -> Any:
        """Have clusters remember what they are asked."""
        return Simulator.shared().add_cluster(name, nodes=3, journal=20000)

    def sections(self) -> list[federation.Section]:
        """Two in-tree backends."""
        return [self.in_tree(name) for name in self.arrays]

    def in_tree(self, name: str) -> federation.Section:
        """:returns: the section of the in-tree driver for a cluster."""
        address, port = self.arrays[name].api_endpoints[0].rsplit(':', 1)
        return federation.Section(f'lightos-{name}', {
            'volume_driver':
                'cinder.volume.drivers.lightos.LightOSVolumeDriver',
            'volume_backend_name': f'lightos-{name}',
            'lightos_api_address': address, 'lightos_api_port': port,
            'lightos_jwt': self.arrays[name].admin_token})

    def setUp(self) -> None:
        super().setUp()
        self.database = sa.create_engine(
            f'sqlite:///{self.folder}/cinder.sqlite',
            connect_args={'timeout': observed.PATIENCE})
        self.addCleanup(self.database.dispose)
        self.schema = sa.MetaData()
        self.schema.reflect(self.database, only=list(MAY_CHANGE))

    def populate(self, number: int, name: str) -> None:
        """Make the volumes of an in-tree backend, records and objects."""
        array, section = self.arrays[name], f'lightos-{name}'
        for part, count, acl in ((0, EACH - ATTACHED, ['ALLOW_NONE']),
                                 (1, ATTACHED, [NQN])):
            prefix = f'{number}000000{part}-0000-4000-8000-00000'
            array.populate(count, prefix=f'volume-{prefix}', size=1 << 30,
                           acl=acl)
        kind = f'{number}0000000-0000-4000-8000-0000000000aa'
        with self.database.begin() as database:
            self.insert(database, 'volume_types', id=kind, name=section,
                        is_public=True)
            self.insert(database, 'volume_type_extra_specs',
                        volume_type_id=kind, key='volume_backend_name',
                        value=section)
            for item in array.state()['volumes']:
                self.record(database, item, section, kind)

    def record(self, database: sa.Connection, item: Mapping[str, Any],
               section: str, kind: str) -> None:
        """Write the rows of a volume of the in-tree driver."""
        volume_id = item['name'].removeprefix('volume-')
        used = item['acl']['values'] == [NQN]
        status = ('in-use', 'attached') if used else ('available', 'detached')
        self.insert(
            database, 'volumes', id=volume_id, size=1,
            host=f'stor1@{section}#{section}', status=status[0],
            attach_status=status[1], display_name=f'v-{volume_id}',
            project_id='p', user_id='u', volume_type_id=kind, use_quota=True,
            provider_id=f'default {item["UUID"]}')
        if used:
            self.insert(
                database, 'volume_attachment', volume_id=volume_id,
                id=volume_id.replace('-4000-', '-4a00-'),
                attach_status='attached', attached_host='compute1',
                attach_mode='rw', mountpoint='/dev/vdb',
                instance_uuid=volume_id, connector=json.dumps({
                    'nqn': NQN, 'host': 'compute1',
                    'host_ips': ['192.0.2.11']}),
                connection_info=json.dumps({'driver_volume_type': 'lightos'}))

    def table(self, name: str) -> sa.Table:
        """:returns: a table as it is in the database."""
        return self.schema.tables[name]

    def insert(self, database: sa.Connection, name: str, /, **values: Any
               ) -> None:
        """Write one row."""
        database.execute(sa.insert(self.table(name)).values(
            created_at=WHEN, updated_at=WHEN, deleted=False, **values))

    def picture(self) -> Picture:
        """:returns: all rows that might matter."""
        with self.database.begin() as database:
            return {name: [dict(row) for row in database.execute(
                sa.select(self.table(name)).order_by('id')).mappings()]
                for name in MAY_CHANGE}

    def adopted(self) -> int:
        """:returns: how many volumes are ours by now."""
        with self.database.begin() as database:
            table = self.table('volumes')
            return int(database.execute(
                sa.select(sa.func.count()).select_from(table).where(
                    table.c.host == HERE)).scalar_one())

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start a step of the adoption."""
        return subprocess.Popen(
            command.federation(
                self.config.arguments, 'adopt', *argv, '--backup-dir',
                f'{self.folder}/adoption', '-f', 'json'),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def kill(self, least: int, *argv: str) -> None:
        """Kill a step in the middle of its work.

        :param least: how many volumes are ours then.
        """
        process = self.start(*argv)
        try:
            waiting.wait_for(
                lambda: (least <= self.adopted() < 2 * EACH
                         or process.poll() is not None),
                'the middle of the work', observed.PATIENCE, 0.02)
        finally:
            process.send_signal(signal.SIGKILL)
            _out, err = process.communicate()
        self.assertEqual(-signal.SIGKILL, process.returncode, err)
        # Neither begun nor done, so there is something to go on with.
        self.assertIn(self.adopted(), range(1, 2 * EACH))

    def finish(self, *argv: str) -> str:
        """Carry a step out.

        :returns: what it tells.
        """
        process = self.start(*argv)
        out, err = process.communicate(timeout=2 * observed.PATIENCE)
        self.assertEqual((0, []), (process.returncode, json.loads(out)), err)
        return err

    def assert_same(self, before: Picture, after: Picture) -> None:
        """What an adoption may not change is as it was."""
        for table, columns in MAY_CHANGE.items():
            first, second = ([{key: value for key, value in row.items()
                               if key not in columns} for row in rows]
                             for rows in (before[table], after[table]))
            self.assertEqual(first, second)

    def test_there_and_back_and_there_again(self) -> None:
        for number, name in enumerate(self.arrays, 1):
            self.populate(number, name)
        before = self.picture()
        held = {name: array.state()['volumes']
                for name, array in self.arrays.items()}
        asked = {name: len(array.journal())
                 for name, array in self.arrays.items()}
        sources = [text for name in self.arrays for text in (
            '--from', f'lightos-{name}={name}')]

        self.kill(200, 'run', *sources, '--yes')
        process = self.start('run', *sources, '--yes')
        _out, err = process.communicate(timeout=observed.PATIENCE)
        self.assertIn('use "adopt resume"', err)
        first = self.adopted()
        self.kill(first + 1, 'resume')
        second = self.adopted()
        self.assertGreater(second, first)
        told = self.finish('resume')
        after = self.picture()
        self.assertIn(', 0 were not touched', told)
        self.assertEqual(2 * EACH, self.adopted())
        self.assert_same(before, after)

        self.kill(400, 'back', '--yes')
        self.finish('resume')
        self.assertEqual(before, self.picture())

        self.finish('run', *sources, '--yes')
        self.assertEqual(after, self.picture())
        for name, array in self.arrays.items():
            self.assertEqual(held[name], array.state()['volumes'])
            self.assertEqual({'GET'}, {item['method'] for item
                                       in array.journal()[asked[name]:]})
        self.assertTrue(os.path.exists(f'{self.folder}/adoption/before.json'))
