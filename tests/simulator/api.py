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

"""The REST API of one node: from a request to its answer or its fault."""

from __future__ import annotations

import collections.abc
import json
import logging

from tests.simulator import auth
from tests.simulator import calls
from tests.simulator import cluster as clusters
from tests.simulator import counters
from tests.simulator import errors
from tests.simulator import faults
from tests.simulator import http
from tests.simulator import model
from tests.simulator import routes_cluster
from tests.simulator import routes_snapshots
from tests.simulator import routes_tenancy
from tests.simulator import routes_volumes
from tests.simulator import validate

LOG = logging.getLogger(__name__)

ROUTES = [
    *routes_cluster.ROUTES,
    *routes_volumes.ROUTES,
    *routes_snapshots.ROUTES,
    *routes_tenancy.ROUTES,
]
ROUTER = calls.Router(ROUTES)

# The name of what has no route.
UNKNOWN_ROUTE = 'unknown'
ROUTE_NAMES = frozenset({route.name for route in ROUTES} | {UNKNOWN_ROUTE})

Action = collections.abc.Callable[[], None]

_NO_FIELDS = validate.Fields({})
_OF_PROJECT = (auth.Access.PROJECT_READ, auth.Access.PROJECT_WRITE)


def answer(
    cluster: clusters.Cluster,
    request: http.Request,
    route: calls.Route,
    params: dict[str, str],
    plan: faults.Plan,
) -> http.Response:
    """Serve a request as a healthy cluster does."""
    try:
        call = _admit(cluster, request, route, params, plan)
        return http.json_response(200, route.handler(call))
    except errors.ApiError as err:
        return error_response(err)


def error_response(err: errors.ApiError) -> http.Response:
    """Return the error body of the gateway."""
    body = {
        'error': err.message,
        'code': int(err.code),
        'message': err.message,
    }
    return http.json_response(err.status, body)


def _admit(
    cluster: clusters.Cluster,
    request: http.Request,
    route: calls.Route,
    params: dict[str, str],
    plan: faults.Plan,
) -> calls.Call:
    """Check who calls, what he may, and the project, in this order."""
    if not cluster.rate.admits():
        raise errors.by_status(429, 'too many requests')
    identity = _identify(cluster, request)
    with_body = request.method in ('POST', 'PUT')
    body = _parse_body(request.body) if with_body else _NO_FIELDS
    query = {} if with_body else request.query
    project = params.get('projectName')
    if project is None:
        given = body.text('projectName') if with_body else None
        project = given or query.get('projectName') or None
    _authorize(cluster, identity, route, project)
    if project is not None and route.access in _OF_PROJECT:
        _check_project(cluster, route, project)
    return calls.Call(
        cluster=cluster,
        identity=identity,
        params=params,
        query=query,
        body=body,
        project=project,
        if_match=request.headers.get('if-match'),
        stale=plan.stale,
        doomed=plan.doomed,
    )


def _identify(
    cluster: clusters.Cluster, request: http.Request
) -> auth.Identity:
    header = request.headers.get('authorization')
    if header is None and not cluster.switches.multi_tenancy:
        return auth.ANYBODY
    return cluster.auth.identify(header, cluster.now())


def _parse_body(body: bytes) -> validate.Fields:
    if not body:
        return _NO_FIELDS
    try:
        value = json.loads(body)
    except ValueError as err:
        raise errors.invalid('the body is not JSON') from err
    if not isinstance(value, dict):
        raise errors.invalid('the body is not a JSON object')
    return validate.Fields(value)


def _authorize(
    cluster: clusters.Cluster,
    identity: auth.Identity,
    route: calls.Route,
    project: str | None,
) -> None:
    access = route.access
    if access is auth.Access.ANY:
        return
    if access in _OF_PROJECT:
        allowed = _may_in_project(identity, access, project)
    elif access is auth.Access.CLUSTER_WRITE:
        allowed = identity.cluster_admin
    else:
        allowed = identity.cluster_reader or (
            bool(identity.roles) and _open_to_tenants(cluster, access)
        )
    if not allowed:
        raise errors.denied(
            f'{identity.subject} lacks permission for {route.name}'
        )


def _may_in_project(
    identity: auth.Identity, access: auth.Access, project: str | None
) -> bool:
    if project is None:
        if not identity.cluster_reader:
            raise errors.invalid('ProjectName must be provided')
        return access is auth.Access.PROJECT_READ or identity.cluster_admin
    if access is auth.Access.PROJECT_READ:
        return identity.reads(project)
    return identity.writes(project)


def _open_to_tenants(cluster: clusters.Cluster, access: auth.Access) -> bool:
    if access is auth.Access.NODES:
        return cluster.switches.tenants_read_nodes
    if access is auth.Access.POLICIES:
        return cluster.switches.tenants_read_policies
    return False


def _check_project(
    cluster: clusters.Cluster, route: calls.Route, project: str
) -> None:
    scoped = route.name.startswith(('credentials.', 'roles.'))
    known = project in cluster.projects
    if known or (project == model.SYSTEM and scoped):
        return
    if route.name.startswith('projects.'):
        raise errors.not_found(f"no such project '{project}'")
    choice = cluster.switches.unknown_project
    if choice == 'guess':
        choice = '404' if route.name == 'snapshots.list' else '400'
    raise errors.by_status(int(choice), f"no such project '{project}'")


