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

"""``placement explain``: where new volumes would go, and why."""

from __future__ import annotations

import argparse
import collections
from collections.abc import Callable, Iterator, Mapping
import dataclasses
import secrets
import types
from typing import Any

from cinder import context as cinder_context
from cinder import exception as cinder_exception
from cinder.volume import volume_types

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Ratio
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.placement import Decision
from cinder_lightbits_federation.placement import PlacementRequest
from cinder_lightbits_federation.placer import Placer
from cinder_lightbits_federation import records
from cinder_lightbits_federation.reservations import Reservation
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation.sizes import gib_to_bytes
from cinder_lightbits_federation.spec import VolumeSpec
from cinder_lightbits_federation.timing import Deadline

COLUMNS = ('rank', 'cluster', 'uuid', 'verdict', 'ratio', 'placed', 'reason')


@dataclasses.dataclass(frozen=True, slots=True)
class Outlook:
    """What would become of some creates.

    :param first: the decision about the first of them.
    :param last: the decision about the last one that was looked at.
    :param placed: how many would go to a cluster, by its UUID.
    """

    first: Decision
    last: Decision
    placed: Mapping[str, int]


class PlacementExplain(base.ListCommand):
    """Explain where new volumes would go. Creates nothing.

    Uses the driver's own code and fresh statistics. Exit code 1: not all of
    the volumes would find a cluster.
    """

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('--size', type=int, required=True, metavar='GIB',
                            help='Size of a volume.')
        parser.add_argument('--count', type=int, default=1, metavar='N',
                            help='How many of them, one after the other. '
                                 'Default: %(default)s.')
        group = parser.add_mutually_exclusive_group()
        group.add_argument('--type', metavar='NAME',
                           help='Volume type, by name or ID.')
        group.add_argument('--type-properties', action='extend', nargs='+',
                           default=[], metavar='KEY=VALUE',
                           help='Extra specs to try without a type.')
        parser.add_argument('--project', metavar='ID',
                            help='Project in Cinder, whose volumes count '
                                 'for lightos:spread_group.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Choose as often as asked, with reservations."""
        request = _request(parsed_args, self.session.settings)
        registry = self.session.connect()
        # Near-ties only.
        placer = Placer(registry, secrets.randbits(64))
        outlook = look_ahead(placer, request, parsed_args.count,
                             self.session.deadline)
        if self.session.settings.pools is PoolMode.CLUSTER:
            self.say('lightbits_pools is cluster: the scheduler chooses '
                     'among the pools, and the driver obeys.')
        self.say(outlook.first.explain())
        missing = parsed_args.count - sum(outlook.placed.values())
        if missing:
            self.settle_for(Outcome.FINDINGS)
            self.say(f'{missing} of {parsed_args.count} volumes find no '
                     f'cluster: {outlook.last.explain()}')
        return COLUMNS, list(_rows(outlook))


def look_ahead(placer: Placer, request: PlacementRequest, count: int,
               patience: Callable[[], Deadline]) -> Outlook:
    """Place volumes one after the other, as if they were created.

    Each is reserved while the next is placed; in the end all is given back.

    :param patience: gives the deadline of one choice.
    """
    placed: collections.Counter[str] = collections.Counter()
    held: list[Reservation] = []
    first: Decision | None = None
    try:
        while True:
            last, reserved = placer.place(dataclasses.replace(
                request, spread_counts=collections.Counter(
                    request.spread_counts) + placed), patience())
            first = first or last
            if reserved is None:
                break
            held.append(reserved)
            placed[reserved.cluster_uuid] += 1
            if placed.total() >= count:
                break
    finally:
        for item in held:
            placer.reservations.release(item)
    return Outlook(first, last, placed)


def _request(parsed_args: argparse.Namespace, settings: FederationSettings
             ) -> PlacementRequest:
    if parsed_args.size < 1 or parsed_args.count < 1:
        raise UsageError('--size and --count are at least 1')
    spec = VolumeSpec.from_extra_specs(_extra_specs(parsed_args))
    counts: Mapping[str, int] = {}
    if parsed_args.project is not None:
        counts = records.spread(types.SimpleNamespace(
            id='', project_id=parsed_args.project),
            spec.spread_group).counts
    return PlacementRequest(
        size=gib_to_bytes(parsed_args.size),
        replicas=spec.replica_count(settings.default_replicas),
        project=spec.project or settings.project, spec=spec,
        spread_counts=counts)


def _extra_specs(parsed_args: argparse.Namespace) -> dict[str, str]:
    """:raises UsageError: there is no such type, or no ``=``."""
    if parsed_args.type is not None:
        try:
            found = volume_types.get_by_name_or_id(
                cinder_context.get_admin_context(), parsed_args.type)
        except cinder_exception.NotFound as exc:
            raise UsageError(f'--type: {exc}') from exc
        return dict(found.get('extra_specs') or {})
    specs = {}
    for text in parsed_args.type_properties:
        key, equals, value = text.partition('=')
        if not equals or not key:
            raise UsageError(f'--type-properties: not KEY=VALUE: {text!r}')
        specs[key] = value
    return specs


def _rows(outlook: Outlook) -> Iterator[list[Any]]:
    for rank, item in enumerate(outlook.first.ranked, 1):
        yield [rank, item.name, item.uuid,
               'chosen' if rank == 1 else 'candidate', Ratio(item.ratio),
               outlook.placed.get(item.uuid, 0), item.note]
    for refused in outlook.first.rejected:
        yield [None, refused.name, refused.uuid, 'rejected', Ratio(None), 0,
               refused.reason]
