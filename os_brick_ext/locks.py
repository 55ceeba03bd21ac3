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

"""Locks that hold between all threads and services of one host."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import stat
import time

from os_brick_ext import errors
from os_brick_ext import files
from os_brick_ext import timing

PREFIX = 'os-brick-ext-'
# How files are called that nobody else is to see yet.
NEW = f'{PREFIX}new-'
# Seconds after which whoever was making such a file has died.
LONGEST_MAKING = 60.0
# Seconds between two tries: many may wait for what each holds for a moment.
LONGEST_PAUSE = 0.1
NO_FILE = 'it is no regular file'


def digest(subsystem_nqn: str) -> str:
    """:returns: 32 digits that stand for a cluster in names of files."""
    return hashlib.sha256(subsystem_nqn.encode()).hexdigest()[:32]


def of_cluster(subsystem_nqn: str) -> str:
    """:returns: name of the lock of a cluster's connections."""
    return f'cluster-{digest(subsystem_nqn)}'


def of_volume(volume_uuid: str) -> str:
    """:returns: name of a volume's lock."""
    return f'volume-{volume_uuid}'


class Locks:
    """One lock per name, as a file in a folder.

    The kernel drops a lock with the process that holds it. Locks belong to
    open files and not to processes, so they exclude threads as well, green
    or not. Files are removed with the last use of their names.

    :param folder: the same for all services that share the host; it must
        exist and be writable for each.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def held(self, name: str, deadline: timing.Deadline,
             shared: bool = False) -> Iterator[None]:
        """Hold a lock.

        :param name: of letters, digits and ``.-_``.
        :param shared: with others who do the same.
        :raises Busy: somebody held it until the deadline.
        :raises NotReady: no folder is configured, or it cannot be used.
        """
        if not self._folder:
            raise errors.NotReady(
                'no lock_path is set in [os_brick_ext], [os_brick] or '
                '[oslo_concurrency]')
        path = os.path.join(self._folder, f'{PREFIX}{name}')
        try:
            descriptor = timing.wait_until(
                lambda: _try(path, shared), deadline, f'the lock {path}',
                longest=LONGEST_PAUSE)
        except timing.TimedOut as exc:
            raise errors.Busy(
                f'another operation holds the lock {path}') from exc
        except OSError as exc:
            raise errors.NotReady(
                f'the lock {path} cannot be used: {exc}') from exc
        try:
            yield
        finally:
            _release(path, descriptor, shared)

    def sweep(self) -> None:
        """Remove what services left that died while they made a lock."""
        for name in files.names(self._folder):
            if not name.startswith(NEW):
                continue
            path = os.path.join(self._folder, name)
            # Of another service it may have to stay.
            with contextlib.suppress(FileNotFoundError, PermissionError):
                if time.time() - os.lstat(path).st_mtime > LONGEST_MAKING:
                    os.unlink(path)


def _open(path: str) -> int | None:
    """Open a file that may belong to another service.

    :returns: a descriptor, or None if another service makes the file at
        this moment.
    :raises OSError: it is no regular file. Any user may have made something
        else there, which is neither waited for nor followed.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _make(path)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENXIO):
            raise OSError(exc.errno, NO_FILE) from exc
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, NO_FILE)


def _make(path: str) -> int | None:
    """Make a file that all may open from the first moment.

    Under its own name it would be readable as our umask wants it, until that
    is mended: another service that opens it then would be refused, and for
    ever if this one died.

    :returns: a descriptor, or None if another service was faster.
    """
    new = os.path.join(os.path.dirname(path), f'{NEW}{secrets.token_hex(8)}')
    descriptor = os.open(
        new, os.O_RDONLY | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.fchmod(descriptor, 0o644)
        os.link(new, path)
    except (FileExistsError, FileNotFoundError):
        # Or this took so long that the new file was swept away.
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
    return descriptor


def _release(path: str, descriptor: int, shared: bool) -> None:
    """Let a lock go, and leave no file if nobody else shares it."""
    try:
        if shared:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Before it is let go: whoever opened the file in the meantime
        # will find that it is no longer the one in the folder.
        os.unlink(path)
    except (BlockingIOError, PermissionError, FileNotFoundError):
        pass
    finally:
        os.close(descriptor)


def _try(path: str, shared: bool) -> int | None:
    """:returns: a descriptor that holds the lock, or None."""
    descriptor = _open(path)
    if descriptor is None:
        return None
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
