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
"""``placement last``: what services have decided lately."""

from __future__ import annotations

import argparse

from cinder_lightbits_federation.cli import base
from cinder_lightbits_federation.cli.columns import Size
from cinder_lightbits_federation.cli.columns import Time
from cinder_lightbits_federation.cli.outcome import UsageError

COLUMNS = ('service', 'at', 'volume', 'size', 'decision')
LIMIT = 20


class PlacementLast(base.ListCommand):
    """List the last decisions of the services, the newest first."""

    need_sort_by_cliff = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the options of this command."""
        parser = super().get_parser(prog_name)
        parser.add_argument('--service', metavar='HOST',
                            help='Only those of one service.')
        parser.add_argument('--limit', type=base.at_least(1), default=LIMIT,
                            metavar='N',
                            help='How many. Default: %(default)s.')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> base.Table:
        """Read what the services have told."""
        shared = self.session.shared
        told = {} if shared.missing else shared.reports.all()
        wanted = parsed_args.service
        if wanted is not None and wanted not in told:
            known = ', '.join(told) or 'none'
            raise UsageError(f'--service: {wanted} has told nothing; those '
                             f'that have: {known}')
        found = [(host, one) for host, report in told.items()
                 if wanted in (None, host) for one in report.decisions]
        found.sort(key=lambda item: item[1].at, reverse=True)
        return COLUMNS, [
            (host, Time(one.at), one.volume, Size(one.size), one.text)
            for host, one in found[:parsed_args.limit]]
