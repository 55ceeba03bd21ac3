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

"""What changes by the month of a cluster, and when it is read again."""

from __future__ import annotations

import time

from cinder_lightbits_federation import inventory
from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.timing import Deadline

# Projects, policies and failure domains are read again every so many looks.
FACTS_EVERY = 20


class FactBook:
    """The facts of one cluster. Not thread-safe but for `known`."""

    def __init__(self) -> None:
        self.known: inventory.Facts | None = None
        # Monotonic seconds of the last reading, even if it failed.
        self.read_at = float('-inf')
        self._doubtful = True

    def doubt(self) -> None:
        """Have them read with the next look; until then these hold."""
        self._doubtful = True

    def due(self, looks: int) -> bool:
        """Whether a look is to read them.

        :param looks: good ones before it.
        """
        return self._doubtful or not looks % FACTS_EVERY

    def read(self, client: lb_client.LightbitsClient, project: str,
             cluster_rights: bool, deadline: Deadline) -> None:
        """Ask the cluster. Arguments and errors as of `take_facts`."""
        self.read_at = time.monotonic()
        # First, so that a doubt that comes up meanwhile stays.
        self._doubtful = False
        done = False
        try:
            self.known = inventory.take_facts(client, project,
                                              cluster_rights, deadline)
            done = True
        finally:
            if not done:
                self._doubtful = True
