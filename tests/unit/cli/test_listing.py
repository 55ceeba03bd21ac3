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

"""``volume`` and ``snapshot``: lists over all clusters, and single objects."""

from __future__ import annotations

from typing import Any
import uuid as uuidlib

from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import base
from tests.unit.driver import base as driver_base

EAST = {'lightos:cluster': 'east'}
WEST = {'lightos:cluster': 'west'}


class ListingTestCase(base.CliTestCase):

    def add_array(self, name: str, **options: Any) -> Any:
        """Clusters here have one more project."""
        return super().add_array(
            name, projects=['default', 'gold'], **options)

    def by_name(self, *argv: str, outcome: Outcome = Outcome.CLEAN
                ) -> dict[str, dict[str, Any]]:
        """:returns: a list, by the objects' names."""
        return {row['name']: row
                for row in self.rows(*argv, outcome=outcome)}


class VolumesTest(ListingTestCase):

    def test_all_clusters(self) -> None:
        volumes = [self.made(self.driver, specs=spec)
                   for spec in (EAST, WEST)]
        self.make('west', 'theirs')

        found = self.by_name('volume', 'list')

        self.assertEqual({volumes[0].name, volumes[1].name, 'theirs'},
                         set(found))
        east = found[volumes[0].name]
        self.assertEqual(
            (volumes[0].id, 'east', self.arrays['east'].uuid, 'default',
             base.GIB, 'Available', True, driver_base.FEDERATION_ID, 3),
            tuple(east[key] for key in (
                'cinder_id', 'cluster', 'cluster_uuid', 'project', 'size',
                'state', 'ours', 'owner', 'replicas')))
        self.assertEqual(('', False, ''), tuple(
            found['theirs'][key] for key in ('cinder_id', 'ours', 'owner')))

    def test_some_clusters(self) -> None:
        for spec in (EAST, WEST):
            self.made(self.driver, specs=spec)
        for name in ('east', self.arrays['east'].uuid):
            rows = self.rows('volume', 'list', '--cluster', name)
            self.assertEqual(['east'], [row['cluster'] for row in rows])
        found = self.command('volume', 'list', '--cluster', 'south')
        self.assertEqual(Outcome.USAGE, found.outcome)

    def test_migrated_volume(self) -> None:
        """The mark on the array is the ``name_id``, the ID is another."""
        volume = self.made(self.driver)
        other = self.volume(host=volume.host,
                            provider_location=volume.provider_location)
        other._name_id = volume.id
        other.save()
        self.forget(volume)
        row, = self.rows('volume', 'list')
        self.assertEqual(other.id, row['cinder_id'])

    def test_adopted_volume_without_a_mark(self) -> None:
        volume = self.made(self.driver)
        self.change(volume, newName='odd',
                    labels=[{'key': 'x', 'value': 'y'}])
        row, = self.rows('volume', 'list')
        self.assertEqual((volume.id, 'odd', False),
                         (row['cinder_id'], row['name'], row['ours']))

    def test_volume_of_the_in_tree_driver(self) -> None:
        volume = self.volume(provider_location=None)
        self.make('east', volume.name)
        row, = self.rows('volume', 'list')
        self.assertEqual((volume.id, False), (row['cinder_id'], row['ours']))

    def test_same_mark_elsewhere_is_not_the_records(self) -> None:
        volume = self.made(self.driver, specs=EAST)
        self.make('west', volume.name, labels=self.on(volume)[1]['labels'])
        found = {row['cluster']: row['cinder_id']
                 for row in self.rows('volume', 'list')}
        self.assertEqual({'east': volume.id, 'west': ''}, found)

    def test_pages(self) -> None:
        for number in range(3):
            for cluster in ('east', 'west'):
                self.make(cluster, f'{cluster}-{number}')
                self.ask(cluster, 'POST', 'volumes', project='gold',
                         name=f'{cluster}-gold-{number}', size='1gib',
                         replicaCount=1, acl={'values': ['ALLOW_NONE']})
        self.settle()
        argv = ('volume', 'list', '--project', 'default', '--project',
                'gold')
        whole = [row['uuid'] for row in self.rows(*argv)]
        self.assertEqual(12, len(set(whole)))
        for size in (1, 3, 4, 5, 12):
            pages: list[str] = []
            marker: tuple[str, ...] = ()
            while True:
                found = self.command(*argv, '-f', 'json', '--limit',
                                     str(size), *marker)
                page = [row['uuid'] for row in found.json()]
                self.assertLessEqual(len(page), size)
                pages += page
                if 'There are more' not in found.err:
                    break
                self.assertIn(f'--marker {page[-1]}', found.err)
                marker = ('--marker', page[-1])
            self.assertEqual(whole, pages, f'pages of {size}')
        self.assertEqual(whole, [row['uuid'] for row in self.rows(
            *argv, '--limit', '0')])

    def test_long_lists(self) -> None:
        self.arrays['east'].populate(2100)
        self.assertEqual(2100, len(self.rows('volume', 'list', '--limit',
                                             '0')))
        self.assertEqual(1500, len(self.rows('volume', 'list', '--limit',
                                             '1500')))

    def test_bad_page(self) -> None:
        found = self.command('volume', 'list', '--marker', 'x')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn("--marker: 'x' is not a UUID", found.err)
        nowhere = str(uuidlib.uuid4())
        found = self.command('volume', 'list', '--marker', nowhere)
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn(f'{nowhere} is not there', found.err)
        found = self.command('volume', 'list', '--limit', '-1')
        self.assertEqual(Outcome.USAGE, found.outcome)

    def test_projects(self) -> None:
        self.made(self.driver)
        self.assertEqual([], self.rows('volume', 'list', '--project',
                                       'gold'))
        self.made(self.driver, specs={'lightos:project_name': 'gold'})
        # A type names it now.
        self.assertEqual({'default', 'gold'}, {
            row['project'] for row in self.rows('volume', 'list')})
        self.assertEqual(1, len(self.rows('volume', 'list', '--project',
                                          'gold')))

    def test_a_project_that_may_not_be_read(self) -> None:
        self.made(self.driver, specs={'lightos:project_name': 'gold',
                                      **EAST})
        self.made(self.driver, specs=EAST)
        self.write_config({
            name: self.section(name, jwt=array.token(scope='default'))
            for name, array in self.arrays.items()})
        found = self.command('volume', 'list', '-f', 'json')
        self.assertEqual((Outcome.SILENT, 1),
                         (found.outcome, len(found.json())))
        self.assertIn('east, project gold could not be asked', found.err)

    def test_silent_cluster(self) -> None:
        self.made(self.driver, specs=EAST)
        self.arrays['west'].stop()
        found = self.command('volume', 'list', '-f', 'json')
        self.assertEqual((Outcome.SILENT, 1),
                         (found.outcome, len(found.json())))
        self.assertIn('Cluster west could not be asked', found.err)

    def test_states(self) -> None:
        volume = self.made(self.driver)
        cluster, uuid = self.array_of(volume)
        self.arrays[cluster].set_delays(delete=3600)
        self.ask(cluster, 'DELETE', f'volumes/{uuid}')
        self.assertEqual([], self.rows('volume', 'list'))
        row, = self.rows('volume', 'list', '--all-states')
        self.assertEqual('Deleting', row['state'])

    def test_clones_of_a_snapshot(self) -> None:
        volume = self.made(self.driver)
        snapshot = self.taken(volume)
        clone = self.volume()
        self.saved(clone, self.driver.create_volume_from_snapshot(
            clone, snapshot))
        uuid = self.array_of(snapshot)[1]
        row, = self.rows('volume', 'list', '--source-snapshot', uuid)
        self.assertEqual((clone.id, uuid), (row['cinder_id'],
                                            row['source_snapshot_uuid']))
        for called in (snapshot.id, snapshot.name):
            same, = self.rows('volume', 'list', '--source-snapshot', called)
            self.assertEqual(row['uuid'], same['uuid'])
        found = self.command('volume', 'list', '--source-snapshot', 'none')
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn('no snapshot none was found', found.err)
        gone = str(uuidlib.uuid4())
        self.assertEqual([], self.rows('volume', 'list',
                                       '--source-snapshot', gone))

    def test_in_a_failure_domain(self) -> None:
        """A volume with one replica is on one node."""
        volume = self.made(self.driver, specs={'lightos:num_replicas': '1',
                                               **EAST})
        _cluster, found = self.on(volume)
        nodes = {node['UUID']: node['failureDomains'] for node
                 in self.arrays['east'].request(
                     'GET', '/api/v2/nodes').json()['nodes']}
        home, = found['nodeList']
        for uuid, domains in nodes.items():
            rows = self.rows('volume', 'list', '--cluster', 'east',
                             '--failure-domain', domains[0])
            self.assertEqual([volume.id] if uuid == home else [],
                             [row['cinder_id'] for row in rows])

    def test_table(self) -> None:
        self.made(self.driver)
        table = self.command('volume', 'list').out
        self.assertIn('1 GiB', table)
        self.assertNotIn('labels', table)
        self.assertIn('labels', self.command('volume', 'list', '--long').out)


