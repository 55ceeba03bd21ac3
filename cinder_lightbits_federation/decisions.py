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

"""What a placement is asked, and what it decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import dataclasses

from cinder_lightbits_federation.reservations import Member
from cinder_lightbits_federation import spec as specs


@dataclasses.dataclass(frozen=True, slots=True)
class PlacementRequest:
    """A volume that needs a cluster.

    :param size: bytes.
    :param replicas: its replica count, the backend's default applied.
    :param project: its Lightbits project, the backend's default applied.
    :param spec: what its type asks for. For a copy that has to stay with its
        source whatever the type says, leave out the pin.
    :param only: UUIDs of the clusters that may be used (the source's, those
        of a pool); None for any.
    :param exclude: why clusters may not be used, by UUID.
    :param spread_counts: volumes of the spread group, by cluster UUID.
    :param member: which one of the group it is; None counts no others that
        are being made.
    :param for_clone: it shares its blocks with a source on the cluster in
        `only`. Such a volume may be made on a disabled or draining cluster
        and on one that is physically full, as it takes no space at first.
        What it promises counts against over-subscription like any other.
    :raises ValueError: size, replicas or the clone's cluster make no sense.
    """

    size: int
    replicas: int
    project: str
    spec: specs.VolumeSpec = specs.VolumeSpec()
    only: frozenset[str] | None = None
    exclude: Mapping[str, str] = dataclasses.field(default_factory=dict)
    spread_counts: Mapping[str, int] = dataclasses.field(
        default_factory=dict)
    member: Member | None = None
    for_clone: bool = False

    def __post_init__(self) -> None:
        if self.size <= 0:
            raise ValueError(f'size is not positive: {self.size}')
        if self.replicas <= 0:
            raise ValueError(f'replicas is not positive: {self.replicas}')
        if self.for_clone and self.only is None:
            raise ValueError('for_clone without the cluster of its source')

    @property
    def needed(self) -> int:
        """Bytes it promises, replicas counted."""
        return self.size * self.replicas


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A cluster that can take the volume.

    :param ratio: its fullness with the volume on it; None when unknown.
    :param note: why it stands behind emptier ones, or nothing.
    """

    uuid: str
    name: str
    ratio: float | None
    note: str = ''

    def __str__(self) -> str:
        ratio = 'unknown' if self.ratio is None else f'{self.ratio:.3f}'
        note = f'({self.note})' if self.note else ''
        return f'{self.name}:{ratio}{note}'


@dataclasses.dataclass(frozen=True, slots=True)
class Rejection:
    """A cluster that cannot take the volume, and why."""

    uuid: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f'{self.name}({self.reason})'


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a placement.

    :param ranked: where to try, best first.
    :param rejected: the others, by name.
    :param largest: bytes of the largest volume that would have found room
        on a cluster that fits otherwise; for the message when none has it.
    """

    ranked: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]
    largest: int = 0

    def __str__(self) -> str:
        return self.explain()

    def explain(self) -> str:
        """:returns: one line for the log: what was chosen, and why."""
        words = ['chosen=none']
        if self.ranked:
            ratio = self.ranked[0].ratio
            shown = 'unknown' if ratio is None else f'{ratio:.3f}'
            words = [f'chosen={self.ranked[0].name}', f'ratio={shown}']
            if self.ranked[0].note:
                words.append(f'note={self.ranked[0].note}')
        words.append('candidates=' + _listed(self.ranked[1:]))
        words.append('rejected=' + _listed(self.rejected))
        return ' '.join(words)


def _listed(items: Iterable[object]) -> str:
    text = ','.join(str(item) for item in items)
    return ' '.join(text.split()) or '-'
