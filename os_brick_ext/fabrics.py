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

"""What the kernel and nvme-cli read and write about NVMe over TCP, as values.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import json
import re
import struct
from typing import Any

from os_brick_ext import conn_props

# What every discovery service is called.
DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'

# From linux/nvme_ioctl.h: _IO('N', 0x40) and _IOWR('N', 0x41, 72 bytes).
IOCTL_ID = 0x4E40
IOCTL_ADMIN_COMMAND = 0xC0484E41
_ADMIN_COMMAND = '=BBHIIIQQIIIIIIIIII'
_IDENTIFY = 0x06
IDENTIFY_BYTES = 4096
# What Identify is asked for (CNS); the second gives numbers of 4 bytes.
NAMESPACE, ACTIVE_NAMESPACES = 0, 2
# Offsets in the Identify Namespace data structure (NVMe base specification).
_NSZE = 0
_FLBAS = 26
_LBAF = 128

_INSTANCE = re.compile(r'instance=([0-9]+)')


@dataclasses.dataclass(frozen=True, slots=True)
class Tuning:
    """How the kernel treats a connection; seconds, and 0 for its default.

    :param nr_io_queues: I/O queues.
    :param ctrl_loss_tmo: until a lost node is given up; -1 for never, and 0
        for at once.
    :param fast_io_fail_tmo: until I/O to a lost node fails.
    """

    nr_io_queues: int
    keep_alive_tmo: int
    reconnect_delay: int
    ctrl_loss_tmo: int
    fast_io_fail_tmo: int


def connect_options(
        address: str, port: int, subsystem_nqn: str, host_nqn: str,
        host_id: str, tuning: Tuning) -> str:
    """:returns: what to write into ``/dev/nvme-fabrics``.

    :raises InvalidConnectionProperties: a value could be taken for several
        options.
    """
    fields: dict[str, object] = {
        'nqn': conn_props.check_nqn(subsystem_nqn, 'subsysnqn'),
        'transport': conn_props.TCP,
        'traddr': conn_props.check_address(address, 'nvme_endpoints'),
        'trsvcid': conn_props.check_port(port, 'nvme_endpoints'),
        'hostnqn': conn_props.check_nqn(host_nqn, 'host NQN'),
        'hostid': conn_props.check_uuid(host_id, 'host id')}
    # Only of ctrl_loss_tmo is 0 not our word for the kernel's default, which
    # is ten minutes: no attempt is made then to reach the node again.
    fields.update(
        (name, value) for name, value in dataclasses.asdict(tuning).items()
        if value or name == 'ctrl_loss_tmo')
    return ','.join(f'{name}={value}' for name, value in fields.items())


def connected_name(reply: str) -> str:
    """:returns: the new controller's name, from what the kernel replies.

    :raises ValueError: the reply is of another form.
    """
    match = _INSTANCE.search(reply)
    if not match:
        raise ValueError(f'unexpected reply of the kernel: {reply!r}')
    return f'nvme{match[1]}'


def identify_command(namespace_id: int, buffer: int, milliseconds: int,
                     what: int = NAMESPACE) -> bytearray:
    """:returns: an Identify command for the kernel.

    :param buffer: memory address of :data:`IDENTIFY_BYTES` bytes.
    :param what: :data:`NAMESPACE`, or :data:`ACTIVE_NAMESPACES` for those
        after the namespace.
    """
    return bytearray(struct.pack(
        _ADMIN_COMMAND, _IDENTIFY, 0, 0, namespace_id, 0, 0, 0, buffer, 0,
        IDENTIFY_BYTES, what, 0, 0, 0, 0, 0, milliseconds, 0))


def identified_namespaces(data: bytes) -> list[int]:
    """:returns: numbers of active namespaces, by what Identify answers."""
    numbers = struct.unpack(f'<{len(data) // 4}I', data)
    return [number for number in numbers if number]


def identified_size(data: bytes) -> int:
    """:returns: bytes of a namespace, by what it answers to Identify.

    :raises ValueError: it says nothing of use, as one does that this host
        may no longer see.
    """
    blocks, = struct.unpack_from('<Q', data, _NSZE)
    flbas = data[_FLBAS]
    # Bits 3:0 of the format's number, and bits 6:5 above them.
    number = (flbas & 0x0F) | ((flbas >> 1) & 0x30)
    shift = data[_LBAF + 4 * number + 2]
    if not blocks or not 9 <= shift <= 16:
        raise ValueError(
            f'namespace of {blocks} blocks of 2^{shift} bytes')
    return int(blocks) << shift


def log_endpoints(text: str, subsystem_nqn: str) -> tuple[str, ...]:
    """Read a discovery log page as nvme-cli prints it.

    :returns: ``address:port`` of the subsystem's I/O controllers over TCP.
    :raises ValueError: it is not one.
    """
    return tuple(dict.fromkeys(
        _endpoint(record) for record in _records(text)
        if record.get('subnqn') == subsystem_nqn))


def log_referrals(text: str) -> tuple[str, ...]:
    """Read from a discovery log page who else can be asked.

    :returns: ``address:port`` of discovery services over TCP, without those
        that cannot be read; among them may be the one that has answered.
    :raises ValueError: it is not one.
    """
    found = []
    for record in _records(text):
        # What nvme-cli calls them depends on its release, but for these words.
        if 'discovery subsystem' in str(record.get('subtype')):
            with contextlib.suppress(ValueError):
                found.append(_endpoint(record))
    return tuple(dict.fromkeys(found))


def _records(text: str) -> Iterator[Mapping[str, Any]]:
    page = json.loads(text)
    records = page.get('records') if isinstance(page, Mapping) else None
    if not isinstance(records, list):
        raise ValueError('the discovery log page has no records')
    return (record for record in records if isinstance(record, Mapping)
            and record.get('trtype') == conn_props.TCP)


def _endpoint(record: Mapping[str, Any]) -> str:
    return conn_props.join_endpoint(
        conn_props.check_address(
            str(record.get('traddr')).strip(), 'traddr'),
        conn_props.check_port(
            str(record.get('trsvcid')).strip(), 'trsvcid'))
