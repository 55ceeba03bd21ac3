# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The order of the acts, and the summary."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import ParamSpec

from tests.embedded.demo import acts
from tests.embedded.demo import console
from tests.embedded.demo import ending
from tests.embedded.demo import operators
from tests.embedded.demo import outage
from tests.embedded.demo import stage

P = ParamSpec('P')
Act = tuple[str, Callable[[acts.Show], str]]

_ACTS: list[Act] = [
    ('The scheduler sees one pool', outage.show_capacity),
    ('Volume types', acts.create_types),
    ('Volumes find their clusters', acts.create_volumes),
    ('Extend, snapshot, copy, clone', acts.change_volumes),
    ('Attach and detach', acts.attach),
    (f'Cluster {acts.PIN} dies', outage.stop_cluster),
    (f'Cluster {acts.PIN} returns', outage.start_cluster),
    ('The books are compared', ending.check_invariants),
]
_LAST: Act = ('Everything is removed', ending.remove_everything)


def play(on: stage.Stage, keep: bool) -> None:
    """Run all acts and print the summary.

    :param keep: leave the volumes there.
    :raises AssertionError: something was not as it should be.
    """
    played = _ACTS if keep else [*_ACTS, _LAST]
    out = console.Console(len(played) + 1)
    rows = [('Three clusters and a Block Storage service',
             *_timed(_set_up, on, out))]
    sdk = on.cloud.sdk()
    show = acts.Show(
        on, out, operators.Operator(on.cloud.openstack, sdk, out), sdk)
    for title, act in played:
        out.act(title)
        rows.append((title, *_timed(act, show)))
    out.summary(rows)


def _set_up(on: stage.Stage, out: console.Console) -> str:
    out.act('Three clusters and a Block Storage service')
    seconds = on.start_clusters()
    out.table(
        ['cluster', 'nodes', 'TiB', 'token', 'UUID', 'API'],
        [[plan.name, plan.nodes, plan.capacity // stage.TIB, plan.access,
          on.clusters[plan.name].uuid,
          on.clusters[plan.name].api_endpoints[0]] for plan in stage.PLANS])
    out.ok(f'three clusters answer after {seconds:.1f} s, with volumes of '
           'others on them')
    seconds = on.start_service()
    out.ok(f'scheduler, volume service and API answer after {seconds:.1f} s '
           f'at {on.cloud.api}')
    out.say('cinder.conf:')
    out.block(on.cloud.layout.config.read_text())
    return 'three clusters, one backend'


def _timed(run: Callable[P, str], *arguments: P.args,
           **options: P.kwargs) -> tuple[str, float]:
    begin = time.monotonic()
    return run(*arguments, **options), time.monotonic() - begin
