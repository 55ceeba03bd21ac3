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
"""Clusters die, are slow, lie, and are upgraded."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import time

from tests.faultlab import marks
from tests.faultlab import plan
from tests.simulator import control
from tests.stack import bed

_SLOW = 3.0
_FLAP = 1.5
# What clusters run at first is older; the next upgrade leads back.
_RELEASES = ('3.20.1~b200', '3.19.2~b123')


class ClusterTroubles:
    """Each returns when what it did is mended."""

    def __init__(self, lab: bed.Bed, broken: marks.Marks) -> None:
        self._clusters = lab.clusters
        self._broken = broken
        self._upgrades = dict.fromkeys(lab.clusters, 0)

    def down(self, item: plan.Break) -> None:
        """All of a cluster is off."""
        with self._struck(item) as cluster:
            cluster.stop()
            time.sleep(item.seconds)
            cluster.start()

    def flaps(self, item: plan.Break) -> None:
        """A cluster comes and goes."""
        with self._struck(item) as cluster:
            end = time.monotonic() + item.seconds
            while time.monotonic() < end:
                cluster.stop()
                time.sleep(_FLAP)
                cluster.start()
                time.sleep(_FLAP)

    def node_down(self, item: plan.Break) -> None:
        """The API of one node is off."""
        with self._struck(item) as cluster:
            cluster.stop_api(int(item.detail))
            time.sleep(item.seconds)
            cluster.start_api(int(item.detail))

    def upgrade(self, item: plan.Break) -> None:
        """One node after the other is off and comes back."""
        with self._struck(item) as cluster:
            number = self._upgrades[item.cluster]
            self._upgrades[item.cluster] += 1
            target = _RELEASES[number % len(_RELEASES)]
            for node in cluster.node_indexes:
                cluster.set_upgrade('Upgrading', target, step=node,
                                    total=len(cluster.node_indexes))
                cluster.stop_api(node)
                cluster.stop_node(node)
                time.sleep(item.seconds / len(cluster.node_indexes))
                cluster.start_node(node)
                cluster.start_api(node)
            cluster.set_version(target)
            cluster.set_upgrade('None')

    def slow(self, item: plan.Break) -> None:
        """All answers take their time."""
        self._with_fault(item, 'slow', seconds=_SLOW)

    def black_hole(self, item: plan.Break) -> None:
        """Connections are accepted, and nothing is ever answered."""
        self._with_fault(item, 'blackhole')

    def refuses(self, item: plan.Break) -> None:
        """Requests of a route end with an error."""
        status, route = item.detail.split()
        self._with_fault(item, 'status', status=int(status), route=route)

    def loses_answers(self, item: plan.Break) -> None:
        """Requests of a route are done, and nobody hears of it."""
        self._with_fault(item, 'apply_then_drop', route=item.detail)

    def _with_fault(self, item: plan.Break, kind: str, **options: object
                    ) -> None:
        with self._struck(item) as cluster:
            fault = cluster.fault(kind, **options)  # type: ignore[arg-type]
            time.sleep(item.seconds)
            cluster.clear_fault(fault)

    @contextlib.contextmanager
    def _struck(self, item: plan.Break
                ) -> Iterator[control.SimCluster]:
        with self._broken.alone(item.cluster):
            yield self._clusters[item.cluster]
