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

"""A driver as Cinder would start it, in front of simulated clusters.

Real: the configuration files, Cinder's database and objects, tooz locks, and
HTTPS to the simulator. Nothing of the driver is replaced.
"""

from collections.abc import Callable, Mapping
import dataclasses
import logging
import os
import pathlib
import tempfile
from typing import Any, TypeVar
import uuid as uuidlib

from cinder import context
from cinder import objects
from cinder.tests.unit import test
from cinder.tests.unit import utils
from cinder.volume import configuration
from cinder.volume import manager
from cinder.volume import volume_types
import fixtures
from oslo_config import cfg

from cinder_lightbits_federation import driver as lb_driver
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation import timing
from tests import replacing
from tests.simulator.control import SimCluster
from tests.simulator.control import Simulator

CONF = cfg.CONF

BACKEND = 'lightbits'
HOST = f'stor1@{BACKEND}'
FEDERATION_ID = '0d1c9d3e-6b0a-4d53-9f4e-2b7c0c5a1f10'
GIB = 1 << 30
PATIENCE = 30.0

T = TypeVar('T')


def nqn(number: int) -> str:
    """:returns: the NQN of a numbered host."""
    return f'nqn.2014-08.org.nvmexpress:uuid:{uuidlib.UUID(int=number)}'


def connector(number: int, *addresses: str) -> dict[str, Any]:
    """:returns: a connector as os-brick gives it, of a numbered host."""
    return {'nqn': nqn(number), 'host': f'compute{number}',
            'found_dsc': 'found',
            'host_ips': list(addresses) or [f'192.0.2.{number}']}


class NoRecord:
    """A record nobody else writes."""

    def record(self, location: object) -> None:
        """Take anything."""


