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

"""Golden images that are left unfinished, and those that go."""

import threading
import time
from typing import Any
from unittest import mock
import uuid

from cinder_lightbits_federation import driver as lb_driver
from cinder_lightbits_federation import golden
from cinder_lightbits_federation import goldenrules
from cinder_lightbits_federation.lightbits import errors as lb_errors
from cinder_lightbits_federation import mastermaker
from cinder_lightbits_federation import masters
from cinder_lightbits_federation import sweeper
from tests.unit.driver import golden as base


class Died(BaseException):
    """The process is gone."""


class CrashTest(base.GoldenTestCase):
    """A service dies between the download and the finished master."""

    CLUSTERS = ('east',)

    def assert_finished_by_the_next(self) -> None:
        """The next service has one whole master after one more volume."""
        drv = self.golden_driver()
        self.boot(drv)
        downloads = len(self.downloads)
        self.boot(drv)
        self.assertEqual(downloads, len(self.downloads))
        self.assertEqual(1, len(self.hidden()))
        # The intermediate one goes by its retention time.
        drv.federation.golden.sweep(())
        self.assertEqual(
            1, len([item for _name, item in self.snapshots()
                    if item['name'].startswith('golden-')
                    and item['UUID'] == self.labels(
                        self.hidden()[0][1])['cinder_snapshot']]))

    def dying(self, target: Any, name: str) -> None:
        """Let a service die when it comes to some point."""
        drv = self.golden_driver()
        with mock.patch.object(target, name, autospec=True,
                               side_effect=Died):
            self.assertRaises(Died, self.boot, drv)
        drv.tear_down()

    def test_before_the_master(self) -> None:
        self.dying(mastermaker.MasterMaker, '_clone')
        self.assert_finished_by_the_next()

    def test_before_the_clone_is_asked_for(self) -> None:
        self.dying(mastermaker.MasterMaker, '_post')
        self.assert_finished_by_the_next()

    def test_before_it_is_usable(self) -> None:
        self.dying(mastermaker.MasterMaker, '_settled')
        self.assertEqual(1, len(self.hidden()))
        self.assert_finished_by_the_next()

    def test_before_its_snapshot(self) -> None:
        self.dying(mastermaker.MasterMaker, 'finish')
        self.assertEqual(1, len(self.hidden()))
        self.assert_finished_by_the_next()

    def test_before_it_is_published(self) -> None:
        self.dying(goldenrules, 'finished')
        self.assertEqual(1, len(self.snapshots()))
        self.assert_finished_by_the_next()


