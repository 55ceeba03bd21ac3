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

"""What a command that goes on for long follows."""

from __future__ import annotations

import logging
import os
import pathlib
import shutil

from cinder_lightbits_federation.cli.outcome import UsageError
from cinder_lightbits_federation.cli.session import Arguments
from cinder_lightbits_federation.cli.session import Session
from cinder_lightbits_federation.views import AdminState
from tests.unit.cli import base


class FollowingTest(base.CliTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.driver.tear_down()
        self.session = Session(Arguments(
            [self.path('cinder.conf'), self.path('service.conf')]))
        self.addCleanup(self.session.close)

    def states(self) -> dict[str, AdminState]:
        """:returns: what the clusters of the session may be used for."""
        return {item.name: item.admin_state
                for item in self.session.registry.clusters}

    def set_state(self, name: str, *argv: str) -> None:
        """Set a state in another process."""
        self.rows('cluster', 'set', name, *argv)

    def test_a_file_that_cannot_be_read(self) -> None:
        """All stays as it was, until it can be read again."""
        path = pathlib.Path(self.path('cinder.conf'))
        good, before = path.read_bytes(), self.session.settings
        self.assertEqual({'east', 'west'}, set(self.states()))
        number = good.count(b'\n') + 1
        for bad, why in (
                (good + b'jwt s3cret\n', f'{path} cannot be read: line '
                 f'{number} is neither a section nor an option'),
                (good + b'[x]\ny = \xe9\n', "can't decode")):
            path.write_bytes(bad)
            error = self.assertRaises(UsageError, self.session.reload)
            self.assertIn(why, str(error))
            self.assertNotIn('s3cret', str(error))
            self.assertIs(before, self.session.settings)
            self.assertEqual({'east', 'west'}, set(self.states()))

        path.write_bytes(good.replace(b'lightbits_cluster:west',
                                      b'lightbits_cluster:north'))
        self.session.reload()
        self.assertEqual({'east', 'north'}, set(self.states()))

    def test_a_state_that_is_set_and_reset(self) -> None:
        before = self.session.heard()
        self.assertEqual(AdminState.ENABLED, self.states()['west'])
        self.set_state('west', '--lost', self.arrays['west'].uuid,
                       '--reason', 'fire')

        set_now = self.session.heard()
        self.assertNotEqual(before, set_now)
        self.session.reload()
        self.assertEqual({'east': AdminState.ENABLED,
                          'west': AdminState.LOST}, self.states())
        self.assertEqual(set_now, self.session.heard())

        self.set_state('west', '--reset')
        self.assertNotEqual(set_now, self.session.heard())
        self.session.reload()
        self.assertEqual(AdminState.ENABLED, self.states()['west'])

    def test_states_stay_while_the_store_is_away(self) -> None:
        log = self.logged(logging.INFO)
        self.set_state('west', '--drain', '--reason', 'new switches')
        before = self.session.heard()
        self.assertEqual(AdminState.DRAINING, self.states()['west'])

        self.session.shared.close()
        store = self.path('store.sqlite')
        away = shutil.move(store, self.path('away'))
        os.mkdir(store)
        self.assertEqual(before, self.session.heard())
        self.assertEqual(before, self.session.heard())
        self.session.reload()

        self.assertEqual(AdminState.DRAINING, self.states()['west'])
        self.assertEqual(1, log.output.count('the states that were seen '
                                             'last stay'))
        self.session.shared.close()
        os.rmdir(store)
        shutil.move(away, store)
        self.assertEqual(before, self.session.heard())
        self.assertIn('can be read again', log.output)
