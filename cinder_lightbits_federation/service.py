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

from collections.abc import Iterable, Mapping
import os
from typing import Any
import weakref

from oslo_config import cfg
from oslo_log import log as logging

from cinder_lightbits_federation.audit.database import Database
from cinder_lightbits_federation.cinderdb import wanted_projects
from cinder_lightbits_federation.cinderlocks import get_lock
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation.drain.cloud import CinderCloud
from cinder_lightbits_federation.drain.cloud import connect_late
from cinder_lightbits_federation.drain.stock import Stock
from cinder_lightbits_federation.drain.work import Works
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation.jobs.runner import Handler
from cinder_lightbits_federation.jobs.runner import Runner
from cinder_lightbits_federation import loader
from cinder_lightbits_federation.memory import EndpointMemory
from cinder_lightbits_federation import records
from cinder_lightbits_federation.returning import audited
from cinder_lightbits_federation.returning import held_back
from cinder_lightbits_federation.returning import returning
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.sharing import applied
from cinder_lightbits_federation.sharing import lost_now
from cinder_lightbits_federation.sharing import Shared
from cinder_lightbits_federation.sharing import Strangers
from cinder_lightbits_federation.store.place import url_of
from cinder_lightbits_federation.store.reports import Report
from cinder_lightbits_federation.sweeper import Sweeper
from cinder_lightbits_federation.views import Use
from cinder_lightbits_federation.watcher import Watcher

LOG = logging.getLogger(__name__)

CONF = cfg.CONF

# Changed files are noticed within so many seconds.
WATCH_INTERVAL = 5.0


# Lock services, by the scheme of their URL, whose locks end at the host.
HOST_LOCKS = ('file', 'ipc', 'zake')


# Those that are started. oslo.config knows no way to take a hook back, so
# there is one for all, which holds on to none.
_STARTED: weakref.WeakSet[Service] = weakref.WeakSet()


def _mutated(conf: Any, fresh: Any) -> None:
    """Cinder was told to read its configuration again."""
    for service in tuple(_STARTED):
        service.look_now()


def memory_folder() -> str:
    """:returns: where the endpoints of clusters are kept."""
    return os.path.join(CONF.state_path, 'lightbits-federation')


def check_locks(allowed: bool) -> None:
    """See that the services of a cluster can exclude each other.

    :param allowed: locks of one host are accepted, with a warning.
    :raises InvalidSetting: the configured locks end at the host.
    """
    scheme = CONF.coordination.backend_url.partition(':')[0]
    if scheme not in HOST_LOCKS:
        return
    told = (f'{scheme}:// locks are seen by this host only, and this service '
            f'is one of a cluster')
    if not allowed:
        raise errors.InvalidSetting(
            'coordination', 'backend_url',
            f'{told}: name an etcd, Redis or ZooKeeper (or set '
            f'lightbits_allow_file_locks if no service of the cluster runs '
            f'on another host)')
    LOG.warning('[coordination] backend_url: %s. lightbits_allow_file_locks '
                'accepts that.', told)


