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

"""Services of two releases side by side, from one to the other and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
import contextlib
import dataclasses
import json
import subprocess
import threading
import time
from typing import Any, ClassVar

import fixtures
from openstack import exceptions
from testtools import content

from tests.embedded import command
from tests.embedded import federation
from tests.embedded import file_driver
from tests.embedded import waiting
from tests.functional import base
from tests.stack import case
from tests.stack import daemons
from tests.stack import older
from tests.stack import settings

OLD, NEW = older.DRIVER, file_driver.DRIVER
HOSTS = settings.HOSTS
CLEAN, FAILED = 0, 4

CLOUD = 'stack'
USERS = 2
PATIENCE = 60.0
# Times that a service ends while users work.
RESTARTS = 7
# What a service logs of a request that came when it was about to end, and the
# API of one that nobody answered.
LOST = ('Exception during message handling: '
        'cinder.exception.LockCreationFailed',
        'oslo_messaging.exceptions.MessagingTimeout')
# The cluster that is being drained meanwhile.
LEAVING = 'west'
VOLUMES = 18
# Seconds that making a volume takes while the drain is to be interrupted.
SLOW = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """What a service of one release has made for another to work with."""

    volume: Any
    snapshot: Any
    attachment: Any


class RollingUpgradeTest(case.StackTest):
    """Users notice nothing, and nothing is written that others cannot read.

    Clusters keep data, in files, so that one can be drained.
    """

    options: ClassVar[dict[str, Any]] = {'data_plane': 'sparse'}

    def setUp(self) -> None:
        super().setUp()
        clouds = self.bed.folder / 'clouds.json'
        environment = self.stack.environment()
        clouds.touch(mode=0o600)
        clouds.write_text(json.dumps({'clouds': {CLOUD: {
            'auth_type': environment['OS_AUTH_TYPE'],
            'auth': {'endpoint': environment['OS_ENDPOINT'],
                     'token': environment['OS_TOKEN']}}}}))
        for name, value in (
                ('OS_CLIENT_CONFIG_FILE', str(clouds)),
                # Where both releases of the driver are.
                ('PYTHONPATH', str(daemons.ROOT)),
                (file_driver.FOLDER, self.bed.simulator.state_dir)):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        self.over = threading.Event()
        self.lives = 0
        self.lost: list[str] = []
        self.guard = threading.Lock()
        self.lost_by_cinder = 0

    def wait(self, look: Callable[[], Any], what: str,
             timeout: float = 30.0) -> Any:
        """Wait longer than elsewhere: fewer services have more to do."""
        return super().wait(look, what, max(timeout, PATIENCE))

    # Services

    def restart(self, driver: str, *hosts: str) -> None:
        """Have services run a release, side by side if there are several."""
        def one(host: str) -> None:
            service = self.stack.volumes[host]
            service.stop()
            settings.prepare_service(
                self.stack.layout, host,
                f'\n[lightbits]\nvolume_driver = {driver}\n'
                f'lightbits_os_cloud = {CLOUD}\n')
            service.start(120)

        with futures.ThreadPoolExecutor(len(hosts)) as pool:
            list(pool.map(one, hosts))

    def operate(self, *argv: str, code: int = CLEAN) -> str:
        """Run the operator's command; return what it told."""
        done = subprocess.run(
            command.federation(self.stack.layout.arguments(HOSTS[0]),
                               '--backend', federation.BACKEND, *argv),
            capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(code, done.returncode, done.stderr)
        return done.stdout + done.stderr

    def refused(self, *older_hosts: str) -> None:
        """Nothing is agreed upon while services cannot read it."""
        told = self.operate('upgrade', 'finalize', '--yes', code=FAILED)
        for host in HOSTS:
            check = (self.assertIn if host in older_hosts
                     else self.assertNotIn)
            check(f'service {host}@lightbits knows formats up to 1', told)

    # Users

    @contextlib.contextmanager
    def load(self) -> Iterator[None]:
        """Have users work until the end; nothing of that may fail."""
        with futures.ThreadPoolExecutor(USERS) as pool:
            users = [pool.submit(self.work) for _number in range(USERS)]
            try:
                yield
            finally:
                self.over.set()
            for user in users:
                user.result()

    def work(self) -> None:
        """Do the whole life of a volume, again and again.

        Nothing may fail but for what Cinder itself does: a request that is
        handed to a service in the moment in which it ends can be lost, or
        fail for want of a lock of Cinder's own, without the driver having
        seen it. Cinder does not repeat it, and an operator cleans up.
        """
        sdk = self.stack.sdk()
        while not self.over.is_set():
            try:
                volume = self.create(sdk)
                self.use(self.made_of(sdk, volume), sdk)
            except waiting.WaitedTooLong as exc:
                self.lost.append(str(exc))
            except (AssertionError, exceptions.HttpException) as exc:
                if not self.more_lost():
                    raise
                self.lost.append(str(exc))
            else:
                self.lives += 1

    def more_lost(self) -> bool:
        """Whether Cinder has failed one more request by itself.

        It found Cinder's coordinator closed, which those of the driver do
        not: it has one of its own then. Or nobody was there to answer it.
        """
        with self.guard:
            before = self.lost_by_cinder
            self.lost_by_cinder = sum(
                log.count(text) for log in self.stack.logs().values()
                for text in LOST)
            return self.lost_by_cinder > before

    def keep(self) -> Kept:
        """Make what is to be used later."""
        return self.made_of(self.sdk, self.create(self.sdk))

    def made_of(self, sdk: Any, volume: Any) -> Kept:
        """Snapshot and attach a volume."""
        snapshot = self.snapshot(sdk, volume)
        made = sdk.create_attachment(volume.id, connector=base.CONNECTOR)
        sdk.complete_attachment(made)
        return Kept(volume, snapshot, made)

    def use(self, kept: Kept, sdk: Any) -> None:
        """Do with it all that users do; it is gone then."""
        copy = self.create(sdk, snapshot_id=kept.snapshot.id)
        clone = self.create(sdk, source_volume_id=kept.volume.id)
        sdk.extend_volume(kept.volume.id, 2)
        self.assertEqual(
            2, self.settled(sdk, kept.volume, 'in-use').size)
        sdk.delete_attachment(kept.attachment.id)
        self.settled(sdk, kept.volume)
        sdk.delete_snapshot(kept.snapshot.id)
        self.wait(lambda: kept.snapshot.id not in {
            item.id for item in self.stack.records().snapshots},
            'the snapshot to be gone')
        self.delete(sdk, copy, clone, kept.volume)

    # What is stored

    def formats(self) -> set[str]:
        """Return the formats of our objects."""
        found = set()
        for cluster in self.bed.contents():
            found |= {item.label('cinder_format') or '1'
                      for item in cluster.volumes
                      if item.label('cinder_owner')
                      == self.bed.federation_id}
            found |= {copy.description.partition(' ')[0].removeprefix('lbf')
                      for copy in cluster.snapshots
                      if self.bed.federation_id in copy.description}
        return found

    def writes_new(self) -> bool:
        """Make a volume, and see whether its object is of format 2."""
        self.create(self.sdk)
        return '2' in self.formats()

    def staying(self) -> int:
        """Count the volumes that are still where they are to leave."""
        home = self.clusters[LEAVING].uuid
        return len([item for item in self.stack.records().volumes
                    if f':{home}:' in (item.provider_location or '')])

    def told_states(self) -> set[str]:
        """Return what services take that cluster's state to be."""
        return {json.loads(text)[LEAVING][1] for text, in
                self.stack.database.query(
                    'SELECT clusters FROM lightbits_services')}

    def drain(self) -> tuple[str, bool]:
        """Return the state of the job, and whether a host does it."""
        (state, claim), = self.stack.database.query(
            "SELECT state, claim FROM lightbits_jobs WHERE kind = 'drain'")
        return state, claim is not None

    def fill(self) -> None:
        """Make volumes everywhere, some of which will have to leave."""
        made = [self.sdk.create_volume(size=1) for _number in range(VOLUMES)]
        self.wait_for_volumes([volume.id for volume in made], 120)
        self.operate('cluster', 'set', LEAVING, '--drain', '--reason',
                     'end of its life')
        self.wait(lambda: self.told_states() == {'draining'},
                  'all services to know')

    def begin_drain(self) -> None:
        """Have the older services drain, and freeze them in the middle."""
        total = self.staying()
        for cluster in self.clusters.values():
            cluster.set_delays(create=SLOW)
            self.addCleanup(cluster.set_delays, create=0)
        self.operate('drain', 'run', LEAVING, '--detach', '--at-once', '1')
        self.wait(lambda: self.staying() < total, 'something to move', 60)
        self.operate('freeze', '--reason', 'an upgrade')
        self.wait(lambda: not self.drain()[1], 'the drain to pause', 60)
        for cluster in self.clusters.values():
            cluster.set_delays(create=0)
        self.wait(lambda: 'maintenance' not in {
            item.status for item in self.stack.records().volumes},
            'what is being moved to arrive', 60)

    def test_under_load(self) -> None:
        begin = time.monotonic()
        marks: dict[str, float] = {}

        def mark(name: str) -> None:
            marks[name] = round(time.monotonic() - begin, 1)

        self.restart(OLD, *HOSTS)
        mark('older services')
        self.fill()
        mark('filled')
        with self.load():
            self.begin_drain()
            mark('frozen')
            left = self.staying()
            self.assertNotEqual(0, left)
            of_old = [self.keep() for _number in range(2)]
            for host in HOSTS:
                self.restart(NEW, host)
                mark(f'{host} upgraded')
                if host == HOSTS[0]:
                    self.refused(*HOSTS[1:])
            self.use(of_old[0], self.sdk)
            of_new = self.keep()
            self.assertEqual((left, ('running', False)),
                             (self.staying(), self.drain()))
            self.operate('thaw')
            self.wait(lambda: self.drain()[0] == 'done', 'the drain', 120)
            mark('drained')
            self.go_back(of_new)
            mark('back and forth')
            self.assertEqual({'1'}, self.formats())
            told = self.operate('upgrade', 'finalize', '--yes', '-f', 'json')
            self.assertIn('"format": 2', told)
            self.wait(self.writes_new, 'the new format')
            mark('finalized')
            self.use(of_old[1], self.sdk)
        self.addDetail('figures', content.text_content(json.dumps(
            {'lives': self.lives, 'lost': self.lost, **marks})))
        self.assertGreater(self.lives, USERS)
        self.assertLess(len(self.lost), RESTARTS)
        self.clean_up()
        self.remove_all()
        self.audit()

    def go_back(self, kept: Kept) -> None:
        """An older service alone does with what newer ones have made."""
        first, *others = HOSTS
        self.restart(OLD, first)
        self.assertEqual([], daemons.stop_all(
            self.stack.volumes[host] for host in others))
        self.use(kept, self.sdk)
        self.refused(first)
        self.restart(NEW, *others)
        self.restart(NEW, first)
