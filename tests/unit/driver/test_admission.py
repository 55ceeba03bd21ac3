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

"""Attachments say who may have access before the array does."""

from collections.abc import Callable
from typing import Any

from cinder import exception
from cinder import objects

from tests.unit.driver import base


class AdmissionTestCase(base.FederationTestCase):

    NODES = 1
    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.drv = self.start_driver()
        self.east = self.arrays['east']
        self.record = self.made(self.drv)
        self.host = base.connector(1)

    def reserve(self) -> Any:
        """Reserve an attachment, as the API does."""
        made = objects.VolumeAttachment(
            context=self.context, volume_id=self.record.id,
            attach_status='reserved')
        made.create()
        return made

    def state(self, attachment: Any) -> tuple[str, str | None]:
        """Return what the record says: status, and NQN of the host."""
        now = self.reread(attachment)
        connector = now.connector or {}
        return now.attach_status, connector.get('nqn')

    def admitted(self) -> list[str]:
        """Return who is in the ACL on the array."""
        acl = self.on(self.record)[1]['acl']['values']
        return [item for item in acl if item != 'ALLOW_NONE']

    def attach_host(self) -> Any:
        return self.drv.initialize_connection(self.record, self.host)

    def test_it_says_so_when_the_host_is_admitted(self) -> None:
        attachment = self.reserve()

        self.attach_host()

        self.assertEqual(('attaching', base.nqn(1)), self.state(attachment))
        self.assertEqual(self.host, self.reread(attachment).connector)

    def test_it_still_does_when_the_outcome_is_not_known(self) -> None:
        attachment = self.reserve()
        self.east.fault('apply_then_drop', route='volumes.update')
        self.east.fault('status', route='volumes.get', status=403, after=1)

        self.assertRaises(exception.CinderException, self.attach_host)

        self.east.clear_faults()
        self.assertEqual([base.nqn(1)], self.admitted())
        self.assertEqual(('attaching', base.nqn(1)), self.state(attachment))
        self.drv.terminate_connection(
            self.record, self.reread(attachment).connector, force=False)
        self.assertEqual([], self.admitted())

    def test_it_does_not_when_the_array_has_refused(self) -> None:
        attachment = self.reserve()
        self.east.fault('status', route='volumes.update', status=403)

        self.assertRaises(exception.CinderException, self.attach_host)

        self.assertEqual(('reserved', None), self.state(attachment))
        self.assertEqual([], self.admitted())

    def test_it_does_not_when_the_array_is_away(self) -> None:
        attachment = self.reserve()
        self.east.stop()

        self.assertRaises(exception.CinderException, self.attach_host)

        self.assertEqual(('reserved', None), self.state(attachment))

    def test_it_does_not_when_the_host_cannot_be_admitted(self) -> None:
        attachment = self.reserve()
        self.host = base.connector(1, *(f'192.0.2.{number}'
                                        for number in range(1, 18)))

        self.assertRaises(exception.CinderException, self.attach_host)

        self.assertEqual(('reserved', None), self.state(attachment))

    def test_an_attachment_deleted_meanwhile(self) -> None:
        """Cinder deletes a reserved one without asking the driver."""
        for before in (True, False):
            with self.subTest(before=before):
                attachment = self.reserve()
                attach = self.drv.federation.attachments.attach

                def slow(*arguments: Any, attachment: Any = attachment,
                         before: bool = before, attach: Any = attach) -> Any:
                    if before:
                        attachment.destroy()
                    done = attach(*arguments)
                    if not before:
                        attachment.destroy()
                    return done

                self.drv.federation.attachments.attach = slow  # type: ignore[method-assign]
                failure = self.assertRaises(exception.CinderException,
                                            self.attach_host)
                self.drv.federation.attachments.attach = attach  # type: ignore[method-assign]

                self.assertIn('was deleted while', str(failure))
                self.assertEqual([], self.admitted())

    def test_a_request_that_comes_after_the_detach(self) -> None:
        """Whoever was about to admit the host cannot do it any more."""
        place, before = self.on(self.record)[1], self.admitted()
        self.drv.terminate_connection(self.record, self.host, force=False)

        late = self.east.request(
            'PUT', f'/api/v2/projects/default/volumes/{place["UUID"]}',
            {'acl': {'values': [base.nqn(1)]}},
            headers={'If-Match': place['ETag']})

        self.assertEqual(412, late.status)
        self.assertEqual(before, self.admitted())

    def test_a_detach_that_changes_something_writes_once(self) -> None:
        self.attach_host()
        self.east.reset_counters()

        self.drv.terminate_connection(self.record, self.host, force=False)

        self.assertEqual(1, self.east.counters().requests['volumes.update'])

    def test_one_of_several_deleted_meanwhile(self) -> None:
        """It may have been the one that is meant."""
        other, mine = self.reserve(), self.reserve()
        attach = self.drv.federation.attachments.attach

        def slow(*arguments: Any) -> Any:
            mine.destroy()
            return attach(*arguments)

        self.drv.federation.attachments.attach = slow  # type: ignore[method-assign]
        self.assertRaises(exception.CinderException, self.attach_host)

        self.assertEqual([], self.admitted())
        self.assertEqual(('reserved', None), self.state(other))

    def test_what_somebody_else_has_changed_is_left(self) -> None:
        """Cinder itself may have got further in the meantime."""
        attachment = self.reserve()
        self.east.fault('status', route='volumes.update', status=403)
        attach = self.drv.federation.attachments.attach

        def slow(*arguments: Any) -> Any:
            now = self.reread(attachment)
            now.attach_status = 'attached'
            now.save()
            return attach(*arguments)

        self.drv.federation.attachments.attach = slow  # type: ignore[method-assign]
        self.assertRaises(exception.CinderException, self.attach_host)

        self.assertEqual(('attached', base.nqn(1)), self.state(attachment))

    def during(self, look: Callable[[], Any]) -> list[Any]:
        """Have something done while a host is being admitted.

        :returns: gets what that gives.
        """
        found = []
        attach = self.drv.federation.attachments.attach

        def watched(*arguments: Any) -> Any:
            found.append(look())
            return attach(*arguments)

        self.drv.federation.attachments.attach = watched  # type: ignore[method-assign]
        return found

    def test_it_is_not_guessed_which_attachment_is_meant(self) -> None:
        attachments = [self.reserve(), self.reserve()]
        found = self.during(
            lambda: [self.state(item) for item in attachments])

        self.attach_host()

        self.assertEqual([[('attaching', base.nqn(1))] * 2], found)
        self.assertEqual([('reserved', None)] * 2,
                         [self.state(item) for item in attachments])

    def test_several_when_the_outcome_is_not_known(self) -> None:
        """Whichever is deleted, the driver is asked."""
        attachments = [self.reserve(), self.reserve()]
        self.east.fault('apply_then_drop', route='volumes.update')
        self.east.fault('status', route='volumes.get', status=403, after=1)

        self.assertRaises(exception.CinderException, self.attach_host)

        self.east.clear_faults()
        self.assertEqual([('attaching', base.nqn(1))] * 2,
                         [self.state(item) for item in attachments])
        for item in attachments:
            self.drv.terminate_connection(
                self.record, self.reread(item).connector, force=False)
            item.destroy()
        self.assertEqual([], self.admitted())

    def test_several_when_the_array_has_refused(self) -> None:
        attachments = [self.reserve(), self.reserve()]
        self.east.fault('status', route='volumes.update', status=403)

        self.assertRaises(exception.CinderException, self.attach_host)

        self.assertEqual([('reserved', None)] * 2,
                         [self.state(item) for item in attachments])

    def test_several_of_which_cinder_records_one_meanwhile(self) -> None:
        """Another service attaches the same host for another server."""
        theirs, mine = self.reserve(), self.reserve()

        def record() -> None:
            now = self.reread(theirs)
            now.connector = self.host
            now.save()

        self.during(record)
        self.attach_host()

        self.assertEqual(('attaching', base.nqn(1)), self.state(theirs))
        self.assertEqual(self.host, self.reread(theirs).connector)
        self.assertEqual(('reserved', None), self.state(mine))

    def test_a_host_that_has_the_volume_already(self) -> None:
        """For another server: its first detach must not end it."""
        first = self.attachment(self.record, self.host)
        second = self.reserve()
        self.attach_host()
        self.assertEqual(('attaching', base.nqn(1)), self.state(second))

        self.assertTrue(self.drv.terminate_connection(
            self.record, self.host, force=False))
        first.destroy()

        self.assertEqual([base.nqn(1)], self.admitted())

    def test_without_any_attachment(self) -> None:
        """The attach API of before reserves none."""
        self.attach_host()

        self.assertEqual([base.nqn(1)], self.admitted())
