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

"""The one way to a cluster, and the seam where another can be put."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import logging
import time
from typing import Any, Protocol

from cinder_lightbits_federation.lightbits import config as client_config
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import errors
from cinder_lightbits_federation.lightbits import exchange
from cinder_lightbits_federation.lightbits import failover
from cinder_lightbits_federation.lightbits import identity
from cinder_lightbits_federation.lightbits import meter
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.lightbits import pools
from cinder_lightbits_federation.lightbits import tokens
from cinder_lightbits_federation import timing

LOG = logging.getLogger(__name__)


class Transport(Protocol):
    """What the calls of the API need of HTTP."""

    def request(self, call: exchange.Call,
                deadline: timing.Deadline | None = None) -> dict[str, Any]:
        """Do one call of the API; thread-safe.

        :param deadline: for everything, repetitions included; without it
            the cluster's `api_timeout` counts from now.
        :returns: the JSON object of a successful answer.
        :raises NotSent: nothing was applied; as Unreachable also for a
            read that left but was not answered.
        :raises Ambiguous: a write left and its outcome is unknown.
        :raises InvalidReply: a read was answered with something else.
        :raises Rejected: the cluster said no.
        """


class HttpsTransport:
    """Calls over TLS to whichever endpoint of one cluster works.

    Opens nothing before the first request.
    """

    def __init__(self, config: client_config.ClientConfig,
                 source: tokens.TokenSource) -> None:
        self._config = config
        self._tokens = source
        self._identity = identity.Identity(config.name, config.expected_uuid)
        self._selector = endpoints.EndpointSelector(
            config.seeds, config.endpoint_networks)
        self._pools = pools.Pools(config, self._identity, self._welcome)
        self.meter = meter.Meter()

    @property
    def uuid(self) -> str | None:
        """The expected or pinned UUID; None before the first answer."""
        return self._identity.uuid

    def status(self) -> tuple[endpoints.EndpointStatus, ...]:
        """:returns: what is known of every endpoint."""
        return self._selector.status()

    def certificates(self) -> list[bytes]:
        """:returns: what endpoints presented last (DER)."""
        return self._pools.certificates()

    def recall(self, addresses: Iterable[str]) -> None:
        """Know endpoints from an earlier time, before any was asked.

        Only of a cluster whose UUID is configured: they have to prove it.
        """
        if self._config.learn_endpoints and self._config.expected_uuid:
            self._selector.learn(parsed(addresses))

    def _welcome(self, info: model.ClusterInfo) -> None:
        self.learn(info.api_endpoints)

    def learn(self, addresses: Iterable[str]) -> None:
        """Replace the learned endpoints by those of the cluster's list.

        Does nothing unless learning is on and the cluster is proved. What
        is not an endpoint, or not allowed, is left out. Connections to
        endpoints that are gone are closed when they are idle.
        """
        if self._config.learn_endpoints and self._identity.proven:
            self._selector.learn(parsed(addresses))
            self._pools.keep(self._selector.known)

    def close(self) -> None:
        """Close idle connections; the next request opens new ones."""
        self._pools.close()

    def request(self, call: exchange.Call,
                deadline: timing.Deadline | None = None) -> dict[str, Any]:
        """See `Transport.request`."""
        limit = deadline or timing.Deadline.after(self._config.api_timeout)
        operation = failover.Operation(self._config, self._selector,
                                       self._pools, self._tokens, call,
                                       limit)
        outcome = meter.OK
        began = time.monotonic()
        try:
            return operation.run()
        except errors.LightbitsError as error:
            outcome = type(error).__name__
            error.located(self._config.name, call.operation)
            raise
        finally:
            self.meter.count(outcome, time.monotonic() - began)


def parsed(addresses: Iterable[str]) -> Iterator[endpoints.Endpoint]:
    """:returns: those of a cluster's list that are endpoints."""
    for address in addresses:
        try:
            yield endpoints.Endpoint.parse(address)
        except ValueError as error:
            LOG.debug('Not learned: %s', error)
