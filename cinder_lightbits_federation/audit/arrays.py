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

"""Reading what the clusters hold, all at once, page by page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from collections.abc import Mapping, Sequence
import dataclasses
from typing import TypeVar

from cinder_lightbits_federation.audit.books import Books
from cinder_lightbits_federation.audit.books import Holdings
from cinder_lightbits_federation.audit.books import Seen
from cinder_lightbits_federation.audit.books import Silent
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.views import Use

T = TypeVar('T', bound=model.Volume | model.Snapshot)

Progress = Callable[[str, int], None]
"""Told how many more objects were read from a cluster; in any thread."""

# Each page has its own time; what bounds the whole is the number of pages.
NO_LIMIT = 7 * 86400.0
# From so many objects on, a cluster is listed again rather than asked for
# each of them.
RELIST = 200
TOLD_EVERY = 1000


@dataclasses.dataclass(slots=True)
class Doubts:
    """What has to be looked at again on one cluster.

    :ivar volumes: project of each, by UUID; likewise `snapshots`.
    :ivar volume_names: (project, name) of what may be there after all.
    """

    volumes: dict[str, str] = dataclasses.field(default_factory=dict)
    snapshots: dict[str, str] = dataclasses.field(default_factory=dict)
    volume_names: set[tuple[str, str]] = dataclasses.field(
        default_factory=set)
    snapshot_names: set[tuple[str, str]] = dataclasses.field(
        default_factory=set)

    @property
    def count(self) -> int:
        """How many questions they are."""
        return (len(self.volumes) + len(self.snapshots)
                + len(self.volume_names) + len(self.snapshot_names))


class Arrays:
    """All clusters of a backend, as far as they can be asked.

    :param projects: names, in Cinder, of the projects to read on every
        cluster that has them, beside those that records name.
    :param every_project: read all projects that a cluster tells of.
    """

    def __init__(self, registry: Registry, projects: Iterable[str],
                 every_project: bool = False,
                 progress: Progress | None = None) -> None:
        self._registry = registry
        self._projects = frozenset(projects)
        self._every_project = every_project
        self._progress = progress or (lambda cluster, count: None)

    def connect(self) -> None:
        """Look at all clusters that may be asked, to know who they are."""
        clusters = self._askable()
        patience = max((cluster.settings.client.api_timeout
                        for cluster in clusters), default=0.0)
        self._registry.refresh(clusters, 0.0, Deadline.after(patience))

    def read(self, books: Books) -> Seen:
        """Read all objects of all projects that matter.

        :param books: tell which projects the records name.
        """
        used: dict[str, set[str]] = {}
        for record in books.records:
            if record.location is not None:
                used.setdefault(record.location.cluster_uuid, set()).add(
                    record.location.project)
        found = self._collect(self._askable(), lambda cluster: (
            self._holdings(cluster, used.get(cluster.uuid or '', set()))))
        return {**self._never_asked(), **found}

    def again(self, seen: Seen, doubts: Mapping[str, Doubts], books: Books
              ) -> Seen:
        """Read again what is in doubt.

        :param seen: the first look.
        :param doubts: by UUID of the cluster, of those that answered.
        :returns: the first look, put right; a cluster that has fallen
            silent since is silent.
        """
        if any(doubt.count > RELIST for doubt in doubts.values()):
            return self.read(books)
        held = {item.uuid: item for item in seen.values()
                if isinstance(item, Holdings)}
        doubtful = [cluster for cluster in self._askable()
                    if doubts.get(cluster.uuid or '', Doubts()).count]

        def question(cluster: Cluster) -> Holdings:
            uuid = _uuid(cluster)
            return self._look_again(cluster, held[uuid], doubts[uuid])

        return {**seen, **self._collect(doubtful, question)}

    def projects_of(self, holdings: Holdings) -> frozenset[str]:
        """:returns: the cluster's own names of `projects`."""
        cluster = self._registry.by_uuid(holdings.uuid)
        return frozenset(map(cluster.settings.project, self._projects))

    def _askable(self) -> list[Cluster]:
        return [cluster for cluster in self._registry.clusters
                if cluster.allows(Use.ASK)]

    def _collect(self, clusters: Sequence[Cluster],
                 question: Callable[[Cluster], Holdings]
                 ) -> dict[str, Holdings | Silent]:
        answers = self._registry.ask(clusters, question,
                                     Deadline.after(NO_LIMIT))
        found: dict[str, Holdings | Silent] = {
            holdings.uuid: holdings for holdings in answers.given.values()}
        for cluster in clusters:
            if cluster.name in answers.silent:
                silent = Silent(cluster.name, cluster.uuid,
                                answers.silent[cluster.name])
                # Another section may have the same cluster.
                known = silent.uuid if silent.uuid not in found else None
                found[known or silent.cluster] = silent
        return found

    def _never_asked(self) -> dict[str, Holdings | Silent]:
        lost = {cluster.uuid or cluster.name: Silent(
            cluster.name, cluster.uuid, 'declared lost', lost=True)
            for cluster in self._registry.clusters
            if not cluster.allows(Use.ASK)}
        broken = {item.name: Silent(item.name, None, str(item.problem))
                  for item in self._registry.broken}
        return {**lost, **broken}

    def _holdings(self, cluster: Cluster, used: set[str]) -> Holdings:
        """Read one cluster.

        :param used: projects, by the cluster's names, that records name.
        """
        volumes: list[model.Volume] = []
        snapshots: list[model.Snapshot] = []
        unread: dict[str, str] = {}
        main = cluster.settings.project(self._registry.settings.project)
        with cluster.api() as client:
            for project in sorted(self._wanted(cluster) | used):
                try:
                    volumes += self._told(cluster, client.list_volumes(
                        project, show_all=True))
                    snapshots += self._told(cluster, client.list_snapshots(
                        project, show_all=True))
                except (lb_errors.Unauthorized, *lb_errors.NO_PROJECT) as exc:
                    if project == main:
                        raise
                    # One that nobody uses and that is not there has nothing.
                    if project in used or not isinstance(
                            exc, (lb_errors.NotFound, lb_errors.BadRequest)):
                        unread[project] = exc.message
        return Holdings(cluster.name, _uuid(cluster), tuple(volumes),
                        tuple(snapshots), unread, _keeps_labels(cluster))

    def _wanted(self, cluster: Cluster) -> set[str]:
        return projects_on(
            cluster, self._projects | {self._registry.settings.project},
            self._every_project)

    def _told(self, cluster: Cluster, items: Iterable[T]) -> Iterator[T]:
        count = 0
        for item in items:
            yield item
            count += 1
            if not count % TOLD_EVERY:
                self._progress(cluster.name, TOLD_EVERY)
        self._progress(cluster.name, count % TOLD_EVERY)

    def _look_again(self, cluster: Cluster, before: Holdings,
                    doubts: Doubts) -> Holdings:
        with cluster.api() as client:
            return dataclasses.replace(
                before,
                volumes=_replaced(before.volumes, doubts.volumes, _fresh(
                    doubts.volumes, doubts.volume_names, client.get_volume,
                    client.find_volume)),
                snapshots=_replaced(
                    before.snapshots, doubts.snapshots, _fresh(
                        doubts.snapshots, doubts.snapshot_names,
                        client.get_snapshot, client.find_snapshot)))


