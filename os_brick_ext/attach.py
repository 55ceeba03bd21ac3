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

"""A volume comes to this host, grows on it, and leaves it."""

from __future__ import annotations

from collections.abc import Callable
import errno
import os
import time

from os_brick import exception
from oslo_log import log as logging

from os_brick_ext import client
from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import host
from os_brick_ext import locks
from os_brick_ext import native
from os_brick_ext import options
from os_brick_ext import settings
from os_brick_ext import sysfs
from os_brick_ext import timing
from os_brick_ext import uevents
from os_brick_ext import ways

LOG = logging.getLogger(__name__)

# Seconds after which the kernel is told to look for volumes itself, in case
# it missed what the array told it; then again after twice as many. Where a
# number is used anew, the first look may end the old volume and no more.
RESCAN_AFTER = 2.0
# Seconds of the first pause where the kernel says that a volume has come:
# many who look in vain meanwhile would hold up those whose has.
HEARD_PAUSE = 0.1


def choose_way(chosen: settings.Settings, kernel: sysfs.Sysfs,
               root: ways.Root, held: locks.Locks) -> ways.Way:
    """:returns: the way this host connects.

    Left to itself it is the discovery client where one is installed, be it
    running or not: a client that is just being restarted must not make the
    host do its work.
    """
    mode = chosen.mode
    if mode == options.AUTO:
        mode = (options.DISCOVERY_CLIENT
                if os.path.isdir(chosen.discovery_folder) else options.NATIVE)
    if mode == options.DISCOVERY_CLIENT:
        return client.DiscoveryClient(kernel, root, held, chosen)
    return native.Native(kernel, root, held, chosen)


