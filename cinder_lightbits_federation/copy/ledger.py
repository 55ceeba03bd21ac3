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

"""Where a copy writes down how far it is.

A copy outlives the process that runs it: whoever takes it over, on whatever
host, goes on from the last state that was saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Protocol


class Ledger(Protocol):
    """The record of one copy, which one host at a time may write.

    The state is a mapping of text to JSON values, a few kilobytes at most.
    It is the copy's own: who keeps it, neither reads nor changes it.
    """

    def load(self) -> Mapping[str, Any]:
        """Give back what was saved last.

        :returns: the state; empty at first.
        :raises Lost: another host has claimed the copy.
        """

    def save(self, state: Mapping[str, Any], done: int, total: int) -> None:
        """Replace the state, durably, before anything is built on it.

        Called before every change of what is on the clusters and at every
        checkpoint, so it is also where a copy learns that it must end.

        :param done: bytes that were copied.
        :param total: bytes to copy; 0 while this is not known.
        :raises Cancelled: the end was asked for; the state *was* saved.
        :raises Lost: another host has claimed the copy; nothing was saved.
        """
