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

"""The DevStack plugin, phase by phase, under DevStack's own libraries.

Skipped unless ``DEVSTACK_DIR`` names a checkout of DevStack.
"""

from __future__ import annotations

import fixtures

from tests.devstack_stand_in import devstack
from tests.unit import test_devstack
from tests.unit import test_devstack_compute
from tests.unit import test_devstack_copies
from tests.unit import test_devstack_services

ID = test_devstack.FEDERATION_ID


class SimulatedTestCase(test_devstack.SimulatedTestCase):
    kind = devstack.DevStack

    def test_the_checkout_counts_and_not_the_constraints(self) -> None:
        machine = devstack.DevStack(
            self.useFixture(fixtures.TempDir()).path,
            {'LIGHTBITS_CLUSTERS': 'east', 'LIGHTBITS_FEDERATION_ID': ID,
             'LIGHTBITS_CLUSTER_east_api_endpoints': '192.0.2.11'})
        self.succeed(machine, 'stack')
        self.assertEqual([devstack.PLUGIN], machine.constraints())


class RealTestCase(test_devstack.RealTestCase):
    kind = devstack.DevStack


class RefusedTestCase(test_devstack.RefusedTestCase):
    kind = devstack.DevStack


class ActiveActiveTestCase(test_devstack_services.ActiveActiveTestCase):
    kind = devstack.DevStack


class HostTestCase(test_devstack.HostTestCase):
    kind = devstack.DevStack


class CopyFiltersTestCase(test_devstack_copies.CopyFiltersTestCase):
    kind = devstack.DevStack


class ComputeTestCase(test_devstack_compute.ComputeTestCase):
    kind = devstack.DevStack
