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

"""Who this host is, and whether it can attach at all."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import ipaddress
import socket

from os_brick import utils
import psutil

from os_brick_ext import conn_props
from os_brick_ext import errors


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """What the host calls itself towards clusters.

    :param nqn: what clusters grant access to.
    :param host_id: UUID that goes with it; the kernel refuses to use one
        NQN with several ids.
    """

    nqn: str
    host_id: str


def nqn() -> str:
    """:returns: the host's NQN, made and kept if there was none.

    :raises NotReady: there is none, or it is malformed.
    """
    with _made('/etc/nvme/hostnqn'):
        found = utils.get_host_nqn()
    try:
        return conn_props.check_nqn(found, '/etc/nvme/hostnqn')
    except conn_props.InvalidConnectionProperties as exc:
        raise errors.NotReady(
            f'/etc/nvme/hostnqn holds no usable NQN: {found!r}') from exc


def identity() -> Identity:
    """:returns: NQN and host id, made and kept if there were none.

    :raises NotReady: one is missing or malformed.
    """
    name = nqn()
    # As nvme-cli does, so that both agree.
    wanted = name.rpartition('uuid:')[2] if 'uuid:' in name else None
    with _made('/etc/nvme/hostid'):
        found = utils.get_nvme_host_id(wanted)
    try:
        return Identity(
            name, conn_props.check_uuid(found, '/etc/nvme/hostid'))
    except conn_props.InvalidConnectionProperties as exc:
        raise errors.NotReady(
            f'/etc/nvme/hostid holds no usable UUID: {found!r}') from exc


@contextlib.contextmanager
def _made(path: str) -> Iterator[None]:
    """:raises NotReady: a file that is missing cannot be made."""
    try:
        with errors.of_privsep():
            yield
    except OSError as exc:
        raise errors.NotReady(
            f'{path} can neither be read nor made: {exc}') from exc


def addresses() -> list[str]:
    """:returns: the host's IP addresses by which a cluster may know it.

    :raises OSError: the kernel does not tell them.

    Loopback addresses are left out, but not all that the loopback interface
    has: on routed networks it carries the host's own. An IPv6 link-local
    address means nothing without the interface, so it is left out as well.
    """
    found = []
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            try:
                address = ipaddress.ip_address(
                    entry.address.partition('%')[0])
            except ValueError:
                continue
            if not (address.is_loopback or address.is_unspecified
                    or address.version == 6 and address.is_link_local):
                found.append(str(address))
    return list(dict.fromkeys(found))
