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

from tests.simulator.control import Simulator
from tests.unit.driver import base


class SameNameTestCase(base.FederationTestCase):
    """Two clusters that their installers gave the same name."""

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        # Within one simulator names are unique.
        other = Simulator.start()
        self.addCleanup(other.stop)
        self.arrays['west'] = other.add_cluster(f'east-{self.unique}')

    def test_each_keeps_what_is_its_own(self) -> None:
        drv = self.start_driver()
        self.assertEqual(1, len({
            cluster.vitals.info.name
            for cluster in drv.federation.registry.clusters}))
        volumes = {name: self.made(drv, specs={'lightos:cluster': name})
                   for name in ('east', 'west')}
        for name, volume in volumes.items():
            self.assertEqual(name, self.on(volume)[0])
            drv.extend_volume(volume, 2)
            self.assertEqual(2 * base.GIB, int(self.on(volume)[1]['size']))
        drv.delete_volume(volumes['west'])
        self.assertEqual('east', self.on(volumes['east'])[0])
        self.assertEqual([], self.arrays['west'].state()['volumes'])
