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

"""Endpoints are kept over restarts; what is kept badly does no harm."""

from __future__ import annotations

import logging
import os

import fixtures
from oslotest import base

from cinder_lightbits_federation.memory import EndpointMemory

UUID = '4cb2e0bf-20fa-5720-8cc2-1a11fe3e9850'


class MemoryTestCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'memory')
        self.path = os.path.join(self.folder, f'{UUID}.json')
        self.memory = EndpointMemory(self.folder)
        self.log = self.useFixture(fixtures.FakeLogger(
            level=logging.WARNING))

    def test_kept_and_recalled(self) -> None:
        self.assertEqual((), self.memory.recall(UUID))
        self.memory.keep(UUID, ['192.0.2.1:443', '[2001:db8::1]:443'])
        self.assertEqual(('192.0.2.1:443', '[2001:db8::1]:443'),
                         EndpointMemory(self.folder).recall(UUID))
        self.memory.keep(UUID, ['192.0.2.2:443'])
        self.assertEqual(('192.0.2.2:443',), self.memory.recall(UUID))
        self.assertEqual('', self.log.output)

    def test_not_for_others_to_write(self) -> None:
        EndpointMemory(self.folder, writable=False).keep(UUID, ['a'])
        self.assertFalse(os.path.exists(self.folder))

    def test_what_is_damaged(self) -> None:
        os.mkdir(self.folder)
        for text in ('', '[]', '{}', '{"uuid": 1}',
                     '{"uuid": "other", "api_endpoints": []}'):
            with open(self.path, 'w', encoding='utf-8') as file:
                file.write(text)
            self.assertEqual((), self.memory.recall(UUID), text)
        self.assertEqual(5, self.log.output.count('is not used'))

    def test_what_cannot_be_written(self) -> None:
        EndpointMemory('/proc/nowhere').keep(UUID, ['a'])
        self.assertIn('are not kept', self.log.output)
