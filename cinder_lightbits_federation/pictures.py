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

"""What placement sees of all clusters; only what changed is drawn anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.reservations import NOTHING
from cinder_lightbits_federation.reservations import Reservations
from cinder_lightbits_federation.reservations import Tally
from cinder_lightbits_federation.views import ClusterView


BLANK = ClusterView('', '')


class Pictures:
    """Views of clusters, the same ones as long as they say the same.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._clusters: tuple[Cluster, ...] = ()
        self._strangers: Mapping[str, tuple[str, ...]] = {}
        self._editions: Sequence[object] = ()
        self._asked: Sequence[tuple[str, float | None]] = ()
        self._tallies: Sequence[Tally] = ()
        # Without what is reserved, and with it.
        self._bare: list[ClusterView] = []
        self._views: list[ClusterView] = []
        self.uuids: tuple[str, ...] = ()

    def take(self, clusters: tuple[Cluster, ...],
             strangers: Mapping[str, tuple[str, ...]],
             ledger: Reservations, now: float) -> tuple[ClusterView, ...]:
        """Look at all clusters.

        :param strangers: live services that do not know a cluster, by its
            name.
        :param ledger: what was promised to the clusters.
        :param now: monotonic seconds.
        :returns: a view of each cluster, in their order.
        """
        if clusters != self._clusters or strangers != self._strangers:
            self._clusters, self._strangers = clusters, strangers
            self._asked, self.uuids = (), ()
            self._editions = (None,) * len(clusters)
            self._tallies = (NOTHING,) * len(clusters)
            self._bare = [BLANK] * len(clusters)
            self._views = [BLANK] * len(clusters)
        drawn = self._draw()
        tallies = ledger.tallies(self._asked, now)
        for number in drawn.union(_differing(self._tallies, tallies)):
            self._views[number] = dataclasses.replace(
                self._bare[number], reserved=tallies[number].reserved,
                recent_creates=tallies[number].recent)
        self._tallies = tallies
        return tuple(self._views)

    def _draw(self) -> set[int]:
        """:returns: which clusters have another edition than last time."""
        # Read before the views: what changes meanwhile is drawn next time.
        editions = [cluster.edition for cluster in self._clusters]
        changed = set(_differing(self._editions, editions))
        for number in changed:
            cluster = self._clusters[number]
            self._bare[number] = cluster.view(
                0, 0, self._strangers.get(cluster.name, ()))
        if changed:
            self._editions = editions
            # The time goes with the view, so that what its statistics miss
            # is counted even while new ones arrive.
            self._asked = [(view.uuid, view.observed_at)
                           for view in self._bare]
            self.uuids = tuple(view.uuid for view in self._bare)
        return changed


def _differing(before: Sequence[object], now: Sequence[object]
               ) -> list[int]:
    """:returns: where two sequences of one length have other objects."""
    return [number for number, (one, other)
            in enumerate(zip(before, now, strict=True)) if one is not other]
