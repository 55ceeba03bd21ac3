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

"""Golden images that cannot be had, or that many want at once."""

from collections.abc import Callable
import threading
import time
from typing import Any
from unittest import mock
import uuid

import futurist

from cinder_lightbits_federation import driver as lb_driver
from cinder_lightbits_federation import exception
from cinder_lightbits_federation import goldenrules
from cinder_lightbits_federation import records
from tests.unit.driver import golden as base


class TroubleTest(base.GoldenTestCase):
    """What goes wrong with a master never fails a volume."""

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.east = self.arrays['east']
        self.drv = self.golden_driver()

    def test_making_a_master_fails(self) -> None:
        for route, after, kind, params in (
                ('snapshots.create', 0, 'status', {'status': 403}),
                ('volumes.create', 1, 'status', {'status': 400}),
                ('volumes.create', 1, 'fail_create', {}),
                ('volumes.update', 0, 'status', {'status': 400}),
                ('snapshots.create', 1, 'status', {'status': 500})):
            image = base.meta(id=str(uuid.uuid4()))
            self.east.fault(kind, route=route, after=after, count=4,
                            **params)
            record = self.boot(self.drv, image)
            self.assertNotEqual(
                [0], [item['hits'] for item in self.east.faults()])
            self.east.clear_faults()
            self.on(record)
            # The next one makes it, or finishes what is there.
            self.boot(self.drv, image)
            count = len(self.downloads)
            self.boot(self.drv, image)
            self.assertEqual(count, len(self.downloads), route)
            self.assertEqual({}, self.drv.federation.golden._tickets)

    def test_cloning_fails(self) -> None:
        self.boot(self.drv)
        for route, kind, params in (
                ('volumes.get', 'status', {'status': 403}),
                ('snapshots.get', 'status', {'status': 500}),
                ('volumes.create', 'status', {'status': 400}),
                ('volumes.create', 'fail_create', {})):
            self.east.fault(kind, route=route, count=1, **params)
            record = self.boot(self.drv)
            self.assertEqual([1], [item['hits']
                                   for item in self.east.faults()])
            self.east.clear_faults()
            self.on(record)
        self.assertEqual(1, len(self.hidden()))

    def test_a_lost_snapshot_is_taken_again(self) -> None:
        self.boot(self.drv)
        (_name, snapshot), = self.snapshots()
        reply = self.east.request(
            'DELETE', f'/api/v2/projects/default/snapshots/'
            f'{snapshot["UUID"]}')
        self.assertEqual(200, reply.status)
        self.wait(lambda: not self.snapshots() or None)
        self.boot(self.drv)
        self.assertEqual(2, len(self.downloads))
        self.boot(self.drv)
        self.assertEqual(2, len(self.downloads))
        self.assertEqual(1, len(self.hidden()))

    def test_a_foreign_volume_has_the_name(self) -> None:
        with mock.patch.object(goldenrules, 'name_of', autospec=True,
                               return_value='golden-taken'):
            reply = self.east.request(
                'POST', '/api/v2/projects/default/volumes', {
                    'name': 'golden-taken', 'size': str(base.GIB),
                    'replicaCount': 3, 'acl': {'values': ['ALLOW_NONE']}})
            self.assertEqual(200, reply.status)
            self.boot(self.drv)
            self.boot(self.drv)
        self.assertEqual(2, len(self.downloads))
        (_name, foreign), = self.hidden()
        self.assertNotIn('labels', foreign)

    def test_a_failed_download_lets_others_on(self) -> None:
        def fail() -> None:
            raise OSError('no data')

        self.during = fail
        record = self.volume(2)
        self.assertRaises(OSError, self.fill, self.drv, record, base.meta())
        self.during = lambda: None
        began = time.monotonic()
        self.boot(self.drv)
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual(1, len(self.hidden()))

    def test_a_create_that_fails_lets_others_on(self) -> None:
        record = self.volume(2)
        self.drv.clone_image(self.context, record, None, base.meta(), None)
        self.east.fault('status', route='volumes.create', status=400)
        self.assertRaises(exception.LightbitsBackendError,
                          self.drv.create_volume, record)
        self.east.clear_faults()
        self.assertEqual({}, self.drv.federation.golden._tickets)

    def test_what_is_given_up_is_forgotten(self) -> None:
        """Cinder does not say when it cannot even fetch the image."""
        record = self.volume(2)
        self.drv.clone_image(self.context, record, None, base.meta(), None)
        self.assertEqual([record.id],
                         list(self.drv.federation.golden._tickets))
        self.drv.delete_volume(record)
        self.assertEqual({}, self.drv.federation.golden._tickets)
        reserved = self.drv.federation.placer.views()[0].reserved
        self.assertEqual(0, reserved)

    def test_nobody_waits_for_ever(self) -> None:
        drv = self.golden_driver(lightbits_golden_image_patience=0.2)
        record = self.volume(2)
        drv.clone_image(self.context, record, None, base.meta(), None)
        self.boot(drv)
        self.assertEqual(1, len(self.hidden()))
        self.assertEqual({}, drv.federation.golden._tickets)

    def test_another_host_waits_no_longer_either(self) -> None:
        """Nobody else asks the first one for anything."""
        drv = self.golden_driver(lightbits_golden_image_patience=0.2)
        drv.clone_image(self.context, self.volume(2), None, base.meta(), None)
        began = time.monotonic()
        self.boot(self.drv)
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual(1, len(self.hidden()))
        self.assertEqual({}, drv.federation.golden._tickets)

    def test_a_clone_of_something_else_after_all(self) -> None:
        """Cinder's cache may have the image and the driver not."""
        source = self.made(self.drv, 2)
        record = self.volume(2)
        self.drv.clone_image(self.context, record, None, base.meta(), None)
        self.saved(record, self.drv.create_cloned_volume(record, source))
        self.assertEqual({}, self.drv.federation.golden._tickets)
        self.on(record)

    def test_tried_before(self) -> None:
        self.boot(self.drv)
        record = self.volume(2)
        self.saved(record, self.drv.create_volume(record))
        self.assertEqual((None, False), self.drv.clone_image(
            self.context, record, None, base.meta(), None))

    def test_an_array_without_labels(self) -> None:
        self.add_array('old', version='3.10.2')
        drv = self.golden_driver()
        for _number in range(2):
            self.boot(drv, specs={'lightos:cluster': 'old'})
        self.assertEqual(2, len(self.downloads))
        self.assertEqual([], self.hidden())


