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

"""Volumes and snapshots of all clusters, as one list with pages.

Clusters come in the order of the configuration, projects by name, objects as
the cluster lists them. All clusters are asked at once, each for as much as
fits on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
from typing import Generic, Protocol, TypeVar

from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.timing import Deadline

T = TypeVar('T', bound=model.Volume | model.Snapshot)

PAGE = 1000


class Source(Protocol[T]):
    """How to read one kind of objects of a cluster."""

    def page(self, cluster: Cluster, project: str, limit: int,
             after: str | None) -> Sequence[T]:
        """:returns: up to `limit` objects, those after one of them."""

    def by_uuid(self, cluster: Cluster, project: str, uuid: str) -> T:
        """:raises NotFound: there is none."""

    def by_name(self, cluster: Cluster, project: str, name: str
                ) -> T | None:
        """:returns: None if there is none."""

    def keeps(self, thing: T) -> bool:
        """Whether an object belongs to the list."""


@dataclasses.dataclass(frozen=True, slots=True)
class Volumes:
    """Volumes; of a snapshot or in a failure domain only, if one is named."""

    show_all: bool = False
    snapshot_uuid: str | None = None
    failure_domain: str | None = None

    def page(self, cluster: Cluster, project: str, limit: int,
             after: str | None) -> Sequence[model.Volume]:
        """See `Source`."""
        with cluster.api() as client:
            return client.volume_page(
                project, limit=limit, after=after, show_all=self.show_all,
                snapshot_uuid=self.snapshot_uuid,
                failure_domain=self.failure_domain)

    def by_uuid(self, cluster: Cluster, project: str, uuid: str
                ) -> model.Volume:
        """See `Source`."""
        with cluster.api() as client:
            return client.get_volume(project, uuid)

    def by_name(self, cluster: Cluster, project: str, name: str
                ) -> model.Volume | None:
        """See `Source`."""
        with cluster.api() as client:
            return client.find_volume(project, name)

    def keeps(self, thing: model.Volume) -> bool:
        """See `Source`: the cluster itself has chosen."""
        return True


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshots:
    """Snapshots; those of a volume only, if one is named."""

    show_all: bool = False
    volume_uuid: str | None = None

    def page(self, cluster: Cluster, project: str, limit: int,
             after: str | None) -> Sequence[model.Snapshot]:
        """See `Source`."""
        with cluster.api() as client:
            return client.snapshot_page(project, limit=limit, after=after,
                                        show_all=self.show_all)

    def by_uuid(self, cluster: Cluster, project: str, uuid: str
                ) -> model.Snapshot:
        """See `Source`."""
        with cluster.api() as client:
            return client.get_snapshot(project, uuid)

    def by_name(self, cluster: Cluster, project: str, name: str
                ) -> model.Snapshot | None:
        """See `Source`."""
        with cluster.api() as client:
            return client.find_snapshot(project, name)

    def keeps(self, thing: model.Snapshot) -> bool:
        """See `Source`: clusters cannot choose by volume."""
        return self.volume_uuid in (None, thing.source_volume_uuid)


@dataclasses.dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """An object and where it is."""

    cluster: Cluster
    project: str
    thing: T

    @property
    def place(self) -> tuple[str, str]:
        """UUIDs of the cluster and of the object."""
        return self.cluster.uuid or '', self.thing.uuid


@dataclasses.dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page of the list.

    :param silent: clusters or projects that did not answer, and why.
    :param more: UUID to go on after; None at the end of the list.
    """

    items: Sequence[Item[T]]
    silent: Mapping[str, str]
    more: str | None = None


Reading = tuple[list[Item[T]], dict[str, str]]


