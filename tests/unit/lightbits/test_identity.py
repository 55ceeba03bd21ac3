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

"""Every connection proves to lead to the right cluster."""

import time
import uuid

from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import model
from tests.unit.lightbits import wire
from tests.unit.lightbits import wire_base

OTHER = str(uuid.uuid5(uuid.NAMESPACE_DNS, 'other'))
NEW = model.NewVolume(name='v', size=1 << 30, replicas=1)


class Renewable:
    """Has a second token after a renewal."""

    def __init__(self, *chain: str) -> None:
        self.chain = list(chain)
        self.renewals = 0

    def bearer(self, project: str) -> str | None:
        return self.chain[0]

    def renew(self, project: str) -> bool:
        self.renewals += 1
        if len(self.chain) == 1:
            return False
        self.chain.pop(0)
        return True


class ProofTestCase(wire_base.WireTestCase):

    def test_nothing_is_opened_in_advance(self) -> None:
        server = self.serve()
        made = self.client(server)
        self.assertEqual(0, server.connections)
        self.assertIsNone(made.uuid)

    def test_steady_state_needs_no_proof(self) -> None:
        server = self.serve()
        made = self.client(server)
        for _ in range(5):
            made.version('p')
        self.assertEqual((1, 1), (server.connections, server.proofs))
        self.assertEqual(['GET /api/v2/version'] * 5, server.served)
        self.assertEqual(wire.CLUSTER, made.uuid)

    def test_expected_cluster_in_any_case(self) -> None:
        made = self.client(self.serve(), expected_uuid=wire.CLUSTER.upper())
        self.assertEqual(wire.CLUSTER, made.uuid)
        made.version('p')

    def test_unexpected_cluster(self) -> None:
        server = self.serve()
        made = self.client(server, expected_uuid=OTHER)
        error = self.assertRaises(errors.WrongCluster, made.create_volume,
                                  'p', NEW)
        self.assertEqual((OTHER, wire.CLUSTER), (error.expected, error.found))
        self.assertEqual([], server.served)
        self.assertIn('cluster east: volumes.create: ', str(error))

    def test_the_wrong_cluster_is_quarantined(self) -> None:
        wrong = self.serve(lambda request: wire.info(OTHER), prove=False)
        right = self.serve()
        made = self.client(wrong, right, expected_uuid=wire.CLUSTER)
        for _ in range(3):
            made.version('p')
        self.assertEqual(1, wrong.connections)
        status = made.endpoints()[0]
        self.assertEqual((1, False), (status.failures, status.current))
        self.assertGreater(status.sick_until, time.monotonic() + 30)
        self.assertIn(OTHER, status.trouble)

    def test_restart_under_another_uuid(self) -> None:
        first = self.serve()
        made = self.client(first)
        made.version('p')
        first.stop()
        second = self.serve(lambda request: wire.info(OTHER), prove=False,
                            port=first.port)
        self.assertRaises(errors.WrongCluster, made.create_volume, 'p', NEW)
        self.assertEqual([], second.served)
        self.assertEqual(wire.CLUSTER, made.uuid)

    def test_a_connection_that_closed_is_proved_again(self) -> None:
        server = self.serve()
        made = self.client(server)
        made.version('p')
        server.cut()
        made.delete_volume('p', 'u')
        self.assertEqual((2, 2), (server.connections, server.proofs))
        self.assertEqual(1, server.served.count(
            'DELETE /api/v2/projects/p/volumes/u'))

    def test_the_proof_carries_the_token(self) -> None:
        server = self.serve()
        self.client(server).version('p')
        self.assertEqual({'Bearer the-token'}, {
            one.headers['authorization'] for one in server.requests})

    def test_without_keep_alive_nothing_is_proved(self) -> None:
        closing = wire.info()
        raw = closing.wire().replace(b'\r\n\r\n',
                                     b'\r\nConnection: close\r\n\r\n', 1)
        server = self.serve(
            lambda request: wire.Answer(raw=raw, close=True), prove=False)
        error = self.assertRaises(errors.Unreachable,
                                  self.client(server).version, 'p')
        self.assertIn('closes the connection', str(error))
        self.assertEqual([], server.served)


