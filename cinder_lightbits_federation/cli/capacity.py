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

from oslo_db import exception as db_exception

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Age
from cinder_lightbits_federation.cli.columns import Ratio
from cinder_lightbits_federation.cli.columns import Size
from cinder_lightbits_federation.cli import growth
from cinder_lightbits_federation import room
from cinder_lightbits_federation.room import PlacementPolicy
from cinder_lightbits_federation.views import ClusterView

COLUMNS = ('scope', 'cluster', 'accepts_volumes', 'total', 'free',
           'provisioned', 'ratio', 'largest_volume', 'growth_per_day',
           'full_in', 'reason')

TOTAL = 'backend'
CLUSTER = 'cluster'
DAYS = 7.0


class Capacity(base.ListCommand):
    """Show the room of each cluster and of the backend, and for how long.

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
        parser.add_argument(
            '--days', type=base.positive, default=DAYS, metavar='N',
            help='Days that the growth is taken from. Default: %(default)g.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Look at all clusters at once and sum up."""
        session = self.session
        registry = session.connect()
        self.tell_silent(registry, base.silent(registry))
        replicas = (parsed_args.replicas
                    or session.settings.default_replicas)
        rows = _Rows(replicas, session.settings.policy,
                     self._growth(parsed_args.days))
        views = [cluster.view(0, 0) for cluster in registry.clusters]
        return COLUMNS, [*(rows.of_cluster(view) for view in views),
                         rows.of_backend(session.backend, views)]

    def _growth(self, days: float) -> growth.Growth | None:
        """:returns: None without Cinder's database; the rest is shown."""
        session = self.session
        try:
            return growth.measure(session.host, session.cluster_name, days)
        except db_exception.DBError as exc:
            why = str(exc).partition('\n')[0]
            self.say(f'Growth is not known: {why}')
            return None


class _Rows:
    """Makes the rows.

    :param replicas: the count that sizes are divided by.
    :param growing: None if it is not known.
    """

    def __init__(self, replicas: int, policy: PlacementPolicy,
                 growing: growth.Growth | None) -> None:
        self._replicas = replicas
        self._policy = policy
        self._growing = growing

    def of_cluster(self, view: ClusterView) -> list[Any]:
        """:returns: the columns of one cluster."""
        known = view.capacity
        return [
            CLUSTER, view.name, view.accepts_volumes,
            self._share(known.effective if known else None),
            self._share(known.free_physical if known else None),
            self._share(view.load if known else None), Ratio(view.ratio()),
            Size(room.largest_on(view, self._replicas, self._policy)
                 if view.accepts_volumes else 0),
            *self._forecast(room.unpromised(view, self._policy),
                            view.uuid or ''), view.closed_because]

    def of_backend(self, name: str, views: list[ClusterView]) -> list[Any]:
        """:returns: the columns of the sums."""
        figures = room.pool_figures(views, self._replicas, self._policy)
        left = [room.unpromised(view, self._policy) or 0
                for view in views if view.accepts_volumes]
        return [
            TOTAL, name, bool(left), Size(figures.total), Size(figures.free),
            Size(figures.provisioned),
            Ratio(figures.provisioned / figures.total if figures.total
                  else None), Size(figures.largest),
            *self._forecast(sum(left), None),
            f'{figures.unmeasured} clusters of unknown size are left out'
            if figures.unmeasured else '']

    def _share(self, size: int | None) -> Size:
        return Size(None if size is None else size // self._replicas)

    def _forecast(self, left: int | None, uuid: str | None
                  ) -> tuple[Size, Age]:
        """:param uuid: of the cluster; None for all of them."""
        if self._growing is None:
            return Size(None), Age(None)
        daily = self._growing.daily(uuid)
        return Size(round(daily)), Age(growth.seconds_left(
            None if left is None else left // self._replicas, daily))
