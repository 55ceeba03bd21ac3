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

"""The DevStack plugin, phase by phase, over a stand-in for DevStack."""

from collections.abc import Mapping
import pathlib
import subprocess
import sys

import fixtures
from oslotest import base

from cinder_lightbits_federation.lightbits import client
from cinder_lightbits_federation import loader
from cinder_lightbits_federation import options
from cinder_lightbits_federation.settings import FederationSettings
from cinder_lightbits_federation.views import AdminState
from tests.devstack_stand_in import stand_in
from tests.rules import source
from tests.unit.test_loader import Backend

FEDERATION_ID = '7b1ce1f8-0f3f-4f8e-9a53-8d2f3c1f6a11'
PRINT = 'ab' * 32


class PluginTestCase(base.BaseTestCase):
    """Runs the plugin in a temporary folder."""

    #: What it runs in.
    kind: type[stand_in.StandIn] = stand_in.StandIn

    def machine(self, **settings: object) -> stand_in.StandIn:
        """:returns: a machine whose ``localrc`` sets these variables."""
        found = self.kind(
            self.useFixture(fixtures.TempDir()).path, settings)
        self.addCleanup(found.kill)
        return found

    def simulated(self, clusters: str = 'east,west', **settings: object
                  ) -> stand_in.StandIn:
        """:returns: a machine with simulated clusters of two nodes."""
        base_port = stand_in.free_ports(100 * len(clusters.split(',')))
        return self.machine(
            LIGHTBITS_SIMULATOR='True', LIGHTBITS_CLUSTERS=clusters,
            LIGHTBITS_SIMULATOR_NODES=2,
            LIGHTBITS_SIMULATOR_BASE_PORT=base_port,
            LIGHTBITS_SIMULATOR_CONTROL_PORT=base_port + 99, **settings)

    def real(self, **settings: object) -> stand_in.StandIn:
        """:returns: a machine with clusters that the settings describe."""
        return self.machine(**{
            'LIGHTBITS_CLUSTERS': 'east,west',
            'LIGHTBITS_FEDERATION_ID': FEDERATION_ID,
            'LIGHTBITS_CLUSTER_east_api_endpoints': '192.0.2.11, 192.0.2.12',
            'LIGHTBITS_CLUSTER_east_tls_fingerprints': PRINT,
            'LIGHTBITS_CLUSTER_west_api_endpoints': '[2001:db8::21]:443',
            'LIGHTBITS_CLUSTER_west_tls_fingerprints': PRINT, **settings})

    def succeed(self, machine: stand_in.StandIn, *modes: str) -> str:
        """Run the modes in turn; :returns: what the last one printed."""
        output = ''
        for mode in modes:
            done = machine.run(mode)
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)
            output = done.stdout
        return output

    def refused(self, machine: stand_in.StandIn) -> str:
        """:returns: why stacking ended."""
        done = machine.run('stack')
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)
        return done.stderr

    def load(self, machine: stand_in.StandIn, section: str = 'lightbits'
             ) -> FederationSettings:
        """:returns: what the driver reads of the written configuration."""
        path = machine.cinder_conf
        found = loader.load(Backend(str(path), section), section, 'a-host',
                            True, [str(path)], [])
        self.assertEqual((), found.broken)
        return found


