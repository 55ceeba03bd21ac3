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

"""``host acl refresh``: a host with other addresses."""

from __future__ import annotations

import json
import os
from typing import Any

from cinder import objects
import fixtures

from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import base
from tests.unit.driver import base as driver_base

AUDIT = ('audit', '--second-look', '0', '--grace', '0')
NEW = ('--address', '192.0.2.101', '--address', '2001:db8::101')


class HostAclRefreshTest(base.CliTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.backup = self.path('backup')
        self.host = driver_base.connector(1, '192.0.2.1', '192.0.2.11')
        self.other = driver_base.connector(2, '192.0.2.2', '192.0.2.11')
        self.alone = self.made(self.driver)
        self.shared = self.made(self.driver)
        self.others = self.made(self.driver)
        self.attach(self.driver, self.alone, self.host)
        self.attach(self.driver, self.shared, self.host)
        self.attach(self.driver, self.shared, self.other)
        self.attach(self.driver, self.others, self.other)

    def refresh(self, *argv: str, host: str = 'compute1',
                outcome: Outcome = Outcome.CLEAN) -> Any:
        """:returns: what was done."""
        return self.rows('host', 'acl', 'refresh', host, *NEW, '--yes',
                         '--backup-dir', self.backup, *argv,
                         outcome=outcome)

    def addresses(self, record: Any) -> list[str]:
        """:returns: the IP ACL of a volume."""
        return sorted(self.on(record)[1]['IPAcl']['values'])

    def told(self, record: Any) -> dict[str, list[str]]:
        """:returns: addresses of the attached hosts, as recorded."""
        found = objects.VolumeAttachmentList.get_all_by_volume_id(
            self.context, record.id)
        return {item.connector['host']: item.connector['host_ips']
                for item in found}

    def test_all_volumes(self) -> None:
        before = self.addresses(self.others)

        done = self.refresh()

        self.assertEqual([('refresh-host', 'done')] * 2,
                         [(row['action'], row['result']) for row in done])
        new = ['192.0.2.101', '2001:db8::101']
        self.assertEqual(new, self.addresses(self.alone))
        # One of its old addresses is the other host's, too.
        self.assertEqual(sorted([*new, '192.0.2.11', '192.0.2.2']),
                         self.addresses(self.shared))
        self.assertEqual(before, self.addresses(self.others))
        self.assertEqual({'compute1': new,
                          'compute2': ['192.0.2.2', '192.0.2.11']},
                         self.told(self.shared))
        self.assertEqual([], self.rows(*AUDIT))
        self.assertEqual({'nothing to do'}, {
            row['result'] for row in self.refresh(host=self.host['nqn'])})

    def test_detach_after_it(self) -> None:
        """The new addresses are the host's own."""
        self.refresh()
        attachment = objects.VolumeAttachmentList.get_all_by_volume_id(
            self.context, self.shared.id)
        for item in attachment:
            if item.connector['host'] == 'compute1':
                self.driver.terminate_connection(self.shared, item.connector)
        self.assertEqual(['192.0.2.11', '192.0.2.2'],
                         self.addresses(self.shared))

    def test_backups(self) -> None:
        self.refresh()
        kept = []
        for name in sorted(os.listdir(self.backup)):
            with open(os.path.join(self.backup, name),
                      encoding='utf-8') as file:
                kept.append(json.load(file))
        self.assertEqual(['done', 'done'], [item['result'] for item in kept])
        for item in kept:
            self.assertIn('192.0.2.1', item['before']['ip_acl'])
            self.assertNotIn('192.0.2.1', item['after']['ip_acl'])
            [connector] = item['before']['attachments'].values()
            self.assertEqual(self.host['host_ips'],
                             json.loads(connector)['host_ips'])

    def test_dry_run(self) -> None:
        before = self.addresses(self.alone)
        rows = self.rows('host', 'acl', 'refresh', 'compute1', *NEW,
                         '--dry-run')
        self.assertEqual({'would be done'}, {row['result'] for row in rows})
        self.assertEqual(before, self.addresses(self.alone))
        self.assertEqual({'compute1': self.host['host_ips']},
                         self.told(self.alone))

    def test_asked(self) -> None:
        found = self.command('host', 'acl', 'refresh', 'compute1', *NEW,
                             '--backup-dir', self.backup,
                             stdin=base.Terminal('n\n'))
        self.assertEqual(Outcome.FINDINGS, found.outcome)
        self.assertIn('Bring 2 volumes up to date?', found.err)
        self.assertEqual({'compute1': self.host['host_ips']},
                         self.told(self.alone))

    def test_interrupted_between_the_two_sides(self) -> None:
        def interrupted(*args: Any) -> None:
            raise KeyboardInterrupt

        with fixtures.MonkeyPatch(
                'cinder_lightbits_federation.cli.hosts.amend_row',
                interrupted):
            self.command('host', 'acl', 'refresh', 'compute1', *NEW, '--yes',
                         '--backup-dir', self.backup)
        self.refresh()
        self.assertEqual(['192.0.2.101', '2001:db8::101'],
                         self.addresses(self.alone))
        self.assertEqual([], self.rows(*AUDIT))

    def test_a_silent_cluster_fails_alone(self) -> None:
        cluster = self.array_of(self.alone)[0]
        here = [item for item in (self.alone, self.shared)
                if self.array_of(item)[0] == cluster]
        self.arrays[cluster].stop()
        rows = self.refresh(outcome=Outcome.FAILED)
        self.assertEqual({item.id for item in here}, {
            row['cinder_id'] for row in rows
            if row['result'].startswith('failed')})

    def test_arguments(self) -> None:
        for argv, told in (
                (('--address', 'x'), "'x' is malformed"),
                (('--address', '127.0.0.1'), 'none of them')):
            found = self.command('host', 'acl', 'refresh', 'compute1', *argv,
                                 '--dry-run')
            self.assertEqual(Outcome.USAGE, found.outcome)
            self.assertIn(told, found.err)
        found = self.command('host', 'acl', 'refresh', 'nobody', *NEW,
                             '--dry-run')
        self.assertEqual(Outcome.FAILED, found.outcome)
