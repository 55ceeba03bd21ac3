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

"""Files that say what was before each change, for the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import datetime
import json
import os
from typing import Any

from cinder_lightbits_federation import files

VERSION = 1

Clock = Callable[[], datetime.datetime]


class Journal:
    """A folder with one file for each change.

    A file is on the disk before its change is made, and says afterwards how
    that went: ``result`` is null when nobody lived to tell.

    :param folder: made if it is not there. Files are for their owner alone.
    :raises OSError: the folder cannot be made or written to.
    """

    def __init__(self, folder: str, clock: Clock = lambda:
                 datetime.datetime.now(datetime.UTC)) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._folder = folder
        self._clock = clock
        self._count = 0

    def open(self, title: str) -> Entry:
        """:returns: the entry of a new change; nothing is written yet.

        :param title: part of the file's name.
        """
        self._count += 1
        now = self._clock()
        name = (f'{now:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}-{self._count:05d}-'
                f'{title}.json')
        return Entry(os.path.join(self._folder, name), now)


class Entry:
    """The file of one change."""

    def __init__(self, path: str, now: datetime.datetime) -> None:
        self.path = path
        self._head = {'version': VERSION, 'time': now.isoformat()}
        self._body: Mapping[str, Any] = {}

    def intend(self, **body: Any) -> None:
        """Write what is about to be done; again if it has to be revised."""
        self._body = body
        self._write(None)

    def conclude(self, result: str) -> None:
        """Write how it went, if anything was intended."""
        if self._body:
            self._write(result)

    def _write(self, result: str | None) -> None:
        text = json.dumps({**self._head, **self._body, 'result': result},
                          indent=2, sort_keys=True)
        files.write_atomically(self.path, f'{text}\n'.encode(),
                               mode=files.PRIVATE)
