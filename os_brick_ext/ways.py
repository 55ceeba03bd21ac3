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

"""What the ways to connect have in common."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
from typing import Protocol

from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import sysfs
from os_brick_ext import timing

LOAD_HINT = ("load it with 'modprobe nvme-tcp' and name nvme-tcp in a file "
             'in /etc/modules-load.d')


class Root(Protocol):
    """What is done with privilege; see :mod:`os_brick_ext.privileged`."""

    def write_drop_in(self, volume_uuid: str, subsystem_nqn: str,
                      host_nqn: str, nodes: list[tuple[str, int]]) -> str: ...

    def remove_drop_in(self, volume_uuid: str) -> bool: ...

    def connect_controller(self, address: str, port: int, subsystem_nqn: str,
                           host_nqn: str, host_id: str) -> str: ...

    def delete_controller(self, name: str, subsystem_nqn: str) -> None: ...

    def rescan_controller(self, name: str, subsystem_nqn: str) -> None: ...

    def active_namespaces(self, name: str,
                          subsystem_nqn: str) -> list[int]: ...

    def namespace_size(self, name: str) -> int: ...

    def discovery_log(self, address: str, port: int, host_nqn: str,
                      host_id: str) -> str: ...


# Takes back what was done for a volume, within a deadline.
Undo = Callable[[timing.Deadline], object]


class Way(Protocol):
    """A way to connect this host to clusters.

    Whoever calls `want` or `leave`, or what `want` gave, holds the lock of
    the volume.
    """

    def available(self) -> bool:
        """Whether this host can attach now; answered within a bound."""

    def want(self, props: conn_props.ConnectionProperties,
             deadline: timing.Deadline) -> Undo | None:
        """Have this host connected to a volume's cluster. Idempotent.

        :param deadline: of the operation that this is part of.
        :returns: what undoes it if the volume does not appear; None if
            nothing may be undone. It raises what `leave` raises.
        :raises NotReady: this host lacks what is needed.
        :raises NotVisible: no node of the cluster could be reached.
        """

    def tend(self, props: conn_props.ConnectionProperties,
             deadline: timing.Deadline) -> None:
        """Look after a volume that is awaited, some time after `want`.

        :param deadline: of the wait.
        :raises NotVisible: it is plain that the volume cannot appear.
        """

    def find(self, key: conn_props.VolumeKey,
             deadline: timing.Deadline) -> sysfs.Namespace | None:
        """Look for a volume; one that is usable is here to stay.

        :raises Busy: that could not be made sure of before the deadline.
        """

    def leave(self, key: conn_props.VolumeKey,
              deadline: timing.Deadline) -> None:
        """Undo what only this volume needs. Idempotent.

        :raises InUse: a device is built upon it; nothing was done.
        :raises NotDeparted: what was to go is still there.
        """

    def tidy(self, since: float) -> None:
        """Have ended what operations before have left; wait for nothing.

        Errors are logged and not raised.

        :param since: when the operation that this is the end of began, in
            seconds of monotonic time.
        """


@contextlib.contextmanager
def failing_as(kind: type[errors.HostError], what: str) -> Iterator[None]:
    """Turn errors of the system into an error of this package."""
    try:
        yield
    except (OSError, ValueError) as exc:
        raise kind(f'{what}: {exc}') from exc
