#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""What must hold between Cinder's database and the clusters, at rest.

:func:`check` compares two views that were taken while nothing was in
progress and returns what is wrong; no finding means that

* every volume and snapshot that is not in error exists exactly once, where
  its record says, with the right size, and is usable;
* nothing of ours exists on a cluster that Cinder does not know;
* nothing foreign was changed or removed since `before`;
* a host has access to a volume if and only if an attachment says so.

The comparison is the operator's audit. It forgives here nothing that it puts
down to work in progress; what others do to their own is looked at beside it.
:func:`check_logs` looks for secrets in logs. Neither does any I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
import dataclasses
import datetime
import enum
import re

from cinder_lightbits_federation import access
from cinder_lightbits_federation.audit import books
from cinder_lightbits_federation.audit import checker
from cinder_lightbits_federation.audit import findings as audit
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import ownership
from tests.embedded import arrays
from tests.embedded import records

GIB = 1024 ** 3


class Kind(enum.Enum):
    """What can be wrong."""

    NOT_AT_REST = 'an operation on it is in progress'
    NO_LOCATION = 'its record does not say where it is'
    MISSING = 'it is not where its record says'
    DUPLICATE = 'it exists more than once'
    MISPLACED = 'it exists somewhere else than its record says'
    WRONG_SIZE = 'its size on the cluster is not its size in Cinder'
    NOT_USABLE = 'its state on the cluster is not a usable one'
    MISLABELLED = 'its marks on the cluster are not those of its record'
    UNKNOWN = 'Cinder does not know this object of ours'
    FOREIGN_CHANGED = 'an object that is not ours was changed'
    FOREIGN_GONE = 'an object that is not ours is gone'
    HOST_WITHOUT_ACCESS = 'an attached host is not in the ACL'
    HOST_WITH_ACCESS = 'a host without an attachment is in the ACL'
    WRONG_ADDRESSES = 'the IP ACL is not what the attachments say'
    SECRET_LOGGED = 'a secret is in a log'  # noqa: S105


