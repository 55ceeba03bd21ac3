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

"""Ending the connections that the kernel holds.

They end with the last volume of their cluster, unless somebody on this host
still needs it or waits for another one. What was left without a volume ends
while the next operation on the host goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterable
import contextlib
import functools
import os
import time

from oslo_log import log as logging

from os_brick_ext import claims
from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import flights
from os_brick_ext import locks
from os_brick_ext import parallel
from os_brick_ext import settings
from os_brick_ext import sysfs
from os_brick_ext import timing
from os_brick_ext import ways

LOG = logging.getLogger(__name__)

# How the subsystems of Lightbits clusters are called.
LIGHTBITS = 'nqn.2016-01.com.lightbitslabs:'
LEFT = 'Idle connections are left as they are: %s'

_FLIGHTS = flights.Flights()
os.register_at_fork(after_in_child=_FLIGHTS.clear)


class Leaving:
    """Has a host leave clusters; the other half of native connections.

    :param held: the locks of this host.
    """

    def __init__(self, kernel: sysfs.Sysfs, root: ways.Root,
                 held: locks.Locks, chosen: settings.Settings) -> None:
        self._kernel = kernel
        self._root = root
        self._locks = held
        self._settings = chosen
        self._claims = claims.Claims(chosen.lock_folder, held, kernel)

    def leave(self, key: conn_props.VolumeKey,
              deadline: timing.Deadline) -> None:
        """End the connections if nobody on this host needs them any more.

        Otherwise the block device stays until the array withdraws the
        volume, which Cinder asks it to do after this host is done. The claim
        goes last, so that who dies before is not taken for somebody else.

        :raises InUse: a device is built upon it; nothing was done.
        :raises NotDeparted: a connection or the block device is still there
            at the deadline.
        """
        # Without the lock first: many that leave need not take turns.
        if not self._needed(key):
            with self._locked(key.subsystem_nqn, deadline):
                self._unclaim(key)
                if not (self._needed(key) or self._awaited(
                        key.subsystem_nqn, but=key.volume_uuid)):
                    self._depart(key, deadline)
        self._claims.drop(self._claims.mine(key))

    def _needed(self, key: conn_props.VolumeKey) -> bool:
        """:returns: whether another volume or user needs the connections."""
        if self._kernel.has_others(key):
            return True
        # Claims to a volume that has gone mean nothing.
        return (bool(self._claims.others(key))
                and self._kernel.find(key) is not None)

    def _awaited(self, subsystem_nqn: str, but: str = '') -> bool:
        """:returns: whether somebody waits for a volume of a cluster.

        No volume of it is here, and its lock is held.

        :param but: a volume that does not count.
        """
        cluster = locks.digest(subsystem_nqn)
        return any(
            claim.cluster == cluster and claim.volume != but
            for claim in self._claims.sweep(
                lambda one: one.cluster == cluster and self._claims.gone(one)))

    def _depart(self, key: conn_props.VolumeKey,
                deadline: timing.Deadline) -> None:
        nqn = key.subsystem_nqn
        found = self._kernel.find(key)
        holders = self._kernel.holders(found.name) if found else []
        if holders:
            raise errors.InUse(f'volume {key.volume_uuid} is in use by '
                               f'{", ".join(holders)}')
        problems: dict[str, str] = {}
        for names in self._parted(key):
            problems |= self._end(names, nqn)
        # What could not be told to end may do so nevertheless.
        left = problems.keys() & {
            controller.name for controller in self._kernel.controllers(nqn)}
        if left:
            raise errors.NotDeparted(
                f'the connections to {nqn} could not be ended: '
                + '; '.join(f'{name}: {problems[name]}'
                            for name in sorted(left)))
        self._await_departure(key, deadline)

    def tidy(self, since: float) -> None:
        """End connections that serve no volume and that nobody awaits.

        Who disconnects several volumes before the array withdraws them
        leaves such. It is done in threads of its own, since a node that hangs
        may take minutes to leave: nobody waits for them, and a process that
        ends leaves the rest to the next operation on the host. Those who come
        together do it once.
        """
        self._aside(self._settings.lock_folder, self._tidy, since)

    def _aside(self, key: Hashable, act: Callable[[], None],
               since: float) -> None:
        """Have something tidied up while the caller goes on.

        :param key: the same for all who mean the same; what is under way, or
            was begun and done after `since`, is not done again.
        """
        def tidy() -> None:
            try:
                with contextlib.suppress(timing.TimedOut):
                    _FLIGHTS.join(key, act, since, patience=0.0)
            except (errors.HostError, OSError, ValueError) as exc:
                LOG.warning(LEFT, exc)
            except Exception:  # A thread's top: the next may do better.
                LOG.exception(LEFT, 'an error of this program')

        try:
            parallel.aside(tidy)
        except RuntimeError as exc:
            LOG.warning(LEFT, exc)

    def _tidy(self) -> None:
        # Each cluster in a thread of its own: others do not wait for one
        # that hangs, now or with the next operation.
        idle = (self._kernel.joined(conn_props.TCP)
                - self._kernel.subsystems())
        for nqn in idle:
            if nqn.startswith(LIGHTBITS):
                self._aside((self._settings.lock_folder, nqn),
                            functools.partial(self._end_idle, nqn),
                            time.monotonic())
        self._claims.sweep(lambda claim: not self._kernel.seen(claim.wwid)
                           and self._claims.gone(claim))

    def _end_idle(self, subsystem_nqn: str) -> None:
        """End the connections to a cluster, if they are idle.

        One that is being worked with is not.
        """
        with contextlib.suppress(errors.Busy), self._locked(
                subsystem_nqn, timing.Deadline.after(0.0)):
            if not (self._kernel.occupied(subsystem_nqn)
                    or self._awaited(subsystem_nqn)):
                self._end([controller.name for controller in
                           self._kernel.controllers(subsystem_nqn)],
                          subsystem_nqn)

    def _parted(self, key: conn_props.VolumeKey) -> tuple[set[str], set[str]]:
        """:returns: the controllers to end first, and those after them.

        The last are those that serve the volume. So whoever goes on after
        a process that died here can still write the volume's buffers.
        """
        found = self._kernel.find(key)
        serving = set(found.servers) if found else set()
        everything = {controller.name for controller
                      in self._kernel.controllers(key.subsystem_nqn)}
        return everything - serving, everything & serving

    def _end(self, names: Iterable[str],
             subsystem_nqn: str) -> dict[str, str]:
        """End controllers; one that cannot be ended holds up no other.

        :returns: which could not be, and why.
        """
        problems: dict[str, str] = {}

        def end(name: str) -> None:
            try:
                self._root.delete_controller(name, subsystem_nqn)
                LOG.info('cluster=%s disconnected %s', subsystem_nqn, name)
            except FileNotFoundError:
                pass
            except (OSError, ValueError) as exc:
                problems[name] = str(exc)
                LOG.warning('cluster=%s %s cannot be ended: %s',
                            subsystem_nqn, name, exc)

        parallel.each(end, names)
        return problems

    def _await_departure(self, key: conn_props.VolumeKey,
                         deadline: timing.Deadline) -> None:
        def gone() -> bool | None:
            here = (self._kernel.controllers(key.subsystem_nqn)
                    or self._kernel.find(key))
            return None if here else True

        try:
            timing.wait_until(gone, deadline, 'departure')
        except timing.TimedOut as exc:
            raise errors.NotDeparted(
                f'volume {key.volume_uuid}: still connected to '
                f'{key.subsystem_nqn}') from exc

    def _unclaim(self, key: conn_props.VolumeKey) -> None:
        """Drop what others have claimed, if the volume has gone.

        The locks of volume and cluster are held, so it does not go or come
        by what others do at the same time.
        """
        others = self._claims.others(key)
        if others and self._kernel.find(key) is None:
            for claim in others:
                self._claims.drop(claim)

    def _locked(self, subsystem_nqn: str, deadline: timing.Deadline,
                shared: bool = False
                ) -> contextlib.AbstractContextManager[None]:
        return self._locks.held(
            locks.of_cluster(subsystem_nqn), deadline, shared)
