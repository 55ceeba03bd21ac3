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
"""Golden images: which images get a master, what it says, when it goes.

A master is a volume that nobody sees: it holds an image as it was written to
the first volume that was made from that image on a cluster. Volumes are cloned
from a snapshot of it. It belongs to no record of Cinder; its labels say all
that is known of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses
import hashlib
from typing import Any

from cinder_lightbits_federation.lightbits import model
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.sizes import GIB
from cinder_lightbits_federation.spec import VolumeSpec

PREFIX = 'golden-'
"""What names of masters begin with, and what marks them as no record's."""

LABEL_KIND = 'cinder_kind'
LABEL_IMAGE = 'cinder_image'
LABEL_SNAPSHOT = 'cinder_snapshot'
LABEL_USED = 'cinder_used'

GOLDEN = 'golden'

HOUR = 3600
DAY = 24 * HOUR

# Images that many may use; any other belongs to one project.
_OPEN = frozenset({'public', 'community', 'shared'})
_ACTIVE = 'active'

_NOT_READY = frozenset({model.VolumeState.CREATING, model.VolumeState.FAILED})
_DIGITS = 32


@dataclasses.dataclass(frozen=True, slots=True)
class GoldenPolicy:
    """What is done about golden images.

    :param limit: masters on one cluster, at least 1.
    :param max_idle: seconds a master stays that nobody uses.
    :param patience: seconds a create waits for a download of another.
    :param copies: masters are copied from another cluster that has one.
    """

    enabled: bool = False
    limit: int = 20
    max_idle: float = 30.0 * DAY
    patience: float = 600.0
    copies: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image, as Glance describes it to the user who wants a volume of it.

    :param content: differs whenever its data may; empty when nothing tells.
    :param virtual_size: bytes of a volume it fills; None if not known.
    :param min_disk: bytes of the smallest volume it may be written to.
    :param owner: project it belongs to.
    :param signed: users rely on its signature being checked.
    :param encrypted: its data is that of an encrypted volume.
    """

    id: str
    content: str
    status: str = _ACTIVE
    virtual_size: int | None = None
    min_disk: int = 0
    visibility: str = 'public'
    owner: str = ''
    signed: bool = False
    encrypted: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Flavour:
    """What a clone takes over from its master, so that it must be as wanted.

    :param project: of Lightbits, by the cluster's own name.
    """

    project: str
    replicas: int
    compression: bool
    sector_size: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Master:
    """A master on one cluster.

    :param snapshot_uuid: what clones are made of; None while it is being
        made, or was left unfinished.
    :param used_at: seconds since the epoch.
    """

    volume: model.Volume
    image_id: str
    snapshot_uuid: str | None
    used_at: float

    @property
    def ready(self) -> bool:
        """Whether it can be cloned; a change of its labels is no matter."""
        return (self.snapshot_uuid is not None
                and self.volume.state not in _NOT_READY)

    def idle(self, now: float) -> float:
        """:returns: seconds since it was last known to be of use."""
        return max(0.0, now - self.used_at)


@dataclasses.dataclass(frozen=True, slots=True)
class WantedMaster:
    """A master that is to be copied.

    :param source: UUID of the snapshot that clones are made of there.
    :param source_cluster: UUID.
    :param source_project: Lightbits project there.
    :param cluster: UUID of the one that is to have a master.
    :param project: of Lightbits, by its name in Cinder.
    :param name: of the new master.
    :param size: bytes.
    """

    source: str
    source_cluster: str
    source_project: str
    cluster: str
    project: str
    name: str
    image_id: str
    size: int
    replicas: int
    compression: bool

    def dump(self) -> dict[str, Any]:
        """:returns: it as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def parse(cls, saved: Mapping[str, Any]) -> WantedMaster:
        """Read what `dump` wrote."""
        return cls(**saved)


def unfit(image: Image, size: int, project: str, spec: VolumeSpec
          ) -> str | None:
    """Say why a volume has to be made of an image in the ordinary way.

    :param size: of the volume, bytes.
    :param project: of Cinder, whose volume it is.
    :returns: None when a master may be used, or made of that volume.
    """
    if image.status != _ACTIVE:
        return f'the image is {image.status or "in no known state"}'
    if not image.content:
        return 'nothing tells when the data of the image changes'
    if image.visibility not in _OPEN and image.owner != project:
        return 'the image is private to another project'
    if image.signed:
        return 'the image is signed'
    if image.encrypted:
        return 'the image is encrypted'
    if size < max(image.min_disk, image.virtual_size or 0):
        return 'the image does not fit into the volume'
    if spec.restrictions():
        return 'the type names failure domains'
    return None


def name_of(owner: ownership.Owner, image: Image, flavour: Flavour) -> str:
    """:returns: the name of the one master of an image on any cluster.

    Whatever must differ between two masters is in it, the cloud included: a
    cluster accepts a name only once.
    """
    parts = (owner.federation_id, image.id, image.content,
             str(image.virtual_size), *map(str, dataclasses.astuple(flavour)))
    digest = hashlib.sha256('\0'.join(parts).encode()).hexdigest()
    return PREFIX + digest[:_DIGITS]


def labels(owner: ownership.Owner, name: str, image_id: str, attempt: str,
           now: float) -> dict[str, str]:
    """Labels of a master that is about to be made."""
    return {**ownership.labels_for(owner, name, attempt),
            LABEL_KIND: GOLDEN, LABEL_IMAGE: image_id,
            LABEL_USED: str(int(now))}


def is_golden(marked_id: str) -> bool:
    """Whether an object is marked as a master, or as a snapshot of one."""
    return marked_id.startswith(PREFIX)


def master_of(volume: model.Volume, owner: ownership.Owner) -> Master | None:
    """Read a volume as a master of this cloud; None if it is none."""
    marks = volume.labels
    if (marks.get(LABEL_KIND) != GOLDEN or volume.state.going
            or marks.get(ownership.LABEL_OWNER) != owner.federation_id
            or marks.get(ownership.LABEL_ID) != volume.name):
        return None
    used = marks.get(LABEL_USED, '')
    return Master(volume, marks.get(LABEL_IMAGE, ''),
                  marks.get(LABEL_SNAPSHOT) or None,
                  float(used) if used.isdecimal() else 0.0)


def finished(master: model.Volume, snapshot_uuid: str) -> dict[str, str]:
    """:returns: labels of a master whose snapshot was taken."""
    return {**master.labels, LABEL_SNAPSHOT: snapshot_uuid}


def used(master: model.Volume, now: float) -> dict[str, str]:
    """:returns: labels of a master that was used just now."""
    return {**master.labels, LABEL_USED: str(int(now))}


def smallest(image: Image) -> int | None:
    """:returns: bytes of the smallest volume that holds an image."""
    if not image.virtual_size:
        return None
    return -(-image.virtual_size // GIB) * GIB


def evictable(masters: Iterable[Master], now: float, policy: GoldenPolicy
              ) -> list[tuple[Master, str]]:
    """Choose the masters of one cluster that have to go, and say why.

    Those that nobody has used for long, and beyond the limit those that
    nobody has used for longest. One that was not used yet counts as used when
    it was made.

    :param now: seconds since the epoch.
    """
    by_use = sorted(masters, key=lambda item: item.used_at, reverse=True)
    going = []
    for number, master in enumerate(by_use):
        if master.idle(now) > policy.max_idle:
            going.append((master, f'not used for '
                          f'{master.idle(now) / DAY:.0f} days'))
        elif number >= policy.limit:
            going.append((master, f'more than {policy.limit} on the cluster'))
    return going
