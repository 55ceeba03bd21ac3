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

"""Files are replaced as a whole, and stay whose they are."""

from __future__ import annotations

import os
import stat
from unittest import mock

import fixtures
from oslotest import base

from cinder_lightbits_federation import files


class FilesTestCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(self.folder, 'a.conf')

    def content(self) -> bytes:
        """:returns: what the file holds."""
        with open(self.path, 'rb') as file:
            return file.read()

    def test_mode_whatever_the_umask(self) -> None:
        before = os.umask(0o077)
        self.addCleanup(os.umask, before)
        files.write_atomically(self.path, b'one')
        self.assertEqual(0o640, stat.S_IMODE(os.stat(self.path).st_mode))
        files.write_atomically(self.path, b'two', files.PRIVATE)
        self.assertEqual((b'two', 0o600), (self.content(), stat.S_IMODE(
            os.stat(self.path).st_mode)))

    def test_a_failure_leaves_the_old_file(self) -> None:
        files.write_atomically(self.path, b'one')
        with mock.patch('os.fsync', autospec=True,
                        side_effect=OSError(28, 'full')):
            self.assertRaises(OSError, files.write_atomically, self.path,
                              b'two')
        self.assertEqual(b'one', self.content())
        self.assertEqual(['a.conf'], os.listdir(self.folder))

    def test_owner(self) -> None:
        if os.geteuid() != 0:
            self.skipTest('only the superuser can give files away')
        files.write_atomically(self.path, b'one')
        os.chown(self.path, 65534, 65533)
        files.write_atomically(self.path, b'two')
        status = os.stat(self.path)
        self.assertEqual((65534, 65533), (status.st_uid, status.st_gid))
        other = os.path.join(self.folder, 'b.conf')
        files.write_atomically(other, b'', like=self.path)
        self.assertEqual(65534, os.stat(other).st_uid)

    def test_a_file_of_somebody_else_is_not_taken_over(self) -> None:
        files.write_atomically(self.path, b'one')
        real = os.stat
        theirs = os.stat_result((0o100640, 0, 0, 1, 4711, 4711, 0, 0, 0, 0))

        def fake(path: str) -> os.stat_result:
            return theirs if path == self.path else real(path)

        with mock.patch('os.stat', fake), mock.patch(
                'os.fchown', autospec=True,
                side_effect=PermissionError(1, 'no')):
            self.assertRaises(PermissionError, files.write_atomically,
                              self.path, b'two')
        self.assertEqual(b'one', self.content())

    def test_removal(self) -> None:
        files.write_atomically(self.path, b'one')
        files.remove(self.path)
        self.assertEqual([], os.listdir(self.folder))
        self.assertRaises(FileNotFoundError, files.remove, self.path)