class SnapshotsTest(ListingTestCase):

    def test_list(self) -> None:
        volume, other = self.made(self.driver), self.made(self.driver)
        snapshot = self.taken(volume)
        self.taken(other)
        cluster, uuid = self.array_of(volume)
        self.ask(cluster, 'POST', 'snapshots', name='daily',
                 sourceVolumeUUID=uuid)
        self.settle()

        found = self.by_name('snapshot', 'list')
        of_one = self.by_name('snapshot', 'list', '--source-volume', uuid)

        self.assertEqual(3, len(found))
        self.assertEqual({snapshot.name, 'daily'}, set(of_one))
        self.assertEqual(set(of_one), set(self.by_name(
            'snapshot', 'list', '--source-volume', volume.id)))
        self.assertEqual(
            (snapshot.id, True, uuid, volume.name),
            tuple(of_one[snapshot.name][key] for key in (
                'cinder_id', 'ours', 'source_volume_uuid',
                'source_volume_name')))
        # It inherits the labels of the volume, but not its owner.
        self.assertEqual(('', False), (of_one['daily']['cinder_id'],
                                       of_one['daily']['ours']))

    def test_pages_of_one_volumes_snapshots(self) -> None:
        volume, other = (self.made(self.driver, specs=EAST)
                         for _number in range(2))
        for number in range(3):
            for item in (volume, other):
                cluster, uuid = self.array_of(item)
                self.ask(cluster, 'POST', 'snapshots',
                         name=f'{number}-{uuid}', sourceVolumeUUID=uuid)
        self.settle()
        argv = ('snapshot', 'list', '--source-volume',
                self.array_of(volume)[1], '--limit', '2')
        first = self.command(*argv, '-f', 'json')
        self.assertIn('There are more', first.err)
        last = first.json()[-1]['uuid']
        self.assertEqual(1, len(self.rows(*argv, '--marker', last)))

    def test_managed_snapshot(self) -> None:
        volume = self.made(self.driver)
        cluster, uuid = self.array_of(volume)
        made = self.ask(cluster, 'POST', 'snapshots', name='nightly',
                        sourceVolumeUUID=uuid)
        self.settle()
        record = self.snapshot(volume)
        self.saved(record, self.driver.manage_existing_snapshot(
            record, {'source-id': made['UUID']}))
        self.assertEqual(
            record.id,
            self.by_name('snapshot', 'list')['nightly']['cinder_id'])

    def test_show(self) -> None:
        snapshot = self.taken(self.made(self.driver))
        shown = self.rows('snapshot', 'show', snapshot.id)
        self.assertEqual((snapshot.id, snapshot.name, 'available'),
                         (shown['cinder_id'], shown['name'],
                          shown['cinder_status']))


