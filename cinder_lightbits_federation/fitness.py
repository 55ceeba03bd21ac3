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

"""Whether a cluster can take a volume: one filter for each reason not to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cinder_lightbits_federation.decisions import PlacementRequest
from cinder_lightbits_federation import room
from cinder_lightbits_federation.room import PlacementPolicy
from cinder_lightbits_federation import sizes
from cinder_lightbits_federation import spec as specs
from cinder_lightbits_federation.views import ALLOWED
from cinder_lightbits_federation.views import ClusterView
from cinder_lightbits_federation.views import Connection
from cinder_lightbits_federation.views import Use

Filter = Callable[[ClusterView, PlacementRequest, PlacementPolicy],
                  str | None]


def _excluded(view: ClusterView, request: PlacementRequest,
              _policy: PlacementPolicy) -> str | None:
    return request.exclude.get(view.uuid)


def _outside(view: ClusterView, request: PlacementRequest,
             _policy: PlacementPolicy) -> str | None:
    if request.only is None or view.uuid in request.only:
        return None
    return ('not the cluster of its source' if request.for_clone
            else 'not among the clusters asked for')


def _state(view: ClusterView, request: PlacementRequest,
           _policy: PlacementPolicy) -> str | None:
    use = Use.COPY if request.for_clone else Use.CREATE
    if use in ALLOWED[view.admin_state]:
        return None
    return view.admin_state.value


def _connection(view: ClusterView, _request: PlacementRequest,
                _policy: PlacementPolicy) -> str | None:
    if view.connection is Connection.CONNECTED:
        return None
    return ': '.join(filter(None, (view.connection.value, view.reason)))


def _known(view: ClusterView, request: PlacementRequest,
           _policy: PlacementPolicy) -> str | None:
    """What is made there must be within reach of whichever service is asked.

    A clone changes nothing about that: its source is there already.
    """
    if request.for_clone or not view.unknown_to:
        return None
    return f'not known to {", ".join(view.unknown_to)}'


def _pin(view: ClusterView, request: PlacementRequest,
         _policy: PlacementPolicy) -> str | None:
    if request.spec.clusters.admits(view.uuid, view.name):
        return None
    return f'not admitted by {specs.CLUSTER}'


def _project(view: ClusterView, request: PlacementRequest,
             _policy: PlacementPolicy) -> str | None:
    if view.projects is None or request.project in view.projects:
        return None
    return f'no project {request.project}'


def _qos_policy(view: ClusterView, request: PlacementRequest,
                _policy: PlacementPolicy) -> str | None:
    wanted = request.spec.qos_policy
    if wanted is None or view.qos_policies is None:
        return None
    known = (view.qos_policies.values() if specs.is_uuid(wanted)
             else view.qos_policies.keys())
    return None if wanted in known else f'no QoS policy {wanted}'


def _replicas(view: ClusterView, request: PlacementRequest,
              _policy: PlacementPolicy) -> str | None:
    if view.max_replicas is None or request.replicas <= view.max_replicas:
        return None
    return (f'{request.replicas} replicas asked for, it serves '
            f'{view.max_replicas} now')


def _failure_domain(view: ClusterView, request: PlacementRequest,
                    _policy: PlacementPolicy) -> str | None:
    if view.failure_domains is None:
        return None
    missing = request.spec.domains() - view.failure_domains
    if not missing:
        return None
    return f'no failure domain {", ".join(sorted(missing))}'


def _physical(view: ClusterView, request: PlacementRequest,
              policy: PlacementPolicy) -> str | None:
    if request.for_clone or not room.exhausted(view, policy):
        return None
    return 'physically full'


def _promises(view: ClusterView, request: PlacementRequest,
              policy: PlacementPolicy) -> str | None:
    left = room.unpromised(view, policy)
    if left is None or request.needed <= left:
        return None
    return (f'needs {sizes.bytes_to_gib_ceil(request.needed)} GiB with '
            f'replicas, has room for {sizes.bytes_to_gib_floor(left)}')


# In this order; the first reason is the one that is told. Those of FITNESS
# look neither at the size of a volume nor at its spread group.
FITNESS: tuple[Filter, ...] = (
    _excluded, _outside, _state, _connection, _known, _pin, _project,
    _qos_policy, _replicas, _failure_domain)
ROOM: tuple[Filter, ...] = (_physical, _promises)
# Those about what changes by the month, and is read as seldom.
FACTS: frozenset[Filter] = frozenset((_project, _qos_policy, _failure_domain))


def first_reason(filters: Iterable[Filter], view: ClusterView,
                 request: PlacementRequest,
                 policy: PlacementPolicy) -> str | None:
    """:returns: why a cluster cannot take a volume, None when it can."""
    for check in filters:
        reason = check(view, request, policy)
        if reason is not None:
            return reason
    return None


def lacks(view: ClusterView, request: PlacementRequest,
          policy: PlacementPolicy) -> bool:
    """Whether a cluster is only unfit for what an administrator can add.

    That is a project, a QoS policy or a failure domain, perhaps added since
    they were read.
    """
    return any(check(view, request, policy) for check in FACTS) and not any(
        check(view, request, policy) for check in FITNESS
        if check not in FACTS)


def most(view: ClusterView, request: PlacementRequest,
         policy: PlacementPolicy) -> float:
    """How large a volume the filters of ROOM let pass.

    :param request: what else the volume is; its size does not matter.
    :returns: bytes, replicas counted; infinite when no total is known.
    """
    if _physical(view, request, policy) is not None:
        return 0
    left = room.unpromised(view, policy)
    return float('inf') if left is None else left
