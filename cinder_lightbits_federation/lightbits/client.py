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

"""The typed client of one cluster."""

from __future__ import annotations

from collections.abc import Iterable

from cinder_lightbits_federation.lightbits import admin
from cinder_lightbits_federation.lightbits import config as client_config
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import meter
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits import snapshots
from cinder_lightbits_federation.lightbits import tokens
from cinder_lightbits_federation.lightbits import transport
from cinder_lightbits_federation.lightbits import volumes
from cinder_lightbits_federation import timing

ClientConfig = client_config.ClientConfig


class LightbitsClient(volumes.VolumeCalls, snapshots.SnapshotCalls,
                      admin.AdminCalls):
    """Calls the management API of one cluster; knows no federation.

    Thread-safe, under native threads and eventlet. Making one opens no
    socket and starts no thread, so it may be made before a fork.
    """

    def __init__(self, config: ClientConfig,
                 source: tokens.TokenSource) -> None:
        self._transport = transport.HttpsTransport(config, source)
        super().__init__(self._transport, config.name)

    @property
    def uuid(self) -> str | None:
        """The cluster's UUID: expected, or pinned by its first answer.

        None before that answer.
        """
        return self._transport.uuid

    @property
    def meter(self) -> meter.Meter:
        """Counts the requests of this client."""
        return self._transport.meter

    def endpoints(self) -> tuple[endpoints.EndpointStatus, ...]:
        """:returns: what is known of every API endpoint."""
        return self._transport.status()

    def learn(self, addresses: Iterable[str]) -> None:
        """Replace the learned API endpoints by the cluster's own list.

        The client does so itself with every new connection and with every
        `cluster_info`. Seeds stay. Nothing is learned before an endpoint
        has proved to be this cluster, or when learning is off.
        """
        self._transport.learn(addresses)

    def recall(self, addresses: Iterable[str]) -> None:
        """Know API endpoints from an earlier time, before any was asked.

        Nothing is recalled for a cluster without an expected UUID.
        """
        self._transport.recall(addresses)

    def certificates(self) -> list[bytes]:
        """:returns: what endpoints presented last (DER)."""
        return self._transport.certificates()

    def cluster_info(self, project: str, *,
                     deadline: timing.Deadline | None = None,
                     ) -> model.ClusterInfo:
        """See `admin.AdminCalls`; its API endpoints are learned."""
        info = super().cluster_info(project, deadline=deadline)
        self.learn(info.api_endpoints)
        return info

    def close(self) -> None:
        """Close idle connections. The next call opens new ones."""
        self._transport.close()
