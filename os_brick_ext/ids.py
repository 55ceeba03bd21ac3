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

"""Which volume is on which block device, as far as that need not be read.

Only what was seen is kept, and only to know which devices are *not* a given
volume: whoever takes a device for one reads its id again.
"""

from __future__ import annotations

from collections.abc import Mapping
import re
import threading
import time

from os_brick_ext import files

NAMESPACE = re.compile(r'nvme[0-9]+n[0-9]+')


class Ids:
    """What the kernel called the block devices when they were first seen.

    A device keeps its id as long as it exists, and another device has
    another inode, even under the same name. Shared by all threads: those
    who look while another does so share the look that comes next.

    :param folder: where the devices are.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._began = 0.0
        self._inodes: dict[str, int] = {}
        self._ids: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}

    def learn(self, name: str, wwid: str) -> None:
        """Take note of a device that the kernel has told of."""
        known = self._names.get(wwid, [])
        if name not in known:
            self._names[wwid] = [*known, name]

    def names(self, wwid: str) -> list[str]:
        """:returns: the devices that had this id."""
        return self._names.get(wwid, [])

    def look(self, asked: float) -> Mapping[str, str]:
        """See which devices there are now.

        :param asked: when the caller wanted to know, in seconds of
            monotonic time; a look that began after that is as good.
        :returns: the ids of devices by name, empty if not known yet.
        """
        with self._lock:
            if self._began < asked:
                began = time.monotonic()
                self._look(namespaces(self._folder))
                self._began = began
            return self._ids

    def _look(self, found: dict[str, int]) -> None:
        ids: dict[str, str] = {}
        names: dict[str, list[str]] = {}
        for name, inode in found.items():
            wwid = (self._ids.get(name, '')
                    if self._inodes.get(name) == inode else '')
            ids[name] = wwid or files.read(f'{self._folder}/{name}/wwid')
            names.setdefault(ids[name], []).append(name)
        self._inodes, self._ids, self._names = found, ids, names


def namespaces(folder: str) -> dict[str, int]:
    """:returns: inodes of namespaces by name, in its order.

    :param folder: where all block devices are.
    """
    return {name: inode
            for name, inode in sorted(files.names(folder).items())
            if NAMESPACE.fullmatch(name)}
