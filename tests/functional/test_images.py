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

"""Volumes from images: data that is really downloaded, written and compared.

Real are Cinder with its own client of Glance, ``qemu-img``, and the content
of volumes, which the simulated clusters keep in sparse files.
"""

from __future__ import annotations

import collections
import pathlib
import random
import subprocess
from typing import Any

from tests.embedded import federation
from tests.embedded import glance
from tests.functional import base
from tests.stack import programs

MIB = 1 << 20
GIB = 1 << 30
VIRTUAL_SIZE = 16 * MIB
VOLUMES = 60
CLUSTERS = ('east', 'west', 'north')
# So that a volume of 2 GiB makes a difference among clusters.
CAPACITY = 1 << 40
GOLDEN = {'lightbits_golden_images': 'true'}
CACHE = {'image_volume_cache_enabled': 'true'}


class ImagesTest(base.FunctionalTest):

    def setUp(self) -> None:
        super().setUp()
        for name in CLUSTERS:
            self.add_cluster(name, data_plane='sparse', capacity=CAPACITY)
        self.glance = glance.Glance()
        self.glance.start()
        self.addCleanup(self.glance.stop)
        self.content = self.raw_image()
        self.image = self.glance.add(self.qcow2(), disk_format='qcow2',
                                     virtual_size=VIRTUAL_SIZE)

    def raw_image(self) -> bytes:
        """Return the content of an image: data with holes in it."""
        data = bytearray(VIRTUAL_SIZE)
        rng = random.Random(20260101)
        for start in range(0, VIRTUAL_SIZE, 4 * MIB):
            data[start:start + 64 * 1024] = rng.randbytes(64 * 1024)
        return bytes(data)

    def qcow2(self) -> pathlib.Path:
        """Return the image as a file to be downloaded."""
        raw, made = self.folder / 'image.raw', self.folder / 'image.qcow2'
        raw.write_bytes(self.content)
        subprocess.run([programs.find('qemu-img'), 'convert', '-O', 'qcow2',
                        str(raw), str(made)], check=True)
        return made

    def start_with(self, **backend: str) -> Any:
        """Start the service with Glance beside it."""
        return self.start(backend=backend, data=True, service=(
            f'[DEFAULT]\n'
            f'glance_api_servers = {self.glance.url}\n'
            f'cinder_internal_tenant_project_id = internal\n'
            f'cinder_internal_tenant_user_id = internal\n'))

    def boot(self, sdk: Any, count: int, size: int = 2, **attributes: Any
             ) -> list[Any]:
        """Create volumes of the image, all at once."""
        asked = [sdk.create_volume(size=size, image_id=self.image,
                                   **attributes) for _number in range(count)]
        return [self.settled(sdk, item) for item in asked]

    def places(self, volumes: list[Any]) -> collections.Counter[str]:
        """Return how many volumes are on each cluster, data compared."""
        found: collections.Counter[str] = collections.Counter()
        for volume in volumes:
            name, item = self.on_array(volume)
            self.assertEqual(volume.size * GIB, int(item['size']))
            self.assert_content(name, item['UUID'])
            found[name] += 1
        return found

    def assert_content(self, cluster: str, uuid: str) -> None:
        """A volume holds the image, and nothing else."""
        path = self.clusters[cluster].data_path(uuid)
        assert path is not None
        with open(path, 'rb') as stream:
            self.assertEqual(self.content, stream.read(VIRTUAL_SIZE))
            self.assertEqual(b'', stream.read(MIB).strip(b'\0'))

    def masters(self) -> list[tuple[str, Any]]:
        """Return all masters and where they are."""
        return [(cluster.name, item)
                for cluster in federation.contents(self.clusters.values())
                for item in cluster.volumes
                if item.label('cinder_kind') == 'golden']

    def test_sixty_boot_volumes(self) -> None:
        """Each cluster has its share, after at most one download."""
        sdk = self.start_with(**GOLDEN)
        volumes = self.boot(sdk, VOLUMES)
        places = self.places(volumes)
        self.assertLessEqual(self.glance.downloads[self.image],
                             len(CLUSTERS))
        self.assertEqual(set(CLUSTERS), set(places))
        self.assertLessEqual(max(places.values()) - min(places.values()), 2,
                             places)
        self.assertEqual(sorted(CLUSTERS),
                         sorted(name for name, _item in self.masters()))
        for name, item in self.masters():
            self.assertEqual(GIB, item.size)
            self.assert_content(name, item.uuid)
        # Nobody pays for the masters.
        self.assertEqual(
            {'volumes': VOLUMES, 'snapshots': 0,
             'gigabytes': sum(volume.size for volume in volumes)},
            self.charged(sdk))
        self.audit()

    def test_the_same_with_the_cache_of_cinder(self) -> None:
        """Without golden images all are where the first one was.

        Fewer volumes show that, too.
        """
        count = VOLUMES // 4
        sdk = self.start_with(**CACHE)
        volumes = self.boot(sdk, count)
        places = self.places(volumes)
        self.assertEqual([count], list(places.values()))
        self.assertEqual([], self.masters())
        self.audit()

    def test_the_cache_of_cinder_with_a_pool_for_each_cluster(self) -> None:
        """Each pool has a copy of its own, and clones that."""
        sdk = self.start_with(lightbits_pools='cluster', **CACHE)
        pinned = [sdk.create_type(name=name, extra_specs={
            'pool_name': name}) for name in CLUSTERS[:2]]
        volumes = [volume for kind in pinned
                   for volume in self.boot(sdk, 3, volume_type=kind.id)]
        self.assertEqual({name: 3 for name in CLUSTERS[:2]},
                         dict(self.places(volumes)))
        for volume in volumes:
            pool = self.records_host(volume).rpartition('#')[2]
            self.assertEqual(self.on_array(volume)[0], pool)
        # One for each pool, which was then cloned.
        self.assertEqual(2, self.glance.downloads[self.image])
        self.audit()

    def records_host(self, volume: Any) -> str:
        """Return the host of a volume, pool included."""
        host, = (item.host for item in self.cloud.records().volumes
                 if item.id == volume.id)
        return host or ''
