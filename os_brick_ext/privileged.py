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

"""What needs root, and nothing else.

These functions run in privsep's daemon. They take names and numbers, never
paths or commands, and check each of them again, so that a service that was
broken into gains nothing but what the functions are for. What an operator
can choose, the daemon reads from its own configuration files.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import errno
import fcntl
import functools
import mmap
import os
import pathlib
import re
import subprocess
from typing import ParamSpec
from typing import TypeVar

from oslo_config import cfg
from oslo_privsep import capabilities
from oslo_privsep import priv_context

from os_brick_ext import conn_props
from os_brick_ext import discovery
from os_brick_ext import errors
from os_brick_ext import fabrics
from os_brick_ext import settings

P = ParamSpec('P')
R = TypeVar('R')

SECTION = 'privsep_os_brick_ext'
# Most of what is done here is waiting for a node, up to a minute for one that
# hangs: by privsep's own default, one for each processor, a few such nodes
# would hold up the volumes of all other clusters. Threads begin when needed.
THREADS = 64
# Seconds; longer than the kernel tries anything that is asked of it here.
TIMEOUT = 120
DISCOVERY_TIMEOUT = 10
IDENTIFY_TIMEOUT = 5

SYSFS = pathlib.Path('/sys')
DEVICES = pathlib.Path('/dev')

_CONTROLLER = re.compile(r'nvme[0-9]{1,6}')
_NAMESPACE = re.compile(r'nvme[0-9]{1,6}n[0-9]{1,6}')

# A section of its own: os-brick hides the output of some of its commands by
# the logger in its section, which a second context there would replace.
default = priv_context.PrivContext(
    'os_brick_ext',
    cfg_section=SECTION,
    pypath=f'{__name__}.default',
    capabilities=[capabilities.CAP_SYS_ADMIN,
                  capabilities.CAP_DAC_READ_SEARCH],
    logger_name=__name__,
    timeout=TIMEOUT,
)
cfg.CONF.set_default('thread_pool_size', THREADS, group=SECTION)


def _entrypoint(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function run in the daemon, and fail as functions here do."""
    remote = default.entrypoint(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with errors.of_privsep():
            result: R = remote(*args, **kwargs)
            return result

    # The daemon runs nothing but what has privsep's mark.
    vars(call).update(vars(remote))
    return call


@_entrypoint
def write_drop_in(volume_uuid: str, subsystem_nqn: str, host_nqn: str,
                  nodes: list[tuple[str, int]]) -> str:
    """Tell the discovery client where a volume is.

    :param nodes: address and port of each discovery service.
    :returns: ``created``, ``replaced`` or ``unchanged``.
    :raises InvalidConnectionProperties: a value is malformed.
    :raises ValueError: the option for the folder cannot be read here.
    :raises OSError: the client's folder is missing or not writable.
    """
    text = discovery.content(
        volume_uuid, subsystem_nqn, host_nqn,
        [conn_props.DiscoveryNode(address, port) for address, port in nodes])
    return discovery.write(
        settings.discovery_folder(), volume_uuid, text)


@_entrypoint
def remove_drop_in(volume_uuid: str) -> bool:
    """Let the discovery client forget a volume.

    :returns: whether it had been told of it.
    :raises InvalidConnectionProperties: the UUID is malformed.
    :raises ValueError: the option for the folder cannot be read here.
    :raises OSError: the client's folder is missing or not writable.
    """
    return discovery.remove(settings.discovery_folder(), volume_uuid)


@_entrypoint
def connect_controller(address: str, port: int, subsystem_nqn: str,
                       host_nqn: str, host_id: str) -> str:
    """Let the kernel connect to one node.

    :returns: name of the new controller.
    :raises InvalidConnectionProperties: a value is malformed.
    :raises ValueError: an option cannot be read here, or the kernel replies
        something else.
    :raises OSError: the kernel's reason; EALREADY if it is connected.
    """
    options = fabrics.connect_options(
        address, port, subsystem_nqn, host_nqn, host_id, settings.tuning())
    descriptor = os.open(DEVICES / 'nvme-fabrics', os.O_RDWR | os.O_CLOEXEC)
    try:
        os.write(descriptor, options.encode('ascii'))
        return fabrics.connected_name(
            os.read(descriptor, mmap.PAGESIZE).decode('ascii'))
    finally:
        os.close(descriptor)


@_entrypoint
def delete_controller(name: str, subsystem_nqn: str) -> None:
    """Let the kernel end a connection, and wait until it has.

    :raises ValueError: it is not a connection to that subsystem.
    :raises OSError: the kernel's reason; ENOENT if there is none any more.
    """
    _tell_controller(name, subsystem_nqn, 'delete_controller')


@_entrypoint
def rescan_controller(name: str, subsystem_nqn: str) -> None:
    """Let the kernel ask a node what volumes it has, without waiting.

    :raises ValueError: it is not a connection to that subsystem.
    :raises OSError: the kernel's reason; ENOENT if there is none any more.
    """
    _tell_controller(name, subsystem_nqn, 'rescan_controller')


def _tell_controller(name: str, subsystem_nqn: str, attribute: str) -> None:
    _check_controller(name, subsystem_nqn)
    descriptor = os.open(SYSFS / 'class' / 'nvme' / name / attribute,
                         os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b'1')
    finally:
        os.close(descriptor)


def _check_controller(name: str, subsystem_nqn: str) -> None:
    """:raises ValueError: it is not a connection to that subsystem.

    :raises OSError: ENOENT if there is none.
    """
    if not _CONTROLLER.fullmatch(name):
        raise ValueError(f'not a controller: {name!r}')
    found = (SYSFS / 'class' / 'nvme' / name / 'subsysnqn').read_text(
        encoding='utf-8').strip()
    if found != conn_props.check_nqn(subsystem_nqn, 'subsysnqn'):
        raise ValueError(f'{name} belongs to {found}')


@_entrypoint
def active_namespaces(name: str, subsystem_nqn: str) -> list[int]:
    """Ask a node, and not the kernel, which volumes this host may see.

    :param name: of the connection to it.
    :returns: their numbers.
    :raises ValueError: it is not a connection to that subsystem.
    :raises OSError: the node could not be asked, or refused, or repeats
        itself.
    """
    _check_controller(name, subsystem_nqn)
    descriptor = os.open(DEVICES / name, os.O_RDONLY | os.O_CLOEXEC)
    found: list[int] = []
    try:
        while True:
            piece = fabrics.identified_namespaces(_identify(
                descriptor, found[-1] if found else 0,
                fabrics.ACTIVE_NAMESPACES))
            if found and piece and piece[0] <= found[-1]:
                raise OSError(f'{name} lists namespace {piece[0]} twice')
            found += piece
            if len(piece) < fabrics.IDENTIFY_BYTES // 4:
                return found
    finally:
        os.close(descriptor)


@_entrypoint
def namespace_size(name: str) -> int:
    """Ask the array, and not the kernel, how large a volume is.

    :param name: of its block device, without folder.
    :returns: bytes.
    :raises ValueError: the name is malformed, or the answer says nothing.
    :raises OSError: the array could not be asked, or refused.
    """
    if not _NAMESPACE.fullmatch(name):
        raise ValueError(f'not a namespace: {name!r}')
    descriptor = os.open(DEVICES / name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return fabrics.identified_size(_identify(
            descriptor, fcntl.ioctl(descriptor, fabrics.IOCTL_ID),
            fabrics.NAMESPACE))
    finally:
        os.close(descriptor)


def _identify(descriptor: int, number: int, what: int) -> bytes:
    # A page of its own, since the kernel lets the array write into it.
    with mmap.mmap(-1, fabrics.IDENTIFY_BYTES) as page:
        start = ctypes.c_char.from_buffer(page)
        command = fabrics.identify_command(
            number, ctypes.addressof(start), IDENTIFY_TIMEOUT * 1000, what)
        status = fcntl.ioctl(
            descriptor, fabrics.IOCTL_ADMIN_COMMAND, command, True)
        del start
        if status:
            raise OSError(errno.EIO, f'NVMe status {status:#x}')
        return page[:]


@_entrypoint
def discovery_log(address: str, port: int, host_nqn: str,
                  host_id: str) -> str:
    """Ask a discovery service what it knows, through nvme-cli.

    :returns: its log page as JSON.
    :raises InvalidConnectionProperties: a value is malformed.
    :raises OSError: nvme-cli is missing or failed.
    """
    node = conn_props.DiscoveryNode(address, port)
    command = [
        'nvme', 'discover', '--output-format=json',
        f'--transport={node.transport}', f'--traddr={node.address}',
        f'--trsvcid={node.port}',
        f"--hostnqn={conn_props.check_nqn(host_nqn, 'host NQN')}",
        f"--hostid={conn_props.check_uuid(host_id, 'host id')}"]
    try:
        # No shell, and every word has been checked.
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, errors='replace',
            timeout=DISCOVERY_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as exc:
        raise OSError(errno.ETIMEDOUT, 'nvme discover') from exc
    if done.returncode:
        raise OSError(errno.EIO, f'nvme discover: {done.stderr.strip()}')
    return done.stdout
