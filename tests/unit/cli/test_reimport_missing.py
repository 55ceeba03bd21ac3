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

"""``audit reimport``: records whose volume is gone while hosts have it."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from typing import Any

from cinder_lightbits_federation.audit import amend
from cinder_lightbits_federation.audit import clerk
from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import test_reimport
from tests.unit.driver import base as driver_base

AMEND = 'cinder_lightbits_federation.audit.amend.amend_row'


class MissingTest(test_reimport.ReimportTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.record = self.made(self.driver)
        self.host = driver_base.connector(1)
        self.attach(self.driver, self.record, self.host)
        self.record.status, self.record.attach_status = 'in-use', 'attached'
        self.record.save()
        self.attachment, = self.attachments(self.record)
        cluster, found = self.on(self.record)
        self.ask(cluster, 'DELETE', f'volumes/{found["UUID"]}')
        self.settle()

    def journal(self) -> Any:
        """:returns: what was written down of the one change."""
        name, = os.listdir(self.backup)
        with open(os.path.join(self.backup, name), encoding='utf-8') as file:
            return json.load(file)

    def check_way_back(self) -> None:
        """What the journal has is enough to attach the volume again."""
        found = self.journal()
        row, = found['before']['volume_attachment']
        self.assertEqual('in-use', found['before']['status'])
        self.assertEqual(
            (self.attachment.id, self.record.id, 'attached', self.host),
            (row['id'], row['volume_id'], row['attach_status'],
             json.loads(row['connector'])))
        self.assertEqual({'status': 'error', 'volume_attachment': []},
                         found['after'])

    def test_its_attachments_are_written_down(self) -> None:
        self.assertEqual([('record-in-error', self.record.id, 'done')],
                         self.results())
        self.assertEqual('error', self.reread(self.record).status)
        self.assertEqual([], self.attachments(self.record))
        self.check_way_back()
        self.assertEqual('done', self.journal()['result'])

    def change_first(self, **fields: str) -> None:
        """Have somebody change the record right before it is amended."""
        real = amend.amend_row

        def late(kind: str, row_id: str, *args: Any) -> bool:
            self.reread(self.record).conditional_update(fields)
            return real(kind, row_id, *args)

        self.stub_out(AMEND, late)

    def test_changed_after_the_detach(self) -> None:
        """It is no longer as it was, so it was not left alone."""
        self.change_first(status='deleting')
        (_action, _id, result), = self.results(outcome=Outcome.FAILED)
        self.assertIn('failed: its attachments were ended, and then', result)
        self.assertEqual('deleting', self.reread(self.record).status)
        self.check_way_back()
        self.assertEqual(result, self.journal()['result'])

    def after_the_detach(self, change: Callable[[], Any]) -> None:
        """Have somebody change the record when its attachments are over."""
        real = clerk.Clerk.detach

        def last(volume_id: str, attachment_ids: Any) -> str | None:
            status = real(volume_id, attachment_ids)
            change()
            return status

        self.stub_out(f'{clerk.__name__}.Clerk.detach', staticmethod(last))

    def test_changed_before_anybody_looks_again(self) -> None:
        """What somebody has set is not taken for what the detach left."""
        self.after_the_detach(lambda: self.reread(
            self.record).conditional_update({'status': 'deleting'}))
        (_action, _id, result), = self.results(outcome=Outcome.FAILED)
        self.assertIn('failed: its attachments were ended, and then', result)
        self.assertEqual('deleting', self.reread(self.record).status)
        self.check_way_back()

    def test_deleted_after_the_detach(self) -> None:
        self.after_the_detach(lambda: self.reread(self.record).destroy())
        (_action, _id, result), = self.results(outcome=Outcome.FAILED)
        self.assertIn('failed: its attachments were ended, and then its '
                      'record was changed or deleted', result)

    def test_a_status_that_the_detach_leaves(self) -> None:
        """Cinder keeps that of a volume which is being migrated."""
        self.record.migration_status = 'migrating'
        self.record.save()
        self.results()
        self.assertEqual('error', self.reread(self.record).status)

    def test_changed_where_nobody_has_it(self) -> None:
        self.leave_on_record()
        self.change_first(status='deleting')
        (_action, _id, result), = self.results(outcome=Outcome.FINDINGS)
        self.assertEqual('left alone: its record was changed meanwhile',
                         result)
        self.assertEqual({'status': 'available'}, self.journal()['before'])

    def leave_on_record(self) -> None:
        """Take the attachment out of the database."""
        self.attachment.destroy()
        self.record.status, self.record.attach_status = ('available',
                                                         'detached')
        self.record.save()
