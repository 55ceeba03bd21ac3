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

"""Defects known of the in-tree driver for single clusters (Cinder 29).

Each test fails on the behaviour it is named after.
"""

import logging
from typing import Any

from cinder import exception
import fixtures

from cinder_lightbits_federation import exception as lb_exception
from tests.unit.driver import base


class WrongResultTestCase(base.FederationTestCase):
    """What told Cinder something untrue."""

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()
        self.hurry(self.driver, 2)
        self.east = self.arrays['east']

    def test_an_untyped_volume_is_created(self) -> None:
        volume = self.volume()
        volume.volume_type_id = None
        volume.obj_reset_changes()

        self.saved(volume, self.driver.create_volume(volume))

        self.assertEqual(3, self.on(volume)[1]['replicaCount'])

    def test_an_extend_that_fails_is_not_reported_as_done(self) -> None:
        volume = self.made(self.driver)
        self.east.fault('status', route='volumes.update', status=500)

        self.assertRaises(exception.CinderException,
                          self.driver.extend_volume, volume, 2)
        self.assertEqual(base.GIB, int(self.on(volume)[1]['size']))

    def test_an_extend_returns_with_the_new_size_in_place(self) -> None:
        volume = self.made(self.driver)
        self.east.set_delays(update=0.3)

        self.driver.extend_volume(volume, 2)

        found = self.on(volume)[1]
        self.assertEqual((2 * base.GIB, 'Available'),
                         (int(found['size']), found['state']))

    def test_a_refused_snapshot_delete_is_not_forgotten(self) -> None:
        volume = self.made(self.driver)
        snapshot = self.snapshot(volume)
        self.saved(snapshot, self.driver.create_snapshot(snapshot))
        self.east.fault('status', route='snapshots.delete', status=409)

        self.assertRaises(exception.CinderException,
                          self.driver.delete_snapshot, snapshot)
        self.on(snapshot)

    def test_a_copied_record_does_not_delete_the_user_s_volume(self) -> None:
        user = self.made(self.driver)
        temporary = self.volume(
            provider_location=user.provider_location,
            provider_id=user.provider_id)

        self.driver.delete_volume(temporary)

        self.on(user)

    def test_a_create_ignores_a_copied_record(self) -> None:
        user = self.made(self.driver)
        temporary = self.volume(
            provider_location=user.provider_location,
            provider_id=user.provider_id)

        self.saved(temporary, self.driver.create_volume(temporary))

        self.assertNotEqual(self.location(user).object_uuid,
                            self.location(temporary).object_uuid)

    def test_a_failed_removal_of_access_fails_the_detach(self) -> None:
        volume = self.made(self.driver)
        self.attach(self.driver, volume, base.connector(1))
        self.east.fault('status', route='volumes.update', status=403)

        self.assertRaises(exception.CinderException,
                          self.driver.terminate_connection, volume,
                          base.connector(1), force=False)

    def test_one_failed_read_does_not_end_a_wait(self) -> None:
        self.east.set_delays(create=0.3)
        self.east.fault('status', route='volumes.get', status=500, count=1)

        volume = self.made(self.driver)

        self.assertEqual('Available', self.on(volume)[1]['state'])

    def test_a_wait_without_time_left_raises(self) -> None:
        self.east.set_delays(create=60)

        self.assertRaises(lb_exception.LightbitsFinalError,
                          self.driver.create_volume, self.volume())

    def test_capacity_is_a_number(self) -> None:
        stats = self.driver.get_volume_stats(refresh=True)

        for pool in stats['pools']:
            self.assertIsInstance(pool['free_capacity_gb'], float)
            self.assertGreater(pool['free_capacity_gb'], 0)
            self.assertGreaterEqual(pool['total_capacity_gb'],
                                    pool['free_capacity_gb'])

    def test_a_lost_reply_does_not_make_a_second_volume(self) -> None:
        self.east.fault('apply_then_drop', route='volumes.create', count=1)

        volume = self.made(self.driver)

        self.on(volume)
        self.assertEqual(1, len(self.east.state()['volumes']))


