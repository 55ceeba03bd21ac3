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

"""Calls on the cluster, its nodes, servers and connected hosts."""

from __future__ import annotations

from tests.simulator import auth
from tests.simulator import calls
from tests.simulator import errors
from tests.simulator import model
from tests.simulator import render
from tests.simulator import render_cluster
from tests.simulator import validate

API_VERSION = 'v2.0'


def _version(call: calls.Call) -> calls.Json:
    return {'apiVersion': API_VERSION}


def _info(call: calls.Call) -> calls.Json:
    return render_cluster.info(call.cluster)


def _cluster(call: calls.Call) -> calls.Json:
    call.cluster.sync_all_usage()
    return render_cluster.cluster_object(call.cluster)


def _nodes(call: calls.Call) -> calls.Json:
    fields = ('name', 'UUID', 'failureDomain')
    given = [field for field in fields if call.query.get(field)]
    if len(given) > 1:
        raise errors.invalid(f'{" and ".join(given)} exclude another')
    call.cluster.sync_all_usage()
    found = [
        node
        for node in call.cluster.nodes
        if not given or _node_field(node, given[0]) == call.query[given[0]]
    ]
    return {'nodes': [render_cluster.node(call.cluster, n) for n in found]}


def _node_field(node: model.Node, field: str) -> str:
    fields = {
        'name': node.name,
        'UUID': node.uuid,
        'failureDomain': node.failure_domain,
    }
    return fields[field]


def _node(call: calls.Call) -> calls.Json:
    uuid = validate.uuid(call.params['UUID'])
    for node in call.cluster.nodes:
        if node.uuid == uuid:
            call.cluster.sync_all_usage()
            return render_cluster.node(call.cluster, node)
    raise errors.not_found(f'no such node {uuid}')


def _servers(call: calls.Call) -> calls.Json:
    rendered = [
        render_cluster.server(call.cluster, node)
        for node in call.cluster.nodes
    ]
    wanted = (
        ('UUID', 'UUID'),
        ('Name', 'name'),
        ('RiskOfServiceLoss', 'RiskOfServiceLossState'),
    )
    for query, field in wanted:
        value = call.query.get(query)
        if value:
            rendered = [item for item in rendered if item[field] == value]
    return {'servers': rendered}


def _server(call: calls.Call) -> calls.Json:
    uuid = validate.uuid(call.params['UUID'])
    for node in call.cluster.nodes:
        if node.server_uuid == uuid:
            return render_cluster.server(call.cluster, node)
    raise errors.not_found(f'no such server {uuid}')


def _hosts(call: calls.Call) -> calls.Json:
    hosts = list(call.cluster.hosts.values())
    volume = call.query.get('volumeUUID')
    if volume:
        uuid = validate.uuid(volume)
        if call.cluster.volumes.get(uuid) is None:
            raise errors.not_found(f'no such volume {uuid}')
        hosts = [host for host in hosts if uuid in host.volumes]
    rendered = [render.host(call.cluster, host) for host in hosts]
    return render.prune(call.cluster, {'connectedHosts': rendered})


def _host(call: calls.Call) -> calls.Json:
    host = call.cluster.hosts.get(call.params['hostNQN'])
    if host is None:
        raise errors.not_found(f'no such host {call.params["hostNQN"]}')
    return render.host(call.cluster, host)


def _route(
    name: str, path: str, access: auth.Access, handler: calls.Handler
) -> calls.Route:
    return calls.Route(name, 'GET', calls.BASE + path, access, handler)


_READ = auth.Access.CLUSTER_READ
_NODES = auth.Access.NODES

ROUTES = [
    _route('version', '/version', auth.Access.ANY, _version),
    _route('clusterinfo', '/clusterinfo', auth.Access.ANY, _info),
    _route('cluster', '/cluster', _READ, _cluster),
    _route('nodes.list', '/nodes', _NODES, _nodes),
    _route('nodes.get', '/nodes/{UUID}', _NODES, _node),
    _route('servers.list', '/servers', _READ, _servers),
    _route('servers.get', '/servers/{UUID}', _READ, _server),
    _route('connectedHosts.list', '/connectedHosts', _READ, _hosts),
    _route('connectedHosts.get', '/connectedHosts/{hostNQN}', _READ, _host),
]
