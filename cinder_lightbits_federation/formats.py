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

"""Which format stored things are written in, agreed among all services.

Every service reads all formats up to its newest and writes the one that was
agreed upon; the first until an operator has finalized an upgrade. So services
of two releases work side by side, and the older one may come back until then.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.ownership import FORMATS
from cinder_lightbits_federation.store.marks import Mark
from cinder_lightbits_federation.store.marks import Marks
from cinder_lightbits_federation.store import services

LOG = logging.getLogger(__name__)

OLDEST, NEWEST = FORMATS[0], FORMATS[-1]
# The format in use.
AGREED = 'format'
# What one service can read and write; followed by a digest of its name.
ABLE = 'format-of:'


@dataclasses.dataclass(frozen=True, slots=True)
class Ability:
    """What a service has told of itself.

    :param newest: format that it can write.
    :param age: seconds since it told.
    """

    host: str
    newest: int
    age: float

    @property
    def alive(self) -> bool:
        """Whether the service counts as running."""
        return self.age <= services.ALIVE


@dataclasses.dataclass(frozen=True, slots=True)
class Agreement:
    """The format in use.

    :param mark: as it was read; None if nobody ever finalized.
    """

    level: int
    mark: Mark | None = None


class Formats:
    """The formats of one cloud, for one service or one command.

    :param newest: format that this release can write, if not `NEWEST`.
    """

    def __init__(self, marks: Marks, newest: int | None = None) -> None:
        self._marks = marks
        self.newest = NEWEST if newest is None else newest
        self._level = OLDEST

    @property
    def level(self) -> int:
        """The format to write, as seen last."""
        return self._level

    def agreed(self) -> Agreement:
        """:returns: the format in use.

        :raises StoreUnavailable: it cannot be read.
        """
        mark = self._marks.get(AGREED)
        return (Agreement(OLDEST) if mark is None
                else Agreement(int(mark.value), mark))

    def take_part(self, host: str) -> None:
        """Tell what this service can, then see what is agreed upon.

        In this order: who finalizes looks at what is told first.

        :raises StoreUnavailable: it cannot be read or written, or things are
            stored in a format that this release does not know.
        """
        name = _name(host)
        if not self._marks.put(name, str(self.newest), host,
                               self._marks.get(name)):
            LOG.info('Another process tells what %s can write.', host)
        level = self.agreed().level
        if level > self.newest:
            raise errors.StoreUnavailable(
                f'things are stored in format {level}, and this release '
                f'knows formats up to {self.newest}: upgrade it')
        if level != self._level:
            LOG.info('Things are stored in format %d from now on.', level)
        self._level = level

    def leave(self, host: str) -> None:
        """Say that a service has ended. Idempotent."""
        before = self._marks.get(_name(host))
        if before is not None:
            self._marks.drop(before)

    def able(self) -> tuple[Ability, ...]:
        """:returns: what services have told, live or not, by host."""
        found = (Ability(mark.reason, int(mark.value), mark.age)
                 for mark in self._marks.all(ABLE).values())
        return tuple(sorted(found, key=lambda item: item.host))

    def finalize(self, reason: str) -> bool:
        """Agree upon the newest format, for good. Idempotent.

        Taken back when a service that cannot read it turns up at that very
        moment.

        :returns: whether it is agreed upon.
        """
        before = self.agreed()
        if before.level >= self.newest:
            return True
        if self.hindering() or not self._marks.put(
                AGREED, str(self.newest), reason, before.mark):
            return False
        if self.hindering():
            now = self.agreed()
            if now.mark is not None:
                self._marks.put(AGREED, str(before.level), reason, now.mark)
            return False
        return True

    def hindering(self) -> list[Ability]:
        """:returns: live services that cannot write the newest format."""
        return [item for item in self.able()
                if item.alive and item.newest < self.newest]


def _name(host: str) -> str:
    """:returns: what a service's ability is noted under."""
    return ABLE + hashlib.sha256(host.encode()).hexdigest()[:32]
