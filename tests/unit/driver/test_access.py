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

"""Access under pressure: many hosts, changes, migrations, limits."""

from collections.abc import Callable, Sequence
import threading
from typing import Any

from cinder import exception

from cinder_lightbits_federation.access import HostAccess
from cinder_lightbits_federation import exception as lb_exception
from cinder_lightbits_federation.refs import VolumeRef
from os_brick_ext.conn_props import ConnectionProperties
from tests.unit.driver import base


class AccessTestCase(base.FederationTestCase):
    """One cluster and one volume."""

    NODES = 1
    CLUSTERS = ('east',)
    OPTIONS: dict[str, Any] = {}

    def setUp(self) -> None:
        super().setUp()
        self.east = self.arrays['east']
        self.driver = self.start_driver(**self.OPTIONS)
        self.subject = self.made(self.driver, multiattach=True)

    def acl(self) -> set[str]:
        """NQNs that may use the volume."""
        return set(self.on(self.subject)[1]['acl']['values'])

    def ip_acl(self) -> set[str]:
        """Addresses that may use the volume."""
        return set(self.on(self.subject)[1]['IPAcl']['values'])

    def detach(self, properties: Any, force: bool = False) -> bool:
        """Disconnect a host, as the manager does."""
        return bool(self.driver.terminate_connection(
            self.subject, properties, force=force))


