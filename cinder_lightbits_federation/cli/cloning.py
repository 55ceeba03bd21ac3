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

"""``volume clone`` and ``snapshot clone``: thick clones, on any cluster.

The volume services make them, as jobs: they have the devices.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import secrets
from typing import Any, Generic, TypeVar

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.catalogue import Item
from cinder_lightbits_federation.cli.columns import Ratio
from cinder_lightbits_federation.cli.columns import Size
from cinder_lightbits_federation.cli import consent
from cinder_lightbits_federation.cli.kinds import SnapshotKind
from cinder_lightbits_federation.cli.kinds import VolumeKind
from cinder_lightbits_federation.cli.listing import ObjectShow
from cinder_lightbits_federation.cli.outcome import FailedError
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli import progress
from cinder_lightbits_federation.cli import runs
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.copy.thick import RESULT
from cinder_lightbits_federation.copy.wanted import FREE_CLONE
from cinder_lightbits_federation.copy.wanted import THICK_CLONE
from cinder_lightbits_federation.copy.wanted import Wanted
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.jobs.model import UNFINISHED
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.placement import PlacementRequest
from cinder_lightbits_federation.placer import Placer
from cinder_lightbits_federation.sizes import bytes_to_gib_ceil
from cinder_lightbits_federation.sizes import GIB
from cinder_lightbits_federation.sizes import gib_to_bytes
from cinder_lightbits_federation.sizes import MIB
from cinder_lightbits_federation.spec import VolumeSpec
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.timing import wait_until

T = TypeVar('T', bound=model.Volume | model.Snapshot)

# What a cluster lets a volume be called.
NAME = re.compile(r'[A-Za-z0-9._-]{1,253}')
# Longer than any copy takes.
PATIENCE = 365 * 86400.0


class _Clone(ObjectShow[T], Generic[T]):

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        _add_target(parser)
        parser.add_argument(
            '--rate', type=base.at_least(0), default=None, metavar='MIB',
            help='MiB per second at most, 0 for no limit. Default: '
                 'lightbits_copy_rate.')
        group = parser.add_mutually_exclusive_group()
        group.add_argument('--type', metavar='NAME',
                           help='Volume type in Cinder, by name or ID. '
                                'Default: that of Cinder.')
        group.add_argument(
            '--unmanaged', action='store_true',
            help='Do not register it in Cinder: it bears --name on the '
                 'cluster and is marked as nobody\'s.')
        consent.add_asking(parser)
        parser.add_argument('--wait', action='store_true',
                            help='Wait until the job has ended.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Fields:
        """Check what is asked for, and queue the job."""
        _check(parsed_args)
        if not parsed_args.unmanaged:
            runs.check_service_calls_cinder(
                self.session, 'register the clone in Cinder',
                'use --unmanaged')
        item = self.one(parsed_args.object)
        cluster = self._cluster(parsed_args.cluster)
        wanted = self._wanted(parsed_args, item, cluster)
        self._check_room(wanted, cluster)
        if parsed_args.unmanaged:
            self._check_name(wanted, cluster)
        told = {'source': f'{item.thing.name} ({item.thing.uuid})',
                'source_cluster': item.cluster.name,
                'cluster': cluster.name, 'project': wanted.project,
                'name': wanted.name, 'size': Size(wanted.size),
                'replicas': wanted.replicas,
                'managed': not parsed_args.unmanaged}
        if parsed_args.dry_run:
            return tuple(told), tuple(told.values())
        if not consent.ask(self, parsed_args, (
                f'Copy {item.thing.name} of cluster {item.cluster.name} to '
                f'volume {wanted.name} on cluster {cluster.name}')):
            raise FailedError('nothing was changed')
        job = self._queued(wanted, cluster, parsed_args.unmanaged)
        if parsed_args.wait:
            job = self._ended(job)
        told |= _told(job)
        return tuple(told), tuple(told.values())

    def _cluster(self, name: str) -> Cluster:
        try:
            found = self.session.cluster(name)
        except UsageError as exc:
            raise UsageError(f'--cluster: {exc}') from exc
        if found.uuid is None:
            raise FailedError(f'--cluster: {found.name} was not reached: '
                              f'{found.status.reason or "no answer"}')
        return found

    def _wanted(self, given: argparse.Namespace, item: Item[T],
                cluster: Cluster) -> Wanted:
        thing = item.thing
        size = gib_to_bytes(given.size or bytes_to_gib_ceil(thing.size))
        if size < thing.size:
            raise UsageError(
                f'--size: {given.size} GiB are less than the '
                f'{thing.size / GIB:.6g} GiB of {thing.name}')
        return Wanted(
            source=thing.uuid, snapshot=isinstance(thing, model.Snapshot),
            source_cluster=item.cluster.uuid or '',
            source_project=item.project, cluster=cluster.uuid or '',
            project=given.project or self.session.settings.project,
            name=given.name, size=size,
            replicas=given.num_replicas or thing.replicas,
            rate=None if given.rate is None else given.rate * MIB,
            volume_type=given.type)

    def _check_room(self, wanted: Wanted, cluster: Cluster) -> None:
        """:raises FailedError: the cluster would not take it now."""
        placer = Placer(self.session.registry, secrets.randbits(64))
        decision, held = placer.place(PlacementRequest(
            size=wanted.size, replicas=wanted.replicas,
            project=wanted.project, spec=VolumeSpec(
                project=wanted.project, replicas=wanted.replicas),
            only=frozenset((wanted.cluster,))), self.session.deadline())
        if held is None:
            why = '; '.join(entry.reason for entry in decision.rejected
                            if entry.name == cluster.name)
            raise FailedError(
                f'--cluster: {cluster.name} does not take a volume of '
                f'{wanted.size // GIB} GiB with {wanted.replicas} replicas '
                f'in project {wanted.project}: {why or decision.explain()}')
        placer.reservations.release(held)

    def _check_name(self, wanted: Wanted, cluster: Cluster) -> None:
        deadline = self.session.deadline()
        with cluster.api(deadline) as client:
            found = client.find_volume(
                cluster.settings.project(wanted.project), wanted.name,
                deadline=deadline)
        if found is not None:
            raise UsageError(f'--name: a volume {wanted.name} '
                             f'({found.uuid}) is on cluster {cluster.name} '
                             f'already')

    def _queued(self, wanted: Wanted, cluster: Cluster, unmanaged: bool
                ) -> Job:
        """:raises AlreadyUnderWay: another of that name is being made."""
        kind = FREE_CLONE if unmanaged else THICK_CLONE
        job = runs.queued(self.session, kind,
                          f'{wanted.name} on {cluster.name}', wanted.dump())
        self.say(f'Job {job.id} is left to the volume service: '
                 f'lightbits-federation job show {job.id}')
        return job

    def _ended(self, job: Job) -> Job:
        """Wait for the end of a job, telling how far it is.

        An interrupt ends the waiting; the job goes on.

        :raises FailedError: it was not done.
        """
        book = self.session.shared.book
        gauge = progress.Gauge(self.app.stderr)

        def look() -> Job | None:
            now = book.get(job.id)
            share = ('' if now.share is None
                     else f': {Ratio(now.share).human_readable()}')
            gauge.show(now.share, f'{now.state.value}{share}')
            return None if now.state in UNFINISHED else now

        with contextlib.closing(gauge):
            ended = wait_until(look, Deadline.after(PATIENCE),
                               f'the end of job {job.id}')
        if ended.state is not JobState.DONE:
            raise FailedError(f'job {job.id} is {ended.state.value}: '
                              f'{ended.error or "it was asked to end"}')
        return ended


class VolumeClone(_Clone[model.Volume]):
    """Copy a volume as it is now to a new one on a cluster of choice.

    The volume may be in use. Exit code 4: it cannot be copied there, or,
    with --wait, the job was not done.
    """

    kind = VolumeKind()


class SnapshotClone(_Clone[model.Snapshot]):
    """Copy a snapshot to a new volume on a cluster of choice.

    Exit code 4: it cannot be copied there, or, with --wait, the job was not
    done.
    """

    kind = SnapshotKind()


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--cluster', required=True, metavar='NAME',
        help='Cluster that gets the clone (name or UUID); may be that of '
             'the source.')
    parser.add_argument(
        '--name', required=True, metavar='NAME',
        help='Name of the new volume: in Cinder, where it belongs to the '
             'project of lightbits_os_cloud, or with --unmanaged on the '
             'cluster.')
    parser.add_argument(
        '--project', metavar='NAME',
        help='Lightbits project of the clone, by its name in Cinder. '
             'Default: lightbits_project.')
    parser.add_argument('--size', type=int, default=None, metavar='GIB',
                        help='Size of the clone. Default: of the source.')
    parser.add_argument(
        '--num-replicas', type=int, default=None, metavar='N',
        choices=(1, 2, 3),
        help='Replicas of the clone, 1 to 3. Default: as the source has.')


def _check(given: argparse.Namespace) -> None:
    """:raises UsageError: an option makes no sense."""
    if given.size is not None and given.size < 1:
        raise UsageError('--size is at least 1')
    if given.unmanaged and not NAME.fullmatch(given.name):
        raise UsageError(
            f'--name: {given.name!r} is none that a cluster takes: 1 to 253 '
            f'of letters, digits, ".", "_" and "-"')
    if not given.name.strip() or len(given.name) > 255:
        raise UsageError('--name has 1 to 255 characters')


def _told(job: Job) -> dict[str, Any]:
    """:returns: what a job has come to."""
    result = job.checkpoint.get(RESULT, {})
    return {'job': job.id, 'state': job.state.value,
            'uuid': result.get('uuid', ''),
            'cinder_id': result.get('volume_id', '')}
