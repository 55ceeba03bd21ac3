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

"""The generated pages of the documentation are what the code says."""

import contextlib
import io
import pathlib

import fixtures
from oslotest import base

from tests.generated import pages


class PagesTestCase(base.BaseTestCase):

    def test_the_pages_are_up_to_date(self) -> None:
        for path, text in pages.pages().items():
            self.assertEqual(text, path.read_text(encoding='utf-8'),
                             f'{path.name} is out of date: '
                             'python -m tests.generated')

    def test_only_what_is_out_of_date_is_written(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        same, other, new = (folder / name for name in 'abc')
        same.write_text('now', encoding='utf-8')
        other.write_text('before', encoding='utf-8')
        made = {path: 'now' for path in (same, other, new)}

        self.assertEqual([other, new], pages.refresh(made, check=True))
        self.assertEqual('before', other.read_text(encoding='utf-8'))
        self.assertEqual([other, new], pages.refresh(made, check=False))
        self.assertEqual([], pages.refresh(made, check=True))

    def test_checking_fails_where_a_page_is_out_of_date(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        page = folder / 'page.rst'
        self.useFixture(fixtures.MonkeyPatch(
            'tests.generated.pages.pages', lambda: {page: 'now'}))
        with contextlib.redirect_stdout(io.StringIO()) as told:
            self.assertEqual(1, pages.main(['--check']))
            self.assertFalse(page.exists())
            self.assertEqual(0, pages.main([]))
            self.assertEqual(0, pages.main(['--check']))
        self.assertEqual(f'out of date: {page}\nwrote {page}\n',
                         told.getvalue())

    def test_unknown_arguments_are_refused(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertRaises(SystemExit, pages.main, ['--chekc'])
