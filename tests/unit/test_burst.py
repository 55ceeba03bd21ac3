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
import dataclasses
import random

from oslotest import base

from cinder_lightbits_federation import capacity
from cinder_lightbits_federation import placement
from cinder_lightbits_federation import placer
from cinder_lightbits_federation import reservations
from cinder_lightbits_federation import sizes

GIB = sizes.GIB
EFFECTIVE = 100 * 10**12
REPLICAS = 2
# One create in 50 ms: twenty a second.
PACE = 0.05


class Cluster:
    """What the array holds, and what a service read of it last."""

    def __init__(self, number, provisioned):
        self.uuid = f'00000000-0000-4000-8000-{number:012}'
        self.name = f'cluster{number}'
        self.provisioned = provisioned
        self.created = 0


@dataclasses.dataclass
class Reading:
    at: float
    provisioned: int


class Service:
    """A volume service: its own ledger, its own reading of the clusters."""

    def __init__(self, clusters, policy, seed, ledger):
        self.clusters = {one.uuid: one for one in clusters}
        self.policy = policy
        self.rng = random.Random(seed)
        self.ledger = ledger
        self.readings = {one.uuid: Reading(0.0, one.provisioned)
                         for one in clusters}

    def views(self, now):
        asked = [(uuid, self.readings[uuid].at) for uuid in self.clusters]
        tallies = (self.ledger.tallies(asked, now) if self.ledger
                   else [reservations.NOTHING] * len(asked))
        return [self._view(one, tally) for one, tally
                in zip(self.clusters.values(), tallies, strict=True)]

    def _view(self, cluster, tally):
        reading = self.readings[cluster.uuid]
        return placement.ClusterView(
            uuid=cluster.uuid, name=cluster.name,
            capacity=capacity.Capacity(
                provisioned=reading.provisioned, effective=EFFECTIVE,
                free_physical=EFFECTIVE, source=capacity.Source.CLUSTER),
            reserved=tally.reserved, recent_creates=tally.recent,
            observed_at=reading.at)

    def _ranked(self, wanted, now):
        return placement.choose(wanted, self.views(now), self.policy,
                                self.rng).ranked

    def _refresh_leaders(self, ranked, now):
        """Read the leaders' statistics where they are old."""
        for one in ranked[:placer.LEADERS]:
            if now - self.readings[one.uuid].at > placer.FRESH:
                self.readings[one.uuid] = Reading(
                    now, self.clusters[one.uuid].provisioned)

    def create(self, size, now, refresh):
        wanted = placement.PlacementRequest(size=size, replicas=REPLICAS,
                                            project='default')
        if refresh:
            self._refresh_leaders(self._ranked(wanted, now), now)
        chosen = self.clusters[self._ranked(wanted, now)[0].uuid]
        if self.ledger:
            token = self.ledger.reserve(chosen.uuid, wanted.needed, now)
            self.ledger.commit(token, now + PACE / 2)
        chosen.provisioned += wanted.needed
        chosen.created += 1
        return chosen.uuid


class BurstTest(base.BaseTestCase):

    def _clusters(self, rng, count=8):
        return [Cluster(number, int(EFFECTIVE * rng.uniform(0.28, 0.32)))
                for number in range(count)]

    def _run(self, seed, services=1, ledgers=True, refresh=True,
             policy=None, clusters=None, volumes=400):
        """:returns: clusters after the burst, UUIDs in order of creates."""
        rng = random.Random(seed)
        clusters = clusters or self._clusters(rng)
        policy = policy or placement.PlacementPolicy()
        backend = [
            Service(clusters, policy, seed + number,
                    reservations.Reservations(60, 600) if ledgers else None)
            for number in range(services)]
        order = [
            backend[count % services].create(
                rng.randint(1, 200) * GIB, (count + 1) * PACE, refresh)
            for count in range(volumes)]
        return clusters, order

    def _spread(self, clusters):
        ratios = [one.provisioned / EFFECTIVE for one in clusters]
        return max(ratios) - min(ratios)

    def test_one_service_with_old_statistics(self):
        for seed in range(5):
            clusters, _order = self._run(seed, refresh=False)
            self.assertLessEqual(self._spread(clusters), 0.01)
            self.assertLess(max(one.created for one in clusters), 80)
            self.assertEqual(400, sum(one.created for one in clusters))

    def test_three_services_that_refresh_the_leaders(self):
        for seed in range(20):
            clusters, _order = self._run(seed, services=3)
            # What others did just now is not seen.
            self.assertLess(self._spread(clusters), 0.01)
            self.assertLess(max(one.created for one in clusters), 90)

    def test_without_reservations_one_cluster_takes_the_burst(self):
        """What the two above are measured against."""
        clusters, _order = self._run(1, ledgers=False, refresh=False)
        self.assertGreater(self._spread(clusters), 0.2)
        self.assertGreater(max(one.created for one in clusters), 200)

    def test_equal_clusters_get_equal_shares(self):
        clusters, _order = self._run(
            7, refresh=False,
            clusters=[Cluster(number, 0) for number in range(8)])
        for one in clusters:
            self.assertTrue(30 <= one.created <= 70, one.created)

    def test_an_empty_cluster_takes_its_share_and_not_all(self):
        def with_new():
            return [Cluster(0, 0)] + [
                Cluster(number, int(EFFECTIVE * 0.7))
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
