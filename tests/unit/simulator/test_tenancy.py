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

"""Projects, roles and QoS policies."""

from __future__ import annotations

import typing

from tests.unit.simulator import base

_PROJECTS = '/api/v2/projects'
_POLICIES = '/api/v2/policies'


class ProjectTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster()

    def test_life(self) -> None:
        body = {'name': 'tenant', 'description': 'a tenant'}
        made = self.call(self.cluster, 'POST', _PROJECTS, body)
        self.assertEqual('a tenant', made['description'])
        self.call(self.cluster, 'POST', _PROJECTS, body, 409)
        one = f'{_PROJECTS}/tenant'
        self.assertEqual(made, self.call(self.cluster, 'GET', one))
        listed = self.call(self.cluster, 'GET', _PROJECTS)['projects']
        self.assertEqual(
            {'default', 'tenant'}, {item['name'] for item in listed}
        )
        self.call(self.cluster, 'DELETE', one)
        self.call(self.cluster, 'GET', one, status=404)
        self.call(self.cluster, 'DELETE', one, status=404)

    def test_bad_projects(self) -> None:
        for body in (
            {},
            {'name': 'Upper'},
            {'name': 'system'},
            {'name': 'p', 'description': 'x' * 257},
            {'name': 'p', 'defaultPolicies': [{'policyType': 'odd'}]},
        ):
            reply = self.cluster.request('POST', _PROJECTS, body)
            self.assertIn(reply.status, (400, 409), str(body))

    def test_names_are_unique_in_a_project_only(self) -> None:
        self.call(self.cluster, 'POST', _PROJECTS, {'name': 'tenant'})
        self.create(self.cluster)
        body = {
            'name': 'vol',
            'size': '1gib',
            'replicaCount': 1,
            'acl': base.NOBODY,
        }
        self.call(self.cluster, 'POST', f'{_PROJECTS}/tenant/volumes', body)

    def test_delete_waits_for_the_last_object(self) -> None:
        uuid = self.create(self.cluster)['UUID']
        self.call(self.cluster, 'DELETE', base.PROJECT, status=400)
        self.cluster.set_delays(delete=60, project_drain=60)
        self.delete(self.cluster, uuid)
        self.call(self.cluster, 'DELETE', base.PROJECT, status=400)
        self.cluster.settle()
        self.assertEqual([], self.cluster.state()['volumes'])
        self.call(self.cluster, 'DELETE', base.PROJECT, status=400)
        self.cluster.set_clock_skew(61)
        self.call(self.cluster, 'DELETE', base.PROJECT)

    def test_roles(self) -> None:
        for scope, names in (
            ('default', {'admin', 'viewer'}),
            ('system', {'cluster-admin', 'cluster-viewer'}),
        ):
            path = f'{_PROJECTS}/{scope}/roles'
            found = self.call(self.cluster, 'GET', path)['roles']
            self.assertEqual(names, {item['name'] for item in found})
            self.assertIsInstance(found[0]['rulesJson'], str)
        path = f'{base.PROJECT}/roles'
        self.call(self.cluster, 'GET', f'{path}/viewer')
        self.call(self.cluster, 'GET', f'{path}/none', status=404)


class PolicyTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster(projects=['default', 'other'])

    def make(self, name: str, **rules: object) -> dict[str, typing.Any]:
        body = {'name': name, 'qoSRateLimitPolicy': rules}
        made: dict[str, typing.Any] = self.call(
            self.cluster, 'POST', _POLICIES, body
        )
        return made

    def test_life(self) -> None:
        limits = {'readIOPSLimit': 1000, 'writeIOPSLimit': '512'}
        made = self.make('gold', limitIOPS=limits)
        self.assertEqual('Active', made['state'])
        rules = made['QoSRateLimitPolicy']
        self.assertEqual('Global', rules['policyVisibility'])
        self.assertEqual(
            {'readIOPSLimit': 1024, 'writeIOPSLimit': 512},
            rules['limitIOPS'],
        )
        one = f'{_POLICIES}/{made["UUID"]}'
        body = {'qoSRateLimitPolicy': {'limitBw': {'readBWLimit': 7}}}
        self.assertEqual({}, self.call(self.cluster, 'PUT', one, body))
        rules = self.call(self.cluster, 'GET', one)['QoSRateLimitPolicy']
        self.assertEqual({'readBWLimit': 7}, rules['limitBw'])
        self.call(self.cluster, 'DELETE', one)
        self.call(self.cluster, 'GET', one, status=404)

    def test_bad_policies(self) -> None:
        both: dict[str, object] = {'limitBw': {}, 'limitIOPS': {}}
        for body in (
            {'name': 'b ad'},
            {'name': 'p', 'qoSRateLimitPolicy': both},
            {'name': 'p', 'qoSRateLimitPolicy': {'policyVisibility': 'No'}},
        ):
            self.call(self.cluster, 'POST', _POLICIES, body, 400)
        self.make('gold')
        self.call(self.cluster, 'POST', _POLICIES, {'name': 'gold'}, 409)

    def test_a_policy_in_use_stays(self) -> None:
        made = self.make('gold')
        self.create(self.cluster, qosPolicyUUID=made['UUID'])
        one = f'{_POLICIES}/{made["UUID"]}'
        self.call(self.cluster, 'DELETE', one, status=400)

    def test_project_default_serves_new_volumes(self) -> None:
        old = self.create(self.cluster, name='old')
        made = self.make('gold')
        entry = {'policyType': 'qosRateLimit', 'policyUUID': made['UUID']}
        body = {'defaultPolicies': [entry]}
        self.call(self.cluster, 'PUT', base.PROJECT, body)
        self.assertEqual('gold', self.create(self.cluster)['qosPolicyName'])
        after = self.volume(self.cluster, old['UUID'])
        self.assertEqual('no-limit-policy', after['qosPolicyName'])

    def test_scoped_policies(self) -> None:
        made = self.make(
            'theirs', policyVisibility='Scoped', projectsNamesScope=['other']
        )
        self.create(self.cluster, 400, qosPolicyName='theirs')
        own = self.cluster.token('default')
        theirs = self.cluster.token('other')
        one = f'{_POLICIES}/{made["UUID"]}'
        self.call(self.cluster, 'GET', one, status=403, token=own)
        seen = self.call(self.cluster, 'GET', one, token=theirs)
        self.assertEqual(
            'Unavailable', seen['QoSRateLimitPolicy']['policyVisibility']
        )
        for token, names in (
            (own, ['no-limit-policy']),
            (theirs, ['no-limit-policy', 'theirs']),
        ):
            listed = self.call(self.cluster, 'GET', _POLICIES, token=token)
            self.assertEqual(
                names, [item['name'] for item in listed['policies']]
            )
