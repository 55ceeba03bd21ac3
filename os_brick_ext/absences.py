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

"""For how long something has been missing, as far as anybody looked."""

from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Iterable
import time
from typing import Generic
from typing import TypeVar

T = TypeVar('T', bound=Hashable)


class Absences(Generic[T]):
    """What each look in a row found missing, and since when.

    Known to this process alone. Threads may look at the same time: at worst
    something is taken to be missing since one of them looked.
    """

    def __init__(self) -> None:
        self._since: dict[Hashable, dict[T, float]] = {}

    def lasting(self, place: Hashable, missing: Iterable[T],
                seconds: float) -> list[T]:
        """Take note of a look.

        :param place: where it was looked.
        :param missing: all that was found missing there.
        :returns: those that each look has found missing for so long.
        """
        now = time.monotonic()
        before = self._since.get(place, {})
        since = {one: before.get(one, now) for one in missing}
        if since:
            self._since[place] = since
        else:
            self._since.pop(place, None)
        return [one for one, began in since.items() if now - began >= seconds]
