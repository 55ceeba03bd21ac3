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

"""Volumes made by the in-tree driver, then served by this one."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from typing import Any

from tests.embedded import cloud
from tests.embedded import command
from tests.embedded import federation
from tests.embedded import records
from tests.functional import base

OLD = 'lightos-east'
DRIVER = 'tests.functional.in_tree.InTreeDriver'
GIB = 1024 ** 3


class AdoptionTest(base.FunctionalTest):

    def setUp(self) -> None:
        super().setUp()
        self.add_cluster('east', journal=10000)

    def default(self, backend: str) -> federation.Section:
        """:returns: the section of the service."""
        return federation.Section('DEFAULT', {
            'enabled_backends': backend})

    def in_tree(self) -> federation.Section:
        """:returns: the section of the in-tree driver."""
        cluster = self.clusters['east']
        address, port = cluster.api_endpoints[0].rsplit(':', 1)
        return federation.Section(OLD, {
            'volume_driver': DRIVER, 'volume_backend_name': OLD,
            'lightos_api_address': address, 'lightos_api_port': port,
            'lightos_jwt': cluster.token(scope='default')})

    def begin(self) -> Any:
        """Start the service with the in-tree driver."""
        self._cloud = cloud.Cloud(
            self.folder / 'cinder', threads=self.threads,
            config=f'{self.default(OLD)}\n{self.in_tree()}')
        self.before = federation.contents(self.clusters.values())
        self.addCleanup(self._cloud.stop)
        self.addOnException(self._keep_log)
        self._cloud.start()
        return self._cloud.sdk()

    def exchange(self) -> Any:
        """Start the service with this driver."""
        self.cloud.layout.config.write_text(
            federation.config([self.section('east')], self.federation_id, {
                'lightbits_poll_interval': '1'})
            + f'\n{self.default(federation.BACKEND)}\n{self.in_tree()}')
        return self.cloud.sdk

    def command(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run the operator's command over the files of the service."""
        return subprocess.run(
            command.federation(self.cloud.layout.arguments, *argv),
            capture_output=True, text=True, timeout=120, check=False)

    def listed(self, sdk: Any) -> list[dict[str, Any]]:
        """:returns: all that a user sees, and the attachments."""
        return [json.loads(json.dumps(item.to_dict(), default=str))
                for kind in (sdk.volumes, sdk.snapshots, sdk.attachments)
                for item in kind()]

    def test_a_life_under_two_drivers(self) -> None:
        sdk = self.begin()
        kind = sdk.create_type(name='old', extra_specs={
            'volume_backend_name': OLD})
        made: dict[str, Any] = {'volume_type': kind.id}
        idle, used = self.create(sdk, **made), self.create(sdk, **made)
        taken = self.snapshot(sdk, idle)
        clone = self.create(sdk, source_volume_id=idle.id, **made)
        attachment = sdk.create_attachment(used.id,
                                           connector=base.CONNECTOR)
        sdk.complete_attachment(attachment)
        self.settled(sdk, used, 'in-use')
        homes = {item.id: self.on_array(item)[1]['UUID']
                 for item in (idle, used, clone)}
        before = self.listed(sdk)
        self.cloud.stop()
        self.exchange()
        asked = len(self.clusters['east'].journal())
        self.adopt()
        self.assertEqual({'GET'}, {
            item['method'] for item
            in self.clusters['east'].journal()[asked:]})

        self.cloud.start()
        sdk = self.cloud.sdk()

        self.assertEqual(
            [self.seen(item) for item in before],
            [self.seen(item) for item in self.listed(sdk)])
        for item in (idle, used, clone):
            self.assertEqual(homes[item.id],
                             self.on_array(item)[1]['UUID'])
        self.audit()
        self.use(sdk, idle, used, clone, taken)

    def seen(self, item: dict[str, Any]) -> dict[str, Any]:
        """:returns: an item without what tells administrators the place.

        A service that starts writes its UUID into its volumes' records.
        """
        return {key: value for key, value in item.items()
                if key not in ('host', 'location', 'connection_info',
                               'service_uuid', 'updated_at')}

    def adopt(self) -> None:
        """Adopt; the old service counts as down only after a while."""
        with contextlib.closing(sqlite3.connect(
                self.cloud.layout.database)) as link, link:
            link.execute(records.LONG_AGO)
        done = self.command(
            'adopt', 'run', '--from', f'{OLD}=east', '--backup-dir',
            str(self.folder / 'adoption'), '--yes', '-f', 'json')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual([], json.loads(done.stdout))
        self.assertIn('5 records rewritten', done.stderr)

    def use(self, sdk: Any, idle: Any, used: Any, clone: Any, taken: Any
            ) -> None:
        """Do to adopted volumes what users do."""
        sdk.extend_volume(idle.id, 2)
        self.wait(lambda: sdk.get_volume(idle.id).size == 2,
                  'the volume to grow')
        idle = self.settled(sdk, idle)
        self.assertEqual(2 * GIB, int(self.on_array(idle)[1]['size']))
        second = sdk.create_attachment(clone.id,
                                       connector=base.SECOND_CONNECTOR)
        sdk.complete_attachment(second)
        self.audit()
        copy = self.create(sdk, snapshot_id=taken.id)
        for item in [*sdk.attachments()]:
            sdk.delete_attachment(item.id)
        for item in (used, clone):
            self.settled(sdk, item)
        self.audit()
        sdk.delete_snapshot(taken.id)
        self.wait(lambda: not list(sdk.snapshots()),
                  'the snapshot to be gone')
        self.delete(sdk, copy, idle, used, clone)
        self.audit()
        self.assertEqual(
            self.before, federation.contents(self.clusters.values()))
