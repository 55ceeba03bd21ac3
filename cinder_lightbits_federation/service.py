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

"""What lives as long as the driver is set up: federation and watch."""

from __future__ import annotations

from typing import Any

from cinder import coordination
from oslo_config import cfg
from oslo_log import log as logging

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation import loader
from cinder_lightbits_federation import records
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.views import Use
from cinder_lightbits_federation.watcher import Watcher

LOG = logging.getLogger(__name__)

CONF = cfg.CONF

# Changed files are noticed within so many seconds.
WATCH_INTERVAL = 5.0


def _get_lock(name: str) -> Any:
    return coordination.COORDINATOR.get_lock(name)


class Service:
    """A federation that follows the configuration files.

    :param configuration: Cinder's, of the backend section.
    :param host: of the service, as in records.
    :param clustered: whether several hosts serve this backend.
    :raises InvalidSetting: an option of the backend section is wrong.
    """

    def __init__(self, configuration: Any, host: str, clustered: bool
                 ) -> None:
        self._configuration = configuration
        self._host = host
        self._clustered = clustered
        self.federation = Federation(self._load(), _get_lock)
        self._check_times()
        self._watcher = Watcher(
            *self._files(),
            min(self.federation.settings.poll_interval, WATCH_INTERVAL),
            self._reload)

    def start(self) -> None:
        """Connect to the clusters and watch the files."""
        self.federation.start()
        self._tell_lost()
        self._watcher.start()
        CONF.register_mutate_hook(self._mutated)

    def stop(self) -> None:
        """End all threads and connections. Idempotent."""
        self._watcher.stop()
        self.federation.stop()

    def _check_times(self) -> None:
        """Attach and detach are calls that somebody waits for."""
        limit = getattr(CONF, 'rpc_response_timeout', None)
        given = self.federation.settings.operation_timeout
        if limit is not None and given >= limit:
            LOG.warning('[%s] lightbits_operation_timeout (%s s) is not below '
                        'rpc_response_timeout (%s s): callers give up before '
                        'an operation does.',
                        self._configuration.config_group, given, limit)

    @staticmethod
    def _files() -> tuple[list[str], list[str]]:
        return list(CONF.config_file or ()), list(CONF.config_dir or ())

    def _load(self) -> FederationSettings:
        return loader.load(
            self._configuration, self._configuration.config_group,
            self._host, self._clustered, *self._files())

    def _reload(self) -> None:
        """Apply what changed in the sections of the clusters."""
        try:
            settings = self._load()
        except errors.InvalidSetting as exc:
            LOG.error('The changed configuration is not applied: %s', exc)
            return
        LOG.info('The configuration has changed and is applied.')
        self.federation.apply(settings)
        self._tell_lost()

    def _mutated(self, conf: Any, fresh: Any) -> None:
        """Cinder was told to read its configuration again."""
        self._watcher.look_now()

    def _tell_lost(self) -> None:
        """Say which volumes a lost cluster takes with it."""
        for cluster in self.federation.registry.clusters:
            if not cluster.allows(Use.ASK) and cluster.uuid is not None:
                gone = records.volumes_on(self._host, cluster.uuid)
                LOG.warning('Cluster %s (%s) is declared lost, and with it '
                            '%d volumes: %s', cluster.name, cluster.uuid,
                            len(gone), ', '.join(gone) or 'none')
