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

"""Two releases side by side: formats, the way back, and the freeze."""

from __future__ import annotations

from concurrent import futures
import dataclasses
import types
from typing import Any
import uuid as uuidlib

from cinder import exception
from cinder.volume import configuration
from cinder.volume import manager
import fixtures

from cinder_lightbits_federation import driver as lb_driver
from cinder_lightbits_federation.jobs.runner import Runner
from cinder_lightbits_federation.jobs.runner import Task
from cinder_lightbits_federation import ownership
from cinder_lightbits_federation.refs import CreateRequest
from cinder_lightbits_federation.refs import SnapshotRef
from cinder_lightbits_federation.refs import VolumeRef
from cinder_lightbits_federation.spec import VolumeSpec
from tests.unit.driver import base

OLD, NEW = 1, 2
SECOND_HOST = f'stor2@{base.BACKEND}'


class UpgradeTestCase(base.FederationTestCase):
    """Services of two releases over the same clusters and store."""

    CLUSTERS = ('east', 'west')
    NODES = 1

    def setUp(self) -> None:
        super().setUp()
        self.write_config(self.sections())
        self.tenant = {'project_id': uuidlib.uuid4().hex,
                       'user_id': uuidlib.uuid4().hex}

    def release(self, newest: int, host: str = base.HOST
                ) -> lb_driver.LightbitsFederationDriver:
        """:returns: a driver that knows formats up to one, set up."""
        made = lb_driver.LightbitsFederationDriver(
            configuration=configuration.Configuration(
                manager.volume_backend_opts, config_group=base.BACKEND),
            host=host, cluster_name=None)
        with fixtures.MonkeyPatch(
                'cinder_lightbits_federation.formats.NEWEST', newest):
            made.do_setup(self.context)
        self.addCleanup(made.tear_down)
        return made

    @staticmethod
    def formats(drv: Any) -> Any:
        """:returns: the formats, as a service has them."""
        return drv._service.shared.formats

    def hear(self, drv: Any) -> None:
        """Have a service look at what is shared, as it does all the time."""
        drv._service._exchange()

    def make(self, drv: Any) -> Any:
        """:returns: a volume of the tenant."""
        return self.made(drv, **self.tenant)

    def take(self, drv: Any, volume: Any) -> Any:
        """:returns: a snapshot that exists."""
        record = self.snapshot(volume, **self.tenant)
        return self.saved(record, drv.create_snapshot(record))

    def marks(self, record: Any) -> dict[str, str]:
        """:returns: what the object of a volume is labelled with."""
        return self.labels(self.on(record)[1])

    def described(self, record: Any) -> dict[str, str]:
        """:returns: what the object of a snapshot is described by."""
        text = self.on(record)[1]['description']
        return ownership.read_description(text)


