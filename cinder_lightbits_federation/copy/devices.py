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

"""Volumes as a host has them, and who moves their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
from contextlib import AbstractContextManager
import dataclasses
import os
from typing import Protocol

from oslo_concurrency import processutils
from oslo_privsep import comm
from oslo_privsep import daemon

from cinder_lightbits_federation.access import HostAccess
from cinder_lightbits_federation.attachments import Attachment
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy.extents import Extent
from cinder_lightbits_federation.copy import privileged

# What a privileged helper that cannot be started, ended, or is not allowed to
# run something makes of a call.
HELPER_FAILURES = (daemon.FailedToDropPrivileges, daemon.ProtocolError,
                   comm.PrivsepTimeout, processutils.ProcessExecutionError)


@dataclasses.dataclass(frozen=True, slots=True)
class Device:
    """A volume that is attached to this host.

    :param path: of its block device.
    :param uuid: of the volume on its cluster.
    """

    path: str
    uuid: str


class Mover(Protocol):
    """Moves bytes between attached volumes; blocks the calling thread only."""

    def copy(self, source: Device, target: Device,
             extents: Sequence[Extent], fresh: bool) -> int:
        """Copy extents to the same places, durably.

        :param fresh: zeros need not be written, the target has them.
        :returns: bytes that were written.
        :raises OSError: a device failed.
        :raises Interrupted: it cannot be done from here for now.
        """

    def differing(self, source: Device, target: Device,
                  extents: Sequence[Extent]) -> Sequence[int]:
        """Read both back and compare.

        :returns: offsets of what differs.
        :raises OSError: a device failed.
        :raises Interrupted: it cannot be done from here for now.
        """


class Attacher(Protocol):
    """Makes volumes devices of the host that this process runs on."""

    def host(self) -> HostAccess:
        """:returns: whom a cluster has to admit.

        :raises AccessError: this host has no NQN, or a malformed address.
        :raises Interrupted: it cannot be found out.
        """

    def connected(self, attachment: Attachment
                  ) -> AbstractContextManager[Device]:
        """Have a volume as a device, for a while.

        :param attachment: of a volume that admits this host.
        :raises Interrupted: it does not become a device; or all went well,
            but it does not go. What the body raises is passed on.
        """


class PrivilegedMover:
    """Moves bytes in privsep's daemon."""

    def copy(self, source: Device, target: Device,
             extents: Sequence[Extent], fresh: bool) -> int:
        """See `Mover.copy`."""
        with _told():
            _read, written = privileged.copy(
                _volume(source), _volume(target), _spans(extents), fresh)
        return int(written)

    def differing(self, source: Device, target: Device,
                  extents: Sequence[Extent]) -> Sequence[int]:
        """See `Mover.differing`."""
        with _told():
            found: Sequence[int] = privileged.differing(
                _volume(source), _volume(target), _spans(extents))
        return found


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (*HELPER_FAILURES, ValueError) as exc:
        # The last is for a device that is not the volume.
        raise errors.Interrupted(
            f'the privileged helper cannot copy: {exc}') from exc


def _volume(device: Device) -> tuple[str, str]:
    return os.path.basename(os.path.realpath(device.path)), device.uuid


def _spans(extents: Sequence[Extent]) -> list[tuple[int, int]]:
    return [(extent.start, extent.end) for extent in extents]