class FailedProofTestCase(wire_base.WireTestCase):

    def assert_unreachable(self, answer: wire.Answer | None) -> None:
        server = self.serve(lambda request: answer, prove=False)
        made = self.client(server)
        error = self.assertRaises(errors.Unreachable, made.create_volume,
                                  'p', NEW)
        self.assertIn(f'127.0.0.1:{server.port}', str(error))
        self.assertEqual([], server.served)
        self.assertIsNone(made.uuid)

    def test_unreadable(self) -> None:
        for answer in (wire.refusal(500, 13), wire.refusal(404, 5), None,
                       wire.Answer(body=b'<html>'), wire.Answer(body=b'[]'),
                       wire.Answer(body=b'{}'),
                       wire.Answer(body=b'{"UUID": 7}'),
                       wire.Answer(raw=b'nonsense\r\n\r\n', close=True),
                       wire.Answer(raw=wire.info().wire()[:-5],
                                   close=True)):
            self.assert_unreachable(answer)

    def test_busy_is_waited_for(self) -> None:
        left = [wire.refusal(503, 14), wire.refusal(429, 8)]
        server = self.serve(
            lambda request: wire.info() if not left else left.pop(),
            prove=False)
        self.client(server).version('p')
        self.assertEqual(3, server.proofs)

    def test_busy_until_the_deadline(self) -> None:
        server = self.serve(lambda request: wire.refusal(503, 14),
                            prove=False)
        self.assertRaises(errors.Unreachable,
                          self.client(server, api_timeout=1).version, 'p')
        self.assertGreater(server.proofs, 1)

    def test_refused_token_is_renewed_once(self) -> None:
        server = self.serve(
            lambda request: wire.info()
            if request.headers['authorization'] == 'Bearer new'
            else wire.refusal(401, 16), prove=False)
        source = Renewable('old', 'new')
        self.client(server, source=source).version('p')
        self.assertEqual(1, source.renewals)

        source = Renewable('old', 'older', 'new')
        made = self.client(server, source=source)
        self.assertRaises(errors.Unauthorized, made.version, 'p')
        self.assertEqual(1, source.renewals)

    def test_renewed_by_another_thread_meanwhile(self) -> None:
        class Changing(Renewable):
            def bearer(self, project: str) -> str | None:
                return (self.chain.pop(0) if len(self.chain) > 1
                        else self.chain[0])

        server = self.serve(
            lambda request: wire.info()
            if request.headers['authorization'] == 'Bearer new'
            else wire.refusal(401, 16), prove=False)
        source = Changing('old', 'new')
        self.client(server, source=source).version('p')
        self.assertEqual(0, source.renewals)

    def test_forbidden_is_final(self) -> None:
        server = self.serve(lambda request: wire.refusal(403, 7),
                            prove=False)
        made = self.client(server, self.serve())
        self.assertRaises(errors.Forbidden, made.version, 'p')
        self.assertEqual(1, server.proofs)

    def test_slow_proof(self) -> None:
        server = self.serve(
            lambda request: wire.Answer(raw=wire.info().wire(), drip=0.05),
            prove=False)
        other = self.serve()
        made = self.client(server, other, connect_timeout=1)
        made.version('p')
        self.assertEqual(1, other.proofs)
        self.assertEqual('timed out', made.endpoints()[0].trouble)


class LearningTestCase(wire_base.WireTestCase):

    def listing(self, *names: str) -> wire.Server:
        return self.serve(
            lambda request: wire.info(apiEndpoints=list(names)), prove=False)

    def test_endpoints_come_with_the_proof(self) -> None:
        made = self.client(self.listing('192.0.2.7:443', 'nonsense:x'))
        made.version('p')
        self.assertEqual(
            [False], [one.seed for one in made.endpoints()
                      if one.endpoint == endpoints.Endpoint('192.0.2.7')])
        self.assertEqual(2, len(made.endpoints()))

    def test_nothing_is_learned_before_a_proof(self) -> None:
        made = self.client(self.listing())
        made.learn(['192.0.2.7'])
        self.assertEqual(1, len(made.endpoints()))
        made.version('p')
        made.learn(['192.0.2.7'])
        self.assertEqual(2, len(made.endpoints()))

    def test_nothing_is_learned_from_another_cluster(self) -> None:
        made = self.client(self.listing('192.0.2.7'), expected_uuid=OTHER)
        self.assertRaises(errors.WrongCluster, made.version, 'p')
        self.assertEqual(1, len(made.endpoints()))