# What the audit finds, as an invariant that is violated. Others may take
# snapshots of our volumes, and golden images have no record: that is none.
VIOLATED: Mapping[audit.Kind, Kind | None] = {
    audit.Kind.ORPHAN: Kind.UNKNOWN,
    audit.Kind.MISSING: Kind.MISSING,
    audit.Kind.DUPLICATE: Kind.DUPLICATE,
    audit.Kind.WRONG_PLACE: Kind.MISPLACED,
    audit.Kind.UNRECORDED: Kind.NO_LOCATION,
    audit.Kind.WRONG_SIZE: Kind.WRONG_SIZE,
    audit.Kind.UNUSABLE: Kind.NOT_USABLE,
    audit.Kind.MISLABELLED: Kind.MISLABELLED,
    audit.Kind.HOST_MISSING: Kind.HOST_WITHOUT_ACCESS,
    audit.Kind.HOST_EXTRA: Kind.HOST_WITH_ACCESS,
    audit.Kind.ADDRESS_MISSING: Kind.WRONG_ADDRESSES,
    audit.Kind.ADDRESS_EXTRA: Kind.WRONG_ADDRESSES,
    audit.Kind.LEFTOVER: Kind.UNKNOWN,
    audit.Kind.FOREIGN_SNAPSHOT: None,
    audit.Kind.COPY: Kind.UNKNOWN,
    audit.Kind.GOLDEN: None,
    audit.Kind.GOLDEN_REST: Kind.UNKNOWN,
    audit.Kind.NOT_ASKED: Kind.MISSING,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One violation.

    :ivar subject: the object, such as ``volume <id>``.
    :ivar detail: what was seen.
    """

    kind: Kind
    subject: str
    detail: str = ''

    def __str__(self) -> str:
        return f'{self.subject}: {self.kind.value}. {self.detail}'.rstrip()


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What the deployment under test was configured to do.

    :ivar federation_id: owner label of our objects.
    :ivar use_ip_acl: hosts are admitted by their addresses too.
    """

    federation_id: str
    use_ip_acl: bool = True


ArrayObject = arrays.ArrayVolume | arrays.ArraySnapshot
Place = tuple[str, str]  # cluster UUID, object UUID


def check(cinder: records.CinderRecords, clusters: Sequence[arrays.Cluster],
          before: Sequence[arrays.Cluster], rules: Rules) -> list[Finding]:
    """Return everything that is wrong, in a fixed order.

    :param cinder: the database.
    :param clusters: all clusters now, stopped ones too.
    :param before: the clusters before the service first ran.
    """
    kept = _books(cinder, rules)
    return [*_not_at_rest(kept), *_audit(kept, clusters, rules),
            *_check_foreign(kept, clusters, before, rules)]


# A token (JWT): minted ones are known to nobody beforehand.
TOKEN = re.compile(r'eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}')


def check_logs(logs: Mapping[str, str],
               secrets: Iterable[str]) -> list[Finding]:
    """Return the lines of logs that hold a secret, or any token at all.

    :param logs: texts by name.
    :param secrets: texts that must not occur; a finding does not repeat
        them.
    """
    wanted = [secret for secret in secrets if secret]
    return [Finding(Kind.SECRET_LOGGED, name, f'line {number}')
            for name, text in logs.items()
            for number, line in enumerate(text.splitlines(), 1)
            if TOKEN.search(line)
            or any(secret in line for secret in wanted)]


def _not_at_rest(kept: books.Books) -> Iterator[Finding]:
    for record in kept.records:
        if record.in_flight:
            yield Finding(Kind.NOT_AT_REST, f'{_kind(record)} {record.id}',
                          record.status)


def _audit(kept: books.Books, clusters: Sequence[arrays.Cluster],
           rules: Rules) -> Iterator[Finding]:
    moving = {record.id for record in kept.records if record.in_flight}
    # A record in error may name what was never taken over.
    failed = {record.id for record in kept.records if record.in_error}
    found = checker.check(
        kept, {cluster.uuid: _holdings(cluster) for cluster in clusters},
        datetime.datetime.now(datetime.UTC),
        ownership.Owner(rules.federation_id), grace=0)
    for item in found:
        kind = VIOLATED[item.kind]
        if kind is None or item.cinder_id in moving or (
                kind is Kind.MISLABELLED and item.cinder_id in failed):
            continue
        yield Finding(kind, _subject(item), item.evidence)


def _subject(item: audit.Finding) -> str:
    if VIOLATED[item.kind] is Kind.UNKNOWN:
        return f'{item.resource} {item.object_name} on {item.cluster}'
    return f'{item.resource} {item.cinder_id}'


def _check_foreign(kept: books.Books, clusters: Sequence[arrays.Cluster],
                   before: Sequence[arrays.Cluster],
                   rules: Rules) -> Iterator[Finding]:
    now: dict[Place, ArrayObject] = {
        (cluster.uuid, item.uuid): item
        for cluster in clusters for item in _objects(cluster)}
    adopted = _recorded_places(kept)
    for cluster in before:
        for item in _objects(cluster):
            place = (cluster.uuid, item.uuid)
            if _is_ours(item, rules) or place in adopted:
                continue
            if place not in now:
                yield Finding(Kind.FOREIGN_GONE, _name(cluster, item))
            elif now[place] != item:
                yield Finding(Kind.FOREIGN_CHANGED, _name(cluster, item),
                              f'{item} became {now[place]}')


def _is_ours(item: ArrayObject, rules: Rules) -> bool:
    # A snapshot inherits its volume's labels, whoever takes it; what we
    # take says so in its description.
    if isinstance(item, arrays.ArrayVolume):
        return item.label(ownership.LABEL_OWNER) == rules.federation_id
    found = ownership.read_description(item.description)
    return found.get(ownership.LABEL_OWNER) == rules.federation_id


def _recorded_places(kept: books.Books) -> set[Place]:
    found = (record.location for record in kept.records)
    return {(where.cluster_uuid, where.object_uuid) for where in found
            if where is not None and where.object_uuid is not None}


def _objects(cluster: arrays.Cluster) -> Iterator[ArrayObject]:
    yield from cluster.volumes
    yield from cluster.snapshots


def _name(cluster: arrays.Cluster, item: ArrayObject) -> str:
    kind = ('snapshot' if isinstance(item, arrays.ArraySnapshot)
            else 'volume')
    return f'{kind} {item.name} on {cluster.name}'


def _kind(record: books.Record) -> str:
    return 'volume' if isinstance(record, books.VolumeRecord) else 'snapshot'


# Both sides as the audit has them.


def _books(cinder: records.CinderRecords, rules: Rules) -> books.Books:
    return books.Books(
        tuple(books.VolumeRecord(
            item.id, item.name_id, f'volume-{item.name_id}', item.status,
            item.size_gib * GIB, item.provider_location, item.host or '')
            for item in cinder.volumes),
        tuple(books.SnapshotRecord(
            item.id, item.volume_id, f'snapshot-{item.id}', item.status,
            item.size_gib * GIB, item.provider_location)
            for item in cinder.snapshots),
        tuple(books.AttachmentRecord(
            item.id, item.volume_id, item.status, _host(item))
            for item in cinder.attachments),
        use_ip_acl=rules.use_ip_acl)


def _host(item: records.Attachment) -> access.HostAccess | None:
    if item.nqn is None:
        return None
    return access.HostAccess.of(item.nqn, item.host_ips, ())


def _holdings(cluster: arrays.Cluster) -> books.Holdings:
    return books.Holdings(
        cluster.name, cluster.uuid,
        tuple(model.Volume(
            item.uuid, item.name, item.project,
            model.VolumeState(item.state), item.size, item.etag,
            acl=item.acl - {arrays.NOBODY},
            ip_acl=item.ip_acl - {arrays.NOBODY}, labels=dict(item.labels))
            for item in cluster.volumes),
        tuple(model.Snapshot(
            item.uuid, item.name, item.project,
            model.SnapshotState(item.state), item.size, item.etag,
            source_volume_uuid=item.source_volume_uuid,
            description=item.description, labels=dict(item.labels))
            for item in cluster.snapshots),
        # Old ones keep none, and a dump does not tell their version.
        keeps_labels=any(item.labels for item in cluster.volumes))
