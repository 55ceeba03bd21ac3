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

"""What an operation logs: few lines, each of which says what it is about."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from cinder import context
from cinder import exception
from oslo_context import context as oslo_context
import testtools

from cinder_lightbits_federation import driver as lb_driver
from tests.copying import files
from tests.unit.copy import test_mobility
from tests.unit.driver import base
from tests.unit.driver import golden

MOST = 3
PACKAGE = 'cinder_lightbits_federation'

#: What Cinder calls that is about no volume, or never about a cluster.
OTHERS = frozenset({
    'check_for_setup_error', 'create_export', 'do_setup', 'ensure_export',
    'freeze_backend', 'get_default_filter_function',
    'get_default_goodness_function', 'get_driver_options', 'get_pool',
    'remove_export', 'tear_down', 'thaw_backend', 'update_provider_info',
    'validate_connector'})
#: Parts of the driver that are no entry points of Cinder.
PARTS = frozenset({
    'abandon_copies', 'clone_elsewhere', 'finishers', 'handlers', 'marked',
    'master_copies', 'transfer'})


class _Lines(logging.Handler):
    """Keeps lines, with the request that they were written in."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        found = oslo_context.get_current()
        self.lines.append((found.request_id if found else '',
                           record.getMessage()))


class LinesMixin(base.FederationTestCase):
    """Runs operations and looks at their lines."""

    OPERATIONS: frozenset[str] = frozenset()
    drv: Any

    def setUp(self) -> None:
        """Keep what is logged."""
        super().setUp()
        self.done: set[str] = set()
        self.handler = _Lines()
        logger = logging.getLogger(PACKAGE)
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.INFO)
        logger.addHandler(self.handler)
        self.addCleanup(logger.removeHandler, self.handler)

    def do(self, name: str, *args: Any, about: Any) -> Any:
        """Run an operation as a request of its own.

        :param about: the record of the volume or snapshot.
        """
        self.done.add(name)
        self.handler.lines.clear()
        request = context.RequestContext('user', 'project', is_admin=True)
        result = getattr(self.drv, name)(*args)
        self.check(name, request.request_id, about)
        return result

    def check(self, name: str, request_id: str, about: Any) -> None:
        """Look at the lines of an operation."""
        lines = self.handler.lines
        text = '\n'.join(line for _request, line in lines)
        self.assertLessEqual(len(lines), MOST, f'{name}: {text}')
        places = [*self.arrays, *(item.uuid for item
                                  in self.arrays.values())]
        for request, line in lines:
            self.assertEqual(request_id, request, f'{name}: {line}')
            self.assertIn(about.id, line, name)
            self.assertTrue(any(place in line for place in places),
                            f'{name} names no cluster: {line}')