class SimulatedTestCase(PluginTestCase):
    """``LIGHTBITS_SIMULATOR=True``"""

    #: Lines of ``cinder.conf`` that unstacking leaves with any backend.
    OF_DEVSTACK = ('enabled_backends', 'default_volume_type')

    def uuids(self, settings: FederationSettings) -> Mapping[str, str]:
        """:returns: the UUID that each cluster itself tells."""
        found = {}
        for item in settings.clusters:
            connection = client.LightbitsClient(item.client, item.tokens)
            self.addCleanup(connection.close)
            found[item.name] = connection.cluster_info('default').uuid
        return found

    def test_clusters_answer_to_the_written_configuration(self) -> None:
        machine = self.simulated(LIGHTBITS_BACKEND_reserved_percentage=7)
        self.succeed(machine, 'stack')
        settings = self.load(machine)
        self.assertEqual([2, 2], [len(item.client.seeds)
                                  for item in settings.clusters])
        self.assertEqual(7, settings.policy.reserved_percentage)
        found = self.uuids(settings)
        self.assertEqual({'east', 'west'}, set(found))
        self.assertEqual(2, len(set(found.values())))
        backend = machine.section('cinder/cinder.conf', 'lightbits')
        self.assertEqual('lightbits', backend['volume_backend_name'])
        self.assertEqual(
            'lightbits', machine.section(
                'cinder/cinder.conf', 'DEFAULT')['enabled_backends'])

    def test_state_is_private(self) -> None:
        machine = self.simulated('east')
        self.succeed(machine, 'stack')
        folder = machine.folder / 'data' / 'lightbits-simulator'
        self.assertEqual(0o700, folder.stat().st_mode & 0o777)
        token = folder / 'east.system.jwt'
        self.assertEqual(0o600, token.stat().st_mode & 0o777)

    def test_what_is_installed(self) -> None:
        machine = self.simulated('east')
        self.succeed(machine, 'stack')
        self.assertEqual([
            f'setup_develop {source.ROOT}',
            'pip_install httptools uvloop'], machine.calls())

    def lines(self, machine: stand_in.StandIn) -> list[str]:
        """:returns: those of ``cinder.conf`` that are no random key."""
        text = machine.cinder_conf.read_text(encoding='utf-8')
        return [line for line in text.splitlines()
                if not line.startswith('fixed_key')]

    def test_stacking_twice(self) -> None:
        machine = self.simulated()
        self.succeed(machine, 'stack')
        first = self.lines(machine)
        types = machine.volume_types()
        processes = machine.processes()
        self.succeed(machine, 'stack')
        self.assertEqual(first, self.lines(machine))
        self.assertEqual(types, machine.volume_types())
        self.assertEqual(processes, machine.processes())
        self.uuids(self.load(machine))

    def test_volume_types(self) -> None:
        machine = self.simulated()
        self.succeed(machine, 'stack')
        self.assertEqual({
            f'lightbits-{name}': {'volume_backend_name=lightbits',
                                  f'lightos:cluster={name}'}
            for name in ('east', 'west')}, machine.volume_types())

    def test_options_of_simulated_clusters(self) -> None:
        machine = self.simulated(LIGHTBITS_CLUSTER_west_admin_state='disabled')
        self.succeed(machine, 'stack')
        states = {item.name: item.admin_state
                  for item in self.load(machine).clusters}
        self.assertEqual({'east': AdminState.ENABLED,
                          'west': AdminState.DISABLED}, states)

    def test_tempest_is_told_that_volumes_have_no_data(self) -> None:
        machine = self.simulated('east')
        self.succeed(machine, 'stack')
        features = machine.section('tempest.conf', 'volume-feature-enabled')
        self.assertEqual(('True', 'False'), (features['volume_revert'],
                                             features['backup']))
        self.assertEqual(
            {'glance': 'False', 'nova': 'False'},
            machine.section('tempest.conf', 'service_available'))

    def test_unstack_leaves_nothing(self) -> None:
        machine = self.simulated(
            'east', LIGHTBITS_ACTIVE_ACTIVE='True',
            LIGHTBITS_OS_BRICK_EXT='True')
        self.succeed(machine, 'stack')
        running = machine.processes()
        self.assertEqual({'lightbits-sim', 'c-vol-lightbits'}, set(running))
        for _again in range(2):
            self.succeed(machine, 'unstack')
            self.assert_nothing_left(machine, running)

    def test_clean_leaves_nothing(self) -> None:
        machine = self.simulated('east')
        self.succeed(machine, 'stack')
        running = machine.processes()
        self.succeed(machine, 'clean')
        self.assert_nothing_left(machine, running)
        self.succeed(machine, 'clean')

    def assert_nothing_left(self, machine: stand_in.StandIn,
                            running: Mapping[str, int]) -> None:
        self.assertEqual([], list(machine.left()))
        self.assertEqual({}, machine.processes())
        for pid in running.values():
            self.assertFalse(_is_running(pid), f'{pid} still runs')
        for path in (machine.folder / 'etc').rglob('*.conf'):
            if path.is_file() and path.name != 'tempest.conf':
                lines = path.read_text(encoding='utf-8').splitlines()
                self.assertEqual([], [
                    f'{path}: {line}' for line in lines
                    if ('lightbits' in line or 'os_brick_ext' in line)
                    and not line.startswith(self.OF_DEVSTACK)])

    def test_without_a_volume_service(self) -> None:
        machine = self.simulated('east', ENABLED_SERVICES='n-cpu,c-sch')
        self.succeed(machine, 'stack')
        self.assertEqual({}, machine.processes())
        self.succeed(machine, 'unstack', 'clean')

    def test_without_cinder(self) -> None:
        machine = self.simulated('east', ENABLED_SERVICES='n-cpu')
        self.succeed(machine, 'stack', 'unstack', 'clean')
        self.assertEqual([], machine.calls())


