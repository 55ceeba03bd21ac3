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

"""The commands about golden images, and how the audit sees masters."""

from __future__ import annotations

from typing import Any
import uuid

from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import base
from tests.unit.driver import base as driver_base
from tests.unit.driver import golden

EAST = {'lightos:cluster': 'east'}
WEST = {'lightos:cluster': 'west'}


class ImagesTest(base.CliTestCase, golden.GoldenTestCase):

    def write_config(self, clusters: Any, **backend: Any) -> str:
        """Have golden images."""
        return super().write_config(clusters, **{**golden.OPTIONS,
                                                 **backend})

    def setUp(self) -> None:
        super().setUp()
        self.other = str(uuid.uuid4())
        for specs in (EAST, EAST, EAST, WEST):
            self.boot(self.driver, specs=specs)
        self.boot(self.driver, golden.meta(id=self.other), specs=WEST)

    def of(self, image: str, cluster: str) -> Any:
        """:returns: the row of one master."""
        row, = (row for row in self.rows('image', 'list')
                if (row['image_id'], row['cluster']) == (image, cluster))
        return row

    def test_list(self) -> None:
        rows = self.rows('image', 'list')
        self.assertEqual(
            sorted([(golden.IMAGE, 'east', 2), (golden.IMAGE, 'west', 0),
                    (self.other, 'west', 0)]),
            [(row['image_id'], row['cluster'], row['clones'])
             for row in rows])
        for row in rows:
            self.assertEqual((driver_base.GIB, 'default', True), (
                row['size'], row['project'], row['ready']))
            self.assertLess(row['idle'], 600)
        rows = self.rows('image', 'list', '--cluster', 'east')
        self.assertEqual(['east'], [row['cluster'] for row in rows])
        told = self.command('image', 'list')
        self.assertIn(golden.IMAGE, told.out)
        self.assertEqual(Outcome.USAGE, self.command(
            'image', 'list', '--cluster', 'south').outcome)

    def test_show(self) -> None:
        east = self.of(golden.IMAGE, 'east')
        row = self.rows('image', 'show', east['uuid'])
        self.assertEqual((golden.IMAGE, 2), (row['image_id'], row['clones']))
        self.assertEqual('west', self.rows(
            'image', 'show', golden.IMAGE, '--cluster', 'west')['cluster'])
        several = self.command('image', 'show', golden.IMAGE)
        self.assertEqual(Outcome.USAGE, several.outcome)
        self.assertIn(east['uuid'], several.err)
        self.assertEqual(Outcome.FAILED, self.command(
            'image', 'show', str(uuid.uuid4())).outcome)

    def test_delete(self) -> None:
        planned = self.rows('image', 'delete', golden.IMAGE, '--dry-run')
        self.assertEqual({'kept'}, {row['result'] for row in planned})
        nobody = self.command('image', 'delete', golden.IMAGE)
        self.assertEqual(Outcome.USAGE, nobody.outcome)
        self.assertIn('use --yes or --dry-run', nobody.err)
        self.assertEqual(3, len(self.rows('image', 'list')))

        rows = self.rows('image', 'delete', golden.IMAGE, '--yes')
        self.assertEqual({('east', 'removed'), ('west', 'removed')},
                         {(row['cluster'], row['result']) for row in rows})
        row, = self.rows('image', 'list')
        self.assertEqual(self.other, row['image_id'])
        self.assertEqual(Outcome.FAILED, self.command(
            'image', 'delete', golden.IMAGE, '--yes').outcome)
        self.wait(lambda: len(self.snapshots()) == 1 or None)
        before = len(self.downloads)
        for _number in range(2):
            self.boot(self.driver, specs=EAST)
        self.assertEqual(before + 1, len(self.downloads))

    def test_delete_what_is_being_cloned(self) -> None:
        east = self.of(golden.IMAGE, 'east')
        array = self.arrays['east']
        array.set_delays(create=60)
        made = array.request('POST', '/api/v2/projects/default/volumes', {
            'name': 'coming', 'size': str(driver_base.GIB),
            'replicaCount': 3, 'acl': {'values': ['ALLOW_NONE']},
            'sourceSnapshotUUID': east['snapshot_uuid']})
        self.assertEqual(200, made.status, made.body)
        row, = self.rows('image', 'delete', east['uuid'], '--yes',
                         outcome=Outcome.FAILED)
        self.assertIn('being cloned', row['result'])
        self.of(golden.IMAGE, 'east')

    def test_a_silent_cluster(self) -> None:
        self.arrays['west'].stop()
        rows = self.rows('image', 'list', outcome=Outcome.SILENT)
        self.assertEqual(['east'], [row['cluster'] for row in rows])
        self.assertEqual(Outcome.SILENT, self.command(
            'image', 'show', self.other).outcome)

    def test_audit(self) -> None:
        """Masters are known; what is left of one is told as that."""
        found = self.rows('audit', '--second-look', '0')
        self.assertEqual(
            ['golden-image'] * 3, [row['kind'] for row in found])
        self.assertEqual({'notice'}, {row['severity'] for row in found})
        said = {row['evidence'] for row in found
                if row['cluster'] == 'east'}
        self.assertEqual(1, len(said))
        self.assertIn(f'image {golden.IMAGE}, cloned 2 times', said.pop())
        east = self.of(golden.IMAGE, 'east')
        array = self.arrays['east']
        array.request('DELETE', f'/api/v2/projects/default/snapshots/'
                      f'{east["snapshot_uuid"]}')
        (_name, snapshot), *_more = self.snapshots()
        array.request('POST', '/api/v2/projects/default/snapshots', {
            'name': 'left', 'sourceVolumeUUID': east['uuid'],
            'description': snapshot['description']})
        found = self.rows('audit', '--second-look', '0', '--grace', '0',
                          outcome=Outcome.FINDINGS)
        self.assertEqual(
            {('volume', 'the snapshot that clones are made of is gone'),
             ('snapshot', 'no master names it')},
            {(row['resource'], row['evidence']) for row in found
             if row['kind'] == 'golden-image-unfinished'})
        self.assertEqual({'golden-image', 'golden-image-unfinished'},
                         {row['kind'] for row in found})
