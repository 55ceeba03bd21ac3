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

"""Finding objects the way the API does."""

from __future__ import annotations

import typing

from tests.simulator import cluster as clusters
from tests.simulator import errors
from tests.simulator import model
from tests.simulator import store

R = typing.TypeVar('R', bound=model.Resource)


def by_uuid(items: store.Store[R], project: str | None, uuid: str) -> R:
    """Return an object of the project (None: of any).

    :raises ApiError: 404.
    """
    item = items.get(uuid)
    if item is None or project not in (None, item.project):
        raise errors.not_found(f'no such object {uuid}')
    return item


def by_name(
    cluster: clusters.Cluster, items: store.Store[R], project: str, name: str
) -> R:
    """Return the best object of that name.

    A live one comes before a Failed one; whether one in Deleting comes
    last or first is a switch.

    :raises ApiError: 404.
    """
    ranked = ranked_namesakes(cluster, items, project, name)
    if not ranked:
        raise errors.not_found(f'no such object {name!r} in {project!r}')
    return ranked[0]


def ranked_namesakes(
    cluster: clusters.Cluster, items: store.Store[R], project: str, name: str
) -> list[R]:
    """Return all objects of that name, the best one first."""
    deleting = 2 if cluster.switches.name_lookup_prefers_live else -1
    rank = {model.State.FAILED: 1, model.State.DELETING: deleting}
    return sorted(
        items.named(project, name), key=lambda item: rank.get(item.state, 0)
    )


def by_uuid_or_name(
    cluster: clusters.Cluster,
    items: store.Store[R],
    project: str,
    uuid: str,
    name: str,
) -> R:
    """Return the object one of `uuid` (first) or `name` gives.

    :raises ApiError: 404.
    """
    if uuid:
        return by_uuid(items, project, uuid)
    return by_name(cluster, items, project, name)


def check_name_free(
    cluster: clusters.Cluster,
    items: store.Store[R],
    project: str,
    name: str,
) -> None:
    """Refuse a name that a live object of the project has.

    :raises ApiError: 409.
    """
    for item in items.named(project, name):
        if item.state is model.State.DELETING:
            continue
        failed = item.state is model.State.FAILED
        if failed and not cluster.switches.failed_reserves_name:
            continue
        raise errors.exists(f'name {name!r} is in use in project {project!r}')


def earlier(
    cluster: clusters.Cluster, items: store.Store[R], uuid: str, back: int
) -> R | None:
    """Return the version of an object `back` changes ago.

    :returns: None where there was no object yet, or its versions are
        forgotten.
    """
    item = items.get(uuid)
    if item is None:
        return typing.cast('R | None', cluster.departed.get(uuid))
    return item.history[back - 1] if back <= len(item.history) else None


def policy(
    cluster: clusters.Cluster, project: str, uuid: str, name: str
) -> model.Policy:
    """Return the QoS policy for a volume of the project.

    Without one given: the project's default, else the cluster's.

    :raises ApiError: 400, no such policy or not for this project.
    """
    if not (uuid or name):
        defaults = dict(cluster.project(project).policies)
        uuid = defaults.get('qosRateLimit', cluster.default_policy)
    for item in cluster.policies.values():
        if item.uuid == uuid or (not uuid and item.name == name):
            if item.visibility == 'Scoped' and project not in item.scope:
                break
            return item
    raise errors.invalid(f'no such QoS policy {uuid or name!r}')
