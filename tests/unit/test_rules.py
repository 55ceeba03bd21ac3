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

"""The rules hold for the whole tree, and each rule can tell when not."""

from collections.abc import Callable
from collections.abc import Iterator
import pathlib
import textwrap

from oslotest import base

from tests.rules import conduct
from tests.rules import form
from tests.rules import layers
from tests.rules import requirements
from tests.rules import source as sources

DRIVER = 'cinder_lightbits_federation'
PACKAGES = (DRIVER, 'os_brick_ext')
NOTES = sources.ROOT / 'releasenotes' / 'notes'

Rule = Callable[[sources.Source], Iterator[str]]


def snippet(text: str, path: str = f'{DRIVER}/federation.py') -> (
        sources.Source):
    return sources.Source(pathlib.PurePath(path), textwrap.dedent(text))


def listed(names: frozenset[str]) -> str:
    return ', '.join(sorted(names))


class TreeTestCase(base.BaseTestCase):
    """The rules applied to what is there."""

    def setUp(self) -> None:
        super().setUp()
        self.packages = sources.python_files(*PACKAGES)
        self.everything = self.packages + sources.python_files('tests', 'doc')

    def assert_kept(self, rule: Rule, files: list[sources.Source]) -> None:
        # An empty list of files would keep every rule.
        self.assertNotEqual([], files)
        self.assertEqual([], [hit for file in files for hit in rule(file)])

    def test_imports_go_down_only(self) -> None:
        self.assert_kept(layers.check, self.packages)

    def test_no_green_threads(self) -> None:
        self.assert_kept(conduct.green_threads, self.packages)

    def test_no_waiting_outside_the_waiter(self) -> None:
        self.assert_kept(conduct.waiting, self.packages)

    def test_no_broad_handlers(self) -> None:
        self.assert_kept(conduct.broad_handlers, self.packages)

    def test_every_permitted_broad_handler_exists(self) -> None:
        self.assertEqual(
            [], list(conduct.unused_thread_tops(self.packages)))

    def test_licence(self) -> None:
        self.assert_kept(form.licence, self.everything)

    def test_length(self) -> None:
        self.assert_kept(form.length, self.everything)

    def test_dependencies_are_what_is_imported(self) -> None:
        dependencies, extras = requirements.declared(
            sources.ROOT / 'pyproject.toml')
        found = requirements.imported(self.packages, frozenset(PACKAGES))
        self.assertEqual(
            [], list(requirements.check(dependencies, extras, found)))

    def test_release_notes(self) -> None:
        notes = sorted(NOTES.glob('*.yaml'))
        self.assertNotEqual([], notes)
        self.assertEqual([], [
            problem for note in notes for problem in form.release_note(
                note, note.read_text(encoding='utf-8'))])


