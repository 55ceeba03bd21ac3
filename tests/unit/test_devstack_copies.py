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

"""What the DevStack plugin does for copies between clusters."""

from __future__ import annotations

import pathlib

from tests.devstack_stand_in import stand_in
from tests.rules import source
from tests.unit import test_devstack


class CopyFiltersTestCase(test_devstack.PluginTestCase):

    def filters(self, machine: stand_in.StandIn) -> pathlib.Path:
        """:returns: where rootwrap of cinder-volume looks."""
        return (machine.folder / 'etc' / 'cinder' / 'rootwrap.d'
                / 'cinder-lightbits-copy.filters')

    def test_the_volume_service_may_start_the_daemon_of_copies(self) -> None:
        machine = self.real()
        for _again in range(2):
            self.succeed(machine, 'stack')
        found = self.filters(machine)
        self.assertEqual(
            (source.ROOT / 'etc' / found.name).read_text(encoding='utf-8'),
            found.read_text(encoding='utf-8'))
        self.assertEqual(0o644, found.stat().st_mode & 0o777)
        self.succeed(machine, 'unstack')
        self.assertFalse(found.exists())

    def test_other_services_do_without(self) -> None:
        machine = self.real(LIGHTBITS_OS_BRICK_EXT='True',
                            ENABLED_SERVICES='c-api,n-cpu')
        self.succeed(machine, 'stack')
        self.assertFalse(self.filters(machine).exists())
