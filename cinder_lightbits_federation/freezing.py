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

"""Whether jobs are paused, for all services of a backend."""

from __future__ import annotations

import hashlib

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.store.marks import Mark
from cinder_lightbits_federation.store.marks import Marks

# Followed by a digest of the backend's name.
FROZEN = 'frozen:'
YES, NO = 'yes', 'no'


class Freezing:
    """The freeze of one backend.

    :param backend: ``cluster@backend`` of a clustered service, else
        ``host@backend``.
    """

    def __init__(self, marks: Marks, backend: str) -> None:
        self._marks = marks
        digest = hashlib.sha256(backend.encode()).hexdigest()[:32]
        self._name = FROZEN + digest
        self._frozen = False

    @property
    def frozen(self) -> bool:
        """Whether jobs are paused, as seen last."""
        return self._frozen

    def look(self) -> Mark | None:
        """:returns: who has frozen the backend and why; None if nobody.

        :raises StoreUnavailable: it cannot be read.
        """
        mark = self._marks.get(self._name)
        self._frozen = mark is not None and mark.value == YES
        return mark if self._frozen else None

    def freeze(self, reason: str) -> None:
        """Pause jobs. Idempotent.

        :raises RecordLost: somebody else has changed it just now.
        """
        self._set(YES, reason)

    def thaw(self, reason: str) -> None:
        """Let jobs go on. Idempotent; raises as `freeze`."""
        self._set(NO, reason)

    def _set(self, value: str, reason: str) -> None:
        before = self._marks.get(self._name)
        if (before.value if before else NO) != value and not self._marks.put(
                self._name, value, reason, before):
            raise errors.RecordLost('somebody else has frozen or thawed the '
                                    'backend just now')
        self._frozen = value == YES
