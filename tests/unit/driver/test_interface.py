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

"""What Cinder expects of a driver class."""

import ast
from collections.abc import Iterator
import inspect
import pathlib
import threading
import time
from types import ModuleType
from typing import Any

from cinder import exception
from cinder.interface import util
from cinder.interface import volume_driver
from cinder.interface import volume_manageable_driver
from cinder.interface import volume_snapshot_revert
from cinder.interface import volume_snapshotmanagement_driver
from cinder.volume import driver
from cinder.volume.flows.manager import create_volume
from cinder.volume.flows.manager import manage_existing
from cinder.volume.flows.manager import manage_existing_snapshot
from cinder.volume import manager
from oslotest import base as test_base

from cinder_lightbits_federation.driver import LightbitsFederationDriver
from cinder_lightbits_federation import options
from cinder_lightbits_federation import spec
from tests.unit.driver import base

INTERFACES = (
    volume_driver.VolumeDriverCore,
    volume_manageable_driver.VolumeListManageableDriver,
    volume_snapshotmanagement_driver.VolumeSnapshotManagementDriver,
    volume_snapshot_revert.VolumeSnapshotRevertDriver)

CALLERS = (manager, create_volume, manage_existing, manage_existing_snapshot)

PACKAGE = 'cinder_lightbits_federation'


def overridden() -> Iterator[str]:
    """Names of the methods of Cinder that this driver replaces."""
    for name, _member in inspect.getmembers(driver.VolumeDriver, callable):
        owner = next(cls for cls in LightbitsFederationDriver.__mro__
                     if name in cls.__dict__)
        if owner.__module__.startswith(PACKAGE) and not name.startswith('_'):
            yield name


def signature(owner: Any, name: str) -> inspect.Signature:
    """The signature of a method as callers see it, without self."""
    found = inspect.signature(getattr(owner, name))
    bound = isinstance(inspect.getattr_static(owner, name),
                       (staticmethod, classmethod))
    names = list(found.parameters.values())
    return found.replace(parameters=names if bound else names[1:])


def calls(module: ModuleType) -> Iterator[tuple[str, int, list[str]]]:
    """The calls ``self.driver.NAME(...)`` of a module of Cinder.

    :returns: name, number of positional arguments, names of the others.
    """
    text = pathlib.Path(str(module.__file__)).read_text(encoding='utf-8')
    for node in ast.walk(ast.parse(text)):
        if (isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Attribute)
                and node.func.value.attr == 'driver'):
            yield (node.func.attr, len(node.args),
                   [word.arg for word in node.keywords if word.arg])


class SignatureTestCase(test_base.BaseTestCase):
    """Whatever may call the driver finds what it needs."""

    def test_methods_take_what_those_of_the_base_class_take(self) -> None:
        names = list(overridden())
        self.assertIn('create_volume', names)
        for name in names:
            ours = signature(LightbitsFederationDriver, name)
            theirs = signature(driver.VolumeDriver, name)
            self.assertEqual(list(theirs.parameters), list(ours.parameters),
                             name)
            for key, parameter in theirs.parameters.items():
                mine = ours.parameters[key]
                self.assertEqual((parameter.kind, parameter.default),
                                 (mine.kind, mine.default), f'{name} {key}')

    def test_methods_take_what_the_interfaces_say(self) -> None:
        for interface in INTERFACES:
            self.assertTrue(issubclass(LightbitsFederationDriver, interface))
            for name, _method in inspect.getmembers(interface,
                                                    inspect.isfunction):
                if name.startswith('__') or not callable(
                        getattr(LightbitsFederationDriver, name)):
                    continue
                wanted = signature(interface, name)
                needed = [key for key, one in wanted.parameters.items()
                          if one.default is one.empty]
                signature(LightbitsFederationDriver, name).bind(
                    *needed, **{key: None for key in wanted.parameters
                                if key not in needed})

    def test_calls_of_cinder_fit(self) -> None:
        seen = set()
        for module in CALLERS:
            for name, count, words in calls(module):
                if not callable(getattr(LightbitsFederationDriver, name)):
                    continue
                seen.add(name)
                signature(LightbitsFederationDriver, name).bind(
                    *range(count), **dict.fromkeys(words))
        for name in ('create_volume', 'terminate_connection',
                     'create_cloned_volume', 'manage_existing', 'retype'):
            self.assertIn(name, seen)

    def test_force_is_a_keyword(self) -> None:
        bound = signature(
            LightbitsFederationDriver, 'terminate_connection').bind(
                'volume', None, force=True)
        self.assertEqual({'force': True}, bound.arguments['kwargs'])


