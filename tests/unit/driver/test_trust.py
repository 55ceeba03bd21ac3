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

"""Certificates, tokens and addresses that are right."""

import os
import socket
from typing import Any
import unittest
from unittest import mock

from cinder import exception

from cinder_lightbits_federation.capacity import Source
from cinder_lightbits_federation.driver import LightbitsFederationDriver
from cinder_lightbits_federation import placer
from tests.simulator.control import SimCluster
from tests.unit.driver import base

TENANT = 'tenant'


def has_ipv6() -> bool:
    """Whether this machine can listen on ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(('::1', 0))
    except OSError:
        return False
    return True


class TrustTestCase(base.FederationTestCase):
    """One cluster, reached in different ways."""

    NODES = 1
    CLUSTERS = ()

    def serve(self, array: SimCluster, **changes: Any
              ) -> LightbitsFederationDriver:
        """:returns: a driver that has made and deleted a volume there."""
        self.arrays = {'east': array}
        drv = self.start_driver({'east': self.section('east', **changes)})
        volume = self.made(drv)
        self.attach(drv, volume, base.connector(1))
        drv.terminate_connection(volume, base.connector(1), force=False)
        drv.delete_volume(volume)
        self.assertGreater(array.counters().tls, 0)
        return drv

    def test_the_stock_certificate_by_its_name(self) -> None:
        self.serve(self.add_array('stock', cert='stock'),
                   tls_server_name='api.service')

    def test_the_stock_certificate_by_its_fingerprint(self) -> None:
        array = self.add_array('stock', cert='stock')
        self.serve(array, tls_ca_file=None, tls_fingerprints=','.join(
            ('ab' * 32, array.fingerprint)))

    def test_no_proof_wanted(self) -> None:
        log = self.logged()
        self.serve(self.add_array('stock', cert='stock'), tls_ca_file=None,
                   tls_insecure=True)
        self.assertIn('[lightbits_cluster:east] tls_insecure is set',
                      log.output)

    @unittest.skipUnless(has_ipv6(), 'needs the address ::1')
    def test_ipv6(self) -> None:
        array = self.add_array('six', listen='::1')
        self.assertTrue(array.api_endpoints[0].startswith('[::1]:'))
        self.serve(array)

    def test_data_addresses_of_both_families(self) -> None:
        array = self.add_array('dual', nodes=2, data_addresses=[
            '192.0.2.10', '2001:db8::10'])
        self.arrays = {'east': array}
        drv = self.start_driver({'east': self.section('east')})
        told = drv.initialize_connection(self.made(drv), base.connector(1))

        self.assertEqual({'192.0.2.10', '2001:db8::10'},
                         set(told['data']['lightos_nodes']))

    def minted(self, array: SimCluster, scope: str) -> dict[str, Any]:
        """Options for tokens that the driver signs itself."""
        return {'jwt': None, 'private_key_file': array.private_key_file,
                'credential_id': array.credential_id, 'token_scope': scope}

    def test_tokens_minted_for_the_whole_cluster(self) -> None:
        array = self.add_array('minted')
        drv = self.serve(array, **self.minted(array, 'system'))
        self.assertEqual(Source.CLUSTER, self.source(drv))

    def test_tokens_minted_for_a_project(self) -> None:
        array = self.add_array('minted')
        drv = self.serve(array, **self.minted(array, 'project'))
        self.assertEqual(Source.NODES, self.source(drv))

    @staticmethod
    def source(drv: LightbitsFederationDriver) -> Source | None:
        """Where the figures of the cluster come from."""
        cluster, = drv.federation.registry.clusters
        return cluster.vitals.capacity.source if cluster.vitals else None

    def test_a_token_of_a_project_knows_the_capacity(self) -> None:
        array = self.add_array('tenancy', capacity=1000 * base.GIB)
        drv = self.serve(array, jwt=None,
                         jwt_file=array.token_files['default'])

        pool, = drv.get_volume_stats()['pools']
        self.assertEqual(Source.NODES, self.source(drv))
        self.assertAlmostEqual(1000, pool['total_capacity_gb'], delta=1)

    def test_a_token_that_may_not_see_the_nodes(self) -> None:
        array = self.add_array('tenancy', switches={
            'tenants_read_nodes': False, 'tenants_read_policies': False})
        drv = self.serve(array, jwt=None,
                         jwt_file=array.token_files['default'])

        pool, = drv.get_volume_stats()['pools']
        self.assertEqual(Source.VOLUMES, self.source(drv))
        self.assertEqual('unknown', pool['total_capacity_gb'])
        self.assertEqual('unknown', pool['free_capacity_gb'])

    def test_a_placement_does_not_list_all_volumes(self) -> None:
        for name, listed in (('lister', True), ('reader', False)):
            array = self.add_array(name, switches={
                'tenants_read_nodes': not listed})
            drv = self.start_driver({name: self.section(
                name, jwt=None, jwt_file=array.token_files['default'])},
                lightbits_poll_interval=600)
            before = self.reserved(drv)
            array.reset_counters()
            with mock.patch.object(placer, 'FRESH', 0.0):
                for _number in range(3):
                    self.made(drv)
            asked = array.counters().requests
            self.assertNotIn('volumes.list', asked)
            self.assertEqual(0 if listed else 3, asked.get('nodes.list', 0))
            if listed:
                # The statistics do not have them, so this has to.
                self.assertEqual(3 * base.GIB, self.reserved(drv) - before)
            drv.tear_down()

    @staticmethod
    def reserved(drv: LightbitsFederationDriver) -> int:
        """:returns: bytes that the statistics are known to miss."""
        view, = drv.federation.placer.views()
        return view.reserved

    def test_a_token_file_that_is_replaced(self) -> None:
        array = self.add_array('east')
        path = os.path.join(self.folder, 'token')
        with open(path, 'w', encoding='ascii') as file:
            file.write(array.token(ttl=-60))
        drv = self.start_driver({'east': self.section(
            'east', jwt=None, jwt_file=path)}, lightbits_poll_interval=1)
        self.assertRaises(exception.CinderException, drv.create_volume,
                          self.volume())

        with open(path + '.new', 'w', encoding='ascii') as file:
            file.write(array.admin_token)
        os.replace(path + '.new', path)

        self.wait(lambda: drv.get_volume_stats()['pools'][0][
            'total_capacity_gb'] or None)
        self.made(drv)

    def test_no_token_where_none_is_needed(self) -> None:
        self.serve(self.add_array('open', switches={
            'multi_tenancy': False}), jwt=None)


class ProjectTestCase(base.FederationTestCase):
    """Tokens of one project each, for types that name a project."""

    NODES = 1
    CLUSTERS = ()

    def setUp(self) -> None:
        super().setUp()
        self.east = self.add_array('east', projects=['default', TENANT])
        self.driver = self.start_driver({'east': self.section(
            'east', jwt=None, private_key_file=self.east.private_key_file,
            credential_id=self.east.credential_id)})

    def test_another_project(self) -> None:
        volume = self.made(self.driver,
                           specs={'lightos:project_name': TENANT})

        self.assertEqual(TENANT, self.location(volume).project)
        self.driver.extend_volume(volume, 2)
        snapshot = self.snapshot(volume)
        self.saved(snapshot, self.driver.create_snapshot(snapshot))
        copy = self.volume(2)
        self.saved(copy, self.driver.create_volume_from_snapshot(copy,
                                                                 snapshot))
        for record in (volume, snapshot, copy):
            self.assertEqual(TENANT, self.on(record)[1]['projectName'])
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(self.saved(
            volume, {'provider_location': None}))
        self.assertEqual([], self.everywhere(volume.name))

    def test_a_project_without_the_key_harms_no_other(self) -> None:
        self.east.request('DELETE', f'/api/v2/projects/{TENANT}/credentials'
                          f'/{self.east.credential_id}')
        log = self.logged()

        self.assertRaises(
            exception.VolumeBackendAPIException, self.driver.create_volume,
            self.volume(specs={'lightos:project_name': TENANT}))

        self.made(self.driver)
        self.assertNotIn('is unauthorized', log.output)
