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

"""The database is restored from a backup, and records are made anew."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import subprocess

import fixtures

from tests.embedded import federation
from tests.embedded import records
from tests.functional import base
from tests.functional import hour
from tests.stack import case
from tests.stack import daemons
from tests.stack import programs


class EmbeddedTest(hour.HourOfWork, base.FunctionalTest):
    """SQLite."""

    def test_without_an_export(self) -> None:
        """The clusters alone tell what there was."""
        self.add_cluster('east')
        self.add_cluster('west')
        sdk = self.start()
        self.before_backup(sdk)
        database = self.cloud.layout.database
        backup = self.folder / 'backup.sqlite'
        with contextlib.closing(sqlite3.connect(database)) as link, \
                contextlib.closing(sqlite3.connect(backup)) as copy:
            link.backup(copy)
            copy.execute(records.LONG_AGO)
            copy.commit()
        self.after_backup(sdk)
        self.audit()
        self.cloud.stop()
        for name in database.parent.glob(f'{database.name}*'):
            name.unlink()
        backup.rename(database)
        before = federation.contents(self.clusters.values())
        self.reimport(
            self.cloud.layout.arguments, '--project-id',
            self.extended.project_id)
        self.assertEqual(before,
                         federation.contents(self.clusters.values()))
        self.cloud.start()
        self.check(self.cloud.sdk(), exported=False)
        self.audit()


class StackTest(hour.HourOfWork, case.StackTest):
    """MariaDB, and several services in a cluster."""

    def test_with_an_export(self) -> None:
        """All is as it was, names and attachments included."""
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        config = self.stack.layout.arguments('stor1')
        self.before_backup(self.sdk)
        dump = self.mariadb('mariadb-dump', '--single-transaction')
        self.after_backup(self.sdk)
        self.audit()
        export = str(self.folder / 'export.json')
        self.command(config, 'audit', 'export', export)
        self.assertEqual([], daemons.stop_all(self.stack.cinder))
        self.mariadb('mariadb', text=f'{dump}\n{records.LONG_AGO};\n')
        before = self.bed.contents()
        self.reimport(config, '--export', export)
        self.assertEqual(before, self.bed.contents())
        for service in self.stack.cinder:
            service.launch()
        for service in self.stack.cinder:
            service.wait()
        self.sdk = self.stack.sdk()
        self.check(self.sdk, exported=True)
        self.audit()

    def mariadb(self, program: str, *options: str, text: str = '') -> str:
        """Run one of MariaDB's programs; return what it printed."""
        done = subprocess.run(
            [programs.find(program), '--no-defaults',
             *self.stack.database.access(), *options, 'cinder'],
            input=text, capture_output=True, text=True, timeout=120,
            check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout
