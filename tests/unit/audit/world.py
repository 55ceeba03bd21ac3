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

"""Records and objects that agree, to be spoilt by tests."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from cinder_lightbits_federation import access
from cinder_lightbits_federation.audit import books
from cinder_lightbits_federation.audit import checker
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership

GIB = 1 << 30
OWNER = ownership.Owner('11111111-1111-4111-8111-111111111111')
STRANGER = ownership.Owner('22222222-2222-4222-8222-222222222222')
NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
LONG_AGO = '2026-04-01T12:00:00.000000Z'
JUST_NOW = '2026-05-01T11:59:30Z'

EAST = 'aaaaaaaa-0000-4000-8000-000000000001'
WEST = 'aaaaaaaa-0000-4000-8000-000000000002'
ELSEWHERE = 'aaaaaaaa-0000-4000-8000-000000000009'
VOLUME_ID = 'cccccccc-0000-4000-8000-000000000001'
SNAPSHOT_ID = 'cccccccc-0000-4000-8000-000000000002'
OTHER_ID = 'cccccccc-0000-4000-8000-000000000003'
VOLUME_UUID = 'bbbbbbbb-0000-4000-8000-000000000001'
SNAPSHOT_UUID = 'bbbbbbbb-0000-4000-8000-000000000002'
SECOND_UUID = 'bbbbbbbb-0000-4000-8000-000000000003'
FOREIGN_UUID = 'bbbbbbbb-0000-4000-8000-000000000004'
ATTEMPT = '0123456789ab'
NQN = 'nqn.2014-08.org.nvmexpress:uuid:host-1'
SECOND_NQN = 'nqn.2014-08.org.nvmexpress:uuid:host-2'


def place(name_id: str, uuid: str | None, cluster: str = EAST,
          **changes: Any) -> str:
    """:returns: a provider_location."""
    return str(Location(cluster, name_id, changes.pop('project', 'default'),
                        uuid, changes.pop('attempt', ATTEMPT)))


def labels(name_id: str, owner: ownership.Owner = OWNER) -> dict[str, str]:
    """:returns: what an object of a record is labelled with."""
    return ownership.labels_for(owner, name_id, ATTEMPT)


def described(record: str, owner: ownership.Owner = OWNER) -> str:
    """:returns: what a snapshot of a record is described by."""
    return ownership.describe(owner, record, ATTEMPT)


def host(nqn: str = NQN, *addresses: str) -> access.HostAccess:
    """:returns: a host with these addresses."""
    return access.HostAccess(nqn, addresses or ('192.0.2.1', '192.0.2.2'))


VOLUME = books.VolumeRecord(
    VOLUME_ID, VOLUME_ID, f'volume-{VOLUME_ID}', 'available', 2 * GIB,
    place(VOLUME_ID, VOLUME_UUID), 'stor1@lightbits#federation')
SNAPSHOT = books.SnapshotRecord(
    SNAPSHOT_ID, VOLUME_ID, f'snapshot-{SNAPSHOT_ID}', 'available', GIB,
    place(SNAPSHOT_ID, SNAPSHOT_UUID))
ATTACHMENT = books.AttachmentRecord('a', VOLUME_ID, 'attached', host())

ON_ARRAY = model.Volume(
    VOLUME_UUID, f'volume-{VOLUME_ID}', 'default',
    model.VolumeState.AVAILABLE, 2 * GIB, '1', labels=labels(VOLUME_ID),
    created_at=LONG_AGO)
ADMITTED = dataclasses.replace(
    ON_ARRAY, acl=frozenset({NQN}),
    ip_acl=frozenset({'192.0.2.1', '192.0.2.2'}))
SNAPSHOT_ON_ARRAY = model.Snapshot(
    SNAPSHOT_UUID, f'snapshot-{SNAPSHOT_ID}', 'default',
    model.SnapshotState.AVAILABLE, GIB, '1', source_volume_uuid=VOLUME_UUID,
    description=described(SNAPSHOT_ID), labels=labels(VOLUME_ID),
    created_at=LONG_AGO, physical_owned=4096)
FOREIGN = model.Volume(
    FOREIGN_UUID, 'csi-volume', 'default', model.VolumeState.AVAILABLE, GIB,
    '4', labels=labels(OTHER_ID, STRANGER), created_at=LONG_AGO)


def changed(item: Any, **changes: Any) -> Any:
    """:returns: a copy with changes."""
    return dataclasses.replace(item, **changes)


def cluster(*objects: model.Volume | model.Snapshot, uuid: str = EAST,
            **changes: Any) -> books.Holdings:
    """:returns: a cluster that holds these."""
    name = {EAST: 'east', WEST: 'west'}[uuid]
    return books.Holdings(
        name, uuid,
        tuple(item for item in objects if isinstance(item, model.Volume)),
        tuple(item for item in objects if isinstance(item, model.Snapshot)),
        **changes)


def seen(*clusters: books.Holdings | books.Silent) -> books.Seen:
    """:returns: what an audit sees, by UUID; east and west are empty."""
    found: dict[str, books.Holdings | books.Silent] = {
        EAST: cluster(uuid=EAST), WEST: cluster(uuid=WEST)}
    for item in clusters:
        found[item.uuid or item.cluster] = item
    return found


def silent(uuid: str | None = EAST, lost: bool = False) -> books.Silent:
    """:returns: a cluster that does not answer."""
    name = {EAST: 'east', WEST: 'west'}.get(uuid or '', 'unborn')
    return books.Silent(name, uuid, 'down for 60 s', lost)


def compare(records: books.Books, *clusters: books.Holdings | books.Silent,
            grace: float = checker.GRACE) -> tuple[Finding, ...]:
    """:returns: the findings, at `NOW`."""
    return checker.check(records, seen(*clusters), NOW, OWNER, grace)


def said(findings: tuple[Finding, ...]) -> list[tuple[Kind, Severity]]:
    """:returns: kinds and severities alone."""
    return [(item.kind, item.severity) for item in findings]
