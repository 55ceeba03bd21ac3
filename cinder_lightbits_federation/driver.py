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

"""The Cinder volume driver: unpacks, delegates, translates errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import contextlib
import dataclasses
import functools
from typing import Any

from cinder.common import constants
from cinder import coordination
from cinder import interface
from cinder.volume import configuration
from cinder.volume import driver
from cinder.volume import volume_utils
from oslo_config import cfg
from oslo_log import log as logging

from cinder_lightbits_federation import access
from cinder_lightbits_federation import admission
from cinder_lightbits_federation import attached
from cinder_lightbits_federation import connection
from cinder_lightbits_federation import errors
from cinder_lightbits_federation.exception import told_as
from cinder_lightbits_federation.exception import translated
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation import hosting
from cinder_lightbits_federation import images
from cinder_lightbits_federation import jobbing
from cinder_lightbits_federation.jobs.claims import Desk
from cinder_lightbits_federation import locks
from cinder_lightbits_federation import manageable
from cinder_lightbits_federation.options import backend_opts
from cinder_lightbits_federation import records
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.service import Service
from cinder_lightbits_federation.settings import PoolMode
from cinder_lightbits_federation.sizes import gib_to_bytes
from cinder_lightbits_federation.spec import ClusterPin
from cinder_lightbits_federation.spec import SPEC_HELP
from cinder_lightbits_federation import statistics

LOG = logging.getLogger(__name__)

CONF = cfg.CONF
CONF.register_opts(backend_opts, group=configuration.SHARED_CONF_GROUP)

ModelUpdate = dict[str, str]

# Cinder deletes the record of a volume that it has failed to take over
# (cinder/volume/api.py, delete).
NOT_MANAGED = 'error_managing_deleting'

# Statistics wait this long for clusters whose last sample is old.
STATS_PATIENCE = 2.0


@interface.volumedriver
class LightbitsFederationDriver(manageable.ManageableMixin,
                                jobbing.JobsMixin, images.ImagesMixin,
                                driver.VolumeDriver):
    """One backend over any number of Lightbits clusters.

    Version history:

    .. code-block:: none

        1.0.0 - First version.
    """

    VERSION = '1.0.0'
    CI_WIKI_NAME = 'LightbitsFederation_CI'
    SUPPORTS_ACTIVE_ACTIVE = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(backend_opts)
        # Nothing that lives in threads or sockets: the launcher forks after
        # this and calls do_setup in the child.
        self._service: Service | None = None

    @staticmethod
    def get_driver_options() -> list[cfg.Opt]:
        """:returns: the options of the backend section."""
        return backend_opts

    @property
    def federation(self) -> Federation:
        """The use cases; exists from `do_setup` on."""
        return self._running.federation

    @property
    def desk(self) -> Desk:
        """The jobs of this process, likewise."""
        return self._running.shared.desk

    @property
    def cloud(self) -> Any:
        """Cinder's API, likewise; None if none is configured."""
        return self._running.cloud

    @property
    def _running(self) -> Service:
        if self._service is None:
            raise told_as(errors.FederationError(
                'the driver is not set up; see the log of its start'))
        return self._service

    # Life

    def do_setup(self, context: Any) -> None:
        """Read the configuration and connect to the clusters.

        Succeeds while clusters are down. Called again after a failure.
        """
        self.tear_down()
        with translated(), contextlib.ExitStack() as undo:
            self._service = service = Service(
                self.configuration, self.host or CONF.host,
                self.cluster_name)
            undo.callback(self.tear_down)
            service.start()
            self.federation.golden.copy = self.master_copies().make
            hosting.choose_connector(self.configuration)
            service.do_jobs(self.handlers(), self.finishers())
            undo.pop_all()

    def tear_down(self) -> None:
        """End what `do_setup` has started. Idempotent.

        Cinder does not call it when a service stops
        (cinder/volume/manager.py), so nothing may depend on it.
        """
        if self._service is not None:
            self._service.stop()
        self._service = None

    def check_for_setup_error(self) -> None:
        """Nothing more: `do_setup` refuses what is wrong."""

    # Volumes

    def create_volume(self, volume: Any) -> ModelUpdate:
        """Make an empty volume on the best cluster."""
        with translated(volume.id):
            return self._made(volume, self.federation.create_volume(
                self._request(volume)))

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any
                                    ) -> ModelUpdate:
        """Make a thin clone of a snapshot, on the snapshot's cluster."""
        with translated(volume.id, snapshot.id):
            request = self._copy_request(volume)
            ref = records.snapshot_ref(snapshot, self._project)
            return self._made(volume, self.clone_elsewhere(
                volume, request, lambda: self.federation.finder.snapshot(
                    ref, self.federation.deadline())) or (
                self.federation.create_from_snapshot(request, ref)))

    def create_cloned_volume(self, volume: Any, src_vref: Any
                             ) -> ModelUpdate:
        """Make a thin clone of a volume, on that volume's cluster."""
        with translated(src_vref.id):
            request, ref = self._copy_request(volume), self._ref(src_vref)
            return self._made(volume, self.clone_elsewhere(
                volume, request, lambda: self.federation.finder.volume(
                    ref, self.federation.deadline())) or (
                self.federation.clone_volume(request, ref)))

    def delete_volume(self, volume: Any) -> None:
        """Delete a volume, if what is there is proven to be it.

        Cinder cleans up after a failed attempt *after* it has sent the next
        one on its way; the record then has no host, and only what this
        attempt has made is deleted. A volume that Cinder has failed to take
        over was not made by it and stays, owned by nobody.
        """
        with translated(volume.id):
            ref = self._ref(volume)
            if volume.status == NOT_MANAGED:
                self.federation.manage.release_volume(
                    ref, self.federation.deadline())
            elif volume.host:
                self.abandon_copies(volume)
                self.federation.delete_volume(ref)
            elif ref.location is not None:
                self.federation.delete_volume(
                    ref, attempt=ref.location.maker)

    def extend_volume(self, volume: Any, new_size: int) -> None:
        """Grow a volume to `new_size` GiB, attached or not."""
        with translated(volume.id):
            self.federation.extend_volume(self._ref(volume),
                                          gib_to_bytes(new_size))

    def update_migrated_volume(self, ctxt: Any, volume: Any,
                               new_volume: Any, original_volume_status: str
                               ) -> dict[str, Any]:
        """Leave it to Cinder, on purpose.

        Cinder then gives the volume the ``_name_id`` and the location of the
        new data, which belong together: a location counts only for the
        ``name_id`` it was written for (cinder/volume/manager.py,
        update_migrated_volume).

        :raises NotImplementedError: always.
        """
        raise NotImplementedError

    # Snapshots

    def create_snapshot(self, snapshot: Any) -> ModelUpdate:
        """Take a snapshot on the cluster of its volume."""
        with translated(snapshot.volume_id):
            return records.model_update(self.federation.snapshots.create(
                self.marked(records.snapshot_ref(snapshot, self._project),
                            snapshot), records.LocationRecord(snapshot),
                self.federation.deadline()))

    def delete_snapshot(self, snapshot: Any) -> None:
        """Delete a snapshot, if what is there is proven to be it."""
        with translated(snapshot.volume_id, snapshot.id):
            self.federation.snapshots.delete(
                records.snapshot_ref(snapshot, self._project),
                self.federation.deadline())

    def revert_to_snapshot(self, context: Any, volume: Any, snapshot: Any
                           ) -> None:
        """Point a volume back to a snapshot; it keeps its size."""
        with translated(volume.id, snapshot.id):
            self.federation.reverter.revert(
                self._ref(volume),
                records.snapshot_ref(snapshot, self._project),
                gib_to_bytes(volume.size), self.federation.deadline())

    # Access

    def validate_connector(self, connector: Mapping[str, Any]) -> None:
        """Refuse a host early that no volume could be attached to."""
        with translated():
            settings = self.federation.settings
            host = records.host_of(connector, settings.data_networks)
            if settings.use_ip_acl and not host.addresses:
                raise access.NoUsableAddress(host)

    def initialize_connection(self, volume: Any,
                              connector: Mapping[str, Any], **kwargs: Any
                              ) -> dict[str, Any]:
        """Admit a host to a volume and tell it where the volume is.

        :param kwargs: initiator data, which this driver keeps none of.
        """
        with translated(volume.id):
            networks = self.federation.settings.data_networks
            host = records.host_of(connector, networks)
            present = attached.attachments_of(volume.id)
            with admission.recorded(
                    present, connector, functools.partial(
                        self.terminate_connection, volume, connector)):
                attachment = self.federation.attachments.attach(
                    self._ref(volume), host,
                    attached.hosts(present, networks),
                    self.federation.deadline())
        return {'driver_volume_type': constants.LIGHTOS,
                'data': connection.properties(attachment).to_dict()}

    def terminate_connection(self, volume: Any,
                             connector: Mapping[str, Any] | None,
                             **kwargs: Any) -> bool:
        """Take a host's access away unless it has the volume twice.

        :param connector: None or without NQN, with ``force``: take every
            host's access away.
        :returns: whether the host still uses the volume.
        """
        with translated(volume.id):
            if not connector or not connector.get('nqn'):
                self._terminate_all(volume, bool(kwargs.get('force')))
                return False
            networks = self.federation.settings.data_networks
            host = records.host_of(connector, networks)
            ref, deadline = self._ref(volume), self.federation.deadline()
            twice, others = attached.others(volume, host, networks)
            if not twice:
                self.federation.attachments.detach(ref, host, others,
                                                   deadline)
                twice, others = attached.others(volume, host, networks)
                if not twice:
                    return False
                # Attached once more while it was on its way out.
                self.federation.attachments.attach(ref, host, others,
                                                   deadline)
            LOG.info('Volume %s on cluster %s stays attached to host %s.',
                     volume.id, ref.cluster_uuid, host.host)
            return True

    def _terminate_all(self, volume: Any, force: bool) -> None:
        if not force:
            raise access.InvalidHost('nqn', '')
        self.federation.attachments.detach_all(self._ref(volume),
                                               self.federation.deadline())

    @classmethod
    def clean_volume_file_locks(cls, volume_id: str) -> None:
        """Remove the lock file of a volume that is gone."""
        coordination.synchronized_remove(locks.snapshots_of(volume_id))

    def ensure_export(self, context: Any, volume: Any) -> None:
        """Nothing to do: access is kept on the array."""

    def create_export(self, context: Any, volume: Any, connector: Any
                      ) -> None:
        """Nothing to do: a volume is exported as it is made."""

    def remove_export(self, context: Any, volume: Any) -> None:
        """Nothing to do: access goes with the connection."""

    # Figures

    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        """What is known now; never raises and never waits for long.

        Cinder asks after every delete, so clusters are not asked: their
        keepers do that all the time.
        """
        self._stats = {
            'volume_backend_name': self.configuration.safe_get(
                'volume_backend_name') or self.configuration.config_group,
            'vendor_name': 'Lightbits',
            'driver_version': self.VERSION,
            'storage_protocol': constants.LIGHTOS,
            'pools': [] if self._service is None else self._pools(),
        }
        return self._stats

    def _pools(self) -> list[dict[str, Any]]:
        settings = self.federation.settings
        views = self.federation.views(settings.poll_interval * 2,
                                      STATS_PATIENCE)
        functions = {'filter_function': self.get_filter_function(),
                     'goodness_function': self.get_goodness_function()}
        ratio = self.configuration.safe_get('max_over_subscription_ratio')
        return [{**pool, **functions}
                for pool in statistics.pools(views, settings, ratio)]

    def update_provider_info(self, volumes: Iterable[Any],
                             snapshots: Iterable[Any]
                             ) -> tuple[list[ModelUpdate],
                                        list[ModelUpdate]]:
        """Put right ``provider_id`` where it does not say where data is.

        Cinder copies it along when it migrates a volume. Costs no call.
        Snapshots are never copied like that.
        """
        return records.restamped(volumes), []

    def get_default_filter_function(self) -> str:
        """:returns: refuses what no single cluster has room for."""
        return statistics.default_filter(
            self.federation.settings.default_replicas)

    def get_default_goodness_function(self) -> str:
        """:returns: how far the pool is from being promised away."""
        return statistics.DEFAULT_GOODNESS

    def get_pool(self, volume: Any) -> str:
        """:returns: the pool that a volume is in, by the record of it."""
        if self.federation.settings.pools is not PoolMode.CLUSTER:
            return statistics.FEDERATION_POOL
        with translated(volume.id):
            return self.federation.cluster_of(self._ref(volume))

    def _init_vendor_properties(self) -> tuple[dict[str, Any], str]:
        properties: dict[str, Any] = {}
        for item in SPEC_HELP:
            if not item.vendor:
                continue
            limits = {'minimum': item.minimum, 'maximum': item.maximum,
                      'enum': list(item.allowed) or None}
            self._set_property(
                properties, item.key, item.title, item.description,
                item.type, **{key: value for key, value in limits.items()
                              if value is not None})
        return properties, 'lightos'

    # Inside

    @property
    def _project(self) -> str:
        return self.federation.settings.project

    def _ref(self, volume: Any) -> VolumeRef:
        return records.volume_ref(volume, self._project)

    def _copy_request(self, volume: Any) -> CreateRequest:
        """The request for a copy of something that is on a cluster already.

        A temporary copy of Cinder's own (backup, upload, revert) stays with
        its source, whatever the type says.
        """
        request = self._request(volume)
        if volume.use_quota:
            return request
        return dataclasses.replace(request, spec=dataclasses.replace(
            request.spec, clusters=ClusterPin()))

    def _request(self, volume: Any) -> CreateRequest:
        spec = records.spec_of(volume)
        return CreateRequest(
            ref=self.marked(records.volume_ref(volume, self._project, spec),
                            volume),
            size=gib_to_bytes(volume.size), spec=spec,
            recorder=records.LocationRecord(volume),
            only=self._pool_cluster(volume),
            exclude=records.migration_source(volume),
            spread=records.spread(volume, spec.spread_group))

    def _pool_cluster(self, volume: Any) -> str | None:
        """With a pool per cluster the scheduler's choice is obeyed."""
        if self.federation.settings.pools is not PoolMode.CLUSTER:
            return None
        name = volume_utils.extract_host(volume.host, 'pool')
        # A migration may name the backend alone.
        return name and self.federation.registry.uuid_of(name)

    @staticmethod
    def _made(volume: Any, created: Any) -> ModelUpdate:
        LOG.info('Volume %s is on cluster %s.', volume.id, created.cluster)
        return records.model_update(created.location)
