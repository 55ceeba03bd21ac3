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

"""States set at run time, and what services know of each other."""

import sqlite3
from typing import Any

from cinder_lightbits_federation import exception as lb_exception
from cinder_lightbits_federation.sharing import Shared
from cinder_lightbits_federation.store.engine import parse
from cinder_lightbits_federation.store.services import Known
from cinder_lightbits_federation.views import AdminState
from tests.unit.driver import base

WEST = {'lightos:cluster': 'west'}
OTHER = f'stor2@{base.BACKEND}'


class SharingTestCase(base.FederationTestCase):

    CLUSTERS = ('east', 'west')
    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.log = self.logged()
        self.driver = self.start_driver(lightbits_poll_interval=1)
        self.shared = Shared(
            parse(f'sqlite:///{self.folder}/store.sqlite'),
            base.FEDERATION_ID, base.HOST, 'operator')
        self.addCleanup(self.shared.close)

    def put(self, name: str, state: AdminState) -> None:
        """Set a state as an operator would."""
        self.assertTrue(self.shared.states.put(
            name, state, 'a test', 'operator',
            self.shared.states.all().get(name)))

    def reset(self, name: str) -> None:
        """Have the configuration count again."""
        self.assertTrue(self.shared.states.reset(
            self.shared.states.all()[name]))

    def cluster(self, name: str) -> Any:
        """A cluster, as the driver knows it."""
        return next(item for item in self.driver.federation.registry.clusters
                    if item.name == name)

    def until(self, probe: Any) -> None:
        """Wait until something is so."""
        self.wait(lambda: probe() or None)

    def until_state(self, name: str, state: str) -> None:
        """Wait until the driver goes by a state."""
        self.until(lambda: self.cluster(name).admin_state.value == state)

    def restart(self) -> None:
        """Restart the service."""
        self.driver.tear_down()
        self.driver.do_setup(self.context)

    def told(self) -> dict[str, dict[str, Known]]:
        """What services have told, by their hosts."""
        return {item.host: dict(item.clusters)
                for item in self.shared.services.all()}


class StatesTestCase(SharingTestCase):

    def test_a_state_wins_until_it_is_reset(self) -> None:
        volume = self.made(self.driver, specs=WEST)
        self.put('west', AdminState.DISABLED)
        self.until_state('west', 'disabled')
        for _number in range(4):
            self.assertEqual('east', self.on(self.made(self.driver))[0])
        self.driver.extend_volume(volume, 2)
        stats = self.driver.get_volume_stats()['pools'][0]
        self.assertEqual(
            (1, 'west: disabled'),
            (stats['lightbits_clusters_open'],
             stats['lightbits_clusters_closed']))

        self.reset('west')

        self.until_state('west', 'enabled')
        self.assertEqual('west', self.on(self.made(self.driver,
                                                   specs=WEST))[0])

    def test_it_wins_over_a_changed_configuration(self) -> None:
        self.put('west', AdminState.ENABLED)
        sections = self.sections()
        sections['west']['admin_state'] = 'disabled'
        self.write_config(sections)
        self.until(lambda: 'has changed and is applied' in self.log.output)
        self.assertEqual('enabled', self.cluster('west').admin_state.value)
        self.reset('west')
        self.until_state('west', 'disabled')

    def test_it_is_there_after_a_restart(self) -> None:
        self.put('west', AdminState.DRAINING)
        self.restart()
        self.assertEqual('draining', self.cluster('west').admin_state.value)

    def test_what_is_applied_is_told(self) -> None:
        self.put('west', AdminState.DISABLED)
        uuid = self.arrays['west'].uuid
        self.until(lambda: self.told().get(base.HOST, {}).get('west') == (
            uuid, 'disabled'))
        self.driver.tear_down()
        self.assertEqual({}, self.told())

    def test_the_last_state_stays_while_the_store_is_away(self) -> None:
        self.put('west', AdminState.DISABLED)
        self.until_state('west', 'disabled')
        with sqlite3.connect(f'{self.folder}/store.sqlite') as link:
            link.execute('ALTER TABLE lightbits_states RENAME TO away')
        self.until(lambda: 'states that were seen last stay'
                   in self.log.output)
        self.write_config(self.sections(), lightbits_poll_interval=1)
        self.until(lambda: 'has changed and is applied' in self.log.output)
        self.assertEqual('disabled', self.cluster('west').admin_state.value)
        self.made(self.driver)
        with sqlite3.connect(f'{self.folder}/store.sqlite') as link:
            link.execute('ALTER TABLE away RENAME TO lightbits_states')
        self.until(lambda: 'can be read again' in self.log.output)

    def test_nothing_starts_without_the_store(self) -> None:
        self.driver.tear_down()
        drv = self.build_driver(
            lightbits_store_connection=f'sqlite:///{self.folder}/no/store')
        error = self.assertRaises(lb_exception.LightbitsBackendError,
                                  drv.do_setup, self.context)
        self.assertIn('/no/store', str(error))


