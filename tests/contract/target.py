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

"""The cluster that the contract is tested with.

A simulated one, unless the environment names a real one::

    LIGHTBITS_CONTRACT_URL          https://192.0.2.11:443
    LIGHTBITS_CONTRACT_TOKEN        a token of an admin of the project
    LIGHTBITS_CONTRACT_PROJECT      default
    LIGHTBITS_CONTRACT_CA           PEM file of the certificate authority
    LIGHTBITS_CONTRACT_SERVER_NAME  name in the certificate, with the CA
    LIGHTBITS_CONTRACT_FINGERPRINT  SHA-256 of the certificate, instead

A real cluster is only changed by objects that the tests made themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import itertools
import os
from typing import Any

from cinder_lightbits_federation.lightbits import client
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import tls
from cinder_lightbits_federation.lightbits import tokens
from tests.simulator import client as sim_client
from tests.simulator import control

PREFIX = 'LIGHTBITS_CONTRACT_'

# Slow enough that every change is seen under way.
DELAYS = {'create': 0.05, 'update': 0.05, 'delete': 0.1, 'rollback': 0.05,
          'snapshot_create': 0.05, 'snapshot_delete': 0.1}

_numbers = itertools.count()


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A cluster, and how to reach it.

    :param simulated: None if the cluster is real.
    """

    config: client.ClientConfig
    token: str
    project: str
    simulated: sim_client.SimCluster | None = None

    def client(self) -> client.LightbitsClient:
        """:returns: a new client; the caller closes it."""
        return client.LightbitsClient(self.config,
                                      tokens.StaticToken(self.token))

    def remove(self) -> None:
        """Remove what was made for the tests."""
        if self.simulated is not None:
            self.simulated.remove()


def real(environment: Mapping[str, str] = os.environ) -> Target | None:
    """:returns: the cluster that the environment names, if it names one.

    :raises ValueError: a variable is missing or wrong.
    """
    values = {key.removeprefix(PREFIX): value
              for key, value in environment.items()
              if key.startswith(PREFIX) and value}
    if 'URL' not in values:
        return None
    if 'TOKEN' not in values:
        raise ValueError(f'{PREFIX}TOKEN is needed with {PREFIX}URL')
    address = values['URL'].removeprefix('https://').rstrip('/')
    return Target(
        client.ClientConfig(
            name='real', seeds=(endpoints.Endpoint.parse(address),),
            tls=_trust(values), api_timeout=30),
        values['TOKEN'], values.get('PROJECT', 'default'))


def _trust(values: Mapping[str, str]) -> tls.TlsTrust:
    if 'FINGERPRINT' in values:
        return tls.TlsTrust.pinned(values['FINGERPRINT'].split(','))
    return tls.TlsTrust(ca_file=values.get('CA'),
                        server_name=values.get('SERVER_NAME'))


def simulated(**options: Any) -> Target:
    """:returns: a new simulated cluster, asked as a project's admin.

    :param options: of `control.Simulator.add_cluster`.
    """
    cluster = control.Simulator.shared().add_cluster(
        f'contract{next(_numbers)}', **{'delays': DELAYS, **options})
    return Target(
        client.ClientConfig(
            name=cluster.name, seeds=tuple(
                endpoints.Endpoint.parse(text)
                for text in cluster.api_endpoints),
            tls=tls.TlsTrust(ca_file=cluster.ca_file)),
        cluster.token('default'), 'default', cluster)
