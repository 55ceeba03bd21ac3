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

"""Whether an object is what its record says: labels, size, state, access."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cinder_lightbits_federation.access import HostAccess
from cinder_lightbits_federation.access import SEAL
from cinder_lightbits_federation.audit.books import ATTACHED
from cinder_lightbits_federation.audit.books import ATTACHING
from cinder_lightbits_federation.audit.books import AttachmentRecord
from cinder_lightbits_federation.audit.books import Record
from cinder_lightbits_federation.audit.books import SnapshotRecord
from cinder_lightbits_federation.audit.books import VolumeRecord
from cinder_lightbits_federation.audit.findings import Finding
from cinder_lightbits_federation.audit.findings import Kind
from cinder_lightbits_federation.audit.findings import Severity
from cinder_lightbits_federation.audit.scene import Scene
from cinder_lightbits_federation.audit.scene import Sighting
from cinder_lightbits_federation.audit.scene import T
from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation.ownership import Claim
from cinder_lightbits_federation.sizes import GIB

_BROKEN = frozenset({'Failed', 'Unknown'})
_USABLE = frozenset({'Available', 'Migrating'})


def check_object(record: Record, here: Sighting[T], scene: Scene
                 ) -> Iterator[Finding]:
    """Compare an object with the record it belongs to."""
    yield from _labels(record, here, scene)
    if record.in_error:
        return
    thing = here.thing
    if thing.size != record.size:
        yield scene.about(
            Kind.WRONG_SIZE, Severity.ERROR, here,
            f'it has {thing.size} bytes instead of {record.size} '
            f'({record.size / GIB:g} GiB)', record)
    state = thing.state.value
    if state not in _USABLE:
        severity = (Severity.ERROR if state in _BROKEN
                    else Severity.IN_FLIGHT)
        yield scene.about(Kind.UNUSABLE, severity, here,
                          f'its state on the cluster is {state}', record)


def _labels(record: Record, here: Sighting[T], scene: Scene
            ) -> Iterator[Finding]:
    """What the driver would refuse to touch, or could not recognise."""
    if here.claim is Claim.FOREIGN:
        yield scene.about(
            Kind.MISLABELLED, Severity.ERROR, here,
            f'it is at the recorded place but marked as '
            f'{here.owner or "unnamed"}\'s', record)
    elif here.claim is Claim.OURS and here.marked_id != record.key:
        yield scene.about(
            Kind.MISLABELLED, Severity.ERROR, here,
            f'it is at the recorded place but marked as made for '
            f'{here.marked_id or "nothing"}, not for {record.key}', record)
    elif _lost_its_marks(record, here):
        yield scene.about(
            Kind.MISLABELLED, Severity.WARNING, here,
            'the marks of its owner, which it was made with, are gone',
            record)
    if isinstance(record, VolumeRecord) and here.thing.name != record.name:
        yield scene.about(
            Kind.MISLABELLED, Severity.ERROR, here,
            f'it is named {here.thing.name!r}, not {record.name!r}', record)


def _lost_its_marks(record: Record, here: Sighting[T]) -> bool:
    made_by_us = (record.location is not None
                  and record.location.maker is not None)
    kept = here.resource == 'snapshot' or here.holdings.keeps_labels
    return here.claim is Claim.UNLABELLED and made_by_us and kept


def check_source(record: SnapshotRecord, here: Sighting[model.Snapshot],
                 volume: VolumeRecord | None, scene: Scene
                 ) -> Iterator[Finding]:
    """A snapshot must be of the volume that Cinder has it of."""
    source = volume.location if volume else None
    if source is None or source.object_uuid is None:
        return
    found = here.thing.source_volume_uuid
    if found and found != source.object_uuid:
        yield scene.about(
            Kind.MISLABELLED, Severity.ERROR, here,
            f'it is of volume {found}, but its record is of volume '
            f'{source.object_uuid}', record)


class Access:
    """Who should have access to one volume, by its attachments.

    :ivar hosts: those that must have it.
    :ivar perhaps: those that may have it: being attached just now, being
        detached, or in error.
    :ivar coming: somebody may be being admitted at this moment.
    """

    def __init__(self, attachments: Sequence[AttachmentRecord],
                 scene: Scene) -> None:
        self.hosts: list[HostAccess] = []
        self.perhaps: list[HostAccess] = []
        self.coming = False
        for item in attachments:
            if item.host is None:
                self.coming |= scene.recent(item.changed_at)
            elif item.status == ATTACHED or (
                    item.status == ATTACHING
                    and not scene.recent(item.changed_at)):
                self.hosts.append(item.host)
            else:
                self.perhaps.append(item.host)

    @property
    def owned(self) -> frozenset[str]:
        """All addresses of all those hosts."""
        return frozenset[str]().union(
            *(host.owned for host in (*self.hosts, *self.perhaps)))


def check_access(record: VolumeRecord, here: Sighting[model.Volume],
                 attachments: Sequence[AttachmentRecord], use_ip_acl: bool,
                 scene: Scene) -> Iterator[Finding]:
    """A host has access if and only if an attachment says so."""
    access = Access(attachments, scene)
    acl = here.thing.acl
    attached = {host.nqn for host in access.hosts}
    for nqn in sorted(attached - acl):
        if model.ALLOW_ANY not in acl:
            yield scene.about(
                Kind.HOST_MISSING, Severity.ERROR, here,
                f'host {nqn} is attached and not in the ACL', record, nqn)
    tolerated = attached | {host.nqn for host in access.perhaps}
    for nqn in sorted(acl - tolerated):
        whose = ('any host' if nqn == model.ALLOW_ANY
                 else f'host {nqn}, which no attachment names,')
        yield scene.about(
            Kind.HOST_EXTRA,
            Severity.IN_FLIGHT if access.coming else Severity.ERROR, here,
            f'{whose} has access', record, nqn)
    yield from _addresses(record, here, access, use_ip_acl, scene)


def _addresses(record: VolumeRecord, here: Sighting[model.Volume],
               access: Access, use_ip_acl: bool, scene: Scene
               ) -> Iterator[Finding]:
    # What a move has sealed admits nobody.
    actual = here.thing.ip_acl - {SEAL}
    is_open = model.ALLOW_ANY in actual
    if not access.hosts:
        # The ACL keeps everybody out; the array's own default is open.
        if not is_open:
            yield from _extra(record, here, actual - access.owned, access,
                              scene)
        return
    if not use_ip_acl:
        if not is_open:
            yield scene.about(
                Kind.ADDRESS_MISSING, Severity.WARNING, here,
                f'the IP ACL is to admit any address, but holds '
                f'{_listed(actual)}', record, model.ALLOW_ANY)
        return
    if not is_open:
        for host in access.hosts:
            yield from _missing(record, here, host, access, scene)
    yield from _extra(record, here, actual - access.owned, access, scene)


def _missing(record: VolumeRecord, here: Sighting[model.Volume],
             host: HostAccess, access: Access, scene: Scene
             ) -> Iterator[Finding]:
    actual = here.thing.ip_acl
    if not host.owned & actual:
        yield scene.about(
            Kind.ADDRESS_MISSING, Severity.ERROR, here,
            f'no address of host {host.nqn} is in the IP ACL: it has '
            f'{_listed(host.addresses)}', record, host.nqn)
        return
    wanted = frozenset[str]().union(*(one.addresses for one in access.hosts))
    if len(wanted) > model.MAX_IP_ACL <= len(actual):
        # Another driver has cut the list to what the array takes.
        return
    for address in host.addresses:
        if address not in actual:
            yield scene.about(
                Kind.ADDRESS_MISSING, Severity.WARNING, here,
                f'address {address} of host {host.nqn} is not in the IP ACL',
                record, address)


def _extra(record: VolumeRecord, here: Sighting[model.Volume],
           addresses: frozenset[str], access: Access, scene: Scene
           ) -> Iterator[Finding]:
    for address in sorted(addresses):
        whose = ('any address' if address == model.ALLOW_ANY
                 else f'address {address}, of no attached host,')
        yield scene.about(
            Kind.ADDRESS_EXTRA,
            Severity.IN_FLIGHT if access.coming else Severity.WARNING, here,
            f'{whose} is in the IP ACL', record, address)


def _listed(items: Sequence[str] | frozenset[str]) -> str:
    return ', '.join(sorted(items)) or 'nothing'
