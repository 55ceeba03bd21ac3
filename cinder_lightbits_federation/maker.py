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

"""Making volumes: where placement says, and on to the next when refused."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import logging
import time

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.creator import Creator
from cinder_lightbits_federation.creator import Recipe
from cinder_lightbits_federation.creator import Refused
from cinder_lightbits_federation.decisions import Decision
from cinder_lightbits_federation.decisions import PlacementRequest
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.finder import Finder
from cinder_lightbits_federation.golden import Golden
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.placer import Placer
from cinder_lightbits_federation.refs import Created
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import Source
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.reservations import Reservation
from cinder_lightbits_federation.sizes import GIB
from cinder_lightbits_federation.spec import is_uuid
from cinder_lightbits_federation.spec import VolumeSpec
from cinder_lightbits_federation.timing import Deadline

LOG = logging.getLogger(__name__)


class Maker:
    """Thread-safe."""

    def __init__(self, registry: Registry, placer: Placer, finder: Finder,
                 golden: Golden, owner: ownership.Owner) -> None:
        self._registry = registry
        self._placer = placer
        self._finder = finder
        self._golden = golden
        self._owner = owner
        self._creator = Creator(owner)

    def create(self, request: CreateRequest, source: Source | None,
               deadline: Deadline) -> Created:
        """Make a volume, once, on the best cluster that does not refuse.

        :param source: what it is a thin clone of; its cluster is the only
            one then.
        :raises NoClusterFits: no cluster took it; nothing is left.
        :raises OutcomeUnknown: it may exist where it is recorded.
        """
        attempt = ownership.new_attempt()
        earlier = self._settle(request, source, attempt, deadline)
        if earlier is not None:
            return earlier
        wanted = self.wanted(request, source)
        placed = self._golden.placed(request.ref, source)
        while True:
            decision, held = placed or self._placer.place(wanted, deadline)
            placed = None
            self._placer.remember(request.ref.name_id, request.size,
                                  decision)
            try:
                with _told(decision, request, wanted):
                    if held is None:
                        raise _nowhere(request, decision)
                    return self.make(decision, held, request, source,
                                     attempt, deadline)
            except Refused as exc:
                wanted = dataclasses.replace(wanted, exclude={
                    **wanted.exclude, decision.ranked[0].uuid: str(exc)})

    def make(self, decision: Decision, held: Reservation,
             request: CreateRequest, source: Source | None, attempt: str,
             deadline: Deadline) -> Created:
        """Make a volume where its bytes are reserved.

        What may exist takes room too, so only a clear refusal gives the
        bytes back; else they count until the statistics show them.

        :raises Refused: the cluster did not make it.
        """
        cluster = self._registry.by_uuid(held.cluster_uuid)
        recipe = self._recipe(cluster, request, source, attempt)
        try:
            location, volume = self._creator.make(cluster, request, recipe,
                                                  deadline)
        except Refused as exc:
            self._placer.reservations.release(held)
            LOG.warning('Cluster %s refused volume %s: %s', cluster.name,
                        request.ref.name, exc)
            raise
        finally:
            # Nothing to a reservation that was released.
            self._placer.reservations.commit(held, time.monotonic())
        return Created(location, volume, cluster.name, decision)

    def wanted(self, request: CreateRequest, source: Source | None
               ) -> PlacementRequest:
        """:returns: what placement is asked for a volume."""
        only = None
        if source is not None:
            only = frozenset((source.cluster_uuid,))
        elif request.only is not None:
            only = frozenset((request.only,))
        return PlacementRequest(
            size=request.size, replicas=self._replicas(request, source),
            project=self._project(request.spec), spec=request.spec,
            only=only, exclude=request.exclude,
            spread_counts=request.spread.counts,
            member=request.spread.member,
            for_clone=source is not None)

    def _settle(self, request: CreateRequest, source: Source | None,
                attempt: str, deadline: Deadline) -> Created | None:
        location = request.ref.location
        if location is None:
            return None
        try:
            cluster = self._finder.place(location)
        except errors.ObjectMissing:
            return None
        recipe = self._recipe(cluster, request, source, attempt)
        # The scheduler may have chosen another pool for this attempt.
        keep = (request.only in (None, location.cluster_uuid)
                and location.cluster_uuid not in request.exclude)
        kept = self._creator.settle(cluster, request, recipe, location,
                                    deadline, keep)
        if kept is None:
            return None
        return Created(kept[0], kept[1], cluster.name, None)

    def _recipe(self, cluster: Cluster, request: CreateRequest,
                source: Source | None, attempt: str) -> Recipe:
        spec = request.spec
        policy = spec.qos_policy
        named = policy is not None and not is_uuid(policy)
        compression = spec.compression
        if compression is None:
            compression = (source.snapshot.compression if source
                           else self._registry.settings.default_compression)
        new = model.NewVolume(
            name=request.ref.name, size=request.size,
            replicas=self._replicas(request, source),
            compression=compression, sector_size=spec.sector_size,
            source_snapshot_uuid=source.snapshot.uuid if source else None,
            qos_policy_uuid=None if named else policy,
            qos_policy_name=policy if named else None,
            labels=ownership.labels_for(self._owner, request.ref.name_id,
                                        attempt, request.ref.tenant),
            restrictions=spec.restrictions())
        project = (source.snapshot.project if source else '') or (
            cluster.settings.project(self._project(spec)))
        return Recipe(project, new, attempt)

    def _replicas(self, request: CreateRequest, source: Source | None
                  ) -> int:
        """A clone has its source's replicas unless its type says else."""
        return request.spec.replica_count(
            (source.snapshot.replicas if source else 0)
            or self._registry.settings.default_replicas)

    def _project(self, spec: VolumeSpec) -> str:
        return spec.project or self._registry.settings.project


@contextlib.contextmanager
def _told(decision: Decision, request: CreateRequest,
          wanted: PlacementRequest) -> Iterator[None]:
    """Around acting on a decision: log it, however that ends."""
    level = logging.INFO
    try:
        yield
    except Refused:
        level = logging.DEBUG  # The next decision has it among its reasons.
        raise
    finally:
        LOG.log(level, 'placement volume=%s size=%d replicas=%d %s',
                request.ref.name_id, request.size, wanted.replicas, decision)


def _nowhere(request: CreateRequest, decision: Decision
             ) -> errors.NoClusterFits:
    reasons = [f'{item.name}: {item.reason}'
               for item in decision.rejected]
    reasons.append(f'the largest volume that would find room has '
                   f'{decision.largest // GIB} GiB')
    return errors.NoClusterFits(f'volume {request.ref.name}', reasons)
