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

"""What of a copy needs root: reading and writing block devices.

These functions run in privsep's daemon. They take the name of an NVMe
namespace together with the UUID of the volume it has to be, never a path, so
that a service that was broken into can reach volumes and nothing else, and
one that is merely mistaken cannot write to the wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import errno
import os
import pathlib
import re
import stat

from oslo_config import cfg
from oslo_privsep import capabilities
from oslo_privsep import priv_context

from cinder_lightbits_federation.copy import blocks

SYSFS = pathlib.Path('/sys')
DEVICES = pathlib.Path('/dev')

SECTION = 'privsep_lightbits_copy'
# Calls at a time, one for each copy of this host. One whose path is lost has
# its thread until the kernel gives up, long after the service has: by
# privsep's own default, one thread for each processor, a few of them would
# stop all others. Threads begin when needed.
THREADS = 64
# Seconds for one batch; a path that comes back needs longer than a write.
TIMEOUT = 300

_NAMESPACE = re.compile(r'nvme[0-9]{1,6}n[0-9]{1,6}')

default = priv_context.PrivContext(
    'cinder_lightbits_federation',
    cfg_section=SECTION,
    pypath=f'{__name__}.default',
    capabilities=[capabilities.CAP_DAC_OVERRIDE],
    logger_name=__name__,
    timeout=TIMEOUT,
)
cfg.CONF.set_default('thread_pool_size', THREADS, group=SECTION)

Volume = tuple[str, str]
"""Name of the namespace, and UUID of the volume it must be."""


@default.entrypoint
def copy(source: Volume, target: Volume, spans: Sequence[blocks.Span],
         fresh: bool) -> tuple[int, int]:
    """Copy spans of one volume to another; see `blocks.copy`.

    :returns: bytes read and bytes written.
    :raises ValueError: a name is malformed, or is not that volume.
    :raises OSError: a device cannot be opened, or failed.
    """
    with _opened(source, os.O_RDONLY) as reading, \
            _opened(target, os.O_WRONLY | os.O_EXCL) as writing:
        moved = blocks.copy(reading, writing, spans, fresh)
        return moved.read, moved.written


@default.entrypoint
def differing(first: Volume, second: Volume, spans: Sequence[blocks.Span]
              ) -> list[int]:
    """Compare spans of two volumes; see `blocks.differing`.

    :raises ValueError: a name is malformed, or is not that volume.
    :raises OSError: a device cannot be opened, or failed.
    """
    with _opened(first, os.O_RDONLY) as one, \
            _opened(second, os.O_RDONLY) as other:
        return blocks.differing(one, other, spans)


@contextlib.contextmanager
def _opened(volume: Volume, how: int) -> Iterator[int]:
    name, uuid = volume
    if not _NAMESPACE.fullmatch(name):
        raise ValueError(f'not a namespace: {name!r}')
    descriptor = os.open(DEVICES / name, how | os.O_DIRECT | os.O_CLOEXEC)
    try:
        _check(descriptor, name, uuid)
        yield descriptor
    finally:
        os.close(descriptor)


def _check(descriptor: int, name: str, uuid: str) -> None:
    """Prove that what was opened is the volume.

    Judged by the number of the open device: its name may have been given to
    another one since it was looked up.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISBLK(status.st_mode):
        raise OSError(errno.ENOTBLK, f'{name} is not a block device')
    number = f'{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}'
    found = (SYSFS / 'dev' / 'block' / number / 'uuid').read_text(
        encoding='ascii').strip()
    if found.lower() != uuid.lower():
        raise ValueError(f'{name} is volume {found}, not {uuid}')
