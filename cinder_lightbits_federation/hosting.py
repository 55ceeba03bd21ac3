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

"""Attaching volumes to the host that cinder-volume runs on, by os-brick."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
import logging
from typing import Any

from cinder.common import constants
from cinder.volume import volume_utils
from os_brick import exception as brick_exception

from cinder_lightbits_federation.access import HostAccess
from cinder_lightbits_federation.attachments import Attachment
from cinder_lightbits_federation import connection
from cinder_lightbits_federation.copy.devices import Device
from cinder_lightbits_federation.copy.devices import HELPER_FAILURES
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation import records
from cinder_lightbits_federation.settings import Network
from os_brick_ext import register

LOG = logging.getLogger(__name__)

_FAILURES = (brick_exception.BrickException, *HELPER_FAILURES, OSError)


def choose_connector(configuration: Any) -> None:
    """Have this process attach with ``os_brick_ext`` if that is configured.

    Idempotent. Else os-brick is left as it is: somebody else may have chosen.

    :param configuration: Cinder's, of the backend section.
    """
    if configuration.safe_get('lightbits_use_os_brick_ext'):
        register.register()
        LOG.info('os-brick attaches Lightbits volumes with %s',
                 register.OURS)


class HostAttacher:
    """Makes volumes devices of this host; a `copy.devices.Attacher`.

    Uses whichever connector os-brick has for the protocol, its own or the
    one of ``os_brick_ext``.

    :param configuration: Cinder's, of the backend section.
    :param networks: tells the networks that carry NVMe/TCP now.
    """

    def __init__(self, configuration: Any,
                 networks: Callable[[], Sequence[Network]]) -> None:
        self._configuration = configuration
        self._networks = networks

    def host(self) -> HostAccess:
        """See `Attacher.host`."""
        try:
            found = volume_utils.brick_get_connector_properties(
                self._option('use_multipath_for_image_xfer'),
                self._option('enforce_multipath_for_image_xfer'))
        except _FAILURES as exc:
            raise errors.Interrupted(
                f'os-brick cannot tell of this host: {exc}') from exc
        return records.host_of(found, self._networks())

    @contextlib.contextmanager
    def connected(self, attachment: Attachment) -> Iterator[Device]:
        """See `Attacher.connected`."""
        properties = connection.properties(attachment).to_dict()
        connector = volume_utils.brick_get_connector(
            constants.LIGHTOS,
            use_multipath=self._option('use_multipath_for_image_xfer'),
            device_scan_attempts=self._option('num_volume_device_scan_tries'),
            conn={'driver_volume_type': constants.LIGHTOS,
                  'data': properties})
        with _told('attached', attachment):
            device = connector.connect_volume(properties)

        def detach() -> None:
            with _told('detached', attachment):
                connector.disconnect_volume(properties, device)

        try:
            yield Device(str(device['path']), attachment.volume_uuid)
        except BaseException:
            # Why the body ended tells what becomes of the copy.
            try:
                detach()
            except errors.Interrupted as exc:
                LOG.warning('%s', exc)
            raise
        detach()

    def _option(self, name: str) -> Any:
        return self._configuration.safe_get(name)


@contextlib.contextmanager
def _told(what: str, attachment: Attachment) -> Iterator[None]:
    try:
        yield
    except _FAILURES as exc:
        raise errors.Interrupted(
            f'volume {attachment.volume_uuid} of cluster '
            f'{attachment.cluster} cannot be {what}: {exc}') from exc
