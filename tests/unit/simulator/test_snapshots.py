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

"""Snapshots, clones and rollback."""

from __future__ import annotations

from tests.unit.simulator import base


class SnapshotTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()
        self.labels = [{'key': 'owner', 'value': 'me'}]
        self.uuid = self.create(
            self.cluster, labels=self.labels, compression='true'
        )['UUID']

    def test_reply_has_the_documented_form(self) -> None:
        made = self.snap(self.cluster, self.uuid, description='why')
        self.assertEqual('Available', made['state'])
        self.assertEqual(self.uuid, made['sourceVolumeUUID'])
        self.assertEqual('vol', made['sourceVolumeName'])
        self.assertEqual(str(base.GIB), made['size'])
        self.assertEqual('why', made['description'])
        self.assertIs(True, made['compression'])
        self.assertEqual(self.labels, made['labels'])
        self.assertEqual(base.NOBODY, made['acl'])
        self.assertIn('creationTime', made)
        self.assertNotIn('retentionTime', made)
        self.assertEqual(made, self.snapshot(self.cluster, made['UUID']))

    def test_by_name(self) -> None:
        body = {'name': 's', 'sourceVolumeName': 'vol'}
        path = f'{base.PROJECT}/snapshots'
        uuid = self.call(self.cluster, 'POST', path, body)['UUID']
        found = self.call(self.cluster, 'GET', f'{path}/?Name=s')
        self.assertEqual(uuid, found['UUID'])
        self.call(self.cluster, 'GET', f'{path}/?name=s', status=400)
        self.call(self.cluster, 'GET', f'{path}/?Name=t', status=404)
        listed = self.call(self.cluster, 'GET', f'{path}?Name=s')['snapshots']
        self.assertEqual([uuid], [item['UUID'] for item in listed])

    def test_bad_requests(self) -> None:
        self.snap(self.cluster, base.UNKNOWN, 404)
        self.snap(self.cluster, self.uuid, 400, name='b ad')
        self.snap(self.cluster, self.uuid, 400, description='ü' * 129)
        self.snap(self.cluster, self.uuid, 400, retentionTime='2h')
        self.snap(self.cluster, self.uuid, 400, sourceVolumeUUID=None)
        self.snap(self.cluster, self.uuid)
        self.snap(self.cluster, self.uuid, 409)

    def test_no_flat_route_and_no_update(self) -> None:
        reply = self.cluster.request('GET', '/api/v2/snapshots')
        self.assertEqual(404, reply.status)
        self.assertEqual('text/plain', reply.headers['content-type'])
        uuid = self.snap(self.cluster, self.uuid)['UUID']
        path = f'{base.PROJECT}/snapshots/{uuid}'
        self.assertEqual(405, self.cluster.request('PUT', path, {}).status)

    def test_create_and_delete_later(self) -> None:
        self.cluster.set_delays(snapshot_create=60, snapshot_delete=60)
        made = self.snap(self.cluster, self.uuid)
        self.assertEqual('Creating', made['state'])
        self.assertNotIn('creationTime', made)
        self.delete(self.cluster, made['UUID'], 503, 'snapshots')
        self.cluster.settle()
        self.assertEqual('Available', self._state(made['UUID']))
        self.delete(self.cluster, made['UUID'], 200, 'snapshots')
        self.assertEqual('Deleting', self._state(made['UUID']))
        self.delete(self.cluster, made['UUID'], 400, 'snapshots')
        self.cluster.settle()
        self.assertIsNone(self._state(made['UUID']))
        self.delete(self.cluster, made['UUID'], 404, 'snapshots')

    def _state(self, uuid: str) -> str | None:
        path = f'{base.PROJECT}/snapshots/{uuid}'
        reply = self.cluster.request('GET', path)
        return reply.json()['state'] if reply.status == 200 else None

    def test_busy_volume_holds_its_snapshots(self) -> None:
        uuid = self.snap(self.cluster, self.uuid)['UUID']
        self.cluster.set_delays(update=5)
        self.update(self.cluster, self.uuid, size='2gib')
        self.delete(self.cluster, uuid, 503, 'snapshots')

    def test_retention_removes_it(self) -> None:
        made = self.snap(self.cluster, self.uuid, retentionTime='0.1s')
        self.assertEqual('0.1s', made['retentionTime'])
        self.until(lambda: self._state(made['UUID']) is None)

    def test_survives_its_volume(self) -> None:
        uuid = self.snap(self.cluster, self.uuid)['UUID']
        self.delete(self.cluster, self.uuid)
        self.assertEqual('Available', self._state(uuid))
        clone = self.create(
            self.cluster, sourceSnapshotUUID=uuid, compression='true'
        )
        self.assertEqual('Available', clone['state'])
        self.delete(self.cluster, uuid, 200, 'snapshots')


class CloneTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()
        self.labels = [{'key': 'owner', 'value': 'me'}]
        self.volume_uuid = self.create(
            self.cluster, replicaCount=2, labels=self.labels
        )['UUID']
        self.source = self.snap(self.cluster, self.volume_uuid)

    def clone(self, status: int = 200, **fields: object) -> dict[str, object]:
        body = {
            'name': 'clone',
            'replicaCount': 2,
            'sourceSnapshotUUID': self.source['UUID'],
            **fields,
        }
        made: dict[str, object] = self.create(self.cluster, status, **body)
        return made

    def test_lives_where_its_snapshot_does(self) -> None:
        made = self.clone(size='2gib')
        self.assertEqual(self.source['nodeList'], made['nodeList'])
        self.assertEqual(self.source['UUID'], made['sourceSnapshotUUID'])
        self.assertEqual('snap', made['sourceSnapshotName'])
        self.assertEqual(str(2 * base.GIB), made['size'])

    def test_labels_are_inherited_unless_given(self) -> None:
        self.assertEqual(self.labels, self.clone()['labels'])
        own = [{'key': 'owner', 'value': 'other'}]
        self.assertEqual(own, self.clone(name='c2', labels=own)['labels'])

    def test_by_name(self) -> None:
        made = self.clone(sourceSnapshotUUID=None, sourceSnapshotName='snap')
        self.assertEqual(self.source['UUID'], made['sourceSnapshotUUID'])

    def test_bad_clones(self) -> None:
        self.clone(400, size='512mib')
        self.clone(404, sourceSnapshotUUID=base.UNKNOWN)
        self.clone(400, sourceSnapshotUUID='text')
        self.cluster.set_delays(snapshot_delete=9)
        self.delete(self.cluster, self.source['UUID'], 200, 'snapshots')
        self.clone(400)

    def test_listed_by_their_snapshot(self) -> None:
        made = self.clone()
        path = f'{base.PROJECT}/volumes?snapshotUUID={self.source["UUID"]}'
        listed = self.call(self.cluster, 'GET', path)['volumes']
        self.assertEqual([made['UUID']], [item['UUID'] for item in listed])

    def test_outlives_its_snapshot(self) -> None:
        made = self.clone()
        self.delete(self.cluster, self.source['UUID'], 200, 'snapshots')
        self.snapshot(self.cluster, self.source['UUID'], 404)
        self.volume(self.cluster, str(made['UUID']))


class RollbackTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()
        self.uuid = self.create(self.cluster)['UUID']
        self.source = self.snap(self.cluster, self.uuid)['UUID']

    def test_takes_the_size_of_the_snapshot(self) -> None:
        self.update(self.cluster, self.uuid, size='3gib')
        self.assertEqual(
            {}, self.rollback(self.cluster, self.uuid, self.source)
        )
        after = self.volume(self.cluster, self.uuid)
        self.assertEqual(str(base.GIB), after['size'])
        self.assertEqual('Available', after['state'])

    def test_later(self) -> None:
        self.cluster.set_delays(rollback=60)
        self.rollback(self.cluster, self.uuid, self.source)
        self.assertEqual(
            'Rollback', self.volume(self.cluster, self.uuid)['state']
        )
        self.rollback(self.cluster, self.uuid, self.source, 503)
        self.cluster.settle()
        after = self.volume(self.cluster, self.uuid)
        self.assertEqual('Available', after['state'])

    def test_by_names(self) -> None:
        self.call(
            self.cluster,
            'PUT',
            f'{base.PROJECT}/volumes//rollback',
            {'Name': 'vol', 'srcSnapshotName': 'snap'},
        )

    def test_bad_rollbacks(self) -> None:
        self.rollback(self.cluster, base.UNKNOWN, self.source, 404)
        self.rollback(self.cluster, self.uuid, base.UNKNOWN, 404)
        self.rollback(self.cluster, self.uuid, '', 400)
        flat = f'/api/v2/volumes/{self.uuid}/rollback'
        self.assertEqual(404, self.cluster.request('PUT', flat, {}).status)
        self.cluster.set_delays(delete=9)
        self.delete(self.cluster, self.uuid)
        self.rollback(self.cluster, self.uuid, self.source, 503)
