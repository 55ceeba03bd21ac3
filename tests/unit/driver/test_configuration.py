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

"""Wrong entries: each is told once, and the other clusters serve."""

import os
from typing import Any

from cinder import exception

from cinder_lightbits_federation import exception as lb_exception
from tests.simulator import pki
from tests.unit.driver import base

STRANGER = '77777777-0000-4000-8000-000000000007'


class WrongSectionTestCase(base.FederationTestCase):
    """The section of west is wrong; east serves."""

    NODES = 1
    CLUSTERS = ('east', 'west')

    def path(self, name: str, content: str) -> str:
        """:returns: path of a new file."""
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(content)
        return path

    def assert_told(self, option: str, word: str, **changes: Any) -> None:
        """West is left out with one error that names section and option."""
        log = self.logged()
        drv = self.start_driver({'east': self.section('east'),
                                 'west': self.section('west', **changes)})

        line, = self.wait(lambda: [
            text for text in log.output.splitlines()
            if text.startswith('ERROR Cluster west is ')] or None)
        self.assertIn(f': [lightbits_cluster:west] {option}: ', line)
        self.assertIn(word, line)
        self.assertNotIn('Traceback', log.output)
        for _number in range(2):
            self.assertEqual('east', self.on(self.made(drv))[0])
        closed = drv.get_volume_stats()['pools'][0]
        self.assertGreater(closed['total_capacity_gb'], 0)
        drv.tear_down()

    def test_words_that_are_none(self) -> None:
        self.assert_told('admin_state', 'off', admin_state='off')
        self.assert_told('learn_endpoints', 'perhaps',
                         learn_endpoints='perhaps')
        self.assert_told('token_scope', 'world', token_scope='world')
        self.assert_told('project_map', 'NAME:VALUE', project_map='default')

    def test_values_that_refer_to_nothing(self) -> None:
        """Of what is referred to nothing is told: it is of the value."""
        for option in ('tls_server_name', 'tls_ca_file', 'private_key_file',
                       'cluster_uuid', 'backends', 'project_map'):
            self.assert_told(option, 'write $$ for a $',
                             **{option: 'a$b.example'})
        for secret in ('a$s3cret', 'a$s3cret.b', 'a${s3cret.b}'):
            log = self.logged()
            self.assert_told('jwt', 'name of no option', jwt=secret)
            self.assertNotIn('s3cret', log.output)

    def test_addresses_that_are_none(self) -> None:
        self.assert_told('api_endpoints', 'at least one', api_endpoints=None)
        self.assert_told('api_endpoints', '99999',
                         api_endpoints='192.0.2.1:99999')
        self.assert_told('endpoint_networks', '192.0.2.0/99',
                         endpoint_networks='192.0.2.0/99')

    def test_the_uuid(self) -> None:
        self.assert_told('cluster_uuid', 'not a UUID', cluster_uuid='west')
        self.assert_told('cluster_uuid', STRANGER, cluster_uuid=STRANGER)

    def test_trust_that_cannot_be_read(self) -> None:
        self.assert_told('tls_ca_file', '/no/such/file',
                         tls_ca_file='/no/such/file')
        self.assert_told('tls_ca_file', 'no usable certificate',
                         tls_ca_file=self.path('ca.pem', 'nonsense'))
        self.assert_told('tls_fingerprints', 'abcd', tls_ca_file=None,
                         tls_fingerprints='abcd')
        self.assert_told('tls_fingerprints', 'exclude each other',
                         tls_fingerprints='ab' * 32)

    def test_trust_in_another(self) -> None:
        folder = os.path.join(self.folder, 'other')
        os.mkdir(folder)
        other = pki.Authority(folder).ca_file

        self.assert_told('tls_ca_file', 'not trusted', tls_ca_file=other)
        self.assert_told('tls_fingerprints',
                         self.arrays['west'].fingerprint, tls_ca_file=None,
                         tls_fingerprints='ab' * 32)

    def test_a_name_that_the_certificate_does_not_carry(self) -> None:
        self.assert_told('tls_server_name', 'other.service',
                         tls_server_name='other.service')
        stock = self.add_array('stock', cert='stock', nodes=1)
        # As shipped, and the name was not set.
        self.assert_told('tls_server_name', '127.0.0.1',
                         api_endpoints=stock.api_endpoints[0],
                         cluster_uuid=stock.uuid, jwt=stock.admin_token)

    def test_tokens(self) -> None:
        junk = self.path('junk', '- not a token -')
        self.assert_told('jwt_file', 'cannot be read', jwt=None,
                         jwt_file='/no/such/file')
        self.assert_told('jwt_file', junk, jwt=None, jwt_file=junk)
        self.assert_told('jwt_file', 'excludes jwt', jwt_file=junk)
        self.assert_told('jwt', 'HTTP 401',
                         jwt=self.arrays['west'].token(ttl=-60))
        self.assert_told('jwt_file', 'HTTP 401', jwt=None)

    def test_keys(self) -> None:
        junk = self.path('key.pem', 'nonsense')
        self.assert_told('private_key_file', junk, jwt=None,
                         private_key_file=junk, credential_id='root')
        self.assert_told('private_key_file', 'go together', jwt=None,
                         credential_id='root')
        self.assert_told(
            'private_key_file', 'HTTP 401', jwt=None,
            private_key_file=self.arrays['west'].private_key_file,
            credential_id='nobody')

    def test_a_project_that_is_missing(self) -> None:
        self.assert_told('project_map', "no project 'elsewhere'",
                         project_map='default:elsewhere')

    def test_nobody_is_there(self) -> None:
        self.assert_told('api_endpoints', 'Connection refused',
                         api_endpoints='127.0.0.1:1')

    def test_one_cluster_under_two_names(self) -> None:
        east = self.arrays['east']
        self.assert_told('cluster_uuid', '[lightbits_cluster:east]',
                         cluster_uuid=east.uuid)
        self.assert_told('api_endpoints', '[lightbits_cluster:east]',
                         api_endpoints=east.api_endpoints[0])

    def test_one_cluster_under_two_names_seen_at_contact(self) -> None:
        twin = self.add_array('twin', nodes=2)
        # The second is seen first, and not looked at again for long.
        twin.fault('slow', node=0, seconds=0.5, count=2)
        log = self.logged()
        drv = self.start_driver({
            name: self.section('twin', cluster_uuid=None, api_endpoints=where)
            for name, where in zip(('one', 'two'), twin.api_endpoints,
                                   strict=True)},
            lightbits_poll_interval=60)

        self.wait(lambda: 'ERROR Cluster two is misconfigured: '
                  '[lightbits_cluster:two] api_endpoints: ' in log.output
                  or None)

        self.assertIn('[lightbits_cluster:one]', log.output)
        self.assertNotIn('Cluster one is misconfigured', log.output)
        self.driver_sees_it_once(drv, twin.uuid)

    def driver_sees_it_once(self, drv: Any, uuid: str) -> None:
        """Capacity is counted once, and volumes go to the first name."""
        pool, = drv.get_volume_stats()['pools']
        self.assertEqual(1, pool['lightbits_clusters_open'])
        self.assertEqual(
            'one', drv.federation.registry.by_uuid(uuid).name)
        self.made(drv)


