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

"""Connecting through the vendor's discovery client.

The client holds the connections, for as long as it pleases. A volume comes
when the array shows it to this host, and goes when the array withdraws it.

What tells it of a cluster is a file for each volume, which several services
of a host may need at the same time. It goes with the last of them, see
:mod:`os_brick_ext.claims`.
"""

from __future__ import annotations

import contextlib
import functools
import os

from oslo_log import log as logging

from os_brick_ext import claims
from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import flights
from os_brick_ext import host
from os_brick_ext import locks
from os_brick_ext import probe
from os_brick_ext import settings
from os_brick_ext import sysfs
from os_brick_ext import timing
from os_brick_ext import ways

LOG = logging.getLogger(__name__)

METRICS = '/metrics'

_FLIGHTS = flights.Flights()
os.register_at_fork(after_in_child=_FLIGHTS.clear)


class DiscoveryClient:
    """One file per volume tells the client which clusters to connect.

    :param held: the locks of this host.
    """

    def __init__(self, kernel: sysfs.Sysfs, root: ways.Root,
                 held: locks.Locks, chosen: settings.Settings) -> None:
        self._kernel = kernel
        self._root = root
        self._settings = chosen
        self._claims = claims.Claims(chosen.lock_folder, held, kernel)

    def available(self) -> bool:
        """:returns: whether the client answers."""
        return probe.http_ok(
            self._settings.discovery_address, self._settings.discovery_port,
            METRICS, self._settings.probe_timeout)

    def want(self, props: conn_props.ConnectionProperties,
             _deadline: timing.Deadline) -> ways.Undo | None:
        """Claim a volume, and write its file or renew it.

        :returns: what removes the file, if there was none, and gives up the
            claim; None if there were both.
        :raises NotReady: there is no host NQN, or the file cannot be written.
        """
        name = host.nqn()
        mine = self._claims.mine(props.key)
        unclaim = (functools.partial(self._claims.drop, mine)
                   if self._claims.make(mine) else None)
        try:
            outcome = self._tell(props, name)
        except BaseException:
            if unclaim:
                unclaim()
            raise
        if outcome == 'created':
            return functools.partial(self.leave, props.key)
        return (lambda _deadline: unclaim()) if unclaim else None

    def _tell(self, props: conn_props.ConnectionProperties,
              name: str) -> str:
        """:returns: what became of the volume's file.

        :param name: the host's NQN.
        """
        with ways.failing_as(errors.NotReady, 'the file for the discovery '
                             'client could not be written'):
            outcome = self._root.write_drop_in(
                props.volume_uuid, props.subsystem_nqn, name,
                [(node.address, node.port) for node in props.nodes])
        LOG.info('volume=%s cluster=%s file for the discovery client: %s',
                 props.volume_uuid, props.subsystem_nqn, outcome)
        return outcome

    def tend(self, props: conn_props.ConnectionProperties,
             deadline: timing.Deadline) -> None:
        """Give up early where nothing is connected and the cause is plain.

        :raises NotVisible: it is.
        """
        if (deadline.elapsed() < self._settings.early_failure_timeout
                or self._kernel.connected(props.subsystem_nqn)):
            return
        raise errors.NotVisible(
            f'volume {props.volume_uuid}: {self._cause(props)}')

    def _cause(self, props: conn_props.ConnectionProperties) -> str:
        if not self._kernel.module_loaded('nvme_tcp'):
            return f'kernel module nvme_tcp is missing; {ways.LOAD_HINT}'
        if not self.available():
            return ('the discovery client does not answer at '
                    f'{self._settings.discovery_address} port '
                    f'{self._settings.discovery_port}')
        return ('the discovery client has connected nothing of '
                f'{props.subsystem_nqn}; are its discovery services '
                'reachable: '
                + ', '.join(conn_props.join_endpoint(node.address, node.port)
                            for node in props.nodes))

    def find(self, key: conn_props.VolumeKey,
             _deadline: timing.Deadline) -> sysfs.Namespace | None:
        """Look for a volume; nobody on this host takes connections away."""
        return self._kernel.find(key)

    def leave(self, key: conn_props.VolumeKey,
              deadline: timing.Deadline) -> None:
        """Remove the volume's file, unless another service needs it.

        The block device stays until the array withdraws the volume, which
        Cinder asks it to do after this host is done. The claim goes last, so
        that a file which is left by who dies before is not for ever.

        :raises NotDeparted: the file could not be removed.
        """
        others = self._claims.others(key)
        # Claims to a volume that has gone mean nothing.
        if not others or self._kernel.find(key) is None:
            with ways.failing_as(errors.NotDeparted, 'the file for the '
                                 'discovery client could not be removed'):
                self._root.remove_drop_in(key.volume_uuid)
            for claim in others:
                self._claims.drop(claim)
        self._claims.drop(self._claims.mine(key))

    def tidy(self, since: float) -> None:
        """Remove files of volumes that services had that died since.

        That is soon done, and the connections are left to the client. Those
        who come together do it once.
        """
        try:
            with contextlib.suppress(timing.TimedOut):
                _FLIGHTS.join(self._settings.lock_folder, self._tidy,
                              since, patience=0.0)
        except (errors.HostError, OSError, ValueError) as exc:
            LOG.warning('Files for the discovery client are left as they '
                        'are: %s', exc)

    def _tidy(self) -> None:
        self._kernel.look()
        self._claims.sweep(
            lambda claim: (not self._kernel.seen(claim.wwid)
                           and self._claims.gone(claim)),
            lambda claim: self._root.remove_drop_in(claim.volume))