class Catalogue(Generic[T]):
    """One kind of objects on some clusters.

    :param projects: gives the projects of a cluster, by its own names.
    :param deadline: gives the deadline of one round of questions.
    :param told: called with the name of a cluster and how many objects were
        read from it since it was called last.
    """

    def __init__(self, registry: Registry, clusters: Sequence[Cluster],
                 projects: Callable[[Cluster], set[str]], source: Source[T],
                 deadline: Callable[[], Deadline],
                 told: Callable[[str, int], None] = lambda name, count: None
                 ) -> None:
        self._told = told
        self._registry = registry
        self._clusters = list(clusters)
        self._projects = projects
        self._source = source
        self._deadline = deadline

    def page(self, limit: int, marker: str | None = None) -> Listing[T]:
        """Read a page of the list.

        :param limit: objects at most; 0 for all.
        :param marker: UUID of the last object of the page before.
        :raises FailedError: nothing of that UUID is there.
        """
        start = self._find_marker(marker) if marker else None
        clusters = self._clusters
        if start is not None:
            clusters = clusters[clusters.index(start.cluster):]
        most = limit + 1 if limit else None

        def question(cluster: Cluster) -> Reading[T]:
            here = start if start and start.cluster is cluster else None
            return self._read(cluster, here, most)

        answers = self._registry.ask(clusters, question, self._patience(
            limit))
        silent = dict(answers.silent)
        items: list[Item[T]] = []
        for cluster in clusters:
            found, unread = answers.given.get(cluster.name, ([], {}))
            items += found
            silent.update(unread)
        cut = items[:limit] if limit else items
        more = cut[-1].thing.uuid if len(items) > len(cut) else None
        return Listing(cut, silent, more)

    def by_uuid(self, uuid: str) -> Listing[T]:
        """Look for an object everywhere."""
        return self._everywhere(
            lambda cluster, project: self._source.by_uuid(cluster, project,
                                                          uuid))

    def by_name(self, name: str) -> Listing[T]:
        """Look for objects of a name everywhere."""
        return self._everywhere(
            lambda cluster, project: self._source.by_name(cluster, project,
                                                          name))

    def _patience(self, limit: int) -> Deadline:
        # Pages have their own time; a list of everything takes many.
        return self._deadline() if 0 < limit <= PAGE else Deadline.after(
            7 * 86400.0)

    def _find_marker(self, marker: str) -> Item[T]:
        found = self.by_uuid(marker)
        if not found.items:
            tail = ''.join(f'; {name}: {why}'
                           for name, why in found.silent.items())
            raise FailedError(f'--marker: {marker} is not there{tail}')
        return found.items[0]

    def _everywhere(self, look: Callable[[Cluster, str], T | None]
                    ) -> Listing[T]:
        def question(cluster: Cluster) -> Reading[T]:
            found: list[Item[T]] = []
            unread: dict[str, str] = {}
            for project in sorted(self._projects(cluster)):
                with _tolerating(cluster, project, unread):
                    thing = look(cluster, project)
                    if thing is not None:
                        found.append(Item(cluster, project, thing))
            return found, unread

        answers = self._registry.ask(self._clusters, question,
                                     self._deadline())
        silent = dict(answers.silent)
        for _found, unread in answers.given.values():
            silent.update(unread)
        return Listing([item for found, _unread in answers.given.values()
                        for item in found], silent)

    def _read(self, cluster: Cluster, start: Item[T] | None,
              most: int | None) -> Reading[T]:
        items: list[Item[T]] = []
        unread: dict[str, str] = {}
        for project in sorted(self._projects(cluster)):
            if start is not None and project < start.project:
                continue
            after = (start.thing.uuid if start is not None
                     and start.project == project else None)
            with _tolerating(cluster, project, unread):
                for thing in self._all(cluster, project, after, most):
                    items.append(Item(cluster, project, thing))
                    if most is not None and len(items) >= most:
                        return items, unread
        return items, unread

    def _all(self, cluster: Cluster, project: str, after: str | None,
             most: int | None) -> Iterator[T]:
        size = min(PAGE, most or PAGE)
        while True:
            page = self._source.page(cluster, project, size, after)
            self._told(cluster.name, len(page))
            yield from filter(self._source.keeps, page)
            if len(page) < size:
                return
            after = page[-1].uuid


@contextlib.contextmanager
def _tolerating(cluster: Cluster, project: str, unread: dict[str, str]
                ) -> Iterator[None]:
    """A project, or an object in it, may not be there or not be readable.

    :param unread: gets why it could not be read.
    """
    try:
        yield
    except lb_errors.NotFound:
        return
    except (lb_errors.Forbidden, lb_errors.Unauthorized) as exc:
        unread[f'{cluster.name}, project {project}'] = exc.message