class WrongBackendTestCase(base.FederationTestCase):
    """The backend cannot start; the error says why."""

    NODES = 1
    CLUSTERS = ('east',)

    def assert_refused(self, *words: str,
                       clusters: dict[str, dict[str, Any]] | None = None,
                       cluster_name: str | None = None,
                       **backend: Any) -> None:
        """The driver is not set up."""
        drv = self.build_driver(clusters, cluster_name=cluster_name,
                                **backend)
        error = self.assertRaises(lb_exception.LightbitsConfigurationError,
                                  drv.do_setup, self.context)
        for word in words:
            self.assertIn(word, str(error))

    def test_every_section_is_wrong(self) -> None:
        self.assert_refused(
            '[lightbits_cluster:east] admin_state',
            '[lightbits_cluster:west] api_endpoints',
            clusters={'east': self.section('east', admin_state='off'),
                      'west': {'jwt': 'x'}})

    def test_no_section(self) -> None:
        self.assert_refused('[lightbits] lightbits_clusters', clusters={})

    def test_a_list_that_names_what_is_not_there(self) -> None:
        self.assert_refused('[lightbits] lightbits_clusters',
                            '[lightbits_cluster:west]',
                            lightbits_clusters='east, west')
        self.assert_refused('named twice: east',
                            lightbits_clusters='east, east')

    def test_a_clustered_service_needs_the_id(self) -> None:
        self.assert_refused('[lightbits] lightbits_federation_id', 'uuidgen',
                            cluster_name='cluster@lightbits',
                            lightbits_allow_file_locks=True,
                            lightbits_federation_id=None)
        self.assert_refused('[lightbits] lightbits_federation_id',
                            'not a UUID', lightbits_federation_id='mine')

    def test_values(self) -> None:
        values: dict[str, Any]
        for option, value in (('lightbits_pools', 'many'),
                              ('lightbits_default_num_replicas', '4'),
                              ('lightbits_operation_timeout', '1'),
                              ('lightbits_data_networks', '192.0.2.0/99'),
                              ('lightbits_poll_interval', 'often')):
            values = {option: value}
            self.assert_refused(f'[lightbits] {option}', **values)

    def test_the_id_is_derived_for_a_single_host(self) -> None:
        log = self.logged()

        drv = self.start_driver(lightbits_federation_id=None)
        found = self.on(self.made(drv))[1]

        derived = self.labels(found)['cinder_owner']
        self.assertIn(f'{derived} was derived from the host', log.output)


