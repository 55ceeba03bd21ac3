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

"""What is sent, and which answers are taken."""

import json
from unittest import mock

from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import exchange
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits import snapshots
from cinder_lightbits_federation.lightbits import volumes
from tests.unit.lightbits import wire
from tests.unit.lightbits import wire_base

UUID = 'c6b1e0a4-7f0d-4d6c-8a43-0c9d4b1f2e77'


class FormTestCase(wire_base.WireTestCase):

    def test_paths_are_escaped(self) -> None:
        self.assertEqual('/api/v2/projects/a%2Fb%3Fc%20d/volumes',
                         exchange.path_of('projects', 'a/b?c d', 'volumes'))

    def test_no_segment_changes_the_path(self) -> None:
        for segment in ('', '.', '..'):
            self.assertRaises(ValueError, exchange.path_of, 'x', segment)

    def test_a_missing_uuid_deletes_nothing(self) -> None:
        server = self.serve()
        made = self.client(server)
        for call in (made.delete_volume, made.delete_snapshot,
                     made.get_volume, made.find_volume, made.find_snapshot):
            self.assertRaises(ValueError, call, 'p', '')
        self.assertEqual([], server.requests)

    def test_queries(self) -> None:
        call = exchange.Call('x', 'p', 'GET', '/p', {
            'a': 'x&y=z é', 'b': None, 'c': True, 'd': 7})
        self.assertEqual('/p?a=x%26y%3Dz+%C3%A9&c=true&d=7', call.target)

    def test_headers(self) -> None:
        server = self.serve()
        made = self.client(server)
        made.change_volume('p', UUID, model.VolumeChange(size=5), etag='7')
        made.delete_volume('p', UUID)
        changed, deleted = (one for one in server.requests
                            if one.target != wire.PROOF)
        self.assertEqual('7', changed.headers['if-match'])
        self.assertEqual('application/json', changed.headers['content-type'])
        self.assertEqual({'size': '5'}, json.loads(changed.body))
        self.assertNotIn('if-match', deleted.headers)
        self.assertNotIn('content-type', deleted.headers)
        for one in server.requests:
            self.assertRegex(one.headers['user-agent'],
                             r'^cinder-lightbits-federation(/[\w.+]+)?$')

    def test_volume_bodies(self) -> None:
        self.assertEqual(
            {'name': 'v', 'size': '4096b', 'replicaCount': 2,
             'compression': 'false', 'acl': {'values': ['ALLOW_NONE']},
             'IPAcl': {'values': ['ALLOW_NONE']}},
            volumes.creation_body(model.NewVolume('v', 4096, 2)))
        self.assertEqual(
            {'name': 'v', 'size': '1b', 'replicaCount': 1,
             'compression': 'true', 'acl': {'values': ['b', 'c']},
             'IPAcl': {'values': ['ALLOW_ANY']},
             'sectorSize': 'sectorSize_512B', 'sourceSnapshotUUID': 's',
             'qosPolicyName': 'gold',
             'labels': [{'key': 'k', 'value': 'w'}],
             'placementRestrictions': [
                 {'operator': 'In', 'labelValueKeyPairs': [
                     {'key': 'FD', 'value': 'rack1'}]}]},
            volumes.creation_body(model.NewVolume(
                'v', 1, 1, compression=True,
                sector_size=model.SectorSize.B512,
                source_snapshot_uuid='s', qos_policy_name='gold',
                labels={'k': 'w'}, acl=frozenset('cb'),
                ip_acl=frozenset({model.ALLOW_ANY}),
                restrictions=(model.PlacementRestriction('FD', 'rack1'),))))

    def test_change_bodies(self) -> None:
        self.assertEqual({}, volumes.change_body(model.VolumeChange()))
        self.assertEqual(
            {'acl': {'values': ['ALLOW_NONE']},
             'IPAcl': {'values': ['192.0.2.1']}, 'compression': 'true',
             'qosPolicyUUID': 'q', 'labels': [], 'newName': 'n'},
            volumes.change_body(model.VolumeChange(
                acl=frozenset(), ip_acl=frozenset({'192.0.2.1'}),
                compression=True, qos_policy_uuid='q', labels={},
                new_name='n')))

    def test_snapshot_bodies(self) -> None:
        self.assertEqual(
            {'name': 's', 'sourceVolumeUUID': 'v'},
            snapshots.creation_body(model.NewSnapshot('s', 'v')))
        self.assertEqual(
            {'name': 's', 'sourceVolumeUUID': 'v', 'description': 'd',
             'retentionTime': '7200s'},
            snapshots.creation_body(model.NewSnapshot('s', 'v', 'd', 7200)))


