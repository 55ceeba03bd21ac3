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

"""What commands work with: configuration, clusters and records.

The configuration is read as ``cinder-volume`` reads it, by the same code.
Nothing is connected before a command asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import logging
import tempfile

from oslo_config import cfg

from cinder_lightbits_federation.audit.database import Database
from cinder_lightbits_federation.cli import backends
from cinder_lightbits_federation.cli import dropins
from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cluster import Cluster
from cinder_lightbits_federation import errors
from cinder_lightbits_federation import loader
from cinder_lightbits_federation.memory import EndpointMemory
from cinder_lightbits_federation.ownership import Owner
from cinder_lightbits_federation.registry import Registry
from cinder_lightbits_federation.sections import cluster_settings
from cinder_lightbits_federation.sections import ClusterSections
from cinder_lightbits_federation.service import memory_folder
from cinder_lightbits_federation.settings import ClusterSettings
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.sharing import applied
from cinder_lightbits_federation.sharing import here
from cinder_lightbits_federation.sharing import Shared
from cinder_lightbits_federation.spec import is_uuid
from cinder_lightbits_federation.store.place import url_of
from cinder_lightbits_federation.timing import Deadline
from cinder_lightbits_federation.views import Use

LOG = logging.getLogger(__name__)

CONF = cfg.CONF

# Declared where they are read by Cinder (cinder/cmd/volume.py), which cannot
# be imported without starting to be a service.
SERVICE_OPTS = (cfg.StrOpt('cluster'), cfg.StrOpt('backend_host'))


@dataclasses.dataclass(frozen=True, slots=True)
class Arguments:
    """The options that all commands have.

    :param files: configuration files; none means Cinder's own places.
    :param backend: name of the backend section; None for the only one.
    :param host: of the service, without the backend; None as configured.
    :param timeout: seconds to wait for one answer of a cluster.
    :param connect_timeout: seconds to wait for a connection.
    """

    files: Sequence[str] = ()
    dirs: Sequence[str] = ()
    backend: str | None = None
    host: str | None = None
    timeout: float = 60.0
    connect_timeout: float = 5.0


class Session:
    """One run of the command.

    :raises UsageError: the configuration cannot be read.
    """

    def __init__(self, arguments: Arguments) -> None:
        #: What it was made of; another process can make the same.
        self.arguments = arguments
        backends.read(arguments.files, arguments.dirs)
        self._service = cfg.ConfigOpts()
        self._service(args=[], default_config_files=self.files,
                      default_config_dirs=self.dirs)
        self._registry: Registry | None = None

    @property
    def files(self) -> list[str]:
        """The configuration files of the service."""
        return list(CONF.config_file or ())

    @property
    def dirs(self) -> list[str]:
        """Its folders with more of them."""
        return list(CONF.config_dir or ())

    @functools.cached_property
    def backend(self) -> str:
        """Name of the backend section."""
        return self.arguments.backend or backends.only()

    @functools.cached_property
    def host(self) -> str:
        """``host@backend``, as records have it without the pool."""
        host = (self.arguments.host or self._option('backend_host')
                or CONF.host)
        return f'{host}@{self.backend}'

    @functools.cached_property
    def cluster_name(self) -> str | None:
        """``cluster@backend`` of a clustered service, else None."""
        name = (self._option('cluster', 'DEFAULT') or '').strip()
        return f'{name}@{self.backend}' if name else None

    @functools.cached_property
    def settings(self) -> FederationSettings:
        """The backend's settings, with the times of this command.

        States that were set at run time are in it; while they cannot be
        read, those that were read last.

        :raises UsageError: an option is wrong, or a file cannot be read.
        """
        return self._applied(self.configured)

    def _applied(self, found: FederationSettings) -> FederationSettings:
        """:returns: settings with the states that were set at run time."""
        shared = self.shared
        try:
            if not shared.missing:
                shared.look()
        except errors.StoreUnavailable as exc:
            LOG.warning('States that were set at run time and not read '
                        'before are not known: %s', exc)
        return applied(found, shared.seen.states)

    def heard(self) -> object:
        """Read what services share.

        :returns: something that differs when a state has been set or reset
            since, for which a `reload` is due. The same as before while the
            store is away.
        """
        return self.shared.listen().stamp

    @functools.cached_property
    def shared(self) -> Shared:
        """What the services share; nothing was read yet.

        :raises UsageError: the option for it is wrong.
        """
        try:
            url = url_of(backends.configuration_of(self.backend),
                         self.backend, CONF.state_path,
                         self.cluster_name is not None)
        except errors.InvalidSetting as exc:
            raise UsageError(str(exc)) from exc
        return Shared(url, self.configured.federation_id,
                      self.cluster_name or self.host,
                      f'{here()} (command)')

    @functools.cached_property
    def configured(self) -> FederationSettings:
        """The backend's settings, as the files have them.

        :raises UsageError: an option is wrong, or a file cannot be read.
        """
        return self._read()

    def _read(self) -> FederationSettings:
        """:raises UsageError: an option is wrong, or a file unreadable.

        :returns: the backend's settings, as the files have them now.
        """
        try:
            found = loader.load(
                backends.configuration_of(self.backend), self.backend,
                self.host, self.cluster_name is not None, self.files,
                self.dirs, empty=True)
        except errors.InvalidConfiguration as exc:
            raise UsageError(str(exc)) from exc
        return dataclasses.replace(found, clusters=tuple(
            self._timed(item) for item in found.clusters))

    @functools.cached_property
    def sections(self) -> ClusterSections:
        """The sections of clusters, as the files have them."""
        return ClusterSections(self.files, self.dirs)

    def candidate(self, name: str, options: Mapping[str, str]
                  ) -> ClusterSettings:
        """Read options as if they were the section of a cluster.

        :raises UsageError: one is wrong.
        """
        with tempfile.NamedTemporaryFile('w', encoding='utf-8',
                                         suffix='.conf') as file:
            file.write(dropins.render(name, options))
            file.flush()
            try:
                found = cluster_settings(
                    backends.configuration_of(self.backend),
                    ClusterSections([file.name], []), name)
            except errors.InvalidSetting as exc:
                raise UsageError(str(exc)) from exc
        return self._timed(found)

    @functools.cached_property
    def drop_ins(self) -> dropins.DropIns:
        """Where the files of clusters are."""
        sample = self.files[0] if self.files else None
        return dropins.DropIns(self.dirs, sample)

    @functools.cached_property
    def owner(self) -> Owner:
        """This cloud, as objects are marked."""
        return Owner(self.settings.federation_id)

    @functools.cached_property
    def database(self) -> Database:
        """Cinder's records of the backend."""
        return Database(self.host, self.cluster_name,
                        self.settings.data_networks,
                        self.settings.use_ip_acl)

    @property
    def registry(self) -> Registry:
        """The clusters; none was asked anything yet."""
        if self._registry is None:
            self._registry = Registry(
                self.settings, EndpointMemory(memory_folder(), False))
            for item in self._registry.broken:
                LOG.warning('Cluster %s is not used: %s', item.name,
                            item.problem)
        return self._registry

    def connect(self) -> Registry:
        """Look at all clusters that may be asked, at once.

        :returns: the clusters; those that are silent say why.
        """
        self.registry.refresh(
            [cluster for cluster in self.registry.clusters
             if cluster.allows(Use.ASK)], 0.0, self.deadline())
        return self.registry

    def reload(self) -> None:
        """Read the sections of the clusters again and apply the changes.

        Whoever uses this session meanwhile finds all as it was before.

        :raises UsageError: an option is wrong, or a file cannot be read; all
            stays as it was.
        """
        configured = self._read()
        settings = self._applied(configured)
        self.__dict__.update(configured=configured, settings=settings)
        self.registry.apply(settings)

    def deadline(self) -> Deadline:
        """:returns: until when one answer is waited for."""
        return Deadline.after(self.arguments.timeout)

    def cluster(self, name: str) -> Cluster:
        """Find a cluster by its name or its UUID.

        Clusters are asked for UUIDs that no section has.

        :raises UsageError: there is none.
        """
        found = self._called(name)
        if found is None and is_uuid(name):
            self.connect()
            found = self._called(name)
        if found is not None:
            return found
        broken = {item.name: str(item.problem)
                  for item in self.registry.broken}
        if name in broken:
            raise UsageError(f'cluster {name} is not used: {broken[name]}')
        known = ', '.join(item.name for item in self.registry.clusters)
        raise UsageError(f'no cluster {name!r}; known are: {known}')

    def declared(self, name: str) -> ClusterSettings:
        """Find a cluster of the files by its name or its UUID.

        A UUID that no section has is that which services have told, or
        clusters are asked for it.

        :raises UsageError: there is none.
        """
        known = {item.name: item for item in self.configured.clusters}
        if name not in known:
            uuids = {item.client.expected_uuid: item.name
                     for item in self.configured.clusters}
            called = uuids.get(name.lower())
            if called is None and is_uuid(name):
                called = self._told().get(name.lower())
            name = called or self.cluster(name).name
        return known[name]

    def uuid_of(self, item: ClusterSettings) -> str:
        """:returns: UUID of a cluster of the files; may be empty.

        It is the section's, or that which all live services have told.
        """
        told = {service.clusters[item.name].uuid
                for service in self.shared.services.all()
                if service.alive and item.name in service.clusters} - {''}
        return item.client.expected_uuid or (
            told.pop() if len(told) == 1 else '')

    def close(self) -> None:
        """Close all connections. Idempotent."""
        if 'shared' in self.__dict__:
            self.shared.close()
        if self._registry is not None:
            self._registry.stop()
        self._registry = None

    def _called(self, name: str) -> Cluster | None:
        for cluster in self.registry.clusters:
            if cluster.name == name or cluster.uuid == name.lower():
                return cluster
        return None

    def _told(self) -> dict[str, str]:
        """:returns: names of clusters here, by the UUIDs services know."""
        mine = {item.name for item in self.configured.clusters}
        return {known.uuid: name for service in self.shared.services.all()
                for name, known in service.clusters.items() if name in mine}

    def _timed(self, item: ClusterSettings) -> ClusterSettings:
        return dataclasses.replace(item, client=dataclasses.replace(
            item.client, api_timeout=self.arguments.timeout,
            connect_timeout=self.arguments.connect_timeout))

    def _option(self, name: str, group: str | None = None) -> str | None:
        """Read an option that only the service itself declares."""
        group = group or self.backend
        self._service.register_opts(SERVICE_OPTS, group=group)
        found: str | None = self._service[group][name]
        return found