class DownTestCase(base.FederationTestCase):
    """Nobody answers when the service starts."""

    NODES = 1
    CLUSTERS = ('east', 'west')

    def test_it_starts_and_comes_back_without_a_restart(self) -> None:
        for array in self.arrays.values():
            array.stop()
        log = self.logged()
        drv = self.start_driver(lightbits_poll_interval=1)

        error = self.assertRaises(lb_exception.LightbitsBackendError,
                                  drv.create_volume, self.volume())
        for name in self.arrays:
            self.assertIn(f'{name}: disconnected', str(error))
            self.assertIn(f'ERROR Cluster {name} is disconnected',
                          log.output)
        self.assertEqual(0, self.total(drv))

        for array in self.arrays.values():
            array.start()
        self.wait(lambda: self.total(drv) or None)
        self.made(drv)

    def test_a_short_absence_is_over_soon(self) -> None:
        drv = self.start_driver(lightbits_poll_interval=600)
        west = self.arrays['west']
        pinned = {'lightos:cluster': 'west'}
        west.stop()
        self.assertRaises(lb_exception.LightbitsBackendError,
                          drv.create_volume, self.volume(specs=pinned))
        west.start()

        cluster = drv.federation.registry.by_uuid(west.uuid)
        self.wait(lambda: cluster.breaker.state is None or None)
        self.made(drv, specs=pinned)

    @staticmethod
    def total(drv: Any) -> float:
        """What the scheduler is told of the backend's capacity."""
        pool, = drv.get_volume_stats()['pools']
        return float(pool['total_capacity_gb'])

    def test_a_cluster_is_another_one_after_a_while(self) -> None:
        log = self.logged()
        drv = self.start_driver({
            name: self.section(name, cluster_uuid=None)
            for name in self.arrays}, lightbits_poll_interval=1)
        west = self.arrays['west']
        known = west.uuid
        west.stop()
        west.start(uuid=STRANGER)

        self.wait(lambda: 'ERROR Cluster west is wrong identity: '
                  '[lightbits_cluster:west] cluster_uuid: ' in log.output
                  or None)
        self.assertIn(STRANGER, log.output)
        self.assertIn(known, log.output)
        for _number in range(2):
            self.assertEqual('east', self.on(self.made(drv))[0])
        self.assertRaises(
            exception.CinderException, drv.create_volume,
            self.volume(specs={'lightos:cluster': 'west'}))