class AnswerTestCase(wire_base.WireTestCase):

    def answering(self, data: object) -> lb_client.LightbitsClient:
        return self.client(self.serve(
            lambda request: wire.Answer(body=json.dumps(data).encode())))

    def test_an_answer_about_something_else(self) -> None:
        made = self.answering({'UUID': 'other', 'name': 'other'})
        for call in (made.get_volume, made.find_volume, made.get_snapshot,
                     made.find_snapshot):
            error = self.assertRaises(errors.InvalidReply, call, 'p', UUID)
            self.assertIn('other', str(error))

    def test_a_uuid_in_capitals_is_the_same(self) -> None:
        made = self.answering({'UUID': UUID.upper()})
        self.assertEqual(UUID, made.get_volume('p', UUID).uuid)
        self.assertEqual(UUID, made.get_volume('p', UUID.upper()).uuid)

    def test_malformed_fields(self) -> None:
        broken: tuple[dict[str, object], ...] = (
            {}, {'UUID': 5}, {'UUID': UUID, 'size': 'x'},
            {'UUID': UUID, 'acl': [1]}, {'UUID': UUID, 'labels': ['x']},
            {'UUID': UUID, 'statistics': 'x'},
            {'UUID': UUID, 'size': float('inf')})
        for data in broken:
            made = self.answering(data)
            self.assertRaises(errors.InvalidReply, made.get_volume, 'p',
                              UUID)
            # It may well have been created.
            self.assertRaises(errors.Ambiguous, made.create_volume, 'p',
                              model.NewVolume('v', 1, 1))

    def test_malformed_lists(self) -> None:
        for value in ('xyz', [5], 7, {'a': 1}):
            made = self.answering({'volumes': value})
            self.assertRaises(errors.InvalidReply, made.volume_page, 'p')

    def test_empty_lists(self) -> None:
        empty: tuple[dict[str, object], ...] = (
            {}, {'volumes': []}, {'volumes': None})
        for data in empty:
            self.assertEqual((), self.answering(data).volume_page('p'))

    def test_a_list_that_does_not_go_on(self) -> None:
        made = self.answering({'volumes': [{'UUID': UUID}]})
        self.assertRaises(errors.InvalidReply, list,
                          made.list_volumes('p', limit=1))

    def test_stray_bytes_end_a_connection(self) -> None:
        """An answer longer than it says is not taken for the next one."""
        stray = wire.Answer(body=b'{"apiVersion": "v2.0"}').wire() + b'{}'
        server = self.serve(lambda request: wire.Answer(raw=stray))
        made = self.client(server)
        for _ in range(3):
            self.assertEqual('v2.0', made.version('p'))

    def test_chunked_answers(self) -> None:
        raw = (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
               b'a\r\n{"apiVersi\r\nc\r\non": "v2.0"}\r\n0\r\n\r\n')
        server = self.serve(lambda request: wire.Answer(raw=raw))
        made = self.client(server)
        for _ in range(2):
            self.assertEqual('v2.0', made.version('p'))
        self.assertEqual(1, server.connections)

    def test_dripping_answers_end_at_the_deadline(self) -> None:
        server = self.serve(lambda request: wire.Answer(
            raw=wire.Answer(body=b'{}').wire(), drip=0.05))
        made = self.client(server, api_timeout=1)
        error = self.assertRaises(errors.Ambiguous, made.delete_volume, 'p',
                                  UUID)
        self.assertIn('timed out', str(error))

    def test_endless_answers_spoil_no_connection(self) -> None:
        server = self.serve(lambda request: wire.Answer(
            body=b'{}' if request.method == 'DELETE' else b' ' * 200_000))
        made = self.client(server)
        with mock.patch.object(exchange, 'LARGEST_REPLY', 100_000):
            self.assertRaises(errors.Unreachable, made.version, 'p')
        # On a connection with a rest of that it would be in doubt.
        made.delete_volume('p', UUID)

    def test_redirects_are_not_followed(self) -> None:
        other = self.serve()
        raw = (f'HTTP/1.1 307 X\r\nLocation: https://127.0.0.1:{other.port}'
               '/api/v2/version\r\nContent-Length: 0\r\n\r\n').encode()
        made = self.client(self.serve(lambda request: wire.Answer(raw=raw)))
        self.assertRaises(errors.InvalidReply, made.version, 'p')
        self.assertEqual(0, other.connections)
