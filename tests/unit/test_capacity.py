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

"""Capacity from three kinds of readings."""

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation import capacity
from cinder_lightbits_federation.lightbits import model
from tests.unit import properties

SIZES = st.integers(min_value=0, max_value=2 ** 60)


def node(**fields):
    body = {'UUID': '2b7d9f30-0c55-5b0e-9c1f-6d7b3a1e0001',
            'state': fields.pop('state', 'Active'),
            'readOnly': fields.pop('read_only', False),
            'statistics': {key: str(value)
                           for key, value in fields.items()}}
    return model.Node.from_json(body)


def sized(effective=1000, free=600, logical=300, **more):
    return node(effectivePhysicalStorage=effective,
                freePhysicalStorage=free, logicalStorage=logical, **more)


def volume(size, replicas, state='Available'):
    return model.Volume.from_json({
        'UUID': 'c6b1e0a4-7f0d-4d6c-8a43-0c9d4b1f2e77', 'state': state,
        'size': str(size), 'replicaCount': replicas})


class CapacityTest(base.BaseTestCase):

    def test_from_cluster(self):
        found = capacity.from_cluster(model.ClusterStatistics.from_json({
            'effectivePhysicalStorage': '1000', 'logicalStorage': '250',
            'freePhysicalStorage': '900', 'installedPhysicalStorage': '7'}))
        self.assertEqual(
            capacity.Capacity(provisioned=250, effective=1000,
                              free_physical=900,
                              source=capacity.Source.CLUSTER), found)
        self.assertEqual(0.25, found.ratio())
        self.assertEqual(0.5, found.ratio(250))

    def test_from_nodes_sums_what_is_there(self):
        found = capacity.from_nodes([sized(), sized(logical=200)])
        self.assertEqual(
            capacity.Capacity(provisioned=500, effective=2000,
                              free_physical=1200,
                              source=capacity.Source.NODES), found)

    def test_a_node_that_is_down_offers_nothing_and_owes_all(self):
        found = capacity.from_nodes([sized(), sized(state='Inactive')])
        self.assertEqual((1000, 600, 600),
                         (found.effective, found.free_physical,
                          found.provisioned))

    def test_a_read_only_node_has_no_room(self):
        found = capacity.from_nodes([sized(), sized(read_only=True)])
        self.assertEqual((2000, 600),
                         (found.effective, found.free_physical))

    def test_hidden_node_statistics_are_not_an_empty_cluster(self):
        found = capacity.from_nodes([node(), node()])
        self.assertIsNone(found.effective)
        self.assertIsNone(found.free_physical)
        self.assertIsNone(found.ratio())

    def test_nothing_is_nothing(self):
        nothing = capacity.from_cluster(
            model.ClusterStatistics.from_json({}))
        self.assertEqual((0, 0, 0), (
            nothing.provisioned, nothing.effective, nothing.free_physical))
        self.assertEqual(float('inf'), nothing.ratio())
        tiny = capacity.from_nodes([sized(effective=1, free=0, logical=0)])
        self.assertEqual((0, 1, 0), (
            tiny.provisioned, tiny.effective, tiny.free_physical))
        self.assertEqual(0, tiny.ratio())
        self.assertEqual(
            0, capacity.from_volumes([volume(0, 3)]).provisioned)

    def test_no_active_node_is_an_empty_cluster(self):
        for nodes in ([], [sized(state='Inactive')]):
            found = capacity.from_nodes(nodes)
            self.assertEqual(0, found.effective)
            self.assertEqual(float('inf'), found.ratio())

    def test_from_volumes(self):
        found = capacity.from_volumes([
            volume(10, 3), volume(5, 1), volume(7, 0),
            volume(100, 3, state='Deleting')])
        self.assertEqual(
            capacity.Capacity(provisioned=42,
                              source=capacity.Source.VOLUMES), found)
        self.assertIsNone(found.ratio(1))

    @properties.PROPERTY
    @hypothesis.given(SIZES, SIZES, st.none() | SIZES)
    def test_more_is_never_emptier(self, provisioned, extra, effective):
        found = capacity.Capacity(provisioned=provisioned,
                                  source=capacity.Source.CLUSTER,
                                  effective=effective)
        if effective is None:
            self.assertIsNone(found.ratio(extra))
        else:
            self.assertGreaterEqual(found.ratio(extra), found.ratio())
            self.assertGreaterEqual(found.ratio(), 0)

    @properties.PROPERTY
    @hypothesis.given(st.lists(st.builds(
        sized, effective=st.integers(-10, 10 ** 15),
        free=st.integers(-10, 10 ** 15),
        logical=st.integers(-10, 10 ** 15),
        state=st.sampled_from(('Active', 'Inactive', 'Later')),
        read_only=st.booleans()), max_size=6))
    def test_figures_are_never_negative(self, nodes):
        found = capacity.from_nodes(nodes)
        self.assertGreaterEqual(found.provisioned, 0)
        self.assertGreaterEqual(found.effective or 0, 0)
        self.assertGreaterEqual(found.free_physical or 0, 0)
