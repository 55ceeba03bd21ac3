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

import errno
import os

from os_brick_ext import errors

# The kernel gives a page at most.
LARGEST_VALUE = 4096
# What the kernel says of a file that is not there, or that goes, with its
# device, while it is being opened or read.
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO})
# What a driver may say of one value of a device that is there.
_NO_VALUE = frozenset({errno.EINVAL, errno.EIO})


def read(path: str) -> str:
    """:returns: what is in the file, without the line's end; or nothing.

    :raises Unreadable: see :func:`read_if_there`.
    """
    return read_if_there(path) or ''


def read_if_there(path: str) -> str | None:
    """:returns: the same, or None if there is no such file.

    Without the layers of Python's files: this is most of what an attachment
    takes when there are many at once.

    :raises Unreadable: this process or host cannot read now. That says
        nothing about the file, so it must not be taken for one that is not
        there: upon that, connections are ended.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        _check_gone(path, exc)
        return None
    try:
        return os.read(
            descriptor, LARGEST_VALUE).decode(errors='replace').strip()
    except OSError as exc:
        if exc.errno not in _NO_VALUE:
            _check_gone(path, exc)
        return ''
    finally:
        os.close(descriptor)


def names(folder: str) -> dict[str, int]:
    """:returns: names in a folder, and their inodes; none if it has gone.

    :raises Unreadable: see :func:`read_if_there`.
    """
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.inode() for entry in entries}
    except OSError as exc:
        _check_gone(folder, exc)
        return {}


def _check_gone(path: str, exc: OSError) -> None:
    if exc.errno not in _GONE:
        raise errors.Unreadable(f'{path} cannot be read: {exc}') from exc
