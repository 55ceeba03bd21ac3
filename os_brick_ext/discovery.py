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

"""The files that tell the vendor's discovery client what to connect.

One file per volume, ``<UUID>.conf``, with a line for each discovery service
of its cluster. The client reacts to files that are created in its folder or
renamed into it, merges the lines of all, keeps the clusters apart by the
subsystem NQN, and ignores names that start with ``tmp.dc.``. It does not see
a file being edited, and would read one that is half written.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import errno
import os
import secrets

from os_brick_ext import conn_props

TEMPORARY_PREFIX = 'tmp.dc.'
# The file holds what is world-readable elsewhere, in /etc/nvme/hostnqn and
# in sysfs, and the client may run as a user of its own.
MODE = 0o644
LARGEST_FILE = 1 << 20

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = (os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
           | os.O_CLOEXEC)


def file_name(volume_uuid: str) -> str:
    """:returns: name of a volume's file, without folder."""
    return f"{conn_props.check_uuid(volume_uuid, 'uuid')}.conf"


def content(volume_uuid: str, subsystem_nqn: str, host_nqn: str,
            nodes: Sequence[conn_props.DiscoveryNode]) -> str:
    """:returns: what a volume's file must say, the same for any order.

    :raises InvalidConnectionProperties: a value could be taken for something
        else by the reader of the file.
    """
    volume_uuid = conn_props.check_uuid(volume_uuid, 'uuid')
    subsystem_nqn = conn_props.check_nqn(subsystem_nqn, 'subsysnqn')
    host_nqn = conn_props.check_nqn(host_nqn, 'host NQN')
    lines = sorted(
        f'-t {node.transport} -a {node.address} -s {node.port} '
        f'-q {host_nqn} -n {subsystem_nqn}\n' for node in nodes)
    return f'# volume {volume_uuid}\n' + ''.join(lines)


def write(folder: str, volume_uuid: str, text: str) -> str:
    """Make a volume's file say `text`, at once or not at all.

    A file that says so already is left alone.

    :returns: ``created``, ``replaced`` or ``unchanged``.
    :raises OSError: the folder is missing or not writable.
    """
    name = file_name(volume_uuid)
    with _opened(folder) as descriptor:
        before = _read(name, descriptor)
        if before == text:
            return 'unchanged'
        _sweep(volume_uuid, descriptor)
        temporary = f'{TEMPORARY_PREFIX}{name}.{secrets.token_hex(4)}'
        try:
            _write_new(temporary, text, descriptor)
            os.rename(temporary, name,
                      src_dir_fd=descriptor, dst_dir_fd=descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=descriptor)
            raise
    return 'created' if before is None else 'replaced'


def remove(folder: str, volume_uuid: str) -> bool:
    """Make sure that there is no file for a volume, nor a half-made one.

    :returns: whether there was one.
    :raises OSError: the folder is missing or not writable.
    """
    with _opened(folder) as descriptor:
        _sweep(volume_uuid, descriptor)
        try:
            os.unlink(file_name(volume_uuid), dir_fd=descriptor)
        except FileNotFoundError:
            return False
    return True


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[int]:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY
                             | os.O_CLOEXEC)
    except OSError as exc:
        # Said in the text, since privsep passes on nothing else.
        raise OSError(
            exc.errno, f"discovery client's folder {folder}: "
            f'{os.strerror(exc.errno or errno.EIO)}') from exc
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(name: str, folder: int) -> str | None:
    """:returns: what the file says, or None if there is none."""
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except FileNotFoundError:
        return None
    with open(descriptor, encoding='utf-8', errors='replace') as file:
        return file.read(LARGEST_FILE)


def _write_new(name: str, text: str, folder: int) -> None:
    descriptor = os.open(name, _CREATE, MODE, dir_fd=folder)
    with open(descriptor, 'w', encoding='utf-8') as file:
        os.fchmod(descriptor, MODE)
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _sweep(volume_uuid: str, folder: int) -> None:
    """Remove what a process that died has left behind.

    Only this volume's, whose lock the caller holds.
    """
    prefix = f'{TEMPORARY_PREFIX}{file_name(volume_uuid)}.'
    for name in os.listdir(folder):
        if name.startswith(prefix):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
