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

One thread listens for all who wait, and wakes those whom an event is about:
if each volume that comes woke everybody who waits for one, the work would
grow with the square of their number.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import errno
import os
import socket
import threading

from oslo_log import log as logging

from os_brick_ext import errors
from os_brick_ext import sysfs

LOG = logging.getLogger(__name__)

# From linux/netlink.h; the socket module does not name it.
NETLINK_KOBJECT_UEVENT = 15
# Group 1 is sent by the kernel, group 2 by udev.
KERNEL_GROUP = 1
LARGEST_EVENT = 65536
# Seconds for which the thread listens on when nobody waits any more.
LINGER = 1.0
# Instead of an event, if some were lost: anybody may be meant.
_LOST = b'SUBSYSTEM=nvme'
# What is told of each namespace besides, as of its character device in
# nvme-generic, is not among them: it would wake all for each.
_FOR_ALL = frozenset({_LOST, b'SUBSYSTEM=nvme-subsystem'})


class Waiter:
    """Pauses of one who waits for a volume.

    :param wwid: the kernel's name for the volume.
    :ivar heard: whether the kernel's events can be had.
    """

    def __init__(self, wwid: str) -> None:
        self.wwid = wwid
        self.heard = False
        self._event = threading.Event()

    def wake(self) -> None:
        """End the present pause, or else the next one."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or once woken.

        However often that was since the last pause, it counts once.
        """
        self._event.wait(seconds)
        self._event.clear()


def _device(event: bytes) -> str | None:
    """:returns: name of the block device that an event is about.

    Empty if it is about an NVMe controller or a subsystem, and None if it is
    about something else.

    :param event: a header, then ``KEY=value`` fields, each ended by a zero.
    """
    fields = event.split(b'\0')
    if b'SUBSYSTEM=block' in fields:
        for field in fields:
            if field.startswith(b'DEVNAME='):
                return field[8:].decode(errors='replace')
        return None
    return None if _FOR_ALL.isdisjoint(fields) else ''


class Listener:
    """Wakes those who wait for volumes of one kernel.

    :param kernel: says which volume is on a block device.
    :param opened: gives a socket with an event per datagram, or None.
    """

    def __init__(
            self, kernel: sysfs.Sysfs,
            opened: Callable[[], socket.socket | None] | None = None) -> None:
        self._kernel = kernel
        self._open = opened or _open
        self._lock = threading.Lock()
        self._waiters: list[Waiter] = []
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @contextlib.contextmanager
    def listening(self, wwid: str) -> Iterator[Waiter]:
        """Hear what happens to a volume from now on.

        :returns: a context manager that gives what ends pauses early; where
            the kernel's events cannot be had, pauses last their time.
        """
        waiter = Waiter(wwid)
        with self._lock:
            self._waiters.append(waiter)
            if not self.busy:
                self._start()
            waiter.heard = self.busy
        try:
            yield waiter
        finally:
            with self._lock:
                self._waiters.remove(waiter)

    def _start(self) -> None:
        sock = self._open()
        if sock is not None:
            self._thread = threading.Thread(
                target=self._listen, args=(sock,), daemon=True,
                name='os-brick-ext-events')
            self._thread.start()

    def _listen(self, sock: socket.socket) -> None:
        """Wake others until nobody has waited for a while."""
        with contextlib.closing(sock):
            sock.settimeout(LINGER)
            while True:
                event = _receive(sock)
                with self._lock:
                    waiters = list(self._waiters)
                    if not waiters and event is None:
                        self._thread = None
                        return
                if event is not None:
                    self._wake(event, waiters)

    def _wake(self, event: bytes, waiters: list[Waiter]) -> None:
        name = _device(event)
        if name is None:
            return
        try:
            wwid = self._kernel.learn(name) if name else ''
        except errors.Unreadable as exc:
            LOG.debug('Not known which volume came or went: %s', exc)
            # Anybody may be meant.
            name = wwid = ''
        for waiter in waiters:
            if not name or waiter.wwid == wwid:
                waiter.wake()


def _receive(sock: socket.socket) -> bytes | None:
    """:returns: an event, or None if there is none in time."""
    try:
        return sock.recv(LARGEST_EVENT)
    except TimeoutError:
        return None
    except OSError as exc:
        if exc.errno != errno.ENOBUFS:
            raise
        # The queue overflowed: something has certainly happened.
        LOG.debug('Events of the kernel were lost: %s', exc)
        return _LOST


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


_LISTENERS: dict[str, Listener] = {}
# Their threads stay with the parent, maybe holding a lock.
os.register_at_fork(after_in_child=_LISTENERS.clear)


def listen(kernel: sysfs.Sysfs,
           wwid: str) -> contextlib.AbstractContextManager[Waiter]:
    """See :meth:`Listener.listening`; all of this process share one."""
    return _LISTENERS.setdefault(
        kernel.root, Listener(kernel)).listening(wwid)
