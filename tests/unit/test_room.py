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

"""Room on one cluster and figures of the whole backend."""

import dataclasses

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation import placement
from cinder_lightbits_federation import room
from tests.unit import placing as some
from tests.unit import properties

GIB = some.GIB
POLICY = placement.PlacementPolicy(max_over_subscription=2.0,
                                   reserved_percentage=10)


class LimitTest(base.BaseTestCase):

    def test_known_values(self):
        east = some.view('east', capacity=some.room(700, 1000, 500),
                         reserved=100 * GIB)
        self.assertEqual(1800 * GIB, room.limit(east, POLICY))
        self.assertEqual(1000 * GIB, room.unpromised(east, POLICY))
        self.assertEqual(500 * GIB, room.largest_on(east, 2, POLICY))
        self.assertFalse(room.exhausted(east, POLICY))

    def test_no_room_is_not_negative(self):
        over = some.view('east', capacity=some.room(5000, 1000))
        self.assertEqual(0, room.unpromised(over, POLICY))
        self.assertEqual(0, room.largest_on(over, 1, POLICY))

    def test_unknown_capacity(self):
        east = some.view('east', capacity=None)
        self.assertIsNone(room.limit(east, POLICY))
        self.assertIsNone(room.unpromised(east, POLICY))
        self.assertFalse(room.exhausted(east, POLICY))
        self.assertEqual(0, room.largest_on(east, 1, POLICY))

    def test_a_full_cluster_takes_nothing(self):
        full = some.view('east', capacity=some.room(0, 1000, 100))
        self.assertTrue(room.exhausted(full, POLICY))
        self.assertEqual(0, room.largest_on(full, 1, POLICY))

    def test_replicas_it_cannot_serve(self):
        east = some.view('east', max_replicas=2)
        self.assertEqual(0, room.largest_on(east, 3, POLICY))
        self.assertEqual(900 * GIB, room.largest_on(east, 2, POLICY))


class PoolFiguresTest(base.BaseTestCase):

    def test_sums_at_a_replica_count(self):
        views = [some.view('east', capacity=some.room(400, 1000, 600),
                           reserved=100 * GIB),
                 some.view('west', capacity=some.room(100, 2000, 1900))]
        self.assertEqual(
            placement.PoolFigures(
                total=1500 * GIB, free=1250 * GIB, provisioned=300 * GIB,
                largest=1750 * GIB),
            placement.pool_figures(views, 2, POLICY))

    def test_clusters_that_accept_nothing_are_in_no_sum(self):
        east = some.view('east', capacity=some.room(400))
        expected = placement.pool_figures([east], 3, POLICY)
        for fields in ({'admin_state': some.State.DISABLED},
                       {'admin_state': some.State.DRAINING},
                       {'admin_state': some.State.LOST},
                       {'connection': some.Connection.DISCONNECTED},
                       {'connection': some.Connection.UNAUTHORIZED}):
            dead = some.view('west', capacity=some.room(900), **fields)
            self.assertEqual(
                expected, placement.pool_figures([east, dead], 3, POLICY))
            self.assertEqual(placement.PoolFigures(),
                             placement.pool_figures([dead], 3, POLICY))

    def test_unknown_totals_are_counted_apart(self):
        east = some.view('east', capacity=some.room(400))
        dark = some.view('west', capacity=None, reserved=5 * GIB)
        self.assertEqual(
            dataclasses.replace(
                placement.pool_figures([east], 3, POLICY), unmeasured=1),
            placement.pool_figures([east, dark], 3, POLICY))

    def test_no_cluster_is_the_closed_backend(self):
        self.assertEqual(placement.PoolFigures(),
                         placement.pool_figures([], 3, POLICY))

    @properties.PROPERTY
    @hypothesis.given(some.VIEWS, some.POLICIES, st.integers(1, 3))
    def test_figures_make_sense(self, views, policy, replicas):
        found = placement.pool_figures(views, replicas, policy)
        for figure in dataclasses.astuple(found):
            self.assertGreaterEqual(figure, 0)
        self.assertLessEqual(found.free, found.total)
        self.assertLessEqual(
            found.largest,
            found.total * policy.max_over_subscription + replicas)
        if not any(one.accepts_volumes for one in views):
            self.assertEqual(placement.PoolFigures(), found)

    @properties.PROPERTY
    @hypothesis.given(some.VIEWS, some.POLICIES)
    def test_more_replicas_never_mean_more_room(self, views, policy):
        figures = [placement.pool_figures(views, replicas, policy)
                   for replicas in (1, 2, 3)]
        for more, less in zip(figures, figures[1:], strict=False):
            self.assertGreaterEqual(more.total, less.total)
            self.assertGreaterEqual(more.free, less.free)
            self.assertGreaterEqual(more.largest, less.largest)
