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

"""Claims that services leave behind, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import errno
import os
import time
from typing import Any
from unittest import mock

from os_brick_ext import errors
from os_brick_ext import locks
from os_brick_ext import timing
from tests.unit.brick import base

VOLUME = base.volume(1)


class NativeTest(base.NativeTestCase):

    def test_claims_of_a_service_that_died(self) -> None:
        """They go when the volume is not here."""
        self.left('cinder')
        self.left('glance', 2)
        nova = self.service('nova')
        nova.connect_volume(self.data)
        self.check_claims('nova')
        self.left('cinder')
        nova.disconnect_volume(self.data, None)
        self.check_claims('cinder')
        self.kernel.withdraw(self.nqn, VOLUME)
        nova.disconnect_volume(self.properties(2, self.nqn), None)
        self.check_claims()
        self.assertEqual(0, self.connected())

    def test_claims_that_cannot_be_removed(self) -> None:
        """They mean nothing once their volume has gone."""
        other = self.cluster(2)
        self.kernel.grant(other, base.volume(3))
        data = self.properties(3, other)
        self.left('cinder')
        nova = self.service('nova')
        with self.sticky('cinder'):
            nova.connect_volume(self.data)
            nova.disconnect_volume(self.data, None)
            # Its volume is here, so it may be that of a service that runs.
            self.assertEqual(3, self.connected())
            self.kernel.withdraw(self.nqn, VOLUME)
            nova.connect_volume(data)
            self.tidied()
            self.assertEqual(0, self.connected())
            # Of a volume that never came.
            self.kernel.grant(self.nqn, base.volume(2))
            nova.connect_volume(self.properties(2, self.nqn))
            nova.disconnect_volume(self.properties(2, self.nqn), None)
            self.assertEqual(0, self.connected())
            nova.disconnect_volume(data, None)
            self.check_claims('cinder')
        # Whoever may does it.
        nova.disconnect_volume(data, None)
        self.check_claims()

    def test_a_claim_of_one_who_is_back(self) -> None:
        """It could not be removed, and is good again."""
        self.left('cinder', 2)
        nova, cinder = self.service('nova'), self.service('cinder')
        nova.connect_volume(self.data)
        with self.in_background(lambda: cinder.connect_volume(
                self.properties(2, self.nqn))) as outcome:
            self.eventually(lambda: self.locked(2))
            nova.disconnect_volume(self.data, None)
            self.assertEqual(3, self.connected())
            self.kernel.grant(self.nqn, base.volume(2))
        self.assertEqual(str(self.kernel.dev / 'nvme0n2'),
                         outcome[0]['path'])
        self.assertEqual([], self.calls('delete'))

    def locked(self, number: int) -> bool:
        """:returns: whether somebody works on a volume."""
        return os.path.exists(os.path.join(
            self.locks, locks.PREFIX + locks.of_volume(base.volume(number))))

    def test_a_lock_that_cannot_be_used(self) -> None:
        """That of a volume which is claimed holds up nobody else's."""
        nova = self.service('nova')
        nova.connect_volume(self.data)
        self.left('cinder', 2)
        os.mkfifo(os.path.join(self.locks, locks.PREFIX + locks.of_volume(
            base.volume(2))))
        nova.disconnect_volume(self.data, None)
        self.assertFalse(os.path.exists(self.claim('nova')))

    @contextlib.contextmanager
    def unreadable(self, problem: int) -> Iterator[None]:
        """Have nothing of sysfs be read meanwhile."""
        def refusing(real: Any) -> Any:
            def act(path: str, *args: Any) -> Any:
                if str(path).startswith(str(self.kernel.sys)):
                    raise OSError(problem, os.strerror(problem))
                return real(path, *args)
            return act

        with mock.patch('os.open', refusing(os.open)), \
                mock.patch('os.scandir', refusing(os.scandir)):
            yield

    def test_a_host_that_cannot_read(self) -> None:
        """It does not take a volume that it cannot see for one that went."""
        nova, cinder = self.service('nova'), self.service('cinder')
        nova.connect_volume(self.data)
        for problem in (errno.EMFILE, errno.ENFILE, errno.ENOMEM,
                        errno.EACCES):
            with self.unreadable(problem):
                for act in (cinder.connect_volume, cinder.get_volume_paths):
                    error = self.assertRaises(
                        errors.Unreadable, act, self.data)
                    self.assertIn(os.strerror(problem), str(error))
                self.assertRaises(errors.Unreadable,
                                  cinder.disconnect_volume, self.data, None)
                # What was done is done, whether or not all is tidy.
                cinder._way.tidy(time.monotonic())
                self.tidied()
            self.check_claims('nova')
        cinder.connect_volume(self.data)
        cinder.disconnect_volume(self.data, None)
        self.assertEqual(3, self.connected())
        self.assertNotEqual([], nova.get_volume_paths(self.data))

    def test_a_host_that_cannot_read_while_it_waits(self) -> None:
        """The claim stays, since it is not known what can be undone."""
        nova = self.service('nova')
        with mock.patch.object(nova._way, 'tend', autospec=True) as tend, \
                contextlib.ExitStack() as stack:
            self.kernel.withdraw(self.nqn, VOLUME)
            tend.side_effect = lambda *_args: stack.enter_context(
                self.unreadable(errno.EMFILE))
            self.assertRaises(
                errors.Unreadable, nova.connect_volume, self.data)
        self.check_claims('nova')
        nova.disconnect_volume(self.data, None)
        self.check_claims()
        self.assertEqual(0, self.connected())

    def test_others_work_on_the_cluster(self) -> None:
        """Nobody's claim is dropped by what is seen meanwhile."""
        self.kernel.withdraw(self.nqn, VOLUME)
        self.left('cinder')
        with self.connector()._way._locked(
                self.nqn, timing.Deadline.after(1)):
            self.assertRaises(errors.Busy, self.service(
                'nova', connect_timeout=0.1).connect_volume, self.data)
        self.check_claims('cinder')


