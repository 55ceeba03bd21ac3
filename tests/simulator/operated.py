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


"""What a simulated cluster's operator can do to it."""

from __future__ import annotations

import collections.abc
import typing

from tests.simulator import link


class OperatedCluster:
    """A cluster as its operator has it: its addresses and its life."""

    def __init__(
        self,
        control: link.Control,
        ca_file: str,
        info: collections.abc.Mapping[str, typing.Any],
    ) -> None:
        self._control = control
        self._path = f'/control/clusters/{info["name"]}'
        self.name: str = info['name']
        self.ca_file = ca_file
        self.server_name: str = info['server_name']
        # SHA-256 of the certificate in DER, in hex.
        self.fingerprint: str = info['fingerprint']
        # By scope: a project's name, or "system".
        self.token_files: dict[str, str] = dict(info['token_files'])
        self.private_key_file: str = info['private_key_file']
        self.credential_id: str = info['credential_id']
        self._learn(info)

    def _learn(self, info: collections.abc.Mapping[str, typing.Any]) -> None:
        """Take what can change."""
        self.uuid: str = info['uuid']
        self.nqn: str = info['nqn']
        # Of the nodes there are; endpoints are in the same order.
        self.node_indexes: tuple[int, ...] = tuple(info['node_indexes'])
        self.api_endpoints: tuple[str, ...] = tuple(info['endpoints'])
        self.data_endpoints: tuple[str, ...] = tuple(info['data_endpoints'])

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {self.name} {self.uuid}>'

    def _call(self, verb: str, tail: str, **body: object) -> typing.Any:
        return self._control.call(verb, self._path + tail, body)

    def endpoint_of(self, node: int | None = None) -> str:
        """Return the API endpoint of a node.

        :param node: its index; by default the first node's.
        :raises KeyError: there is no such node.
        """
        if node is None:
            return self.api_endpoints[0]
        endpoints = dict(
            zip(self.node_indexes, self.api_endpoints, strict=True)
        )
        return endpoints[node]

    def stop(self) -> None:
        """Take the cluster down: all endpoints refuse, all data is off."""
        self._call('POST', '/stop')

    def start(self, uuid: str | None = None, wipe: bool = False) -> None:
        """Bring the cluster up.

        :param uuid: come back as another cluster at the same addresses.
        :param wipe: as another one, without the volumes it had.
        """
        body: dict[str, object] = {} if uuid is None else {'uuid': uuid}
        info = self._call('POST', '/start', wipe=wipe, **body)
        self._learn(info)

    def stop_node(self, index: int) -> None:
        """Stop the data role of a node; its API goes on."""
        self._call('POST', f'/nodes/{index}/stop')

    def start_node(self, index: int) -> None:
        """Start the data role of a node."""
        self._call('POST', f'/nodes/{index}/start')

    def stop_api(self, index: int) -> None:
        """Let only the API service of a node die."""
        self._call('POST', f'/nodes/{index}/api/stop')

    def start_api(self, index: int) -> None:
        """Let the API service of a node live again."""
        self._call('POST', f'/nodes/{index}/api/start')

    def add_node(self, **options: object) -> int:
        """Add a node and return its index, which no other node ever has.

        Its data role is Activating for the delay `node_start`.

        :param options: ``failure_domain``, ``data_address``, ``capacity``
            (effective bytes), ``port`` (of its API, 0 for a free one).
        :raises SimulatorError: 400 an option is wrong, or the port cannot
            be bound; 409 there are too many nodes, or another one has the
            address.
        """
        info = self._call('POST', '/nodes', **options)
        self._learn(info)
        return int(info['index'])

    def remove_node(self, index: int, force: bool = False) -> None:
        """Remove a node, its endpoints and the faults of it alone.

        :param force: rebuild the replicas it holds on other nodes.
        :raises SimulatorError: 404 there is no such node; 409 it is the
            last one, it holds replicas without `force`, or no other node
            may take them. Then nothing has changed.
        """
        self._learn(self._call('DELETE', f'/nodes/{index}', force=force))

    def readdress_node(
        self,
        index: int,
        port: int | None = None,
        data_address: str | None = None,
    ) -> None:
        """Give a node another API port, another data address, or both.

        :param port: 0 for a free one; None keeps it. Connections to the
            former one are closed, and later ones refused.
        :param data_address: of its data and discovery endpoints; None
            keeps it.
        :raises SimulatorError: 400 nothing is given, or the port cannot
            be bound; 404 there is no such node; 409 another one has the
            address. Then nothing has changed.
        """
        given = {'port': port, 'data_address': data_address}
        body = {
            name: value for name, value in given.items() if value is not None
        }
        info = self._call('PUT', f'/nodes/{index}/address', **body)
        self._learn(info)

    def set_upgrade(
        self,
        status: str,
        target: str | None = None,
        *,
        error: str = '',
        step: int | None = None,
        total: int | None = None,
    ) -> None:
        """Set what the cluster and its servers show as the last upgrade.

        The cluster sets the times: an upgrade starts when the status
        becomes Upgrading and ends with the next other one. The version is
        left to :meth:`set_version`.

        :param status: ``Unknown``, ``None``, ``UpgradeFailed`` or
            ``Upgrading``.
        :param target: version it leads to; None leaves it.
        :param error: why it failed.
        :param step: of `total` steps, how many are done; None leaves them.
        :raises SimulatorError: 400, a value is wrong.
        """
        given = {'target': target, 'step': step, 'total': total}
        body = {
            name: value for name, value in given.items() if value is not None
        }
        self._call('PUT', '/upgrade', status=status, error=error, **body)

    def set_version(self, version: str) -> None:
        """Let all nodes run another release, with what it knows and not.

        :raises SimulatorError: 400, it does not begin with MAJOR.MINOR.
        """
        self._call('PUT', '/version', version=version)

    def set_switches(self, **values: object) -> None:
        """Set switches; see :meth:`Simulator.switches`."""
        self._call('PUT', '/switches', **values)

    def set_delays(self, **values: object) -> None:
        """Set delays: seconds, or (least, most)."""
        self._call('PUT', '/delays', **values)

    def settle(self) -> int:
        """Let all changes of state under way be done now.

        With long delays, a test holds objects in passing states and lets
        them go on without waiting.

        :returns: how many changes there were.
        """
        return int(self._call('POST', '/settle')['settled'])

    def set_clock_skew(self, seconds: float) -> None:
        """Let the cluster's clock be ahead by `seconds`."""
        self._call('PUT', '/clock', skew=seconds)

    def remove(self) -> None:
        """End the cluster and forget all it holds."""
        self._call('DELETE', '')
