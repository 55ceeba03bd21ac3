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

"""Wrong configuration: one clear error each, and the other clusters serve."""

from __future__ import annotations

import re

from tests.embedded import federation
from tests.functional import base

NO_SUCH = '/no/such/file'
OTHER_UUID = 'dddddddd-0000-4000-8000-000000000001'


class ClusterSectionTest(base.FunctionalTest):

    def setUp(self) -> None:
        super().setUp()
        self.add_cluster('good')
        self.add_cluster('bad')

    def wrong(self, name: str, node: int = 0, **changes: str | None
              ) -> federation.Section:
        """Return a section for the cluster ``bad`` that has a mistake.

        :param name: of the section.
        :param node: whose API is named; a section that is not wrong by
            itself needs one of its own.
        """
        right = self.section('bad').with_options(
            cluster_uuid=None,
            api_endpoints=self.clusters['bad'].api_endpoints[node])
        return federation.Section(
            f'lightbits_cluster:{name}', right.options
        ).with_options(**changes)

    def test_wrong_sections(self) -> None:
        """Each is told once, by section and option, whatever is wrong."""
        # Patterns of options, and sections where those are wrong.
        sections = {
            'api_endpoints': [
                self.wrong('none', api_endpoints=None),
                self.wrong('form', api_endpoints='host:port:more')],
            'jwt_file': [self.wrong('token', 0, jwt_file=NO_SUCH)],
            'tls_ca_file': [self.wrong('ca', tls_ca_file=NO_SUCH)],
            'admin_state': [self.wrong('state', admin_state='sleeping')],
            'tls_fingerprints': [
                self.wrong('print', tls_ca_file=None,
                           tls_server_name=None, tls_fingerprints='abc')],
            'cluster_uuid': [
                self.wrong('uuid', 1, cluster_uuid=OTHER_UUID),
                self.wrong('twin', api_endpoints='127.0.0.1:1',
                           cluster_uuid=self.clusters['good'].uuid)],
            'tls_[a-z_]+: .*other.example': [
                self.wrong('name', 2, tls_server_name='other.example')],
        }
        sdk = self.start([
            self.section('good'),
            *(item for wrong in sections.values() for item in wrong)])
        for option, wrong in sections.items():
            for item in wrong:
                self.cloud.wait_for_log(
                    rf'ERROR .*\[{item.name}\] {option}')
                self.assertEqual(1, self.errors_about(item.name), item.name)
        for _number in range(3):
            self.assertEqual('good', self.on_array(self.create(sdk))[0])
        self.audit()

    def errors_about(self, section: str) -> int:
        """Return how many error lines of the log name a section first."""
        return len(re.findall(
            rf'^\S+ \S+ \d+ ERROR [^:]*: \[{section}\]',
            self.cloud.log(), re.MULTILINE))


class BackendSectionTest(base.FunctionalTest):

    def setUp(self) -> None:
        super().setUp()
        self.add_cluster('east')

    def check(self, option: str, **options: str) -> None:
        """The backend does not start, and the log says which option."""
        sdk = self.start(backend=options)
        self.cloud.wait_for_log(rf'\[lightbits\] {option}: ')
        self.settled(sdk, sdk.create_volume(size=1), 'error')

    def test_federation_id(self) -> None:
        self.check('lightbits_federation_id',
                   lightbits_federation_id='our-cloud')

    def test_unknown_cluster(self) -> None:
        self.check('lightbits_clusters', lightbits_clusters='east,wset')
