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

"""Moves whose old cluster is declared lost before they have ended."""

from __future__ import annotations

import dataclasses
from unittest import mock

from cinder_lightbits_federation.copy.origin import Origin
from cinder_lightbits_federation.copy.relocation import Relocation
from cinder_lightbits_federation.jobs.model import Job
from cinder_lightbits_federation.jobs.model import JobState
from cinder_lightbits_federation.views import AdminState
from tests.unit.copy import test_mobility
from tests.unit.copy import test_unfinished


class LostTest(test_unfinished.UnfinishedTestCase):

    def lose(self) -> None:
        """Declare the old cluster lost."""
        cluster, = (item for item in self.drv.federation.registry.clusters
                    if item.name == self.home)
        cluster.adopt(dataclasses.replace(cluster.settings,
                                          admin_state=AdminState.LOST))

    def begun(self) -> None:
        """Leave a move that has copied something."""
        self.killed(self.record)

    def copied(self) -> None:
        """Leave a move that has copied all, and may have closed the source."""
        with mock.patch.object(Origin, 'close', autospec=True,
                               side_effect=test_mobility.Killed):
            self.assertRaises(test_mobility.Killed, self.migrate, self.record)

    def carried_out(self) -> None:
        """Leave a move whose record names the new volume."""
        with mock.patch.object(Relocation, '_finish', autospec=True,
                               side_effect=test_mobility.Killed):
            self.assertRaises(test_mobility.Killed, self.migrate, self.record)

    def deleted(self, state: JobState) -> None:
        """Declare the cluster lost, and see that the volume is deleted.

        :param state: how the move's job has ended then.
        """
        self.assertEqual(1, len(self.objects()[self.there]))
        self.lose()
        self.drv.delete_volume(self.reread(self.record))
        self.assertEqual([], self.objects()[self.there])
        job, = self.drv.desk.book.all()
        self.assertIs(state, job.state)

    def cancelled(self) -> Job:
        """Declare the cluster lost, and cancel the move's job.

        :returns: the job, when the service has ended it.
        """
        self.lose()
        job, = self.drv.desk.book.all()
        self.drv.desk.book.cancel(job.id)
        self.drv.desk.close()
        self.drv._service._runner.look_now()
        self.wait(lambda: self.drv.desk.book.get(job.id).ended)
        ended: Job = self.drv.desk.book.get(job.id)
        return ended

    def test_one_that_has_begun_goes_with_its_volume(self) -> None:
        self.begun()
        self.deleted(JobState.CANCELLED)

    def test_one_that_has_copied_all_goes_with_its_volume(self) -> None:
        self.copied()
        self.deleted(JobState.CANCELLED)

    def test_a_volume_that_has_moved_is_deleted(self) -> None:
        self.carried_out()
        self.deleted(JobState.CANCELLED)

    def test_the_job_is_cancelled(self) -> None:
        self.copied()
        self.assertIs(JobState.CANCELLED, self.cancelled().state)
        self.assertEqual([], self.objects()[self.there])

    def test_a_volume_that_has_moved_gets_its_name(self) -> None:
        self.carried_out()
        self.assertIs(JobState.DONE, self.cancelled().state)
        made, = self.objects()[self.there]
        self.assertTrue(made.startswith(self.record.name))
