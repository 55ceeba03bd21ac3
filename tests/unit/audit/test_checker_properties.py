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

"""Whatever the cloud looks like: agreement is silent, each defect is told.

A defect is one random volume spoilt in one of the known ways; it must give
findings of its own kind, about that volume, and no other.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import random

import hypothesis
from hypothesis import strategies
from oslotest import base

from cinder_lightbits_federation.audit import books
from cinder_lightbits_federation.audit import checker
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.lightbits import model
from tests.unit.audit import generated
from tests.unit.audit import world
from tests.unit.properties import PROPERTY

Spoil = Callable[[generated.Cloud, int, random.Random], None]

CLOUDS = strategies.builds(
    lambda seed, volumes: generated.cloud(random.Random(seed), volumes),
    strategies.integers(0, 2 ** 32), strategies.integers(1, 30))


def _object(cloud: generated.Cloud, index: int, volume: model.Volume
            ) -> None:
    cloud.volumes[index] = (cloud.volumes[index][0], volume)


def forget(cloud: generated.Cloud, index: int, _rng: random.Random) -> None:
    """Lose the record and all that hangs on it."""
    record, volume = cloud.volumes.pop(index)
    cloud.attachments = [item for item in cloud.attachments
                         if item.volume_id != record.id]
    assert record.location is not None
    cloud.foreign.append((record.location.cluster_uuid, volume))


def lose(cloud: generated.Cloud, index: int, _rng: random.Random) -> None:
    """Lose the object; what has no name and no mark is nobody's."""
    _object(cloud, index, dataclasses.replace(
        cloud.volumes[index][1], state=model.VolumeState.DELETED))


def double(cloud: generated.Cloud, index: int, rng: random.Random) -> None:
    """Make the object once more, somewhere."""
    cloud.foreign.append((rng.choice(cloud.clusters), dataclasses.replace(
        cloud.volumes[index][1], uuid=generated.identity(rng))))


def move(cloud: generated.Cloud, index: int, rng: random.Random) -> None:
    """Have the object under another UUID than the recorded one."""
    double(cloud, index, rng)
    lose(cloud, index, rng)


def resize(cloud: generated.Cloud, index: int, rng: random.Random) -> None:
    """Have the object of another size."""
    volume = cloud.volumes[index][1]
    _object(cloud, index, dataclasses.replace(
        volume, size=volume.size + rng.choice((-1, 1)) * world.GIB // 2))


def admit(cloud: generated.Cloud, index: int, _rng: random.Random) -> None:
    """Give a host access that no attachment names."""
    volume = cloud.volumes[index][1]
    _object(cloud, index, dataclasses.replace(
        volume, acl=volume.acl | {world.SECOND_NQN}))


def relabel(cloud: generated.Cloud, index: int, _rng: random.Random) -> None:
    """Mark the object as somebody else's."""
    record, volume = cloud.volumes[index]
    _object(cloud, index, dataclasses.replace(
        volume, labels=world.labels(record.id, world.STRANGER)))


DEFECTS: dict[Kind, Spoil] = {
    Kind.ORPHAN: forget, Kind.MISSING: lose, Kind.DUPLICATE: double,
    Kind.WRONG_PLACE: move, Kind.WRONG_SIZE: resize,
    Kind.HOST_EXTRA: admit, Kind.MISLABELLED: relabel}


def compare(cloud: generated.Cloud) -> tuple[Finding, ...]:
    """:returns: the findings."""
    return checker.check(cloud.records(), cloud.contents(), world.NOW,
                         world.OWNER)


class PropertiesTest(base.BaseTestCase):

    @PROPERTY
    @hypothesis.given(CLOUDS)
    def test_agreement_is_silent(self, cloud: generated.Cloud) -> None:
        self.assertEqual((), compare(cloud))
        counts = checker.tally(cloud.records(), cloud.contents(),
                               world.OWNER)
        self.assertEqual(len(cloud.foreign), counts.foreign_volumes)

    @PROPERTY
    @hypothesis.given(CLOUDS, strategies.sampled_from(list(DEFECTS)),
                      strategies.randoms(use_true_random=False))
    def test_each_defect_is_told(self, cloud: generated.Cloud, kind: Kind,
                                 rng: random.Random) -> None:
        index = rng.randrange(len(cloud.volumes))
        record, _volume = cloud.volumes[index]
        # Its snapshot is then of a volume that is not there.
        cloud.snapshots = [item for item in cloud.snapshots
                           if item[0].volume_id != record.id]

        DEFECTS[kind](cloud, index, rng)

        found = compare(cloud)
        self.assertEqual([kind], [item.kind for item in found])
        self.assertTrue(found[0].severity.counts)
        self.assertEqual(record.id, found[0].cinder_id)

    @PROPERTY
    @hypothesis.given(CLOUDS, strategies.sampled_from(list(DEFECTS)),
                      strategies.randoms(use_true_random=False))
    def test_the_order_of_the_input_is_of_no_account(
            self, cloud: generated.Cloud, kind: Kind, rng: random.Random
            ) -> None:
        DEFECTS[kind](cloud, rng.randrange(len(cloud.volumes)), rng)
        before = {item.key for item in compare(cloud)}
        for items in (cloud.volumes, cloud.snapshots, cloud.attachments,
                      cloud.foreign, cloud.clusters):
            rng.shuffle(items)
        self.assertEqual(before, {item.key for item in compare(cloud)})

    @PROPERTY
    @hypothesis.given(CLOUDS, strategies.randoms(use_true_random=False))
    def test_silence_accuses_nobody(self, cloud: generated.Cloud,
                                    rng: random.Random) -> None:
        """A cluster that does not answer takes all it holds out of sight."""
        there = dict(cloud.contents())
        for uuid in cloud.clusters:
            if rng.random() < 0.5:
                there[uuid] = books.Silent('x', uuid, 'down')
        found = checker.check(cloud.records(), there, world.NOW, world.OWNER)
        self.assertEqual(set(), {item.kind for item in found}
                         - {Kind.NOT_ASKED})