class Service:
    """A federation that follows the configuration files.

    :param configuration: Cinder's, of the backend section.
    :param host: of the service, as in records.
    :param cluster_name: of the services that share this backend; None for
        one that serves it alone.
    :raises InvalidSetting: an option is wrong.
    :ivar cloud: openstacksdk's proxy of Cinder's API, from `start` on; None
        if ``lightbits_os_cloud`` names none.
    """

    def __init__(self, configuration: Any, host: str,
                 cluster_name: str | None) -> None:
        self._configuration = configuration
        self._host = host
        self._cluster_name = cluster_name
        # What the process was started with; they are watched and read anew.
        self._files = list(CONF.config_file or ())
        self._dirs = list(CONF.config_dir or ())
        if cluster_name:
            check_locks(bool(configuration.safe_get(
                'lightbits_allow_file_locks')))
        configured = self._load()
        self.shared = Shared(
            url_of(configuration, configuration.config_group,
                   CONF.state_path, bool(cluster_name)),
            configured.federation_id, cluster_name or host, host)
        # Before anything is read that may be in a format not known here.
        self.shared.formats.take_part(host)
        self.shared.freezing.look()
        seen = self.shared.look()
        settings = applied(configured, seen.states)
        self._waiting = seen.lost - lost_now(settings)
        self.federation = Federation(held_back(settings, self._waiting),
                                     get_lock,
                                     EndpointMemory(memory_folder()))
        self._check_times()
        self._watcher: Watcher | None = None
        self._runner: Runner | None = None
        self.cloud: Any = None
        self._sweeper = Sweeper(self._sweep, self.federation.golden.grown)

    def start(self) -> None:
        """Connect to the clusters and watch the files and the store."""
        self.federation.start()
        self._remember_lost(self.federation.settings)
        self._tell_lost()
        # What the others are told now is what was reached.
        registry = self.federation.registry
        self._watcher = Watcher(
            self._files, self._dirs,
            min(self.federation.settings.poll_interval, WATCH_INTERVAL),
            self._reload, self._exchange, registry.named_files)
        if self._waiting:
            # They serve when they have been audited, which may take long.
            self._watcher.look_now()
        self._watcher.start()
        self._sweeper.start()
        self.cloud = self._connect()
        _STARTED.add(self)
        CONF.register_mutate_hook(_mutated)

    def do_jobs(self, handlers: Mapping[str, Handler],
                finishers: Mapping[str, Handler]) -> None:
        """Do queued jobs from now on, those that move volumes as well.

        :param handlers: what does jobs of further kinds, see `Runner`.
        """
        self._runner = Runner(
            self.shared.desk, {**self._drains(), **handlers},
            paused=lambda: self.shared.freezing.frozen, finishers=finishers)
        self._runner.start()

    def stop(self) -> None:
        """End all threads and connections. Idempotent."""
        _STARTED.discard(self)
        if self._watcher is not None:
            self._watcher.stop()
        if self._runner is not None:
            self._runner.stop()
        self._sweeper.stop()
        self.federation.stop()
        self.shared.leave()

    def _sweep(self) -> None:
        """Remove golden images that nobody needs, if there are to be any."""
        if self.federation.settings.golden.enabled:
            self.federation.golden.sweep(wanted_projects())

    def _connect(self) -> Any:
        """:returns: Cinder's API, None if no cloud is named.

        :raises InvalidSetting: the named cloud cannot be used.
        """
        name = self._configuration.safe_get('lightbits_os_cloud')
        return connect_late(name) if name else None

    def _drains(self) -> Mapping[str, Handler]:
        """:returns: what moves volumes, if Cinder can be asked to."""
        if self.cloud is None:
            return {}
        works = Works(
            self.federation.registry,
            Stock(self._host, self._cluster_name, self.federation.settings,
                  self.federation.owner), self.shared.book)
        return works.handlers(CinderCloud(self.cloud, self._host,
                                          self._cluster_name))

    def _check_times(self) -> None:
        """Attach and detach are calls that somebody waits for."""
        limit = getattr(CONF, 'rpc_response_timeout', None)
        given = self.federation.settings.operation_timeout
        if limit is not None and given >= limit:
            LOG.warning('[%s] lightbits_operation_timeout (%s s) is not below '
                        'rpc_response_timeout (%s s): callers give up before '
                        'an operation does.',
                        self._configuration.config_group, given, limit)

    def _load(self, served: Iterable[Cluster] = ()) -> FederationSettings:
        return loader.load(
            self._configuration, self._configuration.config_group,
            self._host, bool(self._cluster_name), self._files, self._dirs,
            served=[cluster.settings for cluster in served])

    def _exchange(self) -> object:
        """Tell the other services what is known here, and hear them.

        :returns: something that differs when states have to be applied.
        """
        self.federation.golden.expire()
        registry = self.federation.registry
        stamp = self.shared.exchange(registry.clusters,
                                     self._report()).stamp
        self._bar(self.shared.strangers(registry.clusters))
        return stamp

    def _report(self) -> Report:
        placer = self.federation.placer
        return Report({view.name: view.reserved for view in placer.views()
                       if view.reserved}, placer.recollection.all())

    def _bar(self, strangers: Strangers) -> None:
        """Keep new volumes from clusters that some service is without."""
        registry = self.federation.registry
        before, registry.strangers = registry.strangers, strangers
        for name in strangers.keys() - before.keys():
            LOG.warning('Cluster %s gets no new volumes: %s do not know it.',
                        name, ', '.join(strangers[name]))
        for name in before.keys() - strangers.keys():
            LOG.info('Cluster %s is known to all live services.', name)

    def _reload(self) -> bool:
        """Apply what changed in the sections of the clusters, or was set.

        :returns: False while a cluster that was lost waits for its audit.
        """
        try:
            settings = applied(
                self._load(self.federation.registry.clusters),
                self.shared.seen.states)
        except errors.InvalidConfiguration as exc:
            LOG.error('The changed configuration is not applied: %s', exc)
            return True
        waiting = self._not_audited(settings)
        complete = self._remember_lost(settings) and not waiting
        self.federation.apply(held_back(settings, waiting))
        self._exchange()
        if complete:
            LOG.info('The configuration has changed and is applied.')
            self._tell_lost()
        return complete

    def _not_audited(self, settings: FederationSettings) -> list[str]:
        """Audit the clusters that come back from being lost.

        :returns: names of those that do not answer yet.
        """
        known = [cluster.settings
                 for cluster in self.federation.registry.clusters]
        ledger = Database(self._host, self._cluster_name,
                          settings.data_networks, settings.use_ip_acl)
        back = returning(known, settings.clusters, self.shared.seen.lost)
        return [item.name for item in back
                if not audited(settings, item, ledger)
                or not self._forget_lost(item.name)]

    def _forget_lost(self, name: str) -> bool:
        """:returns: False if nobody could note that it was audited."""
        try:
            self.shared.states.forget_lost(name)
        except errors.StoreUnavailable as exc:
            LOG.error('That cluster %s was audited cannot be noted: %s',
                      name, exc)
            return False
        return True

    def _remember_lost(self, settings: FederationSettings) -> bool:
        """Note which clusters are lost, for after a restart.

        :returns: False if that has to be done later.
        """
        try:
            for name in lost_now(settings) - self.shared.seen.lost:
                self.shared.states.remember_lost(name)
        except errors.StoreUnavailable as exc:
            LOG.error('That clusters are lost cannot be noted: %s', exc)
            return False
        return True

    def look_now(self) -> None:
        """Have the files looked at without waiting."""
        if self._watcher is not None:
            self._watcher.look_now()

    def _tell_lost(self) -> None:
        """Say which volumes a lost cluster takes with it."""
        for cluster in self.federation.registry.clusters:
            if not cluster.allows(Use.ASK) and cluster.uuid is not None:
                gone = records.volumes_on(self._host, self._cluster_name,
                                          cluster.uuid)
                LOG.warning('Cluster %s (%s) is declared lost, and with it '
                            '%d volumes: %s', cluster.name, cluster.uuid,
                            len(gone), ', '.join(gone) or 'none')