class LayersTestCase(base.BaseTestCase):

    def assert_found(self, text: str, path: str, message: str) -> None:
        found = list(layers.check(snippet(text, path)))
        self.assertEqual([f'{path}:1: {message}'], found)

    def assert_clean(self, text: str, path: str) -> None:
        self.assertEqual([], list(layers.check(snippet(text, path))))

    def test_core_must_not_import_an_adapter(self) -> None:
        self.assert_found(
            f'from {DRIVER} import driver', f'{DRIVER}/federation.py',
            f'core module imports adapter module {DRIVER}.driver')

    def test_relative_imports_are_resolved(self) -> None:
        self.assert_found(
            'from ..driver import Driver', f'{DRIVER}/copy/job.py',
            f'core module imports adapter module {DRIVER}.driver.Driver')
        self.assert_found(
            'from . import driver', f'{DRIVER}/federation.py',
            f'core module imports adapter module {DRIVER}.driver')

    def test_imports_inside_functions_count(self) -> None:
        found = list(layers.check(snippet('''
            def late():
                import cinder.volume
            ''')))
        self.assertEqual(1, len(found))
        self.assertIn(f':3: only {listed(layers.ADAPTERS)} may', found[0])

    def test_pure_must_not_import_the_core(self) -> None:
        self.assert_found(
            f'from {DRIVER}.registry import Registry',
            f'{DRIVER}/placement.py',
            f'pure module imports core module {DRIVER}.registry.Registry')

    def test_pure_must_not_do_io(self) -> None:
        self.assert_found(
            'import socket', f'{DRIVER}/access.py',
            'a pure module does no I/O, so it cannot need socket')

    def test_client_knows_no_federation(self) -> None:
        self.assert_found(
            f'from {DRIVER} import placement', f'{DRIVER}/lightbits/client.py',
            f'array client module imports pure module {DRIVER}.placement')

    def test_client_knows_no_configuration(self) -> None:
        self.assert_found(
            'from oslo_config import cfg', f'{DRIVER}/lightbits/client.py',
            f'only {listed(layers.ADAPTERS | layers.CONFIGURATION)} may '
            f'import oslo_config.cfg')

    def test_core_knows_no_configuration(self) -> None:
        self.assert_found(
            f'from {DRIVER} import loader', f'{DRIVER}/federation.py',
            f'core module imports adapter module {DRIVER}.loader')
        self.assert_clean('from oslo_config import cfg', f'{DRIVER}/loader.py')

    def test_cinder_only_in_adapters(self) -> None:
        text = 'from cinder import exception'
        self.assert_found(
            text, f'{DRIVER}/federation.py',
            f'only {listed(layers.ADAPTERS)} may import cinder.exception')
        self.assert_clean(text, f'{DRIVER}/exception.py')

    def test_a_package_may_span_layers(self) -> None:
        self.assert_found(
            f'from {DRIVER}.audit import collect',
            f'{DRIVER}/audit/checker.py',
            f'pure module imports core module {DRIVER}.audit.collect')
        self.assert_found(
            f'from {DRIVER}.audit.database import Database',
            f'{DRIVER}/audit/collect.py',
            f'core module imports adapter module '
            f'{DRIVER}.audit.database.Database')
        self.assert_clean('from cinder import objects',
                          f'{DRIVER}/audit/database.py')

    def test_driver_uses_connection_properties_only(self) -> None:
        self.assert_found(
            'from os_brick_ext import sysfs', f'{DRIVER}/driver.py',
            'of os_brick_ext only the connection properties are shared')
        self.assert_clean(
            'from os_brick_ext import conn_props', f'{DRIVER}/driver.py')
        register = 'from os_brick_ext import register'
        self.assert_clean(register, f'{DRIVER}/hosting.py')
        self.assert_found(
            register, f'{DRIVER}/placement.py',
            'of os_brick_ext only the connection properties are shared')

    def test_host_side_knows_no_cinder(self) -> None:
        for name in ('cinder.utils', f'{DRIVER}.location'):
            self.assert_found(
                f'import {name}', 'os_brick_ext/connector.py',
                f'os_brick_ext runs on hosts without Cinder: {name}')
        self.assert_clean(
            'from os_brick.initiator import connector',
            'os_brick_ext/connector.py')

    def test_downwards_is_clean(self) -> None:
        self.assert_clean(
            f'''
            import threading
            from {DRIVER}.lightbits import client
            from {DRIVER} import placement
            from {DRIVER} import timing
            ''', f'{DRIVER}/federation.py')

    def test_only_the_packages_have_layers(self) -> None:
        self.assertRaises(
            ValueError, list, layers.check(snippet('', 'tests/base.py')))


class ConductTestCase(base.BaseTestCase):

    def assert_found(self, rule: Rule, text: str, *lines: int) -> None:
        found = list(rule(snippet(text)))
        self.assertEqual(
            [f'{DRIVER}/federation.py:{line}' for line in lines],
            [':'.join(hit.split(':')[:2]) for hit in found])

    def test_green_threads(self) -> None:
        self.assert_found(conduct.green_threads, 'import eventlet', 1)
        self.assert_found(
            conduct.green_threads, 'from eventlet import greenthread', 1)
        self.assert_found(conduct.green_threads, 'import threading')

    def test_sleeping(self) -> None:
        self.assert_found(conduct.waiting, 'import time\ntime.sleep(1)', 2)
        self.assert_found(
            conduct.waiting, 'from time import sleep as nap\nnap(1)', 1)
        self.assert_found(conduct.waiting, 'import time\ntime.time()')

    def test_loops_on_a_clock(self) -> None:
        self.assert_found(conduct.waiting, '''
            while time.monotonic() < end:
                poll()
            ''', 2)
        self.assert_found(conduct.waiting, '''
            while True:
                if time.time() > end:
                    break
            ''', 2)
        self.assert_found(conduct.waiting, '''
            while items:
                items.pop()
                LOG.debug('at %s', time.monotonic())
            ''')

    def test_the_waiter_may_wait(self) -> None:
        text = 'import time\ntime.sleep(1)'
        self.assertEqual(
            [], list(conduct.waiting(snippet(text, f'{DRIVER}/timing.py'))))

    def test_broad_handlers(self) -> None:
        for caught in ('', ' Exception', ' BaseException as exc',
                       ' (OSError, Exception)', ' builtins.Exception'):
            self.assert_found(
                conduct.broad_handlers,
                f'try:\n    run()\nexcept{caught}:\n    pass', 3)
        self.assert_found(
            conduct.broad_handlers,
            'try:\n    run()\nexcept (OSError, ValueError):\n    pass')

    def test_cleaning_up_on_any_error(self) -> None:
        self.assert_found(conduct.broad_handlers, '''
            try:
                run()
            except BaseException:
                close()
                raise
            ''')
        self.assert_found(conduct.broad_handlers, '''
            try:
                run()
            except BaseException as exc:
                raise Other() from exc
            ''', 4)

    def test_a_thread_may_catch_anything_at_its_top(self) -> None:
        file = snippet('''
            def run():
                try:
                    work()
                except Exception:
                    LOG.exception('died')
            ''')
        top = f'{DRIVER}.federation:run'
        self.assertEqual([], list(
            conduct.broad_handlers(file, frozenset({top}))))
        self.assertEqual(1, len(list(
            conduct.broad_handlers(file, frozenset({f'{top}_else'})))))
        self.assertEqual([], list(
            conduct.unused_thread_tops([file], frozenset({top}))))
        self.assertEqual(
            [f'{top}_else catches nothing broad'],
            list(conduct.unused_thread_tops(
                [file], frozenset({top, f'{top}_else'}))))


