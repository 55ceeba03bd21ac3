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

"""Reading and writing the API's values."""

import base64

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation.lightbits import fields
from cinder_lightbits_federation.lightbits import model
from tests.unit import properties

UUID = 'c6b1e0a4-7f0d-4d6c-8a43-0c9d4b1f2e77'


class FieldsTestCase(base.BaseTestCase):

    @properties.PROPERTY
    @hypothesis.given(st.integers(0, 2 ** 64 - 1))
    def test_numbers_in_both_forms(self, number: int) -> None:
        for form in (number, str(number)):
            self.assertEqual(number, fields.integer({'n': form}, 'n'))

    def test_missing_is_zero(self) -> None:
        for data in ({}, {'n': None}, {'n': ''}):
            self.assertEqual(0, fields.integer(data, 'n'))
            self.assertEqual(7, fields.integer(data, 'n', 7))
            self.assertEqual(0.0, fields.decimal(data, 'n'))
            self.assertEqual('', fields.text(data, 'n'))
            self.assertEqual((), fields.texts(data, 'n'))
            self.assertEqual({}, fields.mapping(data, 'n'))
            self.assertFalse(fields.truth(data, 'n'))

    def test_malformed_is_named(self) -> None:
        for read, value in (
                (fields.integer, 'x'), (fields.integer, []),
                (fields.integer, float('inf')), (fields.decimal, 'x'),
                (fields.decimal, {}), (fields.text, 5),
                (fields.texts, 'x'), (fields.mapping, [1]),
                (fields.identity, None), (fields.binary, '*')):
            error = self.assertRaises(fields.MalformedField, read,
                                      {'field': value}, 'field')
            self.assertIn('field', str(error))

    def test_flags(self) -> None:
        for yes in (True, 'true', 'True', 'enabled', 'enable'):
            self.assertTrue(fields.truth({'f': yes}, 'f'))
        for no in (False, 'false', 'disabled', '', None):
            self.assertFalse(fields.truth({'f': no}, 'f'))

    def test_access_lists(self) -> None:
        for values, read in (
                (['ALLOW_NONE'], frozenset()), ([], frozenset()),
                (['ALLOW_ANY'], frozenset({'ALLOW_ANY'})),
                (['b', 'a', 'b'], frozenset('ab'))):
            self.assertEqual(read, fields.acl_values(
                {'acl': {'values': values}}, 'acl'))
        self.assertEqual(frozenset(), fields.acl_values({}, 'acl'))

    @properties.PROPERTY
    @hypothesis.given(st.frozensets(st.text(min_size=1)))
    def test_access_lists_are_never_sent_empty(
            self, hosts: frozenset[str]) -> None:
        body = fields.acl_body(hosts)
        self.assertNotEqual([], body['values'])
        self.assertEqual(hosts - {'ALLOW_NONE'},
                         fields.acl_values({'acl': body}, 'acl'))

    @properties.PROPERTY
    @hypothesis.given(st.dictionaries(st.text(), st.text()))
    def test_labels_can_be_read_back(self, labels: dict[str, str]) -> None:
        self.assertEqual(labels, fields.labels(
            {'labels': fields.labels_body(labels)}))


class StatesTestCase(base.BaseTestCase):

    def test_later_releases_may_add_states(self) -> None:
        for kind in (model.VolumeState, model.SnapshotState, model.NodeState,
                     model.ProtectionState, model.HealthState,
                     model.UpgradeStatus, model.PolicyState):
            values: tuple[object, ...] = ('Sideways', None, 7, [])
            for value in values:
                self.assertEqual('Unknown', kind(value).value)

    def test_volume_states(self) -> None:
        state = model.VolumeState
        self.assertEqual({state.AVAILABLE, state.MIGRATING},
                         {one for one in state if one.settled})
        self.assertEqual({state.DELETING, state.DELETED},
                         {one for one in state if one.going})

    def test_snapshot_states(self) -> None:
        state = model.SnapshotState
        self.assertEqual({state.DELETING, state.DELETED},
                         {one for one in state if one.going})


