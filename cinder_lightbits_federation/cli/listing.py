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

"""``volume`` and ``snapshot``: what is on the clusters, Cinder's or not."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import contextlib
import datetime
import io
import re
from typing import Any, Generic, TypeVar

from cinder_lightbits_federation.audit.arrays import projects_on
from cinder_lightbits_federation.audit.books import age_of
from cinder_lightbits_federation.audit.books import Books
from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.cinderdb import wanted_projects
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.catalogue import Catalogue
from cinder_lightbits_federation.cli.catalogue import Item
from cinder_lightbits_federation.cli.catalogue import Listing
from cinder_lightbits_federation.cli.catalogue import Source
from cinder_lightbits_federation.cli import clusters
from cinder_lightbits_federation.cli.columns import Age
from cinder_lightbits_federation.cli.columns import Names
from cinder_lightbits_federation.cli.columns import Size
from cinder_lightbits_federation.cli.kinds import Kind
from cinder_lightbits_federation.cli.kinds import SnapshotKind
from cinder_lightbits_federation.cli.kinds import VolumeKind
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import SilentError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli.progress import Tally
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.spec import is_uuid
from cinder_lightbits_federation.views import Use

T = TypeVar('T', bound=model.Volume | model.Snapshot)

_UUID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')

LIMIT = 100


class Objects(base.CommandMixin, Generic[T]):
    """What lists and shows have in common."""

    kind: Kind[T]

    def catalogue(self, source: Source[T], names: Sequence[str] = (),
                  projects: Sequence[str] = (), tally: Tally | None = None
                  ) -> Catalogue[T]:
        """:returns: the objects of some clusters and projects, or of all.

        :param tally: counts what is read.
        :raises UsageError: a cluster or a project has another name.
        """
        session = self.session
        registry = session.connect()
        for name in names:
            session.cluster(name)
        wanted = set(projects) or {session.settings.project,
                                   *wanted_projects()}
        asked = [cluster for cluster
                 in clusters.chosen(registry.clusters, names)
                 if cluster.allows(Use.ASK)]

        def local(cluster: Cluster) -> set[str]:
            return projects_on(cluster, wanted)

        return Catalogue(registry, asked, local, source, session.deadline,
                         tally or Tally(io.StringIO()))

    def rows(self, items: Sequence[Item[T]]) -> list[dict[str, Any]]:
        """:returns: all columns of some objects."""
        records = self._records(items)
        now = datetime.datetime.now(datetime.UTC)
        return [self._row(item, records.get(item.place), now)
                for item in items]

    def _row(self, item: Item[T], record: Record | None,
             now: datetime.datetime) -> dict[str, Any]:
        thing = item.thing
        owner = self.kind.marks(thing).get(ownership.LABEL_OWNER, '')
        return {
            'uuid': thing.uuid, 'name': thing.name,
            'cinder_id': record.id if record else '',
            'cluster': item.cluster.name,
            'cluster_uuid': item.cluster.uuid, 'project': item.project,
            'size': Size(thing.size), 'state': thing.state.value,
            'ours': owner == self.session.owner.federation_id,
            'owner': owner, 'replicas': thing.replicas,
            'compression': thing.compression,
            'sector_size': thing.sector_size,
            'labels': Names([f'{key}={value}' for key, value
                             in sorted(thing.labels.items())]),
            'created_at': thing.created_at,
            'age': Age(age_of(thing.created_at, now)),
            'physical_owned': Size(thing.physical_owned),
            **self.kind.details(thing)}

    def _records(self, items: Sequence[Item[T]]
                 ) -> dict[tuple[str, str], Record]:
        """:returns: the records of objects, by place."""
        ids = {self.kind.marks(item.thing).get(ownership.LABEL_ID)
               or uuid_in(item.thing.name) for item in items}
        found = self._of_kind(self.session.database.again(ids - {''}))
        by_key = {record.key: record for record in found}
        known: dict[tuple[str, str], Record] = {}
        for item in items:
            marks = self.kind.marks(item.thing)
            record = by_key.get(marks.get(ownership.LABEL_ID)
                                or uuid_in(item.thing.name))
            if record is not None and _is_at(record, item):
                known[item.place] = record
        # Adopted ones bear neither the name nor the mark of their record.
        strange = [item.place for item in items if item.place not in known]
        for record in self._of_kind(self.session.database.at(strange)):
            place = record.location
            if place is not None:
                known[place.cluster_uuid, place.object_uuid or ''] = record
        return known

    def _of_kind(self, books: Books) -> list[Record]:
        return [record for record in (*books.records, *books.elsewhere)
                if self.kind.is_record(record)]


def uuid_in(name: str) -> str:
    """:returns: the UUID in a name, empty if there is none."""
    found = _UUID.search(name)
    return found[0] if found else ''


def _is_at(record: Record, item: Item[T]) -> bool:
    place = record.location
    return (place is None or place.object_uuid is None
            or (place.cluster_uuid, place.object_uuid) == item.place)


class ObjectList(Objects[T], base.ListCommand):
    """Lists objects of one kind."""

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--cluster', action='append', default=[], metavar='NAME',
            help='Only on this cluster (name or UUID); may be repeated.')
        parser.add_argument(
            '--project', action='append', default=[], metavar='NAME',
            help='Only of this Lightbits project, by its name in Cinder; '
                 'may be repeated. Default: lightbits_project and those of '
                 'volume types.')
        parser.add_argument(
            '--all-states', action='store_true',
            help='Also those that are being deleted.')
        parser.add_argument(self.kind.origin, dest='origin', metavar='ID',
                            help=self.kind.origin_help)
        parser.add_argument(
            '--limit', type=base.at_least(0), default=LIMIT, metavar='N',
            help='How many at most, 0 for all. Default: %(default)s.')
        parser.add_argument(
            '--marker', metavar='UUID', type=str.lower,
            help='List those after this one, the last of the page before.')
        base.add_long(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Read a page, and find out which records the objects belong to."""
        if parsed_args.marker and not is_uuid(parsed_args.marker):
            raise UsageError(f'--marker: {parsed_args.marker!r} is not a '
                             f'UUID')
        origin = parsed_args.origin and self.origin_of(parsed_args.origin)
        source = self.kind.source(
            parsed_args.all_states, origin,
            getattr(parsed_args, 'failure_domain', None))
        with contextlib.closing(Tally(self.app.stderr)) as tally:
            page = self.catalogue(
                source, parsed_args.cluster, parsed_args.project, tally
            ).page(parsed_args.limit, parsed_args.marker)
        self.tell_silent(self.session.registry, dict(page.silent))
        if page.more is not None:
            self.say(f'There are more: --marker {page.more}')
        rows = self.rows(page.items)
        columns = self.kind.short
        if base.in_full(parsed_args) and rows:
            columns = tuple(rows[0])
        return columns, [[row[column] for column in columns]
                         for row in rows]

    def origin_of(self, wanted: str) -> str:
        """:returns: UUID of what objects were made of.

        :raises UsageError: several are called that.
        :raises FailedError, SilentError: none is.
        """
        raise NotImplementedError


