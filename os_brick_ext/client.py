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
"""

from __future__ import annotations

import functools

from oslo_log import log as logging

from os_brick_ext import conn_props
from os_brick_ext import errors
from os_brick_ext import host
from os_brick_ext import probe
from os_brick_ext import settings
from os_brick_ext import sysfs
from os_brick_ext import timing
from os_brick_ext import ways

LOG = logging.getLogger(__name__)

METRICS = '/metrics'


class DiscoveryClient:
    """One file per volume tells the client which clusters to connect."""

    def __init__(self, kernel: sysfs.Sysfs, root: ways.Root,
                 chosen: settings.Settings) -> None:
        self._kernel = kernel
        self._root = root
        self._settings = chosen

    def available(self) -> bool:
        """:returns: whether the client answers."""
        return probe.http_ok(
            self._settings.discovery_address, self._settings.discovery_port,
            METRICS, self._settings.probe_timeout)

    def want(self, props: conn_props.ConnectionProperties,
             _deadline: timing.Deadline) -> ways.Undo | None:
        """Write the volume's file, or renew one that says something else.

        :returns: what removes it, if there was none.
        :raises NotReady: there is no host NQN, or the file cannot be written.
        """
        name = host.nqn()
        with ways.failing_as(errors.NotReady, 'the file for the discovery '
                             'client could not be written'):
            outcome = self._root.write_drop_in(
                props.volume_uuid, props.subsystem_nqn, name,
                [(node.address, node.port) for node in props.nodes])
        LOG.info('volume=%s cluster=%s file for the discovery client: %s',
                 props.volume_uuid, props.subsystem_nqn, outcome)
        return (functools.partial(self.leave, props.key)
                if outcome == 'created' else None)

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
        """Remove the volume's file.

        The block device stays until the array withdraws the volume, which
        Cinder asks it to do after this host is done.

        :raises NotDeparted: the file could not be removed.
        """
        with ways.failing_as(errors.NotDeparted, 'the file for the discovery '
                             'client could not be removed'):
            self._root.remove_drop_in(key.volume_uuid)

    def tidy(self, since: float) -> None:
        """Leave the connections to the client."""