class Attacher:
    """Attaches volumes; the caller holds the volume's lock."""

    def __init__(self, kernel: sysfs.Sysfs, root: ways.Root,
                 way: ways.Way, chosen: settings.Settings) -> None:
        self._kernel = kernel
        self._root = root
        self._way = way
        self._settings = chosen

    def connect(self, props: conn_props.ConnectionProperties,
                deadline: timing.Deadline) -> sysfs.Namespace:
        """Have a volume on this host. Idempotent.

        :param deadline: when it must be there. It counts from when it was
            set how long the volume has been awaited.
        :returns: its block device, ready for I/O.
        :raises NotReady: this host lacks what is needed; nothing was done.
        :raises NotVisible: it did not appear, and what was done is undone.
        """
        # Before anything is asked for, so that no event is missed.
        with uevents.listen(self._kernel, props.key.wwid) as wake:
            undo = self._way.want(props, deadline)
            # What has happened by now the first look will show.
            wake.wait(0.0)
            try:
                found = timing.wait_until(
                    _Arrival(self._way, props, deadline, self._rescan,
                             self._judge),
                    deadline, props.volume_uuid, wake,
                    first=HEARD_PAUSE if wake.heard else None)
            except timing.TimedOut as exc:
                # Found out before the undoing, which changes it.
                why = self._why(props)
                self._undo(props.key, undo)
                raise errors.NotVisible(why) from exc
            except BaseException:
                self._undo(props.key, undo)
                raise
        self._way.tidy(deadline.started)
        return found

    def _undo(self, key: conn_props.VolumeKey,
              undo: ways.Undo | None) -> None:
        """Leave nothing behind; what happened before matters more."""
        if undo is None:
            return
        try:
            undo(timing.Deadline.after(self._settings.disconnect_timeout))
        except (errors.HostError, OSError) as exc:
            LOG.warning('volume=%s cluster=%s not tidied up: %s',
                        key.volume_uuid, key.subsystem_nqn, exc)

    def _why(self, props: conn_props.ConnectionProperties) -> str:
        states = ', '.join(
            f'{controller.endpoint} {controller.state}' for controller
            in self._kernel.controllers(props.subsystem_nqn))
        found = self._kernel.find(props.key)
        seen = (f'{found.name} has {found.paths} usable paths and '
                f'{found.size} bytes' if found
                else 'the cluster does not show it to this host')
        if found and not found.has_node:
            seen += (f', but there is no {found.node}; does a container have '
                     'a /dev of its own?')
        return (f'volume {props.volume_uuid} did not appear within '
                f'{self._settings.connect_timeout:g} s: {seen}; connected: '
                f'{states or "nothing"}')

    def _judge(self, props: conn_props.ConnectionProperties,
               deadline: timing.Deadline) -> None:
        """Give up early where all nodes say that there is no such volume.

        :raises NotVisible: they do.
        """
        if deadline.elapsed() < self._settings.early_failure_timeout:
            return
        found = self._kernel.controllers(props.subsystem_nqn)
        nodes = max(len(props.nodes), len(props.nvme_endpoints))
        # One that cannot be asked might know it.
        if len(found) < nodes or not all(one.live for one in found):
            return
        try:
            unknown = any(
                set(self._root.active_namespaces(
                    one.name, props.subsystem_nqn))
                - self._kernel.numbers(one.name) for one in found)
        except (OSError, ValueError) as exc:
            LOG.debug('volume=%s cannot ask for it: %s',
                      props.volume_uuid, exc)
            return
        # Looked for last, since it may have come meanwhile.
        if unknown or self._kernel.find(props.key):
            return
        raise errors.NotVisible(
            f'volume {props.volume_uuid}: the cluster does not show it to '
            f'this host, on none of {len(found)} nodes; does it grant '
            f'access to {host.nqn()}?')

    def _rescan(self, subsystem_nqn: str) -> None:
        for controller in self._kernel.controllers(subsystem_nqn):
            if not controller.live:
                continue
            try:
                self._root.rescan_controller(controller.name, subsystem_nqn)
            except (OSError, ValueError) as exc:
                LOG.debug('%s cannot look for volumes: %s',
                          controller.name, exc)

    def disconnect(self, key: conn_props.VolumeKey,
                   flush: Callable[[str], None],
                   go_on: bool) -> exception.ExceptionChainer:
        """Have this host done with a volume. Idempotent.

        A volume that is not there any more is not waited for.

        :param flush: writes the buffers of a device node's device.
        :param go_on: whether errors are collected rather than raised.
        :returns: the errors, false if there were none.
        :raises InUse: a device is built upon it; nothing was done.
        :raises NoPath: its buffers cannot be written; nothing was done.
        :raises NotDeparted: what was to go is still there.
        """
        problems = exception.ExceptionChainer()
        began = time.monotonic()
        found = self._kernel.find(key)
        if found is not None:
            with problems.context(go_on, 'Volume %s: not flushed',
                                  key.volume_uuid):
                self._settle(found, flush)
        # To flush has a time of its own, and may take most of it.
        deadline = timing.Deadline.after(self._settings.disconnect_timeout)
        with problems.context(go_on, 'Volume %s: not disconnected',
                              key.volume_uuid):
            self._way.leave(key, deadline)
        self._way.tidy(began)
        return problems

    def _settle(self, found: sysfs.Namespace,
                flush: Callable[[str], None]) -> None:
        holders = self._kernel.holders(found.name)
        if holders:
            raise errors.InUse(
                f'{found.node} is in use by {", ".join(holders)}')
        if not found.paths:
            # A flush would wait until a path returns, if ever.
            raise errors.NoPath(
                f'{found.node} cannot be flushed: no path is usable')
        if found.has_node:
            flush(found.node)

    def extend(self, key: conn_props.VolumeKey) -> int:
        """Have the kernel know a volume's size as the array has it now.

        :returns: the size in bytes.
        :raises NotAttached: the volume is not on this host.
        :raises NotResized: the size did not arrive, or is not known.
        """
        deadline = timing.Deadline.after(self._settings.extend_timeout)
        with uevents.listen(self._kernel, key.wwid) as wake:
            name = self._present(key).name
            with ways.failing_as(errors.NotResized, f'volume '
                                 f'{key.volume_uuid}: its size is not known'):
                wanted = self._ask_size(name, deadline, wake)

            def arrived() -> int | None:
                return wanted if self._present(key).size == wanted else None

            if arrived():
                return wanted
            self._rescan(key.subsystem_nqn)
            try:
                return timing.wait_until(arrived, deadline, 'size', wake)
            except timing.TimedOut as exc:
                raise errors.NotResized(
                    f'volume {key.volume_uuid}: {name} has not become '
                    f'{wanted} bytes within '
                    f'{self._settings.extend_timeout:g} s') from exc

    def _ask_size(self, name: str, deadline: timing.Deadline,
                  wake: timing.Wake) -> int:
        """:returns: bytes, as the array says.

        :raises OSError: nobody could be asked before the deadline.
        """
        def ask() -> int | None:
            try:
                return self._root.namespace_size(name)
            except OSError as exc:
                # While the kernel takes note of a change, it may have no
                # path for a moment.
                if exc.errno != errno.EAGAIN:
                    raise
                return None

        try:
            return timing.wait_until(ask, deadline, 'size', wake)
        except timing.TimedOut as exc:
            raise OSError(errno.EAGAIN, 'no path is usable') from exc

    def _present(self, key: conn_props.VolumeKey) -> sysfs.Namespace:
        found = self._kernel.find(key)
        if found is None:
            raise errors.NotAttached(
                f'volume {key.volume_uuid} of {key.subsystem_nqn} is not on '
                'this host')
        return found

    def paths(self, key: conn_props.VolumeKey) -> list[str]:
        """:returns: path of the volume's device node, if it is here."""
        found = self._kernel.find(key)
        return [found.node] if found is not None and found.has_node else []


class _Arrival:
    """Looks whether a volume has come, and helps it along.

    :param rescan: has the kernel look for the volumes of a subsystem.
    :param judge: raises NotVisible if it is plain that it will not come.
    """

    def __init__(self, way: ways.Way,
                 props: conn_props.ConnectionProperties,
                 deadline: timing.Deadline,
                 rescan: Callable[[str], None],
                 judge: Callable[[conn_props.ConnectionProperties,
                                  timing.Deadline], None]) -> None:
        self._way = way
        self._props = props
        self._deadline = deadline
        self._rescan = rescan
        self._judge = judge
        self._rescan_at = RESCAN_AFTER

    def __call__(self) -> sysfs.Namespace | None:
        found = self._way.find(self._props.key, self._deadline)
        if found is not None and found.usable:
            return found
        self._way.tend(self._props, self._deadline)
        elapsed = self._deadline.elapsed()
        if elapsed >= self._rescan_at:
            self._rescan_at = 2 * elapsed
            self._rescan(self._props.subsystem_nqn)
        self._judge(self._props, self._deadline)
        return None