class FormatsTest(UpgradeTestCase):

    def test_old_until_it_is_finalized(self) -> None:
        drv = self.release(NEW)
        volume = self.make(drv)
        self.assertEqual(
            {'cinder_owner', 'cinder_id', 'cinder_attempt'},
            set(self.marks(volume)))
        snapshot = self.take(drv, volume)
        self.assertTrue(self.on(snapshot)[1]['description'].startswith(
            'lbf1 '))

        self.assertTrue(self.formats(drv).finalize('test'))
        self.hear(drv)

        later = self.make(drv)
        told = {'cinder_project': self.tenant['project_id'],
                'cinder_user': self.tenant['user_id']}
        self.assertEqual({**told, 'cinder_format': '2'}, {
            key: value for key, value in self.marks(later).items()
            if key in ('cinder_project', 'cinder_user', 'cinder_format')})
        taken = self.take(drv, later)
        self.assertTrue(self.on(taken)[1]['description'].startswith('lbf2 '))
        self.assertEqual({**told, 'cinder_id': taken.id}, {
            key: value for key, value in self.described(taken).items()
            if key in ('cinder_project', 'cinder_user', 'cinder_id')})
        for record in (snapshot, taken):
            drv.delete_snapshot(record)
        for record in (volume, later):
            drv.delete_volume(self.reread(record))
        for record in (volume, later, snapshot, taken):
            self.assertEqual([], self.everywhere(record.name))

    def test_finalized_twice(self) -> None:
        drv = self.release(NEW)
        self.assertTrue(self.formats(drv).finalize('test'))
        self.assertTrue(self.formats(drv).finalize('test'))

    def test_not_while_an_older_one_runs(self) -> None:
        new, old = self.release(NEW), self.release(OLD, SECOND_HOST)
        self.assertFalse(self.formats(new).finalize('test'))
        self.assertEqual([SECOND_HOST], [
            item.host for item in self.formats(new).hindering()])
        old.tear_down()
        self.assertTrue(self.formats(new).finalize('test'))

    def test_older_ones_are_refused_afterwards(self) -> None:
        new = self.release(NEW)
        self.formats(new).finalize('test')
        error = self.assertRaises(exception.VolumeBackendAPIException,
                                  self.release, OLD, SECOND_HOST)
        self.assertIn('format 2, and this release knows formats up to 1',
                      str(error))

    def test_taken_back_when_an_older_one_comes_up_just_then(self) -> None:
        new = self.release(NEW)
        formats = self.formats(new)
        put, came = formats._marks.put, []

        def late(name: str, *args: Any) -> bool:
            done = bool(put(name, *args))
            if name == 'format' and not came:
                came.append(True)
                put('format-of:x', str(OLD), SECOND_HOST, None)
            return done

        formats._marks.put = late
        self.assertFalse(formats.finalize('test'))
        self.assertEqual(OLD, formats.agreed().level)

    def test_downgrade(self) -> None:
        """The older release goes on with all that the newer one made."""
        new = self.release(NEW)
        volume = self.make(new)
        snapshot = self.take(new, volume)
        self.attach(new, volume, base.connector(1))
        new.tear_down()

        old = self.release(OLD)

        record = self.reread(volume)
        old.extend_volume(record, 2)
        self.assertEqual(str(2 * base.GIB), self.on(volume)[1]['size'])
        clone = self.volume(**self.tenant)
        self.saved(clone, old.create_volume_from_snapshot(clone, snapshot))
        old.terminate_connection(record, base.connector(1))
        old.delete_snapshot(snapshot)
        for item in (record, clone):
            old.delete_volume(self.reread(item))
            self.assertEqual([], self.everywhere(item.name))


