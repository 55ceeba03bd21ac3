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

"""Finding out what an adoption has to change, and what stands against it.

Clusters are only read. A volume is adopted where its object has the name and
the size that Cinder's record says, and nobody else's mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
import dataclasses
from typing import Any

from cinder_lightbits_federation.adoption.plan import Blocked
from cinder_lightbits_federation.adoption.plan import Change
from cinder_lightbits_federation.adoption.plan import Plan
from cinder_lightbits_federation.adoption.plan import Resource
from cinder_lightbits_federation.adoption.plan import Source
from cinder_lightbits_federation.adoption import rows
from cinder_lightbits_federation.audit.books import AT_REST
from cinder_lightbits_federation.audit.books import Books
from cinder_lightbits_federation.audit.books import IN_ERROR
from cinder_lightbits_federation.audit.books import SnapshotRecord
from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.audit.database import Database
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.spec import PROJECT_NAME

# What the in-tree driver takes where neither record nor type says it.
DEFAULT_PROJECT = 'default'

Progress = Callable[[str, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What the adopted rows are to name.

    :param pool_of: gives the pool of a cluster, by its name.
    """

    backend: str
    backend_name: str
    host: str
    cluster_name: str | None
    pool_of: Callable[[str], str]

    def home(self, cluster: str) -> dict[str, str | None]:
        """:returns: the columns that name a backend."""
        pool = self.pool_of(cluster)
        return {'host': f'{self.host}#{pool}',
                'cluster_name': (f'{self.cluster_name}#{pool}'
                                 if self.cluster_name else None)}


class _Shelf:
    """The objects of one cluster, read by project when needed."""

    def __init__(self, cluster: Cluster, progress: Progress) -> None:
        self._cluster = cluster
        self._progress = progress
        self._volumes: dict[str, dict[str, model.Volume]] = {}
        self._snapshots: dict[str, dict[str, model.Snapshot]] = {}

    def volume(self, project: str, name: str) -> model.Volume | None:
        """:raises LightbitsError: the cluster does not tell."""
        if project not in self._volumes:
            with self._cluster.api() as client:
                self._volumes[project] = self._read(
                    lambda: client.list_volumes(project))
        return self._volumes[project].get(name)

    def snapshot(self, project: str, name: str) -> model.Snapshot | None:
        """:raises LightbitsError: the cluster does not tell."""
        if project not in self._snapshots:
            with self._cluster.api() as client:
                self._snapshots[project] = self._read(
                    lambda: client.list_snapshots(project))
        return self._snapshots[project].get(name)

    def _read(self, listing: Callable[[], Iterable[Any]]) -> dict[str, Any]:
        try:
            found = {item.name: item for item in listing()}
        except lb_errors.NotFound:
            # No such project: nothing is in it.
            found = {}
        self._progress(self._cluster.name, len(found))
        return found


