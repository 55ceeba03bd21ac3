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

"""Managing, reverting, retyping; clusters that come and go at run time."""

from __future__ import annotations

from typing import Any

from tests.embedded import tokens
from tests.functional import base

GIB = 1024 ** 3


class FeatureTest(base.FunctionalTest):

    def setUp(self) -> None:
        super().setUp()
        self.east = self.add_cluster('east')
        self.west = self.add_cluster('west')

    def by_hand(self, name: str) -> dict[str, Any]:
        """Return a volume of 2 GiB that somebody made on west."""
        reply = self.west.request(
            'POST', '/api/v2/projects/default/volumes', {
                'name': name, 'size': str(2 * GIB), 'replicaCount': 3,
                'acl': {'values': ['ALLOW_NONE']}})
        self.assertEqual(200, reply.status, str(reply.body))
        made: dict[str, Any] = reply.json()
        return made

    def test_manage(self) -> None:
        """A volume made by hand is taken over, and let go of."""
        sdk = self.start()
        made = self.by_hand('by-hand')
        openstack = self.cloud.openstack
        openstack.text('volume', 'create', '--non-bootable', '--host',
                       'embedded@lightbits#federation', '--remote-source',
                       'source-name=by-hand', 'adopted')
        volume = self.settled(sdk, sdk.find_volume('adopted'))
        self.assertEqual(2, volume.size)
        where, found = self.on_array(volume)
        self.assertEqual(('west', made['UUID']), (where, found['UUID']))
        self.audit()
        openstack.text('volume', 'delete', '--remote', 'adopted')
        self.wait(lambda: not list(sdk.volumes()), 'Cinder to forget it')
        self.assertIn(made['UUID'], [
            item['UUID'] for item in self.west.state()['volumes']])
        self.audit()

    def test_revert(self) -> None:
        """A volume goes back to its last snapshot, and keeps its place."""
        sdk = self.start()
        volume = self.create(sdk)
        before = self.on_array(volume)
        snapshot = self.snapshot(sdk, volume)
        sdk.revert_volume_to_snapshot(volume.id, snapshot.id)
        self.settled(sdk, volume)
        where, found = self.on_array(volume)
        self.assertEqual((before[0], before[1]['UUID']),
                         (where, found['UUID']))
        self.audit()

    def test_retype(self) -> None:
        """What the array can change in place is changed in place."""
        sdk = self.start()
        volume = self.create(sdk)
        self.assertEqual('false', self.on_array(volume)[1]['compression'])
        packed = sdk.create_type(name='packed', extra_specs={
            'compression': '<is> True'})
        sdk.retype_volume(volume.id, packed.id)
        self.wait(lambda: sdk.get_volume(volume.id).volume_type == 'packed',
                  'the new type')
        self.settled(sdk, volume)
        self.assertEqual('true', self.on_array(volume)[1]['compression'])
        self.audit()

    def test_transfer(self) -> None:
        """A volume goes to another project; the array has no part in it."""
        sdk = self.start()
        volume = self.create(sdk)
        before = self.on_array(volume)
        others = self.cloud.sdk(tokens.Identity('eve', 'elsewhere',
                                                ('member', 'reader')))
        offer = sdk.create_transfer(volume_id=volume.id, name='gift')
        others.accept_transfer(offer.id, offer.auth_key)
        self.assertEqual('elsewhere', others.get_volume(volume.id).project_id)
        self.assertEqual(before, self.on_array(volume))
        self.audit()
        self.delete(others, volume)
        self.audit()

    def test_cluster_added(self) -> None:
        """A drop-in file adds a cluster to the running service."""
        sdk = self.start([self.section('east')])
        pinned = sdk.create_type(
            name='on-west', extra_specs={'lightos:cluster': 'west'}).id
        section = self.section('west')
        self.cloud.drop_in('west', str(section))
        self.cloud.process.reload()
        self.cloud.wait_for_log(r'Cluster west .* is connected')
        volume = self.create(sdk, volume_type=pinned)
        self.assertEqual('west', self.on_array(volume)[0])
        # No new volumes; those that are there are served.
        self.cloud.drop_in('west', str(section.with_options(
            admin_state='disabled')))
        self.cloud.process.reload()
        self.cloud.wait_for_log(r'Cluster west: .* state disabled')
        for _number in range(3):
            self.assertEqual('east', self.on_array(self.create(sdk))[0])
        snapshot = self.snapshot(sdk, volume)
        sdk.delete_snapshot(snapshot.id)
        self.wait(lambda: not list(sdk.snapshots()),
                  'the snapshot to be gone')
        self.audit()
        self.delete(sdk, volume)
        self.audit()

    def test_wrong_drop_in(self) -> None:
        """A mistake in a file that is added disables what it is about."""
        sdk = self.start([self.section('east')])
        self.cloud.drop_in('west', str(self.section('west').with_options(
            admin_state='sleeping')))
        self.cloud.process.reload()
        self.cloud.wait_for_log(
            r'ERROR .*\[lightbits_cluster:west\] admin_state: ')
        self.assertEqual('east', self.on_array(self.create(sdk))[0])
        self.audit()
