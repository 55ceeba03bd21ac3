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

"""Which module may import which: imports go down only."""

from __future__ import annotations

from collections.abc import Iterator

from tests.rules.source import Import
from tests.rules.source import imports
from tests.rules.source import Source

DRIVER = 'cinder_lightbits_federation'
HOST = 'os_brick_ext'

# From the bottom up. What is named nowhere belongs to the core.
SHARED = frozenset({'files', 'timing'})
ARRAY = frozenset({'lightbits'})
PURE = frozenset({
    'access', 'adoption.plan', 'audit.books', 'audit.changes', 'audit.checker',
    'audit.exports', 'audit.findings', 'audit.golden', 'audit.objects',
    'audit.places',
    'audit.proofs', 'audit.restoring', 'audit.scene', 'audit.strangers',
    'capacity', 'conformance', 'copy.errors', 'copy.extents', 'copy.ledger',
    'decisions', 'errors', 'fitness', 'goldenrules',
    'drain.balance', 'drain.plan', 'jobs.model',
    'location', 'ownership', 'placement', 'refs', 'reservations',
    'room', 'sizes', 'spec', 'views'})
ADAPTERS = frozenset({
    'admission', 'adoption.planner', 'adoption.rows', 'attached',
    'audit.amend', 'audit.clerk', 'audit.database', 'cinderdb', 'cli',
    'drain.stock', 'drain.work',
    'driver', 'exception',
    'exporter', 'hosting', 'images', 'jobbing', 'manageable', 'mobility',
    'records',
    'returning', 'service', 'upgrading', 'cinderlocks'})

# Adapters too, to files and not to Cinder: oslo.config, and nothing of Cinder.
CONFIGURATION = frozenset({'loader', 'options', 'sections'})
# The privileged daemon loads this alone, so it sets its own options' defaults.
DAEMON = f'{DRIVER}.copy.privileged'

# The one part of the host side that the driver shares with it.
CONNECTION_PROPERTIES = f'{HOST}.conn_props'
# By which an adapter has os-brick use the host side.
REGISTER = f'{HOST}.register'

# A pure module is values in, values out. These would be a way around that.
IMPURE = frozenset({
    'asyncio', 'http', 'requests', 'select', 'socket', 'ssl', 'subprocess',
    'urllib3'})

_SHARED, _ARRAY, _PURE, _CORE, _ADAPTER = range(5)
_NAMES = ('shared', 'array client', 'pure', 'core', 'adapter')


def _part(module: str) -> str:
    """The name right below the package: ``placement``, ``lightbits``.

    Of a package that spans layers, the module's as well: ``audit.checker``.
    """
    _top, *parts = module.split('.')
    dotted = '.'.join(parts[:2])
    if dotted in PURE | ADAPTERS:
        return dotted
    return parts[0] if parts else ''


def _layer(module: str) -> int:
    part = _part(module)
    for number, members in (
            (_SHARED, SHARED), (_ARRAY, ARRAY), (_PURE, PURE),
            (_ADAPTER, ADAPTERS | CONFIGURATION)):
        if part in members:
            return number
    return _CORE


def _driver_import(source: Source, item: Import) -> str | None:
    """What is wrong with one import of the driver's package, if anything."""
    own = _layer(source.module)
    part = _part(source.module)
    if item.top == DRIVER and _part(item.name):
        target = _layer(item.name)
        if target > own:
            return (f'{_NAMES[own]} module imports {_NAMES[target]} module '
                    f'{item.name}')
    if item.top == 'cinder' and part not in ADAPTERS:
        return f'only {_listed(ADAPTERS)} may import {item.name}'
    if (item.top == 'oslo_config'
            and part not in ADAPTERS | CONFIGURATION
            and source.module != DAEMON):
        return (f'only {_listed(ADAPTERS | CONFIGURATION)} may import '
                f'{item.name}')
    if (item.top == HOST
            and not item.name.startswith(CONNECTION_PROPERTIES)
            and (item.name != REGISTER or part not in ADAPTERS)):
        return f'of {HOST} only the connection properties are shared'
    if own == _PURE and item.top in IMPURE:
        return f'a pure module does no I/O, so it cannot need {item.name}'
    return None


def _host_import(_source: Source, item: Import) -> str | None:
    """What is wrong with one import of the host's package, if anything."""
    if item.top in {'cinder', DRIVER}:
        return f'{HOST} runs on hosts without Cinder: {item.name}'
    return None


def _listed(names: frozenset[str]) -> str:
    return ', '.join(sorted(names))


def check(source: Source) -> Iterator[str]:
    """Findings about the direction of a file's imports.

    :raises ValueError: the file belongs to neither package.
    """
    top = source.module.partition('.')[0]
    rules = {DRIVER: _driver_import, HOST: _host_import}
    if top not in rules:
        raise ValueError(f'{source.path} is in neither package')
    for item in imports(source):
        problem = rules[top](source, item)
        if problem is not None:
            yield source.finding(item.line, problem)