class LoadTest(UpgradeTestCase):

    WORKERS = 4
    ROUNDS = 3

    def request(self, drv: Any) -> CreateRequest:
        """:returns: what a service asks for; without Cinder's database."""
        number = str(uuidlib.uuid4())
        return CreateRequest(
            drv.marked(VolumeRef(f'volume-{number}', number, 'default'),
                       types.SimpleNamespace(**self.tenant)),
            base.GIB, VolumeSpec(), base.NoRecord())

    def create(self, drv: Any) -> VolumeRef:
        """:returns: a volume that exists."""
        request = self.request(drv)
        made = drv.federation.create_volume(request)
        return dataclasses.replace(request.ref, location=made.location)

    def life(self, first: Any, second: Any) -> None:
        """What one release makes, the other works with and removes."""
        one, two = first.federation, second.federation
        volume = self.create(first)
        number = str(uuidlib.uuid4())
        snapshot = second.marked(
            SnapshotRef(f'snapshot-{number}', number, volume),
            types.SimpleNamespace(**self.tenant))
        snapshot = dataclasses.replace(snapshot, location=two.snapshots.create(
            snapshot, base.NoRecord(), two.deadline()))
        request = self.request(first)
        clone = dataclasses.replace(
            request.ref, location=one.clone_volume(request, volume).location)
        two.extend_volume(volume, 2 * base.GIB)
        one.snapshots.delete(snapshot, one.deadline())
        two.delete_volume(clone)
        two.delete_volume(volume)

    def under_load(self, first: Any, second: Any) -> None:
        """Many lives at once, each release doing either half."""
        with futures.ThreadPoolExecutor(self.WORKERS) as pool:
            for done in [pool.submit(self.life, *pair) for pair in (
                    (first, second), (second, first)) * self.ROUNDS]:
                done.result()

    def left(self) -> list[str]:
        """:returns: names of what is on the clusters."""
        for array in self.arrays.values():
            array.settle()
        return [item['name'] for array in self.arrays.values()
                for kind in ('volumes', 'snapshots')
                for item in array.state()[kind]
                if item['state'] not in ('Deleting', 'Deleted')
                and not item['name'].startswith('for_clone_')]

    def test_two_releases(self) -> None:
        old, new = self.release(OLD), self.release(NEW, SECOND_HOST)
        self.under_load(old, new)
        self.assertEqual([], self.left())
        self.assertEqual((OLD, OLD), (self.formats(old).level,
                                      self.formats(new).level))

    def test_finalized_under_load(self) -> None:
        """One has heard of it, the other not yet."""
        one, two = self.release(NEW), self.release(NEW, SECOND_HOST)
        with futures.ThreadPoolExecutor(1) as pool:
            load = pool.submit(self.under_load, one, two)
            self.assertTrue(self.formats(one).finalize('test'))
            self.hear(one)
            load.result()
        self.assertEqual((NEW, OLD), (self.formats(one).level,
                                      self.formats(two).level))
        self.under_load(one, two)
        self.hear(two)
        self.under_load(one, two)
        self.assertEqual([], self.left())


class FreezeTest(UpgradeTestCase):

    def test_jobs_are_paused(self) -> None:
        drv = self.release(NEW)
        shared = drv._service.shared
        done: list[str] = []

        def handle(task: Task) -> None:
            task.check()
            done.append(task.job.subject)

        self.assertTrue(drv.freeze_backend(self.context))
        runner = Runner(shared.desk, {'test': handle}, interval=0.05,
                        paused=lambda: shared.freezing.frozen)
        self.addCleanup(runner.stop)
        shared.book.add('test', 'one', {})
        runner.start()
        runner.look_now()
        # Another service hears of it.
        other = self.release(NEW)
        self.assertTrue(other._service.shared.freezing.frozen)
        self.assertEqual([], done)

        self.assertTrue(other.thaw_backend(self.context))
        self.hear(drv)
        self.wait(lambda: done or None)
        self.assertEqual(['one'], done)

    def test_what_is_under_way_is_given_back(self) -> None:
        drv = self.release(NEW)
        shared = drv._service.shared
        frozen: list[bool] = []
        rounds: list[str] = []

        def handle(task: Task) -> None:
            rounds.append('begun')
            if not frozen:
                drv.freeze_backend(self.context)
                frozen.append(True)
            task.check()
            rounds.append('done')

        runner = Runner(shared.desk, {'test': handle}, interval=0.05,
                        paused=lambda: shared.freezing.frozen)
        self.addCleanup(runner.stop)
        shared.book.add('test', 'one', {})
        runner.start()
        self.wait(lambda: frozen or None)
        drv.thaw_backend(self.context)
        self.wait(lambda: 'done' in rounds or None)
        self.assertIn('begun', rounds)

    def test_the_service_heeds_it(self) -> None:
        drv = self.release(NEW)
        runner = drv._service._runner
        self.assertFalse(runner._paused())
        drv.freeze_backend(self.context)
        self.assertTrue(runner._paused())

    def test_users_go_on(self) -> None:
        drv = self.release(NEW)
        drv.freeze_backend(self.context)
        drv.freeze_backend(self.context)
        drv.delete_volume(self.make(drv))
        drv.thaw_backend(self.context)
        drv.thaw_backend(self.context)
