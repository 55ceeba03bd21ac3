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

"""``cluster list``, ``cluster show`` and ``capacity``."""

from __future__ import annotations

import datetime
import io
from typing import Any, NoReturn

from cliff import columns as cliff_columns
import fixtures
from oslo_db import exception as db_exception
from oslo_utils import timeutils
from oslotest import base as oslo_base
import sqlalchemy as sa

from cinder_lightbits_federation import cinderdb
from cinder_lightbits_federation.cli import columns
from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import base


class ClusterTestCase(base.CliTestCase):

    def clusters(self, outcome: Outcome = Outcome.CLEAN
                 ) -> dict[str, dict[str, Any]]:
        """:returns: the list, by name."""
        rows = self.rows('cluster', 'list', outcome=outcome)
        return {row['name']: row for row in rows}

    def reconfigure(self, **sections: dict[str, Any]) -> None:
        """Change sections of clusters, behind the driver's back."""
        self.write_config({
            name: self.section(name, **sections.get(name, {}))
            for name in self.arrays})


class ListTest(ClusterTestCase):

    def test_all_is_well(self) -> None:
        array = self.arrays['east']

        found = self.clusters()

        self.assertEqual({'east', 'west'}, set(found))
        east = found['east']
        self.assertEqual(
            (array.uuid, 'enabled', 'connected', '', 'OK', 0.0),
            tuple(east[key] for key in (
                'uuid', 'admin_state', 'connection', 'reason', 'health',
                'ratio')))
        self.assertIn(array.api_endpoints[0], east['api_endpoints'])
        self.assertTrue(east['subsystem_nqn'].startswith('nqn.'))
        self.assertRegex(east['version'], r'^\d+\.\d+$')
        self.assertEqual(0, east['connection_age'])

    def test_ratio(self) -> None:
        self.made(self.driver, 100, specs={'lightos:cluster': 'east'})
        found = self.clusters()
        self.assertGreater(found['east']['ratio'], 0)
        self.assertEqual(0, found['west']['ratio'])

    def test_down(self) -> None:
        self.arrays['west'].stop()
        west = self.clusters(Outcome.SILENT)['west']
        self.assertEqual('disconnected', west['connection'])
        self.assertIn('[lightbits_cluster:west] api_endpoints',
                      west['reason'])
        self.assertEqual(0, west['connection_age'])

    def test_unauthorized(self) -> None:
        self.reconfigure(west={'jwt': 'no-token'})
        west = self.clusters(Outcome.SILENT)['west']
        self.assertEqual('unauthorized', west['connection'])
        self.assertIn('jwt', west['reason'])
        self.assertNotIn('no-token', str(west))

    def test_states_of_administration(self) -> None:
        self.reconfigure(east={'admin_state': 'draining'},
                         west={'admin_state': 'lost'})
        found = self.clusters()
        self.assertEqual(('draining', 'connected'),
                         (found['east']['admin_state'],
                          found['east']['connection']))
        self.assertEqual(('lost', 'not asked', 'declared lost'),
                         (found['west']['admin_state'],
                          found['west']['connection'],
                          found['west']['reason']))

    def test_broken_section(self) -> None:
        self.reconfigure(west={'cluster_uuid': 'x'})
        west = self.clusters(Outcome.SILENT)['west']
        self.assertEqual('misconfigured', west['connection'])
        self.assertIn('cluster_uuid', west['reason'])

    def test_table(self) -> None:
        table = self.command('cluster', 'list').out
        self.assertIn('connection', table)
        self.assertNotIn('subsystem_nqn', table)
        self.assertIn('subsystem_nqn',
                      self.command('cluster', 'list', '--long').out)


