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

"""Cinder's API by openstacksdk, for what an administrator may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import functools
from typing import Any

from keystoneauth1 import exceptions as auth_exceptions
import openstack
from openstack import exceptions

from cinder_lightbits_federation.drain.mover import CloudUnavailable
from cinder_lightbits_federation.drain.mover import MoveRefused
from cinder_lightbits_federation.drain.mover import Phase
from cinder_lightbits_federation import errors

# The first with clusters of services.
MICROVERSION = '3.16'
# Seconds that an answer may take, unless clouds.yaml says.
TIMEOUT = 60.0
# Answers that say nothing of the request: 429, and 5xx.
TOO_MANY, SERVER_ERROR = 429, 500
# Statuses of a volume that nobody can use because it is being migrated.
LOCKED = ('maintenance', 'retyping')
NOT_MOVING = (None, '', 'none', 'success', 'error')


def connect(cloud: str | None, **options: Any) -> Any:
    """Make a connection by ``clouds.yaml`` and the ``OS_*`` variables.

    :param cloud: name of the cloud; None for that of the environment.
    :returns: openstacksdk's proxy of the Block Storage service.
    :raises InvalidSetting: it cannot be made.
    """
    late = connect_late(cloud, **options)
    with told(functools.partial(_invalid, cloud)):
        return late.made()


def connect_late(cloud: str | None, **options: Any) -> LateProxy:
    """Make a connection likewise, which logs in when it is first used.

    Answers have a time in which they have to come: that of the options, of
    ``api_timeout`` in ``clouds.yaml``, or `TIMEOUT`.

    :raises InvalidSetting: it cannot be made, whoever answers.
    """
    with told(functools.partial(_invalid, cloud)):
        connection = openstack.connect(cloud=cloud, **options)
        if connection.config.config.get('api_timeout') is None:
            connection = openstack.connect(
                cloud=cloud, **{**options, 'api_timeout': TIMEOUT})
        return LateProxy(connection)


def _invalid(cloud: str | None, why: str) -> errors.InvalidSetting:
    return errors.InvalidSetting('cloud', cloud or 'OS_*', why)


class LateProxy:
    """openstacksdk's proxy of the Block Storage service, made when used.

    What its use raises is openstacksdk's, also if that is to log in.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def made(self) -> Any:
        """:returns: the proxy; logged in."""
        proxy = self._connection.block_storage
        proxy.default_microversion = (proxy.default_microversion
                                      or MICROVERSION)
        return proxy

    def __getattr__(self, name: str) -> Any:
        return getattr(self.made(), name)


class CinderCloud:
    """See `mover.Cloud`.

    :param proxy: from `connect`.
    :param host: ``host@backend``.
    :param cluster: ``cluster@backend`` of a clustered service, or None.
    """

    def __init__(self, proxy: Any, host: str, cluster: str | None) -> None:
        self._proxy = proxy
        # No pool: the driver chooses, and with a pool per cluster the
        # scheduler does.
        self._target = ({'cluster': cluster} if cluster
                        else {'host': host})

    def migrate(self, volume_id: str) -> None:
        """See `Cloud`. Users cannot change the volume until it has moved."""
        with told(MoveRefused, CloudUnavailable):
            self._proxy.migrate_volume(volume_id, lock_volume=True,
                                       **self._target)

    def phase(self, volume_id: str) -> Phase:
        """See `Cloud`."""
        with told(MoveRefused, CloudUnavailable):
            try:
                found = self._proxy.get_volume(volume_id)
            except exceptions.NotFoundException:
                return Phase.GONE
        return (Phase.AT_REST if found.migration_status in NOT_MOVING
                else Phase.MOVING)

    def forget_migration(self, volume_id: str) -> None:
        """See `Cloud`."""
        with told(MoveRefused, CloudUnavailable):
            # Whoever moved it without a lock may have let it be attached.
            locked = self._proxy.get_volume(volume_id).status in LOCKED
            self._proxy.reset_volume_status(
                volume_id, status='available' if locked else None,
                attach_status=None, migration_status='none')


@contextlib.contextmanager
def told(refusal: Callable[[str], Exception],
         unavailable: Callable[[str], Exception] | None = None
         ) -> Iterator[None]:
    """Tell what the client raises as an error of ours.

    :param refusal: makes it of the text.
    :param unavailable: likewise, of what may pass by itself; None if that
        is all the same.
    """
    try:
        yield
    except (exceptions.SDKException,
            auth_exceptions.ClientException) as exc:
        make = unavailable if _passes(exc) else None
        raise (make or refusal)(str(exc)) from exc


def _passes(exc: Exception) -> bool:
    """Whether an answer may be another one when asked again."""
    if isinstance(exc, (auth_exceptions.ConnectionError,
                        auth_exceptions.DiscoveryFailure,
                        exceptions.NotSupported,
                        exceptions.ServiceDiscoveryException)):
        return True
    # Of Cinder or of Keystone.
    status = getattr(exc, 'status_code', None) or getattr(
        exc, 'http_status', None)
    return isinstance(status, int) and (
        status == TOO_MANY or status >= SERVER_ERROR)
