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
"""Masters of golden images: ours, and of no record on purpose."""

from __future__ import annotations

import collections
from collections.abc import Iterator

from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.audit.scene import Place
from cinder_lightbits_federation.audit.scene import Scene
from cinder_lightbits_federation.audit.scene import Shelf
from cinder_lightbits_federation.audit.scene import Sighting
from cinder_lightbits_federation.audit.scene import T
from cinder_lightbits_federation import goldenrules
from cinder_lightbits_federation.lightbits import model


def masters(volumes: Shelf[model.Volume], snapshots: Shelf[model.Snapshot],
            scene: Scene) -> Iterator[Finding]:
    """Name every master, and what was left while one was made or removed."""
    clones = collections.Counter(
        (item.holdings.uuid, item.thing.source_snapshot_uuid)
        for item in volumes.placed.values() if not item.thing.state.going)
    used: set[Place] = set()
    for item in _golden(volumes):
        master = goldenrules.master_of(item.thing, scene.owner)
        if master is None or master.snapshot_uuid is None:
            yield _rest(item, 'it was left unfinished', scene)
            continue
        source = (item.holdings.uuid, master.snapshot_uuid)
        if source not in snapshots.placed:
            yield _rest(item, 'the snapshot that clones are made of is gone',
                        scene)
            continue
        used.add(source)
        yield scene.about(
            Kind.GOLDEN, Severity.NOTICE, item,
            f'master of image {master.image_id}, cloned {clones[source]} '
            f'times, last used '
            f'{master.idle(scene.now.timestamp()) / goldenrules.HOUR:.0f} '
            f'hours ago')
    for snapshot in _golden(snapshots):
        if not snapshot.intermediate and snapshot.place not in used:
            yield _rest(snapshot, 'no master names it', scene)


def _golden(shelf: Shelf[T]) -> Iterator[Sighting[T]]:
    for item in shelf.placed.values():
        if item.golden and not item.thing.state.going:
            yield item


def _rest(item: Sighting[T], why: str, scene: Scene) -> Finding:
    severity = (Severity.IN_FLIGHT if scene.young(item)
                else Severity.WARNING)
    return scene.about(Kind.GOLDEN_REST, severity, item, why)
