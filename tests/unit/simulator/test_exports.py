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

"""What hosts are to see, and the data plane of kernel targets."""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
import random
import struct
import tempfile
from unittest import mock

from oslotest import base

from tests.simulator import cluster as clusters
from tests.simulator import config
from tests.simulator import dataplane
from tests.simulator import discovery
from tests.simulator import errors
from tests.simulator import exports
from tests.simulator import model
from tests.simulator import nvmet
from tests.unit.simulator import base as simulated

NQN = simulated.NQN


class _Plane(dataplane.NoPlane):
    """Remembers what it is to show."""

    serves_hosts = True

    def __init__(self) -> None:
        self.shown: list[exports.Picture] = []

    def publish(self, picture: exports.Picture) -> None:
        self.shown.append(picture)


class PictureTestCase(base.BaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.plane = _Plane()
        self.cluster = clusters.Cluster(
            config.ClusterOptions('unit'),
            0,
            random.Random(1),
            mock.create_autospec(asyncio.AbstractEventLoop, instance=True),
            self.plane,
        )

    def volume(self, **changes: object) -> model.Volume:
        volume = model.Volume(
            uuid=self.cluster.new_uuid(),
            name='volume',
            project='default',
            size=simulated.GIB,
            replicas=2,
            compression=False,
            sector_size=4096,
            created=0.0,
            number=self.cluster.next_number(),
            lineage='',
            nodes=(1, 2),
            nsid=self.cluster.next_nsid(),
        )
        volume.name = volume.uuid
        for name, value in changes.items():
            setattr(volume, name, value)
        self.cluster.volumes.add(volume)
        return volume

    def picture(self) -> exports.Picture:
        return exports.picture(self.cluster)

    def test_volumes_that_exist(self) -> None:
        there = {
            self.volume(state=state).uuid
            for state in (
                model.State.AVAILABLE,
                model.State.UPDATING,
                model.State.ROLLBACK,
                model.State.MIGRATING,
            )
        }
        for state in (
            model.State.CREATING,
            model.State.DELETING,
            model.State.FAILED,
        ):
            self.volume(state=state)
        self.volume(state=model.State.AVAILABLE, nodes=())
        self.assertEqual(
            there, {volume.uuid for volume in self.picture().volumes}
        )

    def test_hosts_are_those_that_a_volume_admits(self) -> None:
        self.volume(state=model.State.AVAILABLE)
        self.assertEqual(frozenset(), self.picture().hosts)
        self.volume(state=model.State.AVAILABLE, acl=(NQN,))
        self.assertEqual(frozenset([NQN]), self.picture().hosts)
        self.assertEqual(
            [(), (NQN,)], [item.hosts for item in self.picture().volumes]
        )

    def test_the_first_node_that_serves(self) -> None:
        picture = self.picture()
        self.assertEqual(1, picture.server((1, 2)))
        self.cluster.stop_node(1)
        picture = self.picture()
        self.assertEqual(2, picture.server((1, 2)))
        self.assertIsNone(picture.server((1,)))

    def test_changes_are_published(self) -> None:
        for change in (
            lambda: self.cluster.stop_node(0),
            lambda: self.cluster.start_node(0),
            lambda: self.cluster.arrive(
                self.volume(), model.State.AVAILABLE
            ),
            lambda: self.cluster.remove_node(self.cluster.nodes[0]),
            lambda: self.cluster.become(
                self.cluster.new_uuid(), wipe=False
            ),
        ):
            before = len(self.plane.shown)
            change()
            self.assertEqual(before + 1, len(self.plane.shown))
            self.assertEqual(self.picture(), self.plane.shown[-1])

    def test_a_node_that_starts_is_published_when_it_serves(self) -> None:
        self.cluster.stop_node(0)
        self.cluster.delays = dataclasses.replace(
            self.cluster.delays, node_start=(5.0, 5.0)
        )
        self.cluster.start_node(0)
        self.assertFalse(self.picture().nodes[0].serving)


class NvmetTestCase(base.BaseTestCase):
    def test_a_machine_without_targets_is_refused(self) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(nvmet, 'CONFIGFS', pathlib.Path(folder)),
        ):
            refusal = self.assertRaises(
                errors.ControlError, nvmet.NvmetPlane, folder
            )
        for word in ('root', 'nvmet-tcp', 'configfs'):
            self.assertIn(word, str(refusal))


class LogPageTestCase(base.BaseTestCase):
    def test_each_controller_has_an_entry(self) -> None:
        page = discovery.log_page(
            NQN, [('192.0.2.1', 4420), ('2001:db8::1', 4420)]
        )
        self.assertEqual(3 * 1024, len(page))
        count = struct.unpack_from('<Q', page, 8)[0]
        self.assertEqual(2, count)
        for number, (family, address) in enumerate(
            ((1, b'192.0.2.1'), (2, b'2001:db8::1')), 1
        ):
            entry = page[number * 1024 : (number + 1) * 1024]
            self.assertEqual((3, family), (entry[0], entry[1]))
            self.assertEqual(address, entry[512:768].rstrip(b'\0'))
            self.assertEqual(b'4420', entry[32:64].rstrip(b'\0'))
            self.assertEqual(NQN.encode(), entry[256:512].rstrip(b'\0'))

    def test_it_refers_to_other_services(self) -> None:
        page = discovery.log_page(
            NQN, [('192.0.2.1', 4420)], ['192.0.2.2', '2001:db8::2']
        )
        self.assertEqual(3, struct.unpack_from('<Q', page, 8)[0])
        for number, (family, kind, name, address) in enumerate(
            (
                (1, 2, NQN.encode(), b'192.0.2.1'),
                (1, 1, discovery.DISCOVERY_NQN, b'192.0.2.2'),
                (2, 1, discovery.DISCOVERY_NQN, b'2001:db8::2'),
            ),
            1,
        ):
            entry = page[number * 1024 : (number + 1) * 1024]
            self.assertEqual((3, family, kind), tuple(entry[:3]))
            self.assertEqual(name, entry[256:512].rstrip(b'\0'))
            self.assertEqual(address, entry[512:768].rstrip(b'\0'))
        self.assertEqual(b'8009', entry[32:64].rstrip(b'\0'))