class AccessTestCase(base.FederationTestCase):
    """What cut a host off, or left it in."""

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.start_driver()
        self.subject = self.made(self.driver, multiattach=True)

    def acl(self) -> list[str]:
        """NQNs that may use the volume."""
        return sorted(self.on(self.subject)[1]['acl']['values'])

    def ip_acl(self) -> set[str]:
        """Addresses that may use the volume."""
        return set(self.on(self.subject)[1]['IPAcl']['values'])

    def test_force_false_does_not_remove_every_host(self) -> None:
        self.attach(self.driver, self.subject, base.connector(1))

        self.assertRaises(exception.InvalidConnectorException,
                          self.driver.terminate_connection, self.subject,
                          {'host': 'compute9'}, force=False)
        self.assertEqual([base.nqn(1)], self.acl())

    def test_force_without_a_connector_removes_every_host(self) -> None:
        self.attach(self.driver, self.subject, base.connector(1))
        self.attach(self.driver, self.subject, base.connector(2))

        self.driver.terminate_connection(self.subject, None, force=True)

        self.assertEqual(['ALLOW_NONE'], self.acl())

    def test_detaching_one_of_two_instances_keeps_the_host(self) -> None:
        first = self.attach(self.driver, self.subject, base.connector(1))
        self.attach(self.driver, self.subject, base.connector(1))

        self.assertIs(True, self.driver.terminate_connection(
            self.subject, base.connector(1), force=False))
        self.assertEqual([base.nqn(1)], self.acl())

        first.destroy()
        self.assertIs(False, self.driver.terminate_connection(
            self.subject, base.connector(1), force=False))
        self.assertEqual(['ALLOW_NONE'], self.acl())

    def test_too_many_addresses_are_refused_not_cut(self) -> None:
        first = [f'192.0.2.{number}' for number in range(1, 11)]
        second = [f'198.51.100.{number}' for number in range(1, 11)]
        self.attach(self.driver, self.subject, base.connector(1, *first))

        error = self.assertRaises(
            exception.InvalidConnectorException,
            self.driver.initialize_connection, self.subject,
            base.connector(2, *second))

        for word in ('compute2', '20', 'lightbits_data_networks'):
            self.assertIn(word, str(error))
        self.assertEqual(set(first), self.ip_acl())
        self.assertEqual([base.nqn(1)], self.acl())

    def test_hosts_behind_one_address_are_counted(self) -> None:
        self.attach(self.driver, self.subject,
                    base.connector(1, '192.0.2.100'))
        self.attach(self.driver, self.subject,
                    base.connector(2, '192.0.2.100'))

        self.driver.terminate_connection(
            self.subject, base.connector(1, '192.0.2.100'), force=False)

        self.assertEqual({'192.0.2.100'}, self.ip_acl())
        self.assertEqual([base.nqn(2)], self.acl())


class DataNetworkTestCase(base.FederationTestCase):
    """Only addresses that carry NVMe/TCP enter the IP ACL."""

    CLUSTERS = ('east',)

    def test_bridge_addresses_stay_out(self) -> None:
        driver = self.start_driver(
            lightbits_data_networks='192.0.2.0/24, 2001:db8::/32')
        volume = self.made(driver)

        driver.initialize_connection(volume, base.connector(
            1, '172.17.0.1', '192.0.2.1', '2001:db8::1', 'fe80::1'))

        self.assertEqual({'192.0.2.1', '2001:db8::1'},
                         set(self.on(volume)[1]['IPAcl']['values']))

    def test_a_host_without_a_data_address_is_refused_early(self) -> None:
        driver = self.start_driver(lightbits_data_networks='192.0.2.0/24')

        error = self.assertRaises(exception.InvalidConnectorException,
                                  driver.validate_connector,
                                  base.connector(1, '172.17.0.1'))

        for word in ('compute1', '172.17.0.1', 'lightbits_data_networks'):
            self.assertIn(word, str(error))