class ParallelTestCase(AccessTestCase):
    """Many services change the lists of one volume at once."""

    HOSTS = 8

    def at_once(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        """:returns: what the calls have raised."""
        raised: list[Any] = []

        def run(call: Callable[[], Any]) -> None:
            try:
                call()
            except Exception as exc:  # noqa: BLE001 - told to the test
                raised.append(exc)

        threads = [threading.Thread(target=run, args=(call,))
                   for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return raised

    def grant(self, number: int) -> Callable[[], Any]:
        """An attach by a service that knows of no other."""
        place = self.location(self.subject)
        ref = VolumeRef(self.subject.name, self.subject.name_id, 'default',
                        place)
        host = self.host(number)
        return lambda: self.driver.federation.attachments.attach(
            ref, host, [], self.driver.federation.deadline())

    def revoke(self, number: int, staying: Sequence[int]
               ) -> Callable[[], Any]:
        """A detach by a service that knows who stays."""
        place = self.location(self.subject)
        ref = VolumeRef(self.subject.name, self.subject.name_id, 'default',
                        place)
        remaining = [self.host(one) for one in staying]
        host = self.host(number)
        return lambda: self.driver.federation.attachments.detach(
            ref, host, remaining, self.driver.federation.deadline())

    @staticmethod
    def host(number: int) -> HostAccess:
        """A numbered host."""
        return HostAccess.of(base.nqn(number), [f'192.0.2.{number}'], ())

    def assert_admitted(self, numbers: Sequence[int]) -> None:
        """Exactly these hosts have access, by NQN and by address."""
        self.assertEqual({base.nqn(one) for one in numbers}, self.acl())
        self.assertEqual({f'192.0.2.{one}' for one in numbers},
                         self.ip_acl())

    def test_no_host_is_lost(self) -> None:
        for mismatch in (412, 400, 500):
            self.east.set_switches(etag_mismatch=mismatch)
            self.east.set_delays(update=0.02)
            everybody = range(1, self.HOSTS + 1)

            self.assertEqual([], self.at_once(
                [self.grant(number) for number in everybody]))
            self.assert_admitted(everybody)

            self.driver.terminate_connection(self.subject, None, force=True)

    def test_coming_and_going(self) -> None:
        even, odd = (2, 4, 6, 8), (1, 3, 5, 7)
        self.at_once([self.grant(number) for number in even])

        raised = self.at_once(
            [self.grant(number) for number in odd]
            + [self.revoke(number, odd) for number in even])

        self.assertEqual([], raised)
        self.assertEqual({base.nqn(one) for one in odd}, self.acl())
        self.assertLessEqual({f'192.0.2.{one}' for one in odd},
                             self.ip_acl())

    def test_what_was_left_over_goes_with_the_next_change(self) -> None:
        self.test_coming_and_going()

        self.revoke(1, (3, 5, 7))()

        self.assert_admitted((3, 5, 7))

    def go_on_soon(self) -> None:
        """Let the cluster finish its updates while it is asked for more."""
        def go_on() -> None:
            self.east.set_delays(update=0)
            self.east.settle()

        timer = threading.Timer(0.2, go_on)
        self.addCleanup(timer.join)
        timer.start()

    def test_an_attach_while_the_volume_grows(self) -> None:
        for settings in ({'busy_status': 503}, {'busy_status': 409},
                         {'failed_precondition': 412}):
            self.east.set_switches(**settings)
            self.east.set_delays(update=60)
            size = int(self.on(self.subject)[1]['size']) // base.GIB
            grow = threading.Thread(target=self.driver.extend_volume,
                                    args=(self.subject, size + 1))
            grow.start()
            self.wait(lambda: self.on(self.subject)[1]['state'] == 'Updating'
                      or None)
            self.go_on_soon()

            self.grant(1)()

            grow.join()
            found = self.on(self.subject)[1]
            self.assertEqual((size + 1) * base.GIB, int(found['size']))
            self.assert_admitted([1])
            self.revoke(1, [])()

    def test_a_snapshot_while_the_volume_grows(self) -> None:
        for status in (400, 412):
            self.east.set_switches(failed_precondition=status)
            self.east.set_delays(update=60)
            snapshot = self.snapshot(self.subject)
            size = int(self.on(self.subject)[1]['size']) // base.GIB
            self.east.request(
                'PUT', '/api/v2/projects/default/volumes/'
                f'{self.on(self.subject)[1]["UUID"]}',
                {'size': f'{size + 1}Gib'})
            self.assertEqual('Updating', self.on(self.subject)[1]['state'])
            self.go_on_soon()

            self.driver.create_snapshot(snapshot)

            self.assertEqual('Available', self.on(snapshot)[1]['state'])

    def test_an_update_the_cluster_refuses_for_good(self) -> None:
        self.east.fault('status', route='volumes.update', status=400,
                        message='never')

        error = self.assertRaises(
            lb_exception.LightbitsBackendError,
            self.driver.initialize_connection, self.subject,
            base.connector(1))

        self.assertIn('never', str(error))
        self.assertEqual(
            2, self.east.counters().requests['volumes.update'])


class HostsTestCase(AccessTestCase):
    """Hosts that come, move and go."""

    def test_a_live_migration(self) -> None:
        source, target = base.connector(1), base.connector(2)
        first = self.attach(self.driver, self.subject, source)
        # Nova attaches at the destination before it lets go of the source.
        self.attach(self.driver, self.subject, target)
        self.assertEqual({base.nqn(1), base.nqn(2)}, self.acl())

        self.assertIs(False, self.detach(source))
        first.destroy()

        self.assertEqual({base.nqn(2)}, self.acl())
        self.assertEqual({'192.0.2.2'}, self.ip_acl())

    def test_a_live_migration_that_is_called_off(self) -> None:
        source, target = base.connector(1), base.connector(2)
        self.attach(self.driver, self.subject, source)
        self.attach(self.driver, self.subject, target)

        self.detach(target)

        self.assertEqual({base.nqn(1)}, self.acl())
        self.assertEqual({'192.0.2.1'}, self.ip_acl())

    def test_a_migration_between_hosts_behind_one_address(self) -> None:
        source = base.connector(1, '192.0.2.100')
        target = base.connector(2, '192.0.2.100')
        self.attach(self.driver, self.subject, source)
        self.attach(self.driver, self.subject, target)

        self.detach(source)

        self.assertEqual({base.nqn(2)}, self.acl())
        self.assertEqual({'192.0.2.100'}, self.ip_acl())

    def test_a_host_with_another_address_than_before(self) -> None:
        self.attach(self.driver, self.subject,
                    base.connector(1, '192.0.2.1'))
        self.driver.initialize_connection(
            self.subject, base.connector(1, '192.0.2.1', '192.0.2.77'))

        self.assertEqual({'192.0.2.1', '192.0.2.77'}, self.ip_acl())

    def test_a_host_that_comes_back_while_it_is_leaving(self) -> None:
        """Its second instance attaches as the first detaches."""
        first = self.attach(self.driver, self.subject, base.connector(1))
        self.east.fault('slow', route='volumes.update', seconds=1, count=1)
        told: list[bool] = []
        leaving = threading.Thread(
            target=lambda: told.append(self.detach(base.connector(1))))
        leaving.start()
        self.wait(lambda: self.east.faults()[0]['hits'] or None)

        self.attach(self.driver, self.subject, base.connector(1))
        leaving.join()
        first.destroy()

        self.assertEqual([True], told)
        self.assertEqual({base.nqn(1)}, self.acl())
        self.assertIs(False, self.detach(base.connector(1)))
        self.assertEqual({'ALLOW_NONE'}, self.acl())

    def test_addresses_in_any_form(self) -> None:
        self.attach(self.driver, self.subject, base.connector(
            1, '2001:DB8:0:0::0001', '::ffff:192.0.2.9', 'fe80::1%eth0',
            '127.0.0.1', '::1', '192.0.2.1'))

        self.assertEqual({'2001:db8::1', '192.0.2.9', '192.0.2.1'},
                         self.ip_acl())
        self.detach(base.connector(1, '2001:db8::1'))
        self.assertEqual({'ALLOW_NONE'}, self.acl())

    def test_a_connector_with_the_old_field_alone(self) -> None:
        properties = base.connector(1)
        del properties['host_ips']
        self.driver.initialize_connection(self.subject,
                                          {**properties, 'ip': '192.0.2.5'})

        self.assertEqual({'192.0.2.5'}, self.ip_acl())

    def test_hosts_with_and_without_discovery_client(self) -> None:
        """Both are let in, and told all that either needs."""
        told = []
        for found in ({'found_dsc': 'found'}, {'found_dsc': ''}, {}):
            properties = base.connector(1)
            del properties['found_dsc']
            properties |= found
            self.driver.validate_connector(properties)
            told.append(self.driver.initialize_connection(
                self.subject, properties)['data'])
        self.assertEqual([told[0]] * 3, told)
        known = ConnectionProperties.from_dict(told[0])
        self.assertEqual(len(self.east.api_endpoints), len(known.nodes))
        self.assertEqual(len(known.nodes), len(known.nvme_endpoints))

    def test_malformed_connectors(self) -> None:
        for field, value in (('nqn', 'ALLOW_ANY'), ('nqn', ''),
                             ('host_ips', ['192.0.2.300'])):
            for call in (self.driver.initialize_connection,
                         lambda _volume, properties:
                         self.driver.validate_connector(properties)):
                error = self.assertRaises(
                    exception.InvalidConnectorException, call, self.subject,
                    {**base.connector(1), field: value})
                self.assertIn(field, str(error))
        self.assertEqual({'ALLOW_NONE'}, self.acl())

    def test_sixteen_addresses_and_no_more(self) -> None:
        first = [f'192.0.2.{number}' for number in range(1, 9)]
        second = [f'198.51.100.{number}' for number in range(1, 9)]
        self.attach(self.driver, self.subject, base.connector(1, *first))
        self.attach(self.driver, self.subject, base.connector(2, *second))
        self.assertEqual({*first, *second}, self.ip_acl())

        self.assertRaises(
            exception.InvalidConnectorException,
            self.driver.initialize_connection, self.subject,
            base.connector(3, '203.0.113.3'))
        self.assertEqual({base.nqn(1), base.nqn(2)}, self.acl())

        # An address that is there already takes no room.
        self.driver.initialize_connection(
            self.subject, base.connector(3, first[0]))
        self.assertEqual({*first, *second}, self.ip_acl())

    def test_what_is_gone_has_no_access_to_take(self) -> None:
        self.attach(self.driver, self.subject, base.connector(1))
        self.driver.delete_volume(self.subject)
        log = self.logged()

        self.assertIs(False, self.detach(base.connector(1)))
        self.assertIs(False, self.detach(None, force=True))

        self.assertEqual(2, log.output.count('No access to remove'))

    def test_a_volume_that_is_read_only_is_told(self) -> None:
        array = self.add_array('two', nodes=2)
        self.arrays = {'two': array}
        drv = self.start_driver({'two': self.section('two')},
                                lightbits_default_num_replicas=2)
        volume = self.made(drv)
        array.stop_node(0)
        log = self.logged()

        drv.initialize_connection(volume, base.connector(1))

        self.assertIn(f'WARNING Volume {volume.name} on cluster two is '
                      'ReadOnly', log.output)

    def test_attaching_twice_costs_one_change(self) -> None:
        self.attach(self.driver, self.subject, base.connector(1))
        self.reset_counters()

        self.driver.initialize_connection(self.subject, base.connector(1))

        self.assertNotIn('volumes.update', self.east.counters().requests)


class NoIpAclTestCase(AccessTestCase):
    """Hosts are admitted by NQN alone."""

    OPTIONS = {'lightbits_use_ip_acl': False}

    def test_any_address_while_a_host_is_attached(self) -> None:
        self.driver.validate_connector({**base.connector(1),
                                        'host_ips': []})
        for number in (1, 2):
            self.attach(self.driver, self.subject, base.connector(number))
        self.assertEqual({base.nqn(1), base.nqn(2)}, self.acl())
        self.assertEqual({'ALLOW_ANY'}, self.ip_acl())

        self.detach(base.connector(1))
        self.assertEqual({base.nqn(2)}, self.acl())
        self.detach(None, force=True)
        self.assertEqual({'ALLOW_NONE'}, self.acl())

    def test_more_than_sixteen_addresses(self) -> None:
        self.driver.initialize_connection(self.subject, base.connector(
            1, *(f'192.0.2.{number}' for number in range(1, 40))))

        self.assertEqual({base.nqn(1)}, self.acl())

    def test_switched_on_again_it_closes_with_the_next_attach(self) -> None:
        self.attach(self.driver, self.subject, base.connector(1))
        drv = self.start_driver(lightbits_use_ip_acl=True)

        self.attach(drv, self.subject, base.connector(2))

        self.assertEqual({'192.0.2.1', '192.0.2.2'}, self.ip_acl())
