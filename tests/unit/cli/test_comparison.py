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
import pathlib
import re

from oslotest import base

from cinder_lightbits_federation.cli import main
from cinder_lightbits_federation import options
from cinder_lightbits_federation import spec

PAGE = (pathlib.Path(__file__).resolve().parents[3] / 'doc' / 'source'
        / 'reference' / 'comparison.rst')


class ComparisonTest(base.BaseTestCase):
    """The page promises what there is."""

    def setUp(self) -> None:
        super().setUp()
        text = PAGE.read_text(encoding='utf-8')
        self.named = {' '.join(item.split())
                      for item in re.findall(r'``([^`]+)``', text)}

    def test_commands(self) -> None:
        promised = {item.removeprefix(f'{main.NAME} ') for item in self.named
                    if item.startswith(f'{main.NAME} ')}
        self.assertLess(10, len(promised))
        self.assertEqual(set(), promised - set(main.COMMANDS))

    def test_options(self) -> None:
        known = {item.name for item in options.backend_opts}
        promised = {item for item in self.named
                    if item.startswith('lightbits_')}
        self.assertEqual(set(), promised - known)

    def test_extra_specs(self) -> None:
        known = {item.key for item in spec.SPEC_HELP}
        promised = {item for item in self.named
                    if item.startswith('lightos:')}
        self.assertLess(3, len(promised))
        self.assertEqual(set(), promised - known)