class ShowTest(ClusterTestCase):

    def show(self, name: str, outcome: Outcome = Outcome.CLEAN) -> Any:
        """:returns: what is shown of a cluster."""
        return self.rows('cluster', 'show', name, outcome=outcome)

    def test_all_is_well(self) -> None:
        array = self.arrays['east']

        east = self.show('east')

        self.assertEqual(
            ('east', array.uuid, array.uuid, ['default'], 'cluster '
             'statistics', False),
            tuple(east[key] for key in (
                'name', 'uuid', 'expected_uuid', 'projects',
                'capacity_source', 'upgrading')))
        self.assertGreater(east['effective'], base.GIB)
        self.assertEqual(self.NODES, len(east['api_endpoints']))
        for line in east['api_endpoints']:
            self.assertRegex(line, r'\((seed|learned)\): up, \d+ ms$')
        self.assertEqual(self.NODES, len(east['discovery_endpoints']))

    def test_by_uuid(self) -> None:
        uuid = self.arrays['west'].uuid
        for called in (uuid, uuid.upper()):
            self.assertEqual('west', self.show(called)['name'])

    def test_an_endpoint_is_down(self) -> None:
        array = self.arrays['east']
        array.stop_api(1)
        states = {line.partition(' ')[0]: line
                  for line in self.show('east')['api_endpoints']}
        self.assertIn('down, ', states[array.api_endpoints[1]])
        self.assertIn('up, ', states[array.api_endpoints[0]])

    def test_down(self) -> None:
        self.arrays['east'].stop()
        east = self.show('east', Outcome.SILENT)
        self.assertEqual('disconnected', east['connection'])
        self.assertIn('(seed): down', east['api_endpoints'][0])
        self.assertIsNone(east['effective'])

    def test_by_its_uuid_and_as_csv(self) -> None:
        found = self.command('cluster', 'show', self.arrays['east'].uuid,
                             '-f', 'csv', '--quote', 'none', '-c', 'name',
                             '-c', 'connection')
        self.assertEqual(['name,connection', 'east,connected'],
                         found.out.splitlines())

    def test_lost(self) -> None:
        self.reconfigure(east={'admin_state': 'lost'})
        self.assertEqual('not asked', self.show('east')['connection'])

    def test_unknown(self) -> None:
        found = self.command('cluster', 'show', 'south')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('known are: east, west', found.err)

    def test_broken(self) -> None:
        self.reconfigure(east={'cluster_uuid': 'x'})
        found = self.command('cluster', 'show', 'east')
        self.assertEqual(Outcome.USAGE, found.outcome)
        self.assertIn('cluster_uuid', found.err)


