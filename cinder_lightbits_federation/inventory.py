# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What is known of a cluster: samples of its state and capacity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import re
import time
from typing import TypeVar

from cinder_lightbits_federation import capacity as capacities
from cinder_lightbits_federation.lightbits import client as lb_client
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.timing import Deadline

T = TypeVar('T')

_VERSION = re.compile(r'(\d+)\.(\d+)')


@dataclasses.dataclass(frozen=True, slots=True)
class Vitals:
    """What changes by the minute.

    :param taken_at: monotonic seconds *before* the cluster was asked, so
        that what was created later is known not to be counted.
    :param cluster_rights: whether the token may read the whole cluster.
    :param version: (major, minor) of the oldest server; None when the
        token may not read it.
    """

    taken_at: float
    info: model.ClusterInfo
    capacity: capacities.Capacity
    health: model.HealthState
    version: tuple[int, int] | None
    cluster_rights: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What changes by the month; None means the token may not read it."""

    projects: frozenset[str] | None
    qos_policies: Mapping[str, str] | None
    failure_domains: frozenset[str] | None


def parse_version(text: str) -> tuple[int, int] | None:
    """Read ``3.12.4~b15783733640`` leniently."""
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2])) if found else None


def _allowed(call: Callable[[], T]) -> T | None:
    """:returns: what a call gives, None when the token has no right."""
    try:
        return call()
    except (lb_errors.Forbidden, lb_errors.Unsupported, lb_errors.NotFound):
        return None


def _with_nvme_endpoints(client: lb_client.LightbitsClient, project: str,
                         info: model.ClusterInfo,
                         before: model.ClusterInfo | None,
                         deadline: Deadline) -> model.ClusterInfo:
    """Add what ``cluster`` does not tell and ``clusterinfo`` does.

    Another call is needed only when the cluster has changed since `before`.
    Hosts can find out by themselves, so nothing depends on its outcome.
    """
    if (before is not None and before.nvme_endpoints
            and info == dataclasses.replace(before, nvme_endpoints=())):
        return before
    try:
        found = client.cluster_info(project, deadline=deadline)
    except lb_errors.LightbitsError:
        return info
    return dataclasses.replace(info, nvme_endpoints=found.nvme_endpoints)


def take_vitals(client: lb_client.LightbitsClient, project: str,
                deadline: Deadline, before: Vitals | None = None) -> Vitals:
    """Ask a cluster how it is.

    One call with cluster rights, and a second one (``clusterinfo``) when the
    cluster is not what it was before. Project tokens get 403 for that and take
    two (``clusterinfo`` and ``nodes``); where nodes are refused too, the
    volumes of the project are summed up.

    :param before: what it said the last time.
    :raises LightbitsError: the cluster does not answer properly.
    """
    taken_at = time.monotonic()
    whole = _allowed(lambda: client.cluster(project, deadline=deadline))
    if whole is not None:
        info = _with_nvme_endpoints(
            client, project, whole.info,
            before.info if before else None, deadline)
        return Vitals(taken_at, info,
                      capacities.from_cluster(whole.statistics), whole.health,
                      parse_version(whole.version), True)
    info = client.cluster_info(project, deadline=deadline)
    nodes = _allowed(lambda: client.nodes(project, deadline=deadline))
    if nodes is not None:
        capacity = capacities.from_nodes(nodes)
    else:
        capacity = capacities.from_volumes(
            client.list_volumes(project, deadline=deadline))
    return Vitals(taken_at, info, capacity, model.HealthState.UNKNOWN, None,
                  False)


def take_facts(client: lb_client.LightbitsClient, project: str,
               cluster_rights: bool, deadline: Deadline) -> Facts:
    """Ask a cluster for its projects, policies and failure domains.

    :param cluster_rights: whether the token sees all projects; a project's
        token may see its own only, which proves nothing about others.
    :raises LightbitsError: the cluster does not answer properly.
    """
    projects = (_allowed(lambda: client.projects(project, deadline=deadline))
                if cluster_rights else None)
    policies = _allowed(lambda: client.policies(project, deadline=deadline))
    nodes = _allowed(lambda: client.nodes(project, deadline=deadline))
    return Facts(
        projects=(None if projects is None
                  else frozenset(item.name for item in projects)),
        qos_policies=(None if policies is None
                      else {item.name: item.uuid for item in policies}),
        failure_domains=(None if nodes is None else frozenset(
            domain for node in nodes for domain in node.failure_domains)))
