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

"""TLS, HTTP and the counters of both."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl

import requests
import urllib3

from tests.simulator import control
from tests.unit.simulator import base

_VERSION = '/api/v2/version'


class TlsTestCase(base.SimulatorTestCase):
    def handshake(
        self,
        cluster: control.SimCluster,
        name: str,
        node: int = 0,
        session: ssl.SSLSession | None = None,
        strict: bool = False,
    ) -> tuple[bytes, ssl.SSLSession | None]:
        """Return the certificate in DER and the session."""
        context = ssl.create_default_context(cafile=cluster.ca_file)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        if strict:
            context.verify_flags |= ssl.VERIFY_X509_STRICT
        host, _, port = cluster.api_endpoints[node].rpartition(':')
        with (
            socket.create_connection((host.strip('[]'), int(port)), 5) as raw,
            context.wrap_socket(
                raw, server_hostname=name, session=session
            ) as sock,
        ):
            certificate = sock.getpeercert(True)
            assert certificate is not None
            return certificate, sock.session

    def test_names_and_addresses_verify(self) -> None:
        cluster = self.make_cluster(1)
        for name in ('api.service', 'localhost', '127.0.0.1', '::1'):
            self.handshake(cluster, name, strict=True)
        self.assertRaises(
            ssl.SSLCertVerificationError, self.handshake, cluster, 'other'
        )

    def test_stock_certificate_has_the_common_name_only(self) -> None:
        cluster = self.make_cluster(1, cert='stock')
        self.handshake(cluster, 'api.service')
        for name in ('127.0.0.1', 'localhost'):
            self.assertRaises(
                ssl.SSLCertVerificationError, self.handshake, cluster, name
            )

    def test_fingerprint_is_that_of_every_node(self) -> None:
        clusters = [self.make_cluster(2, cert='stock'), self.make_cluster(2)]
        found = {
            hashlib.sha256(
                self.handshake(cluster, 'api.service', node)[0]
            ).hexdigest()
            for cluster in clusters
            for node in (0, 1)
        }
        self.assertEqual({item.fingerprint for item in clusters}, found)
        self.assertEqual(2, len(found))

    def test_another_authority_is_refused(self) -> None:
        cluster = self.make_cluster(1)
        context = ssl.create_default_context()
        host, _, port = cluster.api_endpoints[0].rpartition(':')
        with socket.create_connection((host, int(port)), 5) as raw:
            self.assertRaises(
                ssl.SSLCertVerificationError,
                context.wrap_socket,
                raw,
                server_hostname='localhost',
            )

    def test_sessions_resume(self) -> None:
        cluster = self.make_cluster(1)
        _, session = self.handshake(cluster, 'localhost')
        # A session belongs to its context, so one context does both.
        context = ssl.create_default_context(cafile=cluster.ca_file)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        host, _, port = cluster.api_endpoints[0].rpartition(':')
        cluster.reset_counters()
        session = None
        for _ in range(2):
            with (
                socket.create_connection((host, int(port)), 5) as raw,
                context.wrap_socket(
                    raw, server_hostname='localhost', session=session
                ) as sock,
            ):
                session = sock.session
        self.until(lambda: cluster.counters().tls == 2)
        counters = cluster.counters()
        self.assertEqual((1, 1), (counters.tls_full, counters.tls_resumed))

    def test_ipv6(self) -> None:
        cluster = self.make_cluster(2, listen='::1')
        for endpoint in (*cluster.api_endpoints, *cluster.data_endpoints):
            self.assertRegex(endpoint, r'^\[[0-9a-f:]+\]:\d+$')
        info = self.call(cluster, 'GET', '/api/v2/clusterinfo', node=1)
        self.assertEqual(list(cluster.api_endpoints), info['apiEndpoints'])
        self.handshake(cluster, '::1')

    def test_plain_text_is_no_tls(self) -> None:
        cluster = self.make_cluster(1)
        host, _, port = cluster.api_endpoints[0].rpartition(':')
        with socket.create_connection((host, int(port)), 5) as raw:
            raw.sendall(b'GET / HTTP/1.1\r\n\r\n')
            while raw.recv(100):
                pass
        self.assertEqual(0, cluster.counters().tls)
        self.call(cluster, 'GET', _VERSION)


class HttpTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster(1)
        self.headers = {'Authorization': f'Bearer {self.cluster.admin_token}'}

    def exchange(self, data: bytes) -> bytes:
        """Send bytes over TLS and return all that comes back."""
        with self.cluster.connect(timeout=5) as sock:
            sock.sendall(data)
            found = b''
            while True:
                piece = sock.recv(1 << 16)
                if not piece:
                    return found
                found += piece

    def head(self, method: str, path: str, *more: str) -> bytes:
        lines = (
            f'{method} {path} HTTP/1.1',
            f'Authorization: {self.headers["Authorization"]}',
            *more,
        )
        return ('\r\n'.join(lines) + '\r\n\r\n').encode()

    def test_connections_are_kept(self) -> None:
        with self.cluster.connect() as sock:
            connection = http.client.HTTPConnection('api.service')
            connection.sock = sock
            for _ in range(5):
                connection.request('GET', _VERSION, headers=self.headers)
                response = connection.getresponse()
                self.assertEqual(200, response.status)
                response.read()
                self.assertIs(sock, connection.sock)
        counters = self.cluster.counters()
        self.assertEqual(
            (1, 1, 5), (counters.tcp, counters.tls, counters.total)
        )
        self.assertEqual({'version': 5}, counters.requests)
        self.assertEqual({'version': {200: 5}}, counters.statuses)

    def test_pipelined_requests_are_answered_in_order(self) -> None:
        self.cluster.fault('slow', route='version', seconds=0.1)
        answer = self.exchange(
            self.head('GET', _VERSION)
            + self.head('GET', '/api/v2/clusterinfo', 'Connection: close')
        )
        first = answer.index(b'apiVersion')
        self.assertLess(first, answer.index(b'subsystemNQN'))

    def test_body_in_pieces_and_on_demand(self) -> None:
        body = json.dumps({'name': 'tenant'}).encode()
        head = self.head(
            'POST',
            '/api/v2/projects',
            f'Content-Length: {len(body)}',
            'Expect: 100-continue',
        )
        with self.cluster.connect(timeout=5) as sock:
            for byte in head:
                sock.send(bytes([byte]))
            self.assertIn(b'100 Continue', sock.recv(100))
            sock.send(body[:3])
            sock.send(body[3:])
            self.assertIn(b'HTTP/1.1 200', sock.recv(4096))

    def test_malformed_and_oversized(self) -> None:
        self.assertIn(b'HTTP/1.1 400', self.exchange(b'NONSENSE\r\n\r\n'))
        size = (1 << 20) + 1
        head = self.head('POST', '/api/v2/projects', f'Content-Length: {size}')
        answer = self.exchange(head + b' ' * size)
        self.assertIn(b'HTTP/1.1 413', answer)

    def test_unknown_routes_and_verbs(self) -> None:
        for method, path, status in (
            ('GET', '/', 404),
            ('GET', '/api/v2/none', 404),
            ('GET', '/api/v2/version/', 404),
            ('PATCH', _VERSION, 405),
            ('DELETE', '/api/v2/volumes', 405),
        ):
            reply = self.cluster.request(method, path)
            self.assertEqual(status, reply.status, path)
            self.assertEqual('text/plain', reply.headers['content-type'])
            self.assertRaises(ValueError, reply.json)

    def test_body_that_is_no_json(self) -> None:
        head = self.head(
            'POST',
            '/api/v2/projects',
            'Content-Length: 5',
            'Connection: close',
        )
        answer = self.exchange(head + b'{"na"')
        self.assertIn(b'HTTP/1.1 400', answer)
        self.assertIn(b'not JSON', answer)

    def test_requests_library(self) -> None:
        url = f'https://{self.cluster.api_endpoints[0]}{_VERSION}'
        with requests.Session() as session:
            session.trust_env = False
            session.verify = self.cluster.ca_file
            session.headers.update(self.headers)
            for _ in range(3):
                answer = session.get(url, timeout=5)
                self.assertEqual({'apiVersion': 'v2.0'}, answer.json())
        self.assertEqual(1, self.cluster.counters().tcp)

    def test_pinned_fingerprint(self) -> None:
        cluster = self.make_cluster(1, cert='stock')
        host, _, port = cluster.api_endpoints[0].rpartition(':')
        with urllib3.HTTPSConnectionPool(
            host,
            int(port),
            assert_fingerprint=cluster.fingerprint,
            cert_reqs='CERT_NONE',
        ) as pool:
            headers = {'Authorization': f'Bearer {cluster.token()}'}
            answer = pool.request('GET', _VERSION, headers=headers)
            self.assertEqual(200, answer.status)

    def test_in_flight(self) -> None:
        self.cluster.fault('slow', route='version', seconds=0.2)
        with self.cluster.connect() as one, self.cluster.connect() as two:
            for sock in (one, two):
                sock.sendall(self.head('GET', _VERSION))
            self.until(lambda: self.cluster.counters().in_flight == 2)
            self.until(lambda: self.cluster.counters().in_flight == 0)
        self.assertEqual(2, self.cluster.counters().in_flight_max)
        self.cluster.reset_counters()
        self.assertEqual(0, self.cluster.counters().in_flight_max)
        self.assertEqual(0, self.cluster.counters().total)

    def test_journal(self) -> None:
        cluster = self.make_cluster(2, journal=2)
        for number in range(3):
            headers = {'X-Request-ID': f'req-{number}'}
            cluster.request('GET', _VERSION, headers=headers, node=1)
        entries = cluster.journal()
        self.assertEqual(
            ['req-1', 'req-2'], [item['request_id'] for item in entries]
        )
        self.assertEqual(
            ('GET', _VERSION, 200, 1),
            tuple(
                entries[0][key] for key in ('method', 'path', 'status', 'node')
            ),
        )
        self.assertEqual([], self.cluster.journal())

    def test_journal_keeps_paths_as_they_were_sent(self) -> None:
        cluster = self.make_cluster(1, journal=1)
        for path in (
            f'{base.PROJECT}/volumes?name=a%26b%3Dc%23d&limit=5&UUID=',
            f'{base.PROJECT}/volumes/%61%2Fb',
            f'{base.PROJECT}/volumes?',
        ):
            cluster.request('GET', path)
            self.assertEqual(path, cluster.journal()[0]['path'])
