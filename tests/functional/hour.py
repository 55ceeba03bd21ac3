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

"""An hour of work that a database forgets, and what is to be left of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import json
import pathlib
import subprocess
from typing import Any

from tests.embedded import command
from tests.functional import base
from tests.functional import work


class HourOfWork(work.Work):
    """What users do before and after the database is backed up.

    :ivar folder: takes files.
    """

    folder: pathlib.Path

    def before_backup(self, sdk: Any) -> None:
        """What the backup knows."""
        self.extended, self.dropped, self.attached, self.detached = (
            self.create(sdk) for _number in range(4))
        self.gone = self.snapshot(sdk, self.extended)
        self.attachment = self.attach(sdk, self.detached, base.CONNECTOR)

    def after_backup(self, sdk: Any) -> None:
        """What it does not know."""
        self.new = self.create(sdk, size=2, name='mine')
        self.taken = self.snapshot(sdk, self.new)
        self.clone = self.create(sdk, size=3, snapshot_id=self.taken.id)
        self.since = self.attach(sdk, self.new, base.CONNECTOR)
        self.later = self.attach(sdk, self.attached, base.SECOND_CONNECTOR)
        sdk.extend_volume(self.extended.id, 4)
        self.assertEqual(4, self.settled(sdk, self.extended).size)
        sdk.delete_snapshot(self.gone.id)
        self.wait(lambda: self.gone.id not in {
            item.id for item in sdk.snapshots()}, 'the snapshot to be gone')
        sdk.delete_attachment(self.attachment.id)
        self.settled(sdk, self.detached)
        self.delete(sdk, self.dropped)

    def check(self, sdk: Any, exported: bool) -> None:
        """Nothing is lost, and all that there is works.

        :param exported: the records were exported at the end of the hour.
        """
        found = {item.id: item for item in sdk.volumes(all_projects=True)}
        wanted = ((self.extended, ('available', 4)),
                  (self.dropped, ('error', 1)), (self.attached, ('in-use', 1)),
                  (self.clone, ('available', 3)), (self.new, ('in-use', 2)),
                  (self.detached, ('available', 1)))
        self.assertEqual(
            {item.id: state for item, state in wanted},
            {number: (item.status, item.size)
             for number, item in found.items()})
        states = {item.id: item.status
                  for item in sdk.snapshots(all_projects=True)}
        self.assertEqual({self.gone.id: 'error',
                          self.taken.id: 'available'}, states)
        if exported:
            self.assertEqual('mine', found[self.new.id].name)
            self.assertEqual(
                {self.since.id, self.later.id},
                {item.id for item in sdk.attachments()})
        for item in list(sdk.attachments()):
            sdk.delete_attachment(item.id)
        for item in (self.new, self.attached):
            self.settled(sdk, item)
        copy = self.create(sdk, size=2, source_volume_id=self.new.id)
        for item in (self.taken, self.gone):
            sdk.delete_snapshot(item.id)
        self.wait(lambda: not list(sdk.snapshots()),
                  'the snapshots to be gone')
        self.delete(sdk, copy, *(item for item, _state in wanted))

    def attach(self, sdk: Any, volume: Any, connector: dict[str, Any]
               ) -> Any:
        """Attach a volume as a host would."""
        made = sdk.create_attachment(volume.id, connector=connector)
        sdk.complete_attachment(made)
        return made

    def command(self, config: Sequence[str], *argv: str,
                codes: Iterable[int] = (0,)) -> str:
        """Run the operator's command; return what it printed.

        :param config: tells where the configuration is.
        """
        done = subprocess.run(
            command.federation(config, *argv),
            capture_output=True, text=True, timeout=180, check=False)
        self.assertIn(done.returncode, codes, done.stdout + done.stderr)
        return done.stdout

    def reimport(self, config: Sequence[str], *argv: str) -> None:
        """Make the records anew; all that was to be done was done."""
        done = json.loads(self.command(
            config, 'audit', 'reimport', '--second-look', '0', '--yes',
            '--backup-dir', str(self.folder / 'backups'), *argv,
            '-f', 'json'))
        self.assertEqual({'done'}, {row['result'] for row in done}, done)
        self.assertEqual(
            ['make-record'] * 3 + ['record-attachment',
                                   'record-detachment', 'record-in-error',
                                   'record-in-error', 'set-size'],
            sorted(row['action'] for row in done))
