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

from __future__ import annotations

from unittest import mock

from openstack.block_storage.v3 import _proxy
from openstack.block_storage.v3 import volume
from oslotest import base

from cinder_lightbits_federation import registrar


class RegistrarTestCase(base.BaseTestCase):

    def test_volumes_of_others_are_not_found(self) -> None:
        """Whatever the server makes of the filter: they may be deleted."""
        proxy = mock.create_autospec(_proxy.Proxy, instance=True)
        proxy.volumes.return_value = iter([
            volume.Volume(id='1', status='error', metadata={}),
            volume.Volume(id='2', status='available', metadata=None),
            volume.Volume(id='3', status='available',
                          metadata={registrar.MARK: 'another job'}),
            volume.Volume(id='4', status='creating',
                          metadata={registrar.MARK: 'job', 'more': 'yes'})])
        found = registrar.CinderRegistrar(
            proxy, 'stor1@lightbits', lambda name: name).find('job')
        self.assertEqual([('4', 'creating')],
                         [(item.id, item.status) for item in found])
