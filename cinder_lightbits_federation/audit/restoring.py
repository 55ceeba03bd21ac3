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

"""What the rows of a lost record are to be, worked out from its object.

An export tells all that it knows; the object itself, its size, place and who
may use it, is newer and counts. What nobody knows is as for a new volume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import json
from typing import Any
import uuid as uuidlib

from cinder_lightbits_federation.audit import exports
from cinder_lightbits_federation.audit.exports import Export
from cinder_lightbits_federation.audit.exports import Row
from cinder_lightbits_federation.audit.proofs import Declined
from cinder_lightbits_federation.audit.proofs import marks_of
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.sizes import bytes_to_gib_ceil

Rows = dict[str, list[dict[str, Any]]]

# What was under way at the time of the export is not any more.
FORGOTTEN = ('migration_status', 'previous_status', 'service_uuid',
             'deleted_at', 'terminated_at')


@dataclasses.dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds for all records that are made.

    :param now: without time zone, in UTC, ISO 8601.
    :param host: without the pool; likewise `cluster_name`.
    :param pool: the one pool there is; None with a pool per cluster.
    :param type_id: volume type of what nobody knows the type of.
    :param project_id: of what nobody knows the project of, if any.
    :param connectors: what hosts have told of themselves, by NQN.
    """

    now: str
    host: str
    cluster_name: str | None
    pool: str | None
    zone: str
    type_id: str
    project_id: str | None = None
    user_id: str | None = None
    connectors: Mapping[str, Mapping[str, Any]] = dataclasses.field(
        default_factory=dict)


def volume_rows(thing: model.Volume, location: Location, cluster: str,
                known: Sequence[Export], here: Circumstances) -> Rows:
    """Work out the rows of a volume and of its attachments.

    :param cluster: name of the cluster that it is on.
    :param known: exports, the newest first.
    :raises Declined: nobody knows whose it is.
    """
    export = next((item for item in known
                   if item.volume(location.name_id)), None)
    row = dict(export.volume(location.name_id) or {}) if export else {}
    volume_id = row.get('id', location.name_id)
    old = export.attachments(volume_id) if export else []
    attachments = attachment_rows(thing, volume_id, old, here)
    row = {
        **_stranger(thing, location, here), 'bootable': False,
        'multiattach': False, 'scheduled_at': here.now,
        'launched_at': here.now, 'availability_zone': here.zone, **row,
        **_certain(location, here), **_home(cluster, here),
        'size': bytes_to_gib_ceil(thing.size),
        'status': 'in-use' if attachments else 'available',
        'attach_status': 'attached' if attachments else 'detached'}
    rows: Rows = {exports.VOLUMES: [_owned(row, thing, here)],
                  exports.ATTACHMENTS: attachments}
    if export:
        rows |= {table: [dict(item) for item in items] for table, items
                 in export.belonging(exports.OF_VOLUMES, volume_id).items()}
    return rows


def snapshot_rows(thing: model.Snapshot, location: Location, volume: Row,
                  known: Sequence[Export], here: Circumstances) -> Rows:
    """Work out the rows of a snapshot.

    :param volume: the row of the volume it is of.
    """
    snapshot_id = location.name_id
    export = next((item for item in known if item.snapshot(snapshot_id)),
                  None)
    row = dict(export.snapshot(snapshot_id) or {}) if export else {}
    row = {
        **_stranger(thing, location, here),
        'volume_type_id': volume['volume_type_id'],
        'project_id': volume['project_id'], 'user_id': volume['user_id'],
        'progress': '100%', **row, **_certain(location, here),
        'volume_id': volume['id'],
        'volume_size': bytes_to_gib_ceil(thing.size), 'status': 'available'}
    rows: Rows = {exports.SNAPSHOTS: [_owned(row, thing, here)]}
    if export:
        rows |= {table: [dict(item) for item in items]
                 for table, items in export.belonging(
                     exports.OF_SNAPSHOTS, snapshot_id).items()}
    return rows


def attachment_rows(thing: model.Volume, volume_id: str,
                    old: Sequence[Row], here: Circumstances,
                    but: frozenset[str] = frozenset()
                    ) -> list[dict[str, Any]]:
    """Work out an attachment for each host that has access.

    :param old: attachments of the volume that an export knows.
    :param but: hosts that have an attachment.
    """
    made = []
    for nqn in sorted(thing.acl - but - {model.ALLOW_ANY}):
        row = next((item for item in old
                    if nqn in exports.connectors([item])), None)
        if row is None:
            connector = _connector(nqn, thing, here)
            row = {'id': str(uuidlib.uuid4()), 'attach_mode': 'rw',
                   'attached_host': connector['host'],
                   'connector': json.dumps(connector),
                   'created_at': here.now, 'attach_time': here.now}
        made.append({**row, 'volume_id': volume_id, 'deleted': False,
                     'attach_status': 'attached', 'deleted_at': None,
                     'detach_time': None, 'updated_at': here.now})
    return made


def _connector(nqn: str, thing: model.Volume, here: Circumstances
               ) -> Mapping[str, Any]:
    """What a host told elsewhere, else what the volume tells of it."""
    known = here.connectors.get(nqn)
    if known is not None and known.get('host'):
        return known
    others = {address for other in thing.acl - {nqn} for address
              in here.connectors.get(other, {}).get('host_ips', ())}
    addresses = sorted(thing.ip_acl - others - {model.ALLOW_ANY})
    return {'nqn': nqn, 'host': nqn, 'host_ips': addresses}


def _stranger(thing: model.Volume | model.Snapshot, location: Location,
              here: Circumstances) -> dict[str, Any]:
    """What a record has that nobody knows anything of."""
    return {
        'id': location.name_id, 'display_name': thing.name,
        'display_description': 'Made anew from its object by '
                               '"lightbits-federation audit reimport"',
        'created_at': _moment(thing.created_at) or here.now,
        'volume_type_id': here.type_id, 'use_quota': True}


def _home(cluster: str, here: Circumstances) -> dict[str, str | None]:
    pool = here.pool or cluster
    return {'host': f'{here.host}#{pool}',
            'cluster_name': here.cluster_name and
            f'{here.cluster_name}#{pool}'}


def _certain(location: Location, here: Circumstances) -> dict[str, Any]:
    """What is so, whatever an export says."""
    return {'provider_location': str(location),
            'provider_id': f'{location.project} {location.object_uuid}',
            'deleted': False, 'updated_at': here.now,
            **dict.fromkeys(FORGOTTEN)}


def _owned(row: dict[str, Any], thing: model.Volume | model.Snapshot,
           here: Circumstances) -> dict[str, Any]:
    """Say whose a record is: an export, the object or the operator does.

    :raises Declined: none of them.
    """
    marks = marks_of(thing)
    project = (row.get('project_id') or marks.get(ownership.LABEL_PROJECT)
               or here.project_id)
    if not project:
        raise Declined('neither an export nor its labels tell its project: '
                       'name one with --project-id')
    user = (row.get('user_id') or marks.get(ownership.LABEL_USER)
            or here.user_id)
    kept = row if isinstance(thing, model.Volume) else {
        key: value for key, value in row.items()
        if key not in ('service_uuid', 'migration_status', 'terminated_at',
                       'previous_status')}
    return {**kept, 'project_id': project, 'user_id': user}


def _moment(text: str) -> str:
    """:returns: the time without its zone, which is UTC."""
    return text.rstrip('Z').partition('+')[0]