class FederationTestCase(test.TestCase):
    """Three clusters and a driver in front of them."""

    # Locks are real ones, in files.
    MOCK_TOOZ = False
    CLUSTERS: tuple[str, ...] = ('east', 'west', 'north')
    NODES = 3

    def setUp(self) -> None:
        super().setUp()
        self.context = context.get_admin_context()
        self.folder = tempfile.mkdtemp()
        CONF.set_override('state_path', self.folder)
        self.unique = uuidlib.uuid4().hex[:8]
        self.arrays: dict[str, SimCluster] = {}
        for name in self.CLUSTERS:
            self.add_array(name)

    def add_array(self, name: str, **options: Any) -> SimCluster:
        """Start one more cluster for the time of this test."""
        array = Simulator.shared().add_cluster(
            f'{name}-{self.unique}', nodes=options.pop('nodes', self.NODES),
            **options)
        self.addCleanup(array.remove)
        self.arrays[name] = array
        return array

    def section(self, name: str, **changes: Any) -> dict[str, Any]:
        """The configuration section of a cluster; None drops an option."""
        array = self.arrays[name]
        section = {'api_endpoints': array.api_endpoints[0],
                   'cluster_uuid': array.uuid,
                   'tls_ca_file': array.ca_file,
                   'jwt': array.admin_token}
        section.update(changes)
        return {key: value for key, value in section.items()
                if value is not None}

    def sections(self) -> dict[str, dict[str, Any]]:
        """The sections of all clusters, by cluster name."""
        return {name: self.section(name) for name in self.arrays}

    def write_config(self, clusters: Mapping[str, Mapping[str, Any]],
                     **backend: Any) -> str:
        """Write a configuration file and have Cinder read it."""
        lines = [f'[{BACKEND}]']
        options: dict[str, Any] = {
            'volume_backend_name': BACKEND,
            'lightbits_federation_id': FEDERATION_ID,
            'lightbits_store_connection':
                f'sqlite:///{self.folder}/store.sqlite',
            'lightbits_default_num_replicas': min(3, self.NODES),
            'lightbits_api_timeout': 5, 'lightbits_connect_timeout': 10,
            'lightbits_operation_timeout': 10}
        options.update(backend)
        lines += [f'{key} = {value}' for key, value in options.items()
                  if value is not None]
        for name, section in clusters.items():
            lines.append(f'[lightbits_cluster:{name}]')
            lines += [f'{key} = {value}' for key, value in section.items()]
        path = os.path.join(self.folder, 'cinder.conf')
        replacing.replace(pathlib.Path(path), '\n'.join(lines) + '\n')
        CONF([], default_config_files=[path])
        return path

    def build_driver(self, clusters: Mapping[str, Mapping[str, Any]]
                     | None = None, cluster_name: str | None = None,
                     **backend: Any) -> lb_driver.LightbitsFederationDriver:
        """Make a driver as the volume manager does, not set up yet."""
        self.write_config(self.sections() if clusters is None else clusters,
                          **backend)
        return lb_driver.LightbitsFederationDriver(
            configuration=configuration.Configuration(
                manager.volume_backend_opts, config_group=BACKEND),
            host=HOST, cluster_name=cluster_name)

    def start_driver(self, clusters: Mapping[str, Mapping[str, Any]]
                     | None = None, **backend: Any
                     ) -> lb_driver.LightbitsFederationDriver:
        """Make a driver and set it up."""
        made = self.build_driver(clusters, **backend)
        made.do_setup(self.context)
        self.addCleanup(made.tear_down)
        made.check_for_setup_error()
        return made

    @staticmethod
    def hurry(drv: lb_driver.LightbitsFederationDriver, seconds: float
              ) -> None:
        """Give operations less time than the option can say."""
        registry = drv.federation.registry
        registry.settings = dataclasses.replace(
            registry.settings, operation_timeout=seconds)

    def logged(self, level: int = logging.INFO) -> fixtures.FakeLogger:
        """What is logged from now on."""
        log: fixtures.FakeLogger = self.useFixture(fixtures.FakeLogger(
            level=level, format='%(levelname)s %(message)s'))
        return log

    @staticmethod
    def wait(probe: Callable[[], T | None],
             last: Callable[[], object] | None = None) -> T:
        """Wait until `probe` answers something.

        :param last: tells what was seen last, should it never do so.
        """
        return timing.wait_until(probe, timing.Deadline.after(PATIENCE),
                                 'the test', last)

    # Cinder's records

    def volume(self, size: int = 1, **fields: Any) -> Any:
        """A volume record as it is when the driver is asked to make it."""
        specs = fields.pop('specs', None)
        fields['volume_type_id'] = (
            volume_types.get_default_volume_type(self.context)['id']
            if specs is None else self.volume_type(specs))
        fields.setdefault('host', f'{HOST}#federation')
        return utils.create_volume(self.context, size=size,
                                   status='creating', **fields)

    def volume_type(self, specs: Mapping[str, str]) -> str:
        """:returns: id of a new volume type with these extra specs."""
        made = volume_types.create(self.context, uuidlib.uuid4().hex,
                                   dict(specs))
        return str(made['id'])

    @staticmethod
    def saved(record: Any, update: Mapping[str, Any]) -> Any:
        """Save a model update as the manager does."""
        record.update(update)
        record.save()
        return record

    def made(self, drv: lb_driver.LightbitsFederationDriver, size: int = 1,
             **fields: Any) -> Any:
        """A volume that exists, on record and on a cluster."""
        record = self.volume(size, **fields)
        self.saved(record, drv.create_volume(record))
        record.status = 'available'
        record.save()
        return record

    def snapshot(self, volume: Any, **fields: Any) -> Any:
        """A snapshot record as it is when the driver is asked for it."""
        return utils.create_snapshot(self.context, volume.id,
                                     status='creating', **fields)

    def attachment(self, volume: Any, properties: Mapping[str, Any]) -> Any:
        """Record an attachment, as the manager does after connecting."""
        made = objects.VolumeAttachment(
            context=self.context, volume_id=volume.id,
            attach_status='attached', attached_host=properties['host'])
        made.create()
        made.connector = dict(properties)
        made.save()
        return made

    def attach(self, drv: lb_driver.LightbitsFederationDriver, volume: Any,
               properties: Mapping[str, Any]) -> Any:
        """Connect a host and record it."""
        drv.initialize_connection(volume, properties)
        return self.attachment(volume, properties)

    def reread(self, record: Any) -> Any:
        """The record as the database has it."""
        return type(record).get_by_id(self.context, record.id)

    # The arrays

    def on(self, record: Any) -> tuple[str, dict[str, Any]]:
        """Where a volume or snapshot really is.

        :returns: cluster name and the object as the array dumps it; fails
            when it is not on exactly one cluster.
        """
        found = self.everywhere(record.name)
        self.assertEqual(1, len(found), found)
        return found[0]

    def everywhere(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """All objects of a name that are not being deleted."""
        found = []
        for cluster, array in self.arrays.items():
            state = array.state()
            for item in [*state['volumes'], *state['snapshots']]:
                if item['name'] == name and item['state'] != 'Deleting':
                    found.append((cluster, item))
        return found

    @staticmethod
    def labels(found: Mapping[str, Any]) -> dict[str, str]:
        """The labels of a volume as the array dumps it."""
        return {item['key']: item['value']
                for item in found.get('labels') or ()}

    def location(self, record: Any) -> Location:
        """The location the database has."""
        return Location.parse(self.reread(record).provider_location)

    def reset_counters(self) -> None:
        """Start counting requests anew on all clusters."""
        for array in self.arrays.values():
            array.reset_counters()
