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

"""What can go wrong on a host, as os-brick's callers expect to catch it."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import errno

from os_brick import exception
from oslo_privsep import comm
from oslo_privsep import daemon


class HostError(exception.BrickException):
    """Something went wrong on this host."""

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


class BadProperties(HostError):
    """The connection properties are malformed. Nothing was done."""


class NotReady(HostError):
    """This host lacks what is needed to attach. Nothing was done."""


class Busy(HostError):
    """Somebody else works on the same volume. Nothing was done."""


class NotVisible(HostError):
    """The volume did not appear. What was done for it has been undone."""


class InUse(HostError):
    """Another device is built upon the volume. Nothing was done."""


class NoPath(HostError):
    """No path to the volume is usable, so nothing can be written to it."""


class NotDeparted(HostError):
    """The volume was to leave this host and is still there."""


class NotAttached(HostError):
    """The volume is not on this host."""


class NotResized(HostError):
    """The new size did not arrive. The volume remains usable as it was."""


class Unreadable(HostError, OSError):
    """This host cannot read what the kernel says, as without memory.

    It is an error of the system, too, for those who are prepared for these.
    """


@contextlib.contextmanager
def of_privsep() -> Iterator[None]:
    """Turn what privsep alone raises into errors of the system.

    They derive from Exception and nothing else, so whoever is prepared for
    what the privileged part may fail with is not for them.

    :raises OSError: ETIMEDOUT if the privileged part has not answered in its
        time, and may still do what it was asked; EPERM if it cannot be
        started.
    """
    try:
        yield
    except comm.PrivsepTimeout as exc:
        raise TimeoutError(
            errno.ETIMEDOUT, 'the privileged part has not answered') from exc
    except daemon.FailedToDropPrivileges as exc:
        raise PermissionError(
            errno.EPERM, f'the privileged part cannot be started: {exc}'
            ) from exc
