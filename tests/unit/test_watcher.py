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

"""Whether configuration files have changed, and who is told."""

import pathlib
import threading

import fixtures
from oslotest import base

from cinder_lightbits_federation import timing
from cinder_lightbits_federation import watcher

PATIENCE = 60.0


class FilesTestCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.file = self.folder / 'cinder.conf'
        self.file.write_text('[DEFAULT]\n')
        self.dropins = self.folder / 'cinder.conf.d'
        self.dropins.mkdir()


class StampTestCase(FilesTestCase):

    def stamp(self) -> watcher.Stamp:
        return watcher.stamp([str(self.file)], [str(self.dropins)])

    def assert_differs(self, before: watcher.Stamp) -> watcher.Stamp:
        after = self.stamp()
        self.assertNotEqual(before, after)
        self.assertEqual(after, self.stamp())
        return after

    def test_a_file_that_is_edited(self) -> None:
        before = self.stamp()
        self.file.write_text('[DEFAULT]\nbackend = a\n')
        self.assert_differs(before)

    def test_a_file_that_is_replaced_by_one_of_the_same_size(self) -> None:
        before = self.stamp()
        other = self.folder / 'new'
        other.write_text('[default]\n')
        other.replace(self.file)
        self.assert_differs(before)

    def test_files_that_come_and_go(self) -> None:
        none = self.stamp()
        added = self.dropins / 'east.conf'
        added.write_text('')
        some = self.assert_differs(none)
        added.unlink()
        self.assertEqual(none, self.assert_differs(some))
        self.file.unlink()
        self.assertEqual((), self.assert_differs(none))

    def test_a_file_that_becomes_readable(self) -> None:
        """The times of files have a tick of some milliseconds."""
        self.file.chmod(0o600)
        before = self.stamp()

        def readable() -> bool | None:
            self.file.chmod(0o640)
            return self.stamp() != before or None

        timing.wait_until(readable, timing.Deadline.after(PATIENCE),
                          'another tick')
        self.assert_differs(before)

    def test_other_files_are_not_read(self) -> None:
        before = self.stamp()
        (self.dropins / 'east.conf.rpmsave').write_text('')
        self.assertEqual(before, self.stamp())

    def test_a_folder_that_is_not_there(self) -> None:
        before = self.stamp()
        self.dropins.rmdir()
        self.assertEqual(before, self.stamp())


class WatcherTestCase(FilesTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.calls = 0
        self.looks = 0
        self.answers: list[bool | Exception] = []
        self.log = self.useFixture(fixtures.FakeLogger())
        self.watch = self.started(0.01)

    def started(self, interval: float) -> watcher.Watcher:
        watch = watcher.Watcher([str(self.file)], [str(self.dropins)],
                                interval, self.changed, self.looked,
                                lambda: [str(self.folder / 'ca.pem')])
        self.addCleanup(watch.stop)
        watch.start()
        return watch

    def looked(self) -> object:
        self.looks += 1
        return ()

    def changed(self) -> bool:
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait_for_calls(self, number: int) -> None:
        timing.wait_until(lambda: self.calls >= number or None,
                          timing.Deadline.after(PATIENCE), 'the watch')

    def wait_for_looks(self, number: int) -> None:
        timing.wait_until(lambda: self.looks >= number or None,
                          timing.Deadline.after(PATIENCE), 'the watch')

    def edit(self) -> None:
        with self.file.open('a', encoding='utf-8') as file:
            file.write('# more\n')

    def test_a_change_is_told_once(self) -> None:
        self.edit()
        self.wait_for_calls(1)
        self.wait_for_looks(self.looks + 3)
        self.edit()
        self.wait_for_calls(2)
        self.wait_for_looks(self.looks + 3)
        self.assertEqual(2, self.calls)

    def test_files_that_the_configuration_names(self) -> None:
        for number, text in enumerate(('old', 'newer'), start=1):
            (self.folder / 'ca.pem').write_text(text)
            self.wait_for_calls(number)
        (self.folder / 'ca.pem').unlink()
        self.wait_for_calls(3)

    def test_whoever_asks_is_told_at_once_and_in_any_case(self) -> None:
        self.watch.stop()
        watch = self.started(3600.0)
        for number in (1, 2):
            watch.look_now()
            self.wait_for_calls(number)

    def test_what_is_not_done_is_asked_for_again(self) -> None:
        self.answers = [False]
        self.edit()
        self.wait_for_calls(2)
        self.wait_for_looks(self.looks + 3)
        self.assertEqual(2, self.calls)

    def test_an_error_does_not_end_the_watch(self) -> None:
        self.answers = [ValueError('no such cluster')]
        self.edit()
        self.wait_for_calls(1)
        self.edit()
        self.wait_for_calls(2)
        self.assertIn('no such cluster', self.log.output)

    def test_the_end(self) -> None:
        self.watch.stop()
        self.watch.stop()
        timing.wait_until(
            lambda: 'lightbits-configuration' not in {
                thread.name for thread in threading.enumerate()} or None,
            timing.Deadline.after(PATIENCE), 'the thread to end')
        self.edit()
        self.assertEqual(0, self.calls)
