# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.


"""Upgrades of an array, and the release it runs."""

from __future__ import annotations

import datetime
import typing

from tests.simulator import control
from tests.unit.simulator import base


class UpgradeTestCase(base.SimulatorTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.make_cluster(2)

    def last(self) -> dict[str, typing.Any]:
        """Return the last upgrade, which all routes tell alike."""
        answers = [
            self.call(self.cluster, 'GET', f'/api/v2/{name}')
            for name in ('clusterinfo', 'cluster', 'servers')
        ]
        told = [answer.get('lastUpgrade', {}) for answer in answers[:2]]
        told += [
            server.get('LastUpgrade', {}) for server in answers[2]['servers']
        ]
        self.assertEqual(4, len(told))
        for other in told[1:]:
            self.assertEqual(told[0], other)
        first: dict[str, typing.Any] = told[0]
        return first

    def etag(self) -> str:
        answer = self.call(self.cluster, 'GET', '/api/v2/clusterinfo')
        return str(answer.get('ETag'))

    def test_there_was_none(self) -> None:
        self.assertEqual({'Status': 'None'}, self.last())

    def test_from_start_to_end(self) -> None:
        before = self.etag()
        self.cluster.set_clock_skew(3600)
        earliest = datetime.datetime.now(datetime.UTC)
        self.cluster.set_upgrade('Upgrading', target='3.20.1', total=2)
        self.assertNotEqual(before, self.etag())
        begun = self.last()
        started = datetime.datetime.fromisoformat(begun['StartTime'])
        self.assertLess(
            started - earliest - datetime.timedelta(hours=1),
            datetime.timedelta(minutes=1),
        )
        self.assertGreater(started, earliest)
        self.assertEqual(
            {
                'Status': 'Upgrading',
                'StartTime': begun['StartTime'],
                'TargetVersion': '3.20.1',
                'ProgressTotal': 2,
            },
            begun,
        )
        self.cluster.set_upgrade('Upgrading', step=1)
        self.assertEqual({**begun, 'ProgressStep': 1}, self.last())
        self.cluster.set_upgrade('None', step=2)
        over = self.last()
        self.assertEqual(
            {
                **begun,
                'Status': 'None',
                'ProgressStep': 2,
                'EndTime': over['EndTime'],
            },
            over,
        )
        self.assertGreater(over['EndTime'], begun['StartTime'])

    def test_a_failed_one_and_the_next(self) -> None:
        self.cluster.set_upgrade('Upgrading', '3.20.1', step=1, total=2)
        self.cluster.set_upgrade('UpgradeFailed', error='no space')
        failed = self.last()
        self.assertEqual(
            ('UpgradeFailed', 'no space', '3.20.1', 1),
            tuple(
                failed[name]
                for name in (
                    'Status',
                    'ErrorMessage',
                    'TargetVersion',
                    'ProgressStep',
                )
            ),
        )
        self.cluster.set_upgrade('Upgrading')
        after = self.last()
        self.assertEqual({'Status', 'StartTime'}, set(after))
        self.assertGreater(after['StartTime'], failed['EndTime'])

    def test_unknown_is_a_zero_value(self) -> None:
        self.cluster.set_upgrade('Unknown')
        self.assertEqual({}, self.last())
        self.cluster.set_switches(emit_defaults=True)
        self.assertEqual('Unknown', self.last()['Status'])

    def test_bad_values_are_refused(self) -> None:
        before = self.last(), self.etag()
        for status, options, text in (
            ('Done', {}, "status: 'Done' is not one of Unknown, None"),
            ('Upgrading', {'target': 3}, 'target'),
            ('Upgrading', {'step': 2, 'total': 1}, 'step: 2 is not 0 to 1'),
            ('Upgrading', {'step': -1}, 'step'),
        ):
            call: typing.Callable[..., None] = self.cluster.set_upgrade
            error = self.assertRaises(
                control.SimulatorError, call, status, **options
            )
            self.assertEqual(400, error.status)
            self.assertIn(text, str(error))
        self.assertEqual(before, (self.last(), self.etag()))


class VersionTestCase(base.SimulatorTestCase):
    def test_it_changes_at_run_time(self) -> None:
        cluster = self.make_cluster(1, version='3.10.0')
        labels = [{'key': 'owner', 'value': 'me'}]
        made = self.create(cluster, labels=labels)
        self.assertNotIn('labels', made)
        before = self.call(cluster, 'GET', '/api/v2/clusterinfo')

        cluster.set_version('3.20.1~b7')

        after = self.call(cluster, 'GET', '/api/v2/cluster')
        self.assertEqual('3.20.1~b7', after['MinVersionInCluster'])
        self.assertNotEqual(before.get('ETag'), after['ETag'])
        servers = self.call(cluster, 'GET', '/api/v2/servers')['servers']
        self.assertEqual(
            ['3.20.1~b7'], [server['LightOSVersion'] for server in servers]
        )
        made = self.create(cluster, name='new', labels=labels)
        self.assertEqual(labels, made['labels'])

    def test_a_bad_one_is_refused(self) -> None:
        cluster = self.make_cluster(1)
        for version in ('', 'new', '3'):
            error = self.assertRaises(
                control.SimulatorError, cluster.set_version, version
            )
            self.assertEqual(400, error.status)
            self.assertIn('MAJOR.MINOR', str(error))
