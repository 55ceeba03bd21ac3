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

"""Doing the same with many things at the same time."""

from __future__ import annotations

import threading
from unittest import mock

from oslo_context import context
from oslo_context import fixture as context_fixture
from oslotest import base as test_base

from os_brick_ext import parallel
from tests.unit.brick import base


class EachTest(test_base.BaseTestCase):

    def test_silent_ones_hold_up_nobody(self) -> None:
        """Nor do as many as the privileged daemon has threads for, but one."""
        silent = parallel.WORKERS - 1
        done = threading.Event()

        def ask(number: int) -> None:
            if number < silent:
                # They answer only after the last one has been asked.
                self.assertTrue(done.wait(base.PATIENCE))
            else:
                done.set()

        parallel.each(ask, range(silent + 1))

    def test_all_are_done_whatever_is_raised(self) -> None:
        done: list[int] = []

        def act(number: int) -> None:
            done.append(number)
            if number != 1:
                raise ZeroDivisionError(number)

        with mock.patch.object(parallel, 'WORKERS', 1), mock.patch.object(
                parallel.LOG, 'exception', autospec=True) as told:
            error = self.assertRaises(
                ZeroDivisionError, parallel.each, act, range(3))
        self.assertEqual((0,), error.args)
        self.assertEqual([0, 1, 2], done)
        told.assert_called_once()

    def test_nothing_to_do(self) -> None:
        parallel.each(self.fail, ())

    def test_a_system_without_threads_for_it(self) -> None:
        done: list[int] = []
        with mock.patch.object(threading.Thread, 'start', autospec=True,
                               side_effect=RuntimeError('no more')):
            parallel.each(done.append, range(3))
        self.assertEqual([0, 1, 2], done)


class AsideTest(test_base.BaseTestCase):

    def test_a_process_that_ends_does_not_wait(self) -> None:
        go_on = threading.Event()
        thread = parallel.aside(go_on.wait)
        self.assertTrue(thread.daemon)
        go_on.set()
        thread.join(base.PATIENCE)

    def test_it_knows_the_request(self) -> None:
        self.useFixture(context_fixture.ClearRequestContext())
        request = context.RequestContext(overwrite=True)
        seen: list[str] = []
        parallel.aside(lambda: seen.append(
            context.get_current().request_id)).join(base.PATIENCE)
        self.assertEqual([request.request_id], seen)
