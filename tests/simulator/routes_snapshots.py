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

"""Calls on snapshots."""

from __future__ import annotations

import base64
import itertools

from tests.simulator import auth
from tests.simulator import calls
from tests.simulator import dataplane
from tests.simulator import errors
from tests.simulator import listing
from tests.simulator import lookup
from tests.simulator import model
from tests.simulator import render
from tests.simulator import requests
from tests.simulator import snapshots
from tests.simulator import validate

_SCOPED = f'{calls.IN_PROJECT}/snapshots'

# Ranges one difference reply holds.
_RANGES = 10000


def _create(call: calls.Call) -> calls.Json:
    request = requests.create_snapshot(call.body)
    snapshot = snapshots.create(
        call.cluster, call.owner, request, doomed=call.doomed
    )
    return render.snapshot(call.cluster, snapshot)


def _get(call: calls.Call) -> calls.Json:
    uuid = call.uuid()
    items = call.cluster.snapshots
    if not uuid:
        name = call.query.get('Name', '')
        if not name:
            raise errors.invalid('UUID or Name must be provided')
        uuid = lookup.by_name(call.cluster, items, call.owner, name).uuid
    return render.snapshot(call.cluster, listing.read(call, items, uuid))


def _list(call: calls.Call) -> calls.Json:
    found = listing.select(call, call.cluster.snapshots, 'Name')
    page = itertools.islice(found, calls.page_limit(call))
    return {
        'snapshots': [render.snapshot(call.cluster, item) for item in page]
    }


def _delete(call: calls.Call) -> calls.Json:
    uuid = call.uuid()
    if not uuid:
        raise errors.invalid('UUID must be provided')
    with listing.missing_on_delete(call):
        snapshot = lookup.by_uuid(call.cluster.snapshots, call.owner, uuid)
    snapshots.delete(call.cluster, snapshot, call.if_match)
    return {}


def _diff(call: calls.Call) -> calls.Json:
    items = call.cluster.snapshots
    uuid = validate.uuid(call.params['snapshotUUID'])
    snapshot = lookup.by_uuid(items, call.owner, uuid)
    base = _base(call)
    if base is not None:
        _check_chain(base, snapshot)
    first = _offset(call, snapshot)
    changes = call.cluster.plane.changes(
        base.uuid if base else None, snapshot.uuid, snapshot.size, first
    )
    page = list(itertools.islice(changes, _RANGES + 1))
    reply: calls.Json = {'lbaRanges': [_range(*item) for item in page]}
    if len(page) > _RANGES:
        reply['nextOffsetLBA'] = str(page[_RANGES][0])
        reply['lbaRanges'].pop()
    return render.prune(call.cluster, reply)


def _base(call: calls.Call) -> model.Snapshot | None:
    uuid = call.query.get('baseSnapshotUUID', '')
    name = call.query.get('baseSnapshotName', '')
    if not (uuid or name):
        return None
    return lookup.by_uuid_or_name(
        call.cluster,
        call.cluster.snapshots,
        call.owner,
        validate.uuid(uuid) if uuid else '',
        name,
    )


def _check_chain(base: model.Snapshot, snapshot: model.Snapshot) -> None:
    if base is snapshot:
        raise errors.invalid('a snapshot does not differ from itself')
    if base.lineage != snapshot.lineage:
        raise errors.invalid(
            f'snapshots {base.uuid} and {snapshot.uuid} are not on one chain'
        )


def _offset(call: calls.Call, snapshot: model.Snapshot) -> int:
    text = call.query.get('offsetLBA', '0')
    if not text.isdecimal():
        raise errors.invalid(f'offsetLBA {text!r} is no number')
    first = int(text) // dataplane.BLOCKS * dataplane.BLOCKS
    if first * dataplane.LBA >= snapshot.size:
        raise errors.invalid(f'offsetLBA {text} is past the end')
    return first


def _range(first: int, bits: int) -> calls.Json:
    """Return one range; bit n of its bitmap, LSB first, is block n."""
    bitmap = bits.to_bytes(dataplane.BLOCKS // 8, 'little')
    return {
        'lbaStart': str(first),
        'lbaEnd': str(first + dataplane.BLOCKS - 1),
        'dataBitMap': base64.b64encode(bitmap).decode(),
    }


_READ = auth.Access.PROJECT_READ
_WRITE = auth.Access.PROJECT_WRITE

ROUTES = [
    calls.Route('snapshots.create', 'POST', _SCOPED, _WRITE, _create),
    calls.Route('snapshots.list', 'GET', _SCOPED, _READ, _list),
    calls.Route('snapshots.get', 'GET', _SCOPED + '/{UUID}', _READ, _get),
    calls.Route(
        'snapshots.delete', 'DELETE', _SCOPED + '/{UUID}', _WRITE, _delete
    ),
    calls.Route(
        'snapshots.diff',
        'GET',
        _SCOPED + '/diff/{snapshotUUID}',
        _READ,
        _diff,
    ),
]
