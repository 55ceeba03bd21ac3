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

"""Switches in all settings: errors, replies, capacity and access."""

from __future__ import annotations

import typing

from tests.simulator import control
from tests.unit.simulator import base
from tests.unit.simulator import test_switches_life


class SwitchTestCase(base.SwitchTestCase):
    """One test a switch, named after it."""

    def test_every_switch_has_a_test(self) -> None:
        missing = [
            name
            for name in self.simulator.switches()
            if not any(hasattr(case, f'test_{name}') for case in _CASES)
        ]
        self.assertEqual([], missing)

    def test_switches_are_described_and_checked(self) -> None:
        for name, about in self.simulator.switches().items():
            self.assertTrue(about['description'], name)
        for values, text in (
            ({'etag_mismach': 412}, 'etag_mismach'),
            ({'etag_mismatch': 418}, '412, 400, 500'),
            ({'emit_defaults': 'perhaps'}, 'emit_defaults'),
            ({'rate_limit': -1}, 'rate_limit'),
            ({'version': 'new'}, 'version'),
        ):
            error = self.assertRaises(
                control.SimulatorError, self.cluster.set_switches, **values
            )
            self.assertIn(text, str(error))
            self.assertEqual(400, error.status)

    def test_etag_mismatch(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        for status in (412, 400, 500):
            self.switch(etag_mismatch=status)
            error = self.update(
                self.cluster, uuid, status, etag='x', size='2gib'
            )
            self.assertEqual(9, error['code'])
            self.assertEqual(status == 500, 'code:412' in error['error'])

    def test_failed_precondition(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.later(delete=30)
        self.delete(self.cluster, uuid)
        for status in (400, 412):
            self.switch(failed_precondition=status)
            self.update(self.cluster, uuid, status, size='2gib')

    def test_busy_status(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.later(update=30)
        self.update(self.cluster, uuid, size='2gib')
        for status in (503, 409):
            self.switch(busy_status=status)
            self.update(self.cluster, uuid, status, size='2gib')

    def test_delete_twice(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.later(delete=30)
        self.delete(self.cluster, uuid)
        for status in (400, 412, 200):
            self.switch(delete_twice=status)
            self.delete(self.cluster, uuid, status)

    def test_delete_missing(self) -> None:
        for status in (404, 500):
            self.switch(delete_missing=status)
            for kind in ('volumes', 'snapshots'):
                self.delete(self.cluster, base.UNKNOWN, status, kind)

    def test_unknown_project(self) -> None:
        path = '/api/v2/projects/none'
        tenant = self.cluster.token('default')
        for setting, volumes, snapshots in (
            ('guess', 400, 404),
            ('400', 400, 400),
            (403, 403, 403),
            ('404', 404, 404),
        ):
            self.switch(unknown_project=setting)
            self.call(self.cluster, 'GET', f'{path}/volumes', status=volumes)
            self.call(
                self.cluster, 'GET', f'{path}/snapshots', status=snapshots
            )
            self.call(
                self.cluster,
                'GET',
                f'{path}/volumes',
                status=403,
                token=tenant,
            )

    def test_missing_credential(self) -> None:
        path = f'{base.PROJECT}/credentials/none'
        for status in (404, 400):
            self.switch(missing_credential=status)
            self.call(self.cluster, 'GET', path, status=status)

    def test_etag_before_state(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.later(update=30)
        self.update(self.cluster, uuid, size='2gib')
        for first, status in ((False, 503), (True, 412)):
            self.switch(etag_before_state=first)
            self.update(self.cluster, uuid, status, etag='x', size='2gib')

    def test_rate_limit(self) -> None:
        self.switch(rate_limit=1)
        statuses = {
            self.cluster.request('GET', '/api/v2/version').status
            for _ in range(4)
        }
        self.assertEqual({200, 429}, statuses)
        self.switch(rate_limit=0)
        for _ in range(4):
            self.call(self.cluster, 'GET', '/api/v2/version')

    def test_emit_defaults(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        sparse = self.volume(self.cluster, uuid)
        self.switch(emit_defaults=True)
        full = self.volume(self.cluster, uuid)
        for field, value in (
            ('labels', []),
            ('sourceSnapshotUUID', ''),
            ('connectedHosts', []),
        ):
            self.assertNotIn(field, sparse)
            self.assertEqual(value, full[field])
        self.assertEqual('0', full['statistics']['physicalUsedStorage'])
        hosts = self.call(self.cluster, 'GET', '/api/v2/connectedHosts')
        self.assertEqual({'connectedHosts': []}, hosts)
        self.switch(emit_defaults=False)
        hosts = self.call(self.cluster, 'GET', '/api/v2/connectedHosts')
        self.assertEqual({}, hosts)

    def test_creation_time_while_creating(self) -> None:
        self._while_creating('creation_time_while_creating', 'creationTime')

    def test_nsid_while_creating(self) -> None:
        self._while_creating('nsid_while_creating', 'nsid')

    def _while_creating(self, switch: str, field: str) -> None:
        self.later(create=30)
        for shown in (True, False):
            self.switch(**{switch: shown})
            made = self.create(self.cluster, name=f'v{shown}')
            self.assertEqual('Creating', made['state'])
            self.assertEqual(shown, field in made)

    def test_list_order(self) -> None:
        made = [
            self.create(self.cluster, name=f'v{index}')['UUID']
            for index in range(6)
        ]
        for order, expected in (('uuid', sorted(made)), ('creation', made)):
            self.switch(list_order=order)
            self.assertEqual(expected, self._pages())

    def _pages(self) -> list[str]:
        found: list[str] = []
        while True:
            after = f'&offsetUUID={found[-1]}' if found else ''
            path = f'{base.PROJECT}/volumes?limit=2{after}'
            page = self.call(self.cluster, 'GET', path)['volumes']
            if not page:
                return found
            found += [item['UUID'] for item in page]

    def test_limit_over_max(self) -> None:
        path = f'{base.PROJECT}/volumes?limit=1001'
        self.call(self.cluster, 'GET', path)
        self.switch(limit_over_max='400')
        self.call(self.cluster, 'GET', path, status=400)

    def test_name_lookup_prefers_live(self) -> None:
        self.later(delete=30)
        gone = self.create(self.cluster)['UUID']
        self.delete(self.cluster, gone)
        live = self.create(self.cluster)['UUID']
        path = f'{base.PROJECT}/volumes/?name=vol'
        for prefers, uuid in ((True, live), (False, gone)):
            self.switch(name_lookup_prefers_live=prefers)
            found = self.call(self.cluster, 'GET', path)
            self.assertEqual(uuid, found['UUID'])

    def test_acl_order(self) -> None:
        values = ['nqn.b', 'nqn.a']
        for order in ('kept', 'sorted'):
            self.switch(acl_order=order)
            made = self.create(
                self.cluster, name=order, acl={'values': values}
            )
            expected = sorted(values) if order == 'sorted' else values
            self.assertEqual(expected, made['acl']['values'])

    def test_first_etag(self) -> None:
        self.later(create=30)
        for first in (0, 1):
            self.switch(first_etag=first)
            made = self.create(self.cluster, name=f'v{first}')
            self.assertEqual(str(first), made['ETag'])

    def test_bump_etag_on_state(self) -> None:
        for bumps in (True, False):
            self.switch(bump_etag_on_state=bumps)
            made = self.create(self.cluster, name=f'v{bumps}')
            self.assertEqual('1' if bumps else '0', made['ETag'])
            self.update(self.cluster, made['UUID'], size='2gib')
            after = self.volume(self.cluster, made['UUID'])
            self.assertEqual('3' if bumps else '1', after['ETag'])

    def test_if_match_star(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        for setting, status in (('literal', 412), ('any', 200)):
            self.switch(if_match_star=setting)
            self.update(self.cluster, uuid, status, etag='*', size='2gib')

    def test_replicas_in_logical(self) -> None:
        self.create(self.cluster, replicaCount=3)
        for counted, total in ((True, 3 * base.GIB), (False, base.GIB)):
            self.switch(replicas_in_logical=counted)
            self.assertEqual(str(total), self._statistics()['logicalStorage'])

    def _statistics(self) -> dict[str, typing.Any]:
        answer = self.call(self.cluster, 'GET', '/api/v2/cluster')
        statistics: dict[str, typing.Any] = answer['statistics']
        return statistics

    def test_compression_ratio_direction(self) -> None:
        uuid = self.create(self.cluster, compression='true')['UUID']
        self.cluster.write(uuid, 1 << 20)
        self.assertEqual(2, self._statistics()['compressionRatio'])
        self.switch(compression_ratio_direction='physical_over_used')
        self.assertEqual(0.5, self._statistics()['compressionRatio'])

    def test_inactive_nodes_counted(self) -> None:
        full = int(self._statistics()['effectivePhysicalStorage'])
        self.cluster.stop_node(0)
        self.assertEqual(
            full, int(self._statistics()['effectivePhysicalStorage'])
        )
        self.switch(inactive_nodes_counted=False)
        self.assertEqual(
            full // 3 * 2, int(self._statistics()['effectivePhysicalStorage'])
        )

    def test_create_overflow(self) -> None:
        self.cluster = self.make_cluster(
            capacity=3 * base.GIB, overprovision_limit=1.0
        )
        self.create(self.cluster, name='fits', size='2gib')
        for setting in ('400', '429'):
            self.switch(create_overflow=setting)
            self.create(self.cluster, int(setting), size='2gib')
        self.switch(create_overflow='failed')
        made = self.create(self.cluster, size='2gib')
        self.assertEqual('Failed', made['state'])

    def test_multi_tenancy(self) -> None:
        path = '/api/v2/cluster'
        self.call(self.cluster, 'GET', path, status=401, token=None)
        self.switch(multi_tenancy=False)
        self.call(self.cluster, 'GET', path, token=None)
        self.call(self.cluster, 'GET', path, status=401, token='bad')

    def test_tenants_read_nodes(self) -> None:
        self._tenant_reads('tenants_read_nodes', '/api/v2/nodes')

    def test_tenants_read_policies(self) -> None:
        self._tenant_reads('tenants_read_policies', '/api/v2/policies')

    def _tenant_reads(self, switch: str, path: str) -> None:
        tenant = self.cluster.token('default')
        for allowed, status in ((True, 200), (False, 403)):
            self.switch(**{switch: allowed})
            self.call(self.cluster, 'GET', path, status=status, token=tenant)
            self.call(self.cluster, 'GET', path)

    def test_version(self) -> None:
        labels = [{'key': 'a', 'value': '1'}]
        fields = ('creationTime', 'labels', 'pgUUID')
        for version, shown in (
            ('3.8.0', set()),
            ('3.9.1', {'creationTime'}),
            ('3.11.0', {'creationTime', 'labels'}),
            ('3.18.0~b7', set(fields)),
        ):
            self.switch(version=version)
            name = version.replace('~', '-')
            made = self.create(self.cluster, name=name, labels=labels)
            self.assertEqual(shown, set(made) & set(fields), version)
            answer = self.call(self.cluster, 'GET', '/api/v2/cluster')
            self.assertEqual(version, answer['MinVersionInCluster'])

    def test_old_new_name(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.switch(version='3.15.0')
        self.update(self.cluster, uuid, newName='other', size='2gib')
        self.assertEqual('vol', self.volume(self.cluster, uuid)['name'])
        self.switch(old_new_name='400')
        self.update(self.cluster, uuid, 400, newName='other', size='3gib')
        self.switch(version='3.16.0')
        self.update(self.cluster, uuid, newName='other')
        self.assertEqual('other', self.volume(self.cluster, uuid)['name'])


_CASES = (SwitchTestCase, test_switches_life.LifeSwitchTestCase)
