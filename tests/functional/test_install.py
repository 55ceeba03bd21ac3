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

"""The snippets of the readme and of the installation, as they stand there.

What the first steps have is run by ``test_operator``.
"""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys

import fixtures
from oslotest import base

from tests import snippets

PROJECT = 'cinder-lightbits-federation'
# What a source distribution is made of.
SOURCES = ('cinder_lightbits_federation', 'os_brick_ext', 'etc',
           'pyproject.toml', 'setup.cfg', 'setup.py', 'README.rst',
           'LICENSE')

#: Commands and the tests that run them. A test in this module runs the
#: snippet itself; ``tools/test.sh`` runs all tests, this one too, so that
#: its test has stand-ins for the programs that it starts.
RUN = {
    'tools/demo.sh': 'tests.functional.test_install.InstallTest.'
                     'test_the_demonstration',
    'tools/test.sh': 'tests.unit.test_tools.RunTestCase.'
                     'test_the_snippet_of_the_readme',
    f'pip install -c upper-constraints.txt {PROJECT}':
        'tests.functional.test_install.InstallTest.test_the_package'}


class InstallTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def run_snippet(self, command: str, cwd: pathlib.Path,
                    **environment: str) -> str:
        """Have a shell run a snippet.

        :returns: what it tells.
        """
        done = subprocess.run(
            ['bash', '-c', command], cwd=cwd, capture_output=True, text=True,
            timeout=1500, check=False, env={
                **{name: value for name, value in os.environ.items()
                   if not name.startswith(('OS_', 'PIP_'))}, **environment})
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def test_every_snippet_has_a_test(self) -> None:
        found = (snippets.commands(snippets.README)
                 + snippets.commands(snippets.INSTALL))
        self.assertEqual(set(RUN), set(found))

    def test_the_demonstration(self) -> None:
        command = next(text for text in RUN if 'demo' in text)
        told = self.run_snippet(command, snippets.ROOT,
                                DEMO_VENV=sys.prefix)
        self.assertIn('Shown in ', told)

    def test_the_package(self) -> None:
        command = next(text for text in RUN if text.startswith('pip'))
        wheels, target = self.folder / 'wheels', self.folder / 'target'
        self.build(wheels)
        (self.folder / 'upper-constraints.txt').write_text(''.join(
            f'{item}==={importlib.metadata.version(item)}\n'
            for item in ('cinder', 'cliff', 'oslo.config')))
        pip = self.folder / 'bin' / 'pip'
        pip.parent.mkdir()
        pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@"\n')
        pip.chmod(0o755)
        # Only what was built is there, so its requirements are not fetched:
        # this environment has them.
        self.run_snippet(
            command, self.folder, PATH=f'{pip.parent}:{os.environ["PATH"]}',
            PIP_NO_INDEX='1', PIP_FIND_LINKS=str(wheels), PIP_NO_DEPS='1',
            PIP_TARGET=str(target), PIP_DISABLE_PIP_VERSION_CHECK='1')

        program = target / 'bin' / 'lightbits-federation'
        told = self.run_snippet(f'{sys.executable} -W ignore {program} --help',
                                self.folder, PYTHONPATH=str(target))
        self.assertIn('cluster attach', told)
        told = self.run_snippet(
            f'{sys.executable} -W ignore -c "import cinder_lightbits_'
            f'federation.driver as it; print(it.__file__)"', self.folder,
            PYTHONPATH=str(target))
        self.assertIn(str(target), told)

    def build(self, wheels: pathlib.Path) -> None:
        """Make the wheel that an index would have."""
        sources = self.folder / 'sources'
        sources.mkdir()
        for name in SOURCES:
            path = snippets.ROOT / name
            if path.is_dir():
                shutil.copytree(path, sources / name)
            elif path.exists():
                shutil.copy(path, sources)
        self.run_snippet(
            f'{sys.executable} -m pip wheel --quiet --no-deps '
            f'--no-build-isolation --no-index --wheel-dir {wheels} .',
            sources, PBR_VERSION='0.0.1')
