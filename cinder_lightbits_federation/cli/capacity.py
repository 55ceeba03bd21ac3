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

"""``capacity``: how much room there is, in sum and on each cluster."""

from __future__ import annotations

import argparse
from typing import Any

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Ratio
from cinder_lightbits_federation.cli.columns import Size
from cinder_lightbits_federation import room
from cinder_lightbits_federation.room import PlacementPolicy
from cinder_lightbits_federation.views import ClusterView

COLUMNS = ('scope', 'cluster', 'accepts_volumes', 'total', 'free',
           'provisioned', 'ratio', 'largest_volume', 'reason')

TOTAL = 'backend'
CLUSTER = 'cluster'


class Capacity(base.ListCommand):
    """Show the room of each cluster and of the backend.

    Sizes are those of data at one replica count, as they are reported to the
    scheduler. The backend's are over the clusters that accept new volumes and
    whose size is known. Exit code 3: some cluster could not be asked.
    """

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--replicas', type=int, choices=(1, 2, 3), default=None,
            help='Replica count of the volumes. Default: '
                 'lightbits_default_num_replicas.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Look at all clusters at once and sum up."""
        session = self.session
        registry = session.connect()
        self.tell_silent(registry, base.silent(registry))
        replicas = (parsed_args.replicas
                    or session.settings.default_replicas)
        policy = session.settings.policy
        views = [cluster.view(0, 0) for cluster in registry.clusters]
        figures = room.pool_figures(views, replicas, policy)
        ratio = (figures.provisioned / figures.total if figures.total
                 else None)
        rows = [_row(view, replicas, policy) for view in views]
        rows.append([
            TOTAL, session.backend, any(view.accepts_volumes
                                        for view in views),
            Size(figures.total), Size(figures.free),
            Size(figures.provisioned), Ratio(ratio), Size(figures.largest),
            f'{figures.unmeasured} clusters of unknown size are left out'
            if figures.unmeasured else ''])
        return COLUMNS, rows


def _row(view: ClusterView, replicas: int, policy: PlacementPolicy
         ) -> list[Any]:
    known = view.capacity

    def share(size: int | None) -> Size:
        return Size(None if size is None else size // replicas)

    return [
        CLUSTER, view.name, view.accepts_volumes,
        share(known.effective if known else None),
        share(known.free_physical if known else None),
        share(view.load if known else None), Ratio(view.ratio()),
        Size(room.largest_on(view, replicas, policy)
             if view.accepts_volumes else 0), view.closed_because]
