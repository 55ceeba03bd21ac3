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

"""The last acts: the books are compared, and everything is removed."""

from __future__ import annotations

from tests.embedded import arrays
from tests.embedded.demo import acts
from tests.embedded.demo import console
from tests.embedded import invariants
from tests.embedded import waiting


def check_invariants(show: acts.Show) -> str:
    """Compare Cinder's database with what the clusters hold."""
    cinder = show.on.cloud.records()
    clusters = show.on.contents()
    findings = invariants.check(cinder, clusters, show.on.before,
                                show.on.rules)
    layout = show.on.cloud.layout
    logs = {path.name: path.read_text(errors='replace')
            for path in (layout.log, layout.output)}
    findings += invariants.check_logs(logs, show.on.secrets())
    show.out.block('\n'.join(map(str, findings)))
    console.expect(not findings, f'{len(findings)} invariants are violated')
    show.out.ok(f'{len(cinder.volumes)} volumes and {len(cinder.snapshots)} '
                'snapshots exist exactly once, where recorded, at the right '
                'size')
    show.out.ok('nothing else of ours is on any cluster, and '
                f'{_count(show.on.before)} foreign objects are untouched')
    lines = sum(text.count('\n') for text in logs.values())
    show.out.ok(f'no token or key in {lines} lines of log')
    return 'all invariants hold'


def remove_everything(show: acts.Show) -> str:
    """Delete all volumes and snapshots: nothing may be left."""
    snapshots = [snapshot.name for snapshot in show.sdk.snapshots()]
    show.operator.run('volume', 'snapshot', 'delete', *snapshots)
    for name in snapshots:
        show.operator.snapshot_gone(name)
    names = sorted(volume.name for volume in show.sdk.volumes())
    show.operator.run('volume', 'delete', *names)
    for name in names:
        show.operator.gone(name)
    foreign = _count(show.on.before)
    waiting.wait_for(lambda: _count(show.on.contents()) == foreign,
                     'the clusters to be as they were')
    findings = invariants.check(
        show.on.cloud.records(), show.on.contents(), show.on.before,
        show.on.rules)
    console.expect(not findings, '; '.join(map(str, findings)))
    show.out.ok('the clusters hold just what they held before')
    return f'{len(names)} volumes deleted, nothing left behind'


def _count(clusters: list[arrays.Cluster]) -> int:
    return sum(len(cluster.volumes) + len(cluster.snapshots)
               for cluster in clusters)
