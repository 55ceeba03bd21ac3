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

"""Writing files that others read while they are written."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile

PRIVATE = 0o600
SHARED = 0o640


def write_atomically(path: str, content: bytes, mode: int = SHARED,
                     like: str | None = None) -> None:
    """Replace a file as a whole; a reader sees the old one or the new one.

    Owner and group are kept; those of a new file are those of `like`. Who is
    not the superuser may lack the right to give a new file away: it then
    stays his own.

    :param mode: permissions of the file, whatever the umask is.
    :param like: a file or folder; by default the folder of `path`.
    :raises PermissionError: the file would change its owner.
    :raises OSError: the file cannot be written; the old one is untouched.
    """
    folder = os.path.dirname(os.path.abspath(path))
    present = _status(path)
    handle, name = tempfile.mkstemp(dir=folder, prefix='.lightbits-')
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
            file.flush()
            _give(file.fileno(), present or os.stat(like or folder),
                  strict=present is not None)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    _settle(folder)


def remove(path: str) -> None:
    """Remove a file for good.

    :raises OSError: it cannot be removed.
    """
    os.unlink(path)
    _settle(os.path.dirname(os.path.abspath(path)))


def may_write(path: str) -> bool:
    """Whether files can be made and replaced in the folder of `path`."""
    return os.access(os.path.dirname(os.path.abspath(path)),
                     os.W_OK | os.X_OK)


def is_private(status: os.stat_result) -> bool:
    """Whether only the owner, and his group for reading, have access."""
    return not status.st_mode & (stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _give(handle: int, model: os.stat_result, *, strict: bool) -> None:
    own = os.fstat(handle)
    if (own.st_uid, own.st_gid) == (model.st_uid, model.st_gid):
        return
    try:
        os.fchown(handle, model.st_uid, model.st_gid)
    except PermissionError:
        if strict:
            raise


def _settle(folder: str) -> None:
    """Have the entry of a folder on disk, not only the file."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
