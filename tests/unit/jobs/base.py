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

"""A book of jobs over a file of its own."""

from __future__ import annotations

import pathlib
from typing import Any

import fixtures
from oslotest import base

from cinder_lightbits_federation.jobs import book
from cinder_lightbits_federation.jobs import claims
from cinder_lightbits_federation.store import engine
from tests.store import cases

BACKEND = cases.BACKEND


class JobsTestCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.url = f'sqlite:///{folder}/store.sqlite'
        self.store = engine.Store(engine.parse(self.url))
        self.addCleanup(self.store.close)
        self.book = book.Book(self.store, BACKEND)
        # To which every host is silent.
        self.hasty = book.Book(self.store, BACKEND, lease=0)

    def desk(self, host: str = 'stor1', lease: float = book.LEASE
             ) -> claims.Desk:
        """:returns: a process that can hold jobs."""
        made = claims.Desk(book.Book(self.store, BACKEND, lease), host)
        self.addCleanup(made.close)
        return made

    def state(self, job: Any) -> str:
        """:returns: what state a job is in now."""
        return self.book.get(job.id).state.value
