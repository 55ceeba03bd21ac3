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

"""Reading until a deadline, and letting go of what failed."""

from concurrent import futures
import socket
import threading
from unittest import mock

from oslotest import base

from cinder_lightbits_federation.lightbits import client
from cinder_lightbits_federation.lightbits import connection
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import pools
from cinder_lightbits_federation import timing
from tests.unit.lightbits import wire
from tests.unit.lightbits import wire_base


class TimedReaderTestCase(base.BaseTestCase):

    def test_the_deadline_counts_and_not_the_timeout(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        ours.settimeout(600)
        reader = connection._TimedReader(ours, timing.Deadline.after(0.2))
        self.addCleanup(reader.close)
        theirs.sendall(b'x')
        buffer = bytearray(8)
        self.assertEqual(1, reader.readinto(buffer))
        self.assertRaises(TimeoutError, reader.readinto, buffer)
        theirs.sendall(b'x')
        self.assertRaises(TimeoutError, reader.readinto, buffer)


class IdleTestCase(wire_base.WireTestCase):

    def test_failure_closes_what_may_be_frozen_too(self) -> None:
        together = threading.Barrier(2)
        hang = threading.Event()

        def script(request: wire.Request) -> wire.Answer:
            if hang.is_set():
                return wire.Answer(raw=b'HTTP/1.1 200 OK', drip=1)
            together.wait(10)
            return wire.Answer()

        server = self.serve(script)
        made = self.client(server, api_timeout=2)
        with futures.ThreadPoolExecutor(2) as pool:
            for job in [pool.submit(made.version, 'p') for _ in range(2)]:
                job.result()
        self.assertEqual((2, 0), (server.connections, server.closed))
        hang.set()
        self.assertRaises(errors.Ambiguous, made.delete_volume, 'p', 'u')
        # The other one was idle.
        timing.wait_until(lambda: server.closed or None,
                          timing.Deadline.after(5), 'the idle connection')

    def test_closing_leaves_no_write_in_doubt(self) -> None:
        """Another thread closes the pool that this one is about to use."""
        server = self.serve()
        made = self.client(server)
        victims = [1, 2, 3]
        get = pools.Pools.get

        def closed_at_once(mine: pools.Pools, endpoint: endpoints.Endpoint,
                           ) -> connection.ProvenPool:
            pool = get(mine, endpoint)
            if victims:
                victims.pop()
                mine.drop(endpoint)
            return pool

        with mock.patch.object(pools.Pools, 'get', autospec=True,
                               side_effect=closed_at_once):
            made.delete_volume('p', 'u')
        self.assertEqual(([], 1), (victims, len(server.served)))
        self.assertEqual(0, made.endpoints()[0].failures)

    def test_an_endpoint_that_is_gone_is_let_go_of(self) -> None:
        seed, other = self.serve(), self.serve()
        made = self.client(seed)
        made.version('p')
        self.learned(made, seed, other)
        seed.stop()
        made.version('p')
        self.assertEqual((1, 0), (other.connections, other.closed))
        self.assertEqual(1, len(made.certificates()))

        self.learned(made, seed)

        timing.wait_until(lambda: other.closed or None,
                          timing.Deadline.after(5), 'the idle connection')
        self.assertEqual([], made.certificates())

    def test_a_call_to_an_endpoint_that_goes_is_answered(self) -> None:
        arrived, answer = threading.Event(), threading.Event()

        def script(request: wire.Request) -> wire.Answer:
            if request.method == 'DELETE':
                arrived.set()
                answer.wait(10)
            return wire.Answer()

        seed, other = self.serve(), self.serve(script)
        made = self.client(seed)
        made.version('p')
        self.learned(made, seed, other)
        seed.stop()
        with futures.ThreadPoolExecutor(1) as pool:
            job = pool.submit(made.delete_volume, 'p', 'u')
            arrived.wait(10)
            self.learned(made, seed)
            answer.set()
            job.result()
        timing.wait_until(lambda: other.closed or None,
                          timing.Deadline.after(5), 'the connection')

    @staticmethod
    def learned(made: client.LightbitsClient, *servers: wire.Server) -> None:
        """Tell a client that the cluster has these endpoints now."""
        made.learn([f'127.0.0.1:{server.port}' for server in servers])

    def test_closing_under_load(self) -> None:
        server = self.serve()
        made = self.client(server, api_timeout=30, connect_timeout=20)
        with futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(made.delete_volume, 'p', f'u{number}')
                    for number in range(60)]
            while not all(job.done() for job in jobs):
                made.close()
                timing.pause(0.001)
        for job in jobs:
            job.result()
        self.assertEqual(60, len(server.served))
