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

"""Sets up three simulated clusters and a Block Storage service over them."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import tempfile
import time
import uuid

from tests.embedded import arrays
from tests.embedded import cloud
from tests.embedded import federation
from tests.embedded import invariants
from tests.simulator import control

GIB = 1024 ** 3
TIB = 1024 ** 4


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What one cluster is to be.

    :ivar capacity: effective bytes.
    :ivar access: how the service gets its tokens, see
        :func:`federation.section`.
    """

    name: str
    nodes: int
    capacity: int
    access: str


PLANS = (
    Plan('east', nodes=3, capacity=6 * TIB, access='system'),
    Plan('west', nodes=4, capacity=16 * TIB, access='minted'),
    Plan('north', nodes=3, capacity=5 * TIB, access='project'),
)


class Stage:
    """Three clusters, a service over them, and a folder of its own.

    :ivar before: what the clusters held before the service first ran.
    """

    def __init__(self, threads: bool) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='federation-'))
        self.federation_id = str(uuid.uuid4())
        self.before: list[arrays.Cluster] = []
        self.clusters: dict[str, control.SimCluster] = {}
        self._threads = threads
        self._tokens = self.folder / 'tokens'
        self._simulator: control.Simulator | None = None
        self._cloud: cloud.Cloud | None = None

    @property
    def cloud(self) -> cloud.Cloud:
        """The service, once it was started."""
        if self._cloud is None:
            raise RuntimeError('the service was not started')
        return self._cloud

    @property
    def rules(self) -> invariants.Rules:
        """What the service was configured to do."""
        return invariants.Rules(self.federation_id)

    def start_clusters(self) -> float:
        """Start the clusters, seed foreign volumes, return the seconds."""
        begin = time.monotonic()
        self._simulator = control.Simulator.start(
            str(self.folder / 'simulator'))
        for plan in PLANS:
            cluster = self._simulator.add_cluster(
                plan.name, nodes=plan.nodes, capacity=plan.capacity)
            federation.seed_foreign(cluster)
            self.clusters[plan.name] = cluster
        self.before = self.contents()
        return time.monotonic() - begin

    def start_service(self) -> float:
        """Configure and start the service, return the seconds."""
        sections = [
            federation.section(self.clusters[plan.name], self._tokens,
                               plan.access) for plan in PLANS]
        self._cloud = cloud.Cloud(
            self.folder / 'cinder', threads=self._threads,
            config=federation.config(sections, self.federation_id, {
                'lightbits_poll_interval': '2'}))
        return self._cloud.start()

    def contents(self) -> list[arrays.Cluster]:
        """Return what the clusters hold now, stopped ones included."""
        return federation.contents(self.clusters.values())

    def secrets(self) -> list[str]:
        """Return the texts that no log may hold."""
        return federation.secrets(self._tokens, self.clusters.values())

    def close(self, remove: bool) -> None:
        """Stop everything.

        :param remove: the folder with all logs, too.
        """
        if self._cloud is not None:
            self._cloud.stop()
        if self._simulator is not None:
            self._simulator.stop()
        if remove:
            shutil.rmtree(self.folder)
