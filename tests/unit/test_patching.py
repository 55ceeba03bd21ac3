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

"""The tests run under the threading model that their environment names."""

import os
import subprocess
import sys
import threading

from oslo_context import context
from oslotest import base

from tests import patching
from tests.rules import source

# Releases of Cinder before 29 know no other model than eventlet's.
NATIVE = (
    os.environ.get('OS_CINDER_DISABLE_EVENTLET_PATCHING', '').lower()
    in {'1', 'true', 'yes'})


class ThreadingModelTestCase(base.BaseTestCase):

    def test_threads_are_of_the_model(self) -> None:
        seen: list[int] = []
        # A green thread runs on the native thread that there is already.
        thread = threading.Thread(
            target=lambda: seen.append(threading.get_native_id()))
        thread.start()
        thread.join()
        self.assertEqual(
            not NATIVE, seen == [threading.get_native_id()])

    def test_patching_came_before_the_libraries(self) -> None:
        """Else all green threads would share one request context."""
        store = type(context._request_store)
        self.assertEqual(NATIVE, store.__module__ == '_thread')

    def test_patching_again_changes_nothing(self) -> None:
        before = threading.current_thread
        patching.prepare()
        self.assertIs(before, threading.current_thread)


class ImportTestCase(base.BaseTestCase):

    def imported_by(self, module: str) -> set[str]:
        """Modules that importing one brings into a fresh process."""
        run = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c',
             f'import sys, {module}; print(*sys.modules)'],
            capture_output=True, check=True, encoding='utf-8',
            cwd=source.ROOT)
        return set(run.stdout.split())

    def test_importing_the_tests_package_has_no_effects(self) -> None:
        """The simulator lives in it and must run unpatched."""
        loaded = self.imported_by('tests')
        self.assertEqual(set(), loaded & {'cinder', 'eventlet'})

    def test_importing_the_unit_tests_loads_cinder(self) -> None:
        self.assertIn('cinder.objects', self.imported_by('tests.unit'))
