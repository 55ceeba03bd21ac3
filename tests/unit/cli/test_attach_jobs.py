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

from __future__ import annotations

import os
import shlex
from typing import Any
from unittest import mock

from cinder_lightbits_federation.cli import inspection
from cinder_lightbits_federation.cli.outcome import Outcome
from cinder_lightbits_federation.jobs.model import JobState
from tests.unit.cli import test_attach


class AttachJobTest(test_attach.DropInTestCase):

    @property
    def book(self) -> Any:
        """The jobs."""
        return self.driver._service.shared.book

    def test_its_end_can_be_asked_for(self) -> None:
        array = self.north()
        book, real = self.book, inspection.Inspection._nodes

        def nodes(seen: inspection.Inspection) -> None:
            job, = book.all([JobState.RUNNING])
            self.assertEqual(('replicas', 6, 10), (
                job.checkpoint['step'], job.done, job.total))
            book.cancel(job.id)
            real(seen)

        with mock.patch.object(inspection.Inspection, '_nodes', nodes):
            found = self.command('cluster', 'attach', 'north',
                                 *self.access(array))
        self.assertEqual(Outcome.FAILED, found.outcome)
        self.assertIn('was cancelled: nothing was changed', found.err)
        self.assertFalse(os.path.exists(self.file))
        self.assertEqual([('attach', 'north', 'cancelled')], self.jobs())
        self.attach(array)
        self.assertTrue(os.path.exists(self.file))

    def test_interrupted(self) -> None:
        array = self.north()
        with mock.patch.object(inspection.Inspection, '_nodes', autospec=True,
                               side_effect=KeyboardInterrupt):
            found = self.command('cluster', 'attach', 'north',
                                 *self.access(array))
        self.assertEqual(Outcome.INTERRUPTED, found.outcome)
        self.assertEqual([('attach', 'north', 'failed')], self.jobs())
        job, = self.book.all()
        refused = self.command('job', 'resume', job.id)
        self.assertEqual(Outcome.FAILED, refused.outcome)
        self.assertIn(shlex.join(self.access(array)), refused.err)
        self.attach(array)
        self.assertEqual([('attach', 'north', 'done')], self.jobs())

    def test_its_command_has_died(self) -> None:
        ended = {}
        for subject, step in (('north', 'nodes'), ('south', 'write')):
            job = self.book.add('attach', subject, {})
            claim = self.book.claim(job, 'somewhere')
            self.book.save(job.id, claim, {'step': step}, 7, 10)
            self.book.let_go(job.id, claim)
            ended[subject] = self.book.cancel(job.id).id

        def states() -> Any:
            found = {subject: self.book.get(job_id).state.value
                     for subject, job_id in ended.items()}
            return found if 'cancelling' not in found.values() else None

        self.assertEqual({'north': 'cancelled', 'south': 'failed'},
                         self.wait(states))