class OperationsTest(LinesMixin):

    OPERATIONS = frozenset({
        'create_cloned_volume', 'create_snapshot', 'create_volume',
        'create_volume_from_snapshot', 'delete_snapshot', 'delete_volume',
        'extend_volume', 'get_manageable_snapshots',
        'get_manageable_volumes', 'get_volume_stats',
        'initialize_connection', 'manage_existing',
        'manage_existing_get_size', 'manage_existing_snapshot',
        'manage_existing_snapshot_get_size', 'retype', 'revert_to_snapshot',
        'terminate_connection', 'unmanage', 'unmanage_snapshot'})

    def setUp(self) -> None:
        super().setUp()
        self.drv = self.start_driver()

    def test_every_operation(self) -> None:
        volume = self.volume()
        self.saved(volume, self.do('create_volume', volume, about=volume))
        self.do('extend_volume', volume, 2, about=volume)
        self.saved(volume, {'size': 2})
        taken = self.snapshot(volume)
        self.saved(taken, self.do('create_snapshot', taken, about=taken))
        copy, clone = self.volume(2), self.volume(2)
        self.saved(copy, self.do('create_volume_from_snapshot', copy, taken,
                                 about=copy))
        self.saved(clone, self.do('create_cloned_volume', clone, volume,
                                  about=clone))
        self.do('retype', self.context, volume,
                {'extra_specs': {'compression': '<is> True'}}, {},
                {'host': volume.host}, about=volume)
        self.do('revert_to_snapshot', self.context, volume, taken,
                about=volume)
        self.connect(volume)
        self.do('get_volume_stats', True, about=volume)
        self.manage(volume)
        self.do('delete_snapshot', taken, about=taken)
        for record in (copy, clone, volume):
            self.do('delete_volume', record, about=record)
            # Once more: nothing is there.
            self.do('delete_volume', record, about=record)

        self.assertEqual(self.OPERATIONS, self.done)

    def connect(self, volume: Any) -> None:
        """Attach two hosts, one of them twice, and take them away."""
        one, two = base.connector(1), base.connector(2)
        attachments = []
        for properties in (one, one, two):
            self.do('initialize_connection', volume, properties,
                    about=volume)
            attachments.append(self.attachment(volume, properties))
        for properties in (one, one, two):
            volume = self.reread(volume)
            self.do('terminate_connection', volume, properties,
                    about=volume)
            attachments.pop(0).destroy()

    def manage(self, volume: Any) -> None:
        """Let go of what there is, and take it in again."""
        cluster, found = self.on(volume)
        self.arrays[cluster].request(
            'POST', '/api/v2/projects/default/snapshots',
            json={'name': 'nightly', 'sourceVolumeUUID': found['UUID']})
        taken = self.snapshot(volume)
        name = {'source-name': 'nightly'}
        page = ([], None, 100, 0, ['size'], ['asc'])
        self.do('get_manageable_volumes', *page, about=volume)
        self.do('get_manageable_snapshots', *page, about=taken)
        self.do('manage_existing_snapshot_get_size', taken, name,
                about=taken)
        self.saved(taken, self.do('manage_existing_snapshot', taken, name,
                                  about=taken))
        self.do('unmanage_snapshot', taken, about=taken)
        taken.destroy()
        other = self.made(self.drv)
        name = {'source-name': self.on(other)[1]['name']}
        self.do('unmanage', other, about=other)
        other.destroy()
        fresh = self.volume()
        self.do('manage_existing_get_size', fresh, name, about=fresh)
        self.saved(fresh, self.do('manage_existing', fresh, name,
                                  about=fresh))

    def test_clusters_that_refuse(self) -> None:
        """A create that goes on elsewhere says one time where to."""
        for array in self.arrays.values():
            array.fault('status', route='volumes.create', status=400)
        volume = self.volume()
        request = context.RequestContext('user', 'project', is_admin=True)
        self.handler.lines.clear()
        self.assertRaises(exception.VolumeBackendAPIException,
                          self.drv.create_volume, volume)
        told = [line.split()[0] for _request, line in self.handler.lines]
        self.assertEqual(3, told.count('Cluster'), told)
        self.assertEqual(1, told.count('placement'), told)
        self.assertEqual({request.request_id}, {
            found for found, _line in self.handler.lines})


class ImagesTest(LinesMixin, golden.GoldenTestCase):

    OPERATIONS = frozenset({'clone_image', 'copy_image_to_volume'})

    def test_a_master_comes_and_is_used(self) -> None:
        self.drv = self.golden_driver()
        first, second = self.volume(2), self.volume(2)
        self.do('clone_image', self.context, first, None, golden.meta(),
                None, about=first)
        self.saved(first, self.drv.create_volume(first))
        self.do('copy_image_to_volume', self.context, first, None,
                golden.IMAGE, about=first)
        self.do('clone_image', self.context, second, None, golden.meta(),
                None, about=second)
        self.assertEqual(self.OPERATIONS, self.done)


class MovesTest(LinesMixin, test_mobility.MobilityTestCase):

    OPERATIONS = frozenset({'migrate_volume', 'retype',
                            'update_migrated_volume'})

    def test_moves(self) -> None:
        volume = self.reread(self.filled(files.MIB))
        _moved, update = self.do('migrate_volume', self.context, volume,
                                 self.host(), about=volume)
        self.saved(volume, update)
        home = self.on(volume)[0]
        there = next(name for name in self.arrays if name != home)
        self.do('retype', self.context, volume,
                {'extra_specs': {'lightos:cluster': there}}, {},
                self.host(), about=volume)


class CompletenessTest(testtools.TestCase):

    def test_every_method_is_looked_at(self) -> None:
        found = {
            name for name, method in inspect.getmembers(
                lb_driver.LightbitsFederationDriver, inspect.isfunction)
            if method.__module__.startswith(PACKAGE)
            and not name.startswith('_')}
        looked_at = set().union(*(
            kind.OPERATIONS for kind in (OperationsTest, ImagesTest,
                                         MovesTest)))
        self.assertEqual(found, looked_at | OTHERS | PARTS)
