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

"""The connections of one client: a pool for each endpoint, made when used.

Nothing is opened in advance, because services fork after they have made
their drivers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
import logging
import ssl
import threading

from cinder_lightbits_federation.lightbits import config as client_config
from cinder_lightbits_federation.lightbits import connection
from cinder_lightbits_federation.lightbits import endpoints
from cinder_lightbits_federation.lightbits import identity
from cinder_lightbits_federation.lightbits import model

LOG = logging.getLogger(__name__)


class Pools:
    """Pools by endpoint; thread-safe.

    :param welcome: see `connection.Gate`.
    """

    def __init__(self, config: client_config.ClientConfig,
                 who: identity.Identity,
                 welcome: Callable[[model.ClusterInfo], None]) -> None:
        self._config = config
        self._who = who
        self._welcome = welcome
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._pools: dict[endpoints.Endpoint, connection.ProvenPool] = {}

    def get(self, endpoint: endpoints.Endpoint) -> connection.ProvenPool:
        """:returns: the pool for `endpoint`; no connection is opened.

        :raises Untrusted: the authorities to trust cannot be loaded.
        """
        with self._lock:
            pool = self._pools.get(endpoint)
            if pool is None:
                pool = self._pools[endpoint] = self._make(endpoint)
            return pool

    def _make(self, endpoint: endpoints.Endpoint) -> connection.ProvenPool:
        trust = self._config.tls
        if self._context is None:
            self._context = trust.context()
            if trust.insecure:
                LOG.warning('The API endpoints of cluster %s are not '
                            'verified: whoever answers there gets its '
                            'tokens.', self._config.name)
        gate = connection.Gate(endpoint, trust, self._who, self._welcome)
        return connection.ProvenPool(gate, self._context,
                                     self._config.pool_size)

    def certificates(self) -> list[bytes]:
        """:returns: what endpoints presented last (DER)."""
        with self._lock:
            found = [pool.gate.certificate for pool in self._pools.values()]
        return [item for item in found if item is not None]

    def drop(self, endpoint: endpoints.Endpoint) -> None:
        """Close what is idle to `endpoint`; calls under way go on."""
        with self._lock:
            pool = self._pools.pop(endpoint, None)
        if pool is not None:
            pool.close()

    def keep(self, known: Collection[endpoints.Endpoint]) -> None:
        """Let go of the pools of all other endpoints, as `drop` does."""
        with self._lock:
            gone = [endpoint for endpoint in self._pools
                    if endpoint not in known]
        for endpoint in gone:
            self.drop(endpoint)

    def close(self) -> None:
        """Close everything idle; a later `get` starts afresh."""
        with self._lock:
            pools, self._pools = tuple(self._pools.values()), {}
        for pool in pools:
            pool.close()
