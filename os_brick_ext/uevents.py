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

"""Events of the kernel about block devices and NVMe controllers.

The kernel sends them over netlink to anybody who listens, without privilege.
They only say when to look again: what is true is read from sysfs, so an
event that is lost or forged does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import errno
import socket

from oslo_log import log as logging

from os_brick_ext import timing

LOG = logging.getLogger(__name__)

# From linux/netlink.h; the socket module does not name it.
NETLINK_KOBJECT_UEVENT = 15
# Group 1 is sent by the kernel, group 2 by udev.
KERNEL_GROUP = 1
LARGEST_EVENT = 65536
RELEVANT = (b'SUBSYSTEM=block', b'SUBSYSTEM=nvme')


def is_relevant(event: bytes) -> bool:
    """:returns: whether the event is about block devices or NVMe.

    :param event: a header, then ``KEY=value`` fields, each ended by a zero.
    """
    return any(field.startswith(RELEVANT) for field in event.split(b'\0'))


class KernelEvents:
    """Ends a pause when the kernel reports something.

    :param sock: gives one event per datagram.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def wait(self, seconds: float) -> None:
        """Return after `seconds` or after a relevant event.

        Events that have queued up since the last call count as one, so that
        a burst of them causes one look.
        """
        deadline = timing.Deadline.after(seconds)
        relevant = False
        while not relevant:
            event = self._receive(deadline.remaining())
            if event is None:
                return
            relevant = is_relevant(event)
        while self._receive(0.0) is not None:
            pass

    def _receive(self, seconds: float) -> bytes | None:
        """:returns: an event, or None if there is none in time."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(LARGEST_EVENT)
        except (BlockingIOError, TimeoutError):
            return None
        except OSError as exc:
            if exc.errno != errno.ENOBUFS:
                raise
            # The queue overflowed: something has certainly happened.
            LOG.debug('Events of the kernel were lost: %s', exc)
            return RELEVANT[0]


def _open() -> socket.socket | None:
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM,
                             NETLINK_KOBJECT_UEVENT)
    except OSError as exc:
        LOG.debug('No events of the kernel: %s', exc)
        return None
    try:
        sock.bind((0, KERNEL_GROUP))
    except OSError as exc:
        LOG.debug('No events of the kernel: %s', exc)
        sock.close()
        return None
    return sock


@contextlib.contextmanager
def listen() -> Iterator[timing.Wake]:
    """Hear what happens from now on.

    :returns: a context manager that gives what ends pauses early; where the
        kernel's events cannot be had, pauses last their time.
    """
    sock = _open()
    if sock is None:
        yield timing.Quiet()
        return
    with contextlib.closing(sock):
        yield KernelEvents(sock)
