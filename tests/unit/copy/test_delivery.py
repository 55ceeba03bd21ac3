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

"""Cancelling while Cinder is asked to take a thick clone over."""

from __future__ import annotations

from collections.abc import Sequence
import threading
from unittest import mock

from cinder_lightbits_federation.copy import delivery
from cinder_lightbits_federation.copy.delivery import Entry
from cinder_lightbits_federation.copy import errors
from cinder_lightbits_federation.copy.wanted import THICK_CLONE
from cinder_lightbits_federation.federation import Federation
from cinder_lightbits_federation.jobs import runner
from cinder_lightbits_federation.location import Location
from cinder_lightbits_federation.refs import Created
from tests.unit.jobs import base

PLACE = Location('e0c5b1de-0000-4000-8000-000000000001',
                 'e0c5b1de-0000-4000-8000-000000000003', 'default',
                 'e0c5b1de-0000-4000-8000-000000000002')


class CancelledTest(base.JobsTestCase):

    def setUp(self) -> None:
        super().setUp()
        held = self.desk().begin(THICK_CLONE, 'a-clone', {})
        self.book.cancel(held.job.id)
        # As Cinder has it; nothing else of it is asked for.
        self.status = 'managing'
        self.registrar = mock.create_autospec(delivery.Registrar)
        self.registrar.find.side_effect = self.find
        self.registration = delivery.Registration(
            delivery.Subject(
                runner.Task(held, threading.Event()), mock.Mock(),
                mock.create_autospec(Federation, instance=True)),
            self.registrar, 20)

    def find(self, mark: str) -> Sequence[Entry]:
        """See `Registrar`."""
        return [Entry('volume', self.status)]

    def test_it_is_heard_while_cinder_is_about_it(self) -> None:
        made = Created(PLACE, mock.Mock(), 'east', None)
        self.assertRaises(errors.Cancelled, self.registration.do, made)

    def test_what_cinder_has_taken_is_found_then(self) -> None:
        self.status = 'available'
        found = self.registration.done(PLACE)
        assert found is not None
        self.assertEqual('volume', found['volume_id'])
