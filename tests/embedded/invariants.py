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

:func:`check_logs` looks for secrets in logs. Neither does any I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
import dataclasses
import enum

from cinder_lightbits_federation import location
from cinder_lightbits_federation import ownership
from tests.embedded import arrays
from tests.embedded import records

GIB = 1024 ** 3

_MAX_ADDRESSES = 16
_IN_ERROR = frozenset({'error', 'error_deleting', 'error_managing'})
_AT_REST = frozenset({'available', 'in-use', 'reserved', 'attaching',
                      'error_extending', 'error_restoring',
                      'error_backing-up'})
_CONNECTED = frozenset({'attaching', 'attached'})
_USABLE = frozenset({'Available', 'Migrating'})


class Kind(enum.Enum):
    """What can be wrong."""

    NOT_AT_REST = 'an operation on it is in progress'
    NO_LOCATION = 'its record does not say where it is'
    MISSING = 'it is not where its record says'
    DUPLICATE = 'it exists more than once'
    MISPLACED = 'it exists somewhere else than its record says'
    WRONG_SIZE = 'its size on the cluster is not its size in Cinder'
    NOT_USABLE = 'its state on the cluster is not a usable one'
    UNKNOWN = 'Cinder does not know this object of ours'
    FOREIGN_CHANGED = 'an object that is not ours was changed'
    FOREIGN_GONE = 'an object that is not ours is gone'
    HOST_WITHOUT_ACCESS = 'an attached host is not in the ACL'
    HOST_WITH_ACCESS = 'a host without an attachment is in the ACL'
    WRONG_ADDRESSES = 'the IP ACL is not what the attachments say'
    SECRET_LOGGED = 'a secret is in a log'  # noqa: S105


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
    findings = [
        *_check_volumes(cinder, clusters, rules),
        *_check_snapshots(cinder, clusters, rules),
        *_check_unknown(cinder, clusters, rules),
        *_check_foreign(cinder, clusters, before, rules),
    ]
    return findings


def check_logs(logs: Mapping[str, str],
               secrets: Iterable[str]) -> list[Finding]:
    """Return the lines of logs that hold a secret.

    :param logs: texts by name.
    :param secrets: texts that must not occur; a finding does not repeat
        them.
    """
    wanted = [secret for secret in secrets if secret]
    return [Finding(Kind.SECRET_LOGGED, name, f'line {number}')
            for name, text in logs.items()
            for number, line in enumerate(text.splitlines(), 1)
            if any(secret in line for secret in wanted)]


def _check_volumes(cinder: records.CinderRecords,
                   clusters: Sequence[arrays.Cluster],
                   rules: Rules) -> Iterator[Finding]:
    copies = _volumes_by_name_id(clusters, rules)
    for volume in cinder.volumes:
        subject = f'volume {volume.id}'
        if volume.status in _IN_ERROR:
            continue
        if volume.status not in _AT_REST:
            yield Finding(Kind.NOT_AT_REST, subject, volume.status)
            continue
        where = location.recorded_for(volume.provider_location,
                                      volume.name_id)
        found = None
        if where is None or where.object_uuid is None:
            yield Finding(Kind.NO_LOCATION, subject,
                          repr(volume.provider_location))
        else:
            found = _volume_at(clusters, where)
            yield from _check_copies(
                subject, (where.cluster_uuid, where.object_uuid),
                found, copies.get(volume.name_id, []))
        if found is not None:
            yield from _check_object(subject, volume.size_gib, found)
            yield from _check_access(subject, volume, found, cinder, rules)


def _check_snapshots(cinder: records.CinderRecords,
                     clusters: Sequence[arrays.Cluster],
                     rules: Rules) -> Iterator[Finding]:
    copies = _snapshots_by_name(clusters, rules)
    for snapshot in cinder.snapshots:
        subject = f'snapshot {snapshot.id}'
        if snapshot.status in _IN_ERROR:
            continue
        if snapshot.status != 'available':
            yield Finding(Kind.NOT_AT_REST, subject, snapshot.status)
            continue
        where = location.recorded_for(snapshot.provider_location,
                                      snapshot.id)
        if where is None or where.object_uuid is None:
            yield Finding(Kind.NO_LOCATION, subject,
                          repr(snapshot.provider_location))
            continue
        found = _snapshot_at(clusters, where)
        yield from _check_copies(
            subject, (where.cluster_uuid, where.object_uuid),
            found, copies.get(f'snapshot-{snapshot.id}', []))
        if found is not None:
            yield from _check_object(subject, snapshot.size_gib, found)


def _check_copies(subject: str, recorded: Place, found: ArrayObject | None,
                  copies: Sequence[Place]) -> Iterator[Finding]:
    elsewhere = [place for place in copies if place != recorded]
    if found is None:
        kind = Kind.MISPLACED if elsewhere else Kind.MISSING
        yield Finding(kind, subject,
                      f'recorded {_say(recorded)}, found '
                      f'{", ".join(map(_say, elsewhere)) or "nowhere"}')
    elif elsewhere:
        yield Finding(Kind.DUPLICATE, subject,
                      f'recorded {_say(recorded)}, also '
                      f'{", ".join(map(_say, elsewhere))}')


def _check_object(subject: str, size_gib: int,
                  found: ArrayObject) -> Iterator[Finding]:
    if found.size != size_gib * GIB:
        yield Finding(Kind.WRONG_SIZE, subject,
                      f'{found.size} B instead of {size_gib} GiB')
    if found.state not in _USABLE:
        yield Finding(Kind.NOT_USABLE, subject, found.state)


