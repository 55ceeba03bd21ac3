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

"""All clusters of the process."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import os
import random
import typing

from tests.simulator import cluster as clusters
from tests.simulator import config
from tests.simulator import dataplane
from tests.simulator import deployment
from tests.simulator import errors
from tests.simulator import nvmet
from tests.simulator import pki
from tests.simulator import sparse

if typing.TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

    FutureKey = concurrent.futures.Future[rsa.RSAPrivateKey]

# Signing keys made ahead: making one takes up to a fifth of a second. Keys of
# removed clusters queue behind them and serve again; clusters that exist at
# the same time never share one.
_KEYS = 8


class Simulator:
    """The clusters, their certificate authority and their directory."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: config.SimulatorOptions,
    ) -> None:
        self.options = options
        self.deployments: dict[str, deployment.Deployment] = {}
        self._loop = loop
        self._authority = pki.Authority(options.state_dir)
        self._rng = random.Random(options.seed)
        self._made = 0
        self._pool = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self._keys: collections.deque[FutureKey] = collections.deque()
        self._keys_used: dict[str, FutureKey] = {}

    def _next_key(self) -> FutureKey:
        while len(self._keys) <= _KEYS:
            self._keys.append(self._pool.submit(pki.new_signing_key))
        return self._keys.popleft()

    async def add(
        self, options: config.ClusterOptions
    ) -> deployment.Deployment:
        """Make a cluster and let it listen.

        :raises ControlError: 409, the name is taken; 400, an address
            cannot be bound.
        """
        future = self._next_key()
        key = await asyncio.wrap_future(future)
        if options.name in self.deployments:
            raise errors.ControlError(f'cluster {options.name!r} exists', 409)
        cluster = clusters.Cluster(
            options,
            self._made,
            random.Random(self._rng.getrandbits(64)),
            self._loop,
            self._plane(options),
        )
        self._made += 1
        made = deployment.Deployment(
            self._loop,
            cluster,
            self._authority.issue(options.name, names=options.cert == 'san'),
            key,
            self.options.state_dir,
        )
        self.deployments[options.name] = made
        self._keys_used[options.name] = future
        try:
            cluster.publish()
        except OSError as err:
            await self.remove(options.name)
            raise errors.ControlError(
                f'hosts cannot be let in: {err}'
            ) from err
        await made.refresh()
        return made

    def _plane(self, options: config.ClusterOptions) -> dataplane.DataPlane:
        if options.data_plane == 'none':
            return dataplane.NoPlane()
        directory = os.path.join(self.options.state_dir, options.name)
        if options.data_plane == 'nvmet':
            return nvmet.NvmetPlane(directory)
        return sparse.SparsePlane(directory)

    async def remove(self, name: str) -> None:
        """End a cluster.

        :raises ControlError: 404, there is none of that name.
        """
        await self.get(name).close()
        del self.deployments[name]
        self._keys.append(self._keys_used.pop(name))

    def get(self, name: str) -> deployment.Deployment:
        """Return a cluster.

        :raises ControlError: 404, there is none of that name.
        """
        found = self.deployments.get(name)
        if found is None:
            raise errors.ControlError(f'no such cluster {name!r}', 404)
        return found

    async def close(self) -> None:
        """End all clusters."""
        for name in list(self.deployments):
            await self.remove(name)
        self._pool.shutdown(cancel_futures=True)

    def info(self) -> dict[str, typing.Any]:
        """Return what a client must know to use the clusters."""
        return {
            'pid': os.getpid(),
            'state_dir': self.options.state_dir,
            'ca_file': self._authority.ca_file,
            'clusters': [item.info() for item in self.deployments.values()],
        }