class ShowTest(ListingTestCase):

    def refused(self, wanted: str, outcome: Outcome) -> str:
        """:returns: why nothing is shown."""
        found = self.command('volume', 'show', wanted)
        self.assertEqual((outcome, ''), (found.outcome, found.out))
        return found.err

    def test_by_any_name(self) -> None:
        volume = self.made(self.driver, 2)
        cluster, uuid = self.array_of(volume)
        for wanted in (volume.id, uuid, volume.name, uuid.upper()):
            shown = self.rows('volume', 'show', wanted)
            self.assertEqual(
                (uuid, cluster, volume.id, 'available', 2 * base.GIB,
                 volume.host, volume.provider_location),
                tuple(shown[key] for key in (
                    'uuid', 'cluster', 'cinder_id', 'cinder_status',
                    'cinder_size', 'cinder_host', 'provider_location')),
                wanted)

    def test_in_another_project(self) -> None:
        volume = self.made(self.driver,
                           specs={'lightos:project_name': 'gold'})
        self.assertEqual('gold', self.rows('volume', 'show',
                                           volume.id)['project'])

    def test_without_a_record(self) -> None:
        made = self.make('west', 'theirs')
        shown = self.rows('volume', 'show', made['UUID'])
        self.assertEqual(('', '', None), tuple(
            shown[key] for key in ('cinder_id', 'cinder_status',
                                   'cinder_size')))

    def test_without_a_recorded_place(self) -> None:
        volume = self.made(self.driver)
        volume.provider_location = None
        volume.save()
        self.assertEqual(volume.id, self.rows(
            'volume', 'show', volume.id)['cinder_id'])

    def test_not_there(self) -> None:
        self.assertIn('no volume nothing',
                      self.refused('nothing', Outcome.FAILED))
        self.arrays['west'].stop()
        self.assertIn('west', self.refused('nothing', Outcome.SILENT))

    def test_on_a_silent_cluster(self) -> None:
        volume = self.made(self.driver, specs=WEST)
        self.arrays['west'].stop()
        self.assertIn('west', self.refused(volume.id, Outcome.SILENT))

    def test_on_a_lost_cluster(self) -> None:
        volume = self.made(self.driver, specs=WEST)
        self.write_config({'east': self.section('east'),
                           'west': self.section('west',
                                                admin_state='lost')})
        self.assertIn('declared lost',
                      self.refused(volume.id, Outcome.SILENT))

    def test_on_an_unknown_cluster(self) -> None:
        volume = self.made(self.driver, specs=WEST)
        self.write_config({'east': self.section('east')})
        self.assertIn('no cluster with UUID',
                      self.refused(volume.id, Outcome.FAILED))

    def test_one_name_twice(self) -> None:
        uuids = {self.make(cluster, 'same')['UUID']
                 for cluster in ('east', 'west')}
        told = self.refused('same', Outcome.USAGE)
        for uuid in uuids:
            self.assertIn(uuid, told)

    def test_access_is_shown(self) -> None:
        volume = self.made(self.driver)
        self.attach(self.driver, volume, driver_base.connector(1))
        shown = self.rows('volume', 'show', volume.id)
        self.assertEqual(([driver_base.nqn(1)], ['192.0.2.1']),
                         (shown['acl'], shown['ip_acl']))
