#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""The command and the SDK against an API with the token filter."""

from __future__ import annotations

import abc
from typing import Any

from openstack import connection

from tests.embedded import cli
from tests.embedded import tokens

MICROVERSION = '3.70'


class Clients(abc.ABC):
    """Gives clients of a running Block Storage service."""

    @property
    @abc.abstractmethod
    def api(self) -> str:
        """Root address of the running API, without a path."""

    @property
    @abc.abstractmethod
    def secret(self) -> str:
        """The secret part of every token."""

    def environment(self, identity: tokens.Identity = tokens.ADMIN
                    ) -> dict[str, str]:
        """Return the variables ``openstack`` needs, and no others."""
        return {'OS_AUTH_TYPE': 'admin_token',
                'OS_ENDPOINT': f'{self.api}/v3',
                'OS_TOKEN': identity.token(self.secret),
                'OS_VOLUME_API_VERSION': MICROVERSION}

    @property
    def openstack(self) -> cli.OpenStackClient:
        """The command, as an administrator of the project ``demo``."""
        return cli.OpenStackClient(self.environment())

    def sdk(self, identity: tokens.Identity = tokens.ADMIN) -> Any:
        """Return openstacksdk's proxy of the Block Storage service.

        It can do what the command cannot, such as an attachment without a
        server.
        """
        environment = self.environment(identity)
        return connection.Connection(
            auth_type='admin_token',
            auth={'endpoint': environment['OS_ENDPOINT'],
                  'token': environment['OS_TOKEN']},
            block_storage_default_microversion=MICROVERSION,
        ).block_storage