class RealTestCase(PluginTestCase):
    """``LIGHTBITS_CLUSTERS`` and a variable for each option."""

    def test_sections_have_what_variables_say(self) -> None:
        machine = self.real(
            LIGHTBITS_CLUSTER_west_project_map='default:cinder',
            LIGHTBITS_BACKEND_lightbits_data_networks='192.0.2.0/24, ::/0')
        self.succeed(machine, 'stack')
        settings = self.load(machine)
        self.assertEqual(FEDERATION_ID, settings.federation_id)
        self.assertEqual(
            {'east': ['192.0.2.11:443', '192.0.2.12:443'],
             'west': ['[2001:db8::21]:443']},
            {item.name: [str(seed) for seed in item.client.seeds]
             for item in settings.clusters})
        self.assertEqual('cinder', settings.clusters[1].project('default'))
        self.assertEqual(2, len(settings.data_networks))
        self.assertEqual({}, machine.processes())
        self.assertIn('install_package nvme-cli', machine.calls())
        self.assertIn('modprobe nvme-tcp', machine.calls())

    def test_tempest_may_use_data(self) -> None:
        machine = self.real()
        self.succeed(machine, 'stack')
        self.assertEqual(
            {}, machine.section('tempest.conf', 'service_available'))
        volume = machine.section('tempest.conf', 'volume')
        self.assertEqual(('Lightbits', 'lightos'), (
            volume['vendor_name'], volume['storage_protocol']))

    def test_other_backends_are_left_alone(self) -> None:
        machine = self.real(
            CINDER_ENABLED_BACKENDS='lvm:lvmdriver-1,lightbits:one,'
                                    'lightbits:two',
            LIGHTBITS_CLUSTER_west_backends='two')
        self.succeed(machine, 'stack')
        self.assertEqual(
            'lvmdriver-1,one,two', machine.section(
                'cinder/cinder.conf', 'DEFAULT')['enabled_backends'])
        self.assertEqual(['east'], [item.name for item in self.load(
            machine, 'one').clusters])
        self.assertEqual({'one-east', 'two-east', 'two-west'},
                         set(machine.volume_types()))
        with machine.cinder_conf.open('a', encoding='utf-8') as file:
            file.write('\n[lvmdriver-1]\nvolume_group = stack\n')
        self.succeed(machine, 'unstack')
        self.assertEqual('stack', machine.section(
            'cinder/cinder.conf', 'lvmdriver-1')['volume_group'])
        self.assertEqual({}, machine.section('cinder/cinder.conf', 'two'))

    def test_the_package_outlives_no_clean_without_a_venv(self) -> None:
        machine = self.real(GLOBAL_VENV='False')
        self.succeed(machine, 'stack', 'clean')
        self.assertIn('pip_uninstall cinder-lightbits-federation',
                      machine.calls())


class RefusedTestCase(PluginTestCase):
    """What cannot work ends the run with the variable's name."""

    def test_no_clusters(self) -> None:
        self.assertIn('Set LIGHTBITS_SIMULATOR=True, or LIGHTBITS_CLUSTERS',
                      self.refused(self.machine()))

    def test_no_federation_id(self) -> None:
        self.assertIn('Set LIGHTBITS_FEDERATION_ID',
                      self.refused(self.real(LIGHTBITS_FEDERATION_ID='')))

    def test_no_endpoints(self) -> None:
        self.assertIn(
            'Set LIGHTBITS_CLUSTER_west_api_endpoints', self.refused(
                self.real(LIGHTBITS_CLUSTER_west_api_endpoints='')))

    def test_a_name_that_variables_cannot_have(self) -> None:
        self.assertIn("LIGHTBITS_CLUSTERS: name 'far-east'", self.refused(
            self.real(LIGHTBITS_CLUSTERS='east,far-east')))

    def test_a_misspelt_option(self) -> None:
        self.assertIn(
            'LIGHTBITS_CLUSTER_east_jwtfile: clusters have no option jwtfile',
            self.refused(self.real(LIGHTBITS_CLUSTER_east_jwtfile='/x')))

    def test_a_token_in_a_variable(self) -> None:
        told = self.refused(self.real(LIGHTBITS_CLUSTER_east_jwt='s3cret'))
        self.assertIn('set LIGHTBITS_CLUSTER_east_jwt_file', told)
        self.assertNotIn('s3cret', told)

    def test_every_other_option_is_taken(self) -> None:
        names = {item.name for item in options.cluster_opts} - {'jwt'}
        machine = self.real(**{
            f'LIGHTBITS_CLUSTER_east_{name}': '/' for name in names})
        self.succeed(machine, 'stack')
        self.assertEqual(names, set(machine.section(
            'cinder/cinder.conf', 'lightbits_cluster:east')))

    def test_a_missing_file(self) -> None:
        self.assertIn(
            '[lightbits_cluster:west] jwt_file: ', self.refused(
                self.real(LIGHTBITS_CLUSTER_west_jwt_file='/no/such.jwt')))


