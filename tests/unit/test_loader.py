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

"""The configuration: what is read, and what is refused and how."""

from collections.abc import Mapping
import os
import re
from typing import Any

import fixtures
from oslo_config import cfg
from oslotest import base

from cinder_lightbits_federation import errors
from cinder_lightbits_federation import loader
from cinder_lightbits_federation import options
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation.views import AdminState
from tests.simulator import pki

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
EXAMPLE = os.path.join(ROOT, 'etc', 'cinder-three-clusters.conf')

UUID = '4cb2e0bf-20fa-5720-8cc2-1a11fe3e9850'
FEDERATION_ID = '7b1ce1f8-0f3f-4f8e-9a53-8d2f3c1f6a11'
PRINT = 'ab' * 32

FROM_CINDER = [
    cfg.StrOpt('max_over_subscription_ratio', default='20.0'),
    cfg.IntOpt('reserved_percentage', default=0),
    cfg.BoolOpt('driver_ssl_cert_verify', default=False),
    cfg.StrOpt('driver_ssl_cert_path'),
]


class Backend:
    """A backend section as Cinder hands it to a driver."""

    def __init__(self, path: str, section: str) -> None:
        self._conf = cfg.ConfigOpts()
        self._conf(args=[], default_config_files=[path],
                   default_config_dirs=[])
        self._conf.register_opts(FROM_CINDER + options.backend_opts,
                                 group=section)
        self._section = section

    def safe_get(self, value: str) -> Any:
        """:returns: the option's value."""
        return self._conf[self._section][value]


