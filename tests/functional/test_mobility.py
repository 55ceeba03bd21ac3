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

"""Moving volumes between clusters, through Cinder's API."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import fixtures

from tests.copying import files
from tests.embedded import federation
from tests.embedded import file_driver
from tests.functional import base

GIB = 1024 ** 3
MIB = 1024 ** 2


class MobilityTestCase(base.FunctionalTest):
    """Clusters that keep data, in files."""

    def setUp(self) -> None:
        super().setUp()
        for name in ('east', 'west', 'north'):
            self.add_cluster(name, nodes=3, capacity=1024 * GIB,
                             data_plane='sparse')
        held = self.clusters['east'].state()['volumes'][0]['UUID']
        path = self.clusters['east'].data_path(held)
        assert path is not None
        self.useFixture(fixtures.EnvironmentVariable(
            file_driver.FOLDER, os.path.dirname(os.path.dirname(path))))
        self.sdk = self.start(backend={
            'volume_driver': file_driver.DRIVER,
            'lightbits_cross_cluster_clones': 'true'})

    def path(self, volume: Any) -> pathlib.Path:
        """The file of a volume, wherever it is."""
        name, found = self.on_array(volume)
        return pathlib.Path(str(
            self.clusters[name].data_path(found['UUID'])))

    def filled(self, **attributes: Any) -> Any:
        """A volume with scattered data."""
        volume = self.create(self.sdk, **attributes)
        files.scatter(self.path(volume), GIB, 8 * MIB)
        return volume

    def check_move(self) -> None:
        """A volume moves and stays what it is."""
        volume = self.filled()
        home, _found = self.on_array(volume)
        content = files.content(self.path(volume))
        self.assertEqual('success', self.migrated(self.sdk, volume))
        there, _found = self.on_array(volume)
        self.assertNotEqual(home, there)
        self.assertEqual(content, files.content(self.path(volume)))
        self.audit()
        # It is as good as any other volume.
        self.sdk.extend_volume(volume.id, 2)
        self.wait(lambda: self.sdk.get_volume(volume.id).size == 2,
                  'the volume to grow')
        volume = self.settled(self.sdk, volume)
        attached = self.sdk.create_attachment(volume.id,
                                              connector=base.CONNECTOR)
        self.sdk.complete_attachment(attached)
        self.audit()
        self.sdk.delete_attachment(attached.id)
        self.settled(self.sdk, volume)
        self.delete(self.sdk, volume)
        self.audit()


class MobilityTest(MobilityTestCase):

    def test_a_volume_moves(self) -> None:
        self.check_move()

    def test_a_volume_that_may_go_nowhere_stays(self) -> None:
        pinned = self.sdk.create_type(name='pinned', extra_specs={
            'lightos:cluster': 'west'})
        volume = self.filled(volume_type=pinned.id)
        _home, before = self.on_array(volume)
        self.assertEqual('error', self.migrated(self.sdk, volume))
        _home, after = self.on_array(volume)
        self.assertEqual((before['UUID'], before['ETag']),
                         (after['UUID'], after['ETag']))
        self.assertEqual('available', self.sdk.get_volume(volume.id).status)
        self.audit()

    def test_a_clone_goes_where_its_type_says(self) -> None:
        # Cinder clones to another type only if it names the same backend.
        plain = self.sdk.create_type(name='plain', extra_specs={
            'volume_backend_name': federation.BACKEND})
        source = self.filled(volume_type=plain.id)
        home, _found = self.on_array(source)
        there = next(name for name in self.clusters if name != home)
        elsewhere = self.sdk.create_type(name='elsewhere', extra_specs={
            'volume_backend_name': federation.BACKEND,
            'lightos:cluster': there})
        clone = self.create(self.sdk, source_volume_id=source.id,
                            volume_type=elsewhere.id)
        self.assertEqual(there, self.on_array(clone)[0])
        self.assertEqual(files.content(self.path(source)),
                         files.content(self.path(clone)))
        self.audit()


class ThreadsMobilityTest(MobilityTestCase):

    threads = True

    def test_a_volume_moves(self) -> None:
        self.check_move()
