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

"""How far a long command is, on a terminal only."""

from __future__ import annotations

import io

from oslotest import base as oslo_base

from cinder_lightbits_federation.cli.progress import Bar
from tests.unit.cli import base


class BarTest(oslo_base.BaseTestCase):

    def run_bar(self, stream: io.StringIO, total: int) -> str:
        """:returns: what is on the stream after all steps."""
        bar = Bar(stream, total, 'records')
        for _number in range(total):
            bar.step()
        bar.close()
        bar.close()
        return stream.getvalue()

    def test_on_a_terminal(self) -> None:
        text = self.run_bar(base.Terminal(), 1000)
        self.assertIn(f'[{"#" * 15:<30}] 500 of 1000 records', text)
        self.assertIn(f'[{"#" * 30}] 1000 of 1000 records', text)
        self.assertEqual(1, text.count('1000 of 1000'))
        self.assertTrue(text.endswith('\r\x1b[K'))
        self.assertLess(text.count('\r'), 40)

    def test_elsewhere(self) -> None:
        self.assertEqual('', self.run_bar(io.StringIO(), 10))

    def test_nothing_to_do(self) -> None:
        self.assertEqual('', self.run_bar(base.Terminal(), 0))
