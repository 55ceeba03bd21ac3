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

"""Connection properties: both ends agree, stock readers are served."""

import copy
import json
import pathlib
import shutil

import fixtures
import hypothesis
from hypothesis import strategies as st
from os_brick.initiator.connectors import lightos as stock
from oslotest import base

from os_brick_ext import conn_props
from tests.unit import properties

VOLUME = 'c6b1e0a4-7f0d-4d6c-8a43-0c9d4b1f2e77'
CLUSTER = '4cb2e0bf-20fa-5720-8cc2-1a11fe3e9850'
NQN = ('nqn.2016-01.com.lightbitslabs:uuid:'
       '0b57d0d5-a789-4ecc-830c-814fea254767')
STOCK = {
    'uuid': VOLUME, 'subsysnqn': NQN,
    'lightos_nodes': {
        '192.0.2.11': {'transport_type': 'tcp', 'target_port': 8009,
                       'target_portal': '192.0.2.11'},
        '2001:db8::11': {'transport_type': 'tcp', 'target_port': 8009,
                         'target_portal': '2001:db8::11'}}}

ADDRESSES = st.ip_addresses().map(str).filter(lambda text: '%' not in text)
PORTS = st.integers(min_value=1, max_value=65535)
PROPERTIES = st.builds(
    conn_props.ConnectionProperties, volume_uuid=properties.UUIDS,
    subsystem_nqn=properties.UUIDS.map(
        lambda text: f'nqn.2014-08.org.nvmexpress:NVMf:uuid:{text}'),
    nodes=st.lists(st.builds(conn_props.DiscoveryNode, ADDRESSES, PORTS),
                   min_size=1, max_size=5,
                   unique_by=lambda node: node.address).map(tuple),
    cluster_uuid=st.none() | properties.UUIDS,
    cluster_name=st.from_regex('[A-Za-z0-9._-]{0,20}', fullmatch=True),
    nvme_endpoints=st.lists(
        st.builds(conn_props.join_endpoint, ADDRESSES, PORTS),
        max_size=4).map(tuple))


class RoundTripTest(base.BaseTestCase):

    @properties.PROPERTY
    @hypothesis.given(PROPERTIES)
    def test_survives_json(self, wanted):
        data = json.loads(json.dumps(wanted.to_dict()))
        self.assertEqual(
            wanted, conn_props.ConnectionProperties.from_dict(data))

    @properties.PROPERTY
    @hypothesis.given(PROPERTIES)
    def test_the_callers_dictionary_stays_as_it_is(self, wanted):
        data = wanted.to_dict() | {'device_path': '/dev/nvme0n1'}
        before = copy.deepcopy(data)
        found = conn_props.ConnectionProperties.from_dict(data)
        found.to_dict()['lightos_nodes'].clear()
        self.assertEqual(before, data)

    def test_reads_and_writes_the_stock_form(self):
        found = conn_props.ConnectionProperties.from_dict(STOCK)
        self.assertEqual(
            conn_props.ConnectionProperties(
                VOLUME, NQN, (conn_props.DiscoveryNode('192.0.2.11'),
                              conn_props.DiscoveryNode('2001:db8::11'))),
            found)
        self.assertEqual(STOCK, found.to_dict())

    def test_richer_data_is_under_one_key(self):
        data = conn_props.ConnectionProperties(
            VOLUME, NQN, (conn_props.DiscoveryNode('192.0.2.11'),),
            cluster_uuid=CLUSTER, cluster_name='east',
            nvme_endpoints=('192.0.2.11:4420', '[2001:DB8::11]:4420')
        ).to_dict()
        self.assertEqual(
            {'uuid', 'subsysnqn', 'lightos_nodes', 'lightbits'}, set(data))
        self.assertEqual(
            {'version': 1, 'cluster_uuid': CLUSTER, 'cluster_name': 'east',
             'nvme_endpoints': ['192.0.2.11:4420', '[2001:db8::11]:4420']},
            data['lightbits'])

    def test_addresses_get_their_canonical_form(self):
        node = conn_props.DiscoveryNode('2001:0DB8:0::0011')
        self.assertEqual('2001:db8::11', node.address)
        self.assertEqual(
            conn_props.DiscoveryNode('2001:db8::11', 8010),
            conn_props.DiscoveryNode.at('[2001:DB8::11]:8010'))
        self.assertEqual(conn_props.DiscoveryNode('192.0.2.1'),
                         conn_props.DiscoveryNode.at('192.0.2.1:8009'))

    def test_ports_may_be_digits(self):
        data = copy.deepcopy(STOCK)
        data['lightos_nodes']['192.0.2.11']['target_port'] = '8009'
        self.assertEqual(
            conn_props.ConnectionProperties.from_dict(STOCK),
            conn_props.ConnectionProperties.from_dict(data))


