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

"""The data plane of sparse files."""

from __future__ import annotations

import base64
import os
import typing

from tests.simulator import control
from tests.unit.simulator import base

_LBA = 4096
_MIB = 1 << 20


class SparseTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster(data_plane='sparse')
        self.uuid = self.create(self.cluster)['UUID']

    def path(self, uuid: str) -> str:
        path = self.cluster.data_path(uuid)
        assert path is not None
        return path

    def put(self, uuid: str, block: int, data: bytes) -> None:
        with open(self.path(uuid), 'r+b') as stream:
            stream.seek(block * _LBA)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())

    def get(self, uuid: str, block: int, size: int = 4) -> bytes:
        with open(self.path(uuid), 'rb') as stream:
            stream.seek(block * _LBA)
            return stream.read(size)

    def blocks(self, uuid: str) -> int:
        return os.stat(self.path(uuid)).st_blocks

    def diff(self, uuid: str, status: int = 200, **query: object) -> set[int]:
        """Return the numbers of the blocks a reply marks."""
        found: set[int] = set()
        reply = self.raw_diff(uuid, status, **query)
        for item in reply.get('lbaRanges', []):
            first = int(item['lbaStart'])
            self.assertEqual(first + 63, int(item['lbaEnd']))
            bits = base64.b64decode(item['dataBitMap'])
            number = int.from_bytes(bits, 'little')
            found |= {first + n for n in range(64) if number >> n & 1}
        return found

    def raw_diff(
        self, uuid: str, status: int = 200, **query: object
    ) -> dict[str, typing.Any]:
        text = '&'.join(f'{key}={value}' for key, value in query.items())
        path = f'{base.PROJECT}/snapshots/diff/{uuid}?{text}'
        reply: dict[str, typing.Any] = self.call(
            self.cluster, 'GET', path, status=status
        )
        return reply

    def test_files_follow_their_volumes(self) -> None:
        path = self.path(self.uuid)
        self.assertEqual(base.GIB, os.stat(path).st_size)
        self.assertEqual(0, os.stat(path).st_blocks)
        self.update(self.cluster, self.uuid, size='2gib')
        self.assertEqual(2 * base.GIB, os.stat(path).st_size)
        self.delete(self.cluster, self.uuid)
        self.assertFalse(os.path.exists(path))

    def test_snapshot_clone_and_rollback_carry_data(self) -> None:
        self.put(self.uuid, 0, b'old!')
        self.put(self.uuid, 1000, b'more')
        snapshot = self.snap(self.cluster, self.uuid)['UUID']
        self.put(self.uuid, 0, b'new!')
        clone = self.create(
            self.cluster, name='c', size='2gib', sourceSnapshotUUID=snapshot
        )['UUID']
        self.assertEqual(b'old!', self.get(clone, 0))
        self.assertEqual(b'more', self.get(clone, 1000))
        self.assertEqual(2 * base.GIB, os.stat(self.path(clone)).st_size)
        self.put(clone, 0, b'mine')
        self.assertEqual(b'new!', self.get(self.uuid, 0))
        self.update(self.cluster, self.uuid, size='3gib')
        with open(self.path(self.uuid), 'rb') as user:
            self.rollback(self.cluster, self.uuid, snapshot)
            self.assertEqual(b'old!', user.read(4))
        self.assertEqual(base.GIB, os.stat(self.path(self.uuid)).st_size)
        # Holes stay holes.
        for uuid in (self.uuid, snapshot, clone):
            self.assertLess(self.blocks(uuid), 100)

    def test_a_clone_in_creation_outlives_its_snapshot(self) -> None:
        self.put(self.uuid, 0, b'data')
        snapshot = self.snap(self.cluster, self.uuid)['UUID']
        self.cluster.set_delays(create=60)
        clone = self.create(
            self.cluster, name='c', sourceSnapshotUUID=snapshot
        )['UUID']
        self.delete(self.cluster, snapshot, 200, 'snapshots')
        self.cluster.settle()
        self.assertEqual(
            'Available', self.volume(self.cluster, clone)['state']
        )
        self.assertEqual(b'data', self.get(clone, 0))

    def test_usage_is_measured(self) -> None:
        self.put(self.uuid, 0, os.urandom(_MIB))
        statistics = self.volume(self.cluster, self.uuid)['statistics']
        self.assertEqual(str(_MIB), statistics['logicalUsedStorage'])
        answer = self.call(self.cluster, 'GET', '/api/v2/cluster')
        self.assertEqual(
            str(_MIB), answer['statistics']['physicalUsedStorage']
        )
        error = self.assertRaises(
            control.SimulatorError, self.cluster.write, self.uuid, 1
        )
        self.assertEqual(409, error.status)

    def test_changed_blocks(self) -> None:
        self.put(self.uuid, 3, b'a' * _LBA * 2)
        first = self.snap(self.cluster, self.uuid, name='s1')['UUID']
        self.put(self.uuid, 4, b'b')
        self.put(self.uuid, 200, b'c')
        self.put(self.uuid, 3, b'a')
        second = self.snap(self.cluster, self.uuid, name='s2')['UUID']
        self.assertEqual({3, 4}, self.diff(first))
        self.assertEqual({3, 4, 200}, self.diff(second))
        self.assertEqual({4, 200}, self.diff(second, baseSnapshotUUID=first))
        self.assertEqual({4, 200}, self.diff(first, baseSnapshotName='s2'))
        self.assertEqual(
            {200},
            self.diff(second, baseSnapshotUUID=first, offsetLBA=191) - {4},
        )
        self.assertEqual({200}, self.diff(second, offsetLBA=64))

    def test_bad_differences(self) -> None:
        snapshot = self.snap(self.cluster, self.uuid)['UUID']
        other = self.create(self.cluster, name='other')['UUID']
        foreign = self.snap(self.cluster, other, name='f')['UUID']
        self.diff(snapshot, 400, baseSnapshotUUID=snapshot)
        self.diff(snapshot, 400, baseSnapshotUUID=foreign)
        self.diff(snapshot, 400, offsetLBA=base.GIB // _LBA)
        self.diff(snapshot, 400, offsetLBA='x')
        self.diff(base.UNKNOWN, 404)
        self.diff(snapshot, 404, baseSnapshotUUID=base.UNKNOWN)

    def test_a_removed_cluster_leaves_no_files(self) -> None:
        cluster = self.simulator.add_cluster('files', 1, data_plane='sparse')
        uuid = self.create(cluster)['UUID']
        self.snap(cluster, uuid)
        path = cluster.data_path(uuid)
        assert path is not None
        cluster.remove()
        self.assertFalse(os.path.exists(os.path.dirname(path)))


class NoPlaneTestCase(base.SimulatorTestCase):
    def test_differences_are_whole_or_empty(self) -> None:
        cluster = self.make_cluster()
        uuid = self.create(cluster, size='3gib')['UUID']
        self.assertIsNone(cluster.data_path(uuid))
        first = self.snap(cluster, uuid, name='s1')['UUID']
        second = self.snap(cluster, uuid, name='s2')['UUID']
        path = f'{base.PROJECT}/snapshots/diff/{second}'
        reply = self.call(cluster, 'GET', f'{path}?baseSnapshotUUID={first}')
        self.assertEqual({}, reply)
        reply = self.call(cluster, 'GET', path)
        self.assertEqual(10000, len(reply['lbaRanges']))
        self.assertEqual(str(10000 * 64), reply['nextOffsetLBA'])
        query = f'{path}?offsetLBA={reply["nextOffsetLBA"]}'
        rest = self.call(cluster, 'GET', query)
        self.assertEqual(3 * 4096 - 10000, len(rest['lbaRanges']))
        self.assertNotIn('nextOffsetLBA', rest)
