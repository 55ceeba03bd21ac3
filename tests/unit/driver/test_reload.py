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

"""Clusters come, go and change state while the service runs."""

import contextlib
import gc
import pathlib
from typing import Any
from unittest import mock
import weakref

from cinder import exception
from cinder import objects
import fixtures
from oslo_config import cfg

from cinder_lightbits_federation import service
from cinder_lightbits_federation import timing
from cinder_lightbits_federation.views import Connection
from tests import replacing
from tests.simulator import pki
from tests.unit.driver import base

CONF = cfg.CONF


class ReloadTestCase(base.FederationTestCase):

    CLUSTERS = ('east', 'west')

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.given = self.sections()
        self.driver = self.start_driver(self.given,
                                        lightbits_poll_interval=1)

    def section(self, name: str, **changes: Any) -> dict[str, Any]:
        """The section as it was given; a token is minted just once."""
        if not hasattr(self, 'given') or name not in self.given:
            return super().section(name, **changes)
        section = {**self.given[name], **changes}
        return {key: value for key, value in section.items()
                if value is not None}

    def rewrite(self, clusters: dict[str, dict[str, Any]]) -> None:
        """Write the configuration anew, as an operator would."""
        text = [f'[{base.BACKEND}]', 'volume_backend_name = lightbits']
        for name, section in clusters.items():
            text.append(f'[lightbits_cluster:{name}]')
            text += [f'{key} = {value}' for key, value in section.items()]
        replacing.replace(pathlib.Path(self.folder, 'cinder.conf'),
                          '\n'.join(text) + '\n')

    def until(self, probe: Any) -> None:
        """Wait until something is so."""
        timing.wait_until(lambda: probe() or None,
                          timing.Deadline.after(base.PATIENCE),
                          'the reload')

    def clusters(self) -> dict[str, Any]:
        """The clusters as they are known, by name."""
        return {item.name: item
                for item in self.driver.federation.registry.clusters}

    def state(self, name: str) -> str:
        """A cluster's administrative state."""
        return str(self.clusters()[name].admin_state.value)

    def test_a_new_cluster_serves_without_a_restart(self) -> None:
        self.add_array('north')

        self.rewrite(self.sections())

        self.until(lambda: 'north' in self.clusters())
        volume = self.made(self.driver, specs={'lightos:cluster': 'north'})
        self.assertEqual('north', self.on(volume)[0])

    def test_cinder_s_own_signal_has_the_files_looked_at(self) -> None:
        with mock.patch.object(service, 'WATCH_INTERVAL', 600):
            driver = self.start_driver(self.given,
                                       lightbits_poll_interval=600)
        self.add_array('north')
        self.rewrite(self.sections())

        CONF.mutate_config_files()

        self.until(lambda: 'north' in {
            item.name for item in driver.federation.registry.clusters})

    def test_what_was_set_up_before_is_let_go_of(self) -> None:
        before = weakref.ref(self.driver.federation)
        self.driver.do_setup(self.context)

        def gone() -> bool:
            gc.collect()
            return before() is None

        self.until(gone)

    def test_a_project_map_is_judged_by_what_is_there_now(self) -> None:
        self.arrays['west'].request('POST', '/api/v2/projects',
                                    {'name': 'late'})
        self.rewrite({'east': self.section('east'), 'west': self.section(
            'west', project_map='default:late')})
        self.until(lambda: self.clusters()['west'].settings.project_map)
        self.until(lambda: self.clusters()['west'].status.connection
                   is Connection.CONNECTED)
        volume = self.made(self.driver, specs={'lightos:cluster': 'west'})
        self.assertEqual('late', self.on(volume)[1]['projectName'])

    def test_what_did_not_change_keeps_its_connections(self) -> None:
        east = self.clusters()['east']
        self.add_array('north')
        self.arrays['east'].reset_counters()

        self.rewrite(self.sections())

        self.until(lambda: 'north' in self.clusters())
        self.assertIs(east, self.clusters()['east'])
        self.assertEqual(0, self.arrays['east'].counters().tls)

    def test_a_removed_cluster_is_not_served(self) -> None:
        volume = self.made(self.driver, specs={'lightos:cluster': 'west'})

        self.rewrite({'east': self.section('east')})

        self.until(lambda: 'west' not in self.clusters())
        self.assertRaises(exception.CinderException,
                          self.driver.delete_volume, volume)
        self.on(volume)

    def test_a_disabled_cluster_takes_no_new_volumes(self) -> None:
        volume = self.made(self.driver, specs={'lightos:cluster': 'west'})

        self.rewrite({'east': self.section('east'),
                      'west': self.section('west', admin_state='disabled')})

        self.until(lambda: self.state('west') == 'disabled')
        for _number in range(4):
            self.assertEqual('east', self.on(self.made(self.driver))[0])
        clone = self.volume()
        self.saved(clone, self.driver.create_cloned_volume(clone, volume))
        self.assertEqual('west', self.on(clone)[0])
        self.driver.extend_volume(volume, 2)
        self.driver.delete_volume(volume)

    def test_a_lost_cluster_is_skipped_and_its_volumes_told(self) -> None:
        volume = self.made(self.driver, specs={'lightos:cluster': 'west'})
        error_volume = self.volume()
        self.arrays['west'].stop()

        self.rewrite({'east': self.section('east'),
                      'west': self.section('west', admin_state='lost')})

        self.until(lambda: 'is declared lost, and with it 1 volumes: '
                   f'{volume.id}' in self.log.output)
        self.driver.delete_volume(error_volume)
        self.assertRaises(exception.VolumeNotFound,
                          self.driver.extend_volume, volume, 2)
        self.driver.delete_volume(volume)

    def test_a_cluster_that_returns_is_audited_before_it_serves(self
                                                               ) -> None:
        gone = self.made(self.driver, specs={'lightos:cluster': 'west'})
        kept = self.made(self.driver, specs={'lightos:cluster': 'west'})
        self.rewrite({'east': self.section('east'),
                      'west': self.section('west', admin_state='lost')})
        self.until(lambda: self.state('west') == 'lost')
        self.driver.delete_volume(gone)
        self.destroy(gone)
        self.arrays['west'].stop()

        self.rewrite({'east': self.section('east'),
                      'west': self.section('west')})

        self.until(lambda: 'it stays lost until it answers'
                   in self.log.output)
        self.assertEqual('lost', self.state('west'))
        self.arrays['west'].start()
        self.until(lambda: self.state('west') == 'enabled')
        self.assertIn(f'volume {gone.id}: object-without-record',
                      self.log.output)
        self.assertNotIn(f'volume {kept.id}:', self.log.output)
        self.driver.extend_volume(kept, 2)

    def own_authority(self) -> tuple[pathlib.Path, dict[str, Any]]:
        """Give a cluster a file of authorities of its own, with the right one.

        :returns: the file and the cluster's section.
        """
        path = pathlib.Path(pki.Authority(self.folder).ca_file)
        west = self.section('west', tls_ca_file=str(path))
        self.rewrite({'east': self.section('east'), 'west': west})
        self.until(lambda: self.status('west') == 'misconfigured')

        path.write_bytes(self.right())

        self.until(lambda: self.status('west') == 'connected')
        return path, west

    def right(self) -> bytes:
        return pathlib.Path(self.given['west']['tls_ca_file']).read_bytes()

    def test_an_authority_that_is_replaced_is_read(self) -> None:
        self.own_authority()
        pki.Authority(self.folder)
        self.until(lambda: self.status('west') == 'misconfigured')

    def test_an_authority_that_is_away_is_trusted_on(self) -> None:
        """Likewise one of which only the first half is written."""
        path, _west = self.own_authority()
        west = self.clusters()['west']
        volume = self.made(self.driver, specs={'lightos:cluster': 'west'})
        for number, act in enumerate((
                path.unlink, lambda: path.write_text('-----BEGIN')), start=1):
            act()
            self.until(lambda number=number: self.log.output.count(
                'what was read before is trusted on') >= number)
            self.assertIs(west, self.clusters()['west'])
            self.driver.initialize_connection(volume, base.connector(1))
        path.write_bytes(self.right())
        self.driver.terminate_connection(volume, base.connector(1))
        self.assertIs(west, self.clusters()['west'])

    def test_one_that_is_away_while_something_changes(self) -> None:
        """Trust in it ends with a change of its own section."""
        path, west = self.own_authority()
        path.unlink()
        self.rewrite({'east': self.section('east', admin_state='disabled'),
                      'west': west})
        self.until(lambda: self.state('east') == 'disabled')
        self.assertEqual('connected', self.status('west'))
        self.rewrite({'east': self.section('east'),
                      'west': west | {'project_map': 'default:default'}})
        self.until(lambda: set(self.clusters()) == {'east'})
        path.write_bytes(self.right())
        self.until(lambda: self.status('west') == 'connected')

    def status(self, name: str) -> str | None:
        """Whether a cluster is connected, None if there is none."""
        found = self.clusters().get(name)
        return found.status.connection.value if found else None

    def destroy(self, volume: objects.Volume) -> None:
        """Delete a record.

        The database in memory has one connection: when a thread of the
        driver ends its transaction just now, this one goes with it.
        """
        def gone() -> bool:
            with contextlib.suppress(exception.VolumeNotFound):
                objects.Volume.get_by_id(self.context, volume.id).destroy()
                return False
            return True

        self.until(gone)

    def test_lost_needs_the_uuid(self) -> None:
        self.rewrite({'east': self.section('east'),
                      'west': self.section('west', admin_state='lost',
                                           cluster_uuid=None)})

        self.until(lambda: 'cluster_uuid: must be set to declare'
                   in self.log.output)

    def test_a_wrong_section_disables_that_cluster_only(self) -> None:
        self.rewrite({'east': self.section('east'),
                      'west': self.section('west', admin_state='off')})

        self.until(lambda: '[lightbits_cluster:west] admin_state'
                   in self.log.output)
        self.assertEqual('east', self.on(self.made(self.driver))[0])

    def test_a_useless_configuration_is_not_applied(self) -> None:
        self.rewrite({})

        self.until(lambda: 'is not applied' in self.log.output)
        self.assertEqual({'east', 'west'}, set(self.clusters()))
        self.made(self.driver)

    def test_a_file_that_cannot_be_read_is_not_applied(self) -> None:
        """One line says where; what is written there may be a secret."""
        path = pathlib.Path(self.folder, 'cinder.conf')
        before = path.read_text(encoding='utf-8')
        replacing.replace(path, f'{before}jwt s3cret\n')

        number = before.count('\n') + 1
        self.until(lambda: 'The changed configuration is not applied: '
                   f'{path} cannot be read: line {number} ' in self.log.output)
        self.assertNotIn('s3cret', self.log.output)
        self.assertNotIn('Traceback', self.log.output)
        self.assertEqual({'east', 'west'}, set(self.clusters()))

    def test_another_token_is_used_from_then_on(self) -> None:
        self.rewrite({'east': self.section('east', jwt=self.arrays[
            'east'].token(ttl=1800)), 'west': self.section('west')})
        before = self.clusters()['east']

        self.until(lambda: self.clusters()['east'] is not before)
        self.made(self.driver, specs={'lightos:cluster': 'east'})