class DiscoveryClientTest(base.BrickTestCase):
    """Which services need the file that the client has of a volume."""

    def setUp(self) -> None:
        super().setUp()
        nqn = self.cluster(1)
        self.kernel.client_connects(nqn)
        self.nqn = nqn
        self.data, self.other = (
            self.properties(number, nqn) for number in (1, 2))
        for number in (1, 2):
            self.kernel.grant(nqn, base.volume(number))
        self.file = f'{VOLUME}.conf'

    def test_the_last_user_removes_it(self) -> None:
        nova, cinder = self.service('nova'), self.service('cinder')
        for first, last in ((nova, cinder), (cinder, nova)):
            nova.connect_volume(self.data)
            cinder.connect_volume(self.data)
            first.disconnect_volume(self.data, None)
            self.assertEqual([self.file], self.drop_ins())
            last.disconnect_volume(self.data, None)
            self.assertEqual([], self.drop_ins())
            self.check_claims()

    def test_one_of_several_that_fails(self) -> None:
        """Whoever has the volume keeps it, and the file."""
        self.service('nova').connect_volume(self.data)
        self.kernel.set_ana('inaccessible')
        cinder = self.service('cinder', connect_timeout=0.1)
        self.assertRaises(
            errors.NotVisible, cinder.connect_volume, self.data)
        self.check_claims('nova')
        # Somebody has removed it, so it is made anew.
        os.unlink(self.kernel.drop_ins / self.file)
        self.assertRaises(
            errors.NotVisible, cinder.connect_volume, self.data)
        self.assertEqual([self.file], self.drop_ins())
        self.check_claims('nova')

    def test_a_file_that_cannot_be_written(self) -> None:
        self.kernel.drop_ins.rmdir()
        self.assertRaises(errors.NotReady, self.service(
            'nova').connect_volume, self.data)
        self.check_claims()

    def test_a_file_that_cannot_be_removed(self) -> None:
        """The claim stays with it, so that somebody removes it later."""
        nova = self.service('nova')
        nova.connect_volume(self.data)
        with mock.patch.object(self.kernel, 'remove_drop_in', autospec=True,
                               side_effect=OSError(errno.EROFS, 'no')):
            self.assertRaises(errors.NotDeparted, nova.disconnect_volume,
                              self.data, None)
            self.check_claims('nova')
            self.kernel.withdraw(self.nqn, VOLUME)
            # That of another volume is not in its way.
            self.service('cinder').connect_volume(self.other)
        self.service('cinder').disconnect_volume(self.other, None)
        self.assertEqual([], self.drop_ins())
        self.check_claims()

    def test_what_a_service_left_that_died(self) -> None:
        """It goes when the volume has left the host."""
        nova, cinder = self.service('nova'), self.service('cinder')
        nova.connect_volume(self.data)
        cinder.connect_volume(self.other)
        self.assertEqual(2, len(self.drop_ins()))
        self.kernel.withdraw(self.nqn, VOLUME)
        with self.sticky('nova'):
            cinder.disconnect_volume(self.other, None)
            self.assertEqual([], self.drop_ins())
            self.check_claims('nova')
        cinder.disconnect_volume(self.other, None)
        self.check_claims()

    def test_a_volume_that_has_gone(self) -> None:
        """Nobody needs the file any more, whoever claims it."""
        nova = self.service('nova')
        nova.connect_volume(self.data)
        self.left('cinder')
        self.kernel.withdraw(self.nqn, VOLUME)
        nova.disconnect_volume(self.data, None)
        self.assertEqual([], self.drop_ins())
        self.check_claims()

    def test_processes_of_one_service(self) -> None:
        """The connections remain for those that still read."""
        first, second = (self.service('glance-api') for _each in range(2))
        first.connect_volume(self.data)
        second.connect_volume(self.data)
        first.disconnect_volume(self.data, None)
        self.assertNotEqual([], second.get_volume_paths(self.data))
        self.assertEqual(2, len(self.kernel.controllers(self.nqn)))
        second.disconnect_volume(self.data, None)
        self.check_claims()
