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

"""What the audit finds: one typed value per disagreement."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any


class Severity(enum.Enum):
    """How bad a finding is."""

    ERROR = 'error'
    """Operations on it fail, or somebody has access who must not."""

    WARNING = 'warning'
    """Something is in the way or takes room; volumes work."""

    NOTICE = 'notice'
    """Worth knowing; nothing is wrong with it."""

    IN_FLIGHT = 'in-flight'
    """Being worked on, or too young to judge."""

    @property
    def counts(self) -> bool:
        """Whether an audit that finds this is not clean."""
        return self in (Severity.ERROR, Severity.WARNING)


class Kind(enum.Enum):
    """What can be wrong."""

    ORPHAN = 'object-without-record'
    MISSING = 'record-without-object'
    DUPLICATE = 'duplicate'
    WRONG_PLACE = 'wrong-place'
    UNRECORDED = 'place-not-recorded'
    WRONG_SIZE = 'wrong-size'
    UNUSABLE = 'unusable-state'
    MISLABELLED = 'mislabelled'
    HOST_MISSING = 'host-without-access'
    HOST_EXTRA = 'host-with-extra-access'
    ADDRESS_MISSING = 'address-without-access'
    ADDRESS_EXTRA = 'address-with-extra-access'
    LEFTOVER = 'leftover-intermediate-snapshot'
    FOREIGN_SNAPSHOT = 'foreign-snapshot'
    COPY = 'unfinished-copy'
    GOLDEN = 'golden-image'
    GOLDEN_REST = 'golden-image-unfinished'
    NOT_ASKED = 'cluster-not-asked'


# What the operator can do about it.
ADVICE: dict[Kind, str] = {
    Kind.ORPHAN:
        'If its record was lost, make it anew with "lightbits-federation '
        'audit reimport"; if nobody needs its data, delete it with '
        '"lightbits-federation audit purge".',
    Kind.MISSING:
        'Look for it on clusters that were not asked. If it is gone, its '
        'data is: restore a backup, then reset the record to "error" and '
        'delete it.',
    Kind.DUPLICATE:
        'Compare the copies; the one at the recorded place is in use. Delete '
        'the other on its cluster.',
    Kind.WRONG_PLACE:
        'Put the cluster back into the configuration if it is missing there. '
        'If the object was moved by hand, move it back.',
    Kind.UNRECORDED:
        'Nothing has to be done: it is found by its name, as long as every '
        'cluster answers.',
    Kind.WRONG_SIZE:
        'If the object is larger, extend the volume in Cinder to that size '
        'or more. If it is smaller, do not use it before its data is '
        'checked.',
    Kind.UNUSABLE:
        'See the health of the cluster; an object that failed has to be '
        'restored or removed.',
    Kind.MISLABELLED:
        'Find out who changed it. Operations on it are refused until name '
        'and labels are what Cinder expects.',
    Kind.HOST_MISSING:
        'Attach the volume to the host anew, or add the NQN to the ACL on '
        'the cluster.',
    Kind.HOST_EXTRA:
        'Make sure that the host does not use the volume, then remove the '
        'NQN from the ACL on the cluster.',
    Kind.ADDRESS_MISSING:
        'Attach the volume to the host anew, or add the address to the IP '
        'ACL on the cluster.',
    Kind.ADDRESS_EXTRA:
        'Remove the address from the IP ACL on the cluster; the next attach '
        'or detach does so too.',
    Kind.LEFTOVER:
        'Delete it on the cluster; no clone depends on it.',
    Kind.FOREIGN_SNAPSHOT:
        'If it is not wanted, delete it or change the snapshot schedule on '
        'the cluster; else manage it with Cinder.',
    Kind.COPY:
        'Look for its job. If there is none that goes on, delete it on the '
        'cluster: it is never the only one that has the data.',
    Kind.GOLDEN:
        'Nothing has to be done. "lightbits-federation image delete" removes '
        'it; no volume depends on it.',
    Kind.GOLDEN_REST:
        'The next volume of that image finishes it, or "lightbits-federation '
        'image delete" removes it; no volume depends on it.',
    Kind.NOT_ASKED:
        'See to it that the cluster can be reached, and run the audit '
        'again: of what is there nothing could be said.',
}


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement, and the evidence for it.

    :param resource: ``volume``, ``snapshot`` or ``cluster``.
    :param cinder_id: id of the record it is about; for an object without a
        record the id it is marked with.
    :param owner: whom the object says it belongs to, empty if nobody.
    :param age: seconds since the object was created; None if not known.
    :param space: bytes that deleting the object would free, if known.
    :param host: the NQN or address that is concerned.
    :param project: of the object, by its cluster's name.
    """

    kind: Kind
    severity: Severity
    resource: str
    evidence: str
    cluster: str = ''
    cluster_uuid: str = ''
    object_uuid: str = ''
    object_name: str = ''
    cinder_id: str = ''
    owner: str = ''
    age: float | None = None
    space: int = 0
    host: str = ''
    project: str = ''

    @property
    def advice(self) -> str:
        """What the operator can do about it."""
        return ADVICE[self.kind]

    @property
    def key(self) -> tuple[str, ...]:
        """The same in two looks at the same disagreement."""
        return (self.kind.value, self.resource, self.cluster_uuid,
                self.object_uuid, self.cinder_id, self.host)

    def __str__(self) -> str:
        what = ' '.join(filter(None, (self.resource, self.cinder_id
                                      or self.object_name)))
        return f'{what}: {self.kind.value}: {self.evidence}'

    def fields(self) -> dict[str, Any]:
        """:returns: all of it in plain values, for reports."""
        return {
            'severity': self.severity.value, 'kind': self.kind.value,
            'resource': self.resource, 'cluster': self.cluster,
            'cluster_uuid': self.cluster_uuid,
            'object_uuid': self.object_uuid,
            'object_name': self.object_name, 'cinder_id': self.cinder_id,
            'owner': self.owner, 'host': self.host,
            'age_seconds': None if self.age is None else int(self.age),
            'space_bytes': self.space, 'evidence': self.evidence,
            'advice': self.advice}
