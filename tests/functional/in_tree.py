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

"""The LightOS driver that comes with Cinder, on a host without NVMe."""

from __future__ import annotations

from cinder.volume.drivers import lightos


class InTreeDriver(lightos.LightOSVolumeDriver):
    """As it is, but content with a host that has no NQN.

    It asks for one at its start, to copy images; no test has it do that.
    """

    def check_for_setup_error(self) -> None:
        """Ask for the cluster alone."""
        assert self.cluster.subsystemNQN