def _check_access(subject: str, volume: records.Volume,
                  found: arrays.ArrayVolume, cinder: records.CinderRecords,
                  rules: Rules) -> Iterator[Finding]:
    attached = [item for item in cinder.attachments
                if item.volume_id == volume.id
                and item.status in _CONNECTED and item.nqn is not None]
    expected = frozenset(item.nqn for item in attached if item.nqn)
    actual = found.acl - {arrays.NOBODY}
    for nqn in sorted(expected - actual):
        yield Finding(Kind.HOST_WITHOUT_ACCESS, subject, nqn)
    for nqn in sorted(actual - expected):
        yield Finding(Kind.HOST_WITH_ACCESS, subject, nqn)
    addresses = frozenset(address for item in attached
                          for address in item.host_ips)
    if not _addresses_right(found.ip_acl, addresses, bool(attached), rules):
        yield Finding(Kind.WRONG_ADDRESSES, subject,
                      f'{sorted(found.ip_acl)} for {sorted(addresses)}')


def _addresses_right(actual: frozenset[str], wanted: frozenset[str],
                     attached: bool, rules: Rules) -> bool:
    if not attached:
        # The ACL keeps everybody out already; the array admits any address
        # by default.
        return actual <= {arrays.NOBODY, arrays.ANYBODY}
    if not rules.use_ip_acl:
        return actual == {arrays.ANYBODY}
    if len(wanted) <= _MAX_ADDRESSES:
        return actual == wanted
    return len(actual) == _MAX_ADDRESSES and actual <= wanted


def _check_unknown(cinder: records.CinderRecords,
                   clusters: Sequence[arrays.Cluster],
                   rules: Rules) -> Iterator[Finding]:
    name_ids = {volume.name_id for volume in cinder.volumes}
    names = {f'snapshot-{snapshot.id}' for snapshot in cinder.snapshots}
    known = _recorded_places(cinder)
    for cluster in clusters:
        for volume in cluster.volumes:
            if (_is_ours(volume, rules)
                    and volume.label(ownership.LABEL_ID) not in name_ids):
                yield Finding(Kind.UNKNOWN, _name(cluster, volume))
        for snapshot in cluster.snapshots:
            if (_is_ours(snapshot, rules) and snapshot.name not in names
                    and (cluster.uuid, snapshot.uuid) not in known):
                yield Finding(Kind.UNKNOWN, _name(cluster, snapshot))


def _check_foreign(cinder: records.CinderRecords,
                   clusters: Sequence[arrays.Cluster],
                   before: Sequence[arrays.Cluster],
                   rules: Rules) -> Iterator[Finding]:
    now: dict[Place, ArrayObject] = {
        (cluster.uuid, item.uuid): item
        for cluster in clusters for item in _objects(cluster)}
    adopted = _recorded_places(cinder)
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


def _owner(item: ArrayObject) -> str | None:
    # A snapshot inherits its volume's labels, whoever takes it; what we
    # take says so in its description.
    if isinstance(item, arrays.ArrayVolume):
        return item.label(ownership.LABEL_OWNER)
    found = ownership.read_description(item.description)
    return found.get(ownership.LABEL_OWNER)


def _is_ours(item: ArrayObject, rules: Rules) -> bool:
    return _owner(item) == rules.federation_id


def _volumes_by_name_id(clusters: Sequence[arrays.Cluster],
                        rules: Rules) -> dict[str, list[Place]]:
    places: dict[str, list[Place]] = {}
    for cluster in clusters:
        for volume in cluster.volumes:
            if _is_ours(volume, rules):
                name_id = volume.label(ownership.LABEL_ID) or ''
            elif _owner(volume) is None:
                name_id = volume.name.removeprefix('volume-')
            else:
                continue
            places.setdefault(name_id, []).append(
                (cluster.uuid, volume.uuid))
    return places


def _snapshots_by_name(clusters: Sequence[arrays.Cluster],
                       rules: Rules) -> dict[str, list[Place]]:
    places: dict[str, list[Place]] = {}
    for cluster in clusters:
        for snapshot in cluster.snapshots:
            if _owner(snapshot) in (None, rules.federation_id):
                places.setdefault(snapshot.name, []).append(
                    (cluster.uuid, snapshot.uuid))
    return places


def _volume_at(clusters: Sequence[arrays.Cluster],
               where: location.Location) -> arrays.ArrayVolume | None:
    return next((volume for cluster in clusters
                 if cluster.uuid == where.cluster_uuid
                 for volume in cluster.volumes
                 if volume.uuid == where.object_uuid
                 and volume.project == where.project), None)


def _snapshot_at(clusters: Sequence[arrays.Cluster],
                 where: location.Location) -> arrays.ArraySnapshot | None:
    return next((snapshot for cluster in clusters
                 if cluster.uuid == where.cluster_uuid
                 for snapshot in cluster.snapshots
                 if snapshot.uuid == where.object_uuid
                 and snapshot.project == where.project), None)


def _recorded_places(cinder: records.CinderRecords) -> set[Place]:
    pairs = [(volume.provider_location, volume.name_id)
             for volume in cinder.volumes]
    pairs += [(snapshot.provider_location, snapshot.id)
              for snapshot in cinder.snapshots]
    found = (location.recorded_for(text, name_id) for text, name_id in pairs)
    return {(where.cluster_uuid, where.object_uuid) for where in found
            if where is not None and where.object_uuid is not None}


def _objects(cluster: arrays.Cluster) -> Iterator[ArrayObject]:
    yield from cluster.volumes
    yield from cluster.snapshots


def _name(cluster: arrays.Cluster, item: ArrayObject) -> str:
    kind = ('snapshot' if isinstance(item, arrays.ArraySnapshot)
            else 'volume')
    return f'{kind} {item.name} on {cluster.name}'


def _say(place: Place) -> str:
    return f'{place[1]} on cluster {place[0]}'
