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

"""Volumes: creation, reading, updates and removal."""

from __future__ import annotations

import typing

from tests.unit.simulator import base

_HOST = {'values': [base.NQN]}


class CreateTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()

    def test_reply_has_the_documented_form(self) -> None:
        made = self.create(self.cluster, size='10 gib', replicaCount='3')
        self.assertEqual('Available', made['state'])
        self.assertEqual('FullyProtected', made['protectionState'])
        self.assertEqual(str(10 * base.GIB), made['size'])
        self.assertEqual(3, made['replicaCount'])
        self.assertEqual(3, len(set(made['nodeList'])))
        self.assertEqual(made['nodeList'][0], made['primaryNodeUUID'])
        self.assertEqual({'values': ['ALLOW_ANY']}, made['IPAcl'])
        self.assertEqual('false', made['compression'])
        self.assertEqual(4096, made['sectorSize'])
        self.assertEqual('no-limit-policy', made['qosPolicyName'])
        self.assertEqual({}, made['statistics'])
        self.assertIsInstance(made['ETag'], str)
        self.assertNotIn('labels', made)
        self.assertEqual(made, self.volume(self.cluster, made['UUID']))

    def test_nulls_and_unknown_fields_are_ignored(self) -> None:
        made = self.create(
            self.cluster, sourceSnapshotUUID=None, novelty=[1], labels=None
        )
        self.assertNotIn('sourceSnapshotUUID', made)

    def test_flat_route_takes_the_project_from_the_body(self) -> None:
        body = {
            'name': 'flat',
            'size': '1gib',
            'replicaCount': 1,
            'acl': base.NOBODY,
        }
        self.call(self.cluster, 'POST', '/api/v2/volumes', body, 400)
        made = self.call(
            self.cluster,
            'POST',
            '/api/v2/volumes',
            {**body, 'projectName': 'default'},
        )
        self.assertEqual('default', made['projectName'])

    def test_sizes(self) -> None:
        for number, (text, size) in enumerate(
            (
                ('1024mib', base.GIB),
                ('4 Gib', 4 * base.GIB),
                ('100GB', -(-(10**11) // 4096) * 4096),
                ('1073741824b', base.GIB),
                ('4097', 8192),
            )
        ):
            made = self.create(self.cluster, name=f's{number}', size=text)
            self.assertEqual(str(size), made['size'], text)
        for text in ('0', '', '10 gi', 'ten', '-1', '1.5 gib', '9999999 tib'):
            self.create(self.cluster, 400, size=text)
        self.create(self.cluster, 400, size=5)

    def test_names(self) -> None:
        for name in ('', 'with space', 'a' * 254, 'slash/', 'ümlaut'):
            self.create(self.cluster, 400, name=name)
        self.create(self.cluster, name='a' * 253)
        error = self.create(self.cluster, 409, name='a' * 253)
        self.assertEqual(6, error['code'])
        self.assertEqual(error['error'], error['message'])

    def test_missing_fields_are_named(self) -> None:
        for field in ('name', 'size', 'acl', 'replicaCount'):
            error = self.create(self.cluster, 400, **{field: None})
            self.assertIn(field, error['error'])

    def test_replica_counts(self) -> None:
        self.create(self.cluster, 400, replicaCount=0)
        self.create(self.cluster, 400, replicaCount=4)
        self.create(self.cluster, 400, replicaCount='many')

    def test_acl_rules(self) -> None:
        mixed = [base.NQN, 'ALLOW_NONE']
        for values in ([], [''], mixed, ['ALLOW_ANY', 'ALLOW_NONE'], [1]):
            self.create(self.cluster, 400, acl={'values': values})
        made = self.create(self.cluster, acl={'values': [base.NQN] * 2})
        self.assertEqual([base.NQN], made['acl']['values'])

    def test_ip_acl_rules(self) -> None:
        addresses = [f'192.0.2.{index}' for index in range(17)]
        for values in ([], ['host'], addresses, ['ALLOW_ANY', '192.0.2.1']):
            self.create(self.cluster, 400, IPAcl={'values': values})
        made = self.create(self.cluster, IPAcl={'values': addresses[:16]})
        self.assertEqual(addresses[:16], made['IPAcl']['values'])

    def test_labels(self) -> None:
        labels = [{'key': f'k{i}', 'value': 'v'} for i in range(17)]
        twice = [{'key': 'a', 'value': '1'}, {'key': 'a', 'value': '2'}]
        bad = [{'key': 'sp ace', 'value': 'v'}]
        for wrong in (labels, twice, bad, [{'key': 'k'}], ['text'], 'text'):
            self.create(self.cluster, 400, labels=wrong)
        made = self.create(self.cluster, labels=labels[:16])
        self.assertEqual(labels[:16], made['labels'])

    def test_compression_is_a_string(self) -> None:
        self.create(self.cluster, 400, compression=True)
        self.create(self.cluster, 400, compression='maybe')
        made = self.create(self.cluster, compression='True')
        self.assertEqual('true', made['compression'])

    def test_sector_size(self) -> None:
        self.create(self.cluster, 400, sectorSize='512')
        for number, (given, size) in enumerate(
            (('sectorSize_512B', 512), (2, 4096), ('sectorSize_4K', 4096))
        ):
            made = self.create(
                self.cluster, name=f'v{number}', sectorSize=given
            )
            self.assertEqual(size, made['sectorSize'])

    def test_placement_restrictions(self) -> None:
        def rule(key: str) -> list[dict[str, object]]:
            pair = {'key': key, 'value': 'server02'}
            return [{'operator': 'In', 'labelValueKeyPairs': [pair]}]

        made = self.create(self.cluster, placementRestrictions=rule('FD'))
        nodes = self.call(self.cluster, 'GET', '/api/v2/nodes')['nodes']
        self.assertEqual([nodes[2]['UUID']], made['nodeList'])
        self.assertEqual(rule('FD'), made['placementRestrictions'])
        self.create(
            self.cluster, 400, placementRestrictions=rule('FD'), replicaCount=2
        )
        self.create(self.cluster, 400, placementRestrictions=rule('rack'))

    def test_bad_bodies(self) -> None:
        path = f'{base.PROJECT}/volumes'
        bodies: tuple[object, ...] = ([], 'text', 5)
        for body in bodies:
            self.call(self.cluster, 'POST', path, body, 400)

    def test_volumes_spread_over_the_nodes(self) -> None:
        used = {
            self.create(self.cluster, name=f'v{index}')['primaryNodeUUID']
            for index in range(3)
        }
        self.assertEqual(3, len(used))


class ReadTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster(projects=['default', 'tenant'])
        self.uuid = self.create(self.cluster)['UUID']

    def get(self, path: str, status: int = 200) -> dict[str, typing.Any]:
        found: dict[str, typing.Any] = self.call(
            self.cluster, 'GET', path, status=status
        )
        return found

    def test_by_uuid(self) -> None:
        for path in (f'{base.PROJECT}/volumes', '/api/v2/volumes'):
            self.assertEqual(
                self.uuid, self.get(f'{path}/{self.uuid}')['UUID']
            )
            self.get(f'{path}/{self.uuid.upper()}')
            self.get(f'{path}/{base.UNKNOWN}', 404)
            self.get(f'{path}/no-uuid', 400)
        self.get(f'/api/v2/projects/tenant/volumes/{self.uuid}', 404)

    def test_by_name_as_an_object_or_a_list(self) -> None:
        path = f'{base.PROJECT}/volumes'
        self.assertEqual(self.uuid, self.get(f'{path}/?name=vol')['UUID'])
        self.get(f'{path}/?name=other', 404)
        self.get(f'{path}/?Name=vol', 400)
        found = self.get(f'{path}?name=vol')['volumes']
        self.assertEqual([self.uuid], [item['UUID'] for item in found])
        self.assertEqual({'volumes': []}, self.get(f'{path}?name=other'))
        flat = '/api/v2/volumes/?name=vol'
        self.get(f'{flat}&projectName=default')
        self.get(flat, 400)


class UpdateTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()
        self.uuid = self.create(self.cluster)['UUID']

    def test_reply_is_empty_and_absent_fields_stay(self) -> None:
        before = self.volume(self.cluster, self.uuid)
        reply = self.update(self.cluster, self.uuid, acl=_HOST)
        self.assertEqual({}, reply)
        after = self.volume(self.cluster, self.uuid)
        self.assertEqual(_HOST, after['acl'])
        self.assertNotEqual(before['ETag'], after['ETag'])
        for field in ('size', 'IPAcl', 'name', 'compression'):
            self.assertEqual(before[field], after[field])

    def test_every_field(self) -> None:
        addresses = {'values': ['192.0.2.41', '2001:db8::41']}
        policy = self.call(
            self.cluster, 'POST', '/api/v2/policies', {'name': 'gold'}
        )
        labels = [{'key': 'a', 'value': '1'}]
        self.update(
            self.cluster,
            self.uuid,
            acl=_HOST,
            IPAcl=addresses,
            size='2gib',
            compression='true',
            qosPolicyName='gold',
            labels=labels,
            newName='renamed',
        )
        after = self.volume(self.cluster, self.uuid)
        self.assertEqual(_HOST, after['acl'])
        self.assertEqual(addresses, after['IPAcl'])
        self.assertEqual(str(2 * base.GIB), after['size'])
        self.assertEqual('true', after['compression'])
        self.assertEqual(policy['UUID'], after['qosPolicyUUID'])
        self.assertEqual(labels, after['labels'])
        self.assertEqual('renamed', after['name'])
        path = f'{base.PROJECT}/volumes/?name='
        self.call(self.cluster, 'GET', f'{path}renamed')
        self.call(self.cluster, 'GET', f'{path}vol', status=404)

    def test_rename_to_a_taken_name(self) -> None:
        self.create(self.cluster, name='taken')
        self.update(self.cluster, self.uuid, 409, newName='taken')
        self.update(self.cluster, self.uuid, newName='vol')

    def test_bad_updates(self) -> None:
        self.update(self.cluster, self.uuid, 400)
        self.update(self.cluster, self.uuid, 400, acl={'values': []})
        self.update(self.cluster, self.uuid, 400, qosPolicyName='none')
        self.update(self.cluster, base.UNKNOWN, 404, size='2gib')

    def test_shrinking_needs_force(self) -> None:
        self.update(self.cluster, self.uuid, 400, size='512mib')
        self.update(self.cluster, self.uuid, 400, size='512mib', Force='yes')
        self.update(self.cluster, self.uuid, size='512mib', Force=True)
        after = self.volume(self.cluster, self.uuid)
        self.assertEqual(str(base.GIB // 2), after['size'])

    def test_conditional_updates(self) -> None:
        etag = self.volume(self.cluster, self.uuid)['ETag']
        self.update(self.cluster, self.uuid, etag=f'"{etag}"', size='2gib')
        error = self.update(
            self.cluster, self.uuid, 412, etag=etag, size='3gib'
        )
        self.assertEqual(9, error['code'])
        after = self.volume(self.cluster, self.uuid)
        self.assertEqual(str(2 * base.GIB), after['size'])

    def test_flat_route_needs_the_project_in_the_body(self) -> None:
        path = f'/api/v2/volumes/{self.uuid}'
        body = {'size': '2gib'}
        query = f'{path}?projectName=default'
        self.call(self.cluster, 'PUT', query, body, 400)
        self.call(
            self.cluster, 'PUT', path, {**body, 'projectName': 'default'}
        )

    def test_by_name_on_the_route_of_one(self) -> None:
        self.call(
            self.cluster,
            'PUT',
            f'{base.PROJECT}/volumes/',
            {'name': 'vol', 'size': '2gib'},
        )

    def test_change_is_visible_when_available_again(self) -> None:
        self.cluster.set_delays(update=60)
        self.update(self.cluster, self.uuid, size='2gib')
        busy = self.volume(self.cluster, self.uuid)
        self.assertEqual('Updating', busy['state'])
        self.assertEqual(str(base.GIB), busy['size'])
        self.update(self.cluster, self.uuid, 503, size='3gib')
        self.delete(self.cluster, self.uuid, 503)
        self.snap(self.cluster, self.uuid, 400)
        self.assertEqual(1, self.cluster.settle())
        after = self.volume(self.cluster, self.uuid)
        self.assertEqual('Available', after['state'])
        self.assertEqual(str(2 * base.GIB), after['size'])


class LifeTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()

    def test_create_later(self) -> None:
        self.cluster.set_delays(create=60)
        made = self.create(self.cluster)
        self.assertEqual('Creating', made['state'])
        for field in ('protectionState', 'nodeList', 'nsid'):
            self.assertNotIn(field, made)
        self.update(self.cluster, made['UUID'], 503, size='2gib')
        self.delete(self.cluster, made['UUID'], 503)
        self.snap(self.cluster, made['UUID'], 400)
        self.create(self.cluster, 409)
        self.cluster.settle()
        after = self.volume(self.cluster, made['UUID'])
        self.assertEqual('Available', after['state'])
        self.assertEqual('FullyProtected', after['protectionState'])
        self.assertGreater(after['nsid'], 0)

    def test_delete_later(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.cluster.set_delays(delete=60)
        self.assertEqual({}, self.delete(self.cluster, uuid))
        self.assertEqual('Deleting', self.volume(self.cluster, uuid)['state'])
        listed = self.call(self.cluster, 'GET', f'{base.PROJECT}/volumes')
        self.assertEqual({'volumes': []}, listed)
        self.update(self.cluster, uuid, 400, size='2gib')
        self.snap(self.cluster, uuid, 400)
        self.delete(self.cluster, uuid, 400)
        successor = self.create(self.cluster)['UUID']
        self.assertNotEqual(uuid, successor)
        path = f'{base.PROJECT}/volumes?showAll=true'
        listed = self.call(self.cluster, 'GET', path)['volumes']
        self.assertEqual({uuid, successor}, {item['UUID'] for item in listed})
        self.cluster.settle()
        self.volume(self.cluster, uuid, 404)
        self.delete(self.cluster, uuid, 404)

    def test_delete_at_once(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        path = f'{base.PROJECT}/volumes/{uuid}?'
        self.call(self.cluster, 'DELETE', path)
        self.volume(self.cluster, uuid, 404)

    def test_delete_on_the_flat_route(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        path = f'/api/v2/volumes/{uuid}'
        self.call(self.cluster, 'DELETE', path, status=400)
        self.call(self.cluster, 'DELETE', f'{path}?projectName=default')

    def test_conditional_delete(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        path = f'{base.PROJECT}/volumes/{uuid}'
        headers = {'If-Match': '77'}
        self.call(self.cluster, 'DELETE', path, status=412, headers=headers)
        self.volume(self.cluster, uuid)

    def test_neither_hosts_nor_acl_stop_a_delete(self) -> None:
        uuid = self.create(self.cluster, acl=_HOST)['UUID']
        self.cluster.connect_host(base.NQN, uuid)
        self.delete(self.cluster, uuid)
        self.assertNotIn('volumeUUIDs', self.cluster.state()['hosts'][0])

    def test_migrating_is_usable(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.cluster.set_volume_state(uuid, 'Migrating')
        self.snap(self.cluster, uuid)
        self.update(self.cluster, uuid, size='2gib')
        self.assertEqual('Migrating', self.volume(self.cluster, uuid)['state'])

    def test_pending_changes_wait_for_a_stopped_cluster(self) -> None:
        self.cluster.set_delays(create=60, node_start=60)
        self.create(self.cluster)
        self.cluster.stop()
        self.assertEqual(1, self.cluster.settle())
        self.assertEqual('Creating', self._only_state())
        self.cluster.start()
        self.assertEqual('Creating', self._only_state())
        self.assertEqual(3, self.cluster.settle())
        self.assertEqual('Available', self._only_state())

    def _only_state(self) -> str:
        (volume,) = self.cluster.state()['volumes']
        return str(volume['state'])

    def test_changes_end_by_themselves(self) -> None:
        self.cluster.set_delays(create=[0.01, 0.05], delete=0.01)
        uuid = self.create(self.cluster)['UUID']
        self.until(lambda: self._only_state() == 'Available')
        self.delete(self.cluster, uuid)
        self.until(lambda: not self.cluster.state()['volumes'])