class HostTestCase(PluginTestCase):
    """``LIGHTBITS_OS_BRICK_EXT=True``"""

    FILES = ('cinder/cinder.conf', 'nova/nova.conf', 'glance/glance-api.conf')

    def drivers(self, machine: stand_in.StandIn) -> dict[str, list[str]]:
        """:returns: all notification drivers of the services, sorted."""
        found = {}
        for name in self.FILES:
            text = (machine.folder / 'etc' / name).read_text(encoding='utf-8')
            found[name.partition('/')[0]] = sorted(
                line.removeprefix('driver = ') for line in text.splitlines()
                if line.startswith('driver = '))
        return found

    def test_every_service_that_attaches(self) -> None:
        machine = self.real(LIGHTBITS_OS_BRICK_EXT='True',
                            LIGHTBITS_OS_BRICK_EXT_MODE='native',
                            USE_CINDER_FOR_GLANCE='True',
                            ENABLED_SERVICES='c-api,c-vol,n-cpu,g-api')
        self.succeed(machine, 'stack', 'stack')
        self.assertIn(f'setup_develop {source.ROOT} os-brick',
                      machine.calls())
        both = ['messagingv2', 'os_brick_ext']
        self.assertEqual(
            {'cinder': ['os_brick_ext'], 'nova': both, 'glance': both},
            self.drivers(machine))
        for name in self.FILES:
            self.assertEqual({'mode': 'native'},
                             machine.section(name, 'os_brick_ext'))
            filters = (machine.folder / 'etc' / name).parent / (
                'rootwrap.d/os-brick-ext.filters')
            self.assertIn('os_brick_ext', filters.read_text(encoding='utf-8'))
        self.succeed(machine, 'unstack')
        self.assertEqual(
            {'cinder': [], 'nova': ['messagingv2'],
             'glance': ['messagingv2']}, self.drivers(machine))

    def test_only_where_volumes_are_attached(self) -> None:
        machine = self.real(LIGHTBITS_OS_BRICK_EXT='True',
                            ENABLED_SERVICES='c-api,n-cpu')
        self.succeed(machine, 'stack')
        self.assertEqual(
            {'cinder': [], 'nova': ['messagingv2', 'os_brick_ext'],
             'glance': ['messagingv2']}, self.drivers(machine))

    def test_off_by_default(self) -> None:
        machine = self.real()
        self.succeed(machine, 'stack')
        self.assertEqual(
            {'cinder': [], 'nova': ['messagingv2'],
             'glance': ['messagingv2']}, self.drivers(machine))


def _is_running(pid: int) -> bool:
    try:
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
    except FileNotFoundError:
        return False
    return '\nState:\tZ' not in status


class PortsTestCase(base.BaseTestCase):
    """What tests that run side by side give to their servers."""

    def test_no_two_processes_share_any(self) -> None:
        def block(first: int) -> int:
            return (first - stand_in.PORTS.start) // stand_in.BLOCK

        program = ('from tests.devstack_stand_in import stand_in; '
                   'print(stand_in.free_ports(100), flush=True); input()')
        found = [stand_in.free_ports(100)]
        for _process in range(4):
            process = subprocess.Popen(
                [sys.executable, '-c', program], cwd=source.ROOT,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.addCleanup(process.communicate, '\n')
            assert process.stdout is not None
            found.append(int(process.stdout.readline()))
        self.assertEqual(5, len({block(first) for first in found}), found)
        self.assertEqual(block(found[0]), block(stand_in.free_ports(100)))


class FormTestCase(base.BaseTestCase):
    """The files themselves."""

    def test_the_dispatcher_only_dispatches(self) -> None:
        text = (stand_in.PLUGIN / 'plugin.sh').read_text(encoding='utf-8')
        self.assertLess(len(text.splitlines()), 60)
        self.assertNotIn('function ', text)
