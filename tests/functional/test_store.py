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

"""What services share and their jobs, in MariaDB."""

from __future__ import annotations

import pathlib
import tempfile
from typing import ClassVar
from unittest import mock

import fixtures
from oslotest import base

from cinder_lightbits_federation import errors
from cinder_lightbits_federation.store import engine
from cinder_lightbits_federation.store import patience
from cinder_lightbits_federation.store import states
from cinder_lightbits_federation.store import tables
from tests.stack import daemons
from tests.stack import mariadb
from tests.store import cases


class MariaDbTest(base.BaseTestCase):
    """The tests of a class share a server, and each begins without tables."""

    server: ClassVar[mariadb.MariaDb]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        temporary = tempfile.TemporaryDirectory(prefix='store')
        cls.addClassCleanup(temporary.cleanup)
        guard = daemons.Guard()
        cls.addClassCleanup(guard.close)
        cls.server = mariadb.MariaDb(pathlib.Path(temporary.name) / 'db',
                                     guard)
        cls.server.prepare()
        cls.server.daemon.start()
        cls.addClassCleanup(cls.server.daemon.stop)

    def setUp(self) -> None:
        super().setUp()
        self.url = self.server.url
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name in (*tables.METADATA.tables, tables.VERSIONS):
            self.server.query(f'DROP TABLE IF EXISTS {name}')


class SharedTest(cases.SharedCases, MariaDbTest):
    """Services that tell and hear."""


class JobsTest(cases.JobCases, MariaDbTest):
    """Processes that do jobs, and die."""


class SilenceTest(MariaDbTest):
    """A server that stops answering in the middle of its work."""

    @mock.patch.object(patience, 'WORK', 2)
    def test_it_is_not_waited_for_without_end(self) -> None:
        store = engine.Store(engine.parse(self.url))
        self.addCleanup(store.close)
        known = states.States(store, cases.FEDERATION)
        self.assertEqual({}, known.all())
        self.server.daemon.pause()
        self.addCleanup(self.server.daemon.resume)
        for _time in range(2):
            error = self.assertRaises(errors.StoreUnavailable, known.all)
            self.assertIn('timed out', str(error))
        self.server.daemon.resume()
        self.assertEqual({}, known.all())
