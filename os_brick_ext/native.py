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

"""Connecting by the kernel alone.

A cluster shows a volume on the nodes that hold it, and those change: so the
host connects to every node and the kernel chooses among them. A volume's
node is connected once for all volumes of its cluster.

Two services of a host may use a cluster at the same time, and one may be
done with it while the other waits for its volume. So connections are made
and ended under a lock per cluster, and a volume that has appeared counts
only once it was seen under that lock: from then on nobody ends them. Before
that the claim to a volume keeps them, see :mod:`os_brick_ext.claims`.

Many volumes of a cluster may be wanted at the same moment by one service.
They have it connected once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
import contextlib
import errno
import functools
import os
import time

from oslo_log import log as logging

from os_brick_ext import absences
from os_brick_ext import claims
from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import flights
from os_brick_ext import host
from os_brick_ext import leaving
from os_brick_ext import nodes
from os_brick_ext import parallel
from os_brick_ext import probe
from os_brick_ext import sysfs
from os_brick_ext import timing
from os_brick_ext import ways

LOG = logging.getLogger(__name__)

# Seconds after which a node that nobody names and that does not work has
# left its cluster; less, and it may be about to return.
FORGET_AFTER = 24 * 3600.0
# Seconds that this may wait for others: the next one can do it as well.
FORGET_PATIENCE = 2.0

# What is wrong with addresses of a cluster, by address.
Problems = dict[str, str]

# Names and endpoints of controllers, by cluster.
_ABSENT: absences.Absences[tuple[str, str]] = absences.Absences()
_FLIGHTS = flights.Flights()
# What a thread of the parent was doing, nobody does in the child.
os.register_at_fork(after_in_child=_FLIGHTS.clear)


class Native(leaving.Leaving):
    """The kernel connects to all nodes of a cluster."""

    def available(self) -> bool:
        """:returns: whether the kernel can connect over a fabric."""
        return self._kernel.module_loaded('nvme_fabrics')

    def want(self, props: conn_props.ConnectionProperties,
             deadline: timing.Deadline) -> ways.Undo | None:
        """Claim a volume, and connect to the nodes that are not connected.

        Nodes that do not answer are passed over, as long as one does.

        :returns: what undoes it. A volume that was here stays: whoever uses
            it must keep it, whatever becomes of this.
        :raises Busy: others hold the cluster's lock until the deadline.
        :raises NotReady: a kernel module, NQN or host id is missing.
        :raises NotVisible: no node is connected.
        """
        here = self._kernel.find(props.key) is not None
        mine = self._claim(props.key, here, deadline)
        unclaim = functools.partial(self._claims.drop, mine) if mine else None
        try:
            self._want(props, deadline, deadline.started)
        except BaseException:
            if unclaim:
                unclaim()
            raise
        if not here:
            return functools.partial(self.leave, props.key)
        return (lambda _deadline: unclaim()) if unclaim else None

    def _claim(self, key: conn_props.VolumeKey, here: bool,
               deadline: timing.Deadline) -> claims.Claim | None:
        """:returns: this service's claim, if it had none."""
        if not here and self._claims.others(key):
            with self._locked(key.subsystem_nqn, deadline):
                self._unclaim(key)
        mine = self._claims.mine(key)
        return mine if self._claims.make(mine) else None

    def _want(self, props: conn_props.ConnectionProperties,
              deadline: timing.Deadline, since: float) -> None:
        """Have the cluster of a volume connected, once for all who want it.

        :param since: what was begun and done after that is not done again,
            in seconds of monotonic time.
        """
        try:
            connected, problems = _FLIGHTS.join(
                (self._settings.lock_folder, props.subsystem_nqn, props.nodes,
                 props.nvme_endpoints), lambda: self._reach(props, deadline),
                since, deadline.remaining())
        except (errors.Busy, timing.TimedOut) as exc:
            if not deadline.expired():
                # Another thread did it, which had less time.
                self._want(props, deadline, time.monotonic())
                return
            if isinstance(exc, errors.Busy):
                raise
            raise errors.NotVisible(
                f'volume {props.volume_uuid}: the connections to '
                f'{props.subsystem_nqn} are not made yet: {exc}') from exc
        if not connected:
            raise errors.NotVisible(
                f'volume {props.volume_uuid}: no node of '
                f'{props.subsystem_nqn} could be connected: '
                f'{_listed(problems)}')

    def _reach(self, props: conn_props.ConnectionProperties,
               deadline: timing.Deadline) -> tuple[bool, Problems]:
        """Connect to a cluster; which volume it is for does not matter.

        :returns: whether a node is connected, and which are not, and why.
        :raises Busy: others hold the cluster's lock until the deadline.
        :raises NotReady: a kernel module, NQN or host id is missing.
        :raises TimedOut: no node is connected, and the time is over.
        """
        nqn = props.subsystem_nqn
        problems: Problems = {}
        if (props.nvme_endpoints and set(props.nvme_endpoints)
                == self._kernel.endpoints(nqn).keys()):
            # Nothing is missing, and nothing there that should not be.
            self._lasting(nqn, ())
            return True, problems
        if not self.available():
            raise errors.NotReady(
                f'kernel module nvme_fabrics is missing; {ways.LOAD_HINT}')
        identity = host.identity()
        known, answering = self._located(props, identity, deadline, problems)
        if answering:
            with self._locked(nqn, deadline):
                parallel.each(lambda endpoint: self._connect(
                    endpoint, nqn, identity, problems),
                    answering - self._connected(nqn))
        for endpoint, why in sorted(problems.items()):
            LOG.warning('cluster=%s cannot use %s: %s', nqn, endpoint, why)
        if not self._kernel.connected(nqn):
            if deadline.expired():
                raise timing.TimedOut(_listed(problems) or nqn)
            return False, problems
        self._forget(nqn, known)
        return True, problems

    def _forget(self, subsystem_nqn: str, known: set[str]) -> None:
        """End connections to nodes that have left the cluster.

        The kernel would try to reach them for ever, and keep what it saw
        there last: block devices of volumes that were withdrawn since.

        :param known: where the cluster's nodes are. Services keep what they
            were told, and discovery services leave out a node that is
            starting: so only what has not worked for long is ended, and
            nothing if nothing known works.
        """
        if not self._departed(subsystem_nqn, known):
            return
        with contextlib.suppress(errors.Busy), self._locked(
                subsystem_nqn, timing.Deadline.after(FORGET_PATIENCE)):
            # Not those that another service was just about to make.
            self._end(self._departed(subsystem_nqn, known), subsystem_nqn)

    def _departed(self, subsystem_nqn: str, known: set[str]) -> list[str]:
        """:returns: controllers of nodes that have left, as it seems."""
        found = self._kernel.controllers(subsystem_nqn)
        serving = any(controller.live and controller.endpoint in known
                      for controller in found)
        return self._lasting(subsystem_nqn, [
            (controller.name, controller.endpoint) for controller in found
            if serving and not controller.live
            and controller.endpoint not in known])

    def _lasting(self, subsystem_nqn: str,
                 missing: Iterable[tuple[str, str]]) -> list[str]:
        """:returns: those that each look has found missing for long."""
        place = self._settings.lock_folder, subsystem_nqn
        return [name for name, _endpoint in _ABSENT.lasting(
            place, missing, FORGET_AFTER)]

    def _connected(self, subsystem_nqn: str) -> set[str]:
        return set(self._kernel.endpoints(subsystem_nqn))

    def _located(self, props: conn_props.ConnectionProperties,
                 identity: host.Identity, deadline: timing.Deadline,
                 problems: Problems) -> tuple[set[str], set[str]]:
        """Find out where the nodes of the cluster are.

        Services keep what they were told when they attached a volume, and
        the cluster may have other nodes by now: where one of those does not
        answer, discovery services are asked.

        :param problems: takes up what does not answer, and why.
        :returns: where they are, as far as known, and which of them are to
            be connected.
        """
        connected = self._connected(props.subsystem_nqn)
        known = set(props.nvme_endpoints)
        answering = self._answering(known - connected, problems)
        if known and not problems:
            return known, answering
        found = nodes.Discovery(
            self._root, self._settings.probe_timeout).endpoints(
                props, identity, deadline, problems)
        return known | found, answering | self._answering(
            found - known - connected, problems)

    def _answering(self, endpoints: set[str],
                   problems: Problems) -> set[str]:
        """:returns: those that begin to talk.

        The kernel would take its time with the others, and hold up what
        else is asked of it.
        """
        def ask(endpoint: str) -> None:
            address, port = conn_props.split_endpoint(endpoint, 'endpoint')
            why = probe.speaks_nvme(
                address, port, self._settings.probe_timeout)
            if why is not None:
                problems[endpoint] = why

        parallel.each(ask, endpoints)
        return endpoints - problems.keys()

    def _connect(self, endpoint: str, subsystem_nqn: str,
                 identity: host.Identity, problems: Problems) -> None:
        address, port = conn_props.split_endpoint(endpoint, 'endpoint')
        try:
            name = self._root.connect_controller(
                address, port, subsystem_nqn, identity.nqn, identity.host_id)
        except (OSError, ValueError) as exc:
            problem = getattr(exc, 'errno', None)
            if problem == errno.EIO:
                # What the kernel makes of any refusal of the other side.
                problems[endpoint] = (
                    f'{exc}; does the cluster grant access to '
                    f'{identity.nqn}?')
            elif (problem == errno.EINVAL
                  and not self._kernel.module_loaded('nvme_tcp')):
                # The kernel looks for the module itself, and found none.
                problems[endpoint] = (
                    f'kernel module nvme_tcp is missing; {ways.LOAD_HINT}')
            elif problem == errno.EINVAL:
                # Without the option that it does not like, if it is that.
                problems[endpoint] = (
                    f"{exc}; the kernel's log says why; it does not take a "
                    'host NQN with two ids: is any connection of '
                    f'{identity.nqn} there with another than '
                    f'{identity.host_id}?')
            elif problem != errno.EALREADY:
                problems[endpoint] = str(exc)
            # Else somebody was faster, maybe an administrator.
            return
        LOG.info('cluster=%s connected %s as %s',
                 subsystem_nqn, endpoint, name)

    def tend(self, props: conn_props.ConnectionProperties,
             deadline: timing.Deadline) -> None:
        """Connect again if another service has ended the connections.

        :raises Busy: others hold the cluster's lock until the deadline.
        :raises NotReady: a kernel module has gone.
        :raises NotVisible: no node can be connected any more.
        """
        if not self._kernel.connected(props.subsystem_nqn):
            self._want(props, deadline, time.monotonic())

    def find(self, key: conn_props.VolumeKey,
             deadline: timing.Deadline) -> sysfs.Namespace | None:
        """Look for a volume, while nobody disconnects.

        Where there is certainly none, that needs no lock.

        :raises Busy: somebody did so until the deadline.
        """
        if not self._kernel.may_have(key):
            return None
        with self._locked(key.subsystem_nqn, deadline, shared=True):
            return self._kernel.find(key)


def _listed(problems: Problems) -> str:
    return '; '.join(
        f'{endpoint}: {why}' for endpoint, why in sorted(problems.items()))