class WireTestCase(base.FederationTestCase):
    """How the cluster is talked to."""

    CLUSTERS = ('east',)

    def test_one_refused_endpoint_is_not_asked_in_a_hot_loop(self) -> None:
        driver = self.start_driver(
            lightbits_operation_timeout=5,
            clusters={'east': self.section('east', learn_endpoints=False)})
        volume = self.made(driver)
        self.arrays['east'].reset_counters()
        self.arrays['east'].stop()

        self.assertRaises(exception.CinderException,
                          driver.extend_volume, volume, 2)

        self.arrays['east'].start()
        self.assertLess(self.arrays['east'].counters().tcp, 20)

    def test_no_handshake_in_the_steady_state(self) -> None:
        driver = self.start_driver()
        volume = self.made(driver)
        self.attach(driver, volume, base.connector(1))
        self.arrays['east'].reset_counters()

        driver.terminate_connection(volume, base.connector(1), force=False)
        driver.initialize_connection(volume, base.connector(1))
        self.made(driver)

        self.assertEqual(0, self.arrays['east'].counters().tls)

    def test_an_untrusted_certificate_gets_no_token(self) -> None:
        driver = self.start_driver(
            {'east': self.section('east', tls_ca_file=None,
                                  tls_fingerprints='00' * 32)})

        error = self.assertRaises(exception.CinderException,
                                  driver.create_volume, self.volume())

        self.assertIn('[lightbits_cluster:east] tls_fingerprints',
                      str(error))
        self.assertEqual(0, self.arrays['east'].counters().total)

    def test_the_backend_s_certificate_path_is_used(self) -> None:
        driver = self.start_driver(
            {'east': self.section('east', tls_ca_file=None)},
            driver_ssl_cert_path=self.arrays['east'].ca_file)

        self.made(driver)

    def test_names_in_queries_are_escaped(self) -> None:
        driver = self.start_driver()
        self.override_config('volume_name_template',
                             'v&name=other#%.0s0000000')
        volume = self.volume()
        self.arrays['east'].populate(1, prefix='v&name=other#')
        self.assertEqual(self.on(volume)[1]['name'], volume.name)

        driver.delete_volume(volume)

        self.assertEqual([], self.everywhere(volume.name))

    def test_nodes_added_later_are_told_to_hosts(self) -> None:
        uuid = self.arrays['east'].uuid
        self.arrays = {}
        before, after = (
            self.add_array(name, nodes=nodes, uuid=uuid,
                           switches={'multi_tenancy': False})
            for name, nodes in (('before', 1), ('after', 2)))
        # The same cluster by its UUID, with one more node.
        driver = self.start_driver({'east': self.section(
            'before', jwt=None, api_endpoints=','.join(
                (*before.api_endpoints, *after.api_endpoints)))},
            lightbits_default_num_replicas=1, lightbits_poll_interval=1)
        self.assertEqual(1, self.nodes_told(driver))

        before.stop()

        cluster, = driver.federation.registry.clusters
        self.wait(lambda: cluster.vitals and len(
            cluster.vitals.info.discovery_endpoints) == 2 or None)
        self.assertEqual(2, self.nodes_told(driver))

    def nodes_told(self, driver: Any) -> int:
        """How many nodes a host learns of a new volume."""
        told = driver.initialize_connection(self.made(driver),
                                            base.connector(1))
        return len(told['data']['lightos_nodes'])

    def test_no_token_in_logs(self) -> None:
        log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        token = self.arrays['east'].token()
        driver = self.start_driver({'east': self.section('east', jwt=token)})
        self.made(driver)

        self.assertIn('POST /api/v2/projects/default/volumes', log.output)
        self.assertNotIn(token, log.output)