class CapacityTest(ClusterTestCase):

    def figures(self, *argv: str, outcome: Outcome = Outcome.CLEAN
                ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """:returns: the figures of the backend, and by cluster."""
        rows = self.rows('capacity', *argv, outcome=outcome)
        total, = (row for row in rows if row['scope'] == 'backend')
        return total, {row['cluster']: row for row in rows
                       if row['scope'] == 'cluster'}

    def test_sums(self) -> None:
        self.made(self.driver, 30, specs={'lightos:cluster': 'east'})

        total, each = self.figures()

        for key in ('total', 'free', 'provisioned'):
            self.assertEqual(
                each['east'][key] + each['west'][key], total[key], key)
        self.assertEqual(30 * base.GIB, each['east']['provisioned'])
        self.assertEqual(each['west']['largest_volume'],
                         total['largest_volume'])
        self.assertGreater(each['west']['largest_volume'],
                           each['east']['largest_volume'])
        self.assertEqual('lightbits', total['cluster'])

    def test_replicas(self) -> None:
        three, _each = self.figures()
        one, _each = self.figures('--replicas', '1')
        self.assertEqual(3 * three['total'], one['total'])

    def test_what_takes_no_volumes_is_in_no_sum(self) -> None:
        self.reconfigure(west={'admin_state': 'disabled'})
        total, each = self.figures()
        self.assertEqual((False, 'disabled', 0), tuple(
            each['west'][key] for key in (
                'accepts_volumes', 'reason', 'largest_volume')))
        self.assertEqual(each['east']['total'], total['total'])

    def test_silent(self) -> None:
        self.arrays['west'].stop()
        total, each = self.figures(outcome=Outcome.SILENT)
        self.assertIsNone(each['west']['total'])
        self.assertEqual(each['east']['total'], total['total'])
        self.assertIn('Cluster west could not be asked',
                      self.command('capacity').err)

    def test_unknown_size(self) -> None:
        """A project's token may read neither cluster nor nodes."""
        for array in self.arrays.values():
            array.set_switches(tenants_read_nodes=False)
        self.reconfigure(**{
            name: {'jwt': array.token(scope='default')}
            for name, array in self.arrays.items()})
        total, each = self.figures()
        self.assertIsNone(each['east']['total'])
        self.assertIn('2 clusters of unknown size', total['reason'])

    def aged(self, volume: Any, **days: float) -> None:
        """Have a record say that something was so many days ago."""
        model = cinderdb.model_of('Volume')
        now = timeutils.utcnow()
        with cinderdb.writing() as session:
            session.execute(sa.update(model).where(
                model.id == volume.id).values({
                    name: now - datetime.timedelta(days=number)
                    for name, number in days.items()}))

    def test_growth(self) -> None:
        east = {'lightos:cluster': 'east'}
        old, young, gone, soon_gone = (
            self.made(self.driver, size, specs=east)
            for size in (100, 30, 9, 50))
        for volume in (gone, soon_gone):
            self.driver.delete_volume(volume)
            volume.destroy()
        self.aged(old, created_at=40)
        self.aged(young, created_at=2)
        self.aged(gone, created_at=20, deleted_at=3)
        # Came and went meanwhile.
        self.aged(soon_gone, created_at=2, deleted_at=1)

        total, each = self.figures()

        daily = round((30 - 9) * base.GIB / 7)
        self.assertEqual((daily, daily, 0), (
            total['growth_per_day'], each['east']['growth_per_day'],
            each['west']['growth_per_day']))
        # Ratio 20, three replicas: what may still be promised.
        left = 20 * each['east']['total'] - each['east']['provisioned']
        self.assertAlmostEqual(left / daily * 86400,
                               each['east']['full_in'], delta=120)
        self.assertGreater(total['full_in'], each['east']['full_in'])
        self.assertIsNone(each['west']['full_in'])

        total, _each = self.figures('--days', '30')
        self.assertEqual(base.GIB,
                         total['growth_per_day'])
        total, _each = self.figures('--days', '1')
        self.assertEqual((0, None),
                         (total['growth_per_day'], total['full_in']))

    def test_growth_of_a_young_backend(self) -> None:
        """The days before the first volume do not count."""
        first, second = (self.made(self.driver, size) for size in (10, 20))
        self.aged(first, created_at=3)
        total, _each = self.figures()
        self.assertAlmostEqual(10 * base.GIB, total['growth_per_day'],
                               delta=base.GIB // 100)
        for volume in (first, second):
            self.aged(volume, created_at=0.01)
        total, _each = self.figures()
        self.assertEqual(30 * base.GIB, total['growth_per_day'])

    def test_shrinking(self) -> None:
        volume = self.made(self.driver, 10)
        self.driver.delete_volume(volume)
        volume.destroy()
        self.aged(volume, created_at=20, deleted_at=1)
        total, _each = self.figures()
        self.assertEqual((round(-10 * base.GIB / 7), None),
                         (total['growth_per_day'], total['full_in']))

    def test_without_records(self) -> None:
        """The room is shown without Cinder's database."""
        def away(*_args: object) -> NoReturn:
            raise db_exception.DBConnectionError('gone\nand more')

        self.useFixture(fixtures.MonkeyPatch(
            'cinder_lightbits_federation.cli.growth.measure', away))
        found = self.command('capacity')
        self.assertEqual(Outcome.CLEAN, found.outcome)
        self.assertIn('Growth is not known: gone\n', found.err)
        total, _each = self.figures()
        self.assertIsNone(total['growth_per_day'])
        self.assertGreater(total['total'], 0)

    def test_table(self) -> None:
        table = self.command('capacity').out
        self.assertIn('GiB', table)
        self.assertIn('%', table)


class ColumnsTest(oslo_base.BaseTestCase):

    def check(self, column: cliff_columns.FormattableColumn[Any],
              human: str, machine: Any) -> None:
        self.assertEqual((human, machine), (column.human_readable(),
                                            column.machine_readable()))

    def test_age(self) -> None:
        for seconds, human in ((0, '0 s'), (59.9, '59 s'), (60, '1 min'),
                               (3725, '1 h 2 min'), (266_400, '3 d 2 h'),
                               (86_401, '1 d 1 s')):
            self.check(columns.Age(seconds), human, int(seconds))
        self.check(columns.Age(None), '', None)

    def test_size(self) -> None:
        self.check(columns.Size(3 * base.GIB // 2), '1.5 GiB',
                   3 * base.GIB // 2)
        self.check(columns.Size(None), '', None)

    def test_ratio(self) -> None:
        self.check(columns.Ratio(0.12345678), '12.3%', 0.123457)
        self.check(columns.Ratio(None), '', None)

    def test_names(self) -> None:
        self.check(columns.Names(('a', 'b')), 'a\nb', ['a', 'b'])


class StreamsTest(base.CliTestCase):

    CLUSTERS = ('east',)
    NODES = 1

    def test_what_was_logged_is_on_stderr(self) -> None:
        err = io.StringIO()
        found = self.command('-v', '-v', 'cluster', 'list', '-f', 'json',
                             stderr=err)
        self.assertEqual(1, len(found.json()))
        self.assertIn('is connected', err.getvalue())
