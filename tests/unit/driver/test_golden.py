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

"""Golden images: which volumes are clones, and of what."""

import datetime
import uuid

from tests.unit.driver import base as driver_base
from tests.unit.driver import golden as base


class CloneTest(base.GoldenTestCase):
    """One volume after the other."""

    def test_off_by_default(self) -> None:
        drv = self.start_driver()
        self.boot(drv)
        self.boot(drv)
        self.assertEqual(2, len(self.downloads))
        self.assertEqual([], self.hidden())

    def test_one_download_for_each_cluster(self) -> None:
        drv = self.golden_driver()
        # Large enough for their clusters not to count as equally full.
        records = [self.boot(drv, size=100 + number % 3)
                   for number in range(24)]
        places = {self.on(record)[0] for record in records}
        self.assertEqual(set(self.CLUSTERS), places)
        self.assertEqual(3, len(self.downloads))
        self.assertEqual(set(self.CLUSTERS),
                         {name for name, _item in self.hidden()})
        for record in records:
            self.assertEqual(record.size * base.GIB,
                             int(self.on(record)[1]['size']))
        clones = [record for record in records
                  if record.id not in self.downloads]
        self.assertEqual(21, len(clones))
        for record in clones:
            found = self.labels(self.on(record)[1])
            self.assertEqual(record.id, found['cinder_id'])
            self.assertNotIn('cinder_kind', found)
            drv.delete_volume(record)

    def test_what_a_master_says(self) -> None:
        drv = self.golden_driver()
        self.boot(drv, size=4)
        (place, master), = self.hidden()
        found = self.labels(master)
        (where, snapshot), = self.snapshots()
        self.assertEqual(place, where)
        self.assertEqual(
            ('golden', base.IMAGE, driver_base.FEDERATION_ID, master['name'],
             snapshot['UUID']),
            tuple(found[key] for key in (
                'cinder_kind', 'cinder_image', 'cinder_owner', 'cinder_id',
                'cinder_snapshot')))
        # Cut to what the image fills, so that smaller volumes fit.
        self.assertEqual(base.GIB, int(master['size']))
        self.assertEqual(['ALLOW_NONE'], master['acl']['values'])
        self.assertEqual(master['UUID'], snapshot['sourceVolumeUUID'])

    def test_a_clone_outlives_its_master(self) -> None:
        drv = self.golden_driver()
        first = self.boot(drv)
        second = self.boot(drv, specs={
            'lightos:cluster': self.on(first)[0]})
        self.assertEqual(1, len(self.downloads))
        drv.delete_volume(first)
        own = drv.federation.golden.masters
        for cluster in drv.federation.registry.clusters:
            for master in own.all(cluster, ('default',)):
                own.remove(cluster, master, drv.federation.deadline())
        self.assertEqual([], self.hidden())
        self.wait(lambda: not self.snapshots() or None)
        self.on(second)
        drv.extend_volume(second, 5)
        drv.delete_volume(second)

    def test_whatever_a_clone_takes_over_is_as_wanted(self) -> None:
        drv = self.golden_driver()
        self.boot(drv, specs={'lightos:cluster': 'east'})
        for specs in ({'compression': '<is> True'},
                      {'lightos:num_replicas': '2'}):
            for _number in range(2):
                record = self.boot(drv, specs={
                    'lightos:cluster': 'east', **specs})
        self.assertEqual(3, len(self.downloads))
        self.assertEqual(2, self.on(record)[1]['replicaCount'])
        self.assertEqual(3, len(self.hidden()))

    def test_a_pool_for_each_cluster(self) -> None:
        drv = self.golden_driver(lightbits_pools='cluster')
        for pool in ('west', 'west', 'north', 'west'):
            record = self.boot(drv, host=f'{driver_base.HOST}#{pool}')
            self.assertEqual(pool, self.on(record)[0])
        self.assertEqual(2, len(self.downloads))

    def test_a_changed_image_has_another_master(self) -> None:
        drv = self.golden_driver()
        pinned = {'lightos:cluster': 'east'}
        self.boot(drv, specs=pinned)
        self.boot(drv, base.meta(name='renamed',
                            updated_at=datetime.datetime(2026, 2, 2)),
                  specs=pinned)
        self.assertEqual(1, len(self.downloads))
        self.boot(drv, base.meta(os_hash_value='cd' * 64), specs=pinned)
        self.assertEqual(2, len(self.downloads))
        old = base.meta(os_hash_value=None)
        self.boot(drv, old, specs=pinned)
        self.boot(drv, {**old, 'updated_at': datetime.datetime(2026, 3, 3)},
                  specs=pinned)
        self.assertEqual(4, len(self.downloads))

    def test_declined(self) -> None:
        drv = self.golden_driver()
        self.boot(drv, specs={'lightos:cluster': 'east'})
        for changes in (
                {'status': 'deactivated'}, {'status': None},
                {'visibility': 'private'},
                {'properties': {'img_signature': 'x'}},
                {'properties': {'img_signature_hash_method': 'SHA-256'}},
                {'cinder_encryption_key_id': str(uuid.uuid4())},
                {'properties': {'os_encrypt_key_id': 'k'}},
                {'min_disk': 3}, {'virtual_size': 3 * base.GIB},
                {'os_hash_value': None, 'checksum': None}):
            self.assert_usual(drv, base.meta(**changes),
                              specs={'lightos:cluster': 'east'})

    def test_private_to_one_project(self) -> None:
        drv = self.golden_driver()
        own = base.meta(visibility='private', owner='mine')
        for _number in range(2):
            self.boot(drv, own, project_id='mine',
                      specs={'lightos:cluster': 'east'})
        self.assertEqual(1, len(self.downloads))
        self.assert_usual(drv, own, project_id='theirs',
                          specs={'lightos:cluster': 'east'})

    def test_smaller_than_the_master(self) -> None:
        """Without its virtual size a master stays as large as it was made."""
        drv = self.golden_driver()
        unknown = base.meta(virtual_size=None)
        pinned = {'lightos:cluster': 'east'}
        self.boot(drv, unknown, size=3, specs=pinned)
        self.assert_usual(drv, unknown, size=2, specs=pinned)
        self.boot(drv, unknown, size=3, specs=pinned)
        self.assertEqual(2, len(self.downloads))

    def test_encrypted_volume(self) -> None:
        drv = self.golden_driver()
        self.boot(drv)
        self.assert_usual(drv, base.meta(),
                          encryption_key_id=str(uuid.uuid4()))

    def test_cloned_by_cinder_itself(self) -> None:
        self.flags(allowed_direct_url_schemes=['cinder'])
        drv = self.golden_driver()
        where = (None, [{'url': f'cinder://{uuid.uuid4()}'}])
        self.assertEqual((None, False), drv.clone_image(
            self.context, self.volume(2), where, base.meta(), None))
        self.assertEqual({}, drv.federation.golden._tickets)

    def test_a_used_volume_is_no_master(self) -> None:
        """What was in use before holds more than the image."""
        drv = self.golden_driver()
        record = self.made(drv, 2)
        for fields in ({'launched_at': datetime.datetime(2026, 1, 1)}, {}):
            record.update(fields)
            # A claim that was left over must not make it one.
            fresh = self.volume(2)
            drv.clone_image(self.context, fresh, None, base.meta(), None)
            mine = drv.federation.golden
            mine._enter(record.id, mine._take(fresh.id))
            drv.copy_image_to_volume(self.context, record, None, base.IMAGE,
                                     disable_sparse=not fields)
            record.launched_at = None
        self.assertEqual([], self.hidden())

    def test_no_room_for_a_master(self) -> None:
        drv = self.golden_driver(max_over_subscription_ratio=1,
                                 lightbits_default_num_replicas=3)
        view = drv.federation.views(0, 5)[0]
        most = view.capacity.effective // 3 // base.GIB
        record = self.boot(drv, size=most * 2 // 3)
        self.assertEqual([], self.hidden())
        self.on(record)
