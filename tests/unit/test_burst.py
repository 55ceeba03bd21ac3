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

"""Many creates at once, faster than statistics follow."""

import collections
import random

from oslotest import base

from cinder_lightbits_federation import placement
from cinder_lightbits_federation import reservations
from tests import bursting


class BurstTest(base.BaseTestCase):

    def _run(self, seed, services=1, ledgers=True, refresh=True,
             policy=None, clusters=None, volumes=bursting.VOLUMES):
        """:returns: clusters after the burst, UUIDs in order of creates."""
        rng = random.Random(seed)
        clusters = clusters or bursting.fleet(rng)
        policy = policy or placement.PlacementPolicy()
        backend = [
            bursting.Service(
                clusters, policy, seed + number,
                reservations.Reservations(60, 600) if ledgers else None,
                refresh) for number in range(services)]
        order = bursting.burst([one.choose for one in backend], rng, volumes)
        return clusters, order

    def test_one_service_with_old_statistics(self):
        for seed in range(5):
            clusters, _order = self._run(seed, refresh=False)
            self.assertLessEqual(bursting.spread(clusters), 0.01)
            self.assertLess(max(one.created for one in clusters), 80)
            self.assertEqual(400, sum(one.created for one in clusters))

    def test_three_services_that_refresh_the_leaders(self):
        for seed in range(20):
            clusters, _order = self._run(seed, services=3)
            # What others did just now is not seen.
            self.assertLess(bursting.spread(clusters), 0.01)
            self.assertLess(max(one.created for one in clusters), 90)

    def test_without_reservations_one_cluster_takes_the_burst(self):
        """What the two above are measured against."""
        clusters, _order = self._run(1, ledgers=False, refresh=False)
        self.assertGreater(bursting.spread(clusters), 0.2)
        self.assertGreater(max(one.created for one in clusters), 200)

    def test_equal_clusters_get_equal_shares(self):
        clusters, _order = self._run(
            7, refresh=False,
            clusters=[bursting.Cluster(number, 0) for number in range(8)])
        for one in clusters:
            self.assertTrue(30 <= one.created <= 70, one.created)

    def test_an_empty_cluster_takes_its_share_and_not_all(self):
        def with_new():
            return [bursting.Cluster(0, 0)] + [
                bursting.Cluster(number, int(bursting.EFFECTIVE * 0.7))
                for number in range(1, 8)]
        # As many as it takes to get as full as the others, and no more.
        _clusters, order = self._run(3, clusters=with_new(), volumes=300)
        self.assertEqual(300, collections.Counter(order)[
            with_new()[0].uuid])
        capped = placement.PlacementPolicy(max_create_share=0.5,
                                           share_window_min=16)
        _clusters, order = self._run(3, policy=capped, clusters=with_new())
        share = collections.Counter(order)[with_new()[0].uuid]
        self.assertTrue(190 <= share <= 210, share)

    def test_the_same_seed_places_the_same(self):
        self.assertEqual(self._run(5, services=2)[1],
                         self._run(5, services=2)[1])
