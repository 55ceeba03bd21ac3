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

"""Many creates on many clusters whose statistics stand still."""

import concurrent.futures
import random
import time
from typing import Any
from unittest import mock
import uuid as uuidlib

from cinder_lightbits_federation import placer
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation import reservations
from cinder_lightbits_federation.spec import VolumeSpec
from tests.simulator.control import SimCluster
from tests.unit.driver import base

CLUSTERS = 8
CAPACITY = 100 * 10**12
# How full the clusters are before, in per cent: 30, give or take 2.
FILLED = (28, 32)
FILLERS = 10
REPLICAS = 1
CREATES = 400
# Sizes of the volumes, in GiB.
SIZES = (1, 200)
AT_ONCE = 4
SEED = 2026
# As long as it may be: no look of a keeper falls into a burst.
FROZEN = 600


def percentage(array: SimCluster) -> float:
    """:returns: what a cluster has promised, of what it can hold."""
    promised = sum(int(item['size']) * item['replicaCount']
                   for item in array.state()['volumes'])
    return 100 * promised / CAPACITY


class BurstTestCase(base.FederationTestCase):
    """The real driver, with reservations and fresh looks or without."""

    NODES = 1
    CLUSTERS = ()

    def setUp(self) -> None:
        super().setUp()
        self.rng = random.Random(SEED)
        for number in range(CLUSTERS):
            array = self.add_array(f'cluster{number}', capacity=CAPACITY)
            share = self.rng.uniform(*FILLED) / 100
            array.populate(
                FILLERS, replicas=REPLICAS,
                size=int(CAPACITY * share / FILLERS / REPLICAS) // 4096 * 4096)
        self.driver = self.start_driver(lightbits_poll_interval=FROZEN,
                                        lightbits_max_create_share=100)

    def burst(self) -> float:
        """Make the volumes and tell of it.

        :returns: percentage points between the fullest and the emptiest.
        """
        requests = [self.request(self.rng.randint(*SIZES))
                    for _number in range(CREATES)]
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            made = list(pool.map(self.driver.federation.create_volume,
                                 requests))
        rate = CREATES / (time.monotonic() - began)
        shares = [percentage(array) for array in self.arrays.values()]
        spread = max(shares) - min(shares)
        print(f'{self.id()}: {rate:.0f} creates per second, clusters are '
              f'{min(shares):.2f} to {max(shares):.2f} % full, spread '
              f'{spread:.2f} points')
        self.assertEqual(CREATES, len({one.volume.uuid for one in made}))
        return spread

    def request(self, size: int) -> Any:
        name_id = str(uuidlib.uuid4())
        return CreateRequest(
            VolumeRef(f'volume-{name_id}', name_id, 'default'),
            size * base.GIB, VolumeSpec(), base.NoRecord())

    def test_the_clusters_stay_level(self) -> None:
        self.assertLessEqual(self.burst(), 1)

    def test_without_reservations_and_fresh_looks_they_do_not(self) -> None:
        # A ledger that forgets at once.
        self.driver.federation.placer.reservations = (
            reservations.Reservations(0, 0))
        with mock.patch.object(placer, 'FRESH', float('inf')):
            self.assertGreater(self.burst(), 20)
