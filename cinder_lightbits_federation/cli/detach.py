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

"""``cluster detach``: take a cluster out of the backend when it is empty."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
import contextlib
from typing import Any

from cinder_lightbits_federation.audit.arrays import projects_on
from cinder_lightbits_federation.cinderdb import wanted_projects
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli import catalogue
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli import dropins
from cinder_lightbits_federation.cli.listing import uuid_in
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.outcome import SilentError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli import recording
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.jobs import commands
from cinder_lightbits_federation.options import CLUSTER_PREFIX
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.service import WATCH_INTERVAL
from cinder_lightbits_federation.store.services import ALIVE
from cinder_lightbits_federation.store.services import Knowledge
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import DeadlineExceeded
from cinder_lightbits_federation.timing import wait_until
from cinder_lightbits_federation.views import AdminState
from cinder_lightbits_federation.views import Use

COLUMNS = ('resource', 'cinder_id', 'uuid', 'name', 'project', 'evidence')

VOLUME, SNAPSHOT = 'volume', 'snapshot'
# The records, and both of these on the cluster.
LOOKS = 3
# With the change, what services go by before all that, and the change.
STEPS = LOOKS + 2
# Seconds that services have for applying a state that was set just now.
PATIENCE = 2 * WATCH_INTERVAL


class InUse(Exception):
    """Something of ours is on the cluster."""


class ClusterDetach(base.ListCommand):
    """Take a cluster out of the backend, once nothing of ours is there.

    Lists what is. Without --yes nothing is changed. With it, waits some
    seconds for services that still place new volumes there. Exit code 1:
    something of ours is there; 2: it still takes new volumes; 3: it could not
    be asked.
    """

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('cluster', metavar='NAME',
                            help='Name or UUID of the cluster.')
        consent.add_deciding(parser, 'Detach the cluster if it is empty.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Ask Cinder and the cluster, then remove the section."""
        session = self.session
        session.connect()
        cluster = session.cluster(parsed_args.cluster)
        if cluster.admin_state is AdminState.ENABLED:
            if parsed_args.yes:
                raise UsageError(_open(cluster))
            self.say(f'--yes is refused: {_open(cluster)}.')
        rows: list[dict[str, Any]] = []
        try:
            with self._job(parsed_args, cluster) as steps:
                if parsed_args.yes:
                    steps.begin('services')
                    self._see_closed(cluster)
                self._look(cluster, rows, steps)
                if parsed_args.yes:
                    steps.begin(commands.WRITE)
                    self._detach(cluster)
                    self._tell_left(cluster)
                else:
                    self.say(f'Nothing of ours is on cluster {cluster.name}; '
                             f'--yes detaches it.')
        except InUse:
            self.settle_for(Outcome.FINDINGS)
            self.say(f'Cluster {cluster.name} is not detached: what is '
                     f'listed is there. Move or delete it first.')
        return COLUMNS, [[row[column] for column in COLUMNS]
                         for row in rows]

    def _job(self, given: argparse.Namespace, cluster: Cluster
             ) -> contextlib.AbstractContextManager[recording.Steps]:
        if not given.yes:
            return recording.shown(self, LOOKS)
        return recording.recorded(self, commands.DETACH, cluster.name, {
            'cluster_uuid': cluster.uuid}, STEPS)

    def _see_closed(self, cluster: Cluster) -> None:
        """Wait until no live service places new volumes there.

        What is looked for afterwards is all there will be: services apply a
        state some time after it was set, and go on with what they placed.

        :raises UsageError: one still does.
        :raises FailedError: nobody can tell.
        """
        services = self.session.shared.services
        placing: list[str] = []

        def look() -> bool | None:
            first = not placing
            placing[:] = _placing(services.all(), cluster)
            if placing and first:
                self.say(f'Waiting for {", ".join(placing)}, which still '
                         f'place new volumes on cluster {cluster.name}.')
            return None if placing else True

        try:
            wait_until(look, Deadline.after(PATIENCE), 'the services')
        except DeadlineExceeded:
            raise UsageError(
                f'cluster {cluster.name} still takes new volumes: '
                f'{", ".join(placing)} go by enabled. "cluster status" tells '
                f'when they do not; one that has died counts as live for '
                f'{ALIVE:.0f} seconds') from None
        except errors.StoreUnavailable as exc:
            raise FailedError(
                f'cluster {cluster.name} is not detached: nobody can tell '
                f'whether services still place volumes there. {exc}'
                ) from exc

    def _look(self, cluster: Cluster, rows: list[dict[str, Any]],
              steps: recording.Steps) -> None:
        """Ask Cinder and the cluster what is there.

        :param rows: get what is there.
        :raises InUse: something is.
        """
        steps.begin('records')
        rows += self._recorded(cluster)
        known = {row['uuid'] for row in rows}
        if cluster.allows(Use.ASK):
            rows += [row for row in self._found(cluster, steps)
                     if row['uuid'] not in known]
        if rows:
            raise InUse(f'{len(rows)} volumes and snapshots are there')

    def _recorded(self, cluster: Cluster) -> Iterator[dict[str, Any]]:
        """What Cinder's records place there."""
        books = self.session.database.read()
        for word, records in ((VOLUME, books.volumes),
                              (SNAPSHOT, books.snapshots)):
            for item in records:
                place = item.location
                if place is not None and place.cluster_uuid == cluster.uuid:
                    yield _row(word, item.id, place.object_uuid or '',
                               item.name, place.project, 'record')

    def _found(self, cluster: Cluster, steps: recording.Steps
               ) -> Iterator[dict[str, Any]]:
        """What the cluster itself has.

        :raises SilentError: it does not tell all.
        """
        session = self.session
        wanted = {session.settings.project, *wanted_projects()}

        def local(item: Cluster) -> set[str]:
            return projects_on(item, wanted)

        for word, source in ((VOLUME, catalogue.Volumes()),
                             (SNAPSHOT, catalogue.Snapshots())):
            steps.begin(f'{word}s')
            page: catalogue.Listing[Any] = catalogue.Catalogue[Any](
                session.registry, [cluster], local, source,
                session.deadline).page(0)
            if base.is_silent(cluster) or page.silent:
                why = cluster.status.reason or '; '.join(
                    f'{name}: {text}' for name, text in page.silent.items())
                raise SilentError(
                    f'cluster {cluster.name} is not detached: nobody can '
                    f'tell what is there. {why}')
            yield from self._ours(word, page)

    def _ours(self, word: str, page: catalogue.Listing[Any]
              ) -> Iterator[dict[str, Any]]:
        ids = {uuid_in(item.thing.name) for item in page.items} - {''}
        unplaced = {record.id for record
                    in self.session.database.again(ids).records
                    if record.location is None}
        for item in page.items:
            thing = item.thing
            marks = (thing.labels if word == VOLUME else
                     ownership.read_description(thing.description))
            mine = marks.get(ownership.LABEL_OWNER)
            if mine == self.session.owner.federation_id:
                why = 'mark of this cloud'
            elif mine is None and uuid_in(thing.name) in unplaced:
                why = 'name of a record without a place'
            else:
                continue
            yield _row(word, marks.get(ownership.LABEL_ID)
                       or uuid_in(thing.name), thing.uuid, thing.name,
                       item.project, why)

    def _detach(self, cluster: Cluster) -> None:
        session = self.session
        if len(session.registry.clusters) == 1:
            self.say('This is the last cluster: services that run go on '
                     'with it until they are stopped.')
        listed = session.sections.listed(session.backend)
        drop_ins = session.drop_ins
        if (listed is None and drop_ins.obstacle() is None
                and drop_ins.read(cluster.name) is not None):
            self.say(f'Removed: {drop_ins.remove(cluster.name)}. Remove it '
                     f'from the other hosts, too.')
            return
        where = dropins.holders(cluster.name, session.files, session.dirs)
        self.say(f'Nothing was changed; remove by hand '
                 f'[{CLUSTER_PREFIX}{cluster.name}] from '
                 f'{", ".join(where)}.')
        if listed is not None:
            self.say(f'In [{session.backend}] set first: '
                     f'lightbits_clusters = ' + ', '.join(
                         name for name in listed if name != cluster.name))


    def _tell_left(self, cluster: Cluster) -> None:
        """Say what stays with other backends."""
        entry = self.session.shared.seen.states.get(cluster.name)
        if entry is not None and entry.about(cluster.uuid):
            self.say(f'Where other backends have cluster {cluster.name}, it '
                     f'stays {entry.state.value} until "cluster set '
                     f'{cluster.name} --reset" is given for one of them.')


def _open(cluster: Cluster) -> str:
    """:returns: that a cluster takes new volumes, and what to do first."""
    return (
        f'cluster {cluster.name} still takes new volumes. Give "cluster set '
        f'{cluster.name} --drain --reason WHY" first, or --disable: that '
        f'holds for all backends of this cloud which have the cluster, until '
        f'--reset. Or set admin_state = disabled in its section on all '
        f'hosts, which holds for the backends that read it')


def _placing(services: Iterable[Knowledge], cluster: Cluster) -> list[str]:
    """:returns: the live services that place new volumes on a cluster.

    Another cluster that a service knows by the same name is not it.
    """
    found = []
    for service in services:
        known = service.clusters.get(cluster.name)
        if (service.alive and known is not None
                and known.state == AdminState.ENABLED.value
                and (not known.uuid or cluster.uuid in (None, known.uuid))):
            found.append(service.host)
    return found


def _row(word: str, cinder_id: str, uuid: str, name: str, project: str,
         why: str) -> dict[str, Any]:
    return {'resource': word, 'cinder_id': cinder_id, 'uuid': uuid,
            'name': name, 'project': project, 'evidence': why}
