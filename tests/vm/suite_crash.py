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

"""Services that die between two steps, and what repairs what they left."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import glob
import itertools
import os
from typing import Any
from unittest import mock

from os_brick import privileged as brick_privileged
from os_brick.privileged import rootwrap

from os_brick_ext import conn_props
from os_brick_ext import connector
from os_brick_ext import locks
from os_brick_ext import options
from os_brick_ext import parallel
from os_brick_ext import privileged
from os_brick_ext import sysfs
from os_brick_ext import timing
from tests.vm import base
from tests.vm import places

_DIED = 9
_FAILED = 1

# What it takes to make a lock's file; another step lets it go.
_LOCK = ['open', 'link', 'unlink']


class _Steps:
    """Counts steps, and ends the process before one of them.

    :param before: number of that step.
    :param log: where the names of steps go.
    """

    def __init__(self, before: int, log: int) -> None:
        self._left = before
        self._log = log
        self._paused = False

    def step(self, name: str, act: Callable[..., Any]
             ) -> Callable[..., Any]:
        """:returns: `act`, as a step."""
        def counted(*args: Any, **kwargs: Any) -> Any:
            if self._paused:
                return act(*args, **kwargs)
            if not self._left:
                os.write(self._log, name.encode())
                os._exit(_DIED)
            self._left -= 1
            return act(*args, **kwargs)

        return counted

    def step_files(self, name: str) -> None:
        """Have what a function does to files in the lock folder be steps.

        :param name: of a function of ``os``.
        """
        act = getattr(os, name)
        counted = self.step(name, act)

        def does(path: Any, *args: Any, **kwargs: Any) -> Any:
            ours = os.path.basename(f'{path}').startswith(locks.PREFIX)
            # Not to open what is there, which changes nothing.
            changes = name != 'open' or args[0] & os.O_CREAT
            return (counted if ours and changes else act)(
                path, *args, **kwargs)

        mock.patch.object(os, name, does).start()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing meanwhile."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        act: Callable[..., Any] = getattr(privileged, name)
        # What is done only when things take long has no certain place.
        return act if name == 'rescan_controller' else self.step(name, act)


class CrashTestCase(base.KernelTestCase):
    """Processes that die."""

    def setUp(self) -> None:
        super().setUp()
        # Nobody is making a file any more whose process has died.
        patch = mock.patch.object(locks, 'LONGEST_MAKING', 0.0)
        patch.start()
        self.addCleanup(patch.stop)

    def check_no_files(self) -> None:
        """Check that nobody claims anything or holds a lock."""
        folder = self.connector().settings.lock_folder
        # What is left half made is removed aside.
        self.eventually(lambda: not any(
            name.startswith(locks.PREFIX) for name in os.listdir(folder)))

    def dying(self, before: int,
              use: Callable[[connector.LightbitsConnector], object]) -> str:
        """Do something in a process that dies before one of its steps.

        :param before: number of the step, from 0.
        :returns: name of the step; empty if there are not as many.
        """
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            # As in a service, but that steps with privilege are its own.
            status = _FAILED
            try:
                for context in (privileged.default, brick_privileged.default):
                    context.set_client_mode(False)
                steps = _Steps(before, writer)
                made = connector.LightbitsConnector(
                    'sudo', use_multipath=True, root=steps,
                    chosen=self.connector().settings)
                self._count(made, steps)
                use(made)
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        with os.fdopen(reader) as names:
            name = names.read()
        _child, status = os.waitpid(child, 0)
        self.assertIn(os.waitstatus_to_exitcode(status), (0, _DIED))
        return name

    @staticmethod
    def _count(made: Any, steps: _Steps) -> None:
        """Have more steps than those with privilege, one after another."""
        parallel.WORKERS = 1
        mock.patch.object(
            os, 'rename', steps.step('rename', os.rename)).start()
        for name in ('open', 'link', 'unlink'):
            steps.step_files(name)
        made._flush = steps.step('flush', made._flush)
        for name in ('link_root', 'unlink_root'):
            mock.patch.object(rootwrap, name, steps.step(
                name, getattr(rootwrap, name))).start()
        way = made._way
        look = way.find
        seen = steps.step('seen', lambda found: found)

        def find(key: conn_props.VolumeKey, deadline: timing.Deadline
                 ) -> sysfs.Namespace | None:
            # How often it is looked for in vain differs each time.
            with steps.paused():
                found: sysfs.Namespace | None = look(key, deadline)
            return seen(found) if found and found.usable else found

        way.find = find

    def crash_everywhere(
            self, use: Callable[[connector.LightbitsConnector], object],
            prepare: Callable[[], object],
            repair: Callable[[], object], first: int = 0) -> list[str]:
        """Let a process die before each of its steps, one after another.

        :param prepare: is done before each of them.
        :param repair: is done after each; it checks the outcome.
        :param first: number of the first of these steps.
        :returns: names of the steps.
        """
        names: list[str] = []
        for before in itertools.count(first):
            prepare()
            name = self.dying(before, use)
            with self.subTest(died_before=name):
                repair()
            if not name:
                return names
            names.append(name)
        raise AssertionError


class NativeCrashTest(CrashTestCase):

    # A claim is made, and then the connections are, under a lock.
    connecting = [*_LOCK, 'open', *_LOCK, *['connect_controller'] * 2,
                  'unlink', 'seen', 'unlink']
    # The claim goes after the connections and their lock.
    disconnecting = [*_LOCK, 'flush', *_LOCK, *['delete_controller'] * 2,
                     'unlink', 'unlink', 'unlink']

    def setUp(self) -> None:
        super().setUp()
        self.lights = self.cluster(nodes=2)
        self.data = self.properties(self.lights, self.lights.add())

    def connect(self) -> None:
        """Connect, and check that the volume is in order."""
        path = self.connector().connect_volume(self.data)['path']
        self.check_io(path)
        self.assertEqual(['live'] * 2, self.states(self.lights))

    def disconnect(self) -> None:
        """Disconnect, and check that nothing is left."""
        self.connector().disconnect_volume(self.data, None)
        self.assertEqual([], self.states(self.lights))
        self.assertEqual([], self.connector().get_volume_paths(self.data))
        self.check_no_files()

    def both(self) -> None:
        """Connect and disconnect."""
        self.connect()
        self.disconnect()

    def test_dead_while_connecting(self) -> None:
        for repair in (self.both, self.disconnect):
            self.assertEqual(
                self.connecting,
                self.crash_everywhere(
                    lambda made: made.connect_volume(self.data),
                    lambda: None, repair))

    def test_dead_while_disconnecting(self) -> None:
        for repair in (self.both, self.disconnect):
            self.assertEqual(
                self.disconnecting,
                self.crash_everywhere(
                    lambda made: made.disconnect_volume(self.data, None),
                    self.connect, repair))


class EncryptedCrashTest(NativeCrashTest):
    """The link that encryptors work upon; other steps are the same."""

    def setUp(self) -> None:
        super().setUp()
        self.data['encrypted'] = True

    def connect(self) -> None:
        """Connect, and check that the link leads to the volume."""
        link = self.connector().connect_volume(self.data)['path']
        self.data['device_path'] = link
        self.check_io(link)
        self.assertEqual(self.connector().get_volume_paths(self.data),
                         [os.path.realpath(link)])

    def disconnect(self) -> None:
        """Disconnect, and check that neither volume nor link is left."""
        # The last step makes the link: with it, the service was told.
        for link in self.links():
            self.data['device_path'] = link
        super().disconnect()
        self.assertEqual([], self.links())
        self.data.pop('device_path', None)

    @staticmethod
    def links() -> list[str]:
        """:returns: the links that there are."""
        return glob.glob('/dev/disk/by-id/os-brick*')

    def test_dead_while_connecting(self) -> None:
        for repair in (self.both, self.disconnect):
            self.assertEqual(
                ['link_root'],
                self.crash_everywhere(
                    lambda made: made.connect_volume(self.data),
                    lambda: None, repair, first=len(self.connecting)))

    def test_dead_while_disconnecting(self) -> None:
        for repair in (self.both, self.disconnect):
            self.assertEqual(
                ['unlink_root', 'unlink'],
                self.crash_everywhere(
                    lambda made: made.disconnect_volume(self.data, None),
                    self.connect, repair,
                    first=len(self.disconnecting) - 1))


class ClientCrashTest(CrashTestCase):

    mode = options.DISCOVERY_CLIENT

    def setUp(self) -> None:
        super().setUp()
        self.start_client()
        self.lights = self.cluster()
        self.data = self.properties(self.lights, self.lights.add())

    def connect(self) -> None:
        """Connect, and check that the volume is in order."""
        self.check_io(self.connector().connect_volume(self.data)['path'])
        self.assertEqual([f"{self.data['uuid']}.conf"],
                         os.listdir(places.DROP_INS))

    def disconnect(self) -> None:
        """Disconnect, and check that no file is left."""
        self.connector().disconnect_volume(self.data, None)
        self.assertEqual([], os.listdir(places.DROP_INS))
        self.check_no_files()

    def both(self) -> None:
        """Connect and disconnect."""
        self.connect()
        self.disconnect()

    def test_dead_while_connecting(self) -> None:
        for repair in (self.both, self.disconnect):
            self.assertEqual(
                [*_LOCK, 'open', 'write_drop_in', 'rename', 'seen',
                 'unlink'],
                self.crash_everywhere(
                    lambda made: made.connect_volume(self.data),
                    lambda: None, repair))

    def test_dead_while_disconnecting(self) -> None:
        for repair in (self.both, self.disconnect):
            self.assertEqual(
                [*_LOCK, 'flush', 'remove_drop_in', 'unlink', 'unlink'],
                self.crash_everywhere(
                    lambda made: made.disconnect_volume(self.data, None),
                    self.connect, repair))
