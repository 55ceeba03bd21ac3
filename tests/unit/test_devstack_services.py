# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The DevStack plugin with ``LIGHTBITS_ACTIVE_ACTIVE=True``."""

from __future__ import annotations

import os

from cinder_lightbits_federation.store import place
from tests.devstack_stand_in import stand_in
from tests.unit import test_devstack
from tests.unit.test_loader import Backend


class ActiveActiveTestCase(test_devstack.PluginTestCase):
    """Two services, a lock service and a database."""

    def real(self, **settings: object) -> stand_in.StandIn:
        return super().real(LIGHTBITS_ACTIVE_ACTIVE='True', **settings)

    def coordination(self, machine: stand_in.StandIn) -> str:
        return machine.section('cinder/cinder.conf',
                               'coordination')['backend_url']

    def test_two_services_and_an_etcd(self) -> None:
        machine = self.real()
        output = self.succeed(machine, 'stack')
        self.assertEqual('etcd3+http://127.0.0.1:2379?api_version=v3',
                         self.coordination(machine))
        self.assertIn(',etcd3,', output.replace('\n', ','))
        self.assertEqual({'c-vol-lightbits'}, set(machine.processes()))
        first, second = (machine.section(f'cinder/{name}.conf', 'DEFAULT')
                         for name in ('cinder', 'cinder-lightbits'))
        self.assertEqual(('lightbits', 'lightbits'),
                         (first['cluster'], second['cluster']))
        self.assertNotIn('host', first)
        self.assertEqual(f'{os.uname().nodename}-lightbits', second['host'])
        log = (machine.folder / 'c-vol-lightbits.log').read_text()
        self.assertEqual(
            f'--config-file {machine.etc}/cinder/cinder-lightbits.conf',
            log.strip())

    def test_services_share_a_database(self) -> None:
        machine = self.real()
        self.succeed(machine, 'stack')
        wanted = machine.section('cinder/cinder.conf',
                                 'database')['connection']
        for name in ('cinder', 'cinder-lightbits'):
            path = machine.folder / 'etc' / 'cinder' / f'{name}.conf'
            found = place.url_of(Backend(str(path), 'lightbits'), 'lightbits',
                                 '/no/such/folder', True)
            self.assertEqual(
                wanted, found.render_as_string(hide_password=False))

    def test_a_store_of_ones_own(self) -> None:
        url = 'postgresql://cinder@192.0.2.9/store'
        machine = self.real(LIGHTBITS_BACKEND_lightbits_store_connection=url)
        self.succeed(machine, 'stack')
        self.assertEqual(url, machine.section(
            'cinder/cinder.conf', 'lightbits')['lightbits_store_connection'])

    def test_the_second_service_has_only_our_backends(self) -> None:
        machine = self.real(
            CINDER_ENABLED_BACKENDS='lvm:lvm,lightbits:one,lightbits:two')
        self.succeed(machine, 'stack')
        self.assertEqual('one,two', machine.section(
            'cinder/cinder-lightbits.conf', 'DEFAULT')['enabled_backends'])

    def test_coordination_of_ones_own(self) -> None:
        machine = self.real(CINDER_COORDINATION_URL='redis://192.0.2.9:6379')
        output = self.succeed(machine, 'stack')
        self.assertEqual('redis://192.0.2.9:6379', self.coordination(machine))
        self.assertNotIn('etcd3', output)

    def test_a_further_node_uses_the_first_one_s_etcd(self) -> None:
        machine = self.real(SERVICE_HOST='192.0.2.1')
        output = self.succeed(machine, 'stack')
        self.assertEqual('etcd3+http://192.0.2.1:2379?api_version=v3',
                         self.coordination(machine))
        self.assertNotIn(',etcd3,', output)
