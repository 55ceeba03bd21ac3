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

"""Projects, credentials and QoS policies."""

from __future__ import annotations

import typing

from tests.simulator import auth
from tests.simulator import cluster as clusters
from tests.simulator import errors
from tests.simulator import model
from tests.simulator import validate

_TYPES: dict[object, str] = {
    1: 'RS256PubKey',
    2: 'TlsCertChainPem',
    3: 'TlsPrivKeyPem',
}
_LIMITS = {
    'limitIOPS': ('readIOPSLimit', 'writeIOPSLimit'),
    'limitBw': ('readBWLimit', 'writeBWLimit'),
    'limitIOPSPerGB': ('readIOPSPerGBLimit', 'writeIOPSPerGBLimit'),
}
_IOPS_STEP = 256


def add_project(cluster: clusters.Cluster, name: str) -> model.Project:
    """Create a project whose name is known to be legal and free."""
    project = model.Project(cluster.new_uuid(), name)
    cluster.projects[name] = project
    return project


def create_project(
    cluster: clusters.Cluster, fields: validate.Fields
) -> model.Project:
    """Create a project.

    :raises ApiError: 400, 409.
    """
    name = validate.project_name(fields)
    description = validate.description(fields)
    policies = _default_policies(cluster, fields)
    if name in cluster.projects or name == model.SYSTEM:
        raise errors.exists(f'project {name!r} exists')
    project = add_project(cluster, name)
    project.description = description
    project.policies = policies
    return project


def update_project(
    cluster: clusters.Cluster,
    project: model.Project,
    fields: validate.Fields,
) -> None:
    """Replace the default policies, which new volumes get.

    :raises ApiError: 400.
    """
    project.policies = _default_policies(cluster, fields)


def _default_policies(
    cluster: clusters.Cluster, fields: validate.Fields
) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for item in fields.items('defaultPolicies') or []:
        entry = validate.Fields(item if isinstance(item, dict) else {})
        kind = entry.text('policyType') or ''
        uuid = validate.uuid(entry.text('policyUUID') or '')
        known = kind == 'snapshot' or uuid in cluster.policies
        if kind not in ('snapshot', 'qosRateLimit') or not known:
            raise errors.invalid(
                f'field defaultPolicies: no {kind!r} policy {uuid}'
            )
        found.append((kind, uuid))
    return tuple(found)


def delete_project(cluster: clusters.Cluster, project: model.Project) -> None:
    """Remove a project that holds nothing any more.

    :raises ApiError: 400, it is not drained.
    """
    left = cluster.volumes.count(project.name)
    left += cluster.snapshots.count(project.name)
    if left or cluster.now() < project.busy_until:
        raise errors.invalid(f'project {project.name!r} is not drained yet')
    del cluster.projects[project.name]
    for credential in list(cluster.auth.credentials.values()):
        if credential.scope == project.name:
            cluster.auth.remove(credential)


def create_credential(
    cluster: clusters.Cluster, scope: str, fields: validate.Fields
) -> model.Credential:
    """Register a public key.

    :raises ApiError: 400, 409.
    """
    name = validate.name(fields, 'ID')
    given = fields.raw('type')
    number = given if isinstance(given, int) else None
    kind = _TYPES.get(number, given)
    if kind not in _TYPES.values():
        raise errors.invalid(f'field type: {given!r} is unknown')
    payload = validate.payload(fields, 'payload')
    if kind == 'RS256PubKey':
        auth.public_key(payload)
    if (scope, name) in cluster.auth.credentials:
        raise errors.exists(f'credential {scope}:{name} exists')
    credential = model.Credential(scope, name, str(kind), payload)
    cluster.auth.add(credential)
    return credential


def credential(
    cluster: clusters.Cluster, scope: str, name: str
) -> model.Credential:
    """Return a credential.

    :raises ApiError: 404, or 400 by the switch.
    """
    found = cluster.auth.credentials.get((scope, name))
    if found is None:
        raise errors.by_status(
            cluster.switches.missing_credential,
            f'no such credential {scope}:{name}',
        )
    return found


def create_policy(
    cluster: clusters.Cluster, fields: validate.Fields
) -> model.Policy:
    """Create a QoS policy.

    :raises ApiError: 400, 409.
    """
    name = validate.name(fields)
    if any(item.name == name for item in cluster.policies.values()):
        raise errors.exists(f'QoS policy {name!r} exists')
    policy = model.Policy(cluster.new_uuid(), name)
    update_policy(cluster, policy, fields)
    cluster.policies[policy.uuid] = policy
    return policy


def update_policy(
    cluster: clusters.Cluster,
    policy: model.Policy,
    fields: validate.Fields,
) -> None:
    """Replace what the request names.

    :raises ApiError: 400.
    """
    rules = fields.message('qoSRateLimitPolicy') or validate.Fields({})
    visibility = rules.text('policyVisibility') or policy.visibility
    if visibility not in ('Global', 'Scoped'):
        raise errors.invalid(
            f'field policyVisibility: {visibility!r} is unknown'
        )
    scope = tuple(
        str(item) for item in rules.items('projectsNamesScope') or policy.scope
    )
    limits = _limits(rules)
    policy.description = validate.description(fields) or policy.description
    policy.visibility, policy.scope = visibility, scope
    policy.limits = limits or policy.limits


def _limits(
    rules: validate.Fields,
) -> tuple[str, tuple[tuple[str, int], ...]] | None:
    given = [name for name in _LIMITS if rules.has(name)]
    if len(given) > 1:
        raise errors.invalid(f'fields {" and ".join(given)} exclude another')
    for name in given:
        values = rules.message(name) or validate.Fields({})
        step = _IOPS_STEP if name == 'limitIOPS' else 1
        return name, tuple(
            (field, -(-(values.number(field) or 0) // step) * step)
            for field in _LIMITS[name]
        )
    return None


def policy(cluster: clusters.Cluster, uuid: str) -> model.Policy:
    """Return a QoS policy.

    :raises ApiError: 400, 404.
    """
    found = cluster.policies.get(validate.uuid(uuid))
    if found is None:
        raise errors.not_found(f'no such QoS policy {uuid}')
    return found


def delete_policy(cluster: clusters.Cluster, item: model.Policy) -> None:
    """Remove a QoS policy nothing uses.

    :raises ApiError: 400, it is in use.
    """
    used = item.uuid == cluster.default_policy or any(
        volume.policy_uuid == item.uuid
        for volume in cluster.volumes.by_uuid.values()
    )
    if used:
        raise errors.invalid(f'QoS policy {item.name!r} is in use')
    del cluster.policies[item.uuid]


# What each role may do, as `GET .../roles` tells it.
ROLES: dict[str, list[dict[str, typing.Any]]] = {
    'admin': [{'resources': ['*'], 'actions': ['*']}],
    'viewer': [{'resources': ['*'], 'actions': ['get', 'list']}],
    'cluster-admin': [{'resources': ['*'], 'actions': ['*']}],
    'cluster-viewer': [{'resources': ['*'], 'actions': ['get', 'list']}],
}


def role_names(scope: str) -> list[str]:
    """Return the roles a project, or the system, knows."""
    system = scope == model.SYSTEM
    return [name for name in ROLES if name.startswith('cluster-') is system]
