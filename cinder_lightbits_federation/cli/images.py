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

"""Masters of golden images on all clusters."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import dataclasses
import datetime
from typing import Any

from cinder_lightbits_federation.audit.arrays import projects_on
from cinder_lightbits_federation.audit.books import age_of
from cinder_lightbits_federation.cinderdb import wanted_projects
from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli import clusters
from cinder_lightbits_federation.cli.columns import Age
from cinder_lightbits_federation.cli.columns import Size
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.outcome import SilentError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.goldenrules import Master
from cinder_lightbits_federation.masters import Masters
from cinder_lightbits_federation.masters import TROUBLE
from cinder_lightbits_federation.views import Use

SHORT = ('image_id', 'cluster', 'uuid', 'project', 'size', 'clones', 'age',
         'idle', 'ready')
REMOVED = 'removed'
KEPT = 'kept'


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """A master, where it is, and how many volumes were cloned from it."""

    cluster: Cluster
    master: Master
    clones: int

    def called(self, wanted: str) -> bool:
        """Whether somebody may mean it: the image, or its own UUID."""
        return wanted in (self.master.image_id, self.master.volume.uuid)


def row_of(item: Item, now: datetime.datetime) -> dict[str, Any]:
    """:returns: all columns of a master."""
    master, volume = item.master, item.master.volume
    return {
        'image_id': master.image_id, 'cluster': item.cluster.name,
        'uuid': volume.uuid, 'project': volume.project,
        'size': Size(volume.size), 'clones': item.clones,
        'age': Age(age_of(volume.created_at, now)),
        'idle': Age(master.idle(now.timestamp())), 'ready': master.ready,
        'name': volume.name, 'cluster_uuid': item.cluster.uuid or '',
        'snapshot_uuid': master.snapshot_uuid or '',
        'state': volume.state.value, 'replicas': volume.replicas,
        'compression': volume.compression,
        'sector_size': volume.sector_size,
        'created_at': volume.created_at,
        'physical_owned': Size(volume.physical_owned)}


class ImageCommand(base.CommandMixin):
    """What the commands have in common."""

    def add_cluster(self, parser: argparse.ArgumentParser) -> None:
        """Add the option that all have."""
        parser.add_argument(
            '--cluster', action='append', default=[], metavar='NAME',
            help='Only on this cluster (name or UUID); may be repeated.')

    def masters(self, names: Sequence[str]) -> list[Item]:
        """Read the masters of some clusters, or of all.

        :raises UsageError: a cluster has another name.
        """
        session = self.session
        registry = session.connect()
        for name in names:
            session.cluster(name)
        wanted = {session.settings.project, *wanted_projects()}
        known = Masters(session.owner)
        asked = [cluster for cluster
                 in clusters.chosen(registry.clusters, names)
                 if cluster.allows(Use.ASK)]

        def question(cluster: Cluster) -> list[Item]:
            return [Item(cluster, master, len(known.clones(cluster, master)))
                    for master in known.all(cluster, projects_on(cluster,
                                                                 wanted))]

        answers = registry.ask(asked, question, session.deadline())
        self.tell_silent(registry, dict(answers.silent))
        return sorted(
            (item for found in answers.given.values() for item in found),
            key=lambda item: (item.master.image_id, item.cluster.name,
                              item.master.volume.name))

    def named(self, wanted: str, names: Sequence[str]) -> list[Item]:
        """Find the masters somebody means.

        :raises FailedError: there is none.
        :raises SilentError: there may be one on a cluster that is silent.
        """
        found = [item for item in self.masters(names) if item.called(wanted)]
        if not found:
            told = f'no master of image {wanted} was found'
            raise (SilentError(told) if self.outcome is Outcome.SILENT
                   else FailedError(told))
        return found


class ImageList(ImageCommand, base.ListCommand):
    """List the masters of golden images.

    Exit code 3: some cluster could not be asked.
    """

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        self.add_cluster(parser)
        base.add_long(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Ask all clusters at once."""
        now = datetime.datetime.now(datetime.UTC)
        rows = [row_of(item, now)
                for item in self.masters(parsed_args.cluster)]
        full = base.in_full(parsed_args) and rows
        columns = tuple(rows[0]) if full else SHORT
        return columns, [[row[column] for column in columns]
                         for row in rows]


class ImageShow(ImageCommand, base.ShowCommand):
    """Show one master of a golden image.

    Exit code 3: some cluster could not be asked.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the argument and the option of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('image', metavar='ID',
                            help='ID of the image, or UUID of its master on '
                                 'the cluster.')
        self.add_cluster(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Find the master on all clusters."""
        found = self.named(parsed_args.image, parsed_args.cluster)
        if len(found) > 1:
            places = ', '.join(f'{item.master.volume.uuid} on '
                               f'{item.cluster.name}' for item in found)
            raise UsageError(f'{parsed_args.image} has several masters: '
                             f'{places}; name one by its UUID')
        fields = row_of(found[0], datetime.datetime.now(datetime.UTC))
        return tuple(fields), tuple(fields.values())


class ImageDelete(ImageCommand, base.ListCommand):
    """Remove the masters of an image; no volume depends on them.

    The next volume of the image is downloaded again. Exit code 4: a master
    stays, the result says why; 3: some cluster could not be asked.
    """

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the argument and the option of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('image', metavar='ID',
                            help='ID of the image, or UUID of one master on '
                                 'the cluster.')
        self.add_cluster(parser)
        consent.add_asking(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Ask, and remove them one after the other."""
        columns = ('image_id', 'cluster', 'uuid', 'result')
        found = self.named(parsed_args.image, parsed_args.cluster)
        going = not parsed_args.dry_run and consent.ask(
            self, parsed_args, f'Remove {len(found)} masters of image '
            f'{found[0].master.image_id}')
        return columns, [
            (item.master.image_id, item.cluster.name, item.master.volume.uuid,
             self._remove(item) if going else KEPT) for item in found]

    def _remove(self, item: Item) -> str:
        try:
            Masters(self.session.owner).remove(
                item.cluster, item.master, self.session.deadline())
        except TROUBLE as exc:
            self.settle_for(Outcome.FAILED)
            return str(exc)
        return REMOVED
