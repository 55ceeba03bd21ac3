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

"""Every kind of fault, and whom it strikes."""

from __future__ import annotations

import http.client
import json
import threading
import time

from tests.simulator import control
from tests.unit.simulator import base

_VERSION = '/api/v2/version'
_VOLUMES = f'{base.PROJECT}/volumes'
_BODY = {'name': 'vol', 'size': '1gib', 'replicaCount': 1, 'acl': base.NOBODY}


class FaultTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster(journal=50)

    def names(self) -> list[str]:
        return [item['name'] for item in self.cluster.state()['volumes']]

    def post(self, timeout: float = 10) -> control.Reply:
        return self.cluster.request('POST', _VOLUMES, _BODY, timeout=timeout)

    def test_refuse_and_recover_on_the_same_port(self) -> None:
        fault = self.cluster.fault('refuse', node=1)
        for _ in range(3):
            self.assertRaises(
                ConnectionRefusedError,
                self.cluster.request,
                'GET',
                _VERSION,
                node=1,
            )
        self.call(self.cluster, 'GET', _VERSION, node=0)
        self.cluster.clear_fault(fault)
        self.call(self.cluster, 'GET', _VERSION, node=1)

    def test_blackhole_is_silent_even_in_tls(self) -> None:
        self.cluster.fault('blackhole', node=0)
        self.cluster.reset_counters()
        self.assertRaises(
            TimeoutError,
            self.cluster.request,
            'GET',
            _VERSION,
            timeout=0.2,
        )
        counters = self.cluster.counters()
        self.assertEqual(
            (1, 0, 0), (counters.tcp, counters.tls, counters.total)
        )
        self.call(self.cluster, 'GET', _VERSION, node=1)
        self.cluster.clear_faults()
        self.call(self.cluster, 'GET', _VERSION)

    def _frozen_post(self, *, deliver: bool) -> None:
        """Send a create on a connection that freezes, then end that."""
        with self.cluster.connect() as sock:
            connection = http.client.HTTPConnection('api.service')
            connection.sock = sock
            headers = {'Authorization': f'Bearer {self.cluster.admin_token}'}
            connection.request('GET', _VERSION, headers=headers)
            connection.getresponse().read()
            self.cluster.fault('blackhole', deliver=deliver)
            connection.request('POST', _VOLUMES, json.dumps(_BODY), headers)
            sock.settimeout(0.2)
            self.assertRaises(TimeoutError, connection.getresponse)
            self.assertEqual([], self.names())
            self.cluster.clear_faults()
            if deliver:
                self.until(self.names)
            else:
                self.until(
                    lambda: not self.cluster.counters().open_connections
                )

    def test_blackhole_freezes_open_connections(self) -> None:
        self._frozen_post(deliver=False)
        self.assertEqual([], self.names())

    def test_blackhole_may_deliver_late(self) -> None:
        self._frozen_post(deliver=True)
        self.assertEqual(['vol'], self.names())

    def test_blackhole_of_one_route(self) -> None:
        for applied in (False, True):
            self.cluster.fault(
                'blackhole', route='volumes.create', applied=applied
            )
            self.assertRaises(TimeoutError, self.post, timeout=0.2)
            self.assertEqual(['vol'] if applied else [], self.names())
            self.call(self.cluster, 'GET', _VERSION)
            self.cluster.clear_faults()

    def test_hanging_requests_are_in_flight(self) -> None:
        self.cluster.fault('blackhole', route='version')
        with self.cluster.connect() as sock:
            token = self.cluster.admin_token
            head = f'GET {_VERSION} HTTP/1.1\r\nAuthorization: Bearer {token}'
            sock.sendall(f'{head}\r\n\r\n'.encode())
            self.until(lambda: self.cluster.counters().in_flight == 1)
        self.until(lambda: self.cluster.counters().in_flight == 0)
        self.assertEqual({0: 1}, self.cluster.counters().statuses['version'])

    def test_slow(self) -> None:
        self.cluster.fault('slow', route='volumes.create', seconds=0.2)
        started = time.monotonic()
        self.assertEqual(200, self.post().status)
        self.assertGreater(time.monotonic() - started, 0.19)

    def test_slow_lets_others_pass(self) -> None:
        self.cluster.fault('slow', route='version', seconds=3)
        thread = threading.Thread(
            target=self.cluster.request, args=('GET', _VERSION)
        )
        thread.start()
        self.until(lambda: self.cluster.counters().in_flight)
        self.assertEqual(200, self.post().status)
        self.assertTrue(thread.is_alive())
        self.cluster.clear_faults()
        thread.join()

    def test_slow_and_abandoned(self) -> None:
        for abandoned, after_apply, names in (
            ('discard', False, []),
            ('apply', False, ['vol']),
            ('discard', True, ['vol']),
        ):
            fault = self.cluster.fault(
                'slow',
                route='volumes.create',
                seconds=0.5,
                abandoned=abandoned,
                after_apply=after_apply,
            )
            self.assertRaises(TimeoutError, self.post, timeout=0.1)
            self.until(lambda: not self.cluster.counters().in_flight)
            self.assertEqual(names, self.names())
            self.cluster.clear_fault(fault)
            for item in self.cluster.state()['volumes']:
                self.delete(self.cluster, item['UUID'])

    def test_status(self) -> None:
        self.cluster.fault('status', status=503, count=1)
        error = self.call(self.cluster, 'GET', _VERSION, status=503)
        self.assertEqual(14, error['code'])
        self.cluster.fault('status', status=500, code=9, message='m', count=1)
        error = self.call(self.cluster, 'GET', _VERSION, status=500)
        self.assertEqual({'error': 'm', 'code': 9, 'message': 'm'}, error)
        self.call(self.cluster, 'GET', _VERSION)

    def test_status_with_a_body_and_applied(self) -> None:
        self.cluster.fault(
            'status',
            status=502,
            body='<html>',
            content_type='text/html',
            applied=True,
            route='volumes.create',
        )
        reply = self.post()
        self.assertEqual((502, b'<html>'), (reply.status, reply.body))
        self.assertEqual('text/html', reply.headers['content-type'])
        self.assertEqual(['vol'], self.names())

    def test_endings_without_a_reply(self) -> None:
        for kind, names in (
            ('drop_before', []),
            ('reset', []),
            ('apply_then_drop', ['vol']),
        ):
            self.cluster.fault(kind, route='volumes.create', count=1)
            # Closed or reset: which of them a client notices is a race.
            self.assertRaises(ConnectionResetError, self.post)
            self.assertEqual(names, self.names(), kind)
        entry = self.cluster.journal()[-1]
        self.assertEqual(
            ('volumes.create', 0), (entry['route'], entry['status'])
        )

    def test_reset_may_be_applied(self) -> None:
        self.cluster.fault('reset', route='volumes.create', applied=True)
        self.assertRaises(ConnectionError, self.post)
        self.assertEqual(['vol'], self.names())

    def test_stale_volume(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.update(self.cluster, uuid, size='2gib')
        self.update(self.cluster, uuid, size='3gib')
        for versions, size in ((1, 2 * base.GIB), (2, base.GIB)):
            self.cluster.fault('stale', versions=versions)
            found = self.volume(self.cluster, uuid)
            self.assertEqual(str(size), found['size'])
            listed = self.call(self.cluster, 'GET', _VOLUMES)['volumes']
            self.assertEqual(str(size), listed[0]['size'])
            self.cluster.clear_faults()

    def test_stale_reads_of_new_and_deleted_objects(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.cluster.fault('stale')
        self.volume(self.cluster, uuid, 404)
        listed = self.call(self.cluster, 'GET', _VOLUMES)
        self.assertEqual({'volumes': []}, listed)
        self.delete(self.cluster, uuid)
        self.assertEqual(uuid, self.volume(self.cluster, uuid)['UUID'])

    def test_wrong_json(self) -> None:
        for mode in ('truncated', 'html', 'empty'):
            self.cluster.fault('wrong_json', mode=mode, count=1)
            reply = self.cluster.request('GET', '/api/v2/clusterinfo')
            self.assertEqual(200, reply.status)
            self.assertRaises(ValueError, reply.json)
        self.cluster.fault('wrong_json', mode='not_object', count=1)
        reply = self.cluster.request('GET', '/api/v2/clusterinfo')
        self.assertIsInstance(reply.json(), list)
        self.cluster.fault('wrong_json', mode='short', count=1)
        self.assertRaises(http.client.IncompleteRead, self.post)
        self.assertEqual(['vol'], self.names())

    def test_fail_create(self) -> None:
        volume = self.create(self.cluster)['UUID']
        self.cluster.fault('fail_create')
        made = self.create(self.cluster, name='bad')
        self.assertEqual('Failed', made['state'])
        self.assertNotIn('nodeList', made)
        self.update(self.cluster, made['UUID'], 400, size='2gib')
        self.assertEqual('Failed', self.snap(self.cluster, volume)['state'])

    def test_matching(self) -> None:
        self.cluster.fault(
            'status', status=503, route='volumes.*', method='get', node=1
        )
        for method, path, node, status in (
            ('GET', _VOLUMES, 1, 503),
            ('GET', f'{_VOLUMES}/{base.UNKNOWN}', 1, 503),
            ('GET', _VOLUMES, 0, 200),
            ('GET', _VERSION, 1, 200),
            ('DELETE', f'{_VOLUMES}/{base.UNKNOWN}', 1, 404),
        ):
            reply = self.cluster.request(method, path, node=node)
            self.assertEqual(status, reply.status, f'{method} {path}')

    def test_count_and_after(self) -> None:
        self.cluster.fault('status', status=503, after=1, count=2)
        statuses = [
            self.cluster.request('GET', _VERSION).status for _ in range(4)
        ]
        self.assertEqual([200, 503, 503, 200], statuses)
        self.assertEqual(2, self.cluster.faults()[0]['hits'])

    def test_client(self) -> None:
        """A fault tells whom it struck."""
        self.cluster.fault('status', status=503)
        self.assertEqual('', self.cluster.faults()[0]['client'])
        with self.cluster.connect() as link:
            link.sendall(f'GET {_VERSION} HTTP/1.1\r\nHost: x\r\n\r\n'
                         .encode())
            self.assertIn(b'503', link.recv(100))
            address, port = link.getsockname()[:2]
        self.assertEqual(f'{address}:{port}',
                         self.cluster.faults()[0]['client'])

    def test_faults_add_up(self) -> None:
        self.cluster.fault('slow', seconds=0.1)
        self.cluster.fault('status', status=503)
        self.cluster.fault('status', status=500)
        started = time.monotonic()
        self.call(self.cluster, 'GET', _VERSION, status=503)
        self.assertGreater(time.monotonic() - started, 0.09)

    def test_bad_faults_are_refused_clearly(self) -> None:
        for kind, options, text in (
            ('explode', {}, 'explode'),
            ('slow', {'second': 1}, 'second'),
            ('slow', {'seconds': 'long'}, 'seconds'),
            ('status', {'status': 99}, '200 to 599'),
            ('wrong_json', {'mode': 'odd'}, 'truncated'),
            ('refuse', {'count': 1}, 'count'),
            ('refuse', {'route': 'version'}, 'route'),
            ('reset', {'node': 3}, 'node'),
            ('reset', {'route': 'volume.create'}, 'volumes.create'),
            ('reset', {'after': -1}, 'after'),
        ):
            error = self.assertRaises(
                control.SimulatorError, self.cluster.fault, kind, **options
            )
            self.assertIn(text, str(error))
        self.assertEqual([], self.cluster.faults())
        error = self.assertRaises(
            control.SimulatorError, self.cluster.clear_fault, 'fault-9'
        )
        self.assertEqual(404, error.status)
