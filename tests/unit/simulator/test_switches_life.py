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

"""Switches in all settings: the life of objects, limits and grammar."""

from __future__ import annotations

import typing

from tests.unit.simulator import base


class LifeSwitchTestCase(base.SwitchTestCase):
    """One test a switch, named after it."""

    def failed_volume(self) -> str:
        self.cluster.fault('fail_create', route='volumes.create', count=1)
        made = self.create(self.cluster)
        self.assertEqual('Failed', made['state'])
        return str(made['UUID'])

    def test_failed_deletable(self) -> None:
        uuid = self.failed_volume()
        self.switch(failed_deletable=False)
        self.delete(self.cluster, uuid, 400)
        self.switch(failed_deletable=True)
        self.delete(self.cluster, uuid)

    def test_failed_reserves_name(self) -> None:
        failed = self.failed_volume()
        self.create(self.cluster, 409)
        self.switch(failed_reserves_name=False)
        live = self.create(self.cluster)['UUID']
        path = f'{base.PROJECT}/volumes/?name=vol'
        found = self.call(self.cluster, 'GET', path)
        self.assertEqual(live, found['UUID'])
        self.assertEqual('Failed', self.volume(self.cluster, failed)['state'])

    def _snapshot_with_clone(self) -> tuple[str, str]:
        volume = self.create(self.cluster)['UUID']
        snapshot = self.snap(self.cluster, volume)['UUID']
        clone = self.create(
            self.cluster, name='clone', sourceSnapshotUUID=snapshot
        )
        return snapshot, clone['UUID']

    def test_snapshot_delete_waits_for_clones(self) -> None:
        self.switch(snapshot_delete_waits_for_clones=True)
        snapshot, clone = self._snapshot_with_clone()
        self.delete(self.cluster, snapshot, 200, 'snapshots')
        waiting = self.snapshot(self.cluster, snapshot)
        self.assertEqual('Deleting', waiting['state'])
        self.delete(self.cluster, clone)
        self.snapshot(self.cluster, snapshot, 404)

    def test_snapshot_changes_volume(self) -> None:
        volume = self.create(self.cluster)['UUID']

        def etag() -> int:
            return int(self.volume(self.cluster, volume)['ETag'])

        for how, taken, removed in (
            ('no', 0, 0),
            ('taken', 1, 0),
            ('taken and removed', 1, 1),
        ):
            self.switch(snapshot_changes_volume=how)
            before = etag()
            snapshot = self.snap(self.cluster, volume)['UUID']
            self.assertEqual(before + taken, etag(), how)
            self.delete(self.cluster, snapshot, 200, 'snapshots')
            self.snapshot(self.cluster, snapshot, 404)
            self.assertEqual(before + taken + removed, etag(), how)

    def test_snapshot_of_deleting_name(self) -> None:
        volume = self.create(self.cluster)['UUID']
        first = self.snap(self.cluster, volume)['UUID']
        self.later(snapshot_delete=30)
        self.delete(self.cluster, first, 200, 'snapshots')
        self.switch(snapshot_of_deleting_name='409')
        self.snap(self.cluster, volume, 409)
        self.switch(snapshot_of_deleting_name='fails')
        made = self.snap(self.cluster, volume)
        self.assertEqual('Failed', made['state'])
        self.assertNotIn('creationTime', made)

    def test_volume_delete_with_snapshots(self) -> None:
        volume = self.create(self.cluster)['UUID']
        self.snap(self.cluster, volume)
        self.switch(volume_delete_with_snapshots='400')
        self.delete(self.cluster, volume, 400)
        self.switch(volume_delete_with_snapshots='accepted')
        self.delete(self.cluster, volume)

    def test_clone_must_match(self) -> None:
        volume = self.create(self.cluster)['UUID']
        snapshot = self.snap(self.cluster, volume)['UUID']
        others: tuple[dict[str, typing.Any], ...] = (
            {'replicaCount': 2},
            {'compression': 'true'},
            {'sectorSize': 'sectorSize_512B'},
        )
        for number, other in enumerate(others):
            fields = {
                'name': f'c{number}',
                'sourceSnapshotUUID': snapshot,
                **other,
            }
            self.switch(clone_must_match=True)
            error = self.create(self.cluster, 400, **fields)
            self.assertIn(next(iter(other)), error['error'])
            self.switch(clone_must_match=False)
            self.create(self.cluster, **fields)

    def test_rollback_keeps_newer(self) -> None:
        volume = self.create(self.cluster)['UUID']
        old, new = (
            self.snap(self.cluster, volume, name=name)['UUID']
            for name in ('old', 'new')
        )
        self.rollback(self.cluster, volume, old)
        self.snapshot(self.cluster, new)
        self.switch(rollback_keeps_newer=False)
        self.rollback(self.cluster, volume, old)
        self.snapshot(self.cluster, new, 404)
        self.snapshot(self.cluster, old)

    def test_rollback_foreign(self) -> None:
        volume = self.create(self.cluster)['UUID']
        other = self.create(self.cluster, name='other')['UUID']
        snapshot = self.snap(self.cluster, other)['UUID']
        self.rollback(self.cluster, volume, snapshot, 400)
        self.switch(rollback_foreign='accepted')
        self.rollback(self.cluster, volume, snapshot)

    def test_rollback_checks_etag(self) -> None:
        volume = self.create(self.cluster)['UUID']
        snapshot = self.snap(self.cluster, volume)['UUID']
        headers = {'If-Match': 'x'}
        for checks, status in ((True, 412), (False, 200)):
            self.switch(rollback_checks_etag=checks)
            self.rollback(
                self.cluster, volume, snapshot, status, headers=headers
            )

    def test_update_while_migrating(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.cluster.set_volume_state(uuid, 'Migrating')
        self.switch(update_while_migrating='503')
        self.update(self.cluster, uuid, 503, size='2gib')
        self.switch(update_while_migrating='accepted')
        self.update(self.cluster, uuid, size='2gib')

    def test_same_size_update(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.update(self.cluster, uuid, size='1gib')
        self.switch(same_size_update='400')
        self.update(self.cluster, uuid, 400, size='1gib')

    def test_clear_labels_with_empty(self) -> None:
        labels = [{'key': 'a', 'value': '1'}]
        uuid = self.create(self.cluster, labels=labels)['UUID']
        self.update(self.cluster, uuid, 400, labels=[])
        self.switch(clear_labels_with_empty=True)
        self.update(self.cluster, uuid, labels=[])
        self.assertNotIn('labels', self.volume(self.cluster, uuid))

    def test_label_key_prefix(self) -> None:
        for setting, keys in (
            ('stripped', ['owner', 'id']),
            ('kept', ['my-owner', 'a.b.id']),
        ):
            self.switch(label_key_prefix=setting)
            made = self.create(
                self.cluster,
                name=setting,
                labels=[
                    {'key': 'my-owner', 'value': '1'},
                    {'key': 'a.b.id', 'value': '2'},
                ],
            )
            self.assertEqual(keys, [item['key'] for item in made['labels']])

    def test_size_fractions(self) -> None:
        self.create(self.cluster, 400, size='1.5 gib')
        self.switch(size_fractions=True)
        made = self.create(self.cluster, size='1.5 gib')
        self.assertEqual(str(base.GIB * 3 // 2), made['size'])

    def test_round_size(self) -> None:
        for rounds, size in ((True, '8192'), (False, '5000')):
            self.switch(round_size=rounds)
            made = self.create(self.cluster, name=f'v{rounds}', size='5000')
            self.assertEqual(size, made['size'])

    def test_max_volume_size(self) -> None:
        self.switch(max_volume_size=base.GIB)
        self.create(self.cluster, 400, size='2gib')
        self.create(self.cluster, size='1gib')

    def test_max_volumes(self) -> None:
        self.switch(max_volumes=1)
        self.create(self.cluster)
        error = self.create(self.cluster, 429, name='second')
        self.assertEqual(8, error['code'])

    def test_max_acl_hosts(self) -> None:
        hosts = {'values': ['nqn.a', 'nqn.b']}
        self.create(self.cluster, acl=hosts)
        self.switch(max_acl_hosts=1)
        self.create(self.cluster, 400, name='second', acl=hosts)
