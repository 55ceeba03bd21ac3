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

"""One simulated cluster seen from a test."""

from __future__ import annotations

import collections.abc
import dataclasses
import http.client
import json as jsonlib
import socket
import ssl
import typing

from tests.simulator import operated
from tests.simulator import tokens


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a cluster's API; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> typing.Any:
        """Return the parsed body.

        :raises ValueError: it is not JSON.
        """
        return jsonlib.loads(self.body)


@dataclasses.dataclass(frozen=True, slots=True)
class Counters:
    """What a cluster was asked since its start or the last reset.

    `requests` counts by route what was received; `statuses` what was
    answered, 0 standing for no reply.
    """

    requests: dict[str, int]
    statuses: dict[str, dict[int, int]]
    total: int
    tcp: int
    tls: int
    tls_full: int
    tls_resumed: int
    in_flight: int
    in_flight_max: int
    open_connections: int


class SimCluster(operated.OperatedCluster):
    """A cluster: what a client must know of it, and what can befall it."""

    # Access.

    def token(
        self,
        scope: str = 'system',
        roles: collections.abc.Sequence[str] | None = None,
        ttl: float = 3600,
        **claims: object,
    ) -> str:
        """Return a new token signed by the cluster's root credential.

        :param scope: ``system``, or one of the projects the cluster was
            made with.
        :param roles: by default those of the scope's admin.
        :param ttl: seconds; below 0 for one that is expired.
        :param claims: others; None removes one.
        """
        key = tokens.load_key(self.private_key_file)
        return tokens.mint(
            key,
            scope,
            roles=roles,
            ttl=ttl,
            credential=self.credential_id,
            claims=claims,
        )

    def request(
        self,
        method: str,
        path: str,
        json: object = None,
        token: str | None = '',
        headers: collections.abc.Mapping[str, str] | None = None,
        node: int | None = None,
        timeout: float = 30,
    ) -> Reply:
        """Send one request over TLS verified with the CA.

        :param token: by default that of the cluster's admin; None sends
            none.
        :param node: index of the node to ask; by default the first there
            is.
        :param timeout: seconds for each step on the socket.
        :raises OSError: the connection fails (ssl.SSLError is one).
        :raises KeyError: there is no such node.
        :raises http.client.HTTPException: the answer is no HTTP.
        """
        sent = dict(headers or {})
        if token is not None:
            sent['Authorization'] = f'Bearer {token or self.admin_token}'
        body = None
        if json is not None:
            body = jsonlib.dumps(json)
            sent['Content-Type'] = 'application/json'
        with self.connect(node, timeout) as sock:
            connection = http.client.HTTPConnection('api.service')
            connection.sock = sock
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Reply(
                response.status,
                {key.lower(): text for key, text in response.getheaders()},
                response.read(),
            )

    def connect(
        self, node: int | None = None, timeout: float = 30
    ) -> ssl.SSLSocket:
        """Return a TLS connection verified with the CA.

        :param node: index of a node; by default the first there is.
        :param timeout: seconds for each step on the socket.
        :raises OSError: the connection fails.
        :raises KeyError: there is no such node.
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        host, _, port = self.endpoint_of(node).rpartition(':')
        raw = socket.create_connection((host.strip('[]'), int(port)), timeout)
        try:
            return context.wrap_socket(raw, server_hostname=self.server_name)
        except BaseException:
            raw.close()
            raise

    @property
    def admin_token(self) -> str:
        """The token the installation left for the cluster admin."""
        with open(self.token_files['system'], encoding='ascii') as stream:
            return stream.read()

    # Faults.

    def fault(
        self,
        kind: str,
        *,
        route: str = '*',
        method: str | None = None,
        node: int | None = None,
        count: int | None = None,
        after: int = 0,
        **params: object,
    ) -> str:
        """Let something go wrong; return the fault's id.

        :param kind: ``refuse``, ``blackhole``, ``slow``, ``status``,
            ``drop_before``, ``apply_then_drop``, ``reset``, ``stale``,
            ``wrong_json`` or ``fail_create``.
        :param route: pattern of route names, such as ``volumes.create``.
        :param count: hits until it is over; None is until cleared.
        :param after: hits it lets pass first.
        :param params: of the kind, such as ``seconds`` or ``status``.
        :raises SimulatorError: the kind or a parameter is unknown.
        """
        body = {
            'kind': kind,
            'route': route,
            'method': method,
            'node': node,
            'count': count,
            'after': after,
        }
        made = self._call('POST', '/faults', **body, **params)
        return str(made['id'])

    def faults(self) -> list[dict[str, typing.Any]]:
        """Return all faults with their hits."""
        found: list[dict[str, typing.Any]] = self._call('GET', '/faults')
        return found

    def clear_fault(self, fault_id: str) -> None:
        """End one fault."""
        self._call('DELETE', f'/faults/{fault_id}')

    def clear_faults(self) -> None:
        """End all faults."""
        self._call('DELETE', '/faults')

    # Content.

    def connect_host(
        self,
        nqn: str,
        *volume_uuids: str,
        address: str = '192.0.2.1',
        hostname: str = 'host',
    ) -> None:
        """Connect a host and let it use volumes that admit it.

        :raises SimulatorError: 404 no such volume, 409 not admitted.
        """
        self._call(
            'POST',
            '/hosts/connect',
            nqn=nqn,
            volumes=volume_uuids,
            address=address,
            hostname=hostname,
        )

    def disconnect_host(self, nqn: str, *volume_uuids: str) -> None:
        """Take volumes from a host; without any, disconnect it."""
        body = {'volumes': volume_uuids} if volume_uuids else {}
        self._call('POST', '/hosts/disconnect', nqn=nqn, **body)

    def write(self, volume_uuid: str, nbytes: int) -> int:
        """Account for `nbytes` written; return the volume's used bytes.

        :raises SimulatorError: 409, the volume is not writable.
        """
        answer = self._call(
            'POST', f'/volumes/{volume_uuid}/write', bytes=nbytes
        )
        return int(answer['used'])

    def data_path(self, uuid: str) -> str | None:
        """Return the file of a volume or snapshot, if the plane has one."""
        path: str | None = self._call('GET', f'/volumes/{uuid}/path')['path']
        return path

    def set_volume_state(self, volume_uuid: str, state: str) -> None:
        """Put an idle volume into Available, Migrating or Failed."""
        self._call('PUT', f'/volumes/{volume_uuid}/state', state=state)

    def populate(self, count: int, **options: object) -> None:
        """Make `count` volumes that are Available at once.

        :param options: ``project``, ``prefix``, ``size`` (bytes),
            ``replicas``, ``labels`` (a mapping), ``acl`` (a list).
        """
        self._call('POST', '/populate', count=count, **options)

    # Observation.

    def counters(self) -> Counters:
        """Return the counts."""
        values = self._call('GET', '/counters')
        values['statuses'] = {
            route: {int(status): count for status, count in counts.items()}
            for route, counts in values['statuses'].items()
        }
        return Counters(**values)

    def reset_counters(self) -> None:
        """Count from 0 again."""
        self._call('DELETE', '/counters')

    def journal(self) -> list[dict[str, typing.Any]]:
        """Return the last requests, if the cluster keeps a journal."""
        found: list[dict[str, typing.Any]] = self._call('GET', '/journal')
        return found

    def state(self) -> dict[str, typing.Any]:
        """Return all the cluster holds: volumes, snapshots and so on."""
        found: dict[str, typing.Any] = self._call('GET', '/state')
        return found
