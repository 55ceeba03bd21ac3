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

"""Files of the kernel, read with as little as that takes."""

from __future__ import annotations

import os

# The kernel gives a page at most.
LARGEST_VALUE = 4096


def read(path: str) -> str:
    """:returns: what is in the file, without the line's end; or nothing."""
    return read_if_there(path) or ''


def read_if_there(path: str) -> str | None:
    """:returns: the same, or None if there is no such file.

    Without the layers of Python's files: this is most of what an attachment
    takes when there are many at once.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(
            descriptor, LARGEST_VALUE).decode(errors='replace').strip()
    except OSError:
        return ''
    finally:
        os.close(descriptor)


def names(folder: str) -> dict[str, int]:
    """:returns: names in a folder, and their inodes."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.inode() for entry in entries}
    except OSError:
        return {}
