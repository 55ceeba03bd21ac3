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

"""A driver on a real Cinder database, without services around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import os
import pathlib
import tempfile
from typing import Any
import uuid as uuidlib

from cinder.common import config as _cinder_config  # noqa: F401 (options)
from cinder import context
from cinder import coordination
from cinder.db import api as db_api
from cinder.db import migration
from cinder import objects
from cinder.volume import configuration
from cinder.volume import manager
from cinder.volume import volume_types
from oslo_config import cfg

from cinder_lightbits_federation.driver import LightbitsFederationDriver
from tests.simulator.control import SimCluster
from tests.simulator.control import Simulator
from tests.stack import daemons
from tests.stack import mariadb

CONF = cfg.CONF
BACKEND = 'bench'
HOST = f'bench@{BACKEND}#federation'
#: Connections to the database that are kept: one for each in flight.
POOL = 64
#: How often everything is measured, unless told otherwise.
REPETITIONS = 5
QUICK_REPETITIONS = 3
FEDERATION_ID = str(uuidlib.UUID(int=0xbe7c))


def connector(number: int) -> dict[str, Any]:
    """:returns: connector properties of a numbered host."""
    return {'nqn': f'nqn.2014-08.org.nvmexpress:uuid:'
                   f'{uuidlib.UUID(int=number)}',
            'host': f'compute{number}', 'host_ips': [f'192.0.2.{number}'],
            'found_dsc': 'found'}


class Environment:
    """Simulated clusters and Cinder's database; makes drivers and records.

    :param folder: for the database, locks and the configuration.
    :param simulator: where clusters are made; None if they are elsewhere.
    :param repetitions: how often to measure everything.
    :param database: URL of an empty database; None for a file in `folder`.
    """

    def __init__(self, folder: str, simulator: Simulator | None,
                 repetitions: int = REPETITIONS,
                 database: str | None = None) -> None:
        self.folder = folder
        self.repetitions = repetitions
        self._simulator = simulator
        # Writers to a file wait longer for each other than 5 s, the default.
        self._database = (
            database or f'sqlite:///{folder}/cinder.db?timeout=60')
        self.context: Any = None
        self.arrays: dict[str, SimCluster] = {}
        self._sections: dict[str, Mapping[str, Any]] = {}

    @property
    def simulator(self) -> Simulator:
        """Where clusters are made."""
        assert self._simulator is not None
        return self._simulator

    def prepare(self) -> None:
        """Make the database."""
        self.configure({})
        objects.register_all()
        migration.db_sync()
        engine = db_api.get_engine()
        with contextlib.ExitStack() as stack:
            # None is opened while something is timed.
            for _number in range(POOL):
                stack.enter_context(engine.connect())
        self.context = context.get_admin_context()
        coordination.COORDINATOR.start()

    @property
    def database(self) -> str:
        """What keeps Cinder's records, and of which version."""
        dialect: Any = db_api.get_engine().dialect
        name = ('MariaDB' if getattr(dialect, 'is_mariadb', False)
                else dialect.name)
        return f'{name} {".".join(map(str, dialect.server_version_info))}'

    @contextlib.contextmanager
    def clusters(self, *names: str, nodes: int = 3
                 ) -> Iterator[dict[str, SimCluster]]:
        """Simulated clusters of these names, for a while."""
        self.arrays = {name: self.simulator.add_cluster(name, nodes)
                       for name in names}
        try:
            yield self.arrays
        finally:
            for name, array in self.arrays.items():
                array.remove()
                self._sections.pop(f'lightbits_cluster:{name}', None)
            self.arrays = {}

    @contextlib.contextmanager
    def driver(self, **backend: Any) -> Iterator[LightbitsFederationDriver]:
        """A driver in front of all clusters, set up."""
        made = self.build_driver(**backend)
        made.do_setup(self.context)
        try:
            yield made
        finally:
            made.tear_down()

    def build_driver(self, **backend: Any) -> LightbitsFederationDriver:
        """A driver in front of all clusters, not set up."""
        options = {'lightbits_federation_id': FEDERATION_ID, **backend}
        self.configure({BACKEND: options, **{
            f'lightbits_cluster:{name}': {
                'api_endpoints': array.api_endpoints[0],
                'cluster_uuid': array.uuid, 'tls_ca_file': array.ca_file,
                'jwt': array.token()}
            for name, array in self.arrays.items()}})
        return LightbitsFederationDriver(
            configuration=configuration.Configuration(
                manager.volume_backend_opts, config_group=BACKEND), host=HOST)

    def configure(self, sections: Mapping[str, Mapping[str, Any]]) -> None:
        """Let Cinder read these sections, and those of before."""
        self._sections.update(sections)
        path = os.path.join(self.folder, 'cinder.conf')
        text = ''.join(_section(name, options) for name, options
                       in {**self._base(), **self._sections}.items())
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        CONF([], project='cinder', default_config_files=[path],
             default_config_dirs=[])

    def _base(self) -> dict[str, Mapping[str, Any]]:
        return {
            'DEFAULT': {'state_path': self.folder},
            'database': {'connection': self._database,
                         'max_pool_size': POOL,
                         'sqlite_synchronous': False},
            'coordination': {'backend_url': f'file://{self.folder}/locks'}}

    def volume_type(self, **extra_specs: str) -> str:
        """:returns: id of a new volume type."""
        made = volume_types.create(self.context, str(uuidlib.uuid4()),
                                   extra_specs)
        return str(made.id)

    def volume(self, size: int = 1, type_id: str | None = None) -> Any:
        """A volume record of `size` GiB that is being created.

        Loaded as Cinder's service loads it.
        """
        made = objects.Volume(
            context=self.context, size=size, host=HOST, status='creating',
            project_id='bench', user_id='bench', attach_status='detached',
            availability_zone='nova', volume_type_id=type_id)
        made.create()
        return objects.Volume.get_by_id(self.context, made.id)

    def snapshot(self, volume: Any) -> Any:
        """A snapshot record that is being created."""
        made = objects.Snapshot(
            context=self.context, volume_id=volume.id, status='creating',
            project_id='bench', user_id='bench', volume_size=volume.size)
        made.create()
        made.volume.obj_load_attr('metadata')  # As the service's is by then.
        return made

    def attachment(self, volume: Any, properties: Mapping[str, Any]) -> Any:
        """The record of a connected host."""
        made = objects.VolumeAttachment(
            context=self.context, volume_id=volume.id,
            attach_status='attached', attached_host=properties['host'])
        made.create()
        made.connector = dict(properties)
        made.save()
        return made


def saved(record: Any, update: Mapping[str, Any]) -> Any:
    """Save a model update as the volume manager does."""
    record.update(update)
    record.save()
    return record


def _section(name: str, options: Mapping[str, Any]) -> str:
    lines = [f'[{name}]'] + [f'{key} = {value}'
                             for key, value in options.items()]
    return '\n'.join(lines) + '\n'


@contextlib.contextmanager
def _database(folder: str) -> Iterator[str]:
    """A MariaDB with files in `folder`: its URL."""
    guard = daemons.Guard()
    try:
        server = mariadb.MariaDb(pathlib.Path(folder) / 'mariadb', guard)
        server.prepare()
        server.daemon.start()
        try:
            yield server.url
        finally:
            server.daemon.stop()
    finally:
        guard.close()


@contextlib.contextmanager
def environment(repetitions: int = REPETITIONS) -> Iterator[Environment]:
    """An environment in a folder of its own, cleaned up afterwards.

    Cinder's database is what operators have, with as many connections.

    :param repetitions: how often to measure everything.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        simulator = Simulator.start()
        stack.callback(simulator.stop)
        made = Environment(folder, simulator, repetitions,
                           stack.enter_context(_database(folder)))
        made.prepare()
        yield made
