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

"""``pools check-switch``: the pools that records name, found and rewritten."""

from __future__ import annotations

from typing import Any

from cinder.db import api as db_api
from cinder import objects
from cinder.tests.unit import utils

from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.cli import pool_records
from tests.unit.cli import base
from tests.unit.driver import base as driver_base

EAST = {'lightos:cluster': 'east'}
WEST = {'lightos:cluster': 'west'}
CHECK = ('pools', 'check-switch')
TO_CLUSTER = (*CHECK, '--to', 'cluster')
TO_FEDERATION = (*CHECK, '--to', 'federation')


class SwitchTest(base.CliTestCase):

    def moves(self, *argv: str, outcome: Outcome = Outcome.FINDINGS
              ) -> dict[str, dict[str, Any]]:
        """:returns: what is to be done, by the records' ids."""
        return {row['id']: row for row in self.rows(*argv, outcome=outcome)}

    def host(self, record: Any) -> str:
        """:returns: the host that the database has."""
        found: str = self.reread(record).host
        return found

    def entry(self, volume: Any, **fields: Any) -> Any:
        """:returns: an entry of the image cache."""
        return db_api.image_volume_cache_create(
            self.context, fields.get('host', volume.host),
            fields.get('cluster_name'), '99999999-0000-4000-8000-0000000000a1',
            None, volume.id, 1)

    def test_all_is_right(self) -> None:
        self.made(self.driver)
        found = self.command(*CHECK, '-f', 'json')
        self.assertEqual((Outcome.CLEAN, []), (found.outcome, found.json()))
        self.assertIn('lightbits_pools = federation: 1 records are right, 0 '
                      'have to be rewritten, 0 are blocked', found.err)

    def test_to_clusters(self) -> None:
        east, west = (self.made(self.driver, specs=spec)
                      for spec in (EAST, WEST))
        snapshot = self.taken(west)

        found = self.moves(*TO_CLUSTER)

        self.assertEqual(
            {east.id: ('volume', 'stor1@lightbits#east', 'rewrite', ''),
             west.id: ('volume', 'stor1@lightbits#west', 'rewrite', ''),
             snapshot.id: ('snapshot', 'stor1@lightbits#west',
                           'follows its volume', '')},
            {key: tuple(row[name] for name in (
                'resource', 'new_host', 'action', 'result'))
             for key, row in found.items()})
        # Nothing was done yet.
        self.assertEqual('stor1@lightbits#federation', self.host(east))

    def test_there_and_back(self) -> None:
        east, west = (self.made(self.driver, specs=spec)
                      for spec in (EAST, WEST))
        self.taken(west)
        entry = self.entry(east)

        found = self.moves(*TO_CLUSTER, '--yes', outcome=Outcome.CLEAN)

        self.assertEqual({'rewritten', ''}, {row['result']
                                             for row in found.values()})
        self.assertEqual(
            ['stor1@lightbits#east', 'stor1@lightbits#west'],
            [self.host(east), self.host(west)])
        self.assertEqual('rewritten', found[str(entry.id)]['result'])
        self.assertEqual({}, self.moves(*TO_CLUSTER, outcome=Outcome.CLEAN))
        self.moves(*TO_FEDERATION, '--yes', outcome=Outcome.CLEAN)
        self.assertEqual(['stor1@lightbits#federation'] * 2,
                         [self.host(east), self.host(west)])

    def test_the_driver_finds_its_volumes_again(self) -> None:
        """With the option set, Cinder's look-up by pool succeeds."""
        volume = self.made(self.driver, specs=WEST)
        self.moves(*TO_CLUSTER, '--yes', outcome=Outcome.CLEAN)
        self.driver.tear_down()
        self.driver = self.start_driver(lightbits_pools='cluster')
        pools = [pool['pool_name'] for pool in
                 self.driver.get_volume_stats()['pools']]
        self.assertIn(self.host(volume).partition('#')[2], pools)
        self.assertEqual('west', self.driver.get_pool(self.reread(volume)))
        self.assertEqual([], self.rows(*CHECK))

    def test_cinders_own_command_is_told(self) -> None:
        for spec in (EAST, WEST):
            volume = self.made(self.driver, specs=spec)
            volume.host = f'stor1@lightbits#{spec["lightos:cluster"]}'
            volume.save()
        found = self.command(*TO_FEDERATION)
        for name in ('east', 'west'):
            self.assertIn(
                f'cinder-manage volume update_host --currenthost '
                f'stor1@lightbits#{name} --newhost '
                f'stor1@lightbits#federation', found.err)

    def test_it_cannot_tell_volumes_apart(self) -> None:
        for spec in (EAST, WEST):
            self.made(self.driver, specs=spec)
        self.assertNotIn('update_host', self.command(*TO_CLUSTER).err)

    def test_clustered_services(self) -> None:
        volume = self.made(self.driver, specs=EAST)
        volume.cluster_name = 'c@lightbits#federation'
        volume.host = 'other@lightbits#federation'
        volume.save()
        self.service(host='stor1', enabled_backends='lightbits', cluster='c')
        self.moves(*TO_CLUSTER, '--yes', outcome=Outcome.CLEAN)
        now = self.reread(volume)
        self.assertEqual(('other@lightbits#east', 'c@lightbits#east'),
                         (now.host, now.cluster_name))

    def test_other_backends_are_left_alone(self) -> None:
        other = self.volume(host='stor1@ceph#pool')
        self.moves(*TO_CLUSTER, '--yes', outcome=Outcome.CLEAN)
        self.assertEqual('stor1@ceph#pool', self.host(other))

    def test_work_in_progress_blocks(self) -> None:
        volume = self.made(self.driver)
        busy = self.made(self.driver)
        busy.status = 'extending'
        busy.save()

        found = self.moves(*TO_CLUSTER, '--yes')

        self.assertEqual(('blocked', 'it is extending: wait until that is '
                          'over'), (found[busy.id]['action'],
                                    found[busy.id]['problem']))
        self.assertEqual('', found[volume.id]['result'])
        self.assertEqual('stor1@lightbits#federation', self.host(volume))

    def test_a_record_that_changes_meanwhile(self) -> None:
        volume = self.made(self.driver)
        rewrite = pool_records.PoolRecords.rewrite

        def late(this: Any, move: Any) -> bool:
            self.reread(volume).conditional_update({'status': 'extending'},
                                                   {'status': 'available'})
            return rewrite(this, move)

        self.stub_out('cinder_lightbits_federation.cli.pool_records.'
                      'PoolRecords.rewrite', late)
        found = self.moves(*TO_CLUSTER, '--yes')
        self.assertEqual('changed meanwhile', found[volume.id]['result'])
        self.assertEqual('stor1@lightbits#federation', self.host(volume))

    def test_the_service_must_be_stopped(self) -> None:
        self.made(self.driver)
        service = objects.Service(
            self.context, host=driver_base.HOST, binary='cinder-volume',
            topic='cinder-volume')
        service.create()
        db_api.service_update(self.context, service.id,
                              {'report_count': 1})
        found = self.command(*TO_CLUSTER, '--yes')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('is up: stop it', found.err)
        self.moves(*TO_CLUSTER)
        service.destroy()
        self.moves(*TO_CLUSTER, '--yes', outcome=Outcome.CLEAN)

    def test_groups(self) -> None:
        group = utils.create_group(self.context, host=driver_base.HOST +
                                   '#federation', group_type_id='x')
        empty = utils.create_group(self.context, host=driver_base.HOST +
                                   '#federation', group_type_id='x')
        for _number in range(2):
            self.made(self.driver, specs=EAST, group_id=group.id)

        found = self.moves(*TO_CLUSTER)
        self.assertEqual(('group', 'rewrite', 'stor1@lightbits#east'), tuple(
            found[group.id][key] for key in ('resource', 'action',
                                             'new_host')))
        self.assertIn('it is empty', found[empty.id]['problem'])
        empty.destroy()
        self.moves(*TO_CLUSTER, '--yes', outcome=Outcome.CLEAN)
        self.assertEqual('stor1@lightbits#east', self.host(group))

    def test_a_group_on_several_clusters(self) -> None:
        group = utils.create_group(self.context, host=driver_base.HOST +
                                   '#federation', group_type_id='x')
        for spec in (EAST, WEST):
            self.made(self.driver, specs=spec, group_id=group.id)
        found = self.moves(*TO_CLUSTER)
        self.assertEqual(('blocked', 'its volumes are on several clusters '
                          '(east, west): take some out of it'), tuple(
                              found[group.id][key]
                              for key in ('action', 'problem')))

    def test_cache_entry_without_its_volume(self) -> None:
        volume = self.made(self.driver)
        entry = self.entry(volume)
        self.forget(volume)
        found = self.moves(*TO_CLUSTER)
        self.assertEqual('its volume is not there',
                         found[str(entry.id)]['problem'])

    def test_volumes_of_the_in_tree_driver(self) -> None:
        volume = self.made(self.driver, specs=WEST)
        volume.provider_location = None
        volume.save()
        self.assertEqual('stor1@lightbits#west',
                         self.moves(*TO_CLUSTER)[volume.id]['new_host'])

    def test_of_which_nobody_knows_where_they_are(self) -> None:
        lost = self.volume(provider_location=None)
        lost.status = 'available'
        lost.save()
        failed = self.volume(provider_location=None)
        failed.status = 'error'
        failed.save()
        found = self.moves(*TO_CLUSTER)
        self.assertEqual({lost.id}, set(found))
        self.assertIn('on no cluster', found[lost.id]['problem'])

    def test_on_an_unknown_cluster(self) -> None:
        volume = self.made(self.driver, specs=WEST)
        self.write_config({'east': self.section('east')})
        self.assertIn('not known', self.moves(*TO_CLUSTER)[
            volume.id]['problem'])

    def test_uuids_are_learned_when_needed(self) -> None:
        volume = self.made(self.driver, specs=WEST)
        self.write_config({
            name: self.section(name, cluster_uuid=None)
            for name in self.arrays})
        self.assertEqual('stor1@lightbits#west',
                         self.moves(*TO_CLUSTER)[volume.id]['new_host'])

    def test_dry_run_is_the_default(self) -> None:
        self.made(self.driver)
        self.assertEqual(self.rows(*TO_CLUSTER, outcome=Outcome.FINDINGS),
                         self.rows(*TO_CLUSTER, '--dry-run',
                                   outcome=Outcome.FINDINGS))