class Planner:
    """Makes the plan of an adoption.

    :param clusters: those of the federation, by name.
    :param progress: told how many objects were read from a cluster.
    """

    def __init__(self, target: Target, clusters: Mapping[str, Cluster],
                 progress: Progress) -> None:
        self._target = target
        self._clusters = clusters
        self._progress = progress
        self._types = rows.types()
        self._changes: list[Change] = []
        self._blocked: list[Blocked] = []
        self._notes: list[str] = []

    def plan(self, sources: Iterable[Source],
             names: Mapping[str, str | None]) -> Plan:
        """Look at everything.

        :param names: ``volume_backend_name`` of each source, by host; None
            where no section says it.
        :raises LightbitsError: a cluster does not tell.
        """
        sources = tuple(sources)
        known: set[str] = set()
        for source in sources:
            known |= self._backend(source)
            name = names.get(source.host)
            if name:
                known.add(name)
        self._type_specs(known)
        return Plan(self._target.backend, self._target.host, sources,
                    tuple(self._changes), tuple(self._blocked),
                    tuple(self._notes))

    def _backend(self, source: Source) -> set[str]:
        """:returns: the pools that its rows name."""
        books = Database(source.host, source.host).read()
        shelf = _Shelf(self._clusters[source.cluster], self._progress)
        found = rows.volumes(source.host)
        projects: dict[str, str] = {}
        for record in books.volumes:
            row = found.get(record.id)
            if row is not None:
                projects[record.id] = self._project(row)
                self._volume(source, shelf, record, row,
                             projects[record.id])
        self._snapshots(source, shelf, books, projects)
        self._homes(source)
        if not books.volumes:
            self._notes.append(f'Cinder has no volume of {source.host}')
        return {row.host.partition('#')[2] for row in found.values()
                if '#' in (row.host or '')}

    def _project(self, row: Any) -> str:
        """The project of a volume, as the in-tree driver finds it."""
        recorded = (row.provider_id or '').split(' ')[0]
        if recorded:
            return recorded
        kind = self._types.get(row.volume_type_id or '', {})
        specs = kind.get('extra_specs') or {}
        return str(specs.get(PROJECT_NAME, DEFAULT_PROJECT))

    # Volumes and snapshots

    def _volume(self, source: Source, shelf: _Shelf, record: VolumeRecord,
                row: Any, project: str) -> None:
        before = _columns(row, 'host', 'cluster_name', 'provider_location',
                          'provider_id')
        if record.migrating or record.status not in AT_REST | IN_ERROR:
            self._block(Resource.VOLUME, record.id, record.name,
                        f'it is {record.status}'
                        + (', being migrated' if record.migrating else '')
                        + ': wait until that is over')
            return
        thing = shelf.volume(project, record.name)
        problem = self._problem(record, thing, row.provider_id, source)
        if problem is not None:
            self._block(Resource.VOLUME, record.id, record.name, problem)
            return
        after = {**before, **self._target.home(source.cluster)}
        if thing is not None:
            after |= _placed(source, record.name_id, project, thing.uuid)
        self._changes.append(Change(Resource.VOLUME, record.id, record.name,
                                    before, after))

    @staticmethod
    def _problem(record: VolumeRecord | SnapshotRecord,
                 thing: model.Volume | model.Snapshot | None,
                 provider_id: str | None, source: Source) -> str | None:
        """:returns: why an object is not the record's, None if it is."""
        if thing is None:
            # It may never have come to be, and is found by its name.
            return None if record.in_error else (
                f'cluster {source.cluster} has nothing of that name')
        recorded = (provider_id or '').partition(' ')[2]
        if recorded and recorded != thing.uuid:
            return (f'the record says {recorded}, and what has its name is '
                    f'{thing.uuid}')
        if (isinstance(record, VolumeRecord) and not record.in_error
                and thing.size < record.size):
            return (f'it has {thing.size} bytes on the cluster and '
                    f'{record.size} on record')
        if isinstance(thing, model.Volume) and thing.labels.get(
                ownership.LABEL_OWNER):
            return (f'it bears the mark of cloud '
                    f'{thing.labels[ownership.LABEL_OWNER]}')
        return None

    def _snapshots(self, source: Source, shelf: _Shelf, books: Books,
                   projects: Mapping[str, str]) -> None:
        found = rows.snapshots(source.host)
        for record in books.snapshots:
            row = found.get(record.id)
            if row is None:
                continue
            if record.in_flight:
                self._block(Resource.SNAPSHOT, record.id, record.name,
                            f'it is {record.status}: wait until that is '
                            f'over')
                continue
            project = projects.get(record.volume_id, DEFAULT_PROJECT)
            thing = shelf.snapshot(project, record.name)
            problem = self._problem(record, thing, None, source)
            if problem is not None:
                self._block(Resource.SNAPSHOT, record.id, record.name,
                            problem)
            elif thing is not None:
                before = _columns(row, 'provider_location', 'provider_id')
                self._changes.append(Change(
                    Resource.SNAPSHOT, record.id, record.name, before,
                    _placed(source, record.id, project, thing.uuid)))

    # What else names the backend

    def _homes(self, source: Source) -> None:
        home = self._target.home(source.cluster)
        for row in rows.groups(source.host):
            self._changes.append(Change(
                Resource.GROUP, row.id, row.name or '',
                _columns(row, 'host', 'cluster_name'), home))
        for row in rows.cache_entries(source.host):
            self._changes.append(Change(
                Resource.CACHE_ENTRY, str(row.id), row.volume_id,
                _columns(row, 'host', 'cluster_name'), home))

    def _type_specs(self, names: set[str]) -> None:
        """Have the types that chose one of the backends choose this one."""
        wanted = self._target.backend_name
        for row in rows.backend_specs():
            kind = self._types.get(row.volume_type_id)
            if kind is None:
                continue
            value = row.value or ''
            if value in names and value != wanted:
                self._changes.append(Change(
                    Resource.TYPE_SPEC, str(row.id), kind['name'],
                    {'value': value}, {'value': wanted}))
            elif value != wanted and names & set(value.split()):
                self._notes.append(
                    f'volume type {kind["name"]} chooses a backend by '
                    f'{rows.BACKEND_NAME}={value}: change it by hand')

    def _block(self, resource: Resource, row_id: str, name: str,
               problem: str) -> None:
        self._blocked.append(Blocked(resource, row_id, name, problem))


def _columns(row: Any, *names: str) -> dict[str, str | None]:
    return {name: getattr(row, name) for name in names}


def _placed(source: Source, name_id: str, project: str, uuid: str
            ) -> dict[str, str | None]:
    return {'provider_location': str(Location(
        source.cluster_uuid, name_id, project, uuid)),
        'provider_id': f'{project} {uuid}'}


def strangers(plan: Plan) -> Iterator[str]:
    """:returns: volumes that have joined the backend since.

    They stay when an adoption is taken back.
    """
    known = {item.id for item in plan.changes
             if item.resource is Resource.VOLUME}
    clusters = {item.cluster_uuid for item in plan.sources}
    for record in Database(plan.host, plan.host).read().volumes:
        place = record.location
        if (record.id not in known and place is not None
                and place.cluster_uuid in clusters):
            yield record.id
