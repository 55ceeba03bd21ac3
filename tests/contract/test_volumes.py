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

"""Volumes, as a driver uses them."""

from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import model
from tests.contract import base

GIB = base.GIB
HOST = 'nqn.2014-08.org.nvmexpress:uuid:0f3c2a51-6b1e-4a55-b7a8-1d2f00aa0001'
ABSENT = '0fffffff-ffff-4fff-8fff-ffffffffffff'


class VolumeTestCase(base.ContractTestCase):

    def test_life(self) -> None:
        name = self.name()
        made = self.create_volume(name=name, compression=True)
        volume = self.settled(made.uuid)
        self.assertEqual(
            (name, GIB, 1, True, self.project, frozenset(), frozenset()),
            (volume.name, volume.size, volume.replicas, volume.compression,
             volume.project, volume.acl, volume.ip_acl))
        self.assertNotEqual(0, volume.nsid)
        self.assertEqual(1, len(volume.node_uuids))
        self.client.delete_volume(self.project, volume.uuid)
        self.assertTrue(self.gone(self.client.get_volume, volume.uuid))
        self.assertIsNone(self.client.find_volume(self.project, name))

    def test_look_up_by_name(self) -> None:
        volume = self.volume()
        found = self.client.find_volume(self.project, volume.name)
        self.assertEqual(volume.uuid, found and found.uuid)
        self.assertIsNone(self.client.find_volume(self.project, self.name()))

    def test_list_by_name(self) -> None:
        volume = self.volume()
        self.volume()
        self.assertEqual([volume.uuid], [
            one.uuid for one in self.client.volume_page(
                self.project, name=volume.name)])
        self.assertEqual((), self.client.volume_page(
            self.project, name=self.name()))

    def test_pages(self) -> None:
        mine = {self.volume().uuid for _ in range(5)}
        for limit in (1, 2, 5, 1000):
            found = [one.uuid for one in self.client.list_volumes(
                self.project, limit=limit)]
            self.assertEqual(len(set(found)), len(found))
            self.assertLessEqual(mine, set(found))

    def test_names_are_unique(self) -> None:
        volume = self.volume()
        self.assertRaises(errors.Conflict, self.create_volume,
                          name=volume.name)

    def test_what_is_not_there(self) -> None:
        for call in (self.client.get_volume, self.client.delete_volume):
            self.assertRaises(errors.NotFound, call, self.project, ABSENT)
        self.assertRaises(
            errors.NotFound, self.client.change_volume, self.project,
            ABSENT, model.VolumeChange(size=GIB), etag=None)

    def test_refused_arguments(self) -> None:
        for fields in ({'size': 0}, {'replicas': 9}, {'replicas': 0},
                       {'name': 'no blanks'}):
            self.assertRaises(errors.BadRequest, self.create_volume,
                              **fields)

    def test_access(self) -> None:
        volume = self.volume()
        both = frozenset({'192.0.2.41', '2001:db8::41'})
        granted = self.change(
            volume,
            model.VolumeChange(acl=frozenset({HOST}), ip_acl=both),
            lambda found: found.acl == {HOST} and found.ip_acl == both)
        self.assertTrue(granted.state.settled)
        revoked = self.change(
            volume,
            model.VolumeChange(acl=frozenset(), ip_acl=frozenset()),
            lambda found: not found.acl and not found.ip_acl)
        self.assertTrue(revoked.state.settled)

    def test_access_for_all_addresses(self) -> None:
        anybody = frozenset({model.ALLOW_ANY})
        self.change(
            self.volume(),
            model.VolumeChange(acl=frozenset({HOST}), ip_acl=anybody),
            lambda found: found.ip_acl == anybody)

    def test_sixteen_addresses_at_most(self) -> None:
        volume = self.volume()
        addresses = frozenset(f'192.0.2.{last}' for last in range(1, 18))
        self.assertRaises(
            errors.BadRequest, self.client.change_volume, self.project,
            volume.uuid, model.VolumeChange(ip_acl=addresses), etag=None)

    def test_growing(self) -> None:
        volume = self.volume()
        grown = self.change(volume, model.VolumeChange(size=3 * GIB),
                            lambda found: found.size == 3 * GIB)
        self.assertNotEqual(volume.etag, grown.etag)

    def test_shrinking_is_refused(self) -> None:
        volume = self.volume()
        self.assertRaises(
            errors.BadRequest, self.client.change_volume, self.project,
            volume.uuid, model.VolumeChange(size=GIB // 2), etag=None)

    def test_renaming(self) -> None:
        volume = self.volume()
        name = self.name()
        self.change(volume, model.VolumeChange(new_name=name),
                    lambda found: found.name == name)
        self.assertIsNone(
            self.client.find_volume(self.project, volume.name))

    def test_labels(self) -> None:
        volume = self.volume(labels={'one': '1', 'two': '2'})
        self.assertEqual({'one': '1', 'two': '2'}, volume.labels)
        self.change(volume, model.VolumeChange(labels={'two': '3'}),
                    lambda found: found.labels == {'two': '3'})

    def test_sector_size(self) -> None:
        self.assertEqual(512, self.volume(
            sector_size=model.SectorSize.B512).sector_size)
        self.assertEqual(4096, self.volume(
            sector_size=model.SectorSize.B4096).sector_size)

    def test_an_old_version_is_not_overwritten(self) -> None:
        volume = self.volume()
        self.change(volume, model.VolumeChange(size=2 * GIB),
                    lambda found: found.size == 2 * GIB)
        self.assertRaises(
            (errors.PreconditionFailed, errors.BadRequest),
            self.client.change_volume, self.project, volume.uuid,
            model.VolumeChange(size=3 * GIB), etag=volume.etag)
        self.assertRaises(
            (errors.PreconditionFailed, errors.BadRequest),
            self.client.delete_volume, self.project, volume.uuid,
            etag=volume.etag)
        self.assertEqual(2 * GIB, self.settled(volume.uuid).size)


class SpeltOutTestCase(VolumeTestCase):
    """The same where the cluster settles the open questions otherwise."""

    options = {'switches': {
        'emit_defaults': True, 'first_etag': 1, 'bump_etag_on_state': False,
        'etag_mismatch': 400, 'busy_status': 409, 'delete_twice': 412,
        'failed_precondition': 412, 'acl_order': 'sorted',
        'list_order': 'creation', 'etag_before_state': True,
        'creation_time_while_creating': False, 'nsid_while_creating': True,
        'label_key_prefix': 'kept'}}


class DisguisedTestCase(VolumeTestCase):
    """The same where a mismatch is an internal error, and all is instant."""

    options = {
        'switches': {'etag_mismatch': 500, 'round_size': False},
        'delays': dict.fromkeys(('create', 'update', 'delete'), 0)}
