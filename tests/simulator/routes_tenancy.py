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

"""Calls on projects, credentials, roles and QoS policies."""

from __future__ import annotations

from tests.simulator import auth
from tests.simulator import calls
from tests.simulator import errors
from tests.simulator import model
from tests.simulator import render
from tests.simulator import tenancy

_PROJECTS = f'{calls.BASE}/projects'
_CREDENTIALS = f'{calls.IN_PROJECT}/credentials'
_ROLES = f'{calls.IN_PROJECT}/roles'
_POLICIES = f'{calls.BASE}/policies'


def _create_project(call: calls.Call) -> calls.Json:
    project = tenancy.create_project(call.cluster, call.body)
    return render.project(call.cluster, project)


def _list_projects(call: calls.Call) -> calls.Json:
    found = [
        render.project(call.cluster, project)
        for project in call.cluster.projects.values()
        if call.identity.reads(project.name)
    ]
    return render.prune(call.cluster, {'projects': found})


def _get_project(call: calls.Call) -> calls.Json:
    return render.project(call.cluster, _project(call))


def _project(call: calls.Call) -> model.Project:
    name = call.params['projectName']
    if name not in call.cluster.projects:
        raise errors.not_found(f'no such project {name!r}')
    return call.cluster.projects[name]


def _update_project(call: calls.Call) -> calls.Json:
    tenancy.update_project(call.cluster, _project(call), call.body)
    return {}


def _delete_project(call: calls.Call) -> calls.Json:
    tenancy.delete_project(call.cluster, _project(call))
    return {}


def _create_credential(call: calls.Call) -> calls.Json:
    credential = tenancy.create_credential(call.cluster, call.owner, call.body)
    return render.credential(call.cluster, credential)


def _list_credentials(call: calls.Call) -> calls.Json:
    found = [
        render.credential(call.cluster, item)
        for item in call.cluster.auth.credentials.values()
        if item.scope == call.owner
    ]
    return render.prune(call.cluster, {'credentials': found})


def _credential(call: calls.Call) -> model.Credential:
    return tenancy.credential(call.cluster, call.owner, call.params['ID'])


def _get_credential(call: calls.Call) -> calls.Json:
    return render.credential(call.cluster, _credential(call))


def _delete_credential(call: calls.Call) -> calls.Json:
    call.cluster.auth.remove(_credential(call))
    return {}


def _list_roles(call: calls.Call) -> calls.Json:
    names = tenancy.role_names(call.owner)
    return {'roles': [render.role(name) for name in names]}


def _get_role(call: calls.Call) -> calls.Json:
    name = call.params['name']
    if name not in tenancy.role_names(call.owner):
        raise errors.not_found(f'no such role {name!r}')
    return render.role(name)


def _create_policy(call: calls.Call) -> calls.Json:
    policy = tenancy.create_policy(call.cluster, call.body)
    return render.policy(call.cluster, policy, admin=True)


def _list_policies(call: calls.Call) -> calls.Json:
    found = [
        render.policy(call.cluster, item, admin=call.identity.cluster_admin)
        for item in call.cluster.policies.values()
        if _visible(call, item)
    ]
    return {'policies': found}


def _visible(call: calls.Call, policy: model.Policy) -> bool:
    """Whether the caller may know of a policy."""
    if policy.visibility == 'Global' or call.identity.cluster_reader:
        return True
    return any(call.identity.reads(project) for project in policy.scope)


def _policy(call: calls.Call) -> model.Policy:
    policy = tenancy.policy(call.cluster, call.params['UUID'])
    if not _visible(call, policy):
        raise errors.denied(f'QoS policy {policy.uuid} is not for you')
    return policy


def _get_policy(call: calls.Call) -> calls.Json:
    admin = call.identity.cluster_admin
    return render.policy(call.cluster, _policy(call), admin=admin)


def _update_policy(call: calls.Call) -> calls.Json:
    tenancy.update_policy(call.cluster, _policy(call), call.body)
    return {}


def _delete_policy(call: calls.Call) -> calls.Json:
    tenancy.delete_policy(call.cluster, _policy(call))
    return {}


_ADMIN = auth.Access.CLUSTER_WRITE
_READ = auth.Access.PROJECT_READ
_WRITE = auth.Access.PROJECT_WRITE
_POLICY = auth.Access.POLICIES
_ONE = calls.IN_PROJECT

ROUTES = [
    calls.Route('projects.create', 'POST', _PROJECTS, _ADMIN, _create_project),
    calls.Route(
        'projects.list', 'GET', _PROJECTS, auth.Access.ANY, _list_projects
    ),
    calls.Route('projects.get', 'GET', _ONE, _READ, _get_project),
    calls.Route('projects.update', 'PUT', _ONE, _ADMIN, _update_project),
    calls.Route('projects.delete', 'DELETE', _ONE, _ADMIN, _delete_project),
    calls.Route(
        'credentials.create', 'POST', _CREDENTIALS, _WRITE, _create_credential
    ),
    calls.Route(
        'credentials.list', 'GET', _CREDENTIALS, _READ, _list_credentials
    ),
    calls.Route(
        'credentials.get',
        'GET',
        _CREDENTIALS + '/{ID}',
        _READ,
        _get_credential,
    ),
    calls.Route(
        'credentials.delete',
        'DELETE',
        _CREDENTIALS + '/{ID}',
        _WRITE,
        _delete_credential,
    ),
    calls.Route('roles.list', 'GET', _ROLES, _READ, _list_roles),
    calls.Route('roles.get', 'GET', _ROLES + '/{name}', _READ, _get_role),
    calls.Route('policies.create', 'POST', _POLICIES, _ADMIN, _create_policy),
    calls.Route('policies.list', 'GET', _POLICIES, _POLICY, _list_policies),
    calls.Route(
        'policies.get', 'GET', _POLICIES + '/{UUID}', _POLICY, _get_policy
    ),
    calls.Route(
        'policies.update', 'PUT', _POLICIES + '/{UUID}', _ADMIN, _update_policy
    ),
    calls.Route(
        'policies.delete',
        'DELETE',
        _POLICIES + '/{UUID}',
        _ADMIN,
        _delete_policy,
    ),
]