def projects_on(cluster: Cluster, names: Collection[str],
                every: bool = False) -> set[str]:
    """Choose the projects of a cluster that are to be read.

    :param names: in Cinder; those that the cluster is known not to have are
        left out.
    :param every: all that the cluster tells of instead, if it does.
    :returns: by the cluster's names.
    """
    known = cluster.view(0, 0).projects
    wanted = set(names)
    if known is not None:
        wanted = set(known) if every else wanted & known
    return set(map(cluster.settings.project, wanted))


def _fresh(objects: Mapping[str, str], names: Iterable[tuple[str, str]],
           get: Callable[[str, str], T],
           find: Callable[[str, str], T | None]) -> dict[str, T]:
    found: dict[str, T] = {}
    for uuid, project in objects.items():
        try:
            found[uuid] = get(project, uuid)
        except lb_errors.NotFound:
            continue
    for project, name in names:
        thing = find(project, name)
        if thing is not None:
            found[thing.uuid] = thing
    return found


def _replaced(before: tuple[T, ...], asked: Iterable[str],
              fresh: Mapping[str, T]) -> tuple[T, ...]:
    gone = {*asked, *fresh}
    return (*(item for item in before if item.uuid not in gone),
            *fresh.values())


def _uuid(cluster: Cluster) -> str:
    if cluster.uuid is None:
        raise lb_errors.InvalidReply('it did not tell its UUID',
                                     cluster=cluster.name)
    return cluster.uuid


def _keeps_labels(cluster: Cluster) -> bool:
    """Whether that is known for certain: few tokens may read versions."""
    vitals = cluster.vitals
    return (vitals is not None and vitals.version is not None
            and cluster.has_labels)