class FormTestCase(base.BaseTestCase):

    def test_licence(self) -> None:
        own = pathlib.Path(__file__)
        good = own.read_text(encoding='utf-8')
        cases = {
            good: 0,
            '#!/usr/bin/env python3\n' + good: 0,
            '# Copyright 2026 Somebody\n' + good: 1,
            good.replace('WITHOUT', 'WITH'): 1,
            '"""No header."""\n': 1,
            '': 1,
        }
        for text, findings in cases.items():
            self.assertEqual(
                findings, len(list(form.licence(snippet(text)))), text[:60])

    def test_length(self) -> None:
        longest = 'pass\n' * form.MAX_LINES
        self.assertEqual([], list(form.length(snippet(longest))))
        self.assertEqual(
            1, len(list(form.length(snippet(longest + 'pass\n')))))

    def test_release_notes(self) -> None:
        cases = {
            'features:\n  - |\n    One.\n': [],
            'prelude: >\n  Text.\nfixes:\n  - One.\n': [],
            'features: One.\n': ['features is not a list of texts'],
            'features:\n  - note: one\n': ['features is not a list of texts'],
            'features: []\n': ['features is not a list of texts'],
            'feature:\n  - One.\n': ['unknown section feature'],
            'prelude:\n  - One.\n': ['prelude is not a text'],
            '': ['is not a mapping of sections'],
        }
        path = pathlib.PurePath('note.yaml')
        for text, problems in cases.items():
            self.assertEqual(
                [f'note.yaml: {problem}' for problem in problems],
                list(form.release_note(path, text)))

    def test_release_note_that_is_not_yaml(self) -> None:
        found = list(form.release_note(
            pathlib.PurePath('note.yaml'), 'features: [\n'))
        self.assertEqual(1, len(found))


class RequirementsTestCase(base.BaseTestCase):

    def found_in(self, text: str) -> dict[str, str]:
        return requirements.imported([snippet(text)], frozenset(PACKAGES))

    def test_imports_become_distributions(self) -> None:
        found = self.found_in(f'''
            import json
            import jwt
            import urllib3.util
            from oslo_config import cfg
            from {DRIVER} import spec
            ''')
        self.assertEqual({'pyjwt', 'urllib3', 'oslo-config'}, set(found))

    def test_undeclared(self) -> None:
        found = self.found_in('import requests')
        self.assertEqual(
            [f'{DRIVER}/federation.py:1: requests: requests is not declared '
             'in pyproject.toml'],
            list(requirements.check(set(), set(), found)))
        self.assertEqual(
            [], list(requirements.check(set(), {'requests'}, found)))

    def test_unused(self) -> None:
        self.assertEqual(
            ['pyproject.toml: tooz is declared but nothing imports it'],
            list(requirements.check({'tooz'}, {'cinder'}, {})))

    def test_reading_pyproject(self) -> None:
        path = pathlib.Path(self.create_tempfiles([('pyproject', '''
[project]
dependencies = ["PyJWT>=2.8.0", "oslo.config[extra] >= 1; python_version<'4'"]
[project.optional-dependencies]
one = ["cinder>=27"]
two = ["os_brick"]
''')], '.toml')[0])
        self.assertEqual(
            ({'pyjwt', 'oslo-config'}, {'cinder', 'os-brick'}),
            requirements.declared(path))
