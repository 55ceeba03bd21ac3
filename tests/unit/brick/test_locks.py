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

"""The locks of a host."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import subprocess
import sys
import time
from unittest import mock

import fixtures
from oslotest import base as test_base

from os_brick_ext import errors
from os_brick_ext import locks
from os_brick_ext import timing
from tests.unit.brick import base


class LocksTest(test_base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.locks = locks.Locks(self.folder)

    def held(self, name: str, seconds: float = 0.05, shared: bool = False):
        return self.locks.held(
            name, timing.Deadline.after(seconds), shared)

    def take(self, name: str) -> None:
        with self.held(name):
            pass

    def test_it_excludes(self) -> None:
        with self.held('one'):
            self.assertRaises(errors.Busy, self.take, 'one')
            self.take('two')
        self.take('one')

    def test_it_can_be_shared(self) -> None:
        with contextlib.ExitStack() as stack:
            first = self.held('one', shared=True)
            first.__enter__()
            stack.enter_context(self.held('one', shared=True))
            self.assertRaises(errors.Busy, self.take, 'one')
            # Who leaves first must leave it to the other.
            first.__exit__(None, None, None)
            self.assertRaises(errors.Busy, self.take, 'one')
            stack.enter_context(self.held('one', shared=True))
        self.assertEqual([], os.listdir(self.folder))
        with self.held('one'):
            self.assertRaises(
                errors.Busy, self.held('one', shared=True).__enter__)

    def test_it_excludes_other_processes(self) -> None:
        text = (
            'import sys\n'
            'from os_brick_ext import errors, locks, timing\n'
            'try:\n'
            '    with locks.Locks(sys.argv[1]).held(\n'
            '            "one", timing.Deadline.after(0.05)):\n'
            '        print("taken")\n'
            'except errors.Busy:\n'
            '    print("busy")\n')

        def outcome() -> str:
            done = subprocess.run(
                [sys.executable, '-W', 'ignore', '-c', text, self.folder],
                check=False, capture_output=True, text=True)
            self.assertEqual(0, done.returncode, done.stderr)
            return done.stdout.strip()

        with self.held('one'):
            self.assertEqual('busy', outcome())
        self.assertEqual('taken', outcome())

    def test_no_file_is_left(self) -> None:
        self.take('one')
        self.assertEqual([], os.listdir(self.folder))

    def test_it_is_let_go_after_an_error(self) -> None:
        def fail() -> None:
            with self.held('one'):
                raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, fail)
        self.take('one')

    def test_a_file_that_was_replaced_is_no_lock(self) -> None:
        """Who waited on a removed file must not hold it beside another."""
        path = os.path.join(self.folder, f'{locks.PREFIX}one')
        real = os.lstat

        def replaced(*args, **kwargs):
            os.lstat = real
            os.unlink(path)
            return real(self.folder)

        with self.held('one', base.PATIENCE):
            pass
        os.lstat = replaced
        self.addCleanup(setattr, os, 'lstat', real)
        with self.held('one', base.PATIENCE):
            self.assertTrue(os.path.exists(path))
            self.assertRaises(errors.Busy, self.take, 'one')

    def test_files_of_others_do(self) -> None:
        path = os.path.join(self.folder, f'{locks.PREFIX}one')
        with open(path, 'w'):
            os.chmod(path, 0o444)
        self.take('one')

    def test_files_that_others_make_at_this_moment(self) -> None:
        """As the kernel guards folders that all may write to."""
        opened, linked = os.open, os.link
        path = os.path.join(self.folder, f'{locks.PREFIX}one')

        def refuse(name: str, flags: int, *mode: int) -> int:
            if flags & os.O_CREAT and not flags & os.O_EXCL:
                raise PermissionError(errno.EACCES, name)
            return opened(name, flags, *mode)

        def other_was_faster(new: str, name: str) -> None:
            os.link = linked
            with open(path, 'x'):
                pass
            linked(new, name)

        self.addCleanup(setattr, os, 'link', linked)
        os.link = other_was_faster
        with mock.patch('os.open', refuse), self.held('one', base.PATIENCE):
            self.assertEqual([os.path.basename(path)],
                             os.listdir(self.folder))
        self.assertEqual([], os.listdir(self.folder))

    def test_all_may_open_it_from_the_first_moment(self) -> None:
        """Whatever may be asked of what one service makes, by others."""
        self.addCleanup(os.umask, os.umask(0o077))
        linked, modes = os.link, []

        def link(new: str, name: str) -> None:
            linked(new, name)
            modes.append(stat.S_IMODE(os.stat(name).st_mode))

        with mock.patch('os.link', link):
            self.take('one')
        self.assertEqual([0o644], modes)

    def dying(self, step: str) -> None:
        """Take a lock in a process that dies before it does something."""
        child = os.fork()
        if not child:
            with mock.patch(step, autospec=True,
                            side_effect=lambda *_args: os._exit(0)):
                self.take('one')
            os._exit(1)
        self.assertEqual(0, os.waitpid(child, 0)[1])

    def test_who_dies_while_making_it_is_in_nobodys_way(self) -> None:
        for step in ('os.fchmod', 'os.link', 'os.unlink'):
            self.dying(step)
            for name in os.listdir(self.folder):
                if not name.startswith(locks.NEW):
                    self.assertEqual(0o644, stat.S_IMODE(os.stat(
                        os.path.join(self.folder, name)).st_mode))
            self.take('one')

    def test_what_is_left_half_made_is_swept_away(self) -> None:
        self.dying('os.link')
        left, = os.listdir(self.folder)
        path = os.path.join(self.folder, left)
        # It may still be made.
        self.locks.sweep()
        self.assertEqual([left], os.listdir(self.folder))
        old = time.time() - locks.LONGEST_MAKING - 1
        os.utime(path, (old, old))
        with mock.patch('os.unlink', autospec=True,
                        side_effect=PermissionError(errno.EPERM, path)):
            self.locks.sweep()
        with self.held('one'):
            self.locks.sweep()
            self.assertEqual([f'{locks.PREFIX}one'], os.listdir(self.folder))

    def test_who_makes_it_for_too_long_begins_anew(self) -> None:
        linked = os.link

        def link(new: str, name: str) -> None:
            os.link = linked
            os.unlink(new)
            linked(new, name)

        self.addCleanup(setattr, os, 'link', linked)
        os.link = link
        with self.held('one', base.PATIENCE):
            pass
        self.assertIs(linked, os.link)

    def test_a_failure_leaves_no_file(self) -> None:
        with mock.patch('os.link', autospec=True,
                        side_effect=OSError(errno.ENOSPC, 'full')):
            error = self.assertRaises(errors.NotReady, self.take, 'one')
        self.assertIn('full', str(error))
        self.assertEqual([], os.listdir(self.folder))

    def test_what_is_no_file_is_refused(self) -> None:
        """Any user may make such a thing in a folder of all."""
        path = os.path.join(self.folder, f'{locks.PREFIX}one')
        target = os.path.join(self.folder, 'target')
        with open(target, 'w'):
            pass
        for make in (os.mkfifo, os.mkdir,
                     lambda name: os.symlink(target, name)):
            make(path)
            error = self.assertRaises(errors.NotReady, self.take, 'one')
            self.assertIn('no regular file', str(error))
            (os.rmdir if make is os.mkdir else os.unlink)(path)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            self.assertRaises(errors.NotReady, self.take, 'one')

    def test_a_folder_that_cannot_be_used(self) -> None:
        for folder, words in (('', 'lock_path'),
                              (f'{self.folder}/none', self.folder)):
            self.locks = locks.Locks(folder)
            error = self.assertRaises(errors.NotReady, self.take, 'one')
            self.assertIn(words, str(error))
