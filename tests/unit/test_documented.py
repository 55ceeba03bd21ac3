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

"""Modules of tests that pages name."""

import pathlib
import re

from oslotest import base

from tests.rules.source import ROOT

PAGES = ('*.rst', 'doc/**/*.rst')

_NAME = re.compile(r'\btests(?:\.[a-z_0-9]+)+')


def unknown(text: str) -> set[str]:
    """:returns: names of modules in a text that are not there."""
    return {name for name in _NAME.findall(text)
            if not pathlib.Path(ROOT, *name.split('.')).is_dir()
            and not pathlib.Path(
                ROOT, *name.split('.')).with_suffix('.py').is_file()}


class DocumentedTestCase(base.BaseTestCase):

    def test_what_is_not_there_is_noticed(self) -> None:
        text = ('tests.unit.test_no, tests.unit.test_files.FilesTestCase and '
                'tests.no.test_files of tests.unit')
        self.assertEqual({'tests.unit.test_no', 'tests.no.test_files'},
                         unknown(text))

    def test_modules_that_pages_name_are_there(self) -> None:
        for pattern in PAGES:
            for path in ROOT.glob(pattern):
                self.assertEqual(set(), unknown(
                    path.read_text(encoding='utf-8')), path.name)
