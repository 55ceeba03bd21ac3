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

"""The DevStack plugin on a node that has only ``nova-compute``."""

from __future__ import annotations

from tests.devstack_stand_in import stand_in
from tests.rules import source
from tests.unit import test_devstack


class ComputeTestCase(test_devstack.PluginTestCase):

    def compute(self, **settings: object) -> stand_in.StandIn:
        """:returns: a machine that only attaches volumes."""
        return self.machine(ENABLED_SERVICES='n-cpu', **settings)

    def ours(self, machine: stand_in.StandIn) -> list[str]:
        """:returns: files of services that the plugin has something in."""
        folder = machine.folder / 'etc'
        return [str(path.relative_to(folder)) for path in folder.rglob('*')
                if path.is_file() and path.suffix in ('.conf', '.filters')
                and any(word in path.read_text(encoding='utf-8')
                        for word in ('lightbits', 'os_brick_ext'))]

    def test_the_host_is_prepared_for_the_connector_of_os_brick(self) -> None:
        machine = self.compute()
        self.succeed(machine, 'stack')
        self.assertEqual(['install_package nvme-cli', 'modprobe nvme-tcp'],
                         machine.calls())
        self.assertEqual([], self.ours(machine))
        self.assertEqual({}, machine.volume_types())

    def test_the_connector_of_this_project(self) -> None:
        machine = self.compute(LIGHTBITS_OS_BRICK_EXT='True',
                               LIGHTBITS_OS_BRICK_EXT_MODE='native',
                               USE_CINDER_FOR_GLANCE='True')
        for _again in range(2):
            self.succeed(machine, 'stack')
            self.assertIn(f'setup_develop {source.ROOT} os-brick',
                          machine.calls())
            self.assertEqual({'mode': 'native'}, machine.section(
                'nova/nova.conf', 'os_brick_ext'))
            self.assertEqual(
                ['nova/nova.conf', 'nova/rootwrap.d/os-brick-ext.filters'],
                sorted(self.ours(machine)))
        for mode in ('unstack', 'unstack', 'stack', 'clean'):
            self.succeed(machine, mode)
            if mode != 'stack':
                self.assertEqual([], self.ours(machine), mode)

    def test_settings_of_the_other_nodes_are_in_nobodys_way(self) -> None:
        machine = self.compute(
            LIGHTBITS_CLUSTERS='east', LIGHTBITS_ACTIVE_ACTIVE='True',
            LIGHTBITS_CLUSTER_east_jwt_file='/no/such.jwt')
        self.succeed(machine, 'stack', 'unstack', 'clean')
        self.assertEqual([], self.ours(machine))
        self.assertEqual({}, machine.processes())