class NodeApi:
    """The application behind the API endpoint of one node.

    :param node: index of the node.
    """

    def __init__(
        self,
        cluster: clusters.Cluster,
        node: int,
        fault_set: faults.FaultSet,
        counts: counters.Counters,
        journal: counters.Journal,
    ) -> None:
        self._cluster = cluster
        self._node = node
        self._faults = fault_set
        self._counts = counts
        self._journal = journal
        self.connections: set[http.Connection] = set()
        # Requests never to be answered, in flight while the client waits.
        self._hanging: dict[http.Connection, Action] = {}

    def connected(self, connection: http.Connection) -> None:
        """Count a connection; freeze it if the node is a black hole."""
        self.connections.add(connection)
        self._counts.tcp += 1
        if self._faults.of_node(self._node, faults.Kind.BLACKHOLE):
            connection.freeze()

    def disconnected(self, connection: http.Connection) -> None:
        """Forget a connection and what hangs on it."""
        self.connections.discard(connection)
        over = self._hanging.pop(connection, None)
        if over is not None:
            over()

    def secured(self, *, resumed: bool) -> None:
        """Count a TLS handshake."""
        self._counts.handshake(resumed=resumed)

    def serve(
        self, connection: http.Connection, request: http.Request
    ) -> None:
        """Answer a request, or do what a fault asks for."""
        route, params, status = ROUTER.find(request.method, request.path)
        name = UNKNOWN_ROUTE if route is None else route.name
        plan = self._faults.plan(
            name, request.method, self._node, connection.client
        )
        self._counts.begin(name)

        def handle() -> http.Response:
            if route is None:
                return http.plain_response(status)
            return answer(self._cluster, request, route, params, plan)

        self._later(
            plan.delay,
            lambda: self._perform(connection, request, name, plan, handle),
        )

    def _later(self, delay: float, action: Action) -> None:
        if delay:
            self._cluster.timeline.after(delay, action)
        else:
            action()

    def _perform(
        self,
        connection: http.Connection,
        request: http.Request,
        name: str,
        plan: faults.Plan,
        handle: collections.abc.Callable[[], http.Response],
    ) -> None:
        abandoned = connection.closed and not plan.apply_abandoned
        response = None
        if plan.applied and not abandoned:
            response = self._guarded(handle)

        def over(status: int = 0) -> None:
            self._counts.end(name, status)
            self._note(request, name, status)

        def end() -> None:
            hangs = plan.ending and plan.ending.kind is faults.Kind.BLACKHOLE
            if hangs and not connection.closed:
                self._hanging[connection] = over
                return
            sent = self._end(connection, plan.ending, response)
            over(sent.status if sent is not None else 0)

        self._later(plan.late_delay, end)

    def _guarded(
        self, handle: collections.abc.Callable[[], http.Response]
    ) -> http.Response:
        """Let a defect of a handler end in a 500 that names it."""
        try:
            return handle()
        except Exception as err:  # noqa: BLE001 - the top of a request
            LOG.exception('A handler failed')
            return error_response(
                errors.by_status(500, f'simulator defect: {err!r}')
            )

    def _end(
        self,
        connection: http.Connection,
        fault: faults.Fault | None,
        response: http.Response | None,
    ) -> http.Response | None:
        """Answer, or end as the fault does; return what was sent."""
        kind = None if fault is None else fault.kind
        if kind in (faults.Kind.DROP_BEFORE, faults.Kind.APPLY_THEN_DROP):
            connection.drop()
            return None
        if kind is faults.Kind.RESET:
            connection.reset()
            return None
        if fault is not None and kind is faults.Kind.STATUS:
            response = fault_response(fault)
        elif fault is not None and response is not None:
            response = damaged(response, fault.params['mode'])
        if response is None or connection.closed:
            return None
        connection.reply(response)
        return response

    def _note(self, request: http.Request, name: str, status: int) -> None:
        headers = request.headers
        self._journal.add(
            time=self._cluster.now(),
            node=self._node,
            method=request.method,
            path=request.target,
            query=request.query,
            route=name,
            status=status,
            request_id=headers.get('x-openstack-request-id')
            or headers.get('x-request-id', ''),
        )


def fault_response(fault: faults.Fault) -> http.Response:
    """Return the answer of a `status` fault."""
    params = fault.params
    status = params['status']
    if params['body'] or params['content_type']:
        kind = params['content_type'] or http.JSON_TYPE
        return http.Response(status, params['body'].encode(), kind)
    err = errors.by_status(status, params['message'] or f'fault {fault.id}')
    if params['code']:
        err.code = errors.Code(params['code'])
    return error_response(err)


def damaged(response: http.Response, mode: str) -> http.Response:
    """Return an answer no JSON parser takes, by the fault's mode."""
    half = response.body[: len(response.body) // 2]
    if mode == 'truncated':
        return http.Response(response.status, half)
    if mode == 'short':
        missing = len(response.body) - len(half)
        return http.Response(response.status, half, missing=missing)
    bodies = {
        'html': (b'<html><body>Bad Gateway</body></html>', 'text/html'),
        'empty': (b'', http.JSON_TYPE),
        'not_object': (b'["unexpected"]', http.JSON_TYPE),
    }
    return http.Response(response.status, *bodies[mode])