class StockConnectorTest(base.BaseTestCase):
    """os-brick's own connector writes a good file of these properties."""

    def test_discovery_file(self):
        folder = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        connector = stock.LightOSConnector(root_helper=None)
        connector.discovery_dir_path = str(folder)
        # Its name before os-brick 7.0.
        connector.DISCOVERY_DIR_PATH = f'{folder}/'
        # The real one needs root.
        self.useFixture(fixtures.MockPatchObject(
            stock.priv_lightos, 'move_dsc_file', shutil.move))
        self.useFixture(fixtures.MockPatchObject(
            stock.utils, 'get_host_nqn', lambda: 'nqn.2014-08.org.h:1'))
        connector.dsc_connect_volume(
            conn_props.ConnectionProperties.from_dict(STOCK).to_dict())
        lines = (folder / f'{VOLUME}.conf').read_text().splitlines()
        self.assertEqual(
            [f'-t tcp -a {address} -s 8009 -q nqn.2014-08.org.h:1 -n {NQN}'
             for address in ('192.0.2.11', '2001:db8::11')], lines[1:])


class MalformedTest(base.BaseTestCase):

    def _refused(self, key, data):
        error = self.assertRaises(
            conn_props.InvalidConnectionProperties,
            conn_props.ConnectionProperties.from_dict, data)
        self.assertEqual(key, error.key)
        self.assertIn(key, str(error))

    def test_missing_keys(self):
        for key in ('uuid', 'subsysnqn', 'lightos_nodes'):
            data = {name: value for name, value in STOCK.items()
                    if name != key}
            self._refused(key, data)
            self._refused(key, data | {key: None})
        for key in ('target_portal', 'target_port', 'transport_type'):
            data = copy.deepcopy(STOCK)
            del data['lightos_nodes']['192.0.2.11'][key]
            self._refused(key, data)

    def test_values_that_would_inject(self):
        for value in (f'{VOLUME}\n-t tcp', '../../etc/passwd', 7, '',
                      VOLUME.replace('-', ''), f' {VOLUME}'):
            self._refused('uuid', STOCK | {'uuid': value})
        for value in (f'{NQN}\n-t tcp', f'{NQN} -a 192.0.2.9', f'{NQN}#',
                      'ALLOW_ANY', 'nqn.2016-13.com.example:a', 7,
                      'nqn.2016-01.com.example:' + 'a' * 200):
            self._refused('subsysnqn', STOCK | {'subsysnqn': value})

    def test_the_longest_nqn(self):
        longest = 'nqn.2016-01.com.example:'.ljust(223, 'a')
        conn_props.ConnectionProperties.from_dict(
            STOCK | {'subsysnqn': longest})
        self._refused('subsysnqn', STOCK | {'subsysnqn': longest + 'a'})

    def test_bad_nodes(self):
        for key, value in (
                ('target_portal', '192.0.2.11 -s 1'),
                ('target_portal', 'storage.example.org'),
                ('target_portal', '[2001:db8::11]'),
                ('target_portal', 'fe80::1%eth0'), ('target_portal', 7),
                ('target_port', 0), ('target_port', 65536),
                ('target_port', '8009 '), ('target_port', True),
                ('target_port', 80.5), ('transport_type', 'rdma'),
                ('transport_type', 'tcp\n')):
            data = copy.deepcopy(STOCK)
            data['lightos_nodes']['192.0.2.11'][key] = value
            self._refused(key, data)
        for value in ({}, [], 'x', {'192.0.2.11': 'tcp'},
                      {'a': STOCK['lightos_nodes']['192.0.2.11'],
                       'b': STOCK['lightos_nodes']['192.0.2.11']}):
            self._refused('lightos_nodes', STOCK | {'lightos_nodes': value})

    def test_bad_richer_data(self):
        for key, value in (
                ('lightbits', 'x'), ('lightbits', ['x']),
                ('cluster_uuid', {'cluster_uuid': 'x'}),
                ('cluster_name', {'cluster_name': 'a\nb'}),
                ('cluster_name', {'cluster_name': 7}),
                ('nvme_endpoints', {'nvme_endpoints': '192.0.2.1:1'}),
                ('nvme_endpoints', {'nvme_endpoints': [7]}),
                ('nvme_endpoints', {'nvme_endpoints': ['192.0.2.1']}),
                ('nvme_endpoints', {'nvme_endpoints': ['2001:db8::1:44']}),
                ('nvme_endpoints', {'nvme_endpoints': ['[192.0.2.1]:44']}),
                ('nvme_endpoints', {'nvme_endpoints': ['[2001:db8::1:1']}),
                ('nvme_endpoints', {'nvme_endpoints': ['2001:db8::1]:1']}),
                ('nvme_endpoints', {'nvme_endpoints': ['192.0.2.1:0']})):
            self._refused(key, STOCK | {'lightbits': value})

    def test_keys_of_later_versions_are_left_alone(self):
        found = conn_props.ConnectionProperties.from_dict(
            STOCK | {'lightbits': {'version': 2, 'cluster_uuid': CLUSTER,
                                   'new': ['thing']}})
        self.assertEqual(CLUSTER, found.cluster_uuid)

    @properties.PROPERTY
    @hypothesis.given(st.text(max_size=60))
    def test_no_text_but_an_nqn_passes(self, text):
        try:
            conn_props.check_nqn(text, 'subsysnqn')
        except conn_props.InvalidConnectionProperties:
            return
        self.assertRegex(text, r'\Anqn\.[0-9]{4}-[!-~]+\Z')