class AtOnceTest(base.GoldenTestCase):
    """Several volumes of an image at the same time."""

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        # The database of a test has one connection.
        guard = threading.RLock()

        def guarded(usual: Callable[..., Any]) -> Callable[..., Any]:
            def alone(*args: Any) -> Any:
                with guard:
                    return usual(*args)

            return alone

        self.mock_object(records.LocationRecord, 'record', guarded(
            records.LocationRecord.record))
        self.mock_object(records, 'spec_of', guarded(records.spec_of))

    def at_once(self, *work: Any) -> None:
        """Run some functions at the same time."""
        with futurist.ThreadPoolExecutor(max_workers=len(work)) as pool:
            for future in [pool.submit(item) for item in work]:
                future.result()

    def clone(self, drv: lb_driver.LightbitsFederationDriver) -> Any:
        """Ask for a clone, which waits while another one is filled."""
        record = self.volume(2)
        update, cloned = drv.clone_image(self.context, record, None,
                                         base.meta(), None)
        self.assertTrue(cloned)
        return self.saved(record, update)

    def test_one_fills_and_the_others_wait(self) -> None:
        drv = self.golden_driver()
        asking = [self.volume(2) for _number in range(4)]
        answers: list[tuple[Any, bool]] = []

        def ask(record: Any) -> Any:
            return lambda: answers.append(drv.clone_image(
                self.context, record, None, base.meta(), None))

        threads = [threading.Thread(target=ask(record))
                   for record in asking]

        def during() -> None:
            for thread in threads:
                thread.start()
            self.assertEqual([], answers)

        self.during = during
        self.boot(drv)
        for thread in threads:
            thread.join()
        self.assertEqual([True] * 4, [cloned for _update, cloned in answers])
        self.assertEqual(1, len(self.downloads))
        self.assertEqual(1, len(self.hidden()))

    def test_two_hosts_make_one_master(self) -> None:
        """Even if the lock service lets both fill."""
        first, second = self.golden_driver(), self.golden_driver()
        for drv in (first, second):
            self.mock_object(drv.federation.golden, '_get_lock',
                             lambda _name: mock.Mock(
                                 acquire=lambda blocking: True,
                                 release=lambda: True))
        records = [self.volume(2), self.volume(2)]
        for drv, record in zip((first, second), records, strict=True):
            self.assertEqual((None, False), drv.clone_image(
                self.context, record, None, base.meta(), None))
            self.saved(record, drv.create_volume(record))
        barrier = threading.Barrier(2)
        self.during = lambda: barrier.wait(20) and None
        self.at_once(*(
            lambda drv=drv, record=record: drv.copy_image_to_volume(
                self.context, record, None, base.IMAGE)
            for drv, record in zip((first, second), records, strict=True)))
        self.assertEqual(1, len(self.hidden()))
        self.wait(lambda: len(self.snapshots()) == 1 or None)
        self.clone(second)
