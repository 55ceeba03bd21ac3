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

"""What holds of every choice of a cluster."""

import dataclasses

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from cinder_lightbits_federation import placement
from tests.unit.placing import choose
from tests.unit.placing import GIB
from tests.unit.placing import POLICIES
from tests.unit.placing import REQUESTS
from tests.unit.placing import room
from tests.unit.placing import VIEWS
from tests.unit import properties


class ChoosePropertiesTest(base.BaseTestCase):

    @properties.PROPERTY
    @hypothesis.given(REQUESTS, VIEWS, POLICIES, st.integers())
    def test_every_cluster_is_ranked_or_rejected(self, wanted, views, policy,
                                                 seed):
        decision = choose(wanted, views, policy, seed)
        told = [one.uuid for one in decision.ranked + decision.rejected]
        self.assertEqual(sorted(one.uuid for one in views), sorted(told))
        for one in decision.rejected:
            self.assertTrue(one.reason)
        self.assertNotIn('\n', decision.explain())

    @properties.PROPERTY
    @hypothesis.given(REQUESTS, VIEWS, POLICIES, st.integers())
    def test_what_is_ranked_can_take_the_volume(self, wanted, views, policy,
                                                seed):
        by_uuid = {one.uuid: one for one in views}
        ranked = choose(wanted, views, policy, seed).ranked
        for one in ranked:
            found = by_uuid[one.uuid]
            self.assertTrue(found.accepts_volumes)
            self.assertTrue(wanted.only is None or one.uuid in wanted.only)
            self.assertNotIn(one.uuid, wanted.exclude)
            self.assertTrue(wanted.spec.clusters.admits(one.uuid, one.name))
            self.assertIn(wanted.project, {wanted.project}
                          if found.projects is None else found.projects)
            self.assertLessEqual(wanted.replicas, found.max_replicas or 3)
            self.assertNotEqual(0, found.max_replicas)
            known = found.capacity
            if known is None:
                continue
            self.assertLessEqual(
                (known.provisioned + found.reserved + wanted.needed),
                known.effective * (1 - policy.reserved_percentage / 100)
                * policy.max_over_subscription * (1 + 1e-12))
            self.assertGreater(known.free_physical, 0)

    @properties.PROPERTY
    @hypothesis.given(REQUESTS, VIEWS, POLICIES, st.integers())
    def test_no_cluster_with_known_room_is_passed_over(self, wanted, views,
                                                       policy, seed):
        decision = choose(wanted, views, policy, seed)
        notes = [one.note for one in decision.ranked]
        scores = [one.ratio for one in decision.ranked if not one.note]
        plain = notes.count('')
        self.assertEqual([''] * plain, notes[:plain])
        # Out of order only within the band of near-ties.
        for earlier, score in enumerate(scores):
            self.assertLessEqual(score, min(scores[earlier:])
                                 + policy.tie_band)

    @properties.PROPERTY
    @hypothesis.given(REQUESTS, VIEWS, POLICIES, st.integers(),
                      st.randoms(use_true_random=False))
    def test_the_order_of_the_views_does_not_matter(self, wanted, views,
                                                    policy, seed, shuffler):
        mixed = list(views)
        shuffler.shuffle(mixed)
        self.assertEqual(choose(wanted, views, policy, seed),
                         choose(wanted, mixed, policy, seed))

    @properties.PROPERTY
    @hypothesis.given(REQUESTS, VIEWS, POLICIES, st.integers(), st.data())
    def test_more_reserved_never_gains_a_rank(self, wanted, views, policy,
                                              seed, data):
        # Greed and spread look at other figures; so do unknown capacities.
        views = [one if one.capacity else dataclasses.replace(
            one, capacity=room(10)) for one in views]
        ranked = choose(wanted, views, policy, seed).ranked
        hypothesis.assume(ranked)
        chosen = data.draw(st.sampled_from([one.uuid for one in ranked]))
        more = data.draw(st.integers(0, 300)) * GIB
        before = [one.uuid for one in ranked].index(chosen)
        fuller = [dataclasses.replace(one, reserved=one.reserved + more)
                  if one.uuid == chosen else one for one in views]
        decision = choose(wanted, fuller, policy, seed)
        after = [one.uuid for one in decision.ranked]
        if chosen in after:
            self.assertGreaterEqual(after.index(chosen), before)
        else:
            self.assertIn(chosen, [one.uuid for one in decision.rejected])

    @properties.PROPERTY
    @hypothesis.given(VIEWS, POLICIES, st.integers(1, 3))
    def test_the_largest_volume_fits_and_no_larger_one(self, views, policy,
                                                       replicas):
        measured = [one for one in views if one.capacity]
        largest = placement.largest_volume(measured, replicas, policy)
        wanted = placement.PlacementRequest(
            size=max(1, largest), replicas=replicas, project='default')
        views = [dataclasses.replace(one, projects=None) for one in measured]
        fits = choose(wanted, views, policy)
        self.assertEqual(largest > 0, bool(fits.ranked))
        self.assertEqual(largest, fits.largest)
        bigger = dataclasses.replace(wanted, size=largest + 1)
        self.assertEqual((), choose(bigger, views, policy).ranked)
