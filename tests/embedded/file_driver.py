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

"""The driver on a host without NVMe: volumes are files of the simulator.

All of it is as it is in a service, but for two things: attaching gives the
file that a simulated cluster keeps a volume in, and bytes are moved without
a privileged daemon, which takes devices only.
"""

from __future__ import annotations

import os

from cinder_lightbits_federation.copy.devices import Attacher
from cinder_lightbits_federation.copy.devices import Mover
from cinder_lightbits_federation.driver import LightbitsFederationDriver
from tests.copying import files

DRIVER = f'{__name__}.FileDriver'
# Names the folder that has a folder of each cluster.
FOLDER = 'LIGHTBITS_SIMULATED_VOLUMES'


class FileDriver(LightbitsFederationDriver):
    """Copies between files."""

    def _attacher(self) -> Attacher:
        root = os.environ[FOLDER]
        return files.FolderAttacher({
            cluster.name: os.path.join(root, cluster.name)
            for cluster in self.federation.registry.clusters})

    def _mover(self) -> Mover:
        return files.FileMover()
