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

"""A volume that Cinder fails to take over is not Cinder's to destroy."""

from tests.crash import cloud
from tests.unit.driver import base


class FailedManageTestCase(cloud.CloudTestCase):
    """The service dies, or the database fails, and the user gives up."""

    CLUSTERS = ('east',)

    def manage_and_die(self, after: str) -> None:
        """Have a foreign volume managed by a service that dies of it."""
        self.theirs = self.foreign_volume('east')
        with self.service.life.watched(after):
            self.record = self.api.manage_existing(
                self.context, cloud.PLACE, None,
                {'source-id': self.theirs['UUID']})
        self.assertTrue(self.service.life.dead)
        self.boot()

    def assert_theirs(self) -> None:
        """It is there, and nobody has it."""
        found = self.objects_by_uuid('east')[self.theirs['UUID']]
        self.assertNotIn(base.FEDERATION_ID, self.labels(found).values())
        self.assert_sound()

    def test_before_the_volume_was_touched(self) -> None:
        self.manage_and_die('commit volumes')
        self.assertIsNotNone(self.location(self.record).object_uuid)

        self.delete(self.record.id)

        self.assert_theirs()

    def test_while_the_volume_is_changing(self) -> None:
        self.manage_and_die('PUT volumes.update')

        self.delete(self.record.id)

        self.assert_theirs()

    def test_after_the_volume_was_renamed(self) -> None:
        self.manage_and_die('the cluster settles')
        self.on(self.record)

        self.delete(self.record.id)

        self.assert_theirs()

    def test_unmanage_serves_as_well(self) -> None:
        self.manage_and_die('commit volumes')
        self.reset(self.record, 'error')

        self.api.delete(self.context, self.record, unmanage_only=True)

        self.assert_gone(type(self.record), self.record.id)
        self.assert_theirs()

    def test_deleting_what_was_not_taken_over_destroys_nothing(self) -> None:
        self.manage_and_die('commit volumes')
        self.reset(self.record, 'error')

        self.api.delete(self.context, self.record)

        self.assertEqual('error_deleting', self.reread(self.record).status)
        self.assert_theirs()
