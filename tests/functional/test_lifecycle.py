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

"""Volumes from their creation to their deletion, through the API."""

from __future__ import annotations

from openstack import exceptions

from tests.embedded import federation
from tests.functional import base

GIB = 1024 ** 3


class ThreeClusters(base.FunctionalTest):
    """Three clusters that are accessed in three ways."""

    def setUp(self) -> None:
        super().setUp()
        for name, nodes in (('east', 3), ('west', 4), ('north', 3)):
            self.add_cluster(name, nodes=nodes, capacity=1024 * GIB)
        self.sdk = self.start([
            self.section('east', 'system'), self.section('west', 'minted'),
            self.section('north', 'project')])


class LifecycleTest(ThreeClusters):

    def test_life(self) -> None:
        """Create, grow, snapshot, copy, clone, and delete all of it."""
        volume = self.create(self.sdk, size=2)
        self.sdk.extend_volume(volume.id, 3)
        self.wait(lambda: self.sdk.get_volume(volume.id).size == 3,
                  'the volume to grow')
        volume = self.settled(self.sdk, volume)
        home, found = self.on_array(volume)
        self.assertEqual(3 * GIB, int(found['size']))
        snapshot = self.snapshot(self.sdk, volume)
        copy = self.create(self.sdk, size=4, snapshot_id=snapshot.id)
        clone = self.create(self.sdk, size=3, volume_id=None,
                            source_volume_id=volume.id)
        for item, size in ((copy, 4), (clone, 3)):
            where, found = self.on_array(item)
            self.assertEqual((home, size * GIB),
                             (where, int(found['size'])))
        self.audit()
        self.sdk.delete_snapshot(snapshot.id)
        self.wait(lambda: not list(self.sdk.snapshots()),
                  'the snapshot to be gone')
        self.delete(self.sdk, volume, copy, clone)
        self.audit()
        self.assertEqual(
            self.before, federation.contents(self.clusters.values()))

    def test_attachments(self) -> None:
        """Each host has access exactly while it has an attachment."""
        shared = self.sdk.create_type(name='shared', extra_specs={
            'multiattach': '<is> True'})
        volume = self.create(self.sdk, volume_type=shared.id)
        where, found = self.on_array(volume)
        cluster = self.clusters[where]
        first = self.sdk.create_attachment(volume.id,
                                           connector=base.CONNECTOR)
        self.sdk.complete_attachment(first)
        self.assertEqual('lightos', first.connection_info[
            'driver_volume_type'])
        self.assertEqual(
            (cluster.nqn, found['UUID']),
            (first.connection_info['subsysnqn'],
             first.connection_info['uuid']))
        self.audit()
        second = self.sdk.create_attachment(volume.id,
                                            connector=base.SECOND_CONNECTOR)
        self.sdk.complete_attachment(second)
        self.audit()
        _where, found = self.on_array(volume)
        self.assertEqual({base.CONNECTOR['nqn'],
                          base.SECOND_CONNECTOR['nqn']},
                         set(found['acl']['values']))
        self.sdk.delete_attachment(first.id)
        self.audit()
        self.sdk.delete_attachment(second.id)
        self.settled(self.sdk, volume)
        self.audit()
        self.delete(self.sdk, volume)
        self.audit()

    def test_many_at_once(self) -> None:
        """A burst spreads over the clusters and leaves nothing behind.

        Each volume takes three hundredths of a cluster, so that chance
        decides little.
        """
        volumes = [self.sdk.create_volume(size=10) for _number in range(30)]
        volumes = [self.settled(self.sdk, volume) for volume in volumes]
        self.audit()
        homes = [self.on_array(volume)[0] for volume in volumes]
        for name in self.clusters:
            self.assertGreaterEqual(homes.count(name), 7, homes)
        self.delete(self.sdk, *volumes)
        self.audit()


class ThreadingLifecycleTest(LifecycleTest):
    """The same with Cinder on native threads."""

    threads = True


class DetailTest(ThreeClusters):
    """What does not depend on the threading model."""

    def test_types(self) -> None:
        """Extra specs reach the array; a pin is obeyed."""
        gold = self.sdk.create_type(name='gold', extra_specs={
            'lightos:num_replicas': '2', 'compression': '<is> True',
            'lightos:cluster': 'north'})
        volume = self.create(self.sdk, volume_type=gold.id)
        where, found = self.on_array(volume)
        self.assertEqual(('north', 2, 'true'),
                         (where, found['replicaCount'],
                          found['compression']))
        self.audit()

    def test_grow_while_attached(self) -> None:
        """A volume in use grows and stays accessible."""
        volume = self.create(self.sdk)
        attachment = self.sdk.create_attachment(volume.id,
                                                connector=base.CONNECTOR)
        self.sdk.complete_attachment(attachment)
        self.settled(self.sdk, volume, 'in-use')
        self.cloud.openstack.text('volume', 'set', '--size', '2', volume.id)
        self.wait(lambda: self.sdk.get_volume(volume.id).size == 2,
                  'the volume to grow')
        self.settled(self.sdk, volume, 'in-use')
        self.audit()

    def test_host_without_nqn(self) -> None:
        """Such a host is refused before anything happens."""
        volume = self.create(self.sdk)
        connector = {key: value for key, value in base.CONNECTOR.items()
                     if key != 'nqn'}
        failure = self.assertRaises(
            exceptions.HttpException, self.sdk.create_attachment, volume.id,
            connector=connector)
        self.assertIn('nqn', str(failure))
        self.audit()
