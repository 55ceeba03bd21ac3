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

"""What takes long tells how far it is, on a terminal and only there."""

from __future__ import annotations

import os
import threading
import tty

from cinder_lightbits_federation.cli.outcome import Outcome
from tests.unit.cli import test_attach

COUNTED = r'\r\x1b\[Kobjects read: .*\r\x1b\[K'
STEPS = r'\r\x1b\[K\[#+ *\] \d+ of \d+ steps.*\r\x1b\[K'


class Pty:
    """A pseudo-terminal, of which everything is kept."""

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.stream = os.fdopen(slave, 'w', encoding='utf-8')
        self._read: list[bytes] = []
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while True:
            try:
                found = os.read(self._master, 4096)
            except OSError:  # Nobody has the other end any more.
                return
            if not found:
                return
            self._read.append(found)

    def text(self) -> str:
        """End it.

        :returns: all that was shown.
        """
        self.stream.close()
        self._thread.join(10)
        os.close(self._master)
        return b''.join(self._read).decode()


class TerminalTest(test_attach.DropInTestCase):

    def setUp(self) -> None:
        super().setUp()
        for number in range(3):
            self.make('east', f'of-somebody-{number}')
        self.array = self.north()

    def shown(self, *argv: str, outcome: Outcome = Outcome.CLEAN) -> str:
        """:returns: what a command shows on a terminal."""
        pty = Pty()
        self.assertTrue(pty.stream.isatty())
        found = self.command(*argv, stderr=pty.stream)
        text = pty.text()
        self.assertEqual(outcome, found.outcome, text)
        return text

    def assert_quiet(self, *argv: str) -> None:
        """See that nothing of it is shown where nobody looks."""
        found = self.command(*argv)
        self.assertNotIn('\r', found.err)
        self.assertNotIn('\x1b', found.err + found.out)

    def test_reading_of_clusters(self) -> None:
        for argv in (('audit', '--second-look', '0'),
                     ('volume', 'list', '--limit', '0'),
                     ('snapshot', 'list', '--limit', '0')):
            self.assertRegex(self.shown(*argv), COUNTED)
            self.assert_quiet(*argv)

    def test_steps(self) -> None:
        attach = ('cluster', 'attach', 'north', *self.access(self.array))
        self.assertRegex(self.shown(*attach, '--dry-run'), STEPS)
        text = self.shown(*attach)
        self.assertRegex(text, STEPS)
        self.assertIn('9 of 10 steps', text)
        detach = ('cluster', 'detach', 'north')
        self.assert_quiet(*detach)
        self.rows('cluster', 'set', 'north', '--drain', '--reason', 'old')
        self.assertRegex(self.shown(*detach, '--yes'), STEPS)