def the_uuid(finder: ObjectShow[Any], wanted: str) -> str:
    """:returns: UUID on its cluster of what is called so.

    A UUID that is nowhere may be that of something that was deleted.

    :raises UsageError: several are called that.
    :raises FailedError, SilentError: none is.
    """
    if is_uuid(wanted) and not finder.find(wanted).items:
        return wanted.lower()
    return str(finder.one(wanted).thing.uuid)


class ObjectShow(Objects[T], base.ShowCommand):
    """Shows one object."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the argument of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'object', metavar='ID',
            help='ID in Cinder, or UUID or name on the cluster.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Find the object, its record first."""
        item = self.one(parsed_args.object)
        fields = self.rows([item])[0]
        fields.update(self._recorded(fields['cinder_id']))
        return tuple(fields), tuple(fields.values())

    def one(self, wanted: str) -> Item[T]:
        """Find the one object that is meant; see `find`.

        :raises FailedError, SilentError: there is none.
        :raises UsageError: there are several.
        """
        found = self.find(wanted)
        self.tell_silent(self.session.registry, dict(found.silent))
        if not found.items:
            told = f'no {self.kind.word} {wanted} was found'
            raise SilentError(told) if found.silent else FailedError(told)
        if len(found.items) > 1:
            places = ', '.join(f'{item.thing.uuid} on {item.cluster.name}'
                               for item in found.items)
            raise UsageError(f'{wanted} is several objects: {places}; name '
                             f'one by its UUID')
        return found.items[0]

    def find(self, wanted: str) -> Listing[T]:
        """:returns: what has this name, UUID on a cluster or ID in Cinder."""
        catalogue = self.catalogue(self.kind.source(True, None))
        if not is_uuid(wanted):
            return catalogue.by_name(wanted)
        uuid = wanted.lower()
        for record in self._of_kind(self.session.database.again({uuid})):
            place = record.location
            if place is None or place.object_uuid is None:
                return catalogue.by_name(record.name)
            return self._at(place, place.object_uuid)
        return catalogue.by_uuid(uuid)

    def _at(self, place: Location, uuid: str) -> Listing[T]:
        """:raises SilentError: the recorded cluster is never asked."""
        registry = self.session.registry
        cluster = registry.by_uuid(place.cluster_uuid)
        if not cluster.allows(Use.ASK):
            raise SilentError(f'it is recorded on cluster {cluster.name}, '
                              f'which is declared lost')
        return Catalogue(
            registry, [cluster], lambda _cluster: {place.project},
            self.kind.source(True, None), self.session.deadline).by_uuid(uuid)

    def _recorded(self, cinder_id: str) -> dict[str, Any]:
        records = self._of_kind(self.session.database.again({cinder_id}))
        record = records[0] if cinder_id and records else None
        return {
            'cinder_status': record.status if record else '',
            'cinder_size': Size(record.size if record else None),
            'cinder_host': record.host if record else '',
            'provider_location': (record.provider_location or ''
                                  if record else '')}


class VolumeShow(ObjectShow[model.Volume]):
    """Show one volume, on the cluster and in Cinder."""

    kind = VolumeKind()


class SnapshotShow(ObjectShow[model.Snapshot]):
    """Show one snapshot, on the cluster and in Cinder."""

    kind = SnapshotKind()


class VolumeList(ObjectList[model.Volume]):
    """List volumes of all clusters, Cinder's and others'.

    Exit code 3: some cluster could not be asked.
    """

    kind = VolumeKind()

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what only volumes have."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--failure-domain', metavar='NAME',
            help='Only those with a replica in this failure domain.')
        return parser

    def origin_of(self, wanted: str) -> str:
        """See `ObjectList`."""
        return the_uuid(SnapshotShow(self.app, self.app_args), wanted)


class SnapshotList(ObjectList[model.Snapshot]):
    """List snapshots of all clusters, Cinder's and others'.

    Exit code 3: some cluster could not be asked.
    """

    kind = SnapshotKind()

    def origin_of(self, wanted: str) -> str:
        """See `ObjectList`."""
        return the_uuid(VolumeShow(self.app, self.app_args), wanted)