class SweepTest(base.GoldenTestCase):
    """What nobody needs goes."""

    CLUSTERS = ('east',)

    def setUp(self) -> None:
        super().setUp()
        self.now = time.time()
        clock = mock.Mock(time=lambda: self.now, monotonic=time.monotonic)
        for module in (golden, mastermaker, masters):
            self.mock_object(module, 'time', clock)

    def images(self, drv: lb_driver.LightbitsFederationDriver, count: int
               ) -> list[dict[str, Any]]:
        """:returns: images that have a master each, the oldest first."""
        found = []
        for _number in range(count):
            self.now += 2 * goldenrules.HOUR
            found.append(base.meta(id=str(uuid.uuid4())))
            self.boot(drv, found[-1])
        return found

    def kept(self) -> list[str]:
        """Ids of the images that have a master."""
        return [self.labels(item)['cinder_image']
                for _name, item in self.hidden()]

    def test_more_than_the_limit(self) -> None:
        drv = self.golden_driver(lightbits_golden_image_limit=2)
        first, _second, third = self.images(drv, 3)
        self.now += 2 * goldenrules.HOUR
        self.boot(drv, first)

        self.assertTrue(drv.federation.golden.grown.is_set())
        drv.federation.golden.sweep(())
        self.assertEqual({first['id'], third['id']}, set(self.kept()))
        self.wait(lambda: len(self.snapshots()) == 2 or None)

    def test_the_thread_looks_when_there_is_more(self) -> None:
        calls: list[int] = []
        more = threading.Event()

        def sweep() -> None:
            calls.append(1)
            raise ValueError('the next time may be better')

        thread = sweeper.Sweeper(sweep, more, gathering=0)
        self.addCleanup(thread.stop)
        self.start_thread(thread)
        for count in (1, 2):
            more.set()
            self.wait(lambda count=count: len(calls) == count or None)

    def test_the_thread_looks_once_for_what_comes_together(self) -> None:
        calls: list[int] = []
        more, over = threading.Event(), threading.Event()
        thread = sweeper.Sweeper(lambda: calls.append(1), more, gathering=7)
        with mock.patch.object(
                sweeper, 'pause', autospec=True,
                side_effect=lambda *_args: over.wait(30)) as pause:
            self.addCleanup(thread.stop)
            self.start_thread(thread)
            for _number in range(5):
                more.set()
                self.wait(lambda: pause.call_args)
            self.assertEqual([], calls)
            over.set()
            self.wait(lambda: calls or None)
            self.assertEqual((1, False), (len(calls), more.is_set()))
        pause.assert_called_once_with(7, mock.ANY)

    def test_the_thread_ends_while_it_gathers(self) -> None:
        more = threading.Event()
        thread = sweeper.Sweeper(lambda: None, more, gathering=3600)
        self.start_thread(thread)
        more.set()
        thread.stop()
        # It was woken, and has cleared what had woken it.
        self.wait(lambda: not more.is_set() or None)

    def test_not_used_for_long(self) -> None:
        drv = self.golden_driver(lightbits_golden_image_max_idle=2)
        old, used = self.images(drv, 2)
        self.now += goldenrules.DAY
        self.boot(drv, used)
        self.now += 1.5 * goldenrules.DAY
        drv.federation.golden.sweep(())
        self.assertEqual([used['id']], self.kept())
        self.boot(drv, old)
        self.assertEqual(3, len(self.downloads))

    def test_the_snapshot_of_the_last_one_goes_later(self) -> None:
        drv = self.golden_driver(lightbits_golden_image_max_idle=1)
        self.images(drv, 1)
        self.now += 3 * goldenrules.DAY
        with mock.patch.object(
                drv.federation.golden.masters, 'drop', autospec=True,
                side_effect=lb_errors.Unreachable('away')):
            drv.federation.golden.sweep(())
        self.assertEqual([], self.kept())
        self.assertEqual(1, len(self.snapshots()))
        drv.federation.golden.sweep(['of-no-cluster'])
        self.wait(lambda: not self.snapshots() or None)

    def test_used_again_while_it_was_to_go(self) -> None:
        drv = self.golden_driver(lightbits_golden_image_max_idle=1)
        image, = self.images(drv, 1)
        cluster, = drv.federation.registry.clusters
        own = drv.federation.golden.masters
        seen, = own.all(cluster, ('default',))
        self.now += 2 * goldenrules.DAY
        self.boot(drv, image)
        with mock.patch.object(own, 'all', autospec=True,
                               return_value=[seen]):
            drv.federation.golden.sweep(())
        self.assertEqual([image['id']], self.kept())

    def test_its_use_is_being_noted(self) -> None:
        """Its labels are changing, which is no reason to download."""
        drv = self.golden_driver()
        image, = self.images(drv, 1)
        self.arrays['east'].set_delays(update=60)
        self.now += 2 * goldenrules.HOUR
        self.hurry(drv, 5)
        self.boot(drv, image)
        self.boot(drv, image)
        self.assertEqual(1, len(self.downloads))
        (_name, master), = self.hidden()
        self.assertEqual('Updating', master['state'])

    def test_being_cloned(self) -> None:
        drv = self.golden_driver(lightbits_golden_image_max_idle=1)
        image, = self.images(drv, 1)
        self.now += 3 * goldenrules.DAY
        array = self.arrays['east']
        (_name, snapshot), = self.snapshots()
        array.set_delays(create=60)
        made = array.request('POST', '/api/v2/projects/default/volumes', {
            'name': 'coming', 'size': str(base.GIB), 'replicaCount': 3,
            'acl': {'values': ['ALLOW_NONE']},
            'sourceSnapshotUUID': snapshot['UUID']})
        self.assertEqual(200, made.status, made.body)
        drv.federation.golden.sweep(())
        self.assertEqual([image['id']], self.kept())

    def test_a_draining_cluster(self) -> None:
        drv = self.golden_driver()
        self.images(drv, 2)
        self.write_config({'east': self.section(
            'east', admin_state='draining')}, **base.OPTIONS)
        drv._service._reload()
        drv.federation.golden.sweep(())
        self.assertEqual([], self.kept())

    def test_what_nothing_needs(self) -> None:
        """A snapshot that a service left behind goes after an hour."""
        drv = self.golden_driver()
        image, = self.images(drv, 1)
        (_name, snapshot), = self.snapshots()
        made = self.arrays['east'].request(
            'POST', '/api/v2/projects/default/snapshots', {
                'name': 'golden-left', 'description':
                snapshot['description'],
                'sourceVolumeUUID': snapshot['sourceVolumeUUID']})
        self.assertEqual(200, made.status)
        self.now = time.time()
        drv.federation.golden.sweep(())
        self.assertEqual(2, len(self.snapshots()))
        self.now += 5 * goldenrules.HOUR
        drv.federation.golden.sweep(())
        self.wait(lambda: len(self.snapshots()) == 1 or None)
        self.boot(drv, image)
        self.assertEqual(1, len(self.downloads))
