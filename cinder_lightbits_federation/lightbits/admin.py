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

"""The cluster itself: identity, nodes, projects, policies, credentials."""

from __future__ import annotations

import base64

from cinder_lightbits_federation.lightbits import calls
from cinder_lightbits_federation.lightbits import exchange
from cinder_lightbits_federation.lightbits import fields
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import timing


def _hosts(data: fields.Json) -> tuple[model.ConnectedHost, ...]:
    """Read connected hosts; the name of their list is not documented."""
    for value in data.values():
        if isinstance(value, list):
            return tuple(model.ConnectedHost.from_json(item)
                         for item in value)
    return ()


class AdminCalls(calls.Calls):
    """Calls about a cluster as a whole; `project` only selects the token."""

    def version(self, project: str, *,
                deadline: timing.Deadline | None = None) -> str:
        """:returns: the version of the API, such as ``v2.0``."""
        operation = 'version.get'
        data = self._call(operation, project, 'GET',
                          exchange.path_of('version'), deadline)
        return self._read(operation,
                          lambda item: fields.text(item, 'apiVersion'), data)

    def cluster_info(self, project: str, *,
                     deadline: timing.Deadline | None = None,
                     ) -> model.ClusterInfo:
        """:returns: what every token may read of the cluster."""
        operation = 'clusterinfo.get'
        data = self._call(operation, project, 'GET',
                          exchange.path_of('clusterinfo'), deadline)
        return self._read(operation, model.ClusterInfo.from_json, data)

    def cluster(self, project: str, *,
                deadline: timing.Deadline | None = None) -> model.Cluster:
        """:returns: capacity, health and version.

        :raises Forbidden: the token has no role in the cluster; tokens of
            projects never have.
        """
        operation = 'cluster.get'
        data = self._call(operation, project, 'GET',
                          exchange.path_of('cluster'), deadline)
        return self._read(operation, model.Cluster.from_json, data)

    def nodes(self, project: str, *,
              deadline: timing.Deadline | None = None,
              ) -> tuple[model.Node, ...]:
        """:returns: the storage nodes."""
        operation = 'nodes.list'
        data = self._call(operation, project, 'GET',
                          exchange.path_of('nodes'), deadline)
        return self._list(operation, model.Node.from_json, data, 'nodes')

    def projects(self, project: str, *,
                 deadline: timing.Deadline | None = None,
                 ) -> tuple[model.Project, ...]:
        """:returns: the projects that the token may see.

        :raises Forbidden: the token may not list projects.
        """
        operation = 'projects.list'
        data = self._call(operation, project, 'GET',
                          exchange.path_of('projects'), deadline)
        return self._list(operation, model.Project.from_json, data,
                          'projects')

    def policies(self, project: str, *,
                 deadline: timing.Deadline | None = None,
                 ) -> tuple[model.QosPolicy, ...]:
        """:returns: the QoS policies that the token may see."""
        operation = 'policies.list'
        data = self._call(operation, project, 'GET',
                          exchange.path_of('policies'), deadline)
        return self._list(operation, model.QosPolicy.from_json, data,
                          'policies')

    def connected_hosts(self, project: str,
                        volume_uuid: str | None = None, *,
                        deadline: timing.Deadline | None = None,
                        ) -> tuple[model.ConnectedHost, ...]:
        """:returns: hosts with live NVMe connections.

        :param volume_uuid: only those that use this volume.
        :raises NotFound: there is no such volume.
        """
        operation = 'connectedHosts.list'
        data = self._call(operation, project, 'GET',
                          exchange.path_of('connectedHosts'), deadline,
                          query={'volumeUUID': volume_uuid})
        return self._read(operation, _hosts, data)

    def create_credential(self, project: str, credential_id: str,
                          public_pem: bytes, *,
                          deadline: timing.Deadline | None = None) -> None:
        """Register the public key that verifies tokens of a project.

        :param project: ``system`` registers it for the whole cluster.
        :param public_pem: RSA public key in PEM form.
        :raises Conflict: there is a credential of this ID.
        """
        payload = base64.b64encode(public_pem).decode('ascii')
        self._call('credentials.create', project, 'POST',
                   exchange.path_of('projects', project, 'credentials'),
                   deadline, body={'ID': credential_id,
                                   'type': 'RS256PubKey',
                                   'payload': payload})

    def get_credential(self, project: str, credential_id: str, *,
                       deadline: timing.Deadline | None = None,
                       ) -> model.Credential:
        """Read what is public of a credential.

        :raises NotFound: there is none; some releases raise BadRequest.
        """
        operation = 'credentials.get'
        data = self._call(operation, project, 'GET',
                          exchange.path_of('projects', project,
                                           'credentials', credential_id),
                          deadline)
        return self._read(operation, model.Credential.from_json, data)

    def list_credentials(self, project: str, *,
                         deadline: timing.Deadline | None = None,
                         ) -> tuple[model.Credential, ...]:
        """:returns: the credentials of a project."""
        operation = 'credentials.list'
        data = self._call(operation, project, 'GET',
                          exchange.path_of('projects', project,
                                           'credentials'), deadline)
        return self._list(operation, model.Credential.from_json, data,
                          'credentials')

    def delete_credential(self, project: str, credential_id: str, *,
                          deadline: timing.Deadline | None = None) -> None:
        """Make the cluster refuse tokens of this credential.

        :raises NotFound: there is none.
        """
        self._call('credentials.delete', project, 'DELETE',
                   exchange.path_of('projects', project, 'credentials',
                                    credential_id), deadline)