class ValuesTestCase(base.BaseTestCase):

    def test_least_volume(self) -> None:
        volume = model.Volume.from_json({'UUID': UUID.upper()})
        self.assertEqual(
            (UUID, model.VolumeState.UNKNOWN, 0, '', frozenset(), 4096),
            (volume.uuid, volume.state, volume.size, volume.etag, volume.acl,
             volume.sector_size))

    def test_volume(self) -> None:
        volume = model.Volume.from_json({
            'state': 'Available', 'protectionState': 'Degraded',
            'replicaCount': 3, 'nodeList': ['a', 'b', 'c'],
            'primaryNodeUUID': 'b', 'UUID': UUID, 'nsid': 17,
            'acl': {'values': ['nqn']}, 'IPAcl': {'values': ['192.0.2.41']},
            'compression': 'true', 'size': '10737418240', 'name': 'v',
            'statistics': {'logicalUsedStorage': '104857600',
                           'physicalOwnedCapacity': '5'},
            'ETag': '3', 'sectorSize': 512, 'projectName': 'p',
            'qosPolicyUUID': 'Q', 'qosPolicyName': 'gold',
            'sourceSnapshotUUID': 'S', 'sourceSnapshotName': 's',
            'labels': [{'key': 'k', 'value': 'w'}],
            'connectedHosts': ['nqn'],
            'creationTime': '2026-01-20T09:15:42.120984Z', 'new': {}})
        self.assertEqual(model.Volume(
            uuid=UUID, name='v', project='p',
            state=model.VolumeState.AVAILABLE, size=10 << 30, etag='3',
            replicas=3, protection=model.ProtectionState.DEGRADED,
            acl=frozenset({'nqn'}), ip_acl=frozenset({'192.0.2.41'}),
            compression=True, sector_size=512, nsid=17,
            node_uuids=('a', 'b', 'c'), primary_node_uuid='b',
            labels={'k': 'w'}, source_snapshot_uuid='s',
            source_snapshot_name='s', qos_policy_uuid='q',
            qos_policy_name='gold', connected_hosts=('nqn',),
            created_at='2026-01-20T09:15:42.120984Z',
            logical_used=104857600, physical_owned=5), volume)

    def test_snapshot(self) -> None:
        snapshot = model.Snapshot.from_json({
            'state': 'Available', 'UUID': UUID, 'name': 's',
            'sourceVolumeUUID': 'V', 'sourceVolumeName': 'v',
            'compression': True, 'size': '4096', 'ETag': '1',
            'description': 'd', 'retentionTime': '7200s',
            'projectName': 'p', 'replicaCount': 2,
            'statistics': {'physicalOwnedCapacity': '8'}})
        self.assertEqual(
            ('v', 'v', True, 4096, 'd', '7200s', 8, 2),
            (snapshot.source_volume_uuid, snapshot.source_volume_name,
             snapshot.compression, snapshot.size, snapshot.description,
             snapshot.retention, snapshot.physical_owned, snapshot.replicas))

    def test_changed_blocks(self) -> None:
        bits = bytes(range(8))
        self.assertEqual(
            model.ChangedBlocks(
                (model.ChangedRange(0, 63, bits),
                 model.ChangedRange(128, 191, b'')), 192),
            model.ChangedBlocks.from_json({
                'nextOffsetLBA': '192', 'lbaRanges': [
                    {'lbaEnd': '63',
                     'dataBitMap': base64.b64encode(bits).decode()},
                    {'lbaStart': '128', 'lbaEnd': '191'}]}))
        self.assertEqual(model.ChangedBlocks((), 0),
                         model.ChangedBlocks.from_json({}))

    def test_cluster(self) -> None:
        cluster = model.Cluster.from_json({
            'UUID': UUID, 'subsystemNQN': 'nqn', 'currentMaxReplicas': 3,
            'statistics': {'logicalStorage': '5', 'compressionRatio': 1.5},
            'health': {'state': 'Warning'},
            'lastUpgrade': {'Status': 'Upgrading'},
            'MinVersionInCluster': '3.19.2~b123', 'clusterName': 'blue'})
        self.assertEqual(
            (3, 5, 1.5, model.HealthState.WARNING,
             model.UpgradeStatus.UPGRADING, '3.19.2~b123', 'blue'),
            (cluster.info.current_max_replicas, cluster.statistics.logical,
             cluster.statistics.compression_ratio, cluster.health,
             cluster.info.upgrade, cluster.version, cluster.info.name))

    def test_values_cannot_be_changed(self) -> None:
        volume = model.Volume.from_json({'UUID': UUID})
        self.assertRaises(AttributeError, setattr, volume, 'size', 1)
