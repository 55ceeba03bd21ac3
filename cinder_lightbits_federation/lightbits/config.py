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

"""What there is to configure of the client of one cluster."""

from __future__ import annotations

import dataclasses

from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import tls


@dataclasses.dataclass(frozen=True, slots=True)
class ClientConfig:
    """How to reach one cluster.

    :param name: what the operator calls it; for messages only.
    :param seeds: API endpoints, the preferred one first.
    :param expected_uuid: the cluster's UUID; None pins the first answer.
    :param connect_timeout: seconds to connect, shake hands and identify.
    :param api_timeout: seconds for one call, and for an operation that
        was given no deadline.
    :param pool_size: idle connections to keep per endpoint; at least as
        many as there are threads that call.
    :param learn_endpoints: whether the cluster's own list extends `seeds`.
    :param endpoint_networks: learned endpoints must lie in these; none
        allows all.
    :raises ValueError: a field is out of range.
    """

    name: str
    seeds: tuple[endpoints.Endpoint, ...]
    tls: tls.TlsTrust
    expected_uuid: str | None = None
    connect_timeout: float = 3.0
    api_timeout: float = 10.0
    pool_size: int = 64
    learn_endpoints: bool = True
    endpoint_networks: tuple[endpoints.Network, ...] = ()

    def __post_init__(self) -> None:
        if not self.seeds:
            raise ValueError('seeds: at least one API endpoint is needed')
        if self.connect_timeout <= 0 or self.api_timeout <= 0:
            raise ValueError('connect_timeout and api_timeout must be '
                             'positive')
        if self.pool_size < 1:
            raise ValueError('pool_size must be positive')
        if self.expected_uuid is not None:
            object.__setattr__(self, 'expected_uuid',
                               self.expected_uuid.strip().lower())