class LoaderTestCase(base.BaseTestCase):
    """Loads configurations written to a temporary folder."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.ca_file = pki.Authority(self.folder).ca_file

    def write(self, text: str) -> str:
        """:returns: path of a file with this text."""
        path = os.path.join(self.folder, 'cinder.conf')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def load(self, clusters: Mapping[str, Mapping[str, Any]],
             clustered: bool = False, **backend: Any) -> FederationSettings:
        """Load a backend with these sections."""
        backend.setdefault('lightbits_federation_id', FEDERATION_ID)
        lines = ['[lightbits]']
        lines += [f'{key} = {value}' for key, value in backend.items()
                  if value is not None]
        for name, section in clusters.items():
            lines.append(f'[lightbits_cluster:{name}]')
            lines += [f'{key} = {value}' for key, value in section.items()]
        return self.load_file(self.write('\n'.join(lines)), clustered)

    @staticmethod
    def load_file(path: str, clustered: bool = False) -> FederationSettings:
        """Load a file."""
        return loader.load(Backend(path, 'lightbits'), 'lightbits',
                           'host@lightbits', clustered, [path], [])

    def good(self, number: int = 1, **changes: Any) -> dict[str, Any]:
        """A section that is right."""
        return {'api_endpoints': f'192.0.2.{number}',
                'tls_ca_file': self.ca_file, **changes}

    def told(self, **changes: Any) -> str:
        """What is said of a cluster with these options, east being fine."""
        section = {key: value for key, value in
                   self.good(2, **changes).items() if value is not None}
        loaded = self.load({'east': self.good(), 'west': section})
        self.assertEqual(['east'], [one.name for one in loaded.clusters])
        self.assertEqual(['west'], [one.name for one in loaded.broken])
        return str(loaded.broken[0].problem)


class ExampleTestCase(LoaderTestCase):
    """The example that is shipped."""

    def test_the_three_clusters_load(self) -> None:
        with open(EXAMPLE, encoding='utf-8') as file:
            text = re.sub(r'/etc/cinder/lightbits/\w+-ca\.pem',
                          self.ca_file, file.read())

        loaded = self.load_file(self.write(text))

        self.assertEqual((), loaded.broken)
        self.assertEqual({'east', 'west', 'north'},
                         {one.name for one in loaded.clusters})
        by_name = {one.name: one for one in loaded.clusters}
        self.assertEqual(UUID, by_name['east'].client.expected_uuid)
        self.assertEqual(2, len(by_name['west'].client.tls.fingerprints))
        self.assertIs(AdminState.DISABLED, by_name['north'].admin_state)
        self.assertEqual('cinder', by_name['north'].project('default'))
        self.assertEqual(FEDERATION_ID, loaded.federation_id)

    def test_every_option_of_the_example_exists(self) -> None:
        known = {item.name for item in options.backend_opts
                 + options.cluster_opts}
        known |= {'enabled_backends', 'volume_backend_name', 'volume_driver'}
        with open(EXAMPLE, encoding='utf-8') as file:
            used = re.findall(r'^(\w+) =', file.read(), re.MULTILINE)

        self.assertEqual(set(), set(used) - known)


class DefaultsTestCase(LoaderTestCase):
    """What holds when nothing is said."""

    def test_defaults(self) -> None:
        loaded = self.load({'east': self.good()})

        client = loaded.clusters[0].client
        self.assertEqual('default', loaded.project)
        self.assertEqual(3, loaded.default_replicas)
        self.assertIs(False, loaded.default_compression)
        self.assertIs(True, loaded.use_ip_acl)
        self.assertEqual(15, loaded.poll_interval)
        self.assertIs(PoolMode.FEDERATION, loaded.pools)
        self.assertEqual(0.5, loaded.policy.max_create_share)
        self.assertEqual((10, 3), (client.api_timeout,
                                   client.connect_timeout))
        self.assertEqual(443, client.seeds[0].port)

    def test_tls_is_verified_by_default(self) -> None:
        loaded = self.load({'east': self.good()})

        self.assertTrue(loaded.clusters[0].client.tls.verifies_chain)

    def test_the_backend_s_certificate_path_is_inherited(self) -> None:
        loaded = self.load({'east': {'api_endpoints': '192.0.2.1'}},
                           driver_ssl_cert_path=self.ca_file)

        self.assertEqual(self.ca_file, loaded.clusters[0].client.tls.ca_file)

    def test_a_ratio_that_is_no_number_is_refused(self) -> None:
        found = self.assertRaises(
            errors.InvalidSetting, self.load, {'east': self.good()},
            max_over_subscription_ratio='abc')
        self.assertIn('max_over_subscription_ratio', str(found))

    def test_an_automatic_over_subscription_ratio_is_fine(self) -> None:
        loaded = self.load({'east': self.good()},
                           max_over_subscription_ratio='auto')

        self.assertEqual(20.0, loaded.policy.max_over_subscription)


class MembershipTestCase(LoaderTestCase):
    """Which sections belong to a backend."""

    def test_without_a_list_all_sections_belong(self) -> None:
        loaded = self.load({'east': self.good(), 'west': self.good(2)})

        self.assertEqual({'east', 'west'},
                         {one.name for one in loaded.clusters})

    def test_a_section_may_name_its_backends(self) -> None:
        loaded = self.load({'east': self.good(),
                            'west': self.good(2, backends='other')})

        self.assertEqual(['east'], [one.name for one in loaded.clusters])

    def test_a_list_chooses(self) -> None:
        loaded = self.load({'east': self.good(), 'west': self.good(2)},
                           lightbits_clusters='west')

        self.assertEqual(['west'], [one.name for one in loaded.clusters])

    def test_a_listed_cluster_without_a_section_is_refused(self) -> None:
        error = self.assertRaises(
            errors.InvalidSetting, self.load, {'east': self.good()},
            lightbits_clusters='east, wset')

        self.assertIn('[lightbits] lightbits_clusters', str(error))
        self.assertIn('[lightbits_cluster:wset]', str(error))

    def test_no_cluster_at_all_is_refused(self) -> None:
        error = self.assertRaises(errors.InvalidSetting, self.load, {})

        self.assertIn('[lightbits] lightbits_clusters', str(error))


class WrongClusterTestCase(LoaderTestCase):
    """A wrong section disables its cluster; the others serve."""

    def test_no_endpoint(self) -> None:
        self.assertIn('[lightbits_cluster:west] api_endpoints',
                      self.told(api_endpoints=''))

    def test_bad_endpoint(self) -> None:
        self.assertIn('[lightbits_cluster:west] api_endpoints',
                      self.told(api_endpoints='192.0.2.1:https'))

    def test_bad_uuid(self) -> None:
        self.assertIn('[lightbits_cluster:west] cluster_uuid',
                      self.told(cluster_uuid='east'))

    def test_bad_admin_state(self) -> None:
        self.assertIn('[lightbits_cluster:west] admin_state',
                      self.told(admin_state='on'))

    def test_bad_boolean(self) -> None:
        self.assertIn('[lightbits_cluster:west] learn_endpoints',
                      self.told(learn_endpoints='maybe'))

    def test_bad_network(self) -> None:
        self.assertIn('[lightbits_cluster:west] endpoint_networks',
                      self.told(endpoint_networks='192.0.2.0/33'))

    def test_missing_ca_file(self) -> None:
        told = self.told(tls_ca_file='/nowhere/ca.pem')

        self.assertIn('[lightbits_cluster:west] tls_ca_file', told)
        self.assertIn('/nowhere/ca.pem', told)

    def test_bad_fingerprint(self) -> None:
        self.assertIn('[lightbits_cluster:west] tls_fingerprints',
                      self.told(tls_ca_file=None, tls_fingerprints='12:34'))

    def test_two_ways_to_trust(self) -> None:
        self.assertIn('[lightbits_cluster:west] tls_fingerprints',
                      self.told(tls_fingerprints=PRINT))

    def test_two_sources_of_tokens(self) -> None:
        self.assertIn('[lightbits_cluster:west] jwt_file',
                      self.told(jwt='abc', jwt_file='/x'))

    def test_a_key_without_its_credential(self) -> None:
        self.assertIn('[lightbits_cluster:west] credential_id',
                      self.told(private_key_file='/x'))

    def test_a_token_that_is_none_is_not_repeated(self) -> None:
        told = self.told(jwt='not a token!')

        self.assertIn('[lightbits_cluster:west] jwt', told)
        self.assertNotIn('not a token!', told)

    def test_insecure_contradicts_the_backend(self) -> None:
        error = self.assertRaises(
            errors.InvalidSetting, self.load,
            {'east': self.good(tls_ca_file='', tls_insecure=True)},
            driver_ssl_cert_verify=True)

        self.assertIn('[lightbits_cluster:east] tls_insecure', str(error))

    def test_two_names_for_one_cluster(self) -> None:
        loaded = self.load({
            'east': self.good(1, cluster_uuid=UUID),
            'twin': self.good(2, cluster_uuid=UUID)})

        self.assertEqual(['east'], [one.name for one in loaded.clusters])
        self.assertIn('[lightbits_cluster:twin] cluster_uuid',
                      str(loaded.broken[0].problem))


class WrongBackendTestCase(LoaderTestCase):
    """A wrong option of the backend section stops it, and is named."""

    def refused(self, **backend: Any) -> str:
        """What is said."""
        return str(self.assertRaises(errors.InvalidSetting, self.load,
                                     {'east': self.good()}, **backend))

    def test_bad_replica_count(self) -> None:
        self.assertIn('[lightbits] lightbits_default_num_replicas',
                      self.refused(lightbits_default_num_replicas=4))

    def test_bad_pools(self) -> None:
        self.assertIn('[lightbits] lightbits_pools',
                      self.refused(lightbits_pools='many'))

    def test_bad_data_network(self) -> None:
        self.assertIn('[lightbits] lightbits_data_networks',
                      self.refused(lightbits_data_networks='192.0.2.1/24'))

    def test_bad_federation_id(self) -> None:
        self.assertIn('[lightbits] lightbits_federation_id',
                      self.refused(lightbits_federation_id='cloud1'))

    def test_everything_reserved(self) -> None:
        self.assertIn('reserved_percentage',
                      self.refused(reserved_percentage=100))

    def test_a_clustered_service_needs_a_federation_id(self) -> None:
        error = self.assertRaises(
            errors.InvalidSetting, self.load, {'east': self.good()},
            clustered=True, lightbits_federation_id=None)

        self.assertIn('[lightbits] lightbits_federation_id', str(error))

    def test_one_host_derives_its_id_and_says_so(self) -> None:
        log = self.useFixture(fixtures.FakeLogger())

        first = self.load({'east': self.good()},
                          lightbits_federation_id=None)
        again = self.load({'east': self.good()},
                          lightbits_federation_id=None)

        self.assertEqual(first.federation_id, again.federation_id)
        self.assertIn('lightbits_federation_id is not set', log.output)
