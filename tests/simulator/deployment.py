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

"""One cluster as it runs: its state, endpoints, faults and files."""

from __future__ import annotations

import asyncio
import collections.abc
import fnmatch
import os
import typing

from tests.simulator import api
from tests.simulator import cluster as clusters
from tests.simulator import counters
from tests.simulator import endpoint
from tests.simulator import errors
from tests.simulator import faults
from tests.simulator import model
from tests.simulator import pki
from tests.simulator import tenancy
from tests.simulator import tokens

if typing.TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa


class Deployment:
    """A cluster with everything around it.

    :param key: signs its tokens; every scope's `root` credential has the
        public half.
    :param directory: where the token files go.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        cluster: clusters.Cluster,
        identity: pki.ServerIdentity,
        key: rsa.RSAPrivateKey,
        directory: str,
    ) -> None:
        self.cluster = cluster
        self.identity = identity
        self.faults = faults.FaultSet()
        self.counters = counters.Counters()
        self.journal = counters.Journal(cluster.options.journal)
        self._directory = directory
        self._files = [identity.path]
        # Held while endpoints open or close: control calls may overlap.
        self._lock = asyncio.Lock()
        self._up = True
        self._dead_apis: set[int] = set()
        self._apis = [
            api.NodeApi(
                cluster,
                node.index,
                self.faults,
                self.counters,
                self.journal,
            )
            for node in cluster.nodes
        ]
        self._endpoints = self._bind(loop)
        self._install(key)

    def _bind(
        self, loop: asyncio.AbstractEventLoop
    ) -> list[endpoint.Endpoint]:
        bound: list[endpoint.Endpoint] = []
        try:
            for node in self.cluster.nodes:
                bound.append(self._bind_node(loop, node))
        except errors.ControlError:
            for point in bound:
                point.release()
            raise
        return bound

    def _bind_node(
        self, loop: asyncio.AbstractEventLoop, node: model.Node
    ) -> endpoint.Endpoint:
        options = self.cluster.options
        point = endpoint.Endpoint(
            loop,
            options.listen,
            options.base_port and options.base_port + node.index,
            self._apis[node.index],
            self.identity.context,
        )
        node.api_endpoint = point.text
        return point

    def _install(self, key: rsa.RSAPrivateKey) -> None:
        """Create projects, credentials and token files."""
        for project in self.cluster.options.projects:
            tenancy.add_project(self.cluster, project)
        public = pki.public_pem(key)
        self.key_file = self._write('root.key.pem', pki.private_pem(key))
        self.token_files: dict[str, str] = {}
        for scope in (model.SYSTEM, *self.cluster.options.projects):
            self.cluster.auth.add(
                model.Credential(scope, tokens.ROOT, 'RS256PubKey', public)
            )
            token = tokens.mint(key, scope)
            self.token_files[scope] = self._write(
                f'{scope}.jwt', token.encode()
            )

    def _write(self, suffix: str, data: bytes) -> str:
        name = f'{self.cluster.name}.{suffix}'
        path = os.path.join(self._directory, name)
        pki.write_private(path, data)
        self._files.append(path)
        return path

    async def start(self, uuid: str | None, *, wipe: bool) -> None:
        """Bring the cluster up, if asked as another one."""
        if uuid is not None:
            self.cluster.become(uuid, wipe=wipe)
        self._up = True
        self.cluster.resume()
        await self.refresh()

    async def stop(self) -> None:
        """Take all of the cluster down."""
        self._up = False
        self.cluster.halt()
        await self.refresh()

    async def set_api(self, node: int, *, alive: bool) -> None:
        """Let a node's API service die or live; its data role stays."""
        if alive:
            self._dead_apis.discard(node)
        else:
            self._dead_apis.add(node)
        await self.refresh()

    async def add_fault(
        self, values: collections.abc.Mapping[str, typing.Any]
    ) -> faults.Fault:
        """Add a fault of the control API.

        :raises ControlError: naming the field at fault.
        """
        fault = faults.parse(values)
        if fault.node is not None:
            self.node(str(fault.node))
        if not fnmatch.filter(api.ROUTE_NAMES, fault.route):
            known = ', '.join(sorted(api.ROUTE_NAMES))
            raise errors.ControlError(
                f'fault route: {fault.route!r} matches none of {known}'
            )
        self.faults.add(fault)
        await self.refresh()
        return fault

    async def refresh(self) -> None:
        """Let the endpoints show the faults and states of the moment."""
        async with self._lock:
            await self._refresh()

    async def _refresh(self) -> None:
        for index, point in enumerate(self._endpoints):
            refused = self.faults.of_node(index, faults.Kind.REFUSE)
            dead = index in self._dead_apis
            if self._up and not dead and refused is None:
                await point.start()
            else:
                await point.stop()
                self._drop_connections(index)
            if self.faults.of_node(index, faults.Kind.BLACKHOLE):
                for connection in list(self._apis[index].connections):
                    connection.freeze()

    async def clear_faults(self, fault_id: str | None) -> None:
        """Clear one fault, or all.

        What a black hole swallowed is served now if its `deliver` says so;
        else its connections are dropped.

        :raises ControlError: 404, there is none of that id.
        """
        holes = [
            self.faults.of_node(node.index, faults.Kind.BLACKHOLE)
            for node in self.cluster.nodes
        ]
        if fault_id is None:
            self.faults.clear()
        else:
            self.faults.remove(fault_id)
        for index, hole in enumerate(holes):
            still = self.faults.of_node(index, faults.Kind.BLACKHOLE)
            if hole is not None and still is None:
                self._thaw(index, deliver=hole.params['deliver'])
        await self.refresh()

    def _thaw(self, index: int, *, deliver: bool) -> None:
        for connection in list(self._apis[index].connections):
            if not connection.frozen:
                continue
            if deliver:
                connection.thaw()
            else:
                connection.reset()

    def _drop_connections(self, index: int) -> None:
        for connection in list(self._apis[index].connections):
            connection.drop()

    @property
    def open_connections(self) -> int:
        """How many connections clients have to its nodes."""
        return sum(len(item.connections) for item in self._apis)

    async def close(self) -> None:
        """End the cluster and remove its files and data."""
        async with self._lock:
            for index, point in enumerate(self._endpoints):
                await point.close()
                self._drop_connections(index)
        self.cluster.close()
        for path in self._files:
            os.unlink(path)

    def node(self, text: str) -> int:
        """Return the index of a node.

        :raises ControlError: 404, there is no such node.
        """
        if text.isdecimal() and int(text) < len(self.cluster.nodes):
            return int(text)
        raise errors.ControlError(f'no such node {text}', 404)

    def info(self) -> dict[str, typing.Any]:
        """Return what a client must know to use the cluster."""
        cluster = self.cluster
        return {
            'name': cluster.name,
            'uuid': cluster.uuid,
            'nqn': cluster.nqn,
            'endpoints': [point.text for point in self._endpoints],
            'data_endpoints': [
                clusters.endpoint(node.data_address, clusters.DATA_PORT)
                for node in cluster.nodes
            ],
            'server_name': pki.SERVER_NAME,
            'fingerprint': self.identity.fingerprint,
            'token_files': dict(self.token_files),
            'private_key_file': self.key_file,
            'credential_id': tokens.ROOT,
            'up': self._up,
            'nodes': [node.state.value for node in cluster.nodes],
        }
