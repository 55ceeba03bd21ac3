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

"""The clusters of a backend, and the threads that look after them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import concurrent.futures
import dataclasses
import logging
import threading
import time
from typing import Generic, TypeVar

import futurist
from oslo_context import context as oslo_context

from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.keeper import Keeper
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.memory import EndpointMemory
from cinder_lightbits_federation.settings import BrokenCluster
from cinder_lightbits_federation.settings import ClusterSettings
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded

LOG = logging.getLogger(__name__)

T = TypeVar('T')

# How long the start of the service waits for clusters that do not answer.
FIRST_LOOK = 2.0
# Threads one cluster may occupy when all clusters are asked at once: a slow
# one fills its own queue and nobody else's.
FAN_OUT_THREADS = 8
# The lane of who reads facts: many who wait for them keep nobody from looking.
FACTS = 'facts'


@dataclasses.dataclass(frozen=True, slots=True)
class Answers(Generic[T]):
    """What the clusters answered, and who did not and why."""

    given: Mapping[str, T]
    silent: Mapping[str, str]


class Registry:
    """Clusters by name and by UUID.

    No thread or connection exists before `start`: the service forks after
    its drivers are built.

    :param memory: keeps the endpoints of clusters over restarts.
    """

    def __init__(self, settings: FederationSettings,
                 memory: EndpointMemory | None = None) -> None:
        self.settings = settings
        # Live services without a cluster, by its name; see `sharing`.
        self.strangers: Mapping[str, tuple[str, ...]] = {}
        self._memory = memory
        self._lock = threading.Lock()
        self._serve({item.name: self._keeper(item)
                     for item in settings.clusters})
        # By cluster and what for.
        self._executors: dict[tuple[str, str],
                              futurist.ThreadPoolExecutor] = {}

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """All clusters with a usable section, in the order configured."""
        return self._clusters

    @property
    def broken(self) -> tuple[BrokenCluster, ...]:
        """The sections that cannot be used."""
        return self.settings.broken

    def named_files(self) -> tuple[str, ...]:
        """:returns: paths of the files that sections name; see `settings`."""
        return self.settings.files

    def by_uuid(self, uuid: str) -> Cluster:
        """:raises UnknownCluster: no known cluster has this UUID."""
        found = self._found
        if uuid in found:
            return found[uuid]
        for cluster in self.clusters:
            # Of two sections for one cluster the first has it.
            if cluster.uuid == uuid:
                found[uuid] = cluster
                return cluster
        raise errors.UnknownCluster(self._unknown(uuid))

    def uuid_of(self, name: str) -> str:
        """:raises ClusterUnavailable: no reached cluster has this name."""
        for cluster in self.clusters:
            if cluster.name == name and cluster.uuid is not None:
                return cluster.uuid
        raise errors.ClusterUnavailable(
            f'cluster {name} is not known here or was not reached yet')

    def start(self) -> None:
        """Look at all clusters at once and keep looking.

        Returns when every cluster was seen or after two seconds, whichever
        comes first; those that did not answer are looked at on and on.
        """
        self._tell_broken()
        self._start(self._keepers.values())

    def apply(self, settings: FederationSettings) -> None:
        """Bring the clusters to what a changed configuration says.

        Clusters that are new are looked at before this returns, for two
        seconds at most; what did not change is left alone; calls under way
        on a cluster that goes are carried through. Not for use in parallel.
        """
        before = dict(self._keepers)
        fresh: list[Keeper] = []
        after: dict[str, Keeper] = {}
        for item in settings.clusters:
            kept = before.get(item.name)
            if kept is not None and kept.cluster.settings.same_client(item):
                if kept.cluster.settings.signature != item.signature:
                    kept.cluster.adopt(item)
                after[item.name] = before.pop(item.name)
            else:
                after[item.name] = self._keeper(item)
                fresh.append(after[item.name])
        # A cluster that only gets another token is never away.
        self._start(fresh)
        self.settings = settings
        self._serve(after)
        self._tell_broken()
        for keeper in before.values():
            LOG.warning('Cluster %s is not served any more%s.',
                        keeper.cluster.name,
                        ' as before' if keeper.cluster.name in after else '')
            self._retire(keeper)

    def stop(self) -> None:
        """End the threads and close all connections. Idempotent."""
        for keeper in self._keepers.values():
            self._retire(keeper)

    def ask(self, clusters: Iterable[Cluster],
            question: Callable[[Cluster], T], deadline: Deadline,
            lane: str = '') -> Answers[T]:
        """Ask several clusters the same at the same time.

        :param lane: of one cluster questions of one lane wait for each other
            when they are many, and for those of no other lane.
        :param question: may raise LightbitsError and DeadlineExceeded: that
            cluster is then silent. What else it raises goes up.
        :returns: answers by cluster name, and why the others are silent.
        """
        futures = {cluster.name: self._submit(cluster, question, lane)
                   for cluster in clusters}
        concurrent.futures.wait(futures.values(), deadline.remaining())
        given: dict[str, T] = {}
        silent: dict[str, str] = {}
        for name, future in futures.items():
            if not future.done():
                future.cancel()
                silent[name] = 'no answer in time'
                continue
            try:
                given[name] = future.result()
            except (lb_errors.LightbitsError, DeadlineExceeded) as exc:
                silent[name] = str(exc)
        return Answers(given, silent)

    def refresh(self, clusters: Sequence[Cluster], max_age: float,
                deadline: Deadline) -> None:
        """Look again at those clusters whose sample is older.

        Clusters that are down or suspect are left to their keepers. Of many
        who ask at once, one looks, and all take what it has seen.
        """
        since = time.monotonic() - max_age
        old = [cluster for cluster in clusters
               if cluster.stale(max_age) and not cluster.suspect
               and cluster.breaker.state is None]
        if not old:
            return
        if len(old) == 1:
            old[0].refresh(deadline, since)
            return
        answers = self.ask(
            old, lambda cluster: cluster.refresh(deadline, since), deadline)
        for cluster in old:
            if cluster.name in answers.silent:
                cluster.doubt()

    def relearn(self, clusters: Sequence[Cluster], max_age: float,
                deadline: Deadline) -> None:
        """Read projects, policies and failure domains of clusters again.

        :param max_age: seconds for which an earlier reading will do.
        """
        since = time.monotonic() - max_age
        self.ask(clusters, lambda cluster: cluster.relearn(deadline, since),
                 deadline, FACTS)

    def _submit(self, cluster: Cluster, question: Callable[[Cluster], T],
                lane: str) -> concurrent.futures.Future[T]:
        # The context (request id) is thread-local and has to be carried.
        current = oslo_context.get_current()

        def run() -> T:
            if current is not None:
                current.update_store()
            return question(cluster)

        future: concurrent.futures.Future[T] = self._executor(
            (cluster.name, lane)).submit(run)
        return future

    def _executor(self, key: tuple[str, str]) -> futurist.ThreadPoolExecutor:
        with self._lock:
            if key not in self._executors:
                self._executors[key] = futurist.ThreadPoolExecutor(
                    max_workers=FAN_OUT_THREADS)
            return self._executors[key]

    def _identify(self, cluster: Cluster, uuid: str
                  ) -> errors.SettingProblem | None:
        """Tell whether an earlier section is the same cluster.

        A later one that is, and was seen first, is looked at again at once.
        """
        earlier = True
        for other in self.clusters:
            if other.name == cluster.name:
                earlier = False
            elif other.uuid == uuid and not earlier:
                self._found.pop(uuid, None)
                other.wanted.set()
            elif other.uuid == uuid:
                return errors.SettingProblem(
                    cluster.settings.section, 'api_endpoints',
                    f'this is cluster {uuid}, which section '
                    f'[{other.settings.section}] has already; one cluster '
                    f'must have one name')
        return None

    def _serve(self, keepers: Mapping[str, Keeper]) -> None:
        self._keepers = keepers
        self._clusters = tuple(keeper.cluster
                               for keeper in keepers.values())
        # By UUID, which a cluster never changes. New with the clusters, and
        # after them: who has the new one has found none of the old ones.
        self._found: dict[str, Cluster] = {}

    def _keeper(self, item: ClusterSettings) -> Keeper:
        return Keeper(Cluster(item, self.settings.project, self._identify,
                              self._memory), self.settings.poll_interval)

    def _tell_broken(self) -> None:
        for item in self.broken:
            LOG.error('Cluster %s is not used: %s', item.name, item.problem)

    @staticmethod
    def _start(keepers: Iterable[Keeper]) -> None:
        """Start keepers and wait a little for their first looks."""
        patience = Deadline.after(FIRST_LOOK)
        started = list(keepers)
        for keeper in started:
            keeper.start()
        for keeper in started:
            keeper.seen.wait(patience.remaining())

    def _retire(self, keeper: Keeper) -> None:
        keeper.stop()
        with self._lock:
            gone = [self._executors.pop(key) for key in list(self._executors)
                    if key[0] == keeper.cluster.name]
        for executor in gone:
            executor.shutdown(wait=False)
        keeper.cluster.close()

    def _unknown(self, uuid: str) -> str:
        unseen = [cluster.name for cluster in self.clusters
                  if cluster.uuid is None]
        tail = (f'; not yet reached: {", ".join(unseen)}' if unseen else '')
        broken = [item.name for item in self.broken]
        if broken:
            tail += f'; not usable: {", ".join(broken)}'
        return f'no cluster with UUID {uuid} is known here{tail}'
