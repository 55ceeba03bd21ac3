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


"""What a node holds when it leaves."""

from __future__ import annotations

import typing

from tests.unit.simulator import base


class ForcedTestCase(base.MembershipTestCase):
    """Nodes that leave with replicas on them."""

    def setUp(self) -> None:
        super().setUp()
        self.spare = self.cluster.add_node()
        # The least provisioned are chosen, so they are on 0, 1 and 2.
        self.made = self.create(self.cluster, replicaCount=3)
        self.before = self.uuids()

    def now(self, uuid: str | None = None) -> dict[str, typing.Any]:
        found: dict[str, typing.Any] = self.volume(
            self.cluster, uuid or self.made['UUID']
        )
        return found

    def leave(self, index: int) -> None:
        self.cluster.remove_node(index, force=True)

    def test_replicas_are_rebuilt_elsewhere(self) -> None:
        snapshot = self.snap(self.cluster, self.made['UUID'])
        first, *others = self.made['nodeList']
        self.assertEqual(self.before[:3], [first, *others])

        self.leave(0)

        volume = self.now()
        nodes = [*others, self.before[self.spare]]
        self.assertEqual(nodes, volume['nodeList'])
        self.assertEqual(others[0], volume['primaryNodeUUID'])
        self.assertEqual('FullyProtected', volume['protectionState'])
        self.assertNotEqual(self.made.get('ETag'), volume['ETag'])
        self.assertNotEqual(self.made['pgUUID'], volume['pgUUID'])
        found = self.snapshot(self.cluster, snapshot['UUID'])
        self.assertEqual(nodes, found['nodeList'])
        self.assertEqual('OK', self.get('cluster')['health']['state'])
        clone = self.create(
            self.cluster,
            name='clone',
            replicaCount=3,
            sourceSnapshotUUID=snapshot['UUID'],
        )
        self.assertEqual(nodes, clone['nodeList'])

    def test_bytes_go_with_them(self) -> None:
        uuid = self.made['UUID']
        self.cluster.write(uuid, 1000)
        self.snap(self.cluster, uuid)
        self.cluster.write(uuid, 200)

        self.leave(1)

        usage = self.cluster.state()['usage']
        self.assertEqual([1200, 0, 1200, 1200], usage['used'])
        self.assertEqual([1200, 0, 1200, 1200], usage['physical'])
        size = base.GIB
        self.assertEqual([size, 0, size, size], usage['provisioned'])
        self.assertEqual(
            '1200', self.now()['statistics']['logicalUsedStorage']
        )

    def test_what_comes_later_works(self) -> None:
        uuid = self.made['UUID']
        snapshot = self.snap(self.cluster, uuid)['UUID']
        self.cluster.write(uuid, 4096)
        self.leave(2)
        self.update(self.cluster, uuid, size='2 gib')
        self.rollback(self.cluster, uuid, snapshot)
        self.delete(self.cluster, uuid)
        self.delete(self.cluster, snapshot, kind='snapshots')
        usage = self.cluster.state()['usage']
        for name in ('used', 'physical', 'provisioned'):
            self.assertEqual([0, 0, 0, 0], usage[name], name)
        self.leave(0)

    def test_a_change_under_way_ends(self) -> None:
        self.cluster.set_delays(create=60, delete=60)
        created = self.create(self.cluster, name='new')['UUID']
        self.delete(self.cluster, self.made['UUID'])
        self.cluster.add_node()
        self.leave(self.spare)
        self.leave(0)
        self.cluster.settle()
        self.volume(self.cluster, self.made['UUID'], 404)
        volume = self.now(created)
        self.assertEqual('Available', volume['state'])
        self.assertLessEqual(set(volume['nodeList']), set(self.uuids()))

    def test_stale_reads_know_the_node_that_left(self) -> None:
        uuid = self.made['UUID']
        self.leave(0)
        self.cluster.fault('stale')
        self.assertEqual(self.made['nodeList'], self.now()['nodeList'])
        self.cluster.clear_faults()
        self.delete(self.cluster, uuid)
        self.volume(self.cluster, uuid, 404)

    def test_the_etag_may_stay(self) -> None:
        self.cluster.set_switches(bump_etag_on_state=False)
        before = self.now().get('ETag')
        self.leave(0)
        self.assertEqual(before, self.now().get('ETag'))

    def test_a_node_that_is_down_may_leave(self) -> None:
        self.cluster.stop_node(0)
        self.assertEqual('Degraded', self.now()['protectionState'])
        self.leave(0)
        self.assertEqual('FullyProtected', self.now()['protectionState'])

    def test_no_replica_can_be_read(self) -> None:
        made = self.create(self.cluster, name='one')
        self.assertEqual([self.before[self.spare]], made['nodeList'])
        self.cluster.stop_node(self.spare)
        self.refused(
            409,
            'replicas of 1 volumes and 0 snapshots are not available',
            self.cluster.remove_node,
            self.spare,
            force=True,
        )

    def test_no_other_node_may_take_them(self) -> None:
        reasons: dict[str, typing.Callable[[], object]] = {
            'inactive': lambda: self.cluster.stop_node(self.spare),
            'there is none': lambda: self.cluster.remove_node(self.spare),
            'domain': lambda: self.cluster.add_node(failure_domain='server01'),
        }
        for reason, happen in reasons.items():
            happen()
            with self.subTest(reason):
                self.refused(
                    409,
                    'node 0: no other node may take replicas of 1 volumes',
                    self.cluster.remove_node,
                    0,
                    force=True,
                )

    def test_no_other_node_has_room(self) -> None:
        # They are full with 14 and 15 bytes.
        self.cluster.add_node(capacity=16)
        self.cluster.remove_node(self.spare)
        self.cluster.write(self.made['UUID'], 14)
        self.refused(409, 'may take', self.cluster.remove_node, 0, force=True)
        self.cluster.add_node(capacity=17)
        after = self.uuids()
        self.leave(0)
        self.assertEqual([*after[1:3], after[-1]], self.now()['nodeList'])

    def two_groups(self) -> tuple[str, str]:
        """Return volumes on both of two nodes, and on the first only."""
        self.cluster = self.make_cluster(2)
        both = self.create(self.cluster, name='both', replicaCount=2)
        one = self.create(self.cluster, name='one')
        nodes = self.uuids()
        self.assertEqual(nodes, both['nodeList'])
        self.assertEqual(nodes[:1], one['nodeList'])
        return both['UUID'], one['UUID']

    def assert_spread(self, both: str, one: str) -> None:
        """Check that a third node, the emptier one, took not all."""
        nodes = self.uuids()
        self.leave(0)
        self.assertEqual(nodes[1:], self.now(both)['nodeList'])
        self.assertEqual(nodes[1:2], self.now(one)['nodeList'])

    def test_groups_are_spread(self) -> None:
        both, one = self.two_groups()
        self.cluster.add_node()
        self.assert_spread(both, one)

    def test_groups_share_the_room(self) -> None:
        both, one = self.two_groups()
        other = self.create(self.cluster, name='other')
        self.assertEqual(self.uuids()[1:], other['nodeList'])
        for uuid in (both, one):
            self.cluster.write(uuid, 60)
        self.cluster.add_node(capacity=100)
        self.assert_spread(both, one)
        self.assertEqual([0, 120, 60], self.cluster.state()['usage']['used'])

    def restricted(self, *domains: str) -> typing.Any:
        pairs = [{'key': 'FD', 'value': name} for name in domains]
        return self.create(
            self.cluster,
            name='there',
            placementRestrictions=[{'labelValueKeyPairs': pairs}],
        )

    def test_restrictions_are_kept(self) -> None:
        only = self.restricted('server02')
        self.assertEqual([self.before[2]], only['nodeList'])
        self.refused(409, 'may take', self.cluster.remove_node, 2, force=True)
        self.delete(self.cluster, only['UUID'])
        either = self.restricted('server01', 'server02')
        self.assertEqual([self.before[1]], either['nodeList'])
        self.leave(1)
        self.assertEqual(
            [self.before[2]], self.now(either['UUID'])['nodeList']
        )

    def test_clones_of_other_replicas_read_through_it(self) -> None:
        self.cluster.set_switches(clone_must_match=False)
        uuid = self.made['UUID']
        self.cluster.write(uuid, 100)
        snapshot = self.snap(self.cluster, uuid)['UUID']
        clone = self.create(
            self.cluster, name='clone', sourceSnapshotUUID=snapshot
        )
        self.assertEqual([self.before[self.spare]], clone['nodeList'])
        self.delete(self.cluster, uuid)
        self.delete(self.cluster, snapshot, kind='snapshots')
        self.refused(409, 'blocks of clones', self.cluster.remove_node, 0)
        self.leave(0)
        usage = self.cluster.state()['usage']
        self.assertEqual([0, 100, 100, 100], usage['used'])
        self.delete(self.cluster, clone['UUID'])
        self.assertEqual([0] * 4, self.cluster.state()['usage']['used'])
