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
from tests.simulator import config
from tests.simulator import counters
from tests.simulator import endpoint
from tests.simulator import errors
from tests.simulator import faults
from tests.simulator import membership
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
        self._loop = loop
        self._directory = directory
        self._files = [identity.path]
        # Held while endpoints open or close: control calls may overlap.
        self._lock = asyncio.Lock()
        self._up = True
        self._closed = False
        self._dead_apis: set[int] = set()
        # By the index of the node.
        self._apis: dict[int, api.NodeApi] = {}
        self._endpoints: dict[int, endpoint.Endpoint] = {}
        self._bind()
        self._install(key)

    def _bind(self) -> None:
        try:
            for node in self.cluster.nodes:
                application = self._application(node.index)
                point = self._endpoint(node.index, application, None)
                self._attach(node, application, point)
        except errors.ControlError:
            for point in self._endpoints.values():
                point.release()
            raise

    def _application(self, index: int) -> api.NodeApi:
        return api.NodeApi(
            self.cluster, index, self.faults, self.counters, self.journal
        )

    def _endpoint(
        self, index: int, application: api.NodeApi, port: int | None
    ) -> endpoint.Endpoint:
        options = self.cluster.options
        if port is None:
            port = options.base_port and options.base_port + index
        return endpoint.Endpoint(
            self._loop,
            options.listen,
            port,
            application,
            self.identity.context,
        )

    def _attach(
        self,
        node: model.Node,
        application: api.NodeApi,
        point: endpoint.Endpoint,
    ) -> None:
        self._apis[node.index] = application
        self._endpoints[node.index] = point
        node.api_endpoint = point.text

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

    async def add_node(self, options: config.NodeOptions) -> int:
        """Add a node and let it listen; return its index.

        Its data role starts unless the cluster is down.

        :raises ControlError: 409, no such node can be added; 400, its
            port cannot be bound.
        """
        async with self._lock:
            self._check_open()
            index = len(self.cluster.machines)
            application = self._application(index)
            point = self._endpoint(index, application, options.port)
            try:
                node = membership.join(self.cluster, options)
            except errors.ControlError:
                point.release()
                raise
            self._attach(node, application, point)
            if self._up:
                self.cluster.start_node(index)
            await self._refresh()
            return index

    async def remove_node(self, index: int, *, force: bool) -> None:
        """Remove a node and the faults that strike it alone.

        :param force: move the replicas it holds to other nodes.
        :raises ControlError: 404, there is no such node; 409, it must
            stay.
        """
        async with self._lock:
            self.node(str(index))
            node = self.cluster.machines[index]
            membership.leave(self.cluster, node, force=force)
            self.faults.forget_node(index)
            self._dead_apis.discard(index)
            point = self._endpoints.pop(index)
            await point.close()
            self._drop_connections(index)
            del self._apis[index]

    async def readdress_node(
        self, index: int, options: config.NodeOptions
    ) -> None:
        """Give a node the data address and the API port in `options`.

        With another API port the connections to the former one end. An
        address the node has already is left as it is.

        :raises ControlError: 404, there is no such node; 409, another
            node has the address; 400, the port cannot be bound, or
            nothing is given.
        """
        if options.port is None and options.data_address is None:
            raise errors.ControlError('option port or data_address is needed')
        async with self._lock:
            self.node(str(index))
            node = self.cluster.machines[index]
            address = options.data_address or node.data_address
            if address != node.data_address:
                membership.check_address(self.cluster, address)
            if options.port not in (None, self._endpoints[index].port):
                await self._change_port(node, options.port)
            node.data_address = address
            node.etag += 1
            self.cluster.etag += 1
            self.cluster.publish()

    async def _change_port(self, node: model.Node, port: int | None) -> None:
        application = self._apis[node.index]
        former = self._endpoints[node.index]
        self._attach(
            node, application, self._endpoint(node.index, application, port)
        )
        await former.close()
        self._drop_connections(node.index)
        await self._refresh()

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
        if self._closed:
            return
        for index, point in self._endpoints.items():
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
        holes = {
            node.index: self.faults.of_node(node.index, faults.Kind.BLACKHOLE)
            for node in self.cluster.nodes
        }
        if fault_id is None:
            self.faults.clear()
        else:
            self.faults.remove(fault_id)
        for index, hole in holes.items():
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
        return sum(len(item.connections) for item in self._apis.values())

    async def close(self) -> None:
        """End the cluster and remove its files and data."""
        async with self._lock:
            self._closed = True
            for index, point in self._endpoints.items():
                await point.close()
                self._drop_connections(index)
        self.cluster.close()
        for path in self._files:
            os.unlink(path)

    def node(self, text: str) -> int:
        """Return the index of a node.

        :raises ControlError: 404, there is no such node.
        """
        self._check_open()
        if text.isdecimal() and int(text) in self._endpoints:
            return int(text)
        raise errors.ControlError(f'no such node {text}', 404)

    def _check_open(self) -> None:
        if self._closed:
            raise errors.ControlError(
                f'no such cluster {self.cluster.name!r}', 404
            )

    def info(self) -> dict[str, typing.Any]:
        """Return what a client must know to use the cluster."""
        cluster = self.cluster
        return {
            'name': cluster.name,
            'uuid': cluster.uuid,
            'nqn': cluster.nqn,
            'node_indexes': [node.index for node in cluster.nodes],
            'endpoints': [node.api_endpoint for node in cluster.nodes],
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
