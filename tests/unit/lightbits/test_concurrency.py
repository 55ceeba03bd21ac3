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

"""Many threads on one client."""

from concurrent import futures
import threading

from cinder_lightbits_federation.lightbits import tokens
from tests.unit.lightbits import sim_base

PROJECT = sim_base.PROJECT
THREADS = 64


class ConcurrencyTestCase(sim_base.SimTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.east = self.cluster()
        self.made = self.client(self.east, api_timeout=30,
                                connect_timeout=20)

    def burst(self) -> list[str]:
        """Call from all threads at once."""
        start = threading.Barrier(THREADS)

        def call() -> str:
            start.wait()
            return self.made.cluster_info(PROJECT).uuid

        with futures.ThreadPoolExecutor(THREADS) as pool:
            jobs = [pool.submit(call) for _ in range(THREADS)]
            return [job.result() for job in jobs]

    def test_a_connection_each_that_is_kept(self) -> None:
        self.assertEqual({self.east.uuid}, set(self.burst()))
        counters = self.east.counters()
        self.assertLessEqual(counters.tcp, THREADS)
        self.burst()
        # Whoever found no idle connection has opened one; none was thrown
        # away, so there are never more than threads.
        counters = self.east.counters()
        self.assertLessEqual(counters.tcp, THREADS)
        self.assertEqual(counters.tls + 2 * THREADS,
                         counters.requests['clusterinfo'])

    def test_through_the_loss_of_an_endpoint(self) -> None:
        self.burst()
        self.east.stop_api(0)
        self.assertEqual({self.east.uuid}, set(self.burst()))

    def test_a_renewal_for_all(self) -> None:
        path = self.create_tempfiles([('jwt', self.east.token())])[0]
        self.made = self.client(self.east, api_timeout=30,
                                connect_timeout=20,
                                source=tokens.FileToken(path))
        self.burst()
        with open(path, 'w', encoding='ascii') as file:
            file.write(self.east.token(ttl=300))
        self.assertEqual({self.east.uuid}, set(self.burst()))