class LostTestCase(SharingTestCase):

    def lose(self) -> Any:
        """Lose a cluster and delete a volume that was there.

        :returns: the volume.
        """
        volume = self.made(self.driver, specs=WEST)
        self.put('west', AdminState.LOST)
        self.until_state('west', 'lost')
        self.until(lambda: 'is declared lost, and with it 1 volumes'
                   in self.log.output)
        self.driver.delete_volume(volume)
        volume.destroy()
        return volume

    def test_a_cluster_that_returns_is_audited(self) -> None:
        volume = self.lose()
        self.reset('west')
        self.until_state('west', 'enabled')
        self.assertIn(f'volume {volume.id}: object-without-record',
                      self.log.output)
        self.assertEqual(frozenset(), self.shared.states.lost())

    def test_it_is_even_if_it_returns_while_the_service_is_down(self
                                                               ) -> None:
        volume = self.lose()
        self.driver.tear_down()
        self.reset('west')
        self.arrays['west'].stop()

        self.driver.do_setup(self.context)

        self.assertEqual('lost', self.cluster('west').admin_state.value)
        self.until(lambda: 'it stays lost until it answers'
                   in self.log.output)
        self.assertEqual('lost', self.cluster('west').admin_state.value)
        self.arrays['west'].start()
        self.until_state('west', 'enabled')
        self.assertIn(f'volume {volume.id}: object-without-record',
                      self.log.output)
        self.assertEqual(frozenset(), self.shared.states.lost())

    def test_another_of_its_name_is_not_lost(self) -> None:
        self.shared.states.put('west', AdminState.LOST, 'fire', 'operator',
                               None, self.arrays['east'].uuid)
        self.put('east', AdminState.DISABLED)
        self.until_state('east', 'disabled')
        self.assertEqual('enabled', self.cluster('west').admin_state.value)

    def test_one_that_stays_lost_is_not(self) -> None:
        self.lose()
        self.restart()
        self.assertEqual('lost', self.cluster('west').admin_state.value)
        self.assertNotIn('serves again', self.log.output)
        self.assertEqual({'west'}, self.shared.states.lost())


class KnowledgeTestCase(SharingTestCase):

    def tell(self, **clusters: str) -> None:
        """Have another live service know some clusters."""
        self.shared.services.tell(OTHER, {
            name: Known(uuid, 'enabled') for name, uuid in clusters.items()})

    def test_what_another_service_is_without_gets_no_volumes(self) -> None:
        volume = self.made(self.driver, specs=WEST)
        east, west = (self.arrays[name].uuid for name in self.CLUSTERS)
        self.tell(east=east)
        self.until(lambda: f'Cluster west gets no new volumes: {OTHER} do '
                   f'not know it' in self.log.output)
        for _number in range(4):
            self.assertEqual('east', self.on(self.made(self.driver))[0])
        clone = self.volume()
        self.saved(clone, self.driver.create_cloned_volume(clone, volume))
        self.assertEqual('west', self.on(clone)[0])
        pinned = self.volume(specs=WEST)
        error = self.assertRaises(lb_exception.LightbitsBackendError,
                                  self.driver.create_volume, pinned)
        self.assertIn(f'west: not known to {OTHER}', str(error))
        self.assertIn(f'west: not known to {OTHER}',
                      self.driver.get_volume_stats()['pools'][0][
                          'lightbits_clusters_closed'])

        self.tell(east=east, west=west)

        self.until(lambda: 'Cluster west is known to all live services'
                   in self.log.output)
        self.saved(pinned, self.driver.create_volume(pinned))

    def test_another_cluster_of_that_name_is_not_the_same(self) -> None:
        self.tell(east=self.arrays['west'].uuid,
                  west=self.arrays['west'].uuid)
        self.until(lambda: 'Cluster east gets no new volumes'
                   in self.log.output)
