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

"""The whole crash matrix, and whether its reference page is up to date.

It runs in processes of its own: it needs Cinder's modules patched for a
threading model, which the tests here must not be.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from typing import ClassVar

from oslotest import base
from testtools import content

ROOT = pathlib.Path(__file__).resolve().parents[2]

#: What makes oslotest swallow what the tests of the other process print.
CAPTURING = ('OS_STDOUT_CAPTURE', 'OS_STDERR_CAPTURE')


class MatrixTest(base.BaseTestCase):
    """A share of the operations; one class for each worker."""

    operations: ClassVar[tuple[str, ...]]

    def assert_holds(self) -> None:
        """Everything holds, and the page says so."""
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-m', 'tests.crash', '--check',
             *self.operations],
            cwd=ROOT, capture_output=True, text=True, check=False,
            env={name: value for name, value in os.environ.items()
                 if name not in CAPTURING})
        self.addDetail('output', content.text_content(
            done.stdout + done.stderr[-200_000:]))
        self.assertEqual(0, done.returncode)
        told = [line.partition(':')[0] for line in done.stdout.splitlines()
                if line.endswith(', 0 problems')]
        self.assertEqual(sorted(self.operations), sorted(told))


class CreationMatrixTest(MatrixTest):
    """New volumes."""

    operations = ('create', 'create, typed', 'create from snapshot')

    def test_it_holds(self) -> None:
        self.assert_holds()


class CopyMatrixTest(MatrixTest):
    """Clones, and snapshots."""

    operations = ('clone', 'clone fails', 'create snapshot',
                  'delete snapshot', 'revert to snapshot')

    def test_it_holds(self) -> None:
        self.assert_holds()


class ChangeMatrixTest(MatrixTest):
    """What happens to volumes that are there."""

    operations = ('delete', 'extend', 'retype', 'attach',
                  'detach, last host', 'detach, one of two hosts', 'manage',
                  'unmanage', 'manage snapshot')

    def test_it_holds(self) -> None:
        self.assert_holds()