class ClassTestCase(test_base.BaseTestCase):
    """Facts about the class that tools and Cinder read."""

    def test_it_is_registered(self) -> None:
        known = {item.cls: item for item in util.get_volume_drivers()}
        info = known[LightbitsFederationDriver]
        self.assertTrue(info.supported)
        self.assertRegex(info.version, r'^\d+\.\d+\.\d+$')
        self.assertIn(info.version, info.desc)
        self.assertEqual('LightbitsFederation_CI', info.ci_wiki_name)
        self.assertEqual(options.backend_opts, info.driver_options)

    def test_it_can_be_active_active(self) -> None:
        self.assertIs(True,
                      LightbitsFederationDriver.SUPPORTS_ACTIVE_ACTIVE)

    def test_options_are_told_apart_and_explained(self) -> None:
        for option in LightbitsFederationDriver.get_driver_options():
            self.assertTrue(option.name.startswith('lightbits_'))
            self.assertTrue(option.help)


class LifeTestCase(base.FederationTestCase):
    """From construction to the end."""

    NODES = 1
    CLUSTERS = ('east', 'west')

    @staticmethod
    def threads() -> list[str]:
        """Names of the driver's threads."""
        return sorted(thread.name for thread in threading.enumerate()
                      if thread.name.startswith('lightbits-'))

    def connections(self) -> int:
        """How many connections the clusters have open."""
        return sum(array.counters().open_connections
                   for array in self.arrays.values())

    def test_construction_starts_nothing(self) -> None:
        before = threading.active_count()

        self.build_driver()

        self.assertEqual(before, threading.active_count())
        self.assertEqual([0, 0], [array.counters().tcp
                                  for array in self.arrays.values()])

    def test_nothing_works_before_it_is_set_up(self) -> None:
        drv = self.build_driver()

        error = self.assertRaises(exception.VolumeBackendAPIException,
                                  drv.create_volume, self.volume())

        self.assertIn('not set up', str(error))

    def test_set_up_twice(self) -> None:
        drv = self.start_driver()
        self.made(drv)
        threads, connections = self.threads(), self.connections()

        drv.do_setup(self.context)

        self.made(drv)
        self.wait(lambda: self.threads() == threads or None, self.threads)
        self.wait(lambda: self.connections() <= connections or None)

    def test_the_end_leaves_no_thread_and_no_connection(self) -> None:
        drv = self.start_driver()
        self.made(drv)
        self.driver_works_in_parallel(drv)
        self.assertNotEqual([], self.threads())

        drv.tear_down()
        drv.tear_down()

        self.wait(lambda: not self.threads() or None, self.threads)
        self.wait(lambda: not self.connections() or None)

    def driver_works_in_parallel(
            self, drv: LightbitsFederationDriver) -> None:
        """A search asks all clusters at once."""
        drv.delete_volume(self.volume())

    def test_every_extra_spec_is_published(self) -> None:
        drv = self.start_driver()
        log = self.logged()

        drv.init_capabilities()

        properties = drv.capabilities['properties']
        ours = {item.key: item for item in spec.SPEC_HELP}
        self.assertLessEqual(set(ours), set(properties))
        for key, item in ours.items():
            self.assertIn(properties[key]['type'],
                          ('boolean', 'integer', 'string'))
            self.assertNotEqual('', properties[key]['title'], key)
            self.assertNotEqual('', properties[key]['description'], key)
            if item.vendor:
                self.assertEqual(
                    (item.type, item.minimum, list(item.allowed) or None),
                    (properties[key]['type'],
                     properties[key].get('minimum'),
                     properties[key].get('enum')))
        self.assertNotIn('vendor', log.output)
        self.assertEqual('Lightbits', drv.capabilities['vendor_name'])

    def assert_closed(self, stats: dict[str, Any]) -> None:
        """No pool takes a volume, and the figures are numbers."""
        pool, = stats['pools']
        for key in ('total_capacity_gb', 'free_capacity_gb',
                    'provisioned_capacity_gb'):
            self.assertEqual(0, pool[key])
        self.assertIn('east', pool['lightbits_clusters_closed'])

    def test_statistics_before_it_is_set_up(self) -> None:
        stats = self.build_driver().get_volume_stats(refresh=True)

        self.assertEqual([], stats['pools'])
        self.assertEqual(base.BACKEND, stats['volume_backend_name'])

    def test_statistics_of_clusters_that_are_down(self) -> None:
        for array in self.arrays.values():
            array.stop()
        drv = self.start_driver()

        self.assert_closed(drv.get_volume_stats(refresh=True))

    def test_statistics_of_clusters_that_fall_silent(self) -> None:
        drv = self.start_driver(lightbits_api_timeout=1,
                                lightbits_poll_interval=1)
        self.wait(lambda: drv.get_volume_stats(refresh=True)[
            'pools'][0]['total_capacity_gb'] or None)
        for array in self.arrays.values():
            array.fault('blackhole')

        def closed() -> bool | None:
            begin = time.monotonic()
            stats = drv.get_volume_stats(refresh=True)
            self.assertLess(time.monotonic() - begin, 5)
            return stats['pools'][0]['total_capacity_gb'] == 0 or None

        self.wait(closed)
        self.assert_closed(drv.get_volume_stats(refresh=True))

    def test_statistics_of_clusters_that_talk_nonsense(self) -> None:
        for array in self.arrays.values():
            array.fault('wrong_json', mode='html')
        drv = self.start_driver()

        self.assert_closed(drv.get_volume_stats(refresh=True))
