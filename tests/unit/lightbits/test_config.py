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

"""How a cluster's client is configured."""

from typing import Any

from oslotest import base

from cinder_lightbits_federation.lightbits import config
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import tls

SEEDS = (endpoints.Endpoint('192.0.2.1'),)


class ConfigTestCase(base.BaseTestCase):

    def refused(self, text: str, seeds: tuple[endpoints.Endpoint, ...],
                **fields: Any) -> None:
        error = self.assertRaises(
            ValueError, config.ClientConfig, 'east', seeds, tls.TlsTrust(),
            **fields)
        self.assertIn(text, str(error))

    def test_out_of_range(self) -> None:
        self.refused('seeds', ())
        for value in (0, -1.0):
            self.refused('connect_timeout', SEEDS, connect_timeout=value)
            self.refused('api_timeout', SEEDS, api_timeout=value)
            self.refused('pool_size', SEEDS, pool_size=value)

    def test_a_uuid_is_compared_in_one_form(self) -> None:
        made = config.ClientConfig('east', SEEDS, tls.TlsTrust(),
                                   expected_uuid=' 4CB2E0BF ')
        self.assertEqual('4cb2e0bf', made.expected_uuid)
