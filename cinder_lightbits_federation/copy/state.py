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

"""How far a copy is: what is written to its ledger."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum
import json
from typing import Any

from cinder_lightbits_federation.copy.engine import Progress
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import CreateRequest


class Stage(enum.Enum):
    """What a copy is about."""

    FIRST = 'first'
    """Copying what the source held when the copy began."""

    SECOND = 'second'
    """Copying what has changed since."""

    COPIED = 'copied'
    """All is on the target; what the copy needed may still be there."""


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """One copy. Sizes in bytes.

    :param attempt: marks everything that this copy makes.
    :param source: cluster, project and UUID of what is copied.
    :param moves: the source is a volume that goes when all is copied.
    :param target: where the new volume is, as a create records it.
    :param snapshots: UUIDs of the snapshots it has taken, one per pass.
    :param total: to be copied in this stage; None while it is not counted.
    :param etags: of a source that moves, before and after each snapshot.
    :param asked: what the new volume is to be, see `wish`; empty if a service
        of before has begun the copy.
    """

    attempt: str
    stage: Stage = Stage.FIRST
    source: tuple[str, ...] = ()
    moves: bool = False
    target: Location | None = None
    snapshots: tuple[str, ...] = ()
    progress: Progress = Progress()
    total: int | None = None
    etags: tuple[str, ...] = ()
    asked: str = ''

    @classmethod
    def new(cls) -> State:
        """:returns: a copy that has not begun."""
        return cls(ownership.new_attempt())

    @classmethod
    def parse(cls, saved: Mapping[str, Any]) -> State | None:
        """Read what `dump` wrote; None if nothing is saved."""
        if not saved:
            return None
        target = saved['target']
        return cls(saved['attempt'], Stage(saved['stage']),
                   tuple(saved['source']), saved['moves'],
                   Location.parse(target) if target else None,
                   tuple(saved['snapshots']),
                   Progress(*saved['progress']), saved['total'],
                   # A service of before has not written these.
                   tuple(saved.get('etags', ())), saved.get('asked', ''))

    def dump(self) -> dict[str, Any]:
        """:returns: the state as JSON values."""
        return {'attempt': self.attempt, 'stage': self.stage.value,
                'source': list(self.source), 'moves': self.moves,
                'target': str(self.target) if self.target else None,
                'snapshots': list(self.snapshots),
                'progress': list(dataclasses.astuple(self.progress)),
                'total': self.total, 'etags': list(self.etags),
                'asked': self.asked}


def wish(request: CreateRequest) -> str:
    """Say what a new volume is to be, wherever it is.

    :returns: a text that is another one if the volume would be.
    """
    spec = request.spec
    return json.dumps([
        request.size, spec.project, spec.replicas, spec.compression,
        spec.qos_policy, spec.sector_size and spec.sector_size.value,
        spec.failure_domain, spec.primary_failure_domain])
