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

"""Calls on volumes."""

from __future__ import annotations

import collections.abc
import itertools

from tests.simulator import auth
from tests.simulator import calls
from tests.simulator import errors
from tests.simulator import listing
from tests.simulator import lookup
from tests.simulator import model
from tests.simulator import render
from tests.simulator import requests
from tests.simulator import rollback
from tests.simulator import validate
from tests.simulator import volumes

_FLAT = f'{calls.BASE}/volumes'
_SCOPED = f'{calls.IN_PROJECT}/volumes'


def _create(call: calls.Call) -> calls.Json:
    request = requests.create_volume(call.body, call.cluster.switches)
    volume = volumes.create(
        call.cluster, call.owner, request, doomed=call.doomed
    )
    return render.volume(call.cluster, volume)


def _get(call: calls.Call) -> calls.Json:
    uuid = call.uuid()
    items = call.cluster.volumes
    if not uuid:
        name = call.query.get('name', '')
        if not name:
            raise errors.invalid('UUID or name must be provided')
        uuid = lookup.by_name(call.cluster, items, call.owner, name).uuid
    volume = listing.read(call, items, uuid)
    call.cluster.sync_usage(volume)
    return render.volume(call.cluster, volume)


def _list(call: calls.Call) -> calls.Json:
    found = listing.select(call, call.cluster.volumes, 'name', _filters(call))
    page = itertools.islice(found, calls.page_limit(call))
    return {'volumes': [render.volume(call.cluster, item) for item in page]}


def _filters(
    call: calls.Call,
) -> collections.abc.Iterator[listing.Filter[model.Volume]]:
    domain = call.query.get('failureDomain')
    if domain:
        indexes = {
            node.index
            for node in call.cluster.nodes
            if node.failure_domain == domain
        }
        yield lambda item: not indexes.isdisjoint(item.nodes)
    snapshot = call.query.get('snapshotUUID')
    if snapshot:
        source = validate.uuid(snapshot)
        yield lambda item: item.source_uuid == source


def _target(call: calls.Call) -> model.Volume:
    """Return the volume a write names in its path, or by name."""
    uuid = call.uuid()
    name = call.body.text('name') or call.query.get('name', '')
    if not (uuid or name):
        raise errors.invalid('UUID or name must be provided')
    return lookup.by_uuid_or_name(
        call.cluster, call.cluster.volumes, call.owner, uuid, name
    )


def _update(call: calls.Call) -> calls.Json:
    volume = _target(call)
    request = requests.update_volume(call.body, call.cluster.switches)
    volumes.update(call.cluster, volume, request, call.if_match)
    return {}


def _delete(call: calls.Call) -> calls.Json:
    with listing.missing_on_delete(call):
        volume = _target(call)
    volumes.delete(call.cluster, volume, call.if_match)
    return {}


def _rollback(call: calls.Call) -> calls.Json:
    uuid = call.uuid()
    name = call.body.text('Name') or ''
    volume = lookup.by_uuid_or_name(
        call.cluster, call.cluster.volumes, call.owner, uuid, name
    )
    source = call.body.text('srcSnapshotUUID') or ''
    source_name = call.body.text('srcSnapshotName') or ''
    if not (source or source_name):
        raise errors.invalid('field srcSnapshotUUID must be provided')
    snapshot = lookup.by_uuid_or_name(
        call.cluster,
        call.cluster.snapshots,
        call.owner,
        validate.uuid(source) if source else '',
        source_name,
    )
    rollback.start(call.cluster, volume, snapshot, call.if_match)
    return {}


def _both(
    name: str,
    method: str,
    tail: str,
    access: auth.Access,
    handler: calls.Handler,
) -> list[calls.Route]:
    return [
        calls.Route(name, method, path + tail, access, handler)
        for path in (_FLAT, _SCOPED)
    ]


_READ = auth.Access.PROJECT_READ
_WRITE = auth.Access.PROJECT_WRITE

ROUTES = [
    *_both('volumes.create', 'POST', '', _WRITE, _create),
    *_both('volumes.list', 'GET', '', _READ, _list),
    *_both('volumes.get', 'GET', '/{UUID}', _READ, _get),
    *_both('volumes.update', 'PUT', '/{UUID}', _WRITE, _update),
    *_both('volumes.delete', 'DELETE', '/{UUID}', _WRITE, _delete),
    calls.Route(
        'volumes.rollback',
        'PUT',
        f'{_SCOPED}/{{UUID}}/rollback',
        _WRITE,
        _rollback,
    ),
]
